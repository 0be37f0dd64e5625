//! The text of a notification between hosts: `HOST DUE_MS ROLE COMPONENT`.

use crate::LeaseRole;

/// Work for the host that holds a lease of a component.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Notification<'a> {
    /// The host that sent it.
    pub(super) host: &'a str,
    /// When the work is due, in milliseconds since the Unix epoch. 0 means now.
    pub(super) due_ms: u64,
    pub(super) role: LeaseRole,
    pub(super) component: &'a str,
}

impl<'a> Notification<'a> {
    pub(super) fn encode(&self) -> String {
        let Self { host, due_ms, role, component } = self;
        format!("{host} {due_ms} {} {component}", name(*role))
    }

    /// Returns none for a notification of another kind, which a host of another
    /// version may send.
    pub(super) fn decode(text: &'a str) -> Option<Self> {
        let mut words = text.splitn(4, ' ');
        let (host, due_ms) = (words.next()?, words.next()?.parse().ok()?);
        let (role_name, component) = (words.next()?, words.next()?);
        let role = [LeaseRole::Outbox, LeaseRole::Timers].into_iter().find(|role| name(*role) == role_name)?;
        Some(Self { host, due_ms, role, component })
    }
}

fn name(role: LeaseRole) -> &'static str {
    match role {
        LeaseRole::Outbox => "outbox",
        LeaseRole::Timers => "timers",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_is_decoded_as_it_was_encoded_and_others_are_ignored() {
        for (due_ms, text) in [(0, "h 0 outbox c"), (1_700_000_000_000, "h 1700000000000 outbox c")] {
            let notification = Notification { host: "h", due_ms, role: LeaseRole::Outbox, component: "c" };
            assert_eq!(notification.encode(), text);
            assert_eq!(Notification::decode(text), Some(notification));
        }
        for other in ["", "h", "h outbox", "h outbox c", "h 0 outbox", "h 0 sleep c", "h soon timers c"] {
            assert_eq!(Notification::decode(other), None, "{other}");
        }
    }
}
