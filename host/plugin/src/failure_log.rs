//! The last failures of a plugin, for its author and its operators.
//!
//! The host keeps 20 failures of a revision and 60 of a plugin, so the failures of
//! a revision that was rolled back can still be read. One failure takes about 3 KiB
//! at most, so a plugin takes 180 KiB at most.

use host_base::{clock::now_ms, printable::printable, text::truncate};
use host_engine::Failure;
use parking_lot::Mutex;
use std::collections::VecDeque;

/// The failures of one revision.
const REVISION_FAILURES: usize = 20;
/// The failures of all revisions.
const PLUGIN_FAILURES: usize = 60;
/// The beginning of a long message, and its end, which has the cause.
const MESSAGE_PART_BYTES: usize = 1 << 10;
/// The longest other text.
const NAME_BYTES: usize = 256;

/// The call that a failure ended.
#[derive(Debug, Clone, Copy)]
pub struct Called<'a> {
    /// The work that was to be done.
    pub work: Work<'a>,
    /// The request's id, or the event's. Empty for a timer.
    pub id: &'a str,
    /// The W3C trace context.
    pub traceparent: Option<&'a str>,
}

/// The work of a call.
#[derive(Debug, Clone, Copy)]
pub enum Work<'a> {
    /// An answer to a request.
    Request {
        /// The method of the endpoint.
        method: &'a str,
        /// The pattern of the manifest.
        route: &'a str,
    },
    /// An event with this subject.
    Event(&'a str),
    /// A timer with this key.
    Timer(&'a str),
}

/// A failure that was kept. Its texts have no control characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptFailure {
    /// The time, in milliseconds since the Unix epoch.
    pub time_ms: u64,
    /// The revision that was called.
    pub revision: String,
    /// The work: a method and a route, an event's subject or a timer's key.
    pub call: String,
    /// The kind, as in metrics and logs.
    pub kind: &'static str,
    /// Who is to blame, as in metrics and logs.
    pub blame: &'static str,
    /// The failure in words, with the text of a trap.
    pub message: String,
    /// The id of the request or event. Empty for a timer.
    pub id: String,
    /// The id of the trace.
    pub trace: Option<String>,
}

/// The failures of one plugin.
#[derive(Default)]
pub struct FailureLog(Mutex<VecDeque<KeptFailure>>);

impl FailureLog {
    /// Keeps a failure.
    pub fn add(&self, revision: &str, failure: &Failure, called: Called<'_>) {
        let kept = KeptFailure {
            time_ms: now_ms(),
            revision: revision.to_owned(),
            call: called.work.describe(),
            kind: failure.kind(),
            blame: failure.blame().as_str(),
            message: shorten(&printable(&failure.to_string())),
            id: name(called.id),
            trace: called.traceparent.and_then(trace_id).map(str::to_owned),
        };
        let mut all = self.0.lock();
        let mut own = all.iter().enumerate().filter(|(_, other)| other.revision == kept.revision);
        let (oldest, count) = (own.next().map(|(place, _)| place), own.count() + 1);
        match oldest {
            Some(oldest) if count >= REVISION_FAILURES => drop(all.remove(oldest)),
            _ if all.len() >= PLUGIN_FAILURES => drop(all.pop_front()),
            _ => {}
        }
        all.push_back(kept);
    }

    /// The failures, the newest first.
    pub fn newest_first(&self) -> Vec<KeptFailure> {
        self.0.lock().iter().rev().cloned().collect()
    }

    /// The newest failure.
    pub fn newest(&self) -> Option<KeptFailure> {
        self.0.lock().back().cloned()
    }
}

impl Work<'_> {
    fn describe(&self) -> String {
        match self {
            Self::Request { method, route } => name(&format!("{method} {route}")),
            Self::Event(subject) => name(&format!("event {subject}")),
            Self::Timer(key) => name(&format!("timer {key}")),
        }
    }
}

fn name(text: &str) -> String {
    truncate(&printable(truncate(text, NAME_BYTES)), NAME_BYTES).to_owned()
}

/// The beginning and the end of a long text.
fn shorten(text: &str) -> String {
    if text.len() <= 2 * MESSAGE_PART_BYTES {
        return text.to_owned();
    }
    let end = text.get(text.ceil_char_boundary(text.len() - MESSAGE_PART_BYTES)..).unwrap_or_default();
    format!("{} … {end}", truncate(text, MESSAGE_PART_BYTES))
}

/// The second part of a trace context.
fn trace_id(traceparent: &str) -> Option<&str> {
    let id = traceparent.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(problem: &str) -> Failure {
        Failure::Answer { component: "p".to_owned(), problem: problem.to_owned() }
    }

    fn called(id: &str) -> Called<'_> {
        Called { work: Work::Request { method: "GET", route: "/p/{id}" }, id, traceparent: None }
    }

    #[test]
    fn a_failure_tells_the_call_the_kind_the_cause_and_the_trace() {
        let log = FailureLog::default();
        let traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        log.add("1.0.0-a", &Failure::trap("p", "wasm trap: unreachable"), Called { traceparent, ..called("r-1") });
        log.add(
            "1.0.0-a",
            &failure("x"),
            Called { work: Work::Event("p.made"), id: "e-1", traceparent: Some("00-x-1") },
        );
        log.add("1.0.0-a", &failure("x"), Called { work: Work::Timer("remind"), id: "", traceparent: None });
        let [timer, event, request] = log.newest_first().try_into().unwrap();
        assert_eq!((timer.call.as_str(), event.call.as_str()), ("timer remind", "event p.made"));
        assert_eq!((event.trace, event.kind, event.id.as_str()), (None, "answer", "e-1"));
        assert_eq!((request.call.as_str(), request.kind, request.blame), ("GET /p/{id}", "trap", "guest"));
        assert_eq!((request.message.as_str(), request.id.as_str()), ("p trapped: wasm trap: unreachable", "r-1"));
        assert_eq!(request.trace.as_deref(), Some("0af7651916cd43dd8448eb211c80319c"));
        assert!(request.time_ms > 0 && request.revision == "1.0.0-a");
    }

    #[test]
    fn twenty_failures_of_a_revision_and_sixty_of_a_plugin_are_kept() {
        let log = FailureLog::default();
        log.add("old", &failure("the old one"), called("0"));
        for number in 0..100 {
            log.add("new", &failure(&number.to_string()), called("1"));
        }
        let kept = log.newest_first();
        assert_eq!(kept.len(), 21, "many failures of one revision push none of another one out");
        assert!(kept[0].message.ends_with(": 99") && kept[19].message.ends_with(": 80"), "{kept:?}");
        assert_eq!((kept[20].revision.as_str(), log.newest().as_ref()), ("old", Some(&kept[0])));
        for revision in 0..30 {
            for _ in 0..10 {
                log.add(&revision.to_string(), &failure("x"), called("2"));
            }
        }
        let kept = log.newest_first();
        assert!(kept.len() == 60 && kept.iter().all(|kept| kept.revision.parse::<u32>().unwrap() >= 24));
    }

    #[test]
    fn long_and_hostile_texts_are_bounded_and_harmless() {
        for text in ["\u{1b}[2Jx", "a\nb", "\u{9b}31m", "\u{202e}cod", "\0", "\r\u{7f}", "ä\u{2028}"] {
            let log = FailureLog::default();
            let long = text.repeat(4_000);
            let hostile = Called { work: Work::Timer(&long), id: &long, traceparent: Some(&long) };
            log.add("r", &failure(&format!("{long} the cause")), hostile);
            let kept = log.newest().unwrap();
            assert!(
                kept.message.len() <= 2 * MESSAGE_PART_BYTES + 5 && kept.message.ends_with(" the cause"),
                "{kept:?}"
            );
            assert!(kept.call.len() <= NAME_BYTES && kept.id.len() <= NAME_BYTES && kept.trace.is_none(), "{kept:?}");
            let all = format!("{}{}{}", kept.message, kept.call, kept.id);
            assert!(host_base::printable::is_plain(&all), "{all:?}");
        }
        assert_eq!(shorten("short"), "short");
    }
}
