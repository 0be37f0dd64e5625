//! Server-sent events, as the HTML standard defines them in section 9.2.

use bytes::Bytes;
use host_store::{LoggedEvent, RESET};

/// An event for all its listeners.
pub(super) fn event(logged: &LoggedEvent) -> Bytes {
    let event = &logged.event;
    let mut text = format!("id: {}\n", logged.sequence);
    if !event.name.is_empty() {
        line(&mut text, "event", &event.name);
    }
    // A line ends with CR LF, LF or CR.
    for data in event.data.replace("\r\n", "\n").split(['\n', '\r']) {
        line(&mut text, "data", data);
    }
    text.push('\n');
    text.into()
}

/// The text between the body of the component and the events. It ends the body's
/// last event, tells the client how long to wait before it comes back, and gives it
/// the number of the last event. A client without an event comes back with this
/// number too.
pub(super) fn opening(retry_ms: u64, last: u64, is_reset: bool) -> Bytes {
    match is_reset {
        false => format!("\n\nretry: {retry_ms}\nid: {last}\n\n").into(),
        true => {
            let reset = format!("id: {last}\nevent: {RESET}\ndata: events were missed\n\n");
            format!("\n\nretry: {retry_ms}\n{reset}").into()
        }
    }
}

/// A comment and the number of the last event. Neither is an event for the client.
pub(super) fn keep_alive(last: u64) -> Bytes {
    format!(": still here\nid: {last}\n\n").into()
}

fn line(text: &mut String, field: &str, value: &str) {
    text.push_str(field);
    text.push_str(": ");
    text.push_str(value);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_store::LiveEvent;

    fn encoded(name: &str, data: &str) -> String {
        let event = LiveEvent { channel: "a".to_owned(), name: name.to_owned(), data: data.to_owned() };
        let bytes = super::event(&LoggedEvent { sequence: 7, at_ms: 0, event });
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn an_event_has_a_number_a_name_and_data() {
        assert_eq!(encoded("changed", "{\"n\": 1}"), "id: 7\nevent: changed\ndata: {\"n\": 1}\n\n");
        assert_eq!(encoded("", ""), "id: 7\ndata: \n\n");
    }

    #[test]
    fn each_line_of_the_data_is_a_field() {
        assert_eq!(
            encoded("", "one\ntwo\r\nthree\rfour\n"),
            "id: 7\ndata: one\ndata: two\ndata: three\ndata: four\ndata: \n\n"
        );
        assert_eq!(
            encoded("", "x\n\nid: 99\r\revent: reset"),
            "id: 7\ndata: x\ndata: \ndata: id: 99\ndata: \ndata: event: reset\n\n"
        );
        assert_eq!(encoded("", " \u{2028}é"), "id: 7\ndata:  \u{2028}é\n\n");
    }

    #[test]
    fn the_opening_ends_the_body_and_says_where_the_client_is() {
        assert_eq!(opening(2_000, 5, false), "\n\nretry: 2000\nid: 5\n\n");
        assert_eq!(opening(2_000, 5, true), "\n\nretry: 2000\nid: 5\nevent: reset\ndata: events were missed\n\n");
        assert_eq!(keep_alive(5), ": still here\nid: 5\n\n");
    }
}
