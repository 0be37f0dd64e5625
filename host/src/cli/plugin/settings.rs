//! What an operator sets for a plugin: its settings, limits and grants. Each
//! change is a new revision and a swap.

use super::{
    client::{Answer, Client},
    failure::Failure,
    output::{Output, line},
    views::{PluginView, SwapReport},
};
use clap::Args;
use serde_json::{Map, Value, json};

/// Shows or changes the settings that a plugin declares.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin config hello
  ticketing plugin config hello greeting=Welcome
  ticketing plugin config hello greeting=Welcome loud=true")]
pub(super) struct Config {
    /// The plugin.
    name: String,
    /// Settings to change; none shows them.
    #[arg(value_name = "KEY=VALUE", value_parser = pair)]
    pairs: Vec<(String, String)>,
}

/// Shows or changes the limits of a plugin.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin limits hello
  ticketing plugin limits hello memory_mib=32 wall_time_ms=2000")]
pub(super) struct Limits {
    /// The plugin.
    name: String,
    /// Limits to change; none shows them.
    #[arg(value_name = "KEY=N", value_parser = limit)]
    pairs: Vec<(String, u64)>,
}

/// Shows or changes what a plugin may use.
///
/// What is given replaces what there is. A plugin that is yet to be uploaded
/// can be granted what it will need.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin grants hello
  ticketing plugin grants hello --grant store --grant identity
  ticketing plugin grants hello --http-host api.example.com:443
  ticketing plugin grants hello --no-grants")]
pub(super) struct Grants {
    /// The plugin.
    name: String,
    /// A capability, such as store; may be repeated.
    #[arg(long = "grant", value_name = "CAPABILITY", conflicts_with = "no_grants")]
    grants: Vec<String>,
    /// A server that it may send requests to; may be repeated.
    #[arg(long = "http-host", value_name = "HOST:PORT", conflicts_with = "no_http_hosts")]
    http_hosts: Vec<String>,
    /// Take all capabilities away.
    #[arg(long)]
    no_grants: bool,
    /// Take all servers away.
    #[arg(long)]
    no_http_hosts: bool,
}

impl Config {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let path = ["plugins", self.name.as_str()];
        if self.pairs.is_empty() {
            return values(&client.get(&path).await?, "config", output);
        }
        let body: Map<String, Value> = self.pairs.into_iter().map(|(key, value)| (key, value.into())).collect();
        let answer = client.put(&[&path[..], &["config"]].concat(), &body.into()).await?;
        output.answer::<SwapReport>(&answer)
    }
}

impl Limits {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let path = ["plugins", self.name.as_str()];
        if self.pairs.is_empty() {
            return values(&client.get(&path).await?, "limits", output);
        }
        let body: Map<String, Value> = self.pairs.into_iter().map(|(key, value)| (key, value.into())).collect();
        let answer = client.put(&[&path[..], &["limits"]].concat(), &body.into()).await?;
        output.answer::<SwapReport>(&answer)
    }
}

impl Grants {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let path = ["plugins", self.name.as_str()];
        let changes_grants = self.no_grants || !self.grants.is_empty();
        let changes_hosts = self.no_http_hosts || !self.http_hosts.is_empty();
        if !changes_grants && !changes_hosts {
            let answer = client.get(&path).await?;
            let plugin: PluginView = answer.read()?;
            let shown = json!({ "grants": plugin.grants, "http_hosts": plugin.http_hosts });
            return show(&shown, output);
        }
        // What is not mentioned stays as it is, where there is anything.
        let now = match client.get(&path).await {
            Ok(answer) => answer.read()?,
            Err(Failure::Failed(_)) => PluginView::default(),
            Err(failure) => return Err(failure),
        };
        let grants = if changes_grants { self.grants } else { now.grants };
        let http_hosts = if changes_hosts { self.http_hosts } else { now.http_hosts };
        let body = json!({ "grants": grants, "http_hosts": http_hosts });
        let answer = client.put(&[&path[..], &["grants"]].concat(), &body).await?;
        match answer.read::<Value>()?.get("new") {
            Some(_) => output.answer::<SwapReport>(&answer),
            None => show(&body, output),
        }
    }
}

/// Shows one table of what the host says of a plugin.
fn values(answer: &Answer, table: &str, output: Output) -> Result<(), Failure> {
    let plugin: Value = answer.read()?;
    show(plugin.get(table).unwrap_or(&Value::Null), output)
}

/// A JSON object, or a line for each of its entries.
fn show(value: &Value, output: Output) -> Result<(), Failure> {
    match value {
        Value::Object(entries) if !output.json => {
            for (key, value) in entries {
                match value {
                    Value::String(text) => line(&format!("{key}={text}")),
                    other => line(&format!("{key}={other}")),
                }
            }
        }
        other => line(other),
    }
    Ok(())
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it is not of the form KEY=VALUE".to_owned()),
    }
}

fn limit(text: &str) -> Result<(String, u64), String> {
    let (key, value) = pair(text)?;
    let value = value.parse().map_err(|_| format!("{value:?} is not a whole number; the unit is in the name"))?;
    Ok((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_as_typed() {
        assert_eq!(pair("greeting=a=b").unwrap(), ("greeting".to_owned(), "a=b".to_owned()));
        assert_eq!(limit("queue=0").unwrap(), ("queue".to_owned(), 0));
        assert!(pair("greeting").is_err() && pair("=x").is_err());
        assert!(limit("memory_mib=32MB").unwrap_err().contains("whole number"));
    }
}
