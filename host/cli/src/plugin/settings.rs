//! What an operator sets for a plugin: its settings, limits and grants. Each
//! change is a new revision and a swap.

use super::{
    client::Client,
    failure::Failure,
    output::{Output, line},
    views::{GrantsView, PluginView, Sourced, SourcedList, SwapReport},
};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Shows or changes the settings that a plugin declares.
///
/// Each is shown with who decided it; what is not mentioned stays as it is.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin config hello
  ticketing plugin config hello greeting=Welcome
  ticketing plugin config hello --unset greeting        back to what the settings file or the manifest says")]
pub(super) struct Config {
    /// The plugin.
    name: String,
    /// Settings to change; none shows them.
    #[arg(value_name = "KEY=VALUE", value_parser = pair)]
    pairs: Vec<(String, String)>,
    /// A setting that is no longer to be changed; may be repeated.
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
}

/// Shows or changes the limits of a plugin.
///
/// Each is shown with who decided it; what is not mentioned stays as it is.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin limits hello
  ticketing plugin limits hello memory_mib=32 wall_time_ms=2000
  ticketing plugin limits hello --unset memory_mib              back to the manifest's")]
pub(super) struct Limits {
    /// The plugin.
    name: String,
    /// Limits to change; none shows them.
    #[arg(value_name = "KEY=N", value_parser = limit)]
    pairs: Vec<(String, u64)>,
    /// A limit that is no longer to be changed; may be repeated.
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
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
        let plugin = plugin(client, &self.name).await?;
        if self.pairs.is_empty() && self.unset.is_empty() {
            return show(&plugin.config_in_force(), output);
        }
        let pairs = self.pairs.into_iter().map(|(key, value)| (key, value.into()));
        put(client, output, &self.name, "config", changed(plugin.config_set, pairs, &self.unset)?).await
    }
}

impl Limits {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let plugin = plugin(client, &self.name).await?;
        if self.pairs.is_empty() && self.unset.is_empty() {
            return show(&plugin.limits_in_force, output);
        }
        let set = plugin.limits;
        let pairs = self.pairs.into_iter().map(|(key, value)| (key, value.into()));
        put(client, output, &self.name, "limits", changed(set, pairs, &self.unset)?).await
    }
}

impl Grants {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let changes_grants = self.no_grants || !self.grants.is_empty();
        let changes_hosts = self.no_http_hosts || !self.http_hosts.is_empty();
        if !changes_grants && !changes_hosts {
            return output.answer::<GrantsView>(&client.get(&["plugins", &self.name, "grants"]).await?);
        }
        // What is not mentioned stays as it is, where there is anything.
        let now: GrantsView = match client.get(&["plugins", &self.name, "grants"]).await {
            Err(Failure::NotThere(_)) => GrantsView::default(),
            now => now?.read()?,
        };
        let grants = if changes_grants { self.grants } else { now.grants };
        let http_hosts = if changes_hosts { self.http_hosts } else { now.http_hosts };
        put(client, output, &self.name, "grants", json!({ "grants": grants, "http_hosts": http_hosts })).await
    }
}

async fn plugin(client: &Client, name: &str) -> Result<PluginView, Failure> {
    client.get(&["plugins", name]).await?.read()
}

/// Sends what is to hold from now on, and prints the swap; for a plugin that is
/// not active there is none.
async fn put(client: &Client, output: Output, name: &str, what: &str, body: Value) -> Result<(), Failure> {
    let answer = client.put(&["plugins", name, what], &body).await?;
    if !output.json && answer.read::<Value>()?.get("new").is_none() {
        line(&format!("kept for when {name} is activated"));
        return Ok(());
    }
    output.answer::<SwapReport>(&answer)
}

/// What was set, with the changes.
fn changed(
    mut set: BTreeMap<String, Value>,
    pairs: impl Iterator<Item = (String, Value)>,
    unset: &[String],
) -> Result<Value, Failure> {
    for key in unset {
        if set.remove(key).is_none() {
            return Err(Failure::Usage(format!("{key} is not set")));
        }
    }
    set.extend(pairs);
    Ok(json!(set))
}

/// A JSON object, or a table.
fn show(values: &BTreeMap<String, Sourced>, output: Output) -> Result<(), Failure> {
    match output.json {
        true => line(&json!(values)),
        false => line(&SourcedList(values)),
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
    fn what_was_set_stays_unless_it_is_mentioned() {
        let set = BTreeMap::from([("a".to_owned(), json!(1)), ("b".to_owned(), json!(2))]);
        let pairs = || [("c".to_owned(), json!(3))].into_iter();
        assert_eq!(changed(set.clone(), pairs(), &["a".to_owned()]).unwrap(), json!({ "b": 2, "c": 3 }));
        assert_eq!(changed(set, pairs(), &["x".to_owned()]).unwrap_err().code(), 2);
    }

    #[test]
    fn pairs_are_read_as_typed() {
        assert_eq!(pair("greeting=a=b").unwrap(), ("greeting".to_owned(), "a=b".to_owned()));
        assert_eq!(limit("queue=0").unwrap(), ("queue".to_owned(), 0));
        assert!(pair("greeting").is_err() && pair("=x").is_err());
        assert!(limit("memory_mib=32MB").unwrap_err().contains("whole number"));
    }
}
