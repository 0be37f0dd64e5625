//! `failures`: the calls of a plugin that failed last.

use super::{
    client::Client,
    failure::Failure,
    output::{Output, ago},
};
use clap::Args;
use host_api::figures::FailureView;
use host_base::printable::printable;
use serde::Deserialize;
use std::fmt::{self, Display, Formatter};

/// Shows the last failed calls of a plugin, with the request and the trace of each.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin failures hello
  ticketing plugin failures hello --json | jq -r '.[0].message'")]
pub(super) struct Failures {
    /// The plugin's name
    name: String,
}

/// Failures, the newest first.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct FailureList(Vec<FailureView>);

impl Failures {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        output.answer::<FailureList>(&client.get(&["plugins", &self.name, "failures"]).await?)
    }
}

impl Display for FailureList {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no call has failed since this host loaded the plugin");
        }
        let blocks: Vec<_> = self.0.iter().map(block).collect();
        f.write_str(&blocks.join("\n"))
    }
}

/// A failure in a few lines.
fn block(failure: &FailureView) -> String {
    let FailureView { time_ms, revision, call, kind, blame, message, id, trace } = failure;
    let mut lines = vec![
        format!("{}  {call}  {kind}, to blame: {blame}", ago(*time_ms)),
        format!("  {message}"),
        format!("  revision {revision}"),
    ];
    if !id.is_empty() {
        lines.push(format!("  id {id}"));
    }
    if let Some(trace) = trace {
        lines.push(format!("  trace {trace}"));
    }
    lines.iter().map(|line| printable(line)).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(text: &str) -> FailureView {
        let text = || text.to_owned();
        FailureView {
            time_ms: 0,
            revision: text(),
            call: text(),
            kind: text(),
            blame: text(),
            message: text(),
            id: text(),
            trace: Some(text()),
        }
    }

    #[test]
    fn a_failure_tells_its_call_its_cause_and_its_trace() {
        let trap = FailureView {
            revision: "1.0.0-a".to_owned(),
            call: "GET /hello".to_owned(),
            kind: "trap".to_owned(),
            blame: "guest".to_owned(),
            message: "hello trapped: unreachable".to_owned(),
            id: "r-1".to_owned(),
            trace: Some("0af7".to_owned()),
            ..failure("")
        };
        let timer = FailureView { id: String::new(), trace: None, ..trap.clone() };
        let text = FailureList(vec![trap, timer]).to_string();
        let (first, rest) = text.split_once('\n').unwrap();
        assert!(first.ends_with("days ago  GET /hello  trap, to blame: guest"), "{first}");
        let expected = "  hello trapped: unreachable\n  revision 1.0.0-a\n  id r-1\n  trace 0af7\n";
        assert!(rest.starts_with(expected) && text.lines().count() == 8, "{rest}");
        assert!(FailureList(Vec::new()).to_string().starts_with("no call has failed"));
    }

    #[test]
    fn a_hostile_failure_moves_no_cursor_and_forges_no_line() {
        for text in ["\u{1b}[2J", "a\nb", "\r", "\u{9b}31m", "\u{202e}", "\u{7f}\u{0}", "\u{2028}"] {
            let shown = FailureList(vec![failure(text)]).to_string();
            assert!(shown.lines().count() == 5 && shown.lines().all(host_base::printable::is_plain), "{shown:?}");
        }
    }
}
