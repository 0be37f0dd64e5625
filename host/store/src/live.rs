//! `platform:live`: the events that a component sends to the listeners of its
//! channels.
//!
//! A commit writes its events into a log, which the hosts with listeners read.
//! Transactions of a component that write run one after another, on all hosts
//! together. So the numbers of the events have no gaps, and a host that has read
//! one of them misses none before it. The log keeps a few events for listeners
//! that come back, and always the last one, whose number the next one follows.

use super::{Error, OpenListener};
use async_trait::async_trait;

/// The most events that the log of a component keeps.
pub const LIVE_EVENTS: u64 = 1_000;
/// The most bytes that it keeps. One transaction has fewer.
pub const LIVE_BYTES: u64 = 4 << 20;
/// How long it keeps an event, unless the event is the last one.
pub const LIVE_KEPT_MS: u64 = 600_000;

/// The topic of a component that each commit with live events wakes. No guest can
/// use it, because it is empty.
pub(crate) const LIVE_TOPIC: &str = "";
/// The longest name of a channel.
const CHANNEL_BYTES: usize = 128;
/// The longest name of an event.
const NAME_BYTES: usize = 64;
/// The most data of an event.
const DATA_BYTES: usize = 64 << 10;
/// The events that follow the first kept one have fewer bytes than this, so that all
/// have at most [`LIVE_BYTES`].
pub(crate) const LIVE_LATER_BYTES: u64 = LIVE_BYTES - (CHANNEL_BYTES + NAME_BYTES + DATA_BYTES) as u64 - ROW_BYTES;
/// The name of the host's own event.
pub const RESET: &str = "reset";
/// The memory and the disk of an event beside its texts.
const ROW_BYTES: u64 = 64;

/// An event for the listeners of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveEvent {
    /// The channel of the component.
    pub channel: String,
    /// The name of the event. Empty for an event without a name.
    pub name: String,
    /// The text of the event.
    pub data: String,
}

/// A committed event in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedEvent {
    /// Ascends with each commit, without gaps.
    pub sequence: u64,
    /// When its transaction committed.
    pub at_ms: u64,
    /// The event for the listeners.
    pub event: LiveEvent,
}

/// The log of one component, for the host with its listeners.
#[async_trait]
pub trait LiveLog: Send + Sync + 'static {
    /// Returns the events after this one, the oldest first.
    async fn read_live(&self, after_sequence: u64) -> Result<Vec<LoggedEvent>, Error>;

    /// Listens to the commits with live events, on every host. A notification of
    /// another host can be lost.
    fn listen_live(&self) -> OpenListener;

    /// Deletes the events before this time, but not the last event. Returns their
    /// number.
    async fn prune_live(&self, before_ms: u64) -> Result<u64, Error>;
}

impl LiveEvent {
    /// The size that counts for the limits of the log.
    pub fn bytes(&self) -> u64 {
        (self.channel.len() + self.name.len() + self.data.len()) as u64 + ROW_BYTES
    }

    /// Checks the event of a guest.
    pub(crate) fn check(&self) -> Result<(), Error> {
        check_channel(&self.channel)?;
        if self.name.len() > NAME_BYTES {
            return Err(Error::Limit(format!("the name of a live event has at most {NAME_BYTES} characters")));
        }
        if !self.name.bytes().all(is_name_byte) {
            return Err(Error::Invalid("the name of a live event has letters, digits and -_.:/ alone".to_owned()));
        }
        if self.name == RESET {
            return Err(Error::Invalid(format!("the live event {RESET} belongs to the host")));
        }
        if self.data.len() > DATA_BYTES {
            return Err(Error::Limit(format!("a live event of more than {DATA_BYTES} bytes")));
        }
        // PostgreSQL does not store it.
        if self.data.contains('\0') {
            return Err(Error::Invalid("the data of a live event contains U+0000".to_owned()));
        }
        Ok(())
    }
}

/// Checks the name of a channel.
///
/// # Errors
/// The name is too long, or has other characters than a name may have.
pub fn check_channel(name: &str) -> Result<(), Error> {
    if name.is_empty() || name.len() > CHANNEL_BYTES {
        return Err(Error::Limit(format!("a channel's name has 1 to {CHANNEL_BYTES} characters")));
    }
    match name.bytes().all(is_name_byte) {
        true => Ok(()),
        false => Err(Error::Invalid("a channel's name has letters, digits and -_.:/ alone".to_owned())),
    }
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte)
}

/// The columns of a table of live events: sequence, time, channel, name, data.
pub(crate) type LiveRow = (i64, i64, String, String, String);

impl From<LiveRow> for LoggedEvent {
    fn from((sequence, at_ms, channel, name, data): LiveRow) -> Self {
        let event = LiveEvent { channel, name, data };
        Self { sequence: sequence.cast_unsigned(), at_ms: at_ms.cast_unsigned(), event }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(channel: &str, name: &str, data: &str) -> Result<(), Error> {
        LiveEvent { channel: channel.to_owned(), name: name.to_owned(), data: data.to_owned() }.check()
    }

    #[test]
    fn names_have_no_characters_that_end_a_line_or_a_header() {
        check("things/17:a_b-c.d", "", "").unwrap();
        check(&"c".repeat(CHANNEL_BYTES), &"n".repeat(NAME_BYTES), "two\r\nlines").unwrap();
        for wrong in ["", "a b", "a,b", "a\nb", "a\rb", "Ä", "a\0", "\"", &"c".repeat(CHANNEL_BYTES + 1)] {
            assert!(check(wrong, "n", "").is_err(), "{wrong:?}");
        }
        for wrong in ["a b", "a\nid: 7", "a\r", "reset", "é", &"n".repeat(NAME_BYTES + 1)] {
            assert!(check("c", wrong, "").is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn data_is_a_text_of_limited_size() {
        check("c", "n", &"x".repeat(DATA_BYTES)).unwrap();
        assert!(matches!(check("c", "n", &"x".repeat(DATA_BYTES + 1)), Err(Error::Limit(_))));
        assert!(matches!(check("c", "n", "a\0b"), Err(Error::Invalid(_))));
    }
}
