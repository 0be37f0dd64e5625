//! `config` and `limits`: the values that an operator sets for a plugin. Each
//! change is a new revision and a swap.

use super::{
    client::Client,
    failure::Failure,
    output::{Output, line},
    views::{SourceTable, SwapText},
};
use clap::Args;
use host_api::{plugins::PluginDetails, swap::SwapReport};
use serde::Serialize;
use std::collections::BTreeMap;

/// Shows or changes the settings that a plugin declares.
///
/// The output shows the source of each value. Settings that the command does not name stay as they are.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin config hello
  ticketing plugin config hello greeting=Welcome
  ticketing plugin config hello --unset greeting        use the value of the settings file or the manifest again")]
pub(super) struct Config {
    /// The plugin's name
    name: String,
    /// Settings to change; without any, the command shows them
    #[arg(value_name = "KEY=VALUE", value_parser = pair)]
    pairs: Vec<(String, String)>,
    /// A setting that gets its own value back; may be repeated
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
}

/// Shows or changes the limits of a plugin.
///
/// The output shows the source of each value. Limits that the command does not name stay as they are.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin limits hello
  ticketing plugin limits hello memory_mib=32 wall_time_ms=2000
  ticketing plugin limits hello --unset memory_mib              use the value of the settings file or the manifest again")]
pub(super) struct Limits {
    /// The plugin's name
    name: String,
    /// Limits to change; without any, the command shows them
    #[arg(value_name = "KEY=N", value_parser = limit)]
    pairs: Vec<(String, u64)>,
    /// A limit that gets its own value back; may be repeated
    #[arg(long, value_name = "KEY")]
    unset: Vec<String>,
}

impl Config {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let plugin = plugin(client, &self.name).await?;
        if self.pairs.is_empty() && self.unset.is_empty() {
            return output.value(&SourceTable::of_config(plugin));
        }
        put(client, output, &self.name, "config", &changed(plugin.config_set, self.pairs, &self.unset)?).await
    }
}

impl Limits {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let plugin = plugin(client, &self.name).await?;
        if self.pairs.is_empty() && self.unset.is_empty() {
            return output.value(&SourceTable::of_limits(plugin));
        }
        put(client, output, &self.name, "limits", &changed(plugin.limits, self.pairs, &self.unset)?).await
    }
}

async fn plugin(client: &Client, name: &str) -> Result<PluginDetails, Failure> {
    client.get(&["plugins", name]).await?.read()
}

/// Sends the new values and prints the swap. A plugin that is not active has no
/// swap.
async fn put(client: &Client, output: Output, name: &str, setting: &str, body: &impl Serialize) -> Result<(), Failure> {
    let answer = client.put(&["plugins", name, setting], body).await?;
    if !output.json && answer.read::<Option<SwapReport>>()?.is_none() {
        line(&format!("the host applies this when {name} is activated"));
        return Ok(());
    }
    output.answer::<SwapText>(&answer)
}

/// The values that were set before, with the changes.
fn changed<V>(
    mut set: BTreeMap<String, V>,
    pairs: Vec<(String, V)>,
    unset: &[String],
) -> Result<BTreeMap<String, V>, Failure> {
    for key in unset {
        if set.remove(key).is_none() {
            return Err(Failure::Usage(format!("{key} is not set")));
        }
    }
    set.extend(pairs);
    Ok(set)
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it is not of the form KEY=VALUE".to_owned()),
    }
}

pub(super) fn limit(text: &str) -> Result<(String, u64), String> {
    let (key, value) = pair(text)?;
    let value =
        value.parse().map_err(|_| format!("{value:?} is not a whole number; the unit is a part of the name"))?;
    Ok((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_unless_the_command_names_them() {
        let set = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]);
        let pairs = || vec![("c".to_owned(), 3)];
        let expected = BTreeMap::from([("b".to_owned(), 2), ("c".to_owned(), 3)]);
        assert_eq!(changed(set.clone(), pairs(), &["a".to_owned()]).unwrap(), expected);
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
