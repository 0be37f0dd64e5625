//! The headers with which a component asks the host to hold a connection.
//!
//! Their names are those of GRIP, the Generic Realtime Intermediary Protocol.

use host_store::{check_channel, describe};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::sync::Arc;

const HOLD: HeaderName = HeaderName::from_static("grip-hold");
const CHANNEL: HeaderName = HeaderName::from_static("grip-channel");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// nginx would collect the events of an answer without this header.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
/// The most channels of one answer.
const CHANNELS: usize = 16;

/// Headers that describe a body which ends, or a copy of an answer.
static OF_WHOLE_ANSWERS: [HeaderName; 8] = [
    header::ACCEPT_RANGES,
    header::AGE,
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::ETAG,
    header::EXPIRES,
    header::LAST_MODIFIED,
    header::RETRY_AFTER,
];

/// The channels whose events follow the body of an answer. The answer carries them
/// as an extension to the front.
#[derive(Debug, Clone)]
pub(in crate::http) struct Hold {
    pub(super) channels: Arc<[Arc<str>]>,
}

impl Hold {
    /// Takes the headers out of an answer. Returns none if it has none of them.
    ///
    /// # Errors
    /// What breaks the contract.
    pub(in crate::http) fn take(headers: &mut HeaderMap) -> Result<Option<Self>, String> {
        if !headers.contains_key(HOLD) && !headers.contains_key(CHANNEL) {
            return Ok(None);
        }
        let asks = asks_to_hold(headers)?;
        let channels = channels(headers)?;
        headers.remove(HOLD);
        headers.remove(CHANNEL);
        match asks {
            true => Ok(Some(Self { channels })),
            false => Err(format!("{CHANNEL} without {HOLD}")),
        }
    }

    /// Checks the rest of the answer, and gives it the headers of a held one.
    ///
    /// # Errors
    /// What breaks the contract.
    pub(in crate::http) fn prepare(
        &self,
        method: &str,
        status: StatusCode,
        answer: &mut HeaderMap,
    ) -> Result<(), String> {
        if method != "GET" {
            return Err(format!("{HOLD} in the answer to {method}, a connection is held for GET alone"));
        }
        if status != StatusCode::OK {
            return Err(format!("{HOLD} with the status {status}, a held answer has the status 200"));
        }
        if answer.contains_key(header::CONTENT_ENCODING) {
            return Err(format!("{HOLD} with {}, a held answer has none", header::CONTENT_ENCODING));
        }
        if !answer.get_all(header::CONTENT_TYPE).iter().all(is_event_stream) {
            return Err(format!("{HOLD} with another {} than text/event-stream", header::CONTENT_TYPE));
        }
        for name in &OF_WHOLE_ANSWERS {
            answer.remove(name);
        }
        answer.insert(header::CONTENT_TYPE, EVENT_STREAM);
        answer.insert(header::CACHE_CONTROL, NO_STORE);
        Ok(())
    }

    /// Adds a header for proxies. The guard of the origin has run.
    pub(super) fn announce(answer: &mut HeaderMap) {
        answer.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    }
}

/// Whether the answer asks for a held connection.
fn asks_to_hold(headers: &HeaderMap) -> Result<bool, String> {
    let mut modes = headers.get_all(HOLD).iter();
    match (modes.next(), modes.next()) {
        (None, _) => Ok(false),
        (Some(mode), None) if mode == "stream" => Ok(true),
        (Some(_), None) => Err(format!("another value of {HOLD} than stream")),
        (Some(_), Some(_)) => Err(format!("several values of {HOLD}")),
    }
}

fn channels(headers: &HeaderMap) -> Result<Arc<[Arc<str>]>, String> {
    let mut channels: Vec<Arc<str>> = Vec::new();
    for value in headers.get_all(CHANNEL) {
        let names = value.to_str().map_err(|_| format!("a {CHANNEL} that is no text"))?;
        for name in names.split(',').map(|name| name.trim_matches([' ', '\t'])) {
            check_channel(name).map_err(|error| format!("{CHANNEL}: {}", describe(&error)))?;
            if channels.iter().all(|known| **known != *name) {
                channels.push(name.into());
            }
            if channels.len() > CHANNELS {
                return Err(format!("more than {CHANNELS} values of {CHANNEL}"));
            }
        }
    }
    match channels.is_empty() {
        true => Err(format!("{HOLD} without {CHANNEL}")),
        false => Ok(channels.into()),
    }
}

fn is_event_stream(value: &HeaderValue) -> bool {
    let kind = value.to_str().ok().and_then(|value| value.split(';').next());
    kind.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(headers: &[(&str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&str, &str)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(*value).unwrap())
        };
        headers.iter().map(header).collect()
    }

    fn taken(headers: &[(&str, &str)]) -> Result<Option<Vec<String>>, String> {
        let mut answer = answer(headers);
        let hold = Hold::take(&mut answer)?;
        assert!(answer.keys().all(|name| !name.as_str().starts_with("grip-")));
        Ok(hold.map(|hold| hold.channels.iter().map(ToString::to_string).collect()))
    }

    #[test]
    fn channels_are_named_in_one_header_or_in_several() {
        assert_eq!(taken(&[("content-type", "text/html")]), Ok(None));
        let hold = ("grip-hold", "stream");
        assert_eq!(taken(&[hold, ("grip-channel", "a")]), Ok(Some(vec!["a".into()])));
        let several = [hold, ("grip-channel", "a, b/1:x ,\tc"), ("grip-channel", "d,a")];
        assert_eq!(taken(&several), Ok(Some(["a", "b/1:x", "c", "d"].map(str::to_owned).to_vec())));
        let most = (1..=CHANNELS).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(taken(&[hold, ("grip-channel", &most)]).unwrap().unwrap().len(), CHANNELS);
        assert!(taken(&[hold, ("grip-channel", &format!("{most},more"))]).is_err());
    }

    #[test]
    fn other_headers_break_the_contract() {
        for wrong in [
            &[("grip-hold", "stream")][..],
            &[("grip-channel", "a")],
            &[("grip-hold", "response"), ("grip-channel", "a")],
            &[("grip-hold", ""), ("grip-channel", "a")],
            &[("grip-hold", "stream"), ("grip-hold", "stream"), ("grip-channel", "a")],
            &[("grip-hold", "stream"), ("grip-channel", "")],
            &[("grip-hold", "stream"), ("grip-channel", "a,")],
            &[("grip-hold", "stream"), ("grip-channel", "a b")],
            &[("grip-hold", "stream"), ("grip-channel", "a; prev-id=1")],
            &[("grip-hold", "stream"), ("grip-channel", "é")],
            &[("grip-hold", "stream"), ("grip-channel", &"c".repeat(129))],
        ] {
            assert!(taken(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_held_answer_is_an_event_stream_that_nobody_stores() {
        let hold = Hold { channels: Arc::from(["a".into()]) };
        let mut answer = answer(&[
            ("content-type", "text/event-stream; charset=utf-8"),
            ("cache-control", "public, max-age=60"),
            ("etag", "\"1\""),
            ("content-length", "7"),
            ("x-mark", "kept"),
        ]);
        hold.prepare("GET", StatusCode::OK, &mut answer).unwrap();
        assert_eq!((&answer["content-type"], &answer["cache-control"]), (&EVENT_STREAM, &NO_STORE));
        assert!(!answer.contains_key("etag") && !answer.contains_key("content-length"));
        assert_eq!(answer["x-mark"], "kept");
    }

    #[test]
    fn only_a_good_answer_to_get_is_held() {
        let hold = Hold { channels: Arc::from(["a".into()]) };
        for (method, status, headers) in [
            ("POST", 200, &[][..]),
            ("HEAD", 200, &[]),
            ("GET", 201, &[]),
            ("GET", 404, &[]),
            ("GET", 200, &[("content-type", "text/html")]),
            ("GET", 200, &[("content-type", "text/event-stream"), ("content-encoding", "br")]),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert!(hold.prepare(method, status, &mut answer(headers)).is_err(), "{method} {status} {headers:?}");
        }
    }
}
