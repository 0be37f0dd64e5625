//! The policy of a plugin name. Administrators change it here.

use super::{
    plugin::{Tab, tabs},
    settings::numbers,
};
use crate::{
    api::{Refused, plugin_path},
    fields::Fields,
    layout::{Section, done, page},
    session::Session,
};
use axum::{extract::Path, response::Response};
use host_api::{
    policy::{NewPolicy, Policy, PolicyView},
    settings::{Grant, LimitOverrides},
};
use http::{Method, StatusCode};
use maud::{Markup, html};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const LIMIT: &str = "limit.";
const QUOTA: &str = "quota.";
const QUOTAS: [&str; 5] = ["database_mib", "outbox_events", "timers", "dead_letters", "staged_revisions"];

pub(crate) async fn show(session: Session, Path(name): Path<String>) -> Response {
    let content = read(&session, &name).await.map(|view| render(&session, &view, None));
    page(&session, Section::Overview, &format!("Policy of {name}"), content)
}

async fn read(session: &Session, name: &str) -> Result<PolicyView, Refused> {
    session.api.get(&format!("{}/policy", plugin_path(name))).await
}

fn render(session: &Session, view: &PolicyView, message: Option<&str>) -> Markup {
    let PolicyView { plugin, version, policy } = view;
    let path = plugin_path(plugin);
    html! {
        h1 { "Policy of " (plugin) }
        (tabs(plugin, Tab::Policy, true))
        @if let Some(message) = message { (done(message)) }
        p {
            "It owns the paths " code { "/" (plugin) } " and below and the subjects " code { (plugin) ".*" }
            ". This policy adds rights. "
            @if *version == 0 { "Nobody has changed it." } @else { "This is version " (version) "." }
        }
        form.stack method="post" action={ "/console" (path) "/policy" } { fieldset disabled[!session.may_administer()] {
            input type="hidden" name="replaces" value=(version);
            (grants(&policy.grants))
            div.columns {
                (lines("http_hosts", "Hosts for requests", "With port, such as api.example.com:443.", &policy.http_hosts))
                (lines("plugins", "Plugins that it may call", "Names, such as mailer. It also needs the capability http.", &policy.plugins))
                (lines("paths", "Paths", "/api/things is this path, /api/things/* is all below.", &policy.paths))
                (lines("publishes", "May publish", "Subjects beside its own.", &policy.publishes))
                (lines("registries", "Registries", "The host may fetch its files there. Such as ghcr.io/me/hello.", &policy.registries))
                (lines("subscribes", "May receive", "Subjects beside its own, such as order.*", &policy.subscribes))
            }
            fieldset.choices {
                legend { "Trust" }
                (choice("same_origin", "Its pages share the origin of the host", policy.same_origin))
                (choice("visitor", "It learns who the visitor is", policy.visitor))
                (choice("require_signature", "Each upload must be signed", policy.require_signature))
            }
            div.field {
                label for="lowest_version" { "Lowest version" }
                input #lowest_version name="lowest_version" value=(policy.lowest_version.as_deref().unwrap_or_default()) autocomplete="off";
            }
            details { summary { "Highest limits" } div.columns { (table(LIMIT, &LimitOverrides::NAMES, &policy.limits)) } }
            details { summary { "Quotas" } div.columns { (table(QUOTA, &QUOTAS, &policy.quotas)) } }
            @if session.may_administer() { button.primary type="submit" { "Change the policy of " (plugin) } }
        } }
        @if !session.may_administer() { p.quiet { "An administrator with a token for all plugins can change it." } }
    }
}

fn grants(granted: &BTreeSet<Grant>) -> Markup {
    html! {
        fieldset.choices.row {
            legend { "Capabilities" }
            @for grant in Grant::ALL {
                @let word = host_api::Word::Known(grant).to_string();
                label.choice { input type="checkbox" name="grant" value=(word) checked[granted.contains(&grant)];
                    code { (word) } }
            }
        }
    }
}

fn lines(name: &str, label: &str, hint: &str, values: &BTreeSet<String>) -> Markup {
    let text = values.iter().map(String::as_str).collect::<Vec<_>>().join("\n");
    html! {
        div.field {
            label for=(name) { (label) }
            textarea id=(name) name=(name) rows=(values.len().clamp(3, 12)) spellcheck="false" aria-describedby={ (name) "-hint" } { (text) }
            p.hint id={ (name) "-hint" } { "One on each line. " (hint) }
        }
    }
}

fn choice(name: &str, label: &str, is_set: bool) -> Markup {
    html! { label.choice { input type="checkbox" name=(name) value="yes" checked[is_set]; (label) } }
}

fn table(prefix: &str, keys: &[&str], values: &impl Serialize) -> Markup {
    let values: BTreeMap<String, u64> =
        serde_json::to_value(values).and_then(serde_json::from_value).unwrap_or_default();
    html! {
        @for key in keys {
            @let id = format!("{prefix}{key}");
            div.field {
                label for=(id) { code { (key) } }
                input id=(id) name=(id) type="number" min="0" value=[values.get(*key)];
            }
        }
    }
}

pub(crate) async fn set(session: Session, Path(name): Path<String>, fields: Fields) -> Response {
    let content = change(&session, &name, &fields).await;
    page(&session, Section::Overview, &format!("Policy of {name}"), content)
}

async fn change(session: &Session, name: &str, fields: &Fields) -> Result<Markup, Refused> {
    let new = NewPolicy { replaces: fields.number("replaces", "Version")?, policy: policy_of(fields)? };
    let view: PolicyView = session.api.change(Method::PUT, &format!("{}/policy", plugin_path(name)), &new).await?;
    Ok(render(session, &view, Some("The policy is changed. It is in force on all hosts.")))
}

fn policy_of(fields: &Fields) -> Result<Policy, Refused> {
    let grants = Value::from(fields.all("grant").collect::<Vec<_>>());
    let grants =
        serde_json::from_value(grants).map_err(|error| Refused::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    Ok(Policy {
        grants,
        http_hosts: fields.words("http_hosts").collect(),
        plugins: fields.words("plugins").collect(),
        publishes: fields.words("publishes").collect(),
        subscribes: fields.words("subscribes").collect(),
        paths: fields.words("paths").collect(),
        registries: fields.words("registries").collect(),
        same_origin: fields.has("same_origin"),
        visitor: fields.has("visitor"),
        limits: numbers(fields, LIMIT)?,
        quotas: numbers(fields, QUOTA)?,
        require_signature: fields.has("require_signature"),
        lowest_version: fields.get("lowest_version").map(str::to_owned),
    })
}
