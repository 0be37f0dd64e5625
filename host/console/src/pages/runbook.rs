//! The runbook of the alerts, as the file in `deploy` has it. Alerts of the
//! overview lead to its chapters.

use crate::{
    layout::{Section, page},
    session::Session,
};
use axum::response::Response;
use maud::{Markup, PreEscaped, html};
use pulldown_cmark::{Event, Parser, Tag, html::push_html};

const RUNBOOK: &str = include_str!("../../../../deploy/runbook.md");

pub(crate) async fn show(session: Session) -> Response {
    page(&session, Section::Overview, "Runbook", Ok(render(RUNBOOK)))
}

/// A link to the chapter of an alert.
pub(super) fn link(alert: &str) -> Markup {
    html! { a href={ "/console/runbook#" (alert.to_lowercase()) } { "Runbook: " (alert) } }
}

/// The groups of chapters. The introduction before them is about other files.
fn render(file: &str) -> Markup {
    let chapters = file.find("\n## ").and_then(|begin| file.get(begin..)).unwrap_or_default();
    let mut events: Vec<Event> = Parser::new(chapters).collect();
    for place in 1..events.len() {
        let Some([before, Event::Text(name)]) = events.get_mut(place - 1..=place) else { continue };
        if let Event::Start(Tag::Heading { id, .. }) = before {
            *id = Some(name.to_lowercase().into());
        }
    }
    let mut chapters = String::new();
    push_html(&mut chapters, events.into_iter());
    html! { article.prose { h1 { "Runbook" } (PreEscaped(chapters)) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chapters_paragraphs_lists_code_and_links_are_shown() {
        let shown = render(
            "# Title\n\nFor [files](x.md).\n\n## Hosts\n\n### HostDown\nFirst `a < b`\nsecond, see [Other](#other).\n\n- one\n  more\n- two\n",
        );
        let expected = "<h1>Runbook</h1><h2 id=\"hosts\">Hosts</h2> <h3 id=\"hostdown\">HostDown</h3> \
            <p>First <code>a &lt; b</code> second, see <a href=\"#other\">Other</a>.</p> \
            <ul> <li>one more</li> <li>two</li> </ul> ";
        let shown = shown.into_string().replace('\n', " ");
        assert_eq!(shown, format!("<article class=\"prose\">{expected}</article>"));
    }

    #[test]
    fn every_alert_of_the_overview_has_a_chapter() {
        let shown = render(RUNBOOK).into_string();
        for alert in super::super::alerts::CHAPTERS {
            assert!(shown.contains(&format!("<h3 id=\"{}\">{alert}</h3>", alert.to_lowercase())), "{alert}");
            assert!(link(alert).into_string().contains(&format!("#{}\"", alert.to_lowercase())));
        }
    }
}
