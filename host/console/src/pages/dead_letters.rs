//! Dead letters: events and timers that no attempt could handle.

use super::not_found;
use crate::{
    api::{Refused, Rows, segment},
    fields::{Fields, Search, query},
    format::{number, size, time},
    layout::{Section, done, empty, faults, more, page},
    session::Session,
};
use axum::extract::Path;
use axum::response::Response;
use host_api::{
    Word,
    dead_letters::{DeadLetterDetail, DeadLetterSummary, Redelivered},
};
use http::Method;
use maud::{Markup, html};
use serde_json::json;

const SECTION: Section = Section::DeadLetters;
const ADDRESS: &str = "/console/dead-letters";
/// The most bytes of a payload that a page shows.
const SHOWN_BYTES: usize = 64 << 10;

pub(crate) async fn list(session: Session, Search(search): Search) -> Response {
    let content = listed(&session, &search, None).await;
    page(&session, SECTION, "Dead letters", content)
}

async fn listed(session: &Session, search: &Fields, result: Option<Markup>) -> Result<Markup, Refused> {
    let query = query([("limit", Some("50")), ("after", search.get("after")), ("plugin", search.get("plugin"))]);
    let letters: Rows<DeadLetterSummary> = session.api.list(&format!("/dead-letters?{query}")).await?;
    Ok(html! {
        h1 { "Dead letters" }
        @if let Some(result) = result { (result) }
        p { "Events and timers that no attempt could handle. Repair the cause, then deliver them again." }
        (filter_form(search))
        @if letters.rows.is_empty() && search.has("plugin") {
            (empty("This plugin has no dead letters.", &html! { p { a href=(ADDRESS) { "Show those of all plugins" } } }))
        } @else if letters.rows.is_empty() {
            (empty("There are no dead letters.", &html! {
                p { "Every event and timer was handled, or is still tried." }
            }))
        } @else if session.may_upload() {
            form method="post" action={ (ADDRESS) "/redeliver" } {
                (table(&letters.rows, true))
                div.actions {
                    button.primary type="submit" { "Deliver the chosen again" }
                    button type="submit" formaction={ (ADDRESS) "/discard" } { "Discard the chosen" }
                    @for letter in &letters.rows { input type="hidden" name="shown" value=(letter.id); }
                    button type="submit" name="all" value="yes" { "Deliver all " (letters.rows.len()) " of this page again" }
                }
            }
        } @else { (table(&letters.rows, false)) }
        (more(ADDRESS, letters.next.as_ref()))
    })
}

fn filter_form(search: &Fields) -> Markup {
    html! {
        form.filter method="get" action=(ADDRESS) {
            div.field { label for="plugin" { "Plugin" }
                input #plugin name="plugin" value=(search.get("plugin").unwrap_or_default()) autocomplete="off"; }
            button type="submit" { "Filter" }
        }
    }
}

fn table(letters: &[DeadLetterSummary], may_choose: bool) -> Markup {
    html! {
        div.table tabindex="0" role="group" aria-label="Dead letters" { table {
            thead { tr {
                @if may_choose { th scope="col" { span.visually-hidden { "Choose" } } }
                th scope="col" { "Set aside" } th scope="col" { "Plugin" } th scope="col" { "What" }
                th scope="col" { "Reason" }
                th.number scope="col" { "Attempts" } th.number scope="col" { "Payload" }
            } }
            tbody { @for letter in letters { tr {
                @if may_choose {
                    td { input type="checkbox" name="id" value=(letter.id) aria-label={
                            "Choose " (letter.subject_id) }; } }
                td { a href={ (ADDRESS) "/" (segment(&letter.id)) } { (time(letter.set_aside_ms)) } }
                td { (letter.component) }
                td { (Word::Known(letter.kind)) " " code {
                        @if letter.subject.is_empty() { (letter.subject_id) } @else { (letter.subject) } } }
                td.reason { (letter.reason) }
                td.number { (number(letter.attempts.into())) }
                td.number { (size(letter.payload_bytes)) }
            } } }
        } }
    }
}

pub(crate) async fn show(session: Session, Path(id): Path<String>) -> Response {
    let letter = session.api.get::<DeadLetterDetail>(&format!("/dead-letters/{}", segment(&id))).await;
    let content = letter.map(|letter| render(&session, &letter));
    page(&session, SECTION, "Dead letter", content)
}

fn render(session: &Session, DeadLetterDetail { summary: letter, payload, traceparent }: &DeadLetterDetail) -> Markup {
    html! {
        p.crumbs { a href=(ADDRESS) { "Dead letters" } }
        h1 { "Dead letter of " (letter.component) }
        p.alert { (letter.reason) }
        dl.facts {
            dt { "Kind" } dd { (Word::Known(letter.kind)) }
            @if !letter.subject.is_empty() { dt { "Subject" } dd { code { (letter.subject) } } }
            dt { "Id" } dd { code { (letter.subject_id) } }
            @if !letter.source.is_empty() { dt { "Published by" } dd { (letter.source) } }
            dt { "Published or due" } dd { (time(letter.time_ms)) }
            dt { "Set aside" } dd { (time(letter.set_aside_ms)) " after " (number(letter.attempts.into())) " attempts" }
            @if let Some(trace) = traceparent { dt { "Trace" } dd { code { (trace) } } }
        }
        section aria-labelledby="payload" {
            h2 #payload { "Payload" }
            @if let Some(payload) = payload {
                p.hint { "It may contain personal data." }
                pre tabindex="0" { code { (decoded(payload)) } }
            } @else {
            p.quiet { "The role view sees no payloads. This one has " (size(letter.payload_bytes)) "." } }
        }
        @if session.may_deploy(&letter.component) {
            div.actions {
                form method="post" action={ (ADDRESS) "/redeliver" } {
                    input type="hidden" name="id" value=(letter.id);
                    button.primary type="submit" { "Deliver again" }
                }
                form method="post" action={ (ADDRESS) "/discard" } {
                    input type="hidden" name="id" value=(letter.id);
                    button type="submit" { "Discard" }
                }
            }
        }
    }
}

/// JSON with lines, other text as it is, and other bytes as hexadecimal.
fn decoded(payload: &str) -> String {
    let bytes = hex::decode(payload).unwrap_or_default();
    let bytes = bytes.get(..SHOWN_BYTES).unwrap_or(&bytes);
    let json = serde_json::from_slice::<serde_json::Value>(bytes).ok();
    let json = json.and_then(|json| serde_json::to_string_pretty(&json).ok());
    json.or_else(|| std::str::from_utf8(bytes).ok().map(str::to_owned)).unwrap_or_else(|| hex::encode(bytes))
}

pub(crate) async fn redeliver(session: Session, fields: Fields) -> Response {
    let mut outcome = Outcome::default();
    let chosen = if fields.has("all") { "shown" } else { "id" };
    for id in fields.all(chosen) {
        let path = format!("/dead-letters/{}/redeliver", segment(id));
        outcome.add(session.api.change::<Redelivered>(Method::POST, &path, &json!({})).await.map(drop));
    }
    let content = answer(&session, &outcome, "delivered again").await;
    page(&session, SECTION, "Dead letters", content)
}

/// Asks first: nobody can deliver a letter again that is discarded.
pub(crate) async fn discard(session: Session, fields: Fields) -> Response {
    if !fields.has("confirmed") {
        return page(&session, SECTION, "Discard", confirmation(&fields));
    }
    let mut outcome = Outcome::default();
    let reason = query([("reason", fields.get("reason"))]);
    for id in fields.all("id") {
        let path = format!("/dead-letters/{}?{reason}", segment(id));
        outcome.add(session.api.act(Method::DELETE, &path).await);
    }
    let content = answer(&session, &outcome, "discarded").await;
    page(&session, SECTION, "Dead letters", content)
}

fn confirmation(fields: &Fields) -> Result<Markup, Refused> {
    let ids: Vec<&str> = fields.all("id").collect();
    if ids.is_empty() {
        return Err(not_found("You have chosen no dead letter"));
    }
    Ok(html! {
        h1 { "Discard " (ids.len()) " dead letters?" }
        p { "The host deletes them. Nobody can deliver them again." }
        (crate::layout::codes(&ids))
        form method="post" action={ (ADDRESS) "/discard" } {
            @for id in &ids { input type="hidden" name="id" value=(id); }
            input type="hidden" name="confirmed" value="yes";
            div.field {
                label for="reason" { "Reason" }
                input #reason name="reason" maxlength="200" autocomplete="off" aria-describedby="reason-hint";
                p.hint #reason-hint { "The audit keeps it. You may leave it out." }
            }
            div.actions { button.danger type="submit" { "Discard " (ids.len()) } a.button href=(ADDRESS) { "Cancel" } }
        }
    })
}

/// The results of a change of several letters.
#[derive(Default)]
struct Outcome {
    done: usize,
    refused: Vec<Refused>,
}

impl Outcome {
    fn add(&mut self, result: Result<(), Refused>) {
        match result {
            Ok(()) => self.done += 1,
            Err(refused) => self.refused.push(refused),
        }
    }
}

/// The list, with what was done above it. If nothing was done, this is the refusal.
async fn answer(session: &Session, outcome: &Outcome, what: &str) -> Result<Markup, Refused> {
    let result = match (outcome.done, outcome.refused.as_slice()) {
        (0, []) => return Err(not_found("You have chosen no dead letter")),
        (0, [refused, ..]) => return Err(refused.clone()),
        (count, refused) => html! {
            (done(&format!("{count} {what}.")))
            @for refused in refused { (faults(refused)) }
        },
    };
    listed(session, &Fields::default(), Some(result)).await
}
