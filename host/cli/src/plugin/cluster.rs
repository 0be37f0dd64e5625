//! `ticketing cluster`: the hosts that share a database.

use super::{
    client::Client,
    failure::Failure,
    of_host::AsksHost,
    output::{Output, span, table, text_of},
};
use clap::Args;
use host_api::{
    Word,
    cluster::{ClusterView, Member, RunningPlugin},
};
use serde::Deserialize;
use std::fmt::{self, Display, Formatter};

/// Lists the hosts that share a database, what each runs otherwise than the first one, and the work that waits.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing cluster
  ticketing cluster --json | jq -r '.hosts[] | select(.status != \"ready\") | .name'")]
pub struct Cluster {}

#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct ClusterText(ClusterView);

impl AsksHost for Cluster {
    async fn ask(self, client: &Client, output: Output) -> Result<(), Failure> {
        output.answer::<ClusterText>(&client.get(&["cluster"]).await?)
    }
}

impl Display for ClusterText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let ClusterView { this, hosts, lag } = &self.0;
        let mut members = table(&["HOST", "STATUS", "VERSION", "SEEN", "PLUGINS", ""]);
        for host in hosts {
            let answers = if host.id == *this { "answers you" } else { "" };
            members.add_row([
                host.name.clone(),
                Word::Known(host.status).to_string(),
                host.version.clone(),
                format!("{} ago", span(u64::try_from(host.seen_ms_ago).unwrap_or(0))),
                host.plugins.len().to_string(),
                answers.to_owned(),
            ]);
        }
        f.write_str(&text_of(&members))?;
        for text in hosts.iter().flat_map(differences) {
            write!(f, "\n{text}")?;
        }
        for (plugin, lag) in lag.iter().filter(|(_, lag)| lag.outbox_ms > 0 || lag.timers_ms > 0) {
            let (outbox, timers) = (span(lag.outbox_ms), span(lag.timers_ms));
            write!(f, "\n{plugin}: its oldest event waits for {outbox}, its most overdue timer for {timers}")?;
        }
        Ok(())
    }
}

/// The plugins of a host that are not as the hosts decided.
fn differences(host: &Member) -> Vec<String> {
    let text = |(name, plugin): (&String, &RunningPlugin)| {
        let reason = match (&plugin.behind, &plugin.instead_of) {
            (Some(reason), _) => format!("is behind: {reason}"),
            (None, Some(decided)) => format!("runs {} of its own program, not {decided}", plugin.serving.revision),
            (None, None) => return None,
        };
        Some(format!("{}: {name} {reason}", host.name))
    };
    host.plugins.iter().filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_listed_with_what_is_wrong() {
        let host = |id: &str, name: &str, status: &str, plugins: &str| {
            format!(
                r#"{{"id":"{id}","name":"{name}","version":"0.1.0","started_ms":1,"seen_ms_ago":1500,"status":"{status}",
                "plugins":{plugins}}}"#
            )
        };
        let behind =
            r#"{"hello":{"revision":"1.0.0+aa","behind":"no file"},"own":{"revision":"2+b","instead_of":"1+a"}}"#;
        let text = format!(
            r#"{{"this":"a","hosts":[{},{}],"lag":{{"hello":{{"outbox_ms":5000,"timers_ms":0}},"own":{{"outbox_ms":0,"timers_ms":0}}}}}}"#,
            host("a", "one", "ready", "{}"),
            host("b", "two", "lost", behind)
        );
        let shown = serde_json::from_str::<ClusterText>(&text).unwrap().to_string();
        let lines: Vec<&str> = shown.lines().collect();
        assert!(
            lines[1].starts_with("one") && lines[1].contains("ready") && lines[1].ends_with("answers you"),
            "{shown}"
        );
        assert!(lines[2].contains("lost") && lines[2].contains("1 s ago"), "{shown}");
        assert_eq!(lines[3], "two: hello is behind: no file");
        assert_eq!(lines[4], "two: own runs 2+b of its own program, not 1+a");
        assert_eq!(lines[5], "hello: its oldest event waits for 5 s, its most overdue timer for 0 s");
        assert_eq!(lines.len(), 6, "{shown}");
    }
}
