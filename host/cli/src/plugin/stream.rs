//! Server-sent events of the host.

use super::{client::Client, failure::Failure, output::is_closed};
use http::Method;

/// Who has ended a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The host.
    ByHost,
    /// Nobody reads the output any more.
    ByReader,
}

/// Passes the data of each event to `print`, until the stream ends.
pub(super) async fn follow(
    client: &Client,
    path: &[&str],
    query: &[(&str, &str)],
    mut print: impl FnMut(&str),
) -> Result<Ended, Failure> {
    let request = client.request_with(Method::GET, path, query)?;
    let mut response = client.open(request.header("accept", "text/event-stream")).await?;
    let mut events = Events::default();
    while let Some(chunk) = response.chunk().await.map_err(|error| client.broken(&error))? {
        for event in events.feed(&chunk) {
            print(&event);
            if is_closed() {
                return Ok(Ended::ByReader);
            }
        }
    }
    Ok(Ended::ByHost)
}

/// Reads the `data` of server-sent events that arrive in pieces.
#[derive(Default)]
struct Events {
    unfinished: Vec<u8>,
    data: Vec<String>,
}

impl Events {
    /// The data of the events that are complete with this piece.
    fn feed(&mut self, chunk: &[u8]) -> Vec<String> {
        self.unfinished.extend_from_slice(chunk);
        let mut complete = Vec::new();
        while let Some(end) = self.unfinished.iter().position(|byte| *byte == b'\n') {
            let rest = self.unfinished.split_off(end + 1);
            let text = String::from_utf8_lossy(&self.unfinished).trim_end_matches(['\r', '\n']).to_owned();
            self.unfinished = rest;
            match text.strip_prefix("data:") {
                Some(data) => self.data.push(data.strip_prefix(' ').unwrap_or(data).to_owned()),
                None if text.is_empty() && !self.data.is_empty() => {
                    complete.push(std::mem::take(&mut self.data).join("\n"));
                }
                None => {}
            }
        }
        complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_from_pieces_of_any_size() {
        let stream = ": hello\n\ndata: {\"a\":1}\nid: 7\n\ndata:one\r\ndata: two\r\n\r\ndata: unfinished\n";
        for size in 1..stream.len() {
            let mut events = Events::default();
            let found: Vec<_> = stream.as_bytes().chunks(size).flat_map(|chunk| events.feed(chunk)).collect();
            assert_eq!(found, ["{\"a\":1}", "one\ntwo"], "in pieces of {size}");
        }
    }
}
