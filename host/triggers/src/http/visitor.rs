//! The asker of a request: a visitor, or a plugin in the place of one.

use crate::client::Client;
use host_capabilities::identity::{Identity, Session, subscriber};
use http::{
    HeaderMap,
    uri::{Authority, Scheme},
};
use std::sync::{Arc, OnceLock};

/// The person or program that asks.
pub(super) struct Visitor<'a> {
    pub(super) client: Client,
    headers: &'a HeaderMap,
    identity: &'a Identity,
    session: OnceLock<Option<Arc<Session>>>,
}

impl<'a> Visitor<'a> {
    pub(super) fn new(client: Client, headers: &'a HeaderMap, identity: &'a Identity) -> Self {
        Self { client, headers, identity, session: OnceLock::new() }
    }

    /// The session, whether the plugin learns it or not. The host verifies it when
    /// something needs it.
    pub(super) fn session(&self) -> Option<&Arc<Session>> {
        self.session.get_or_init(|| self.identity.session(self.headers, self.client.secure)).as_ref()
    }

    /// The id of the account, if the visitor has a session.
    pub(super) fn account(&self) -> Option<&str> {
        self.session().map(|session| session.principal.id.as_str())
    }
}

/// The asker of a request.
#[derive(Clone, Copy)]
pub(super) enum Asker<'a> {
    Visitor(&'a Visitor<'a>),
    Plugin {
        /// The plugin that asks.
        caller: &'a str,
        /// The authority of the URL.
        authority: &'a str,
        /// The account of the visitor, if both plugins know the visitor.
        account: Option<&'a str>,
    },
}

/// The owner of an `Idempotency-Key`.
pub(super) struct KeyOwner {
    /// Keeps the keys of different askers apart. Visitors without a session share
    /// one scope.
    pub(super) scope: String,
    /// The same for keys that are counted together.
    pub(super) holder: String,
}

impl Asker<'_> {
    pub(super) fn key_owner(&self) -> KeyOwner {
        let of_account = |account: &str| KeyOwner { scope: account.to_owned(), holder: format!("user {account}") };
        match self {
            Self::Visitor(visitor) => visitor.account().map_or_else(
                || KeyOwner { scope: String::new(), holder: format!("address {}", subscriber(visitor.client.address)) },
                of_account,
            ),
            Self::Plugin { account: Some(account), .. } => of_account(account),
            Self::Plugin { caller, .. } => {
                let plugin = format!("plugin {caller}");
                KeyOwner { scope: plugin.clone(), holder: plugin }
            }
        }
    }

    /// The scheme and the host of the URL that was asked for.
    pub(super) fn origin(&self) -> (Scheme, Option<Authority>) {
        match self {
            Self::Visitor(Visitor { client, .. }) => {
                let scheme = if client.secure { Scheme::HTTPS } else { Scheme::HTTP };
                (scheme, client.host.as_deref().and_then(|host| host.parse().ok()))
            }
            Self::Plugin { authority, .. } => (Scheme::HTTP, authority.parse().ok()),
        }
    }
}
