//! Live answers: connections that the host holds after the call of the component,
//! and the events of `platform:live` that it sends to them.
//!
//! A held connection belongs to no revision. It takes no turn and no instance, and
//! stays when the component is exchanged or paused. It ends when the client goes,
//! when the component is removed, and when the host stops.
//!
//! Each component with listeners has a feed ([`feed::Feed`]), which reads the log of
//! the component once for all of them and keeps the last events in memory
//! ([`ring::Ring`]). A listener takes its events from there ([`listener::Listener`]).

mod feed;
mod hold;
mod listener;
mod places;
mod ring;
mod sse;

use axum::{body::Body, response::Response};
use feed::Feed;
pub(super) use hold::Hold;
use host_config::http::HttpConfig;
use host_http::error::Refusal;
use host_plugin::{Registry, Revision};
use host_store::LiveLog;
use http::{HeaderMap, HeaderName};
use listener::Listener;
use metrics::counter;
use parking_lot::Mutex;
use places::Places;
use ring::Start;
use std::{collections::HashMap, sync::Arc};
use tokio_util::sync::CancellationToken;

/// The number of the last event that a client had.
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The clocks of hosts differ, and a commit takes a moment. So a new listener begins
/// with events that are this much older than its request.
const BEFORE_REQUEST_MS: u64 = 1_000;

/// The connections that this host holds.
pub struct LiveAnswers {
    registry: Arc<Registry>,
    places: Arc<Places>,
    /// The feeds of the components with listeners.
    feeds: Mutex<HashMap<String, Arc<Feed>>>,
    stop: CancellationToken,
}

/// An answer of a component whose connection is to be held.
pub(super) struct HeldAnswer<'a> {
    pub(super) hold: Hold,
    pub(super) revision: &'a Revision,
    /// The headers of the request.
    pub(super) request: &'a HeaderMap,
    /// When the request began.
    pub(super) begun_ms: u64,
    pub(super) response: Response,
}

impl LiveAnswers {
    /// Holds connections until the token is cancelled.
    pub fn new(registry: Arc<Registry>, config: &HttpConfig, stop: CancellationToken) -> Self {
        let places = Places::new(config.max_listeners, config.max_plugin_listeners);
        Self { registry, places, feeds: Mutex::default(), stop }
    }

    /// The answer with a body that the events follow.
    ///
    /// # Errors
    /// There are too many listeners, or the log of the component cannot be read.
    pub(super) async fn hold(self: &Arc<Self>, answer: HeldAnswer<'_>) -> Result<Response, Refusal> {
        let HeldAnswer { hold, revision, request, begun_ms, mut response } = answer;
        let log = revision.database.clone().ok_or(Refusal::Unavailable)?;
        let Some(place) = self.places.take(revision.name()) else {
            counter!("live_refused_total", "component" => revision.name().to_owned()).increment(1);
            return Err(Refusal::Busy);
        };
        let feed = self.feed(revision, log).ok_or(Refusal::Unavailable)?;
        let start = match last_event_id(request) {
            Some(id) => Start::After(id),
            None => Start::Since(begun_ms.saturating_sub(BEFORE_REQUEST_MS)),
        };
        let listener = Listener::join(feed, hold.channels, start, place).await?;
        Hold::announce(response.headers_mut());
        let own: Body = std::mem::take(response.body_mut());
        *response.body_mut() = listener.body(own);
        Ok(response)
    }

    /// The feed of a component, which begins now if it has no listeners yet. None
    /// when the host stops.
    fn feed(self: &Arc<Self>, revision: &Revision, log: Arc<dyn LiveLog>) -> Option<Arc<Feed>> {
        let component = revision.name();
        let mut feeds = self.feeds.lock();
        if self.stop.is_cancelled() {
            return None;
        }
        if let Some(feed) = feeds.get(component) {
            return Some(feed.clone());
        }
        let feed = Arc::new(Feed::new(component, log, revision.unsent().clone()));
        feeds.insert(component.to_owned(), feed.clone());
        tokio::spawn(self.clone().follow(feed.clone()));
        Some(feed)
    }

    /// Lets a feed run until nobody listens, the component is removed, or the host
    /// stops.
    async fn follow(self: Arc<Self>, feed: Arc<Feed>) {
        let component = &feed.component;
        let is_unused = || self.is_removed(component) || self.end_unused(&feed);
        self.stop.run_until_cancelled(feed.follow(is_unused)).await;
        self.feeds.lock().retain(|_, known| !Arc::ptr_eq(known, &feed));
        feed.end();
    }

    fn is_removed(&self, component: &str) -> bool {
        let snapshot = self.registry.snapshot();
        snapshot.plugin(component).is_none() && snapshot.starting(component).is_none()
    }

    /// Takes a feed out that only the map and its own task have. Nobody can join it
    /// any more.
    fn end_unused(&self, feed: &Arc<Feed>) -> bool {
        let mut feeds = self.feeds.lock();
        let is_unused = Arc::strong_count(feed) <= 2;
        if is_unused {
            feeds.remove(&feed.component);
        }
        is_unused
    }
}

/// A client without a number, or with one that the host did not give, is new.
fn last_event_id(request: &HeaderMap) -> Option<u64> {
    request.get(LAST_EVENT_ID)?.to_str().ok()?.trim().parse().ok()
}
