//! `/events`: who publishes and who receives which events. The manifests of the
//! active revisions say so, as far as the policies allow it.

use super::{
    Operator,
    caller::Caller,
    input::Query,
    page::{Page, PageQuery},
};
use axum::extract::State;
use host_api::{
    error::Envelope,
    events::{BacklogView, ReceiverView, SubjectView},
};
use host_bus::{Backlog, Bus};
use host_http::error::Problem;
use host_plugin::registry::Plugin;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::timeout;

const BUS_ANSWERS: Duration = Duration::from_secs(3);

/// The plugins of a subject.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parties {
    publishers: BTreeSet<String>,
    receivers: BTreeSet<String>,
}

/// The subjects of events, with the plugins that publish and receive them. A canary
/// counts as its plugin.
#[utoipa::path(get, path = "/events", operation_id = "list_subjects", tag = "events and timers", params(PageQuery), responses(
    (status = 200, body = [SubjectView]),
    (status = 400, body = Envelope),
))]
pub(super) async fn list(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Query(query): Query<PageQuery>,
) -> Result<Page<SubjectView>, Problem> {
    let snapshot = operator.rollout.registry.snapshot();
    let covered = snapshot.plugins().filter(|plugin| caller.covers(plugin.revision.name()));
    let subjects = by_subject(covered.flat_map(Plugin::revisions).map(|revision| {
        let messaging = &revision.manifest.messaging;
        (revision.name(), &messaging.publishes, &messaging.subscribes)
    }));
    let backlog = backlog(&*operator.bus).await;
    let rest = subjects.into_iter().filter(|(subject, _)| query.after.as_ref().is_none_or(|after| subject > after));
    Page::of("/events", &query, rest.map(|(subject, parties)| (subject.clone(), view(subject, parties, &backlog))))
}

/// The parties of each subject, from what each revision publishes and receives.
fn by_subject<'a>(
    revisions: impl Iterator<Item = (&'a str, &'a BTreeSet<String>, &'a BTreeSet<String>)>,
) -> BTreeMap<String, Parties> {
    let mut subjects = BTreeMap::<String, Parties>::new();
    for (name, publishes, receives) in revisions {
        for subject in publishes {
            subjects.entry(subject.clone()).or_default().publishers.insert(name.to_owned());
        }
        for subject in receives {
            subjects.entry(subject.clone()).or_default().receivers.insert(name.to_owned());
        }
    }
    subjects
}

/// None if the bus does not answer in time.
async fn backlog(bus: &dyn Bus) -> Option<Backlog> {
    let answer = timeout(BUS_ANSWERS, bus.backlog()).await.ok()?;
    answer.inspect_err(|error| tracing::debug!(%error, "the number of waiting events is unknown")).ok()
}

fn view(subject: String, parties: Parties, backlog: &Option<Backlog>) -> SubjectView {
    let waiting = |plugin: &str| {
        let consumer = backlog.as_ref()?.consumers.get(plugin).copied().unwrap_or_default();
        let (pending, unacknowledged) = (consumer.pending, consumer.unacknowledged);
        Some(BacklogView { pending, unacknowledged, redelivered: consumer.redelivered })
    };
    let receivers = parties.receivers.into_iter();
    SubjectView {
        subject,
        publishers: parties.publishers.into_iter().collect(),
        receivers: receivers.map(|plugin| ReceiverView { backlog: waiting(&plugin), plugin }).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_bus::ConsumerBacklog;

    fn set(subjects: &[&str]) -> BTreeSet<String> {
        subjects.iter().map(|subject| (*subject).to_owned()).collect()
    }

    #[test]
    fn a_subject_has_its_publishers_and_receivers_once_each() {
        let (made, both, none) = (set(&["a.made"]), set(&["a.made", "b.made"]), set(&[]));
        let revisions = [("one", &made, &none), ("one", &made, &none), ("two", &none, &both), ("three", &none, &made)];
        let subjects = by_subject(revisions.into_iter());
        let expected = |publishers, receivers| Parties { publishers: set(publishers), receivers: set(receivers) };
        assert_eq!(subjects["a.made"], expected(&["one"], &["three", "two"]));
        assert_eq!(subjects["b.made"], expected(&[], &["two"]));
        assert_eq!(subjects.len(), 2);
    }

    #[test]
    fn a_receiver_has_its_backlog_if_the_bus_answers() {
        let parties = || Parties { receivers: set(&["idle", "slow"]), ..Parties::default() };
        let slow = ConsumerBacklog { pending: 7, unacknowledged: 2, redelivered: 1 };
        let consumers = BTreeMap::from([("slow".to_owned(), slow), ("other".to_owned(), slow)]);
        let known = view("a.made".to_owned(), parties(), &Some(Backlog { consumers, dead_letters: 0 }));
        let backlogs: Vec<_> = known.receivers.iter().map(|receiver| receiver.backlog).collect();
        let expected = BacklogView { pending: 7, unacknowledged: 2, redelivered: 1 };
        assert_eq!(backlogs, [Some(BacklogView::default()), Some(expected)]);
        let unknown = view("a.made".to_owned(), parties(), &None);
        assert!(unknown.receivers.iter().all(|receiver| receiver.backlog.is_none()));
    }
}
