//! The reason why an invocation gave no answer, and who is to blame.

use crate::memory::MemoryUsedUp;
use host_base::text::truncate;

/// The longest text of a trap that is kept.
const TRAP_BYTES: usize = 8 << 10;

/// A failure of one invocation. It affects no other invocation.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Too many calls ran at once, and the queue was full or the wait was too
    /// long.
    #[error("{component} is at its limit of {limit} calls at a time")]
    Busy {
        /// The plugin, or `host` for the limit of all plugins together.
        component: String,
        /// How many calls run at once.
        limit: usize,
    },
    /// The call took longer than `limits.wall_time_ms`.
    #[error("{component} did not answer within {milliseconds} ms")]
    Deadline {
        /// The plugin.
        component: String,
        /// Its limit.
        milliseconds: u64,
        /// It computed at that moment, and did not wait for the host.
        computes: bool,
    },
    /// The call took longer than `limits.wall_time_ms`, because the database does
    /// not answer or takes no writes.
    #[error("{component} waited for the database for {milliseconds} ms")]
    Database {
        /// The plugin.
        component: String,
        /// Its limit.
        milliseconds: u64,
    },
    /// The component trapped; the text is for logs.
    #[error("{component} trapped: {message}")]
    Trap {
        /// The plugin.
        component: String,
        /// Wasmtime's message with the guest's backtrace, in one line.
        message: String,
    },
    /// The answer breaks the contract.
    #[error("{component} gave an answer that is not valid: {problem}")]
    Answer {
        /// The plugin.
        component: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The request's body is over `limits.body_bytes`. The host noticed it
    /// while it read the body.
    #[error("{component} was sent a body over the limit of {limit_bytes} bytes")]
    TooLarge {
        /// The plugin.
        component: String,
        /// Its limit.
        limit_bytes: usize,
    },
    /// The caller stopped sending its request before the end.
    #[error("{component} was sent no more of a request within {milliseconds} ms")]
    Unsent {
        /// The plugin.
        component: String,
        /// How long the host waited.
        milliseconds: u64,
    },
    /// Clients have not taken the answers before, and the host keeps no more.
    #[error("{component} has no room for its answer, clients have not taken {limit_bytes} bytes yet")]
    Unread {
        /// The plugin.
        component: String,
        /// The limit that is reached, of the plugin or of the whole host.
        limit_bytes: usize,
    },
    /// The memories of guests take as much as they may together.
    #[error("{component} has no more memory, its calls take {limit_bytes} bytes together")]
    Memory {
        /// The plugin, or `host` for the memory of all plugins together.
        component: String,
        /// Its limit.
        limit_bytes: usize,
    },
    /// The call cannot be made at all.
    #[error("{component} cannot be called: {problem}")]
    Host {
        /// The plugin.
        component: String,
        /// The reason.
        problem: String,
    },
}

/// Who has to repair the cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The component's author.
    Guest,
    /// The host or the machine under it.
    Host,
    /// The caller, who sends more than the limits allow.
    Caller,
    /// A service that the host needs.
    Dependency,
}

impl Failure {
    /// Whether this component is at its limit of calls.
    pub fn is_busy(&self, name: &str) -> bool {
        matches!(self, Self::Busy { component, .. } if component == name)
    }

    /// Whether the host had no room for the call. The same call works later.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Memory { .. })
    }

    /// The failure behind wasmtime's error.
    pub(super) fn of_call(component: &str, error: &wasmtime::Error) -> Self {
        match error.downcast_ref::<MemoryUsedUp>() {
            Some(MemoryUsedUp { limit_bytes, of_plugin }) => {
                let component = if *of_plugin { component } else { "host" };
                Self::Memory { component: component.to_owned(), limit_bytes: *limit_bytes }
            }
            None => Self::trap(component, &format!("{error:?}")),
        }
    }

    /// Makes a failure of wasmtime's error text. The text becomes one line, for
    /// logs and command lines, and is cut, because the component chooses the
    /// names in it and their length.
    pub fn trap(component: &str, words: &str) -> Self {
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        Self::Trap { component: component.to_owned(), message: truncate(&words, TRAP_BYTES).to_owned() }
    }

    /// Who is to blame for the failure.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Busy { .. }
            | Self::Memory { .. }
            | Self::TooLarge { .. }
            | Self::Unread { .. }
            | Self::Unsent { .. } => Blame::Caller,
            Self::Deadline { .. } | Self::Trap { .. } | Self::Answer { .. } => Blame::Guest,
            Self::Host { .. } => Blame::Host,
            Self::Database { .. } => Blame::Dependency,
        }
    }

    /// The name in metrics and logs.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "busy",
            Self::Deadline { .. } => "deadline",
            Self::Trap { .. } => "trap",
            Self::Answer { .. } => "answer",
            Self::Memory { .. } => "memory",
            Self::TooLarge { .. } => "too-large",
            Self::Unread { .. } => "unread",
            Self::Unsent { .. } => "unsent",
            Self::Host { .. } => "host",
            Self::Database { .. } => "database",
        }
    }
}

impl Blame {
    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Host => "host",
            Self::Caller => "caller",
            Self::Dependency => "dependency",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trap_is_told_in_one_line() {
        let words =
            "error while executing at wasm backtrace:\n    0: 0x1f - m!f\n\nCaused by:\n    wasm trap: unreachable\n";
        let told = Failure::trap("shop", words).to_string();
        let expected =
            "shop trapped: error while executing at wasm backtrace: 0: 0x1f - m!f Caused by: wasm trap: unreachable";
        assert_eq!(told, expected);
    }
}
