//! `platform:identity`: passwords and sessions.
//!
//! [`Identity`] is the one service of the host, made at its start and shared
//! by all; [`IdentityView`] is what one invocation of a component sees of it.

mod cookie;
mod hashing;
mod session;
mod throttle;

pub use crate::bindings::platform::http::types::Principal;
pub use crate::bindings::platform::identity::identity::Error;
use crate::bindings::platform::identity::identity::Host;
pub use cookie::session_token;
use hashing::Hasher;
pub use hashing::MAX_PASSWORD_BYTES;
use host_base::secret::Secret;
use host_database::HostDatabase;
use http::HeaderMap;
pub use session::Session;
use session::Sessions;
use std::{fmt, net::IpAddr, sync::Arc};
use throttle::Throttle;
use wasmtime::component::{HasData, Linker};

const MAX_ACCOUNT_BYTES: usize = 1_024;

/// Passwords and sessions of the whole host.
pub struct Identity {
    hasher: Hasher,
    throttle: Throttle,
    sessions: Sessions,
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The revoked sessions cannot be read.
    #[error("the revoked sessions cannot be read: {0}")]
    Database(#[from] sqlx::Error),
    /// argon2id does not accept the parameters.
    #[error("identity.argon2_*: {0}")]
    Parameters(argon2::Error),
    /// No thread can be had for hashing.
    #[error("no threads for hashing: {0}")]
    Threads(std::io::Error),
}

impl Identity {
    /// Starts the service with the sessions that were revoked before.
    ///
    /// # Errors
    /// When the database cannot be read or the parameters make no sense.
    pub async fn open(
        settings: &host_config::identity::IdentityConfig,
        jwt_key: &Secret,
        database: HostDatabase,
    ) -> Result<Self, OpenError> {
        Ok(Self {
            hasher: Hasher::new(settings)?,
            throttle: Throttle::new(settings),
            sessions: Sessions::open(jwt_key, settings.session_ttl, database).await?,
        })
    }

    /// The session of a request, from its cookie.
    pub fn session(&self, headers: &HeaderMap) -> Option<Arc<Session>> {
        self.verify(session_token(headers)?)
    }

    /// The session of a token that this host has signed, that has not expired
    /// and was not revoked.
    pub fn verify(&self, token: &str) -> Option<Arc<Session>> {
        self.sessions.verify(token)
    }

    /// Starts a session and returns the `set-cookie` value that hands it out.
    ///
    /// # Errors
    /// When the principal is too long for a cookie.
    pub fn issue(&self, principal: &Principal, secure: bool) -> Result<String, Error> {
        let token = self.sessions.issue(principal)?;
        Ok(cookie::set(&token, self.sessions.ttl(), secure))
    }

    /// Revokes a session, durably.
    ///
    /// # Errors
    /// When it could not be stored; the session is then still valid.
    pub async fn revoke(&self, session: &Session) -> Result<(), Error> {
        self.sessions.revoke(session).await
    }

    /// Learns what other hosts on the same database have revoked.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn refresh(&self) -> sqlx::Result<()> {
        self.sessions.refresh().await
    }

    /// Hashes a password with a fresh salt.
    ///
    /// # Errors
    /// When it is too long, or too many others are waiting.
    pub async fn hash_password(&self, password: String) -> Result<String, Error> {
        check_password(&password)?;
        self.hasher.hash(password).await
    }

    /// Whether the password belongs to the hash; `false`, after the same
    /// work, if there is none.
    ///
    /// # Errors
    /// When the account or the address has failed too often, an argument is
    /// over a limit, or too many others are waiting.
    pub async fn verify_password(
        &self,
        account: &str,
        address: Option<IpAddr>,
        password: String,
        hash: Option<&str>,
    ) -> Result<bool, Error> {
        check_password(&password)?;
        if account.len() > MAX_ACCOUNT_BYTES {
            return Err(Error::Limit(format!("account: at most {MAX_ACCOUNT_BYTES} bytes")));
        }
        let hash = hash.map(|hash| self.hasher.parse(hash)).transpose()?;
        let attempt = match self.throttle.attempt(account, address).await {
            Ok(attempt) => attempt,
            Err(seconds) => {
                metrics::counter!("identity_throttled_total").increment(1);
                return Err(Error::Throttled(seconds));
            }
        };
        let verdict = self.hasher.verify(password, hash).await;
        if !matches!(verdict, Ok(false)) {
            attempt.not_a_failure();
        }
        verdict
    }

    /// How many password hashes were computed since the host started.
    pub fn hashes_computed(&self) -> u64 {
        self.hasher.computed()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Identity").finish_non_exhaustive()
    }
}

fn check_password(password: &str) -> Result<(), Error> {
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(Error::Limit(format!("password: at most {MAX_PASSWORD_BYTES} bytes")));
    }
    Ok(())
}

/// The service as one invocation sees it.
#[derive(Debug)]
pub struct IdentityView<'a> {
    /// The host's.
    pub identity: &'a Identity,
    /// Whose attempts are counted; none outside a request.
    pub client_address: Option<IpAddr>,
    /// The session of the request being handled.
    pub session: Option<&'a Session>,
    /// Whether cookies carry `Secure`.
    pub secure: bool,
}

/// Ties [`IdentityView`] to the linker.
#[derive(Debug)]
struct HasIdentity;

impl HasData for HasIdentity {
    type Data<'a> = IdentityView<'a>;
}

/// Links `platform:identity`; `view` lends what one invocation sees of it.
///
/// # Errors
/// When the linker has the interface already.
pub fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> IdentityView<'_>,
) -> wasmtime::Result<()> {
    crate::bindings::platform::identity::identity::add_to_linker::<T, HasIdentity>(linker, view)
}

impl Host for IdentityView<'_> {
    async fn hash_password(&mut self, password: String) -> wasmtime::Result<Result<String, Error>> {
        Ok(self.identity.hash_password(password).await)
    }

    async fn verify_password(
        &mut self,
        account: String,
        password: String,
        hash: Option<String>,
    ) -> wasmtime::Result<Result<bool, Error>> {
        Ok(self.identity.verify_password(&account, self.client_address, password, hash.as_deref()).await)
    }

    async fn issue(&mut self, principal: Principal) -> wasmtime::Result<Result<String, Error>> {
        Ok(self.identity.issue(&principal, self.secure))
    }

    async fn revoke(&mut self) -> wasmtime::Result<Result<String, Error>> {
        if let Some(session) = self.session
            && let Err(error) = self.identity.revoke(session).await
        {
            return Ok(Err(error));
        }
        Ok(Ok(cookie::clear(self.secure)))
    }
}

#[cfg(test)]
mod tests;
