//! A component with statements that would take long or much memory. Each ends in
//! time, holds no more than its budget, and delays nobody else.

use crate::{
    hostile::hostile,
    support::{Client, Host, Setup, on_postgres},
};
use serde_json::{Value, json};
use std::{
    fs,
    time::{Duration, Instant},
};

/// The limit of a transaction of the hostile component, and one second.
const LIMIT: Duration = Duration::from_millis(1_400);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(2);
/// The most memory that an attack may add.
const MEMORY_MIB: u64 = 900;

fn roomy() -> Setup {
    hostile().toml("[plugins.hostile.limits]\nmemory_mib = 128\nconcurrency = 64\nqueue = 512\nwall_time_ms = 6000")
}

async fn run(client: &Client, call: &str, statement: &str, fill: &str) -> (Duration, Value) {
    let begun = Instant::now();
    let body = json!({ "call": call, "statement": statement, "fill": fill });
    let reply = client.post("/hostile/sql", body).await;
    let took = begun.elapsed();
    match reply.status {
        200 => (took, reply.json()),
        status => (took, json!({ "status": status })),
    }
}

fn kind(answer: &Value) -> &str {
    answer["error"]["kind"].as_str().unwrap_or_default()
}

/// The resident memory of the host in MiB: now, and the most so far.
fn memory(host: &Host) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{}/status", host.id())).unwrap();
    let kib = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    (kib("VmRSS:") / 1_024, kib("VmHWM:") / 1_024)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_outlives_its_limit_whatever_functions_it_calls() {
    let mut host = roomy().start().await;
    let attacker = host.visitor();
    let long = [("wide", "a*1000000"), ("needle", "a*900000")];
    for (id, fill) in long {
        let insert = format!("INSERT INTO treasure (id, note) VALUES ('{id}', $1)");
        assert_eq!(run(&attacker, "execute", &insert, fill).await.1, json!({ "result": 1 }));
    }
    let joined = "FROM treasure a JOIN treasure b ON a.id = 'wide' AND b.id = 'needle'";
    for (statement, fill) in [
        ("SELECT $1 LIKE $2".to_owned(), "a*4000000 %a*20000"),
        ("SELECT $1 LIKE $2".to_owned(), "a*1000000 %a*20000"),
        (format!("SELECT a.note LIKE b.note {joined}"), ""),
        (format!("SELECT a.note LIKE '%' || b.note || '%b' {joined}"), ""),
        (format!("SELECT length(replace(a.note, b.note, '')) {joined}"), ""),
        (format!("SELECT length(replace(a.note, 'a', b.note)) {joined}"), ""),
        (format!("SELECT length(ltrim(a.note, b.note)), length(rtrim(a.note, b.note)) {joined}"), ""),
        ("SELECT length(replace($1, $2, $3))".to_owned(), "a*2000000 ab*500000 c*1000000"),
        ("SELECT length(ltrim($1, $2))".to_owned(), "a*2000000 ab*900000"),
        (format!("SELECT {}", vec!["length(lower(upper($1)))"; 2_000].join(", ")), "a*2000000"),
        (format!("SELECT {} {joined}", vec!["length(lower(a.note))"; 500].join(", ")), ""),
        (
            "SELECT length(string_agg(a.note, b.note)) FROM treasure a, treasure b, treasure c, treasure d".to_owned(),
            "",
        ),
        (format!("SELECT {}", vec!["1e300"; 250].join(" * ")), ""),
        (
            "SELECT count(*) FROM treasure a, treasure b, treasure c, treasure d, treasure e, treasure f, treasure g \
          WHERE a.note || b.note LIKE c.note OR d.note || e.note = f.note || g.note"
                .to_owned(),
            "",
        ),
    ] {
        for call in ["query", "transaction"] {
            let (took, answer) = run(&attacker, call, &statement, fill).await;
            assert!(took < LIMIT + SLACK, "{call} {}: {took:?}, {answer}", &statement[..60.min(statement.len())]);
        }
        attacker.says_hello().await;
    }
    let changes = "UPDATE treasure SET note = replace(note, 'a', 'aa') WHERE note LIKE $1";
    run(&attacker, "transaction", changes, "%a*300").await;
    // The write lock is free soon, and nothing keeps the host from ending.
    let (took, answer) = run(&attacker, "execute", "UPDATE treasure SET note = 'gold' WHERE id = 'wide'", "").await;
    assert!(took < LIMIT + SLACK && answer == json!({ "result": 1 }), "{took:?}: {answer}");
    if on_postgres() {
        let sessions = host.database("components/hostile.db").await;
        let active = "SELECT left(query, 200) FROM pg_stat_activity WHERE usename LIKE 'ticketing%hostile' \
         AND datname = current_database() AND state = 'active'";
        let active: Vec<(String,)> = sessions.rows(active).await;
        assert!(active.is_empty(), "a statement goes on in PostgreSQL: {active:?}");
    }
    let begun = Instant::now();
    host.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_and_parameters_are_counted_before_they_are_held() {
    let host = roomy().start().await;
    let attacker = host.visitor();
    attacker.says_hello().await;
    for number in 0..12 {
        let insert = format!("INSERT INTO treasure (id, note) VALUES ('large-{number}', $1)");
        assert_eq!(run(&attacker, "execute", &insert, "a*1900000").await.1, json!({ "result": 1 }));
    }
    let (idle, _) = memory(&host);
    let often = |what: &str, times: usize| vec![what; times].join(", ");
    for (statement, fill) in [
        (format!("SELECT {}", often("$1", 400)), "x*8000000"),
        (format!("SELECT {}", often("$1", 400)), "x*1900000"),
        (format!("SELECT {}", often("$1", 16)), "x*1900000"),
        (format!("SELECT {} FROM treasure", often("note", 400)), ""),
        (format!("SELECT {} FROM treasure", often("*", 100)), ""),
        (format!("SELECT {}", often("a.note, b.note", 3)) + " FROM treasure a, treasure b, treasure c, treasure d", ""),
        ("SELECT a.*, b.*, c.*, d.* FROM treasure a, treasure b, treasure c, treasure d".to_owned(), ""),
        (format!("UPDATE treasure SET id = id RETURNING {}", often("note", 100)), ""),
        ("SELECT note FROM treasure".to_owned(), ""),
    ] {
        let calls = (0..16).map(|_| run(&attacker, "query", &statement, fill));
        for (_, answer) in futures::future::join_all(calls).await {
            let refused = ["limit", "invalid", "timeout"].contains(&kind(&answer)) || answer["status"] == 503;
            assert!(refused || answer["status"] == 500, "{}: {answer}", &statement[..60.min(statement.len())]);
        }
        attacker.says_hello().await;
    }
    let (_, most) = memory(&host);
    assert!(most < idle + MEMORY_MIB, "from {idle} to {most} MiB");
    let (_, answer) = run(&attacker, "query", "SELECT id FROM treasure WHERE id = 'crown'", "").await;
    assert_eq!(answer, json!({ "result": [["crown"]] }), "the budget is free again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statements_that_are_slow_to_parse_delay_nobody_else() {
    let host = roomy().start().await;
    let attacker = host.visitor();
    let flood = async {
        let statement = |client: usize, round: usize| match round % 5 {
            0 => format!("SELECT {client}{round}, {}", vec!["1"; 4_900].join(",")),
            1 => format!("SELECT {client}{round}{}", "/**/".repeat(16_000)),
            2 => format!("SELECT {client}{round} WHERE 1 IN ({})", vec!["(1)"; 2_500].join(",")),
            3 => format!("SELECT {client}{round}, {}1{}", "(".repeat(30), ")".repeat(30)),
            _ => format!("SELECT {client}{round}, {}", vec!["CASE WHEN a THEN b ELSE c END"; 1_200].join(",")),
        };
        let clients = (0..64).map(|client| {
            let attacker = host.visitor();
            async move {
                for round in 0..5 {
                    run(&attacker, "query", &statement(client, round), "").await;
                }
            }
        });
        futures::future::join_all(clients).await;
    };
    let mut slowest = Duration::ZERO;
    let measure = async {
        loop {
            let begun = Instant::now();
            attacker.says_hello().await;
            slowest = slowest.max(begun.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = flood => {}
        () = measure => {}
    }
    assert!(slowest < Duration::from_secs(6), "{slowest:?}");
}
