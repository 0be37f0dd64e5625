//! Tokens of operators: who may do what, on which plugins.

use super::{
    client::Client,
    failure::Failure,
    output::{Output, line},
    views::{TokenList, TokenView},
};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

/// Lists, creates and revokes operator tokens.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ticketing plugin token list
  ticketing plugin token create ci --role deploy --plugin hello > ci.token
  ticketing plugin token revoke 3")]
pub(super) struct Token {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Lists the tokens, without themselves.
    #[command(after_help = "Example:\n  ticketing plugin token list")]
    List,
    /// Creates a token and prints it, this once.
    #[command(after_help = "Example:\n  ticketing plugin token create ci --role deploy --plugin hello > ci.token")]
    Create {
        /// What it is called.
        name: String,
        /// What it may do.
        #[arg(long, value_enum)]
        role: Role,
        /// A plugin that it may touch, and no other; may be repeated [default: all]
        #[arg(long = "plugin", value_name = "NAME")]
        plugins: Vec<String>,
    },
    /// Revokes a token, at once.
    #[command(after_help = "Example:\n  ticketing plugin token revoke 3")]
    Revoke {
        /// One of `ticketing plugin token list`.
        id: String,
    },
}

/// What a token may do; each may do what those before it may.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    /// Look.
    View,
    /// Upload and swap plugins.
    Deploy,
    /// Everything, tokens too.
    Admin,
}

impl Token {
    pub(super) async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        match self.action {
            Action::List => output.answer::<TokenList>(&client.get(&["tokens"]).await?),
            Action::Create { name, role, plugins } => create(client, output, &name, role, &plugins).await,
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

async fn create(client: &Client, output: Output, name: &str, role: Role, plugins: &[String]) -> Result<(), Failure> {
    let role = match role {
        Role::View => "view",
        Role::Deploy => "deploy",
        Role::Admin => "admin",
    };
    let mut body = json!({ "name": name, "role": role });
    if let (false, Some(fields)) = (plugins.is_empty(), body.as_object_mut()) {
        fields.insert("plugins".to_owned(), json!(plugins));
    }
    let answer = client.post(&["tokens"], &body).await?;
    if output.json {
        line(&answer.text.trim_end());
        return Ok(());
    }
    let token: TokenView = answer.read()?;
    eprintln!("token {} ({}, {}); it is not shown again:", token.id(), token.name, token.role);
    // Alone on its stream, so that it can go into a file.
    line(&token.token);
    Ok(())
}
