//! `config` and `limits`: the values that an operator sets for a plugin. Each
//! change is a new revision and a swap.

use super::{
    client::{Answer, Client},
    failure::Failure,
    output::{Output, line},
    views::{SourceTable, SwapText},
};
use clap::Args;
use host_api::{plugins::PluginDetails, settings::ValueSource, swap::SwapReport};
use host_config::plugins::secret_file;
use std::collections::BTreeMap;

/// Shows or changes the settings that a plugin declares.
///
/// The output shows the source of each value. Settings that the command does not name stay as they are. A secret is read
/// from a file, because other users of a machine see its command lines. Nothing shows it afterwards.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin config hello
  ticketing plugin config hello greeting=Welcome
  ticketing plugin config hello --unset greeting        use the value of the settings file or the manifest again
  ticketing plugin config mailer --secret api-key=key.txt
  pass show mailer | ticketing plugin config mailer --secret api-key=-    read the secret from standard input")]
pub(super) struct Config {
    /// The plugin's name
    name: String,
    /// Settings to change; without any, the command shows them
    #[arg(value_name = "KEY=VALUE", value_parser = pair)]
    pairs: Vec<(String, String)>,
    /// A secret, and the file with it, or - for standard input; may be repeated
    #[arg(long = "secret", value_name = "KEY=FILE", value_parser = pair)]
    secrets: Vec<(String, String)>,
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
        let shows = self.pairs.is_empty() && self.secrets.is_empty() && self.unset.is_empty();
        match plugin(client, &self.name).await {
            Ok(plugin) if shows => return output.value(&SourceTable::of_config(plugin)),
            Ok(plugin) => self.check(&plugin)?,
            // It may be uploaded and not active yet. Then the host alone knows its settings.
            Err(Failure::NotFound(_)) if !shows => {}
            Err(failure) => return Err(failure),
        }
        let name = self.name.clone();
        let answer = client.patch(&["plugins", &name, "config"], &self.values()?).await?;
        print_swap(output, &name, &answer)
    }

    /// Refuses a secret in the command line, a text in the place of a secret, and the
    /// removal of a value that no operator has set.
    fn check(&self, plugin: &PluginDetails) -> Result<(), Failure> {
        let is_secret = |key: &String| plugin.config_secrets.contains(key);
        let is_set = |key: &String| plugin.config_sources.get(key) == Some(&ValueSource::Operator.into());
        if let Some((key, _)) = self.pairs.iter().find(|(key, _)| is_secret(key)) {
            let advice = format!("use --secret {key}=FILE, or --secret {key}=- for standard input");
            return Err(Failure::Usage(format!("{key} is a secret, and other users see a command line; {advice}")));
        }
        if let Some((key, _)) = self.secrets.iter().find(|(key, _)| !is_secret(key)) {
            return Err(Failure::Usage(format!("{} declares no secret {key}", self.name)));
        }
        match self.unset.iter().find(|key| !is_set(key)) {
            Some(key) => Err(Failure::Usage(format!("{key} is not set"))),
            None => Ok(()),
        }
    }

    /// The changes. None gives a setting its own value back.
    fn values(self) -> Result<BTreeMap<String, Option<String>>, Failure> {
        let mut values: BTreeMap<String, Option<String>> = self.unset.into_iter().map(|key| (key, None)).collect();
        values.extend(self.pairs.into_iter().map(|(key, value)| (key, Some(value))));
        for (key, file) in self.secrets {
            values.insert(key, Some(secret(&file)?));
        }
        Ok(values)
    }
}

fn secret(file: &str) -> Result<String, Failure> {
    let read = match file {
        "-" => secret_file::read_from("standard input", std::io::stdin()),
        file => secret_file::read(file),
    };
    read.map_err(Failure::Failed)
}

impl Limits {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let plugin = plugin(client, &self.name).await?;
        if self.pairs.is_empty() && self.unset.is_empty() {
            return output.value(&SourceTable::of_limits(plugin));
        }
        let limits = changed(plugin.limits, self.pairs, &self.unset)?;
        let answer = client.put(&["plugins", &self.name, "limits"], &limits).await?;
        print_swap(output, &self.name, &answer)
    }
}

async fn plugin(client: &Client, name: &str) -> Result<PluginDetails, Failure> {
    client.get(&["plugins", name]).await?.read()
}

/// A plugin that is not active has no swap.
fn print_swap(output: Output, name: &str, answer: &Answer) -> Result<(), Failure> {
    if !output.json && answer.read::<Option<SwapReport>>()?.is_none() {
        line(&format!("the host applies this when {name} is activated"));
        return Ok(());
    }
    output.answer::<SwapText>(answer)
}

/// The values that were set before, with the changes.
fn changed(
    mut set: BTreeMap<String, u64>,
    pairs: Vec<(String, u64)>,
    unset: &[String],
) -> Result<BTreeMap<String, u64>, Failure> {
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
