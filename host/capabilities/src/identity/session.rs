//! Sessions. The host signs a token for each session and keeps a list of the revoked
//! sessions.

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
/// The host keeps a revocation for a day after its session has expired. A host whose
/// clock is hours ahead must not delete a revocation too early.
const KEEP_SECONDS: u64 = 24 * 3_600;

const SCHEMA: &[&str] = &[
    "CREATE TABLE identity_revoked (jti BLOB PRIMARY KEY, expires_at INTEGER NOT NULL) STRICT;
     CREATE INDEX identity_revoked_expiry ON identity_revoked (expires_at)",
    "ALTER TABLE identity_revoked ADD COLUMN at_ms INTEGER NOT NULL DEFAULT 0;
     CREATE INDEX identity_revoked_at ON identity_revoked (at_ms)",
];
/// A revocation of another host can become visible this long after its own time
/// stamp.
const MAX_VISIBILITY_DELAY_MS: i64 = 30_000;

/// A session that was valid at the time of the lookup.
#[derive(Debug, Clone)]
pub struct Session {
    /// The signed-in user.
    pub principal: Principal,
    /// The identifier of the session.
    pub jti: Uuid,
    /// The expiry time, in seconds since the Unix epoch.
    pub expires_at: u64,
}

/// Signs, verifies and revokes tokens. It lives as long as the host.
pub(super) struct Sessions {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
    ttl: Duration,
    /// The tokens with a checked signature. Each lookup checks expiry and revocation
    /// again.
    verified: Cache<String, Arc<Session>>,
    revocations: Arc<Revocations>,
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
        // `verify` checks the expiry with the clock of the host. The library would use
        // the clock of the machine.
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
            revocations: Arc::new(Revocations::open(database).await?),
        })
    }

    /// The lifetime of a session.
    pub(super) fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Creates a session and returns its token.
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

    /// The session of a token. `None` if the signature is wrong, or the session has
    /// expired or is revoked.
    pub(super) fn verify(&self, token: &str) -> Option<Arc<Session>> {
        let session = match self.verified.get(token) {
            Some(session) => session,
            None => self.check(token)?,
        };
        let valid = session.expires_at > now_seconds() && !self.revocations.contains(session.jti);
        valid.then_some(session)
    }

    /// Revokes a session durably. The revocation is stored when this returns `Ok`.
    pub(super) async fn revoke(&self, session: &Session) -> Result<(), Error> {
        let revocations = self.revocations.clone();
        let (jti, expires_at) = (session.jti, session.expires_at);
        // A separate task: if the caller is cancelled, the session must not stay
        // revoked in the database and valid in memory.
        let done = tokio::spawn(async move { revocations.add(jti, expires_at).await });
        match done.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::Unavailable(format!("the revocation is not stored: {error}"))),
            Err(_) => Err(Error::Unavailable("the host is stopping".to_owned())),
        }
    }

    /// Loads the revocations of the other hosts on the same database.
    pub(super) async fn refresh(&self) -> sqlx::Result<()> {
        self.revocations.load_new().await
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

/// The revoked sessions that have not expired, in the database and in memory.
struct Revocations {
    database: HostDatabase,
    expiries: RwLock<HashMap<Uuid, u64>>,
    pruned_at: AtomicU64,
    /// The time stamp of the newest loaded revocation, by the clock of the database.
    loaded_until_ms: AtomicI64,
}

impl Revocations {
    async fn open(database: HostDatabase) -> sqlx::Result<Self> {
        database.ensure_schema("identity", SCHEMA).await?;
        let now = now_seconds();
        delete_expired(&database, now).await?;
        let revocations = Self {
            expiries: RwLock::default(),
            database,
            pruned_at: AtomicU64::new(now),
            loaded_until_ms: AtomicI64::new(0),
        };
        revocations.load_new().await?;
        Ok(revocations)
    }

    /// Loads the revocations that are newer than the loaded ones.
    async fn load_new(&self) -> sqlx::Result<()> {
        let since_ms = self.loaded_until_ms.load(Ordering::Relaxed).saturating_sub(MAX_VISIBILITY_DELAY_MS);
        let rows: Vec<(Vec<u8>, i64, i64)> =
            sqlx::query_as("SELECT jti, expires_at, at_ms FROM identity_revoked WHERE at_ms >= $1")
                .bind(since_ms)
                .fetch_all(&self.database.write)
                .await?;
        let mut expiries = self.expiries.write();
        for (jti, expires_at, at_ms) in rows {
            self.loaded_until_ms.fetch_max(at_ms, Ordering::Relaxed);
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
        // The time stamp is never lower than the existing ones, even if the clock of
        // the database was set back. The other hosts load only newer revocations.
        let sql = format!(
            "INSERT INTO identity_revoked (jti, expires_at, at_ms) SELECT $1, $2, max(ms) \
             FROM (SELECT {now_ms} AS ms UNION ALL SELECT max(at_ms) FROM identity_revoked) AS times \
             WHERE true ON CONFLICT DO NOTHING"
        );
        sqlx::query(AssertSqlSafe(sql))
            .bind(jti.as_bytes().as_slice())
            .bind(to_i64(expires_at))
            .execute(&self.database.write)
            .await?;
        self.expiries.write().insert(jti, expires_at);
        self.database.announce().await;
        if let Err(error) = self.prune(now_seconds()).await {
            tracing::warn!(%error, "expired revocations cannot be deleted");
        }
        Ok(())
    }

    /// Deletes expired revocations, at most once a minute.
    async fn prune(&self, now: u64) -> sqlx::Result<()> {
        let last = self.pruned_at.load(Ordering::Relaxed);
        let due = now >= last + PRUNE_EVERY_SECONDS
            && self.pruned_at.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !due {
            return Ok(());
        }
        let before = now.saturating_sub(KEEP_SECONDS);
        self.expiries.write().retain(|_, expires_at| *expires_at > before);
        delete_expired(&self.database, now).await
    }
}

async fn delete_expired(database: &HostDatabase, now: u64) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM identity_revoked WHERE expires_at <= $1")
        .bind(to_i64(now.saturating_sub(KEEP_SECONDS)))
        .execute(&database.write)
        .await?;
    Ok(())
}

/// Seconds since the Unix epoch.
fn now_seconds() -> u64 {
    clock::now().as_secs()
}

/// Converts a time for a signed column. The largest value stands for all later
/// times.
fn to_i64(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
