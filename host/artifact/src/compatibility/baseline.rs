//! The wording of a difference. It depends on what a component is compared with.

/// The interfaces that a component is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Baseline {
    /// The interfaces of the active revision.
    ActiveRevision,
    /// The interfaces of the host.
    Host,
}

impl Baseline {
    pub(super) fn added(self, what: &str) -> String {
        match self {
            Self::ActiveRevision => format!("{what} is new"),
            Self::Host => format!("the host does not have {what}"),
        }
    }

    pub(super) fn removed(self, what: &str) -> String {
        match self {
            Self::ActiveRevision => format!("{what} is gone"),
            Self::Host => format!("{what}, which the host has, is missing"),
        }
    }

    pub(super) fn changed(self, what: &str, old: &str, new: &str) -> String {
        match (self, what) {
            (Self::ActiveRevision, "it") => format!("{old} is now {new}"),
            (Self::ActiveRevision, _) => format!("{what}: {old} is now {new}"),
            (Self::Host, _) => format!("{what} is {new}, but {old} in the host"),
        }
    }

    pub(super) fn renamed(self, noun: &str, old: &str, new: &str) -> String {
        match self {
            Self::ActiveRevision => format!("{noun} {old} is now called {new}"),
            Self::Host => format!("{noun} {new} is called {old} in the host"),
        }
    }

    pub(super) fn moved(self, noun: &str) -> String {
        match self {
            Self::ActiveRevision => format!("the {noun}s have another order"),
            Self::Host => format!("the {noun}s have another order than in the host"),
        }
    }
}
