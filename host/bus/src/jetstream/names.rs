//! The names of streams and subjects on the broker.

use std::collections::BTreeSet;

/// The names of one installation. They begin with its prefix.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: String,
}

/// The kind of a message's subject, with the subject of the event.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SubjectKind<'a> {
    /// The event was published for every subscriber.
    Event(&'a str),
    /// A copy of an event from before the component subscribed to its subject.
    CatchUp(&'a str),
    /// An operator sent the event again. The component gets it without a
    /// subscription too.
    Redelivery(&'a str),
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// The stream of events.
    pub(super) fn event_stream(&self) -> String {
        format!("{}-events", self.prefix)
    }

    /// The stream of dead letters.
    pub(super) fn dead_letter_stream(&self) -> String {
        format!("{}-dead-letters", self.prefix)
    }

    /// All subjects in the stream of events.
    pub(super) fn event_stream_subjects(&self) -> Vec<String> {
        ["events", "catchup", "redeliver"].map(|kind| format!("{}.{kind}.>", self.prefix)).into()
    }

    /// All subjects in the stream of dead letters.
    pub(super) fn dead_letter_stream_subjects(&self) -> Vec<String> {
        vec![format!("{}.dead.>", self.prefix)]
    }

    pub(super) fn event_subject(&self, subject: &str) -> String {
        format!("{}.events.{subject}", self.prefix)
    }

    pub(super) fn catch_up_subject(&self, component: &str, subject: &str) -> String {
        format!("{}.catchup.{component}.{subject}", self.prefix)
    }

    pub(super) fn redelivery_subject(&self, component: &str, subject: &str) -> String {
        format!("{}.redeliver.{component}.{subject}", self.prefix)
    }

    /// The subject for the host that relays a component's events. It is in no
    /// stream.
    pub(super) fn forwarding_subject(&self, component: &str) -> String {
        format!("{}.takeover.{component}", self.prefix)
    }

    /// The id is encoded, because it may contain characters that a subject may
    /// not. With `*` as the component the subject is a pattern for all of them.
    pub(super) fn dead_letter_subject(&self, component: &str, id: &str) -> String {
        format!("{}.dead.{component}.{}", self.prefix, hex::encode(id))
    }

    /// The subject of a dead letter as earlier versions of the host wrote it.
    pub(super) fn old_dead_letter_subject(&self, id: &str) -> String {
        format!("{}.dead.{}", self.prefix, hex::encode(id))
    }

    /// The pattern for all dead letters of a component.
    pub(super) fn dead_letters_of(&self, component: &str) -> String {
        format!("{}.dead.{component}.>", self.prefix)
    }

    /// The filters of a component's consumer. The list is never empty, because a
    /// consumer without a filter delivers everything.
    pub(super) fn filters(&self, component: &str, subjects: &BTreeSet<String>) -> Vec<String> {
        let both = |subject: &String| [self.event_subject(subject), self.catch_up_subject(component, subject)];
        let mut filters: Vec<String> = subjects.iter().flat_map(both).collect();
        filters.push(self.redelivery_subject(component, ">"));
        filters
    }

    /// The subjects of events that these filters select.
    pub(super) fn subscribed_subjects(&self, filters: &[String]) -> BTreeSet<String> {
        let prefix = self.event_subject("");
        filters.iter().filter_map(|filter| filter.strip_prefix(&prefix)).map(str::to_owned).collect()
    }

    /// The kind of a subject. None if the component does not get messages on it.
    pub(super) fn kind_of<'a>(&self, component: &str, subject: &'a str) -> Option<SubjectKind<'a>> {
        let rest = subject.strip_prefix(&self.prefix)?.strip_prefix('.')?;
        let (kind, rest) = rest.split_once('.')?;
        let after_component = || rest.strip_prefix(component)?.strip_prefix('.');
        match kind {
            "events" => Some(SubjectKind::Event(rest)),
            "catchup" => after_component().map(SubjectKind::CatchUp),
            "redeliver" => after_component().map(SubjectKind::Redelivery),
            _ => None,
        }
    }
}

impl<'a> SubjectKind<'a> {
    pub(super) fn event_subject(&self) -> &'a str {
        let (Self::Event(subject) | Self::CatchUp(subject) | Self::Redelivery(subject)) = self;
        subject
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_read_from_the_filters_that_they_make() {
        let names = Names::new("shop");
        let subjects = BTreeSet::from(["thing.made".to_owned(), "thing".to_owned()]);
        let filters = names.filters("one", &subjects);
        assert_eq!(names.subscribed_subjects(&filters), subjects);
        assert!(names.subscribed_subjects(&names.filters("one", &BTreeSet::new())).is_empty());
        assert_eq!(names.filters("one", &BTreeSet::new()), ["shop.redeliver.one.>"]);
    }

    #[test]
    fn a_subject_has_a_kind() {
        let names = Names::new("shop");
        assert_eq!(names.kind_of("one", &names.event_subject("thing.made")), Some(SubjectKind::Event("thing.made")));
        assert_eq!(names.kind_of("one", &names.catch_up_subject("one", "a")), Some(SubjectKind::CatchUp("a")));
        assert_eq!(names.kind_of("one", &names.redelivery_subject("one", "a.b")), Some(SubjectKind::Redelivery("a.b")));
        for other in [
            names.redelivery_subject("other", "a"),
            names.dead_letter_subject("one", "x"),
            "shopping.events.a".into(),
            "a".into(),
        ] {
            assert_eq!(names.kind_of("one", &other), None, "{other}");
        }
    }
}
