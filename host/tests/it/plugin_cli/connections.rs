//! The choice of the host and the token by flags, the environment or a profile,
//! and the exit code of each failure.

use super::{Ended, Shell, address};
use crate::support::{ADMIN_TOKEN, Setup, chameleon};
use serde_json::json;
use std::{fs::Permissions, os::unix::fs::PermissionsExt, path::Path};

fn private(path: &Path) {
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn the_host_and_the_token_come_from_flags_the_environment_or_a_profile() {
    let host = Setup::without_components().start().await;
    let address = address(&host);
    let shell = Shell::new();
    shell.write("token", ADMIN_TOKEN);
    let by_flags = shell.plugin(&format!("list --json --address {address} --token-file token")).await;
    assert_eq!(by_flags.json(), json!([]));
    assert_eq!(Shell::of(&host).plugin("list --json").await.json(), json!([]));

    let profiles = format!(
        "default = 'here'\n[profiles.here]\naddress = '{address}'\ntoken = '{ADMIN_TOKEN}'\n\
         [profiles.nowhere]\naddress = 'http://127.0.0.1:1'\ntoken_file = '{}'\n",
        shell.path("token").display()
    );
    let file = shell.write(".config/ticketing/profile.toml", profiles);
    shell.plugin("list").await.fails(2, "chmod 600");
    private(&file);
    assert_eq!(shell.plugin("list --json").await.json(), json!([]), "the default profile");
    assert_eq!(shell.plugin("list --json --profile here").await.json(), json!([]));
    shell.plugin("list --profile nowhere").await.fails(5, "http://127.0.0.1:1 cannot be reached");
    let shell = shell.with("TICKETING_PROFILE", "nowhere");
    shell.plugin("list").await.fails(5, "http://127.0.0.1:1 cannot be reached");
    assert_eq!(shell.plugin("list --json --profile here").await.json(), json!([]), "a flag beats the environment");

    let in_folder = Shell::at(&host);
    in_folder.plugin("list").await.fails(4, "the token is missing or wrong");
    in_folder.write("data/admin-token", ADMIN_TOKEN);
    assert_eq!(in_folder.plugin("list --json").await.json(), json!([]), "the profile of this folder");
}

#[tokio::test]
async fn a_wrong_token_and_a_host_that_is_down_have_codes_of_their_own() {
    let mut host = Setup::without_components().start().await;
    let wrong = Shell::at(&host).with("TICKETING_ADMIN_TOKEN", "wrong");
    wrong.write("green.wasm", chameleon("1.0.0", "green", "good"));
    for command in [
        "list",
        "show chameleon",
        "push green.wasm",
        "push green.wasm --activate",
        "diff green.wasm",
        "watch green.wasm",
        "activate chameleon 1",
        "promote chameleon",
        "rollback chameleon",
        "pause chameleon",
        "resume chameleon",
        "remove chameleon",
        "revisions chameleon",
        "audit",
        "logs chameleon -f",
        "config chameleon a=b",
        "limits chameleon queue=1",
        "policy chameleon --grant store",
        "token list",
        "token create me --role view",
        "token revoke 1",
    ] {
        wrong.plugin(command).await.fails(4, "the token is missing or wrong");
    }
    host.stop().await;
    for command in ["list", "push green.wasm", "rollback chameleon", "logs chameleon", "token list"] {
        wrong.plugin(command).await.fails(5, "cannot be reached");
    }
}

/// The id of a token, read from the printed table.
fn id_of(list: &Ended, name: &str) -> String {
    let line =
        list.done().lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}: {}", list.stdout));
    line.split_whitespace().next().unwrap().to_owned()
}

#[tokio::test]
async fn tokens_are_made_listed_and_revoked() {
    let host = Setup::without_components().start().await;
    let admin = Shell::of(&host);
    let made = admin.plugin("token create ci --role deploy --plugin chameleon").await;
    let token = made.done().trim().to_owned();
    assert_eq!(made.stdout.lines().count(), 1, "the output is the token alone, so that a script can save it");
    assert!(made.stderr.contains("the list does not show the token"), "{}", made.stderr);
    let viewer = admin.plugin("token create looker --role view --json").await.json();
    let list = admin.plugin("token list").await;
    assert!(list.done().starts_with("ID "), "{}", list.stdout);
    assert!(!list.stdout.contains(&token), "{}", list.stdout);
    let ci = id_of(&list, "ci");

    let deployer = Shell::at(&host).with("TICKETING_ADMIN_TOKEN", &token);
    deployer.write("green.wasm", chameleon("1.0.0", "green", "good"));
    deployer.plugin("policy chameleon --grant store").await.fails(4, "role admin");
    admin.plugin("policy chameleon --grant store").await.done();
    deployer.plugin("push green.wasm --activate").await.done();
    deployer.plugin("pause orders").await.fails(4, "bound to chameleon");
    deployer.plugin("token list").await.fails(4, "role admin");
    let looker = Shell::at(&host).with("TICKETING_ADMIN_TOKEN", viewer["token"].as_str().unwrap());
    looker.plugin("show chameleon").await.done();
    looker.plugin("pause chameleon").await.fails(4, "role deploy");

    admin.plugin(&format!("token revoke {ci}")).await.done();
    deployer.plugin("list").await.fails(4, "the token is missing or wrong");
    admin.plugin(&format!("token revoke {ci}")).await.fails(1, "token");
    assert_eq!(admin.plugin("token list --json").await.json().as_array().unwrap().len(), 1);
}
