//! `ticketing plugin test`: what a test sees, and how it ends whatever the plugin and the
//! file do.

use super::{Ended, Shell};
use crate::support::{PluginFile, eventually, files_below, guest};
use serde_json::Value;
use std::{fs, path::Path, process::Stdio};
use tokio::process::Command;

/// A shell in a folder with a plugin file and tests.
fn folder(plugin: &[u8], tests: &[(&str, &str)]) -> Shell {
    let shell = Shell::new();
    shell.write("plugin.wasm", plugin);
    for (name, text) in tests {
        shell.write(&format!("tests/{name}.toml"), text);
    }
    shell
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(guest(name)).unwrap()
}

/// Plays the tests in the folder.
async fn play(shell: &Shell) -> Ended {
    shell.plugin("test --file plugin.wasm").await
}

/// Plays one test that fails. Returns what the command prints.
async fn failing(plugin: &[u8], test: &str) -> String {
    let ended = play(&folder(plugin, &[("one", test)])).await;
    ended.fails(1, "1 of 1 test failed");
    assert!(ended.stdout.starts_with("failed  "), "{}", ended.stdout);
    ended.stdout
}

#[tokio::test]
async fn a_test_sees_answers_events_timers_rows_settings_and_its_own_clock() {
    let sees = r#"
        time = 2026-01-31T12:00:00Z
        settings.colour = "blue"

        [[step]]
        request = "GET /chameleon"
        answer = { status = 200, headers = { content-type = "application/json" }, json = { colour = "blue" } }
        events = []

        [[step]]
        request = "POST /chameleon?causes=2"
        json = { id = "a" }
        answer = { status = 201, json.colour = "${colour}" }
        events = [
            { subject = "chameleon.event", json = { id = "event a", causes = 2 } },
            { subject = "chameleon.event", json = { id = "${any}", causes = 1 } },
            { subject = "chameleon.event" },
        ]

        [[step]]
        query = "SELECT id, colour, begun_ms FROM applied WHERE id <> 'event a+' ORDER BY id"
        rows = [
            ["event a", "${colour}", 1769860800000],
            ["event a++", "blue", 1769860800000],
            ["timer a", "blue", 1769860800000],
        ]
    "#;
    let shares_nothing = r#"
        [[step]]
        query = "SELECT count(*) FROM applied"
        rows = [[0]]
        [[step]]
        event = "chameleon.event"
        from = "another"
        json = { id = "b" }
        events = []
        [[step]]
        query = "SELECT id, colour FROM applied"
        rows = [["b", "green"]]
    "#;
    let shell = folder(&bytes("chameleon"), &[("first", sees), ("second", shares_nothing)]);
    let ended = play(&shell).await;
    let lines: Vec<_> = ended.done().lines().collect();
    assert!(lines[0].starts_with("ok      tests/first.toml  ") && lines[1].contains("second.toml"), "{lines:?}");
    assert_eq!(lines[2..], ["2 tests passed"]);
    let one = shell.plugin("test --file plugin.wasm --only sec --json").await.json();
    assert_eq!((&one["test"], &one["passed"], &one["steps"]), (&"tests/second.toml".into(), &true.into(), &3.into()));
}

#[tokio::test]
async fn a_visitor_is_signed_in_for_one_request() {
    let test = r#"
        [[step]]
        request = "GET /hostile/principal"
        visitor = { id = "u1", email = "anna@example.com" }
        answer.json = { id = "u1" }
        [[step]]
        request = "GET /hostile/principal"
        answer.json = { id = "${null}" }
    "#;
    play(&folder(&bytes("hostile"), &[("one", test)])).await.done();
}

#[tokio::test]
async fn a_failed_call_is_told_with_its_cause_and_its_log() {
    let trap = failing(&bytes("hostile"), "[[step]]\nrequest = 'GET /hostile/panic'\nanswer.status = 200").await;
    assert!(trap.contains("\n  step 1, line 1: GET /hostile/panic\n    answer.status:  - expected, + got\n"), "{trap}");
    assert!(trap.contains("\n      - 200\n      + 500\n"), "{trap}");
    assert!(trap.contains("\n    failed call: GET /hostile/{attack}: hostile trapped: "), "{trap}");
    assert!(trap.contains("asked to, by GET") && trap.contains("attacks.rs"), "the place of the panic: {trap}");
    let endless = failing(&bytes("hostile"), "[[step]]\nrequest = 'GET /hostile/loop'").await;
    assert!(endless.contains("      - below 400\n      + 504\n"), "the limit of the plugin ends the step: {endless}");
}

#[tokio::test]
async fn dead_letters_are_failures_unless_the_test_expects_their_reason() {
    let event = "[[step]]\nevent = 'hostile.event'\njson = { id = 'a', mood = 'bad' }\n";
    let unexpected = failing(&bytes("hostile"), event).await;
    assert!(unexpected.contains("      + event hostile.event: in a bad mood\n"), "{unexpected}");
    let trapping = event.replace("'bad'", "'trap'");
    let expected = format!(
        "{event}refused = 'bad mood'\n{trapping}refused = 'given up after 3 attempts'\n\
         [[step]]\nrequest = 'POST /hostile/timers'\njson = {{ key = 'k', id = 'b', mood = 'bad' }}\nrefused = 'bad'\n\
         [[step]]\nquery = 'SELECT count(*) FROM applied'\nrows = [[0]]"
    );
    play(&folder(&bytes("hostile"), &[("one", &expected)])).await.done();
}

#[tokio::test]
async fn an_event_or_timer_that_the_plugin_puts_off_waits_for_the_clock() {
    let test = r#"
        [[step]]
        event = "hostile.event"
        json = { id = "soon", mood = "retry" }
        refused = "given up after 3 attempts"
        [[step]]
        event = "hostile.event"
        json = { id = "later", mood = "later" }
        [[step]]
        request = "POST /hostile/timers"
        json = { key = "k", id = "timer", mood = "later" }
        [[step]]
        advance = "59m"
        [[step]]
        query = "SELECT id, times FROM applied ORDER BY id"
        rows = []
        [[step]]
        advance = "1m"
        [[step]]
        query = "SELECT id, times FROM applied ORDER BY id"
        rows = [["later", 1], ["timer", 1]]
    "#;
    play(&folder(&bytes("hostile"), &[("one", test)])).await.done();
}

#[tokio::test]
async fn schedules_and_timers_follow_the_clock_of_the_test() {
    let hourly = r#"
        time = 2026-01-31T12:00:00Z
        [[step]]
        request = "POST /whole/save?hourly"
        events = [{ subject = "whole.saved", body = "hourly" }]
        [[step]]
        request = "GET /whole/rows"
        answer.body = "hourly 1 1"
        [[step]]
        advance = "25h"
        [[step]]
        request = "GET /whole/rows"
        answer.body = "hourly 1 26"
    "#;
    play(&folder(&bytes("whole"), &[("hourly", hourly)])).await.done();

    let monthly = PluginFile::read(&guest("whole")).with("0 * * * *", "0 3 1 * *").bytes();
    let month = r#"
        time = "2026-01-31T12:00:00Z"
        [[step]]
        request = "POST /whole/remind?hourly"
        [[step]]
        advance = "13h"
        [[step]]
        request = "GET /whole/rows"
        answer.body = "hourly 1 0"
        [[step]]
        # Three o'clock in Berlin.
        advance = "1h"
        [[step]]
        request = "GET /whole/rows"
        answer.body = "hourly 1 1"
        [[step]]
        advance = "30days"
        [[step]]
        query = "SELECT text, heard, rung FROM texts"
        rows = [["hourly", 1, 3]]
    "#;
    play(&folder(&monthly, &[("month", month)])).await.done();
}

/// A host that serves must follow its reference.
#[test]
fn only_the_host_of_a_test_moves_the_clock() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_source = |path: &Path| path.extension().is_some_and(|end| end == "rs") && !path.ends_with("clock_script.rs");
    let mut found: Vec<_> = files_below(host).into_iter().filter(|path| is_source(path)).collect();
    found.retain(|path| fs::read_to_string(path).unwrap().contains(concat!("ClockScript", "::begin")));
    assert_eq!(found, [host.join("src/host/rehearsal.rs")]);
}

#[tokio::test]
async fn work_without_an_end_ends_the_step_and_says_what_waits() {
    let test = "wait = '1s'\n[[step]]\nrequest = 'POST /chameleon?causes=1000000'\njson = { id = 'a' }";
    let ended = failing(&bytes("chameleon"), test).await;
    assert!(ended.contains("the plugin still has work after 1s: "), "{ended}");
    assert!(ended.contains("chameleon.event") || ended.contains("outbox"), "{ended}");
}

#[tokio::test]
async fn a_wrong_test_is_told_and_the_others_are_played() {
    let step = "[[step]]\nrequest = 'GET /chameleon'\n";
    let shell = folder(
        &bytes("chameleon"),
        &[
            ("a-key", "[[step]]\nrequest = 'GET /chameleon'\nanser = {}"),
            ("b-syntax", "[[step]\n"),
            ("c-setting", &format!("settings.color = 'red'\n{step}")),
            ("d-sql", "[[step]]\nquery = 'SELECT nothing FROM nowhere'\nrows = []"),
            ("e-write", "[[step]]\nquery = \"DELETE FROM applied RETURNING id\"\nrows = []"),
            ("f-subject", "[[step]]\nevent = 'other.event'"),
            ("g-name", "[[step]]\nrequest = 'GET /${id}'"),
            ("h-start", &format!("settings.mood = 'sick'\n{step}")),
            ("z-right", step),
        ],
    );
    let ended = play(&shell).await;
    ended.fails(1, "8 of 9 tests failed");
    let blocks: Vec<&str> = ended.stdout.split("\nfailed  ").collect();
    let told = [
        "line 3: unknown field `anser`",
        "line 1: ",
        "settings.color: chameleon declares no such setting; it has colour, mood",
        "the query failed: ",
        "the query failed: ",
        "the plugin does not subscribe to other.event",
        "no earlier step has found ${id}",
        "the plugin does not start: ",
    ];
    for (block, told) in blocks.iter().zip(told) {
        assert!(block.contains(told), "{told}: {block}");
    }
    assert!(ended.stdout.contains("\nok      tests/z-right.toml"), "{}", ended.stdout);
}

#[tokio::test]
async fn a_folder_without_a_test_gets_a_hint() {
    let shell = Shell::new();
    shell.write("plugin.wasm", bytes("hello"));
    play(&shell).await.fails(2, "tests has no test: write tests/first.toml with a [[step]]");
    shell.write("tests/one.toml", "");
    shell.plugin("test --file plugin.wasm --only two").await.fails(2, "no test in tests has two in its name");
    shell.plugin("test").await.fails(2, "has no plugin.toml");
    shell.plugin("test --file absent.wasm").await.fails(1, "absent.wasm");
    shell.write("host.toml", "[engin]");
    let ended = play(&shell).await;
    ended.fails(1, "1 of 1 test failed");
    assert!(ended.stdout.contains("it has no step"), "{}", ended.stdout);
    shell.write("tests/one.toml", "[[step]]\nadvance = '1s'");
    let ended = play(&shell).await;
    assert!(ended.stdout.contains("host.toml line 1"), "{}", ended.stdout);
}

#[tokio::test]
async fn an_interrupted_test_leaves_no_folder_behind() {
    let test = "wait = '1h'\n[[step]]\nrequest = 'POST /chameleon?causes=1000000'\njson = { id = 'a' }";
    let shell = folder(&bytes("chameleon"), &[("one", test)]);
    let places = shell.path("places");
    fs::create_dir(&places).unwrap();
    let left = || fs::read_dir(&places).unwrap().count();
    for signal in ["-INT", "-TERM"] {
        let mut command = shell.command("test --file plugin.wasm");
        let child = command.env("TMPDIR", &places).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let has_data = async || {
            let folders = fs::read_dir(&places).unwrap().flatten();
            folders.filter(|folder| folder.path().join("0/components/chameleon.db").exists()).count()
        };
        eventually("the plugin runs", has_data, |count| *count == 1).await;
        let id = child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
        Ended::of(&child.wait_with_output().await.unwrap()).fails(1, "a signal has ended the tests");
        assert_eq!(left(), 0, "{signal}");
    }
}

#[tokio::test]
async fn the_code_of_a_plugin_is_compiled_once_for_all_runs() {
    let shell = folder(&bytes("hello"), &[("one", "[[step]]\nadvance = '1s'")]);
    play(&shell).await.done();
    let cache = || -> Vec<_> {
        let files = fs::read_dir(shell.path(".cache/ticketing")).unwrap().flatten();
        files.map(|file| (file.file_name(), file.metadata().unwrap().modified().unwrap())).collect()
    };
    let compiled = cache();
    assert_eq!(compiled.len(), 1, "{compiled:?}");
    play(&shell).await.done();
    assert_eq!(cache(), compiled);
    let json = shell.plugin("test --file plugin.wasm --json").await.json();
    assert_eq!(json["passed"], Value::Bool(true));
}
