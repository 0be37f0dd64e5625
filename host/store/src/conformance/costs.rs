//! Tests of the time and the memory of statements.

use super::{Store, migration, text};
use crate::{Error, HeldMemory, Rows, Value};
use host_sql::{VALUE_BYTES, samples::COSTLY};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// Far above the time that a statement takes, for busy machines, and far below
/// the time of a function without bounds.
const LONGEST: Duration = Duration::from_secs(5);

async fn big(store: &Store) {
    let sql = "CREATE TABLE big (id TEXT PRIMARY KEY, t TEXT, u TEXT, n BIGINT, d DOUBLE PRECISION)";
    store.migrate(&[migration("0001.sql", sql)]).await.unwrap();
    let mut transaction = store.begin().await.unwrap();
    for number in 0..4 {
        let values = vec![
            text(&number.to_string()),
            text(&"a".repeat(1_000_000)),
            text(&format!("%{}b{number}", "a".repeat(1_000_000))),
            Value::Integer(number),
            Value::Real(0.5),
        ];
        let sql = "INSERT INTO big (id, t, u, n, d) VALUES ($1, $2, $3, $4, $5)";
        transaction.execute(sql, values).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

/// Runs a statement with the largest texts that it takes. They differ in their
/// last letter, which makes a search slow.
async fn run_with_largest(store: &Store, statement: &str, parameters: usize) -> (usize, Result<Rows, Error>) {
    let mut bytes = VALUE_BYTES;
    loop {
        let long = |index: usize| match index {
            0 => text(&"a".repeat(bytes)),
            _ => text(&format!("{}b", "a".repeat(bytes / 2))),
        };
        let values: Vec<Value> = (0..parameters).map(long).collect();
        let mut transaction = store.begin().await.unwrap();
        let result = transaction.query(statement, values).await;
        transaction.rollback().await;
        match result {
            Err(Error::Limit(problem)) if problem.starts_with("a parameter of") && bytes > 1 => bytes /= 2,
            result => return (bytes, result),
        }
    }
}

pub(crate) async fn each_function_ends_with_its_largest_operands(store: Store) {
    big(&store).await;
    let mut slow = Vec::new();
    for (statement, parameters) in COSTLY {
        let begun = Instant::now();
        let (bytes, result) = run_with_largest(&store, statement, *parameters).await;
        let took = begun.elapsed();
        match result {
            Ok(_) | Err(Error::Limit(_)) => {}
            Err(error) => slow.push(format!("{statement}: {error:?}")),
        }
        if took > LONGEST {
            slow.push(format!("{statement}: {took:?} with {bytes} bytes"));
        }
        println!("{took:?} with {bytes} bytes: {statement}");
    }
    assert!(slow.is_empty(), "{}", slow.join("\n"));
}

pub(crate) async fn a_column_that_is_too_long_for_a_function_is_an_error(store: Store) {
    big(&store).await;
    let like = "SELECT count(*) FROM big WHERE t LIKE $1";
    let mut transaction = store.begin().await.unwrap();
    transaction.execute("UPDATE big SET t = $1", vec![text(&"a".repeat(200_000))]).await.unwrap();
    transaction.commit().await.unwrap();
    let short = store.query(like, vec![text("%b")]).await.unwrap();
    assert!(matches!(short.rows[0][0], Value::Integer(0)), "{short:?}");
    let long = store.query(like, vec![text(&"a".repeat(200))]).await;
    assert!(matches!(&long, Err(Error::Limit(problem)) if problem.contains("too many bytes")), "{long:?}");
    // The length of the column decides, and not that of others.
    let mut transaction = store.begin().await.unwrap();
    transaction.execute("UPDATE big SET t = 'short'", vec![]).await.unwrap();
    let pattern = format!("{}short", "%".repeat(200));
    let found = transaction.query(like, vec![text(&pattern)]).await.unwrap();
    assert!(matches!(found.rows[0][0], Value::Integer(4)), "{found:?}");
    // A transaction continues after such an error.
    transaction.query("SELECT count(*) FROM big WHERE u LIKE t", vec![]).await.unwrap_err();
    transaction.execute("UPDATE big SET u = NULL", vec![]).await.unwrap();
    let none = transaction.query("SELECT count(*) FROM big WHERE u LIKE t", vec![]).await.unwrap();
    assert!(matches!(none.rows[0][0], Value::Integer(0)), "a null is not too long: {none:?}");
    transaction.commit().await.unwrap();
}

pub(crate) async fn a_text_that_is_appended_to_stays_within_the_limit(store: Store) {
    big(&store).await;
    let mut transaction = store.begin().await.unwrap();
    let mut refused = false;
    for _ in 0..6 {
        for sql in ["UPDATE big SET t = t || t", "UPDATE big SET t = replace(t, 'a', 'aaaaaaaa')"] {
            refused |= matches!(transaction.execute(sql, vec![]).await, Err(Error::Limit(_)));
        }
    }
    assert!(refused);
    let longest = transaction.query("SELECT max(length(t)) FROM big", vec![]).await.unwrap();
    assert!(matches!(longest.rows[0][0], Value::Integer(bytes) if bytes <= VALUE_BYTES as i64), "{longest:?}");
    let all = transaction.query("SELECT string_agg(t, ',') FROM big", vec![]).await;
    assert!(matches!(all, Err(Error::Limit(_))), "{all:?}");
    transaction.rollback().await;
}

pub(crate) async fn a_result_is_counted_before_it_is_held(store: Store) {
    big(&store).await;
    for (statement, bytes) in [
        (format!("SELECT {}", vec!["$1"; 400].join(", ")), VALUE_BYTES),
        (format!("SELECT {}", vec!["$1"; 400].join(", ")), 60_000),
        (format!("SELECT {} FROM big WHERE id <> $1", vec!["t"; 400].join(", ")), 1),
        (format!("SELECT {} FROM big WHERE id <> $1", vec!["*"; 400].join(", ")), 1),
        ("SELECT a.t, b.u FROM big a, big b, big c WHERE a.id <> $1".to_owned(), 1),
        (format!("SELECT $1 UNION ALL {}", vec!["SELECT $1"; 40].join(" UNION ALL ")), VALUE_BYTES),
    ] {
        let begun = Instant::now();
        let result = store.query(&statement, vec![text(&"x".repeat(bytes))]).await;
        let refused = matches!(result, Err(Error::Limit(_) | Error::Invalid(_)));
        assert!(refused, "{}: {:?}", &statement[..40], result.map(|rows| rows.rows.len()));
        assert!(begun.elapsed() < LONGEST);
    }
    // A budget that is in use by others leaves less.
    let mut others = HeldMemory::of(store.memory());
    others.add(30 << 20).unwrap();
    let refused = store.query("SELECT t, u FROM big", vec![]).await;
    assert!(matches!(&refused, Err(Error::Limit(problem)) if problem.contains("memory")), "{refused:?}");
    drop(others);
    assert_eq!(store.query("SELECT t FROM big", vec![]).await.unwrap().rows.len(), 4);
}

pub(crate) async fn an_abandoned_statement_ends_soon(store: Store) {
    big(&store).await;
    let mut transaction = store.begin().await.unwrap();
    for number in 0..200 {
        let values = vec![text(&format!("more-{number}"))];
        transaction.execute("INSERT INTO big (id, n) VALUES ($1, 0)", values).await.unwrap();
    }
    transaction.commit().await.unwrap();
    let product = "big a, big b, big c, big d, big e WHERE a.n + b.n + c.n + d.n + e.n < 0";
    let mut transaction = store.begin().await.unwrap();
    let sql = format!("UPDATE big SET n = (SELECT count(*) FROM {product})");
    assert!(is_late(transaction.execute(&sql, vec![])).await);
    drop(transaction);
    let begun = Instant::now();
    let mut next = store.begin().await.unwrap();
    next.execute("UPDATE big SET n = 5 WHERE id = '1'", vec![]).await.unwrap();
    next.commit().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let query = format!("SELECT count(*) FROM {product}");
    assert!(is_late(store.query(&query, vec![])).await);
    let begun = Instant::now();
    for _ in 0..8 {
        store.query("SELECT count(*) FROM big WHERE n = 5", vec![]).await.unwrap();
    }
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

async fn is_late<T>(statement: impl Future<Output = T>) -> bool {
    timeout(Duration::from_millis(100), statement).await.is_err()
}
