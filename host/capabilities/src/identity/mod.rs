//! `platform:identity`: passwords and sessions.
//!
//! [`Identity`] is the service of the host, which all components share.
//! [`IdentityView`] is the view of one invocation of a component.

mod cookie;
mod hashing;
mod issued;
mod session;
mod throttle;
mod view;

pub use crate::bindings::platform::http::types::Principal;
pub use crate::bindings::platform::identity::identity::Error;
pub use cookie::{NAME as SESSION_COOKIE, SECURE_NAME as SECURE_SESSION_COOKIE};
pub use issued::IssuedCookies;
pub use session::Session;
pub use view::{IdentityView, add_to_linker};

use hashing::Hasher;
use host_base::secret::Secret;
use host_config::{identity::IdentityConfig, offer::Offer, plugins::Grant};
use host_database::HostDatabase;
use http::HeaderMap;
use session::Sessions;
use std::{fmt, net::IpAddr, sync::Arc};
use throttle::Throttle;
pub use throttle::subscriber;

/// The interface for passwords and sessions.
pub const OFFER: Offer = Offer { grant: Grant::Identity, interfaces: &["platform:identity/identity"] };

const MAX_PASSWORD_BYTES: usize = 1_024;
const MAX_ACCOUNT_BYTES: usize = 1_024;

/// The passwords and sessions of the host.
pub struct Identity {
    hasher: Hasher,
    throttle: Throttle,
    sessions: Sessions,
}

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The list of revoked sessions cannot be read.
    #[error("the revoked sessions cannot be read: {0}")]
    Database(#[from] sqlx::Error),
    /// The parameters of argon2id are not valid.
    #[error("identity.argon2_*: {0}")]
    Parameters(argon2::Error),
}

impl Identity {
    /// Starts the service and loads the revoked sessions.
    ///
    /// # Errors
    /// When the database cannot be read or the parameters are not valid.
    pub async fn open(config: &IdentityConfig, jwt_key: &Secret, database: HostDatabase) -> Result<Self, OpenError> {
        Ok(Self {
            hasher: Hasher::new(config)?,
            throttle: Throttle::new(config),
            sessions: Sessions::open(jwt_key, config.session_ttl, database).await?,
        })
    }

    /// The valid session that a cookie of a request names. `secure` says whether the
    /// visitor uses TLS.
    pub fn session(&self, headers: &HeaderMap, secure: bool) -> Option<Arc<Session>> {
        cookie::session_tokens(headers, secure).find_map(|token| self.sessions.verify(token))
    }

    /// Creates a session. Returns the value of `set-cookie` with its token.
    ///
    /// # Errors
    /// When the principal is too long for a cookie.
    pub fn issue(&self, principal: &Principal, secure: bool) -> Result<String, Error> {
        let token = self.sessions.issue(principal)?;
        Ok(cookie::set(&token, self.sessions.ttl(), secure))
    }

    /// Revokes a session durably.
    ///
    /// # Errors
    /// When the revocation cannot be stored. The session is then still valid.
    pub async fn revoke(&self, session: &Session) -> Result<(), Error> {
        self.sessions.revoke(session).await
    }

    /// Loads the revocations of the other hosts on the same database.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn refresh(&self) -> sqlx::Result<()> {
        self.sessions.refresh().await
    }

    /// Hashes a password with a new salt.
    ///
    /// # Errors
    /// When the password is too long or the queue is full.
    pub async fn hash_password(&self, password: String) -> Result<String, Error> {
        check_password(&password)?;
        self.hasher.hash(password).await
    }

    /// Returns whether the password belongs to the hash. Without a hash it does the
    /// same work and returns `false`.
    ///
    /// # Errors
    /// When the account or the address has too many failed attempts, an argument
    /// exceeds a limit, or the queue is full.
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
            attempt.release();
        }
        verdict
    }

    /// How many hashes the host has computed since its start.
    #[cfg(test)]
    fn hashes_computed(&self) -> u64 {
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

#[cfg(test)]
mod tests;
