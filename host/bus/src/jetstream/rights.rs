//! The rights of the NATS user. The server does not answer a message that the
//! user has no right to send: it reports the subject on the connection. The host
//! keeps these reports, because a call then only times out.

use super::connection::{CALL_TIMEOUT, Connection};
use parking_lot::Mutex;
use std::{collections::BTreeMap, time::Duration};
use tokio::time::{Instant, sleep, timeout};

/// A missing right to publish counts for this time after the last report. The
/// host repeats its calls in a shorter time.
const REMEMBERED: Duration = Duration::from_secs(60);
/// The server reports a violation before it answers a later ping. The client
/// hands the report over a moment later.
const REPORT_DELAY: Duration = Duration::from_millis(50);
/// More missing rights say nothing new.
const MAX_MISSING: usize = 32;
const ACKNOWLEDGE: &str = "$JS.ACK.";

/// A right that the server has denied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    action: Action,
    /// The subject, or a pattern for a group of subjects.
    subject: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Action {
    Publish,
    Subscribe,
}

/// The missing rights, each with the time of the last report.
pub(super) struct Rights {
    inbox: String,
    missing: Mutex<BTreeMap<Right, Instant>>,
}

impl Rights {
    /// `inbox_prefix` is the first part of the subjects for answers.
    pub(super) fn new(inbox_prefix: &str) -> Self {
        Self { inbox: format!("{inbox_prefix}."), missing: Mutex::default() }
    }

    /// Notes a missing right, and logs it if it is new. False if the error of the
    /// server is about something else.
    pub(super) fn record(&self, error: &str) -> bool {
        let Some((action, subject)) = parse(error) else { return false };
        let right = Right { action, subject: self.group(subject) };
        let mut missing = self.missing.lock();
        if missing.len() >= MAX_MISSING && !missing.contains_key(&right) {
            return true;
        }
        let problem = right.problem();
        if missing.insert(right, Instant::now()).is_none() {
            tracing::error!(problem, "the event bus has a problem");
        }
        true
    }

    /// Forgets all missing rights, because the connection is new.
    pub(super) fn forget(&self) {
        self.missing.lock().clear();
    }

    /// The missing rights, for people.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut missing = self.missing.lock();
        // The host asks for a subscription once for each connection.
        missing.retain(|right, seen| right.action == Action::Subscribe || seen.elapsed() < REMEMBERED);
        missing.keys().map(Right::problem).collect()
    }

    /// An error of a call, with the missing rights that can be its cause.
    pub(super) fn explain(&self, error: &str) -> String {
        std::iter::once(error.to_owned()).chain(self.problems()).collect::<Vec<_>>().join("; ")
    }

    /// The reason why the host must not receive events. A host that cannot
    /// acknowledge would handle each event again and again.
    pub(super) fn blocking(&self) -> Option<String> {
        let missing = self.missing.lock();
        missing.keys().find(|right| right.is_acknowledgement()).map(Right::problem)
    }

    /// One name for the subjects that each message has of its own.
    fn group(&self, subject: &str) -> String {
        let groups = [ACKNOWLEDGE, &self.inbox];
        let group = groups.into_iter().find(|group| subject.starts_with(group));
        group.map_or_else(|| subject.to_owned(), |group| format!("{group}>"))
    }

    /// Forgets a missing right to acknowledge that was last reported before this
    /// time.
    fn forget_acknowledgement(&self, before: Instant) {
        self.missing.lock().retain(|right, seen| !right.is_acknowledgement() || *seen >= before);
    }
}

impl Right {
    fn is_acknowledgement(&self) -> bool {
        self.action == Action::Publish && self.subject.starts_with(ACKNOWLEDGE)
    }

    fn problem(&self) -> String {
        let action = match self.action {
            Action::Publish => "publish",
            Action::Subscribe => "subscribe",
        };
        let effect = if self.is_acknowledgement() { ", so it cannot acknowledge events" } else { "" };
        format!("the NATS user has no permission to {action} to {}{effect}", self.subject)
    }
}

/// The action and the subject of a report, such as
/// `Permissions Violation for Publish to "a.b"`.
fn parse(error: &str) -> Option<(Action, &str)> {
    let (_, denied) = error.split_once("Permissions Violation for ")?;
    let (action, rest) = denied.split_once(" to ")?;
    let action = match action {
        "Publish" => Action::Publish,
        "Subscription" => Action::Subscribe,
        _ => return None,
    };
    let subject = rest.split('"').nth(1).unwrap_or(rest);
    Some((action, subject))
}

/// Tests the right to acknowledge with a report on the progress of a delivery
/// that does not exist. The broker ignores it.
pub(super) async fn probe(connection: &Connection, components: &[String]) {
    let begun = Instant::now();
    let stream = connection.names.event_stream();
    for component in components {
        let subject = format!("{ACKNOWLEDGE}{stream}.{component}.1.0.0.1.0");
        let progress = async_nats::jetstream::AckKind::Progress;
        if connection.client.publish(subject, progress.into()).await.is_err() {
            return;
        }
    }
    if matches!(timeout(CALL_TIMEOUT, connection.client.flush()).await, Ok(Ok(()))) {
        sleep(REPORT_DELAY).await;
        connection.rights.forget_acknowledgement(begun);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_the_server_names_a_right() {
        let rights = Rights::new("_INBOX");
        for (report, problem) in [
            ("nats: Permissions Violation for Publish to \"$JS.ACK.s.c.1.2.3.4.5\"", "publish to $JS.ACK.>, so it"),
            (
                "nats: Permissions Violation for Publish to \"$JS.API.STREAM.INFO.s\"",
                "publish to $JS.API.STREAM.INFO.s",
            ),
            ("Permissions Violation for Subscription to \"_INBOX.x.*\"", "subscribe to _INBOX.>"),
            ("Permissions Violation for Subscription to \"a.b\" using queue \"q\"", "subscribe to a.b"),
        ] {
            assert!(rights.record(report), "{report}");
            assert!(rights.problems().iter().any(|known| known.contains(problem)), "{:?}", rights.problems());
            rights.forget();
        }
        for other in ["nats: authorization violation", "Permissions Violation for Dance to \"a\"", ""] {
            assert!(!rights.record(other), "{other}");
        }
        assert!(rights.problems().is_empty());
    }

    #[test]
    fn only_the_right_to_acknowledge_stops_the_deliveries() {
        let rights = Rights::new("_INBOX");
        rights.record("Permissions Violation for Publish to \"a\"");
        rights.record("Permissions Violation for Subscription to \"$JS.ACK.>\"");
        assert_eq!(rights.blocking(), None);
        rights.record("Permissions Violation for Publish to \"$JS.ACK.s.c.1\"");
        assert!(rights.blocking().is_some());
    }

    #[test]
    fn the_number_of_missing_rights_is_bounded() {
        let rights = Rights::new("_INBOX");
        for number in 0..1_000 {
            rights.record(&format!("Permissions Violation for Publish to \"a.{number}\""));
        }
        assert_eq!(rights.problems().len(), MAX_MISSING);
    }
}
