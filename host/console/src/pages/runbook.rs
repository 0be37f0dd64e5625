//! The runbook of the alerts, as the file in `deploy` has it. Alerts of the
//! overview lead to its chapters.

use crate::{
    layout::{Section, page},
    session::Session,
};
use axum::response::Response;
use maud::{Markup, html};

const RUNBOOK: &str = include_str!("../../../../deploy/runbook.md");

/// A piece of the file that a blank line or its first characters set apart.
struct Block {
    kind: Kind,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Paragraph,
    Group,
    Chapter,
    Item,
}

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
    html! {
        article.prose {
            h1 { "Runbook" }
            @for run in blocks(chapters).chunk_by(|one, other| one.kind == Kind::Item && other.kind == Kind::Item) {
                @match run {
                    [Block { kind: Kind::Item, .. }, ..] => { ul { @for item in run { li { (inline(&item.text)) } } } }
                    _ => { @for block in run { (render_one(block)) } }
                }
            }
        }
    }
}

fn render_one(block: &Block) -> Markup {
    let text = inline(&block.text);
    html! {
        @match block.kind {
            Kind::Group => { h2 { (text) } }
            Kind::Chapter => { h3 id=(block.text.to_lowercase()) { (text) } }
            Kind::Paragraph | Kind::Item => { p { (text) } }
        }
    }
}

fn blocks(file: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    for line in file.lines().map(str::trim) {
        let (kind, text) = [("### ", Kind::Chapter), ("## ", Kind::Group), ("- ", Kind::Item)]
            .iter()
            .find_map(|(mark, kind)| Some((*kind, line.strip_prefix(mark)?)))
            .unwrap_or((Kind::Paragraph, line));
        match blocks.last_mut() {
            Some(open) if is_open && kind == Kind::Paragraph && !text.is_empty() => {
                open.text.push(' ');
                open.text.push_str(text);
            }
            _ if text.is_empty() => {}
            _ => blocks.push(Block { kind, text: text.to_owned() }),
        }
        is_open = !text.is_empty() && matches!(kind, Kind::Paragraph | Kind::Item);
    }
    blocks
}

/// Code between back quotes, and links to other chapters.
fn inline(text: &str) -> Markup {
    html! {
        @for (place, part) in text.split('`').enumerate() {
            @if place % 2 == 1 { code { (part) } } @else { (links(part)) }
        }
    }
}

fn links(text: &str) -> Markup {
    let link = || {
        let (before, rest) = text.split_once('[')?;
        let (label, rest) = rest.split_once("](#")?;
        let (chapter, rest) = rest.split_once(')')?;
        Some((before, label, chapter, rest))
    };
    html! {
        @match link() {
            Some((before, label, chapter, rest)) => { (before) a href={ "#" (chapter) } { (label) } (links(rest)) }
            None => { (text) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chapters_paragraphs_lists_code_and_links_are_shown() {
        let shown = render(
            "# Title\n\nFor [files](x.md).\n\n## Hosts\n\n### HostDown\nFirst `a < b`\nsecond, see [Other](#other).\n\n- one\n  more\n- two\n",
        );
        let expected = "<h1>Runbook</h1><h2>Hosts</h2><h3 id=\"hostdown\">HostDown</h3>\
            <p>First <code>a &lt; b</code> second, see <a href=\"#other\">Other</a>.</p>\
            <ul><li>one more</li><li>two</li></ul>";
        assert_eq!(shown.into_string(), format!("<article class=\"prose\">{expected}</article>"));
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
