//! The search for tickets by the words of their titles.
//!
//! A search looks at the newest tickets first, which suffices for common words.
//! Then it asks the index for the tickets with the rarest word. If every word is
//! common, it looks at further tickets, newest first. It stops after a fixed
//! amount of work, and the page may then have fewer tickets than the client
//! wanted. The link to the next page continues where the search stopped.

use ticketing_sdk::Result;
use ticketing_sdk::paging::Page;

use crate::domain::Ticket;
use crate::store::{self, IDS_AT_ONCE, Selection, Title};
use crate::{index, terms};

/// The tickets that a search looks at before it asks the index. Most searches
/// end here.
const NEWEST: usize = 150;
/// The titles of one page multiplied by the terms.
const COMPARISONS: usize = 4_000;
/// The titles that a search looks at for one page.
const TITLES: std::ops::RangeInclusive<usize> = 250..=1_000;

/// A page of tickets.
pub(crate) struct Found {
    pub(crate) tickets: Vec<Ticket>,
    /// The next page starts after this id. `None` if this is the last page.
    pub(crate) next: Option<String>,
}

/// Finds the tickets whose titles contain all terms. Without terms these are all
/// tickets.
pub(crate) fn page(selection: Selection<'_>, page: &Page, terms: &[String]) -> Result<Found> {
    if terms.is_empty() {
        return list(selection, page);
    }
    let wanted = usize::try_from(page.rows()).unwrap_or(usize::MAX);
    let mut search = Search { selection, terms, wanted, ids: Vec::new(), end: page.cursor.clone(), is_over: false };
    search.scan(NEWEST)?;
    if search.is_over() {
        return search.finish();
    }
    match candidates(terms)? {
        Some(ids) => search.compare(&ids)?,
        None => search.scan(titles_of_a_page(terms))?,
    }
    search.finish()
}

fn list(selection: Selection<'_>, page: &Page) -> Result<Found> {
    let mut tickets = store::list(selection, page)?;
    let next = page.next_after(&mut tickets, |ticket| &ticket.id);
    Ok(Found { tickets, next })
}

/// Titles that are all alike can make each comparison long, so there are fewer
/// with many terms.
fn titles_of_a_page(terms: &[String]) -> usize {
    (COMPARISONS / terms.len().max(1)).clamp(*TITLES.start(), *TITLES.end())
}

fn candidates(terms: &[String]) -> Result<Option<Vec<String>>> {
    if index::is_complete()? { index::candidates(terms) } else { Ok(None) }
}

struct Search<'a> {
    selection: Selection<'a>,
    terms: &'a [String],
    /// One more than the page holds.
    wanted: usize,
    ids: Vec<String>,
    /// The search has looked at all tickets before this one, which is the last.
    end: Option<String>,
    /// There are no more tickets.
    is_over: bool,
}

impl Search<'_> {
    fn is_over(&self) -> bool {
        self.is_over || self.ids.len() >= self.wanted
    }

    /// Looks at the next tickets, newest first.
    fn scan(&mut self, tickets: usize) -> Result<()> {
        let titles = store::titles(self.selection, self.end.as_deref(), tickets)?;
        self.is_over = titles.len() < tickets;
        if let Some(last) = titles.last() {
            self.end = Some(last.id.clone());
        }
        self.keep_matching(titles);
        Ok(())
    }

    /// Looks at these tickets, which are all that can match. The newest is first.
    fn compare(&mut self, ids: &[String]) -> Result<()> {
        let rest: Vec<&String> = ids.iter().filter(|id| self.end.as_ref().is_none_or(|end| *id < end)).collect();
        for group in rest.chunks(IDS_AT_ONCE) {
            if self.ids.len() >= self.wanted {
                break;
            }
            let titles = store::titles_of(self.selection, group)?;
            self.keep_matching(titles);
        }
        self.is_over = true;
        Ok(())
    }

    fn keep_matching(&mut self, titles: Vec<Title>) {
        let matching = titles.into_iter().filter(|title| match terms::folded(&title.key) {
            Some(folded) => terms::matches(folded, self.terms),
            None => terms::matches(&texts::fold(&title.key), self.terms),
        });
        self.ids.extend(matching.map(|title| title.id));
    }

    fn finish(mut self) -> Result<Found> {
        let next = if self.ids.len() >= self.wanted {
            self.ids.truncate(self.wanted.saturating_sub(1));
            self.ids.last().cloned()
        } else {
            self.end.filter(|_| !self.is_over)
        };
        let tickets = store::find_all(self.selection, &self.ids)?;
        Ok(Found { tickets, next })
    }
}
