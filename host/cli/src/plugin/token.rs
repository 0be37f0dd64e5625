//! `token`: the tokens of operators, with their roles and plugins.

use super::{
    client::Client,
    failure::Failure,
    output::{Output, complain, line},
    views::TokenTable,
};
use clap::{
    Args, Subcommand,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};
use host_api::tokens::{CreatedToken, NewToken, Role};

/// Lists, creates and revokes operator tokens.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin token list
  ticketing plugin token create ci --role deploy --plugin hello > ci.token
  ticketing plugin token create guest --role view --expires-in-days 30
  ticketing plugin token revoke 5d2f3c0a9b1e7f64")]
pub(super) struct Token {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists the tokens, without their secrets.
    #[command(after_help = "Example:\n  ticketing plugin token list")]
    List,
    /// Creates a token and prints it, only this once.
    #[command(after_help = "Example:\n  ticketing plugin token create ci --role deploy --plugin hello > ci.token")]
    Create {
        /// The token's name: the actor in the audit
        name: String,
        /// The role of the token
        #[arg(long, value_parser = role())]
        role: Role,
        /// A plugin that the token is bound to; may be repeated [default: all plugins]
        #[arg(long = "plugin", value_name = "NAME")]
        plugins: Vec<String>,
        /// The number of days after which the token expires [default: never]
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=3_650))]
        expires_in_days: Option<u64>,
    },
    /// Revokes a token at once.
    #[command(after_help = "Example:\n  ticketing plugin token revoke 5d2f3c0a9b1e7f64")]
    Revoke {
        /// An id from `ticketing plugin token list`
        id: String,
    },
}

/// The roles, each with its help.
fn role() -> impl TypedValueParser<Value = Role> {
    let help = |role| match role {
        Role::View => "Read",
        Role::Deploy => "Upload and swap plugins",
        Role::Admin => "Everything, also policies and tokens",
    };
    let values = Role::ALL.map(|role| PossibleValue::new(role.as_str()).help(help(role)));
    PossibleValuesParser::new(values).try_map(|text| Role::from_text(&text).ok_or("there is no such role"))
}

impl Token {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        match self.action {
            Action::List => output.answer::<TokenTable>(&client.list(&["tokens"]).await?),
            Action::Create { name, role, plugins, expires_in_days } => {
                let plugins = (!plugins.is_empty()).then(|| plugins.into_iter().collect());
                let expires_after_seconds = expires_in_days.map(|days| days * 86_400);
                create(client, output, &NewToken { name, role, plugins, expires_after_seconds }).await
            }
            Action::Revoke { id } => {
                client.delete(&["tokens", &id]).await?;
                if !output.json {
                    line(&format!("token {id} is revoked"));
                }
                Ok(())
            }
        }
    }
}

async fn create(client: &Client, output: Output, new: &NewToken) -> Result<(), Failure> {
    let answer = client.post(&["tokens"], new).await?;
    if output.json {
        line(&answer.text.trim_end());
        return Ok(());
    }
    let CreatedToken { view, token } = answer.read()?;
    let (id, name, role) = (view.id, view.name, view.role);
    complain(&format_args!("token {id} ({name}, {role}); save it now, the list does not show the token:"));
    // The secret is alone on its stream, so that a script can save it in a file.
    line(&token);
    Ok(())
}
