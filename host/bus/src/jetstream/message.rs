//! Events as messages, in the binary mode of CloudEvents for NATS
//! (<https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/nats-protocol-binding.md>),
//! so that other programs can read and publish them.

use super::super::BusError;
use async_nats::{HeaderMap, header::NATS_MESSAGE_ID, jetstream};
use host_base::event::Event;
use serde::de::IgnoredAny;
use std::{
    fmt::Write,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const ID: &str = "ce-id";
const SOURCE: &str = "ce-source";
const TYPE: &str = "ce-type";
const TIME: &str = "ce-time";
const VERSION: &str = "ce-specversion";
const TRACE: &str = "traceparent";
const CONTENT: &str = "content-type";

/// The broker adds this header to a message whose payload it leaves out.
pub(super) const SIZE_HEADER: &str = "Nats-Msg-Size";

/// The longest id or source that another program may set.
const MAX_NAME_BYTES: usize = 256;
/// The source of an event without one.
const UNKNOWN_SOURCE: &str = "unknown";

/// The headers of an event. The broker takes messages with the same `message_id`
/// once, and messages without one every time.
pub(super) fn headers(event: &Event, message_id: Option<&str>) -> Result<HeaderMap, BusError> {
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: &str| match value.parse::<async_nats::HeaderValue>() {
        Ok(value) => {
            headers.insert(name, value);
            Ok(())
        }
        Err(_) => Err(BusError(format!("the header {name} of the event {:?} has several lines", event.id))),
    };
    set(VERSION, "1.0")?;
    set(ID, &event.id)?;
    set(SOURCE, &event.source)?;
    set(TYPE, &event.subject)?;
    if let Some(time) = time(event.time_ms) {
        set(TIME, &time)?;
    }
    if let Some(traceparent) = &event.traceparent {
        set(TRACE, traceparent)?;
    }
    // The host does not read the payload. The header helps other programs.
    let is_json = serde_json::from_slice::<IgnoredAny>(&event.payload).is_ok();
    set(CONTENT, if is_json { "application/json" } else { "application/octet-stream" })?;
    if let Some(message_id) = message_id {
        let message_id = message_id.parse().map_err(|_| BusError(format!("{message_id:?} has several lines")))?;
        headers.insert::<_, async_nats::HeaderValue>(NATS_MESSAGE_ID, message_id);
    }
    Ok(headers)
}

/// Whether the broker has left out the payload of a message.
pub(super) fn lacks_payload(message: &jetstream::Message) -> bool {
    let size = message.headers.as_ref().and_then(|headers| headers.get(SIZE_HEADER));
    message.payload.is_empty() && size.is_some_and(|size| size.as_str() != "0")
}

/// Reads a message of the stream. Any program may have published it.
///
/// # Errors
/// The reason why the message is no event.
pub(super) fn read(subject: &str, message: &jetstream::Message) -> Result<Event, &'static str> {
    let stored = message.info().map_err(|_| "it does not come from a stream")?.published;
    let stored_ms = u64::try_from(stored.unix_timestamp_nanos() / 1_000_000).unwrap_or(0);
    event(subject, message.headers.as_ref(), &message.payload, stored_ms)
}

/// Reads a message that was just published.
///
/// # Errors
/// The reason why the message is no event.
pub(super) fn live(subject: &str, message: &async_nats::Message, now_ms: u64) -> Result<Event, &'static str> {
    event(subject, message.headers.as_ref(), &message.payload, now_ms)
}

/// Reads an event that the stream stored at `stored_ms`.
///
/// # Errors
/// The reason why the message is no event.
fn event(subject: &str, headers: Option<&HeaderMap>, payload: &[u8], stored_ms: u64) -> Result<Event, &'static str> {
    let header = |name| headers.and_then(|headers| headers.get(name)).map(async_nats::HeaderValue::as_str);
    let name = |name| header(name).filter(|value| !value.is_empty());
    let id = name(ID).ok_or("it has no header ce-id")?;
    let source = name(SOURCE).unwrap_or(UNKNOWN_SOURCE);
    if id.len() > MAX_NAME_BYTES || source.len() > MAX_NAME_BYTES {
        return Err("its ce-id or ce-source is too long");
    }
    // PostgreSQL stores no text with a zero byte.
    if id.contains('\0') || source.contains('\0') {
        return Err("its ce-id or ce-source has a zero byte");
    }
    Ok(Event {
        id: id.to_owned(),
        subject: subject.to_owned(),
        source: source.to_owned(),
        time_ms: header(TIME).and_then(milliseconds).unwrap_or(stored_ms),
        traceparent: header(TRACE).map(str::to_owned),
        payload: payload.to_vec(),
    })
}

/// None for a time that the calendar does not have.
fn time(time_ms: u64) -> Option<String> {
    let time = UNIX_EPOCH.checked_add(Duration::from_millis(time_ms))?;
    let mut text = String::new();
    write!(text, "{}", humantime::format_rfc3339_millis(time)).ok()?;
    Some(text)
}

fn milliseconds(text: &str) -> Option<u64> {
    let time: SystemTime = humantime::parse_rfc3339(text).ok()?;
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(payload: &[u8]) -> Event {
        Event {
            id: "e-1".into(),
            subject: "thing.made".into(),
            source: "things".into(),
            time_ms: 1_700_000_000_123,
            traceparent: Some("00-1-2-01".into()),
            payload: payload.into(),
        }
    }

    #[test]
    fn an_event_is_read_as_it_was_written() {
        for payload in [&b"{\"a\":1}"[..], b"", &[0, 159]] {
            let event_before = sample(payload);
            let headers = headers(&event_before, Some("m")).unwrap();
            assert_eq!(headers.get(TIME).unwrap().as_str(), "2023-11-14T22:13:20.123Z");
            assert_eq!(headers.get(NATS_MESSAGE_ID).unwrap().as_str(), "m");
            assert_eq!(event("thing.made", Some(&headers), payload, 0), Ok(event_before));
        }
        assert_eq!(headers(&sample(b"[1]"), None).unwrap().get(CONTENT).unwrap().as_str(), "application/json");
        assert_eq!(headers(&sample(b"[1"), None).unwrap().get(CONTENT).unwrap().as_str(), "application/octet-stream");
    }

    #[test]
    fn an_event_of_another_program_needs_only_an_id() {
        assert_eq!(event("a", None, b"", 0), Err("it has no header ce-id"));
        let mut headers = HeaderMap::new();
        headers.insert(ID, "");
        assert_eq!(event("a", Some(&headers), b"", 0), Err("it has no header ce-id"));
        headers.insert(ID, "x");
        headers.insert(TIME, "yesterday");
        let read = event("a", Some(&headers), b"{}", 17).unwrap();
        assert_eq!((read.source.as_str(), read.time_ms, read.traceparent), ("unknown", 17, None));
        for wrong in ["x".repeat(257), "a\0b".to_owned()] {
            headers.insert(ID, wrong);
            assert!(event("a", Some(&headers), b"", 0).is_err());
        }
    }

    #[test]
    fn a_time_outside_the_calendar_is_left_out() {
        let event = Event { time_ms: u64::MAX, ..sample(b"") };
        assert!(headers(&event, None).unwrap().get(TIME).is_none());
        let event = Event { id: "a\nb".into(), ..sample(b"") };
        assert!(headers(&event, None).is_err());
    }
}
