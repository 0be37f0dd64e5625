//! Clients of live answers. They read server-sent events as the HTML standard says.

use super::{Client, Host, PluginFile, Setup, guest};
use http::Method;
use reqwest::Response;
use serde_json::{Value, json};

/// An event as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LiveEvent {
    pub(crate) name: String,
    pub(crate) data: String,
    /// The number of the last event until then.
    pub(crate) id: String,
}

/// A client that listens.
pub(crate) struct Listening {
    response: Response,
    text: String,
    /// The number that the client gives when it comes back.
    pub(crate) last_id: String,
}

impl Listening {
    /// Opens a stream of events.
    pub(crate) async fn open(client: &Client, path: &str) -> Self {
        let response = client.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("content-type"), Some("text/event-stream"));
        assert_eq!((header("cache-control"), header("x-accel-buffering")), (Some("no-store"), Some("no")));
        assert_eq!((header("grip-hold"), header("grip-channel"), header("content-length")), (None, None, None));
        Self { response, text: String::new(), last_id: String::new() }
    }

    /// The next event. None at the orderly end of the stream.
    pub(crate) async fn next(&mut self) -> Option<LiveEvent> {
        loop {
            let block = self.block().await?;
            if let Some(event) = self.parse(&block) {
                return Some(event);
            }
        }
    }

    /// The data of the next events.
    pub(crate) async fn data(&mut self, count: usize) -> Vec<String> {
        let mut data = Vec::new();
        while data.len() < count {
            data.push(self.next().await.expect("the stream has ended").data);
        }
        data
    }

    /// The next lines up to an empty one.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let chunk = self.response.chunk().await.ok()??;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    fn parse(&mut self, block: &str) -> Option<LiveEvent> {
        let (mut name, mut data) = (String::new(), Vec::new());
        for line in block.lines() {
            match line.split_once(": ").unwrap_or((line, "")) {
                ("id", id) => id.clone_into(&mut self.last_id),
                ("event", event) => event.clone_into(&mut name),
                ("data", text) => data.push(text.to_owned()),
                ("" | "retry" | ":", _) => {}
                other => panic!("{other:?} in {block:?}"),
            }
        }
        (!data.is_empty()).then(|| LiveEvent { name, data: data.join("\n"), id: self.last_id.clone() })
    }
}

impl Client {
    /// Listens to channels of the radio, and waits until the host holds the
    /// connection. Returns the colour that the body tells, too.
    pub(crate) async fn listen(&self, channels: &str) -> (String, Listening) {
        let mut listening = Listening::open(self, &format!("/radio/events?channels={channels}")).await;
        let colour = listening.next().await.unwrap();
        assert_eq!(colour.name, "colour");
        while listening.last_id.is_empty() {
            let block = listening.block().await.unwrap();
            assert_eq!(listening.parse(&block), None, "an event before its number");
        }
        (colour.data, listening)
    }

    /// Listens again, after the event with this number.
    pub(crate) async fn listen_after(&self, id: &str, channels: &str) -> Listening {
        let mut listening =
            Listening::open(&self.with_header("last-event-id", id), &format!("/radio/events?channels={channels}"))
                .await;
        assert_eq!(listening.next().await.unwrap().name, "colour");
        listening
    }

    /// Sends events in one transaction of the radio. Returns what it tells.
    pub(crate) async fn send_live(&self, wanted: Value) -> Value {
        let reply = self.post("/radio/events", wanted).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }

    /// Sends one event to a channel.
    pub(crate) async fn tell(&self, channel: &str, data: &str) {
        let told = self.send_live(json!({ "events": [[channel, "said", data]] })).await;
        assert_eq!(told, json!({ "sent": 1, "problem": null }));
    }
}

/// The plugin file of the radio, a guest that sends live events.
pub(crate) fn radio(version: &str, colour: &str) -> PluginFile {
    let file = PluginFile::read(&guest("radio")).version(version);
    file.with("default = \"green\"", &format!("default = {colour:?}"))
}

/// Starts a host with the radio.
pub(crate) async fn radio_host(setup: Setup) -> Host {
    let host = setup.start().await;
    let operator = host.operator();
    operator.allow("radio", json!({ "grants": ["store"] })).await;
    operator.deploy("radio", radio("1.0.0", "green").bytes()).await;
    host
}
