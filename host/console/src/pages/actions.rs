//! Changes of a plugin that need nothing but its name. Each one asks first.

use super::{not_found, report};
use crate::{
    api::{Refused, plugin_path},
    layout::{Section, done, page},
    session::Session,
};
use axum::{extract::Path, response::Response};
use host_api::{
    plugins::{PluginDetails, PluginView},
    swap::SwapReport,
};
use http::Method;
use maud::{Markup, html};
use serde_json::json;

/// A change of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Promote,
    Rollback,
    Pause,
    Resume,
    Remove,
}

impl Action {
    const ALL: [Self; 5] = [Self::Promote, Self::Rollback, Self::Pause, Self::Resume, Self::Remove];

    /// The name in the API.
    fn name(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Rollback => "rollback",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Remove => "remove",
        }
    }

    fn of(name: &str) -> Result<Self, Refused> {
        let found = Self::ALL.into_iter().find(|action| action.name() == name);
        found.ok_or_else(|| not_found("There is no such change"))
    }

    fn verb(self) -> &'static str {
        match self {
            Self::Promote => "Promote the canary of",
            Self::Rollback => "Roll back",
            Self::Pause => "Pause",
            Self::Resume => "Resume",
            Self::Remove => "Remove",
        }
    }

    /// The effect, before it happens.
    fn effect(self, details: &PluginDetails) -> Markup {
        let active = &details.plugin.revision;
        let canary = details.plugin.canary.as_ref().map(|canary| &canary.revision);
        html! {
            @match (self, canary, &details.previous) {
                (Self::Promote, Some(canary), _) => p { code { (canary) }
                    " does all work in place of " code { (active) } "." },
                (Self::Promote, None, _) => p { "No revision is on trial." },
                (Self::Rollback, Some(canary), _) => p { code { (canary) } " stops, and " code { (active) }
                    " does all work again." },
                (Self::Rollback, None, Some(previous)) => p { code { (previous) }
                    " does all work in place of " code { (active) } ". Its tables stay as they are." },
                (Self::Rollback, None, None) => p { "There is no previous revision." },
                (Self::Pause, ..) => p {
                    "Its requests get the answer 503. Its events and timers wait. Nothing is lost." },
                (Self::Resume, ..) => p { "It serves again, and its events and timers continue." },
                (Self::Remove, ..) => p {
                    "It stops to serve, and its routes are gone. The host keeps its tables and its revisions, so you can activate one again." },
            }
        }
    }
}

type Target = Path<(String, String)>;

pub(crate) async fn confirm(session: Session, Path((name, action)): Target) -> Response {
    let content = confirmation(&session, &name, &action).await;
    page(&session, Section::Overview, &name, content)
}

async fn confirmation(session: &Session, name: &str, action: &str) -> Result<Markup, Refused> {
    let action = Action::of(action)?;
    let path = plugin_path(name);
    let details: PluginDetails = session.api.get(&path).await?;
    let style = if action == Action::Remove { "danger" } else { "primary" };
    Ok(html! {
        p.crumbs { a href={ "/console" (path) } { (name) } }
        h1 { (action.verb()) " " (name) "?" }
        (action.effect(&details))
        form method="post" action={ "/console" (path) "/do/" (action.name()) } {
            div.actions {
                button class=(style) type="submit" { (action.verb()) " " (name) }
                a.button href={ "/console" (path) } { "Cancel" }
            }
        }
    })
}

pub(crate) async fn act(session: Session, Path((name, action)): Target) -> Response {
    let content = acted(&session, &name, &action).await;
    page(&session, Section::Overview, &name, content)
}

async fn acted(session: &Session, name: &str, action: &str) -> Result<Markup, Refused> {
    let action = Action::of(action)?;
    let (api, path) = (&session.api, plugin_path(name));
    let change = format!("{path}/{}", action.name());
    let result = match action {
        Action::Promote | Action::Rollback => {
            report::swap(&api.change::<SwapReport>(Method::POST, &change, &json!({})).await?)
        }
        Action::Pause | Action::Resume => {
            let view: PluginView = api.change(Method::POST, &change, &json!({})).await?;
            done(&format!("{name} is {} now.", view.status))
        }
        Action::Remove => {
            api.act(Method::DELETE, &path).await?;
            done(&format!("{name} is removed."))
        }
    };
    Ok(html! {
        h1 { (action.verb()) " " (name) }
        (result)
        p { a.button href={ "/console" (path) } { "Go to " (name) } }
    })
}
