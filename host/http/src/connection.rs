//! The state of a connection, and the times that its client has.

use parking_lot::Mutex;
use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::{sync::Notify, time::Instant};

/// The requests that a client may take back before their answers, beyond those that it
/// lets the host answer.
const MAX_RESETS: u32 = 100;

/// The state of a connection that its socket and its requests share.
pub(crate) struct Connection {
    is_tls: bool,
    /// Whether the client has not taken all bytes of the answer before.
    blocked: AtomicBool,
    taken: Notify,
    /// Dropped as soon as the client has taken the bytes of the answer.
    held: Mutex<Vec<Box<dyn Any + Send>>>,
    progress: Mutex<Progress>,
    given_up: Notify,
}

/// The requests of a client, and the times since which the host waits for more.
struct Progress {
    /// The requests whose answers the client has not taken.
    requests: usize,
    /// When the head of the next request began to arrive. A new connection owes one.
    head_since: Option<Instant>,
    /// When the last answer ended.
    idle_since: Instant,
    resets: u32,
}

/// The debt of a client to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owed {
    /// The rest of the head of a request.
    Head,
    /// Another request.
    Request,
}

/// A request that the host answers. Its end begins the idle time of the connection.
pub(super) struct UnderWay(Arc<Connection>);

impl Connection {
    pub(super) fn new(is_tls: bool) -> Self {
        let now = Instant::now();
        Self {
            is_tls,
            blocked: AtomicBool::new(false),
            taken: Notify::new(),
            held: Mutex::default(),
            progress: Mutex::new(Progress { requests: 0, head_since: Some(now), idle_since: now, resets: 0 }),
            given_up: Notify::new(),
        }
    }

    pub(crate) fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// Keeps a value until the client has taken the bytes of the answer, or until
    /// the connection ends. Streams of HTTP/2 keep their values themselves.
    pub(super) fn hold(&self, value: impl Any + Send) {
        self.held.lock().push(Box::new(value));
    }

    /// Waits until the client has taken the answers before.
    pub(super) async fn ready(&self) {
        loop {
            let taken = self.taken.notified();
            if !self.blocked.load(Ordering::Acquire) {
                return;
            }
            taken.await;
        }
    }

    pub(super) fn set_blocked(&self, blocked: bool) {
        let was_blocked = self.blocked.swap(blocked, Ordering::AcqRel);
        if !blocked {
            self.held.lock().clear();
            if was_blocked {
                self.progress.lock().idle_since = Instant::now();
                self.taken.notify_waiters();
            }
        }
    }

    /// The host begins to answer a request.
    pub(super) fn begin_request(self: &Arc<Self>) -> UnderWay {
        self.progress.lock().requests += 1;
        UnderWay(self.clone())
    }

    /// A part of a head has arrived with more to come, or no head is open any more. The
    /// time of a head that was open before goes on.
    pub(super) fn set_head_open(&self, is_open: bool) {
        let mut progress = self.progress.lock();
        progress.head_since = is_open.then(|| progress.head_since.unwrap_or_else(Instant::now));
    }

    /// Bytes of HTTP/1.1 have arrived. While the host answers no request, they belong to
    /// the head of the next one.
    pub(super) fn bytes_arrived(&self) {
        let mut progress = self.progress.lock();
        if progress.requests == 0 {
            progress.head_since.get_or_insert_with(Instant::now);
        }
    }

    /// A client has taken back a request before its answer, or not. A client that does
    /// the first too often makes the host work for nothing.
    pub(super) fn count_reset(&self, is_reset: bool) {
        let mut progress = self.progress.lock();
        progress.resets = if is_reset { progress.resets + 1 } else { progress.resets.saturating_sub(1) };
        if progress.resets > MAX_RESETS {
            self.give_up();
        }
    }

    /// The client has the idle time once more, to hear that the connection ends.
    pub(super) fn begin_farewell(&self) {
        self.progress.lock().idle_since = Instant::now();
    }

    /// Ends the connection, whatever is under way.
    pub(super) fn give_up(&self) {
        self.given_up.notify_one();
    }

    pub(super) async fn given_up(&self) {
        self.given_up.notified().await;
    }

    /// Waits until the client has had the time for what it owes.
    pub(super) async fn overdue(&self, head_time: Duration, idle_time: Duration) -> Owed {
        loop {
            let now = Instant::now();
            // No time that begins later ends before this.
            let mut look_again = now + head_time.min(idle_time);
            if let Some((owed, end)) = self.deadline(head_time, idle_time) {
                if end <= now {
                    return owed;
                }
                look_again = look_again.min(end);
            }
            tokio::time::sleep_until(look_again).await;
        }
    }

    fn deadline(&self, head_time: Duration, idle_time: Duration) -> Option<(Owed, Instant)> {
        let progress = self.progress.lock();
        if let Some(since) = progress.head_since {
            return Some((Owed::Head, since + head_time));
        }
        // The socket limits the time of a client that does not read.
        let is_idle = progress.requests == 0 && !self.blocked.load(Ordering::Acquire);
        is_idle.then(|| (Owed::Request, progress.idle_since + idle_time))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut progress = self.0.progress.lock();
        progress.requests -= 1;
        progress.idle_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Duration = Duration::from_secs(10);
    const IDLE: Duration = Duration::from_secs(75);

    /// The debt of the client, and its time after `begun`.
    fn owed(connection: &Connection, begun: Instant) -> Option<(Owed, u64)> {
        let (owed, end) = connection.deadline(HEAD, IDLE)?;
        Some((owed, (end - begun).as_secs()))
    }

    #[test]
    fn an_idle_connection_has_more_time_than_the_rest_of_a_head() {
        let begun = Instant::now();
        let connection = Arc::new(Connection::new(false));
        assert_eq!(owed(&connection, begun), Some((Owed::Head, 10)));
        connection.set_head_open(false);
        let request = connection.begin_request();
        assert_eq!(owed(&connection, begun), None, "a request is under way");
        drop(request);
        assert_eq!(owed(&connection, begun), Some((Owed::Request, 75)));
        connection.set_head_open(true);
        assert_eq!(owed(&connection, begun), Some((Owed::Head, 10)));
    }

    #[test]
    fn a_client_that_still_reads_its_answer_is_not_idle() {
        let connection = Arc::new(Connection::new(false));
        connection.set_head_open(false);
        connection.set_blocked(true);
        assert_eq!(owed(&connection, Instant::now()), None);
        let taken = Instant::now();
        connection.set_blocked(false);
        assert_eq!(owed(&connection, taken), Some((Owed::Request, 75)));
    }

    #[tokio::test]
    async fn further_bytes_of_a_head_do_not_make_its_time_longer() {
        let connection = Arc::new(Connection::new(false));
        connection.set_head_open(false);
        let waiting = connection.clone();
        // The wait for a request is under way already when the head begins.
        let overdue =
            tokio::spawn(async move { waiting.overdue(Duration::from_millis(200), Duration::from_secs(600)).await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        let begun = Instant::now();
        while !overdue.is_finished() && begun.elapsed() < Duration::from_secs(60) {
            connection.set_head_open(true);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(begun.elapsed() >= Duration::from_millis(200), "{:?}", begun.elapsed());
        assert_eq!(overdue.await.unwrap(), Owed::Head);
    }

    #[tokio::test]
    async fn a_client_may_take_back_some_requests_and_not_all() {
        let given_up = async |connection: &Connection| {
            tokio::time::timeout(Duration::from_millis(20), connection.given_up()).await.is_ok()
        };
        let connection = Connection::new(false);
        for _ in 0..1_000 {
            connection.count_reset(true);
            connection.count_reset(false);
        }
        (0..MAX_RESETS).for_each(|_| connection.count_reset(true));
        assert!(!given_up(&connection).await);
        connection.count_reset(true);
        assert!(given_up(&connection).await);
    }
}
