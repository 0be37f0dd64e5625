//! Hosts that serve nobody. The commands `check` and `test` need them, and the binary
//! provides them.

use bytes::Bytes;
use host_api::verdict::Verdict;
use host_config::Config;
use http::{Request, Response};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// A plugin file that is judged without a running host.
pub struct Candidate {
    /// The file.
    pub bytes: Vec<u8>,
    /// A manifest that replaces the one in the file.
    pub manifest: Option<String>,
    /// The file to compare with, as if it were active.
    pub active: Option<Vec<u8>>,
}

/// Creates hosts that serve nobody.
pub trait Offline {
    /// The host for the test of a plugin.
    type Rehearsal: Rehearsal;

    /// Judges a file as a host that grants everything.
    fn judge(&self, config: &Config, candidate: Candidate) -> impl Future<Output = anyhow::Result<Verdict>>;

    /// Starts a host with one plugin, which has all rights that its manifest asks for.
    fn rehearse(&self, config: &Config, opening: Opening) -> impl Future<Output = anyhow::Result<Self::Rehearsal>>;
}

/// The beginning of the host for a test.
pub struct Opening {
    /// The plugin file.
    pub plugin: Arc<[u8]>,
    /// An empty folder for the data of the host.
    pub folder: PathBuf,
    /// The time of the host's clock, in milliseconds since the Unix epoch. None for the
    /// machine's time.
    pub start_ms: Option<u64>,
    /// The longest wait until all events and due timers are done.
    pub patience: Duration,
}

/// A host with one plugin. Its clock stands still until [`advance`](Self::advance).
pub trait Rehearsal {
    /// Sends a request, with a session of the visitor if there is one.
    fn request(
        &mut self,
        request: Request<Bytes>,
        visitor: Option<&Visitor>,
    ) -> impl Future<Output = anyhow::Result<Response<Bytes>>>;

    /// Publishes an event of another plugin.
    fn publish(&mut self, event: ForeignEvent) -> impl Future<Output = anyhow::Result<()>>;

    /// Moves the clock forward. It stops at each time at which something is due, until that
    /// is done.
    fn advance(&mut self, time: Duration) -> impl Future<Output = anyhow::Result<()>>;

    /// The rows of a statement that only reads the plugin's database.
    fn query(&mut self, statement: &str) -> impl Future<Output = anyhow::Result<Vec<Vec<Cell>>>>;

    /// Waits until all events and due timers are done. Returns what has happened since the
    /// last call.
    fn settle(&mut self) -> impl Future<Output = anyhow::Result<Happened>>;

    /// Ends the host.
    fn end(self) -> impl Future<Output = ()>;
}

/// A visitor who is signed in.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Visitor {
    /// The id of the account.
    pub id: String,
    /// Its email address.
    #[serde(default)]
    pub email: String,
}

/// An event that another plugin publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignEvent {
    /// The kind of event.
    pub subject: String,
    /// The plugin that publishes it.
    pub source: String,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the types of SQL")]
pub enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

/// The effects of a step.
#[derive(Debug, Clone, Default)]
pub struct Happened {
    /// The work that still waits after the longest wait. None if all is done.
    pub waits: Option<String>,
    /// The events that the plugin has published, in their order: subject and payload.
    pub published: Vec<(String, Vec<u8>)>,
    /// The events and timers that the plugin did not handle: a name such as `event
    /// thing.created`, and the reason.
    pub refused: Vec<(String, String)>,
    /// The calls that failed, the newest first: a name such as `GET /hello`, and the failure.
    pub failures: Vec<(String, String)>,
    /// The log lines of the plugin, as JSON objects.
    pub log: Vec<Arc<str>>,
}
