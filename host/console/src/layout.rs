//! The frame of all pages, and the parts that several pages have.

use crate::{api::Refused, assets, session::Session};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use maud::{DOCTYPE, Markup, html};

/// The parts of the console, in the order of the menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Overview,
    Upload,
    Events,
    DeadLetters,
    Timers,
    Traces,
    Routes,
    Cluster,
    Audit,
    Tokens,
}

impl Section {
    const ALL: [Self; 10] = [
        Self::Overview,
        Self::Upload,
        Self::Events,
        Self::DeadLetters,
        Self::Timers,
        Self::Traces,
        Self::Routes,
        Self::Cluster,
        Self::Audit,
        Self::Tokens,
    ];

    fn link(self) -> (&'static str, &'static str) {
        match self {
            Self::Overview => ("/console", "Overview"),
            Self::Upload => ("/console/upload", "Upload"),
            Self::Events => ("/console/events", "Events"),
            Self::Timers => ("/console/timers", "Timers"),
            Self::Traces => ("/console/traces", "Traces"),
            Self::DeadLetters => ("/console/dead-letters", "Dead letters"),
            Self::Routes => ("/console/routes", "Routes"),
            Self::Cluster => ("/console/cluster", "Cluster"),
            Self::Audit => ("/console/audit", "Audit"),
            Self::Tokens => ("/console/tokens", "Tokens"),
        }
    }

    fn is_for(self, session: &Session) -> bool {
        match self {
            Self::Upload => session.may_upload(),
            Self::Tokens => session.may_administer(),
            _ => true,
        }
    }
}

/// A page for a person who is signed in, or the reason why there is none.
pub(crate) fn page(session: &Session, section: Section, title: &str, content: Result<Markup, Refused>) -> Response {
    match content {
        Ok(content) => frame(title, Some((session, section)), &content).into_response(),
        Err(refused) => {
            let title = heading(refused.status);
            let content = html! {
                h1 { (title) }
                (faults(&refused))
                p { a href="/console" { "Go to the overview" } }
            };
            (refused.status, frame(title, Some((session, section)), &content)).into_response()
        }
    }
}

fn heading(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => "Not allowed",
        status if status.is_server_error() => "The host could not do this",
        _ => "The host refused this",
    }
}

/// A page for a person who is not signed in.
pub(crate) fn stranger(title: &str, content: &Markup) -> Markup {
    frame(title, None, content)
}

fn frame(title: &str, session: Option<(&Session, Section)>, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Console" }
                link rel="icon" href=(assets::address("icon.svg")) type="image/svg+xml";
                @for style in ["base.css", "frame.css", "content.css", "states.css", "charts.css"] {
                    link rel="stylesheet" href=(assets::address(style));
                }
                script type="module" src=(assets::address("main.js")) {}
            }
            body class=[session.is_none().then_some("alone")] {
                a.skip href="#main" { "Skip to the content" }
                header {
                    a.brand href="/console" { img src=(assets::address("icon.svg")) alt="" width="24" height="24";
                        "Console" }
                    @if let Some((session, section)) = session { (menu(session, section)) (user(session)) }
                }
                main #main tabindex="-1" { (content) }
            }
        }
    }
}

fn menu(session: &Session, current: Section) -> Markup {
    html! {
        nav aria-label="Console" {
            ul {
                @for section in Section::ALL.into_iter().filter(|section| section.is_for(session)) {
                    @let (address, text) = section.link();
                    li { a href=(address) aria-current=[(section == current).then_some("page")] { (text) } }
                }
            }
        }
    }
}

fn user(session: &Session) -> Markup {
    html! {
        form.user method="post" action="/console/sign-out" {
            p {
                span.visually-hidden { "Signed in as " }
                strong { (session.caller.name) }
                span.quiet { (session.caller.role) }
            }
            button.small type="submit" { "Sign out" }
        }
    }
}

/// The reasons of a refusal.
pub(crate) fn faults(refused: &Refused) -> Markup {
    html! {
        // A list with the role of an alert would be no list any more.
        div.alert role="alert" { ul {
            @for fault in &refused.faults {
                li {
                    @if let Some(field) = &fault.field { code { (field) } " " }
                    (fault.message)
                }
            }
        } }
    }
}

/// A message that a change was made.
pub(crate) fn done(text: &str) -> Markup {
    html! { p.notice role="status" { (text) } }
}

/// The text in place of a list without rows, and the next step.
pub(crate) fn empty(text: &str, next: &Markup) -> Markup {
    html! { div.empty { p { (text) } (next) } }
}

/// A list of texts, or a dash if there are none.
pub(crate) fn codes<T: std::fmt::Display>(texts: impl IntoIterator<Item = T>) -> Markup {
    let mut texts = texts.into_iter().peekable();
    html! {
        @if texts.peek().is_none() { span.quiet { "none" } } @else {
            ul.codes { @for text in texts { li { code { (text) } } } }
        }
    }
}

/// A link to the next page of a list.
pub(crate) fn more(path: &str, next: Option<&String>) -> Markup {
    html! {
        @if let Some(query) = next { p { a.button rel="next" href={ (path) "?" (query) } { "Show more" } } }
    }
}
