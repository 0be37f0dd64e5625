//! The attacks as requests. The tests below `adversary` in `host/tests/it` check
//! the answer to each; here only their cost for others counts.

use anyhow::Result;
use serde_json::{Value, json};

use crate::client::request;
use crate::operator::PluginFile;

/// One kind of attack.
pub(crate) struct Attack {
    pub(crate) what: &'static str,
    /// They happen at the same time.
    pub(crate) acts: Vec<Act>,
}

pub(crate) enum Act {
    /// Clients that each send all requests again and again.
    Requests { clients: usize, requests: Vec<Vec<u8>> },
    /// Clients that send a request and read no answer.
    Deaf { clients: usize, request: Vec<u8> },
    /// A holder of the author's token, who does these steps again and again.
    Operator(Vec<Step>),
}

#[derive(Clone)]
pub(crate) enum Step {
    Upload(PluginFile),
    Call(&'static str, String, String),
}

/// All attacks.
pub(crate) fn attacks() -> Result<Vec<Attack>> {
    let one = |what, act| Attack { what, acts: vec![act] };
    Ok(vec![
        one("files and calls that want the rights of others", Act::Operator(rights()?)),
        one("components that cost the compiler much", Act::Operator(bombs()?)),
        one("headers for the whole origin", answers(16, &origin_headers())),
        one("a large parameter, returned often", statements(16, &large_results())),
        one("texts that take long to compare", statements(16, &long_comparisons())),
        one("statements that are slow to parse", statements(64, &slow_to_parse())),
        one("calls that compute without an end", get(64, "/hostile/loop")),
        one("more calls than the host has turns", get(600, "/hostile/slow?ms=2500")),
        one("a database that grows to its quota", statements(8, &growth())),
        one("events that are refused, and the list of them", Act::Requests { clients: 14, requests: events() })
            .with(Act::Operator(vec![call("GET", "/dead-letters?limit=1000", &Value::Null)])),
        Attack { what: "large answers that nobody reads", acts: deaf() },
        one(
            "log lines with line breaks",
            answers(8, &json!({ "log": "a\nERROR forged\r\u{1b}[2J".repeat(40), "lines": 500 })),
        ),
    ])
}

impl Attack {
    fn with(mut self, act: Act) -> Self {
        self.acts.push(act);
        self
    }
}

fn post(path: &str, body: &Value) -> Vec<u8> {
    request("POST", path, None, Some(&body.to_string()))
}

fn get(clients: usize, path: &str) -> Act {
    Act::Requests { clients, requests: vec![request("GET", path, None, None)] }
}

fn answers(clients: usize, script: &Value) -> Act {
    Act::Requests { clients, requests: vec![post("/hostile/answer", &json!({ "script": script }))] }
}

fn statements(clients: usize, statements: &[(&str, String, &str)]) -> Act {
    let body = |(call, statement, fill): &(&str, String, &str)| {
        post("/hostile/sql", &json!({ "call": call, "statement": statement, "fill": fill }))
    };
    Act::Requests { clients, requests: statements.iter().map(body).collect() }
}

fn call(method: &'static str, path: &str, body: &Value) -> Step {
    Step::Call(method, path.to_owned(), if body.is_null() { String::new() } else { body.to_string() })
}

/// Uploads that ask for subjects and paths of others, and calls that only an
/// administrator may make.
fn rights() -> Result<Vec<Step>> {
    let file = PluginFile::guest("hostile")?;
    let subjects = file.with("publishes = [", "publishes = [\"payment.created\", ")?;
    let heard = file.with("subscribes = [", "subscribes = [\"order.created\", ")?;
    let paths = file.with("path = \"/hostile/moods\"", "path = \"/{*all}\"")?;
    Ok(vec![
        Step::Upload(subjects),
        Step::Upload(heard),
        Step::Upload(paths),
        call("PUT", "/plugins/hostile/limits", &json!({ "concurrency": 1_000, "memory_mib": 512 })),
        call("PUT", "/plugins/hostile/policy", &json!({ "policy": { "grants": ["identity", "payments"] } })),
        call("POST", "/plugins/hostile/rollback", &Value::Null),
        call("POST", "/plugins/tickets/pause", &Value::Null),
    ])
}

/// Components with few bytes and much work for the compiler: each local variable
/// lives through all nested loops.
fn bombs() -> Result<Vec<Step>> {
    let bomb = |locals: usize, loops: usize| {
        let work: String = (0..locals)
            .map(|local| format!("(local.set {local} (i64.add (local.get {local}) (i64.const 1)))"))
            .collect();
        let text = format!(
            "(component (core module (func (export \"f\") (local {}) {} {work} {})))",
            "i64 ".repeat(locals),
            "(loop ".repeat(loops),
            "(br_if 0 (i64.eqz (local.get 0))))".repeat(loops)
        );
        let manifest = format!("name = \"hostile\"\nversion = \"2.{locals}.{loops}\"\n");
        Ok(Step::Upload(PluginFile { component: wat::parse_str(text)?, manifest }))
    };
    [(2_000, 900), (300, 4_000), (1_000, 1_000)].into_iter().map(|(locals, loops)| bomb(locals, loops)).collect()
}

fn origin_headers() -> Value {
    json!({
        "headers": [["set-cookie", "session=stolen"], ["clear-site-data", "\"*\""], ["strict-transport-security", "max-age=1"]],
        "more_headers": 30_000,
    })
}

fn large_results() -> Vec<(&'static str, String, &'static str)> {
    let often = vec!["$1"; 400].join(", ");
    vec![("query", format!("SELECT {often}"), "x*8000000"), ("query", format!("SELECT {often}"), "x*1900000")]
}

fn long_comparisons() -> Vec<(&'static str, String, &'static str)> {
    vec![
        ("query", "SELECT $1 LIKE $2".to_owned(), "a*4000000 %a*20000"),
        ("query", "SELECT length(replace($1, $2, $3))".to_owned(), "a*2000000 ab*500000 c*1000000"),
        ("transaction", "UPDATE treasure SET note = ltrim($1, $2)".to_owned(), "a*2000000 ab*900000"),
        ("query", "SELECT count(*) FROM treasure WHERE note LIKE $1".to_owned(), "%a*20000"),
    ]
}

fn slow_to_parse() -> Vec<(&'static str, String, &'static str)> {
    // No text is the same as another one, so none is known already.
    let text = |number: usize| match number % 3 {
        0 => format!("SELECT {number}, {}", vec!["1"; 4_900].join(",")),
        1 => format!("SELECT {number}{}", "/**/".repeat(16_000)),
        _ => format!("SELECT {number}, {}", vec!["CASE WHEN a THEN b ELSE c END"; 1_200].join(",")),
    };
    (0..64).map(|number| ("query", text(number), "")).collect()
}

fn growth() -> Vec<(&'static str, String, &'static str)> {
    let row = |number: usize| {
        let statement = format!("INSERT INTO treasure (id, note) VALUES ('{number}', $1)");
        ("transaction", statement, "x*1900000")
    };
    let mut all: Vec<_> = (0..500).map(row).collect();
    all.push(("transaction", "DELETE FROM treasure WHERE id <> 'crown'".to_owned(), ""));
    all
}

fn events() -> Vec<Vec<u8>> {
    let event = |number: usize| {
        let id = format!("{number}-{}", "x".repeat(3_500));
        post("/hostile/publish", &json!({ "subject": "hostile.event", "id": id, "mood": "reject" }))
    };
    (0..50).map(event).collect()
}

fn deaf() -> Vec<Act> {
    let scripts = [
        json!({ "more_headers": 120, "value_bytes": 1 << 20 }),
        json!({ "more_headers": 60, "value_bytes": 1_000 }),
        json!({ "body_bytes": 8 << 20 }),
    ];
    scripts
        .iter()
        .map(|script| Act::Deaf { clients: 60, request: post("/hostile/answer", &json!({ "script": script })) })
        .collect()
}
