//! The quota of a database between two measurements of the host.

use super::{PostgresDatabases, databases, patient};
use crate::{
    Databases, DiskAmount, Error, Value,
    conformance::{self, Store, count, tables, text},
};

/// What a component may add beyond its quota: the changes of a tenth of a second
/// on a fast disk, or 8 MiB of parameters.
const BEYOND: u64 = 64 << 20;
const QUOTA: u64 = 8 << 20;
const ROW_BYTES: usize = 1 << 20;

/// A store that may grow by [`QUOTA`], and its size now. Nothing measures it
/// later.
async fn limited() -> (PostgresDatabases, Store, u64) {
    let (databases, _url) = databases(patient()).await;
    let store: Store = databases.open("things").await.unwrap();
    tables(&store).await;
    let empty = store.measure().await.unwrap().database_bytes;
    store.set_quota(DiskAmount { database_bytes: empty + QUOTA, ..DiskAmount::UNLIMITED });
    (databases, store, empty)
}

/// Bytes that do not compress.
fn noise(seed: u64) -> Value {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ seed;
    let bytes = std::iter::repeat_with(|| {
        // Marsaglia's xorshift64.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    });
    Value::Blob(bytes.take(ROW_BYTES).collect())
}

async fn insert(store: &Store, number: u64) -> Result<(), Error> {
    let mut transaction = store.begin().await?;
    let values = vec![text(&number.to_string()), Value::Integer(number.cast_signed()), noise(number)];
    transaction.execute("INSERT INTO things (id, n, b) VALUES ($1, $2, $3)", values).await?;
    transaction.commit().await
}

fn is_quota(error: &Error) {
    assert!(matches!(error, Error::Limit(text) if text.contains("MiB for its database")), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn fast_changes_exceed_the_quota_by_little_before_it_is_measured() {
    let (_databases, store, empty) = limited().await;
    let mut refused = None;
    for number in 1..400 {
        if let Err(error) = insert(&store, number).await {
            refused = Some((number, error));
            break;
        }
    }
    let (number, error) = refused.expect("the quota is enforced");
    is_quota(&error);
    assert!(number > 4, "the quota is for use: {number}");
    let held = store.measure().await.unwrap().database_bytes - empty;
    assert!(held < QUOTA + BEYOND, "{held} bytes");
    is_quota(&insert(&store, 500).await.unwrap_err());
    assert!(count(&store).await > 4, "what was committed stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn a_statement_that_exceeds_the_quota_itself_has_no_effect() {
    let (_databases, store, _) = limited().await;
    for number in 1..=6 {
        insert(&store, number).await.unwrap();
    }
    let before = count(&store).await;
    let many = "INSERT INTO things (id, n, b) SELECT a.id || '-' || b.id || '-' || c.id, 10 * a.n + b.n + 7 * c.n, a.b \
                FROM things a, things b, things c WHERE a.n > 0 AND b.n > 0 AND c.n BETWEEN 1 AND 3";
    let mut transaction = store.begin().await.unwrap();
    is_quota(&transaction.execute(many, vec![]).await.unwrap_err());
    let delete = "DELETE FROM things WHERE n = 1";
    assert_eq!(transaction.execute(delete, vec![]).await.unwrap(), 1, "the transaction continues");
    transaction.commit().await.unwrap();
    assert_eq!(count(&store).await, before - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL"]
async fn the_payloads_of_events_count_at_once() {
    let (_databases, store, _) = limited().await;
    let mut published = 0;
    let refused = loop {
        let mut transaction = store.begin().await.unwrap();
        let mut event = conformance::event(&format!("event-{published}"));
        event.payload = vec![b'x'; ROW_BYTES];
        match transaction.publish(&event).await {
            Ok(()) => transaction.commit().await.unwrap(),
            Err(error) => break error,
        }
        published += 1;
        assert!(published < 50, "the quota is enforced");
    };
    is_quota(&refused);
    assert!(published >= 8, "{published}");
}
