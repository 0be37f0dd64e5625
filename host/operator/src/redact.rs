//! Answers for callers that are bound to plugins. They name no other plugin.

use super::{Operator, caller::Caller};
use host_api::verdict::Verdict;
use host_http::error::Problem;
use std::collections::BTreeSet;

/// What stands in place of a name.
const ANOTHER: &str = "another plugin";

/// The names that a caller must not see. Empty for a caller that sees all.
pub(super) struct Redaction(BTreeSet<String>);

impl Redaction {
    /// The names that this caller must not see.
    pub(super) fn of(operator: &Operator, caller: &Caller) -> Self {
        if caller.plugins.is_none() {
            return Self(BTreeSet::new());
        }
        let snapshot = operator.rollout.registry.snapshot();
        let active = snapshot.plugins().map(|plugin| plugin.revision.name());
        let starting = snapshot.all_starting().map(|starting| starting.manifest.name.as_str());
        Self(active.chain(starting).filter(|name| !caller.covers(name)).map(str::to_owned).collect())
    }

    /// The text without those names. A name is a whole word: it is no part of a
    /// path, a subject or another name.
    pub(super) fn text(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        let mut redacted = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let word = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
            let (before, after) = rest.split_at(word);
            let (name, end) = match before.strip_suffix('.') {
                Some(name) => (name, "."),
                None => (before, ""),
            };
            match self.0.contains(name) {
                true => redacted.extend([ANOTHER, end]),
                false => redacted.push_str(before),
            }
            let gap = after.find(is_part).unwrap_or(after.len());
            let (gap, next) = after.split_at(gap);
            redacted.push_str(gap);
            rest = next;
        }
        redacted
    }

    /// The problem without those names.
    pub(super) fn problem(&self, problem: Problem) -> Problem {
        problem.map_messages(|message| self.text(message))
    }

    /// The verdict without those names.
    pub(super) fn verdict(&self, mut verdict: Verdict) -> Verdict {
        verdict.problems.iter_mut().for_each(|problem| *problem = self.text(problem));
        verdict
    }
}

fn is_part(letter: char) -> bool {
    letter.is_alphanumeric() || "-_./:{}*".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_replaced_where_it_is_a_whole_word() {
        let redaction = Redaction(BTreeSet::from(["orders".to_owned(), "orders-2".to_owned()]));
        for (text, redacted) in [
            (
                "the route GET /orders/{id} of mine belongs to orders already",
                "the route GET /orders/{id} of mine belongs to another plugin already",
            ),
            ("orders-2 and orders.", "another plugin and another plugin."),
            ("`orders`, (orders)", "`another plugin`, (another plugin)"),
            ("order.created reorders preorders", "order.created reorders preorders"),
            ("", ""),
        ] {
            assert_eq!(redaction.text(text), redacted);
        }
        assert_eq!(Redaction(BTreeSet::new()).text("orders"), "orders");
    }
}
