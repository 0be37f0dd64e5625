//! Log lines that look like those of the host, and floods of them.

use super::{attacked, good_setup};
use crate::support::eventually;
use host_base::printable::is_plain;
use serde_json::json;

const FORGED: &str = "2030-01-01T00:00:00.000000Z  INFO request: id=\"forged\"";

#[tokio::test]
async fn no_component_and_no_visitor_writes_a_line_of_its_own_making() {
    let host = attacked(good_setup()).await;
    let visitor = host.visitor();
    let breaks = ["\n", "\r", "\r\n", "\u{85}", "\u{2028}", "\u{2029}", "\u{b}", "\u{c}", "\x1b[2K\x1b[1G", "\u{9b}2K"];
    for text in breaks {
        assert_eq!(visitor.scripted(json!({ "log": format!("x{text}{FORGED}") })).await.status, 200);
    }
    assert_eq!(
        visitor.scripted(json!({ "log": format!("\u{202e}{FORGED}\u{2066}\u{200b}\u{feff}\u{e0041}") })).await.status,
        200
    );
    visitor.get("/hostile/none%0A2030-01-01?a=%0A").await;
    visitor.with_header("x-request-id", "forged%0a").get("/hello").await;
    let seen = async || host.log().matches(FORGED).count();
    eventually("all lines are written", seen, |count| *count > breaks.len()).await;
    let log = host.log();
    assert!(log.lines().all(is_plain), "{log}");
    assert!(!log.lines().any(|line| line.starts_with("2030") || line.starts_with("x")), "{log}");
    assert!(log.contains("x\\n2030-01-01"), "{log}");
}

#[tokio::test]
async fn a_flood_of_lines_is_cut_counted_and_told_for_each_plugin() {
    let host = attacked(good_setup().toml("[log]\nplugin_kib_per_second = 16\nplugin_burst_kib = 64\n")).await;
    let visitor = host.visitor();
    let flood = json!({ "log": "flood ".repeat(1_000), "lines": 150 });
    for _ in 0..10 {
        assert_eq!(visitor.scripted(flood.clone()).await.status, 200);
    }
    visitor.get("/hostile/trap").await;
    let dropped = host.counted("plugin_log_lines_dropped_total", "hostile").await;
    assert!(dropped > 500.0, "{dropped}");
    let told = "the component logs too much, lines of it were dropped component=\"hostile\" lines=";
    eventually("the host tells how many", async || host.log(), |log| log.contains(told)).await;
    let bytes = host.log().len();
    assert!(bytes < 1 << 20, "{bytes} bytes of a flood of 9 MB");
}
