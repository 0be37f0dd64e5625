//! The settings, the command line, and the end of the process.

use crate::support::{Setup, SlowRequest, eventually};
use std::{fs, process::Output};
use tokio::net::TcpStream;

const BAD_SETTING: Option<i32> = Some(78);

/// Asserts that a command fails because of a bad setting, and names these parts.
fn is_bad_setting(output: &Output, parts: &[&str]) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), BAD_SETTING, "{message}");
    for part in parts {
        assert!(message.contains(part), "{part} is not in {message}");
    }
    assert!(output.stdout.is_empty());
}

#[tokio::test]
async fn an_unknown_variable_stops_the_start_and_is_named() {
    for command in ["serve", "check"] {
        let setup = Setup::new().variable("TICKETING_FOO", "1");
        is_bad_setting(&setup.output(command).await, &["TICKETING_FOO"]);
        let touched = std::fs::read_dir(setup.data().join("components")).is_ok_and(|mut files| files.next().is_some());
        assert!(!touched, "no component's database was made or changed");
    }
}

#[tokio::test]
async fn a_malformed_value_stops_the_start_and_its_setting_is_named() {
    let setup = Setup::new;
    for (setup, parts) in [
        (setup().variable("TICKETING_LISTEN", "somewhere"), &["TICKETING_LISTEN", "somewhere"][..]),
        (setup().flag("--set=orders.order-expiration-seconds=soon"), &["order-expiration-seconds"]),
        (setup().expiration_seconds(0), &["order-expiration-seconds"]),
        (
            setup().default_expiration().variable("TICKETING_ORDER_EXPIRATION_SECONDS", "x"),
            &["TICKETING_ORDER_EXPIRATION_SECONDS"],
        ),
        (setup().flag("--set=orders.unknown=1"), &["orders.unknown"]),
        (setup().flag("--set=nobody.key=1"), &["nobody.key"]),
        (setup().http("listen_on = 1"), &["listen_on"]),
        (setup().toml("[no-such-table]"), &["no-such-table"]),
        (setup().http("body_read_timeout_ms = \"x\""), &["body_read_timeout_ms"]),
        (setup().http("body_read_timeout_ms = 100000000"), &["body_read_timeout_ms"]),
        (setup().toml("= nonsense ="), &["ticketing.toml"]),
        (setup().variable("JWT_KEY", "short"), &["JWT_KEY"]),
        (setup().variable("TICKETING_LOG_FORMAT", "xml"), &["TICKETING_LOG_FORMAT"]),
        (setup().toml("[payments]\nprovider = \"stripe\""), &["payments.stripe.key", "set STRIPE_KEY"]),
    ] {
        is_bad_setting(&setup.output("check").await, parts);
        assert!(!setup.data().exists(), "a check leaves nothing behind");
    }
}

#[tokio::test]
async fn a_check_validates_and_serves_nothing() {
    let setup = Setup::new();
    let output = setup.output("check").await;
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("orders") && text.contains("valid"), "{text}");
    assert!(!setup.data().exists());
}

#[tokio::test]
async fn help_has_examples() {
    for arguments in [&["--help"][..], &["serve", "--help"], &["check", "--help"]] {
        let command =
            tokio::process::Command::new(env!("CARGO_BIN_EXE_ticketing")).env_clear().args(arguments).output();
        let output = command.await.unwrap();
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("Examples:") && text.contains("ticketing serve"), "{text}");
    }
}

#[tokio::test]
async fn flags_beat_the_environment_which_beats_the_file() {
    let setup = Setup::new().default_expiration().toml("[plugins.orders.config]\norder-expiration-seconds = 0");
    is_bad_setting(&setup.output("check").await, &["order-expiration-seconds"]);
    let setup = setup.variable("TICKETING_ORDER_EXPIRATION_SECONDS", "5");
    assert_eq!(setup.output("check").await.status.code(), Some(0));
    let setup = setup.variable("TICKETING_ORDER_EXPIRATION_SECONDS", "0").expiration_seconds(5);
    assert_eq!(setup.output("check").await.status.code(), Some(0));
}

#[tokio::test]
async fn a_host_that_is_told_to_stop_finishes_what_it_has_begun() {
    let mut host = Setup::new().start().await;
    let slow = SlowRequest::begin(&host).await;
    host.terminate().await;
    let connect = async || TcpStream::connect(host.address()).await.is_err();
    eventually("new connections are refused", connect, |refused| *refused).await;
    assert!(!host.has_ended(), "the host waits for the request");
    slow.finish().await;
    assert_eq!(host.ended().await.code(), Some(0));
    host.start_again().await;
    assert_eq!(host.visitor().all("/api/tickets").await.len(), 1, "the acknowledged ticket is there");
}

#[tokio::test]
async fn a_host_does_not_wait_for_ever_for_a_request_that_does_not_end() {
    let mut host = Setup::new().http("shutdown_drain_ms = 300").start().await;
    let _slow = SlowRequest::begin(&host).await;
    host.terminate().await;
    assert_eq!(host.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_damaged_compile_cache_is_built_again() {
    let mut host = Setup::new().private_cache().start().await;
    host.stop().await;
    let files: Vec<_> = fs::read_dir(host.setup.cache()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let files: Vec<_> = files.into_iter().filter(|path| path.is_file()).collect();
    assert!(files.len() >= 5, "{files:?}");
    for (number, path) in files.iter().enumerate() {
        let mut bytes = fs::read(path).unwrap();
        match number % 3 {
            0 => bytes.truncate(bytes.len() / 2),
            1 => bytes.clear(),
            _ => {
                let middle = bytes.len() / 2;
                bytes[middle] ^= 0xff;
            }
        }
        fs::write(path, bytes).unwrap();
    }
    host.start_again().await;
    let anna = host.user("anna").await;
    anna.sell("x", 1.0).await;
}
