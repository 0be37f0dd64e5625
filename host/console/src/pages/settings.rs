//! The settings and limits of a plugin. A field that is empty has the value of
//! the settings file or the manifest.

use super::{
    plugin::{Tab, tabs},
    report,
};
use crate::{
    api::{Refused, plugin_path},
    fields::Fields,
    layout::{Section, page},
    session::Session,
};
use axum::{extract::Path, response::Response};
use host_api::{
    plugins::PluginDetails,
    settings::{LimitOverrides, ValueSource},
    swap::SwapReport,
};
use http::{Method, StatusCode};
use maud::{Markup, html};
use serde_json::{Map, Value};

const SETTING: &str = "setting.";
const REMOVED: &str = "removed.";
const LIMIT: &str = "limit.";

pub(crate) async fn show(session: Session, Path(name): Path<String>) -> Response {
    let path = plugin_path(&name);
    let content = session.api.get::<PluginDetails>(&path).await.map(|details| render(&session, &path, &details));
    page(&session, Section::Overview, &format!("Settings of {name}"), content)
}

fn render(session: &Session, path: &str, details: &PluginDetails) -> Markup {
    let name = &details.plugin.name;
    let may_change = session.may_deploy(name);
    html! {
        h1 { "Settings and limits of " (name) }
        (tabs(name, Tab::Settings, true))
        p { "An empty field takes its value from the settings file or from the manifest. A change swaps the revision while it serves." }
        section aria-labelledby="settings" {
            h2 #settings { "Settings" }
            @if details.config.is_empty() && details.config_secrets.is_empty() { p.quiet { "Its manifest declares no settings." } } @else {
                form.stack method="post" action={ "/console" (path) "/settings" } { fieldset disabled[!may_change] {
                    @for (key, value) in details.config.iter().filter(|(key, _)| !details.config_secrets.contains(*key)) {
                        @let source = details.config_sources.get(key).map(ToString::to_string).unwrap_or_default();
                        (field(SETTING, key, value, &source, details.config_set.get(key).map(String::as_str), "text"))
                    }
                    @for key in &details.config_secrets { (secret(details, key)) }
                    button.primary type="submit" { "Change the settings of " (name) }
                } }
            }
        }
        section aria-labelledby="limits" {
            h2 #limits { "Limits" }
            form.stack method="post" action={ "/console" (path) "/limits" } { fieldset disabled[!may_change] {
                div.columns {
                    @for (key, limit) in &details.limits_in_force {
                        @let set = details.limits.get(key).map(u64::to_string);
                        (field(LIMIT, key, &limit.value.to_string(), &limit.source.to_string(), set.as_deref(), "number"))
                    }
                }
                button.primary type="submit" { "Change the limits of " (name) }
            } }
        }
    }
}

/// A secret can be replaced or removed. The page does not show it.
fn secret(details: &PluginDetails, key: &str) -> Markup {
    let source = details.config_sources.get(key);
    let id = format!("{SETTING}{key}");
    html! {
        div.field {
            label for=(id) { code { (key) } " (secret)" }
            input id=(id) name=(id) type="password" aria-describedby={ (id) ".hint" } autocomplete="new-password";
            p.hint id={ (id) ".hint" } {
                @match source {
                    Some(source) => { "It has a value, from " (source) ". An empty field keeps it." }
                    None => { "It has no value." }
                }
            }
            @if source == Some(&ValueSource::Operator.into()) {
                label.choice { input type="checkbox" name={ (REMOVED) (key) } value="yes"; " Remove " code { (key) } }
            }
        }
    }
}

fn field(prefix: &str, key: &str, in_force: &str, source: &str, set: Option<&str>, kind: &str) -> Markup {
    let id = format!("{prefix}{key}");
    html! {
        div.field {
            label for=(id) { code { (key) } }
            input id=(id) name=(id) type=(kind) value=(set.unwrap_or_default()) placeholder=(in_force) min=[(kind == "number").then_some("0")]
                aria-describedby={ (id) ".hint" } autocomplete="off";
            p.hint id={ (id) ".hint" } { "In force: " code { (in_force) } ", from " (source) }
        }
    }
}

pub(crate) async fn set(session: Session, Path(name): Path<String>, fields: Fields) -> Response {
    let removed = fields.below(REMOVED).map(|(key, _)| (key.to_owned(), Value::Null));
    let values = removed.chain(fields.below(SETTING).map(|(key, value)| (key.to_owned(), Value::from(value))));
    let content = changed(&session, &name, "config", &Value::Object(values.collect())).await;
    page(&session, Section::Overview, &format!("Settings of {name}"), content)
}

pub(crate) async fn set_limits(session: Session, Path(name): Path<String>, fields: Fields) -> Response {
    let content = match numbers::<LimitOverrides>(&fields, LIMIT) {
        Ok(limits) => changed(&session, &name, "limits", &serde_json::to_value(limits).unwrap_or_default()).await,
        Err(refused) => Err(refused),
    };
    page(&session, Section::Overview, &format!("Limits of {name}"), content)
}

/// A table of numbers from the fields with a prefix.
pub(super) fn numbers<T: serde::de::DeserializeOwned>(fields: &Fields, prefix: &str) -> Result<T, Refused> {
    let mut table = Map::new();
    for (key, text) in fields.below(prefix) {
        let wrong = || Refused::new(StatusCode::BAD_REQUEST, format!("{key}: {text:?} is not a whole number"));
        let number: u64 = text.trim().parse().map_err(|_| wrong())?;
        table.insert(key.to_owned(), number.into());
    }
    serde_json::from_value(Value::Object(table))
        .map_err(|error| Refused::new(StatusCode::BAD_REQUEST, error.to_string()))
}

async fn changed(session: &Session, name: &str, part: &str, value: &Value) -> Result<Markup, Refused> {
    let path = plugin_path(name);
    let report: Option<SwapReport> = session.api.change(Method::PUT, &format!("{path}/{part}"), value).await?;
    Ok(html! {
        h1 { (name) " is changed" }
        @match &report {
            Some(report) => { (report::swap(report)) }
            None => { (crate::layout::done("The values are kept for the next revision: none serves now.")) }
        }
        p { a.button href={ "/console" (path) "/settings" } { "Go to the settings" } }
    })
}
