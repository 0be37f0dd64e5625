//! Who can read what the host writes.

use crate::support::{Setup, chameleon, chameleon_host};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

/// Everything below a folder that others than the owner may use.
fn open_to_others(folder: &Path) -> Vec<String> {
    let entries = walkdir::WalkDir::new(folder).min_depth(1);
    let entries = entries.into_iter().map(Result::unwrap).filter(|entry| !entry.path_is_symlink());
    let others = entries.filter(|entry| entry.metadata().unwrap().permissions().mode() & 0o077 != 0);
    others.map(|entry| entry.path().display().to_string()).collect()
}

#[tokio::test]
async fn only_the_owner_can_read_what_the_host_writes_whoever_made_the_folder() {
    let setup = Setup::new().private_cache().generated_token();
    fs::create_dir(setup.data()).unwrap();
    fs::set_permissions(setup.data(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut host = chameleon_host_with_generated_token(setup).await;
    host.user("files").await;
    let [data, cache] = [host.setup.data(), host.setup.cache().to_owned()];
    assert!(fs::read_dir(data.join("components")).unwrap().count() > 5, "there are files of SQLite");
    assert_eq!(open_to_others(&data), Vec::<String>::new());
    assert_eq!(open_to_others(&cache), Vec::<String>::new());
    host.stop().await;
    assert_eq!(open_to_others(&data), Vec::<String>::new());
}

async fn chameleon_host_with_generated_token(setup: Setup) -> crate::support::Host {
    let host = setup.start().await;
    let token = fs::read_to_string(host.setup.data().join("admin-token")).unwrap();
    let operator = host.bearer(token.trim());
    operator.allow("chameleon", serde_json::json!({ "grants": ["store"] })).await;
    operator.deploy("chameleon", chameleon("1.0.0", "green", "good")).await;
    host
}

#[tokio::test]
async fn a_weak_key_stops_the_start_wherever_it_comes_from() {
    let weak = [
        "short",
        &"a".repeat(64),
        &"ab".repeat(40),
        "0123456789abcdef0123456789abcdef",
        "please-change-me-before-you-go-live-2",
    ];
    for key in weak {
        let output = Setup::without_components().variable("JWT_KEY", key).output("check").await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{key}: {said}");
        assert!(said.contains("JWT_KEY") && said.contains("the key") && !said.contains(key), "{key}: {said}");

        let setup = Setup::without_components();
        fs::create_dir_all(setup.data()).unwrap();
        fs::write(setup.data().join("jwt-key"), key).unwrap();
        let output = setup.output("serve").await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains("jwt-key: the key"), "{key}: {said}");
    }
    let host = chameleon_host(Setup::without_components()).await;
    drop(host);
}
