//! `audit`: the record of changes, for people or as a file.

use super::{
    client::Client,
    failure::Failure,
    output::{Output, is_closed, raw},
    views::AuditTable,
};
use clap::{Args, ValueEnum};
use http::Method;

/// Shows the record of changes: the time, the token's name, the change and the revision.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin audit
  ticketing plugin audit --limit 1000 --json
  ticketing plugin audit --plugin hello --export csv > audit.csv")]
pub(super) struct Audit {
    /// The number of entries; the newest is first
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// Only the changes of this token
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,
    /// Only the changes of this plugin
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// Only changes of this kind, such as activate
    #[arg(long, value_name = "KIND")]
    action: Option<String>,
    /// Print all entries in this form, up to 200,000
    #[arg(long, value_name = "FORM", conflicts_with = "limit")]
    export: Option<Format>,
}

/// The form of a file.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// Comma-separated values
    Csv,
    /// One JSON object on each line
    Jsonl,
}

impl Format {
    /// The word of the API.
    fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
        }
    }
}

impl Audit {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        match self.export {
            Some(format) => export(client, &self.query(("format", format.as_str()))).await,
            None => {
                let limit = self.limit.to_string();
                let request = client.request_with(Method::GET, &["audit"], &self.query(("limit", &limit)))?;
                output.answer::<AuditTable>(&client.send(request).await?)
            }
        }
    }

    /// The filters and one more parameter.
    fn query<'a>(&'a self, first: (&'a str, &'a str)) -> Vec<(&'a str, &'a str)> {
        let filters = [("actor", &self.actor), ("plugin", &self.plugin), ("action", &self.action)];
        let filters = filters.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        std::iter::once(first).chain(filters).collect()
    }
}

/// Prints a file as it arrives.
async fn export(client: &Client, query: &[(&str, &str)]) -> Result<(), Failure> {
    let mut response = client.open(client.request_with(Method::GET, &["audit", "export"], query)?).await?;
    while let Some(chunk) = response.chunk().await.map_err(|error| client.broken(&error))? {
        raw(&chunk);
        if is_closed() {
            break;
        }
    }
    Ok(())
}
