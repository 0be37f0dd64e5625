use super::*;
use host_api::revisions::Source;
use host_test_support::{TestDatabase, on_both_engines};

fn record(id: &str, digest: &str) -> Record {
    Record {
        plugin: "p".into(),
        id: id.into(),
        digest: digest.into(),
        size_bytes: 1,
        version: "1.0.0".into(),
        source: Source::Upload,
        manifest: None,
        settings: Settings::default(),
        uploaded_ms: 1,
        uploaded_by: "somebody".into(),
        signature: None,
        unknown: Unknown::new(),
    }
}

on_both_engines! {
    data_of_a_newer_host_is_kept_or_named
    revisions_in_use_outlive_old_ones_and_files_go_with_their_last_revision
}

async fn revisions_in_use_outlive_old_ones_and_files_go_with_their_last_revision(place: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::open(place.open().await, &folder.path().join("plugins")).await.unwrap();
    let digests: Vec<String> = (0..4_u8).map(|i| hex::encode(Sha256::digest([i]))).collect();
    for (i, digest) in digests.iter().enumerate() {
        archive.keep_file(digest, Arc::from([i as u8])).await.unwrap();
        assert!(archive.add(&record(&format!("r{i}"), digest)).await.unwrap());
        assert!(!archive.add(&record(&format!("r{i}"), digest)).await.unwrap(), "the same is there once");
    }
    archive.add(&record("r1-set", &digests[1])).await.unwrap();
    let state = State { active: Some("r0".into()), ..State::default() };
    archive.set_state("p", &state).await.unwrap();
    assert_eq!(archive.state("p").await.unwrap(), Some(state.clone()));

    let gone = archive.prune("p", &state, 2).await.unwrap();
    let left: Vec<_> = archive.records("p").await.unwrap().into_iter().map(|record| record.id).collect();
    assert_eq!(left, ["r1-set", "r3", "r0"]);
    assert_eq!(gone, [digests[2].clone()], "the file of r1 is used by r1-set");
    assert!(archive.file(&digests[2]).await.is_err());
    assert_eq!(archive.file(&digests[1]).await.unwrap(), [1]);
    std::fs::write(archive.path(&digests[1]), b"other").unwrap();
    match archive.database.dialect() {
        Dialect::Sqlite => assert!(archive.file(&digests[1]).await.is_err(), "a damaged file is not run"),
        Dialect::Postgres => {
            assert_eq!(archive.file(&digests[1]).await.unwrap(), [1], "it is fetched again");
            assert_eq!(std::fs::read(archive.path(&digests[1])).unwrap(), [1]);
            sqlx::query("UPDATE plugin_files SET bytes = $1")
                .bind(&b"x"[..])
                .execute(&archive.database.write)
                .await
                .unwrap();
            std::fs::remove_file(archive.path(&digests[1])).unwrap();
            assert!(archive.file(&digests[1]).await.is_err(), "a damaged file is not run");
        }
    }
}

async fn data_of_a_newer_host_is_kept_or_named(place: TestDatabase) {
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::open(place.open().await, &folder.path().join("plugins")).await.unwrap();
    let write = async |plugin: &str, state: &str| {
        sqlx::query("INSERT INTO plugin_states (plugin, state) VALUES ($1, $2)")
            .bind(plugin)
            .bind(state)
            .execute(&archive.database.write)
            .await
            .unwrap();
    };
    write("known", r#"{"active": "r1", "zone": {"of": [1]}, "settings": {"mood": "good", "limits": {}}}"#).await;
    write("foreign", r#"{"active": "r1", "settings": {"grants": ["telepathy"]}}"#).await;

    let state = archive.state("known").await.unwrap().unwrap();
    archive.set_state("known", &State { paused: true, ..state }).await.unwrap();
    let text: String = sqlx::query_scalar("SELECT state FROM plugin_states WHERE plugin = 'known'")
        .fetch_one(&archive.database.read)
        .await
        .unwrap();
    let kept: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&kept["zone"]["of"][0], &kept["settings"]["mood"]), (&1.into(), &"good".into()));
    assert_eq!((&kept["paused"], &kept["active"]), (&true.into(), &"r1".into()));

    let refused = archive.state("foreign").await.unwrap_err().to_string();
    assert!(refused.contains("of foreign is not understood") && refused.contains("telepathy"), "{refused}");
    let mut plugins = archive.plugins().await.unwrap();
    plugins.sort();
    assert_eq!(plugins, ["foreign", "known"]);

    archive.add(&record("r1", "d")).await.unwrap();
    sqlx::query("INSERT INTO plugin_revisions (plugin, id, digest, record) VALUES ('p', 'r2', 'd', '{}')")
        .execute(&archive.database.write)
        .await
        .unwrap();
    assert_eq!(archive.records("p").await.unwrap(), [record("r1", "d")]);
    assert!(archive.record("p", "r1").await.unwrap().is_some());
    assert!(archive.record("p", "r2").await.is_err());
}

#[test]
fn settings_are_part_of_the_id() {
    let none = Settings::default();
    let some = Settings { config: [("k".to_owned(), "v".to_owned())].into(), ..Settings::default() };
    assert_eq!(Record::id("1.0.0", "0123456789", None, &none), "1.0.0+01234567");
    assert!(Record::id("1.0.0", "0123456789", None, &some).starts_with("1.0.0+01234567."));
    assert_ne!(Record::id("1.0.0", "01234567", Some("m"), &none), Record::id("1.0.0", "01234567", None, &none));
}
