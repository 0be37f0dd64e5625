//! Sessions: tokens that the host signs, and those of them that it has
//! revoked.

use super::{Error, Principal};
use host_base::{clock, secret::Secret};
use host_database::HostDatabase;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use moka::sync::Cache;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use sqlx::AssertSqlSafe;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};
use uuid::Uuid;

const MAX_CLAIM_BYTES: usize = 1_024;
const MAX_TOKEN_BYTES: usize = 4_096;
const CACHED_TOKENS: u64 = 20_000;
const CACHED_SECONDS: u64 = 300;
const PRUNE_EVERY_SECONDS: u64 = 60;
/// A revocation outlives its session by a day: a host that starts while the
/// machine's clock is ahead by hours must not forget one that still matters.
const KEPT_SECONDS: u64 = 24 * 3_600;

const SCHEMA: &[&str] = &[
    "CREATE TABLE identity_revoked (jti BLOB PRIMARY KEY, expires_at INTEGER NOT NULL) STRICT;
     CREATE INDEX identity_revoked_expiry ON identity_revoked (expires_at)",
    "ALTER TABLE identity_revoked ADD COLUMN at_ms INTEGER NOT NULL DEFAULT 0;
     CREATE INDEX identity_revoked_at ON identity_revoked (at_ms)",
];
/// What another host committed may have become visible this much later than
/// it says.
const LATE_MS: i64 = 30_000;

/// A session that is valid at the moment it was looked up.
#[derive(Debug, Clone)]
pub struct Session {
    /// Who is signed in.
    pub principal: Principal,
    /// The session's own identifier.
    pub jti: Uuid,
    /// In seconds since the Unix epoch.
    pub expires_at: u64,
}

/// Signs, verifies and revokes. It lives as long as the host; revocations
/// live as long as the tokens they are for.
pub(super) struct Sessions {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    ttl: Duration,
    /// Tokens whose signature was checked. Expiry and revocation are checked
    /// each time.
    verified: Cache<String, Arc<Session>>,
    revoked: Arc<Revoked>,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    email: String,
    iat: u64,
    exp: u64,
    jti: String,
}

impl Sessions {
    pub(super) async fn open(key: &Secret, ttl: Duration, database: HostDatabase) -> sqlx::Result<Self> {
        let key = key.expose().as_bytes();
        let mut validation = Validation::new(Algorithm::HS256);
        // By the host's clock, and not by the machine's: see `verify`.
        validation.validate_exp = false;
        Ok(Self {
            encoding: EncodingKey::from_secret(key),
            decoding: DecodingKey::from_secret(key),
            validation,
            ttl,
            verified: Cache::builder()
                .max_capacity(CACHED_TOKENS)
                .time_to_live(Duration::from_secs(CACHED_SECONDS))
                .build(),
            revoked: Arc::new(Revoked::open(database).await?),
        })
    }

    /// How long a session lasts.
    pub(super) fn ttl(&self) -> Duration {
        self.ttl
    }

    /// A token for a new session.
    pub(super) fn issue(&self, principal: &Principal) -> Result<String, Error> {
        for (name, value) in [("id", &principal.id), ("email", &principal.email)] {
            if value.len() > MAX_CLAIM_BYTES {
                return Err(Error::Limit(format!("{name}: at most {MAX_CLAIM_BYTES} bytes")));
            }
        }
        let iat = now_seconds();
        let claims = Claims {
            sub: principal.id.clone(),
            email: principal.email.clone(),
            iat,
            exp: iat + self.ttl.as_secs(),
            jti: Uuid::new_v4().to_string(),
        };
        encode(&Header::new(Algorithm::HS256), &claims, &self.encoding)
            .map_err(|error| Error::Unavailable(format!("signing failed: {error}")))
    }

    /// The session of a token that this host has signed, that has not expired
    /// and was not revoked.
    pub(super) fn verify(&self, token: &str) -> Option<Arc<Session>> {
        let session = match self.verified.get(token) {
            Some(session) => session,
            None => self.check(token)?,
        };
        let valid = session.expires_at > now_seconds() && !self.revoked.contains(session.jti);
        valid.then_some(session)
    }

    /// When it returns without an error the session is revoked for good.
    pub(super) async fn revoke(&self, session: &Session) -> Result<(), Error> {
        let revoked = self.revoked.clone();
        let (jti, expires_at) = (session.jti, session.expires_at);
        // In a task of its own: a caller that is cut off must not leave the
        // session revoked in the database and valid in memory.
        let done = tokio::spawn(async move { revoked.add(jti, expires_at).await });
        match done.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::Unavailable(format!("not revoked: {error}"))),
            Err(_) => Err(Error::Unavailable("the host is stopping".to_owned())),
        }
    }

    /// Learns what other hosts on the same database have revoked.
    pub(super) async fn refresh(&self) -> sqlx::Result<()> {
        self.revoked.read().await
    }

    fn check(&self, token: &str) -> Option<Arc<Session>> {
        if token.len() > MAX_TOKEN_BYTES {
            return None;
        }
        let claims = decode::<Claims>(token, &self.decoding, &self.validation).ok()?.claims;
        let session = Arc::new(Session {
            principal: Principal { id: claims.sub, email: claims.email },
            jti: Uuid::parse_str(&claims.jti).ok()?,
            expires_at: claims.exp,
        });
        self.verified.insert(token.to_owned(), session.clone());
        Some(session)
    }
}

/// Revoked sessions that have not expired, in the database and in memory.
struct Revoked {
    database: HostDatabase,
    expiries: RwLock<HashMap<Uuid, u64>>,
    pruned_at: AtomicU64,
    /// The newest that was read, by the database's clock.
    read_until_ms: AtomicI64,
}

impl Revoked {
    async fn open(database: HostDatabase) -> sqlx::Result<Self> {
        database.ensure("identity", SCHEMA).await?;
        let now = now_seconds();
        forget(&database, now).await?;
        let revoked = Self {
            expiries: RwLock::default(),
            database,
            pruned_at: AtomicU64::new(now),
            read_until_ms: AtomicI64::new(0),
        };
        revoked.read().await?;
        Ok(revoked)
    }

    /// Learns what other hosts on the same database have revoked.
    async fn read(&self) -> sqlx::Result<()> {
        let since_ms = self.read_until_ms.load(Ordering::Relaxed).saturating_sub(LATE_MS);
        let rows: Vec<(Vec<u8>, i64, i64)> =
            sqlx::query_as("SELECT jti, expires_at, at_ms FROM identity_revoked WHERE at_ms >= $1")
                .bind(since_ms)
                .fetch_all(&self.database.write)
                .await?;
        let mut expiries = self.expiries.write();
        for (jti, expires_at, at_ms) in rows {
            self.read_until_ms.fetch_max(at_ms, Ordering::Relaxed);
            if let (Ok(jti), Ok(expires_at)) = (Uuid::from_slice(&jti), u64::try_from(expires_at)) {
                expiries.insert(jti, expires_at);
            }
        }
        Ok(())
    }

    fn contains(&self, jti: Uuid) -> bool {
        self.expiries.read().contains_key(&jti)
    }

    async fn add(&self, jti: Uuid, expires_at: u64) -> sqlx::Result<()> {
        let now_ms = self.database.dialect().now_ms();
        // Later than those before it, even if the database's clock was set
        // back: the others look only for what is newer than what they know.
        let sql = format!(
            "INSERT INTO identity_revoked (jti, expires_at, at_ms) SELECT $1, $2, max(ms) \
             FROM (SELECT {now_ms} AS ms UNION ALL SELECT max(at_ms) FROM identity_revoked) AS times \
             WHERE true ON CONFLICT DO NOTHING"
        );
        sqlx::query(AssertSqlSafe(sql))
            .bind(jti.as_bytes().as_slice())
            .bind(signed(expires_at))
            .execute(&self.database.write)
            .await?;
        self.expiries.write().insert(jti, expires_at);
        self.database.announce().await;
        if let Err(error) = self.prune(now_seconds()).await {
            tracing::warn!(%error, "expired revocations are still kept");
        }
        Ok(())
    }

    /// Forgets what has expired anyway, once in a while.
    async fn prune(&self, now: u64) -> sqlx::Result<()> {
        let last = self.pruned_at.load(Ordering::Relaxed);
        let due = now >= last + PRUNE_EVERY_SECONDS
            && self.pruned_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !due {
            return Ok(());
        }
        let before = now.saturating_sub(KEPT_SECONDS);
        self.expiries.write().retain(|_, expires_at| *expires_at > before);
        forget(&self.database, now).await
    }
}

/// Forgets which sessions were revoked that have expired for long.
async fn forget(database: &HostDatabase, now: u64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM identity_revoked WHERE expires_at <= $1")
        .bind(signed(now.saturating_sub(KEPT_SECONDS)))
        .execute(&database.write)
        .await?;
    Ok(())
}

/// Seconds since the Unix epoch.
fn now_seconds() -> u64 {
    clock::now().as_secs()
}

/// SQLite's integers are signed; a time beyond them is the end of time.
fn signed(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
