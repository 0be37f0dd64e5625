//! The topics of `platform:signals` on this host.

use super::{Error, live::LIVE_TOPIC};
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{sync::watch, time::timeout};

/// The longest name of a topic.
const TOPIC_BYTES: usize = 200;
/// The most listeners of one component on this host.
const LISTENERS: usize = 4_096;

/// The listeners of one component on this host. A topic exists while it has
/// listeners.
#[derive(Debug, Default)]
pub struct Topics(Mutex<Listeners>);

#[derive(Debug, Default)]
struct Listeners {
    topics: HashMap<String, watch::Sender<()>>,
    /// The number of listeners of all topics.
    count: usize,
}

impl Topics {
    /// Listens to a topic from now on.
    pub(crate) fn listen(self: &Arc<Self>, topic: String) -> Result<OpenListener, Error> {
        check_topic(&topic)?;
        let mut listeners = self.0.lock();
        if listeners.count >= LISTENERS {
            return Err(Error::Limit(format!("more than {LISTENERS} listeners of the component")));
        }
        Ok(self.add(&mut listeners, topic))
    }

    /// Listens to the commits with live events, for the host itself.
    pub(crate) fn listen_live(self: &Arc<Self>) -> OpenListener {
        self.add(&mut self.0.lock(), LIVE_TOPIC.to_owned())
    }

    fn add(self: &Arc<Self>, listeners: &mut Listeners, topic: String) -> OpenListener {
        listeners.count += 1;
        let notified = listeners.topics.entry(topic.clone()).or_insert_with(|| watch::Sender::new(())).subscribe();
        OpenListener { topics: self.clone(), topic, notified }
    }

    /// Wakes the listeners to a topic. Returns whether there are any.
    pub(crate) fn wake(&self, topic: &str) -> bool {
        match self.0.lock().topics.get(topic) {
            None => false,
            Some(listeners) => {
                listeners.send_replace(());
                true
            }
        }
    }

    /// Wakes all listeners, because notifications may have been missed.
    pub(crate) fn wake_all(&self) {
        for listeners in self.0.lock().topics.values() {
            listeners.send_replace(());
        }
    }
}

/// Checks the name of a topic.
pub(crate) fn check_topic(topic: &str) -> Result<(), Error> {
    if topic.is_empty() || topic.len() > TOPIC_BYTES {
        return Err(Error::Limit(format!("a topic has 1 to {TOPIC_BYTES} bytes")));
    }
    if topic.contains('\0') {
        return Err(Error::Invalid("a topic has a zero byte".to_owned()));
    }
    Ok(())
}

/// A listener to a topic. It listens until it is dropped.
pub struct OpenListener {
    topics: Arc<Topics>,
    topic: String,
    notified: watch::Receiver<()>,
}

impl OpenListener {
    /// Whether the topic was notified after the last call of this or of
    /// [`Self::wait`].
    pub(crate) fn take_notification(&mut self) -> bool {
        // The sender lives as long as the topic has listeners.
        let is_notified = self.notified.has_changed().unwrap_or(false);
        if is_notified {
            self.notified.mark_unchanged();
        }
        is_notified
    }

    /// Waits for a notification. Returns false when the time is over.
    pub async fn wait(&mut self, limit: Duration) -> bool {
        matches!(timeout(limit, self.notified.changed()).await, Ok(Ok(())))
    }
}

impl Drop for OpenListener {
    fn drop(&mut self) {
        let mut listeners = self.topics.0.lock();
        listeners.count = listeners.count.saturating_sub(1);
        // This listener still counts as one.
        if listeners.topics.get(&self.topic).is_some_and(|topic| topic.receiver_count() <= 1) {
            listeners.topics.remove(&self.topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_notification_after_listen_is_not_lost_and_counts_once() {
        let topics = Arc::new(Topics::default());
        assert!(!topics.wake("a"), "nobody listens");
        let (mut listener, mut other) = (topics.listen("a".into()).unwrap(), topics.listen("b".into()).unwrap());
        assert!(!listener.take_notification(), "what was notified before does not count");
        assert!(topics.wake("a"));
        assert!(topics.wake("a"));
        assert!(listener.wait(Duration::ZERO).await);
        assert!(!listener.wait(Duration::from_millis(10)).await);
        assert!(!other.take_notification());
        topics.wake_all();
        assert!(listener.take_notification() && other.take_notification());
    }

    #[tokio::test]
    async fn a_topic_ends_with_its_last_listener() {
        let topics = Arc::new(Topics::default());
        let (first, second) = (topics.listen("a".into()).unwrap(), topics.listen("a".into()).unwrap());
        drop(first);
        assert!(topics.wake("a"));
        drop(second);
        assert!(!topics.wake("a"));
        assert_eq!(topics.0.lock().count, 0);
    }

    #[test]
    fn listeners_and_names_are_limited() {
        let topics = Arc::new(Topics::default());
        let most: Vec<_> = (0..LISTENERS).map(|number| topics.listen(format!("t{}", number % 7)).unwrap()).collect();
        assert!(matches!(topics.listen("one more".into()), Err(Error::Limit(_))));
        drop(most);
        assert!(topics.listen("one more".into()).is_ok());
        for wrong in [String::new(), "x".repeat(TOPIC_BYTES + 1), "a\0b".to_owned()] {
            assert!(topics.listen(wrong).is_err());
        }
    }
}
