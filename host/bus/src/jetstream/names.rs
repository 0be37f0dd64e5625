//! What streams, subjects and consumers are called.

use std::collections::BTreeSet;

/// Names that begin with one installation's prefix.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: String,
}

/// A message's way to a component.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Way<'a> {
    /// Published for everybody.
    Event(&'a str),
    /// From before the component subscribed to its subject.
    CatchUp(&'a str),
    /// Sent again by an operator, whatever is subscribed to.
    Redelivery(&'a str),
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The stream of events.
    pub(super) fn events(&self) -> String {
        format!("{}-events", self.prefix)
    }

    /// The stream of dead letters.
    pub(super) fn dead_letters(&self) -> String {
        format!("{}-dead-letters", self.prefix)
    }

    /// Everything in the stream of events.
    pub(super) fn of_events(&self) -> Vec<String> {
        ["events", "catchup", "redeliver"].map(|kind| format!("{}.{kind}.>", self.prefix)).into()
    }

    /// Everything in the stream of dead letters.
    pub(super) fn of_dead_letters(&self) -> Vec<String> {
        vec![format!("{}.dead.>", self.prefix)]
    }

    pub(super) fn event(&self, subject: &str) -> String {
        format!("{}.events.{subject}", self.prefix)
    }

    pub(super) fn catch_up(&self, component: &str, subject: &str) -> String {
        format!("{}.catchup.{component}.{subject}", self.prefix)
    }

    pub(super) fn redelivery(&self, component: &str, subject: &str) -> String {
        format!("{}.redeliver.{component}.{subject}", self.prefix)
    }

    /// What hosts hand over to the one that carries a component's events. In no
    /// stream.
    pub(super) fn takeover(&self, component: &str) -> String {
        format!("{}.takeover.{component}", self.prefix)
    }

    /// A letter's id may be of any characters, a subject's word may not.
    pub(super) fn dead_letter(&self, id: &str) -> String {
        format!("{}.dead.{}", self.prefix, hex::encode(id))
    }

    /// What a component's consumer is to deliver. Never nothing, which would
    /// mean everything.
    pub(super) fn filters(&self, component: &str, subjects: &BTreeSet<String>) -> Vec<String> {
        let both = |subject: &String| [self.event(subject), self.catch_up(component, subject)];
        let mut filters: Vec<String> = subjects.iter().flat_map(both).collect();
        filters.push(self.redelivery(component, ">"));
        filters
    }

    /// The subjects of events for which a consumer has these filters.
    pub(super) fn subjects(&self, filters: &[String]) -> BTreeSet<String> {
        let prefix = self.event("");
        filters.iter().filter_map(|filter| filter.strip_prefix(&prefix)).map(str::to_owned).collect()
    }

    /// How a message comes to a component, and the subject of its event.
    pub(super) fn way<'a>(&self, component: &str, subject: &'a str) -> Option<Way<'a>> {
        let rest = subject.strip_prefix(&self.prefix)?.strip_prefix('.')?;
        let (kind, rest) = rest.split_once('.')?;
        let own = || rest.strip_prefix(component)?.strip_prefix('.');
        match kind {
            "events" => Some(Way::Event(rest)),
            "catchup" => own().map(Way::CatchUp),
            "redeliver" => own().map(Way::Redelivery),
            _ => None,
        }
    }
}

impl<'a> Way<'a> {
    pub(super) fn subject(&self) -> &'a str {
        let (Self::Event(subject) | Self::CatchUp(subject) | Self::Redelivery(subject)) = self;
        subject
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_as_it_was_written() {
        let names = Names::new("shop");
        let subjects = BTreeSet::from(["thing.made".to_owned(), "thing".to_owned()]);
        let filters = names.filters("one", &subjects);
        assert_eq!(names.subjects(&filters), subjects);
        assert!(names.subjects(&names.filters("one", &BTreeSet::new())).is_empty());
        assert_eq!(names.filters("one", &BTreeSet::new()), ["shop.redeliver.one.>"]);
    }

    #[test]
    fn a_message_tells_its_way() {
        let names = Names::new("shop");
        assert_eq!(names.way("one", &names.event("thing.made")), Some(Way::Event("thing.made")));
        assert_eq!(names.way("one", &names.catch_up("one", "a")), Some(Way::CatchUp("a")));
        assert_eq!(names.way("one", &names.redelivery("one", "a.b")), Some(Way::Redelivery("a.b")));
        for other in [names.redelivery("other", "a"), names.dead_letter("x"), "shopping.events.a".into(), "a".into()] {
            assert_eq!(names.way("one", &other), None, "{other}");
        }
    }
}
