//! The part of Markdown that a check of names and links needs.

use std::collections::BTreeSet;

/// A page, without its blocks of code.
pub(super) struct Page {
    /// All lines, blocks of code included.
    pub(super) lines: usize,
    /// The texts in backticks.
    pub(super) spans: Vec<Span>,
    pub(super) links: Vec<Link>,
    /// The names by which a link can lead to a heading.
    pub(super) anchors: BTreeSet<String>,
    rows: Vec<Row>,
}

/// A text in backticks.
pub(super) struct Span {
    pub(super) line: usize,
    pub(super) text: String,
    /// In a table: the heading of its column.
    pub(super) column: Option<String>,
}

pub(super) struct Link {
    pub(super) line: usize,
    pub(super) target: String,
}

/// A row of a table: for each cell the heading of its column and its text.
struct Row {
    line: usize,
    cells: Vec<(String, String)>,
}

impl Page {
    pub(super) fn parse(text: &str) -> Self {
        let mut page = Self {
            lines: text.lines().count(),
            spans: Vec::new(),
            links: Vec::new(),
            anchors: BTreeSet::new(),
            rows: Vec::new(),
        };
        let mut in_code = false;
        let mut header: Option<Vec<String>> = None;
        for (line, text) in (1..).zip(text.lines()) {
            if text.trim_start().starts_with("```") {
                in_code = !in_code;
                continue;
            }
            if in_code {
                continue;
            }
            if let Some(heading) = text.strip_prefix('#') {
                page.anchors.insert(anchor(heading.trim_start_matches('#')));
            }
            header = page.read_line(line, text, header);
        }
        page
    }

    /// Reads one line and returns the header of the table that it is part of.
    fn read_line(&mut self, line: usize, text: &str, header: Option<Vec<String>>) -> Option<Vec<String>> {
        self.links.extend(links(text).map(|target| Link { line, target }));
        let Some(cells) = cells(text) else {
            self.spans.extend(spans(text).map(|text| Span { line, text, column: None }));
            return None;
        };
        let Some(header) = header else { return Some(cells) };
        let is_rule = cells.iter().all(|cell| !cell.is_empty() && cell.bytes().all(|byte| b"-: ".contains(&byte)));
        if !is_rule {
            let cells: Vec<(String, String)> = header.iter().cloned().zip(cells).collect();
            for (column, text) in &cells {
                self.spans.extend(spans(text).map(|text| Span { line, text, column: Some(column.clone()) }));
            }
            self.rows.push(Row { line, cells });
        }
        Some(header)
    }

    /// The rows of tables with this column whose cell in it names nothing.
    pub(super) fn rows_without(&self, column: &str) -> impl Iterator<Item = (usize, String)> {
        self.rows.iter().filter_map(move |row| {
            let (_, cell) = row.cells.iter().find(|(heading, _)| heading == column)?;
            let first = row.cells.first().map_or("", |(_, text)| text.as_str());
            spans(cell).next().is_none().then(|| (row.line, format!("The row \"{first}\" names none.")))
        })
    }
}

/// The cells of a line of a table.
fn cells(text: &str) -> Option<Vec<String>> {
    let inside = text.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(inside.split('|').map(|cell| cell.trim().to_owned()).collect())
}

/// The texts in single backticks.
fn spans(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// The targets of the links, but not what only looks like one in backticks.
fn links(text: &str) -> impl Iterator<Item = String> {
    let mut plain = String::new();
    let mut in_span = false;
    for part in text.split('`') {
        // A text in backticks may be the text of a link.
        plain.push_str(if in_span { "code" } else { part });
        in_span = !in_span;
    }
    let targets: Vec<String> = plain
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target.trim().to_owned()))
        .collect();
    targets.into_iter()
}

/// The name that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|&c| c.is_alphanumeric() || c == ' ' || c == '-' || c == '_');
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_in_a_table_know_their_column() {
        let page = Page::parse("`a`\n\n| | Held by |\n|---|---|\n| `b` | `c`; `d` |\n\n`e`\n");
        let columns: Vec<_> = page.spans.iter().map(|span| (span.text.as_str(), span.column.as_deref())).collect();
        let held_by = Some("Held by");
        assert_eq!(columns, [("a", None), ("b", Some("")), ("c", held_by), ("d", held_by), ("e", None)]);
        assert_eq!(page.spans[2].line, 5);
    }

    #[test]
    fn blocks_of_code_are_left_out_and_counted() {
        let page = Page::parse("```sh\n`a` [b](c)\n```\n[`d`](e.md)\n");
        assert_eq!(page.lines, 4);
        assert!(page.spans.iter().all(|span| span.text == "d"));
        assert_eq!(page.links.iter().map(|link| link.target.as_str()).collect::<Vec<_>>(), ["e.md"]);
    }

    #[test]
    fn headings_have_the_anchors_that_github_gives_them() {
        let page = Page::parse("# One\n## What `a` is, and b\n");
        assert_eq!(page.anchors.iter().map(String::as_str).collect::<Vec<_>>(), ["one", "what-a-is-and-b"]);
    }
}
