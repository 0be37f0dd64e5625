//! Limits of the system that are too low for a host.

use super::{ended, in_shell, names, refusal};
use crate::support::Setup;
use std::fs;

#[tokio::test]
async fn a_limit_of_the_system_that_is_too_low_is_named_before_anything_is_made() {
    for (limit, name, cure) in [
        ("ulimit -v 4000000", "`ulimit -v`", "engine.max_instances"),
        ("ulimit -v 1000000", "`ulimit -v`", "remove the limit"),
        ("ulimit -n 64", "`ulimit -n`", "at least 256"),
        ("ulimit -n 200", "`ulimit -n`", "raise the limit"),
        ("ulimit -f 1000", "`ulimit -f`", "raise the limit"),
    ] {
        let setup = Setup::without_components();
        let line = refusal(&ended(in_shell(&setup, limit)).await);
        assert!(line.contains(name) && line.contains(cure), "{limit}: {line}");
        assert!(!setup.data().exists(), "{limit}: {:?}", names(&setup.data()));
    }
}

#[tokio::test]
async fn a_check_names_a_limit_of_the_system_too() {
    let setup = Setup::without_components();
    let mut command = in_shell(&setup, "ulimit -n 100; set -- check --bundled=false");
    let output = command.output().await.unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("`ulimit -n`") && text.lines().count() == 1, "{text}");
}

#[tokio::test]
async fn a_host_with_fewer_instances_needs_fewer_addresses() {
    let setup = Setup::without_components().engine("max_instances = 4\n");
    let line = refusal(&ended(in_shell(&setup, "ulimit -v 16000000")).await);
    assert!(line.contains("reserves 34 GiB for 4 instances"), "{line}");
}

#[tokio::test]
async fn a_settings_file_that_is_broken_is_named_with_the_reason() {
    let setup = Setup::without_components();
    let file = setup.data().with_file_name("ticketing.toml");
    let broken = setup.data().with_file_name("broken.toml");
    for (content, reason) in [
        (&b"[http\n"[..], "line 1"),
        (b"[http]\nlisten = \"127.0.0.1:0\"\nlisten = \"127.0.0.1:1\"\n", "line 3"),
        (b"data_dir = \"\xff\"\n", "UTF-8"),
        (b"\0\0\0\0", "line 1"),
        (b"data_dir = [\n1,\n", "line"),
        (b"http = 7\n", "http"),
    ] {
        fs::write(&broken, content).unwrap();
        let output = ended(in_shell(&setup, &format!("mv {broken:?} {file:?}"))).await;
        assert_eq!(output.status.code(), Some(78), "{output:?}");
        let line = refusal(&output);
        assert!(line.contains("ticketing.toml") && line.contains(reason), "{reason}: {line}");
    }
    let line = refusal(&ended(in_shell(&setup, &format!("rm {file:?}; mkdir {file:?}"))).await);
    assert!(line.contains("ticketing.toml") && line.contains("directory"), "{line}");
    fs::remove_dir(&file).unwrap();
    let line = refusal(&ended(in_shell(&setup, &format!("rm {file:?}"))).await);
    assert!(line.contains("ticketing.toml") && line.contains("No such file"), "{line}");
}
