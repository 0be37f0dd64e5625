//! Signals while a host starts.

use super::refusal;
use crate::support::{Setup, eventually};
use std::{
    fs::{self, File},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    time::{sleep, timeout},
};

/// SIGINT in the sets of signals in `/proc`.
const SIGINT_BIT: u64 = 1 << 1;

/// A host that starts, with its log in a file.
pub(super) struct Starting {
    child: Child,
    setup: Setup,
}

impl Starting {
    pub(super) fn begin(setup: &Setup) -> Self {
        let log = File::create(log_file(setup)).unwrap();
        let child = setup.command("serve").stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Self { child, setup: setup.clone() }
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(log_file(&self.setup)).unwrap()
    }

    pub(super) async fn says(&self, text: &str) {
        eventually(text, async || self.log(), |log| log.contains(text)).await;
    }

    /// Whether SIGINT has no effect. A shell makes the programs that it starts in the
    /// background ignore it, and a host does so until it watches for signals.
    fn ignores_interrupts(&self) -> bool {
        let id = self.child.id().expect("the host has not ended");
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
        u64::from_str_radix(ignored.trim(), 16).unwrap() & SIGINT_BIT != 0
    }

    /// Sends a signal and returns how the process ended, and after which time.
    pub(super) async fn end(mut self, signal: &str) -> (ExitStatus, Duration) {
        if signal == "-INT" {
            let ignores = async || self.ignores_interrupts();
            eventually("the host watches for signals", ignores, |ignores| !ignores).await;
        }
        let begun = Instant::now();
        let id = self.child.id().expect("the host has not ended").to_string();
        assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
        let ended = timeout(Duration::from_secs(60), self.child.wait()).await;
        let status = ended.unwrap_or_else(|_| panic!("{signal} has not ended the host: {}", self.log())).unwrap();
        (status, begun.elapsed())
    }
}

fn log_file(setup: &Setup) -> PathBuf {
    setup.data().with_file_name("log")
}

/// A server that accepts connections and never answers.
pub(super) async fn silent_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    port
}

#[tokio::test]
async fn a_database_that_never_answers_is_named_and_a_signal_ends_the_wait_at_once() {
    let port = silent_server().await;
    let url = format!("postgres://someone:a-secret-password@127.0.0.1:{port}/shop");
    for (signal, broker) in [("-TERM", false), ("-INT", true), ("-TERM", true)] {
        let mut setup = Setup::without_components().in_database(&url);
        if broker {
            setup = setup
                .variable("TICKETING_NATS_URL", "nats://127.0.0.1:1")
                .variable("JWT_KEY", "0123456789abcdefghijklmnopqrstuvwxyz");
        }
        let host = Starting::begin(&setup);
        host.says(&format!("waiting for the database at 127.0.0.1:{port}")).await;
        assert!(!host.log().contains("a-secret-password"), "{}", host.log());
        let (status, took) = host.end(signal).await;
        let log = fs::read_to_string(log_file(&setup)).unwrap();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(took < Duration::from_secs(3), "{took:?}");
        assert!(log.contains("a signal ends the host before it has started"), "{log}");
    }
}

#[tokio::test]
async fn a_start_can_be_ended_at_every_stage_and_leaves_nothing_half_done() {
    let setup = Setup::new();
    let mut slowest = Duration::ZERO;
    for round in 0..20_u64 {
        let host = Starting::begin(&setup);
        sleep(Duration::from_millis(round * round * 6)).await;
        // A program that a shell has started in the background ignores SIGINT until it
        // watches for it. Its first line in the log comes later.
        let watches = !host.log().is_empty();
        let (status, took) = host.end(if watches && round % 2 == 1 { "-INT" } else { "-TERM" }).await;
        // Before it watches for signals, the system ends the process.
        let is_killed = std::os::unix::process::ExitStatusExt::signal(&status).is_some();
        assert!(status.code() == Some(0) || is_killed, "round {round}: {status:?}");
        let log = fs::read_to_string(log_file(&setup)).unwrap();
        assert!(took < Duration::from_secs(6), "round {round} took {took:?}, {status:?}: {log}");
        slowest = slowest.max(took);
    }
    println!("the slowest end took {slowest:?}");
    let host = setup.start().await;
    let seller = host.user("seller").await;
    seller.sell("x", 10.0).await;
}

#[tokio::test]
async fn a_database_that_refuses_the_host_ends_the_start_with_the_reason() {
    let setup = Setup::without_components().in_database("postgres://someone:hidden@127.0.0.1:1/shop?sslmode=odd");
    let output = setup.output("serve").await;
    let line = refusal(&output);
    assert!(line.contains("store.database_url") || line.contains("TICKETING_DATABASE_URL"), "{line}");
    assert!(!line.contains("hidden"), "{line}");
}
