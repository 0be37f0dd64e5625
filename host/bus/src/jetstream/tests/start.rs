//! What the bus needs when it opens.

use super::*;

#[tokio::test]
#[ignore = "needs NATS"]
async fn a_file_that_is_missing_is_named_at_the_start() {
    let mut settings = shared();
    settings.nats.as_mut().unwrap().credentials_file = Some("no-such.creds".into());
    let Err(error) = try_open(&settings, "ours").await else { panic!("the bus opened") };
    assert!(error.to_string().contains("no-such.creds"), "{error}");
}

#[tokio::test]
#[ignore = "needs NATS"]
async fn an_installation_keeps_its_id() {
    let folder = tempfile::tempdir().unwrap();
    let id = async |name: &str| {
        let database = HostDatabase::open(&folder.path().join(name)).await.unwrap();
        let id = installation(&database).await.unwrap();
        assert_eq!(installation(&database).await.unwrap(), id);
        database.close().await;
        id
    };
    let first = id("one.db").await;
    assert_eq!(id("one.db").await, first);
    assert_ne!(id("other.db").await, first);
}
