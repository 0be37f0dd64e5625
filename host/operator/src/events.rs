//! `/events`: who publishes and who receives which events, and their schemas. The
//! files of the active revisions say so, as far as the policies allow it.

use super::{
    Operator,
    caller::Caller,
    input::Query,
    page::{Page, PageQuery},
};
use axum::{
    Json,
    extract::{Path, State},
};
use host_api::{
    error::Envelope,
    events::{BacklogView, DeliveredView, ReceiverView, SchemaView, SubjectDetails, SubjectView},
};
use host_bus::{Backlog, Bus};
use host_http::error::Problem;
use host_plugin::{Revision, Snapshot, delivery_rates::Delivered, registry::Plugin};
use http::StatusCode;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::timeout;

const BUS_ANSWERS: Duration = Duration::from_secs(3);

/// The plugins of a subject.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parties {
    publishers: BTreeSet<String>,
    receivers: BTreeSet<String>,
    has_schema: bool,
}

/// What one revision publishes and receives.
struct Messages<'a> {
    plugin: &'a str,
    publishes: &'a BTreeSet<String>,
    receives: &'a BTreeSet<String>,
    has_schema: &'a dyn Fn(&str) -> bool,
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
    let subjects = by_subject(&covered(&snapshot, &caller));
    let backlog = backlog(&*operator.bus).await;
    let rest = subjects.into_iter().filter(|(subject, _)| query.after.as_ref().is_none_or(|after| subject > after));
    let seen = Seen { backlog, snapshot: &snapshot };
    Page::of("/events", &query, rest.map(|(subject, parties)| (subject.clone(), view(subject, parties, &seen))))
}

/// One subject, with the schemas of its payload. The schemas come from files of
/// plugins, and the sample from the schema, so every role may see them.
#[utoipa::path(get, path = "/events/{subject}", operation_id = "show_subject", tag = "events and timers",
    params(("subject" = String, Path)), responses(
        (status = 200, body = SubjectDetails),
        (status = 404, body = Envelope),
))]
pub(super) async fn show(
    State(operator): State<Arc<Operator>>,
    caller: Caller,
    Path(subject): Path<String>,
) -> Result<Json<SubjectDetails>, Problem> {
    let snapshot = operator.rollout.registry.snapshot();
    let revisions = covered(&snapshot, &caller);
    let unknown = || Problem::new(StatusCode::NOT_FOUND, format!("no plugin publishes or receives {subject}"));
    let parties = by_subject(&revisions).remove(&subject).ok_or_else(unknown)?;
    let schemas = revisions.iter().filter_map(|revision| schema(revision, &subject)).collect();
    let seen = Seen { backlog: backlog(&*operator.bus).await, snapshot: &snapshot };
    let view = view(subject, parties, &seen);
    Ok(Json(SubjectDetails { view, schemas }))
}

/// The revisions that the caller may see.
fn covered<'a>(snapshot: &'a Snapshot, caller: &Caller) -> Vec<&'a Arc<Revision>> {
    let covered = snapshot.plugins().filter(|plugin| caller.covers(plugin.revision.name()));
    covered.flat_map(Plugin::revisions).collect()
}

/// The schema of a subject that this revision may publish.
fn schema(revision: &Revision, subject: &str) -> Option<SchemaView> {
    let schema = revision.events.get(subject).filter(|_| revision.manifest.messaging.publishes.contains(subject))?;
    Some(SchemaView {
        plugin: revision.name().to_owned(),
        revision: revision.id.clone(),
        schema: schema.clone().into(),
        sample: revision.events.sample(subject),
    })
}

/// The parties of each subject.
fn by_subject(revisions: &[&Arc<Revision>]) -> BTreeMap<String, Parties> {
    let mut subjects = BTreeMap::new();
    for revision in revisions {
        let messaging = &revision.manifest.messaging;
        add(
            &mut subjects,
            &Messages {
                plugin: revision.name(),
                publishes: &messaging.publishes,
                receives: &messaging.subscribes,
                has_schema: &|subject| revision.events.get(subject).is_some(),
            },
        );
    }
    subjects
}

fn add(subjects: &mut BTreeMap<String, Parties>, messages: &Messages<'_>) {
    for subject in messages.publishes {
        let parties = subjects.entry(subject.clone()).or_default();
        parties.publishers.insert(messages.plugin.to_owned());
        parties.has_schema |= (messages.has_schema)(subject);
    }
    for subject in messages.receives {
        subjects.entry(subject.clone()).or_default().receivers.insert(messages.plugin.to_owned());
    }
}

/// None if the bus does not answer in time.
async fn backlog(bus: &dyn Bus) -> Option<Backlog> {
    let answer = timeout(BUS_ANSWERS, bus.backlog()).await.ok()?;
    answer.inspect_err(|error| tracing::debug!(%error, "the number of waiting events is unknown")).ok()
}

/// What the host sees of deliveries.
struct Seen<'a> {
    /// None if the bus does not answer in time.
    backlog: Option<Backlog>,
    snapshot: &'a Snapshot,
}

impl Seen<'_> {
    fn delivered(&self, plugin: &str, subject: &str) -> DeliveredView {
        let Some(plugin) = self.snapshot.plugin(plugin) else { return DeliveredView::default() };
        let Delivered { last_minute, last_15_minutes } =
            plugin.revision.figures().deliveries.of(Instant::now(), subject);
        DeliveredView { last_minute, last_15_minutes }
    }
}

fn view(subject: String, parties: Parties, seen: &Seen<'_>) -> SubjectView {
    let waiting = |plugin: &str| {
        let consumer = seen.backlog.as_ref()?.consumers.get(plugin).copied().unwrap_or_default();
        let (pending, unacknowledged) = (consumer.pending, consumer.unacknowledged);
        Some(BacklogView { pending, unacknowledged, redelivered: consumer.redelivered })
    };
    let receiver = |plugin: String| ReceiverView {
        backlog: waiting(&plugin),
        delivered: seen.delivered(&plugin, &subject),
        plugin,
    };
    SubjectView {
        publishers: parties.publishers.into_iter().collect(),
        receivers: parties.receivers.into_iter().map(receiver).collect(),
        subject,
        has_schema: parties.has_schema,
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
        let mut subjects = BTreeMap::new();
        for (plugin, publishes, receives) in revisions {
            add(&mut subjects, &Messages { plugin, publishes, receives, has_schema: &|subject| subject == "a.made" });
        }
        let expected = |publishers, receivers, has_schema| {
            let (publishers, receivers) = (set(publishers), set(receivers));
            Parties { publishers, receivers, has_schema }
        };
        assert_eq!(subjects["a.made"], expected(&["one"], &["three", "two"], true));
        assert_eq!(subjects["b.made"], expected(&[], &["two"], false));
        assert_eq!(subjects.len(), 2);
    }

    #[test]
    fn a_receiver_has_its_backlog_if_the_bus_answers() {
        let parties = || Parties { receivers: set(&["idle", "slow"]), ..Parties::default() };
        let slow = ConsumerBacklog { pending: 7, unacknowledged: 2, redelivered: 1 };
        let consumers = BTreeMap::from([("slow".to_owned(), slow), ("other".to_owned(), slow)]);
        let snapshot = Snapshot::default();
        let seen = |backlog| view("a.made".to_owned(), parties(), &Seen { backlog, snapshot: &snapshot });
        let known = seen(Some(Backlog { consumers, dead_letters: 0 }));
        let backlogs: Vec<_> = known.receivers.iter().map(|receiver| receiver.backlog).collect();
        let expected = BacklogView { pending: 7, unacknowledged: 2, redelivered: 1 };
        assert_eq!(backlogs, [Some(BacklogView::default()), Some(expected)]);
        let unknown = seen(None);
        assert!(unknown.receivers.iter().all(|receiver| receiver.backlog.is_none()));
    }
}
