//! The tokens of callers, as digests. They are in the host's database, and in
//! memory for the look-up of each request. A token lives until it expires or is
//! revoked.

use super::super::{caller::Caller, credential::TokenDigest};
use host_api::tokens::Role;
use host_base::{clock::now_ms, secret::Secret};
use host_database::{
    HostDatabase,
    audit::{Audit, Entry, Outcome, actor},
};
use parking_lot::RwLock;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;

const SCHEMA: &[&str] = &[
    "CREATE TABLE operator_tokens (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        role TEXT NOT NULL,
        plugins TEXT,
        digest BLOB NOT NULL,
        created_ms INTEGER NOT NULL,
        created_by TEXT NOT NULL) STRICT",
    "ALTER TABLE operator_tokens ADD COLUMN expires_ms INTEGER",
];

/// The most tokens at the same time.
pub(super) const MAX_TOKENS: usize = 1_000;
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
const PREFIX: &str = "tk_";

/// Every token that is valid. It lives as long as the host.
#[derive(Debug)]
pub struct Tokens {
    database: HostDatabase,
    built_in: TokenDigest,
    issued: RwLock<BTreeMap<String, Arc<Issued>>>,
    /// One change at a time, so that the limit holds and no name is given twice.
    change: Mutex<()>,
}

/// A token that was created and not revoked.
#[derive(Debug)]
pub(super) struct Issued {
    pub(super) id: String,
    digest: TokenDigest,
    pub(super) caller: Caller,
    pub(super) created_ms: u64,
    pub(super) created_by: String,
    pub(super) expires_ms: Option<u64>,
    /// 0 if it was not used since the host was started.
    pub(super) last_used_ms: AtomicU64,
}

/// The reason why the host did not create or revoke a token.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    #[error("there is a token named {0} already")]
    Taken(String),
    #[error("there are {MAX_TOKENS} tokens; revoke one first")]
    Full,
    #[error("there is no token {0}")]
    Unknown(String),
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

type Row = (String, String, String, Option<String>, Vec<u8>, i64, String, Option<i64>);

impl Tokens {
    /// Reads the tokens from the database. The token that the host was started
    /// with is not among them: it is an admin named `operator` that cannot be
    /// revoked.
    pub async fn open(database: HostDatabase, built_in: &Secret) -> sqlx::Result<Self> {
        database.ensure_schema("operator_tokens", SCHEMA).await?;
        let issued = read(&database).await?;
        issued.values().for_each(|token| token.end_at_expiry());
        Ok(Self {
            issued: RwLock::new(issued),
            built_in: TokenDigest::of(built_in.expose()),
            change: Mutex::default(),
            database,
        })
    }

    /// Reads the tokens that other hosts on the same database have created and
    /// revoked.
    pub async fn refresh(&self) -> sqlx::Result<()> {
        let _guard = self.change.lock().await;
        let now = read(&self.database).await?;
        let mut issued = self.issued.write();
        issued.retain(|id, token| {
            let stays = now.contains_key(id);
            if !stays {
                token.caller.revoked.cancel();
            }
            stays
        });
        for (id, token) in now {
            issued.entry(id).or_insert_with(|| {
                token.end_at_expiry();
                token
            });
        }
        Ok(())
    }

    /// The caller of a token. None if the token is not valid.
    pub(in super::super) fn caller(&self, token: &str) -> Option<Caller> {
        let offered = TokenDigest::of(token);
        if self.built_in.matches(&offered) {
            return Some(Caller::unbound(actor::OPERATOR, Role::Admin));
        }
        let (id, _secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
        let issued = self.issued.read().get(id)?.clone();
        if !issued.digest.matches(&offered) || issued.has_expired() {
            return None;
        }
        issued.last_used_ms.store(now_ms(), Ordering::Relaxed);
        Some(issued.caller.clone())
    }

    /// All tokens, the oldest first.
    pub(super) fn list(&self) -> Vec<Arc<Issued>> {
        let issued = self.issued.read();
        let mut issued: Vec<_> = issued.values().cloned().collect();
        issued.sort_by(|one, other| one.created_ms.cmp(&other.created_ms).then_with(|| one.id.cmp(&other.id)));
        issued
    }

    /// Creates a token. It is durable and valid when this returns. Only the
    /// answer has its text.
    pub(super) async fn create(
        &self,
        by: &Caller,
        new: Caller,
        expires_ms: Option<u64>,
        audit: &Audit,
    ) -> Result<(Arc<Issued>, String), TokenError> {
        let _guard = self.change.lock().await;
        let tokens = self.list();
        if tokens.iter().any(|issued| issued.caller.name == new.name) {
            return Err(TokenError::Taken(new.name));
        }
        if tokens.len() >= MAX_TOKENS {
            return Err(TokenError::Full);
        }
        let id = hex::encode(rand::random::<[u8; ID_BYTES]>());
        let token = format!("{PREFIX}{id}_{}", hex::encode(rand::random::<[u8; SECRET_BYTES]>()));
        let issued = Arc::new(Issued {
            id: id.clone(),
            digest: TokenDigest::of(&token),
            caller: new,
            created_ms: now_ms(),
            created_by: by.name.clone(),
            expires_ms,
            last_used_ms: AtomicU64::new(0),
        });
        let detail = issued.describe();
        self.database
            .unless_silent::<(), sqlx::Error>(async {
                let mut transaction = self.database.begin("operator_tokens").await?;
                issued.insert(&mut transaction).await?;
                let entry = Entry { detail: Some(&detail), ..Entry::new("create token", Outcome::Done) };
                audit.record_in(&mut transaction, &by.name, &entry).await?;
                transaction.commit().await
            })
            .await?;
        self.database.announce().await;
        issued.end_at_expiry();
        self.issued.write().insert(id, issued.clone());
        Ok((issued, token))
    }

    /// Revokes a token at once and for ever.
    pub(super) async fn revoke(&self, by: &Caller, id: &str, audit: &Audit) -> Result<(), TokenError> {
        let _guard = self.change.lock().await;
        let issued = self.issued.read().get(id).cloned();
        let issued = issued.ok_or_else(|| TokenError::Unknown(id.to_owned()))?;
        let detail = issued.describe();
        self.database
            .unless_silent::<(), sqlx::Error>(async {
                let mut transaction = self.database.begin("operator_tokens").await?;
                sqlx::query("DELETE FROM operator_tokens WHERE id = $1").bind(id).execute(&mut *transaction).await?;
                let entry = Entry { detail: Some(&detail), ..Entry::new("revoke token", Outcome::Done) };
                audit.record_in(&mut transaction, &by.name, &entry).await?;
                transaction.commit().await
            })
            .await?;
        self.database.announce().await;
        self.issued.write().remove(id);
        issued.caller.revoked.cancel();
        Ok(())
    }
}

async fn read(database: &HostDatabase) -> sqlx::Result<BTreeMap<String, Arc<Issued>>> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, name, role, plugins, digest, created_ms, created_by, expires_ms FROM operator_tokens",
    )
    .fetch_all(&database.write)
    .await?;
    let damaged = || sqlx::Error::Decode("a row of operator_tokens is damaged".into());
    let issued = rows.into_iter().map(|row| {
        let issued = Issued::from_row(row).ok_or_else(damaged)?;
        Ok((issued.id.clone(), Arc::new(issued)))
    });
    issued.collect()
}

impl Issued {
    fn from_row((id, name, role, plugins, digest, created_ms, created_by, expires_ms): Row) -> Option<Self> {
        let plugins: Option<BTreeSet<String>> = match plugins {
            Some(json) => Some(serde_json::from_str(&json).ok()?),
            None => None,
        };
        let role = Role::from_text(&role)?;
        Some(Self {
            id,
            digest: TokenDigest::from_stored(&digest)?,
            caller: Caller { name, role, plugins, revoked: CancellationToken::new() },
            created_ms: u64::try_from(created_ms).ok()?,
            created_by,
            expires_ms: expires_ms.map(u64::try_from).transpose().ok()?,
            last_used_ms: AtomicU64::new(0),
        })
    }

    async fn insert(&self, connection: &mut sqlx::AnyConnection) -> sqlx::Result<()> {
        let plugins = self.caller.plugins.as_ref().map(|plugins| serde_json::json!(plugins).to_string());
        sqlx::query(
            "INSERT INTO operator_tokens (id, name, role, plugins, digest, created_ms, created_by, expires_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(&self.id)
        .bind(&self.caller.name)
        .bind(self.caller.role.as_str())
        .bind(plugins)
        .bind(self.digest.as_bytes())
        .bind(self.created_ms.cast_signed())
        .bind(&self.created_by)
        .bind(self.expires_ms.map(u64::cast_signed))
        .execute(connection)
        .await?;
        Ok(())
    }

    fn has_expired(&self) -> bool {
        self.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms())
    }

    /// Ends the streams of the token when it expires.
    fn end_at_expiry(&self) {
        let Some(expires_ms) = self.expires_ms else { return };
        let revoked = self.caller.revoked.clone();
        let valid_for = Duration::from_millis(expires_ms.saturating_sub(now_ms()));
        tokio::spawn(async move {
            if revoked.run_until_cancelled(tokio::time::sleep(valid_for)).await.is_some() {
                revoked.cancel();
            }
        });
    }

    /// The token's name, id, role and plugins, for the audit.
    fn describe(&self) -> String {
        let Caller { name, role, plugins, .. } = &self.caller;
        let plugins = match plugins {
            Some(plugins) => plugins.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
            None => "all plugins".to_owned(),
        };
        format!("{name} ({}), {role} of {plugins}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use host_test_support::{TestDatabase, on_both_engines};

    on_both_engines! {
        a_token_is_valid_until_it_is_revoked_also_after_reopening
        a_token_that_has_expired_is_not_valid_and_ends_its_streams
        of_many_tokens_at_once_with_one_name_one_is_created
    }

    async fn open(place: &TestDatabase) -> (Tokens, Audit) {
        let database: HostDatabase = place.open().await;
        let audit = Audit::open(database.clone(), 1_000).await.unwrap();
        (Tokens::open(database, &Secret::new("built-in")).await.unwrap(), audit)
    }

    async fn a_token_is_valid_until_it_is_revoked_also_after_reopening(place: TestDatabase) {
        let (tokens, audit) = open(&place).await;
        let by = Caller::unbound(actor::HOST, Role::Admin);
        let (kept, kept_text) = tokens.create(&by, Caller::unbound("kept", Role::View), None, &audit).await.unwrap();
        let (gone, gone_text) = tokens.create(&by, Caller::unbound("gone", Role::Admin), None, &audit).await.unwrap();
        assert!(kept_text.starts_with(&format!("tk_{}_", kept.id)));
        assert_eq!(kept_text.len(), 3 + 16 + 1 + 64);
        let during = tokens.caller(&gone_text).unwrap();
        tokens.revoke(&by, &gone.id, &audit).await.unwrap();
        assert!(during.revoked.is_cancelled(), "a stream that uses the token ends");

        for tokens in [tokens, open(&place).await.0] {
            assert_eq!(tokens.caller(&kept_text).unwrap().name, "kept");
            assert_eq!(tokens.caller("built-in").unwrap().name, "operator");
            let (_, secret) = gone_text.rsplit_once('_').unwrap();
            let swapped = format!("tk_{}_{secret}", kept.id);
            let longer = format!("{kept_text}0");
            for wrong in ["", "tk_", "tk__", &gone_text, &swapped, &longer, &kept_text[..83], &kept_text[3..]] {
                assert!(tokens.caller(wrong).is_none(), "{wrong}");
            }
        }
    }

    async fn a_token_that_has_expired_is_not_valid_and_ends_its_streams(place: TestDatabase) {
        let (tokens, audit) = open(&place).await;
        let by = Caller::unbound(actor::HOST, Role::Admin);
        let soon = Some(now_ms() + 1_500);
        let (_, text) = tokens.create(&by, Caller::unbound("soon", Role::View), soon, &audit).await.unwrap();
        let caller = tokens.caller(&text).unwrap();
        caller.revoked.cancelled().await;
        for tokens in [tokens, open(&place).await.0] {
            assert!(tokens.caller(&text).is_none());
        }
    }

    #[tokio::test]
    async fn the_database_does_not_store_the_token_itself() {
        let place = TestDatabase::sqlite();
        let (tokens, audit) = open(&place).await;
        let (_, text) = tokens
            .create(&Caller::unbound(actor::HOST, Role::Admin), Caller::unbound("ci", Role::View), None, &audit)
            .await
            .unwrap();
        let (_, secret) = text.rsplit_once('_').unwrap();
        tokens.database.close().await;
        let TestDatabase::Sqlite(folder) = place else { unreachable!() };
        for file in std::fs::read_dir(folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            for hidden in [secret.as_bytes(), &hex::decode(secret).unwrap(), b"built-in"] {
                assert!(!bytes.windows(hidden.len()).any(|window| window == hidden));
            }
        }
    }

    async fn of_many_tokens_at_once_with_one_name_one_is_created(place: TestDatabase) {
        let (tokens, audit) = open(&place).await;
        let by = Caller::unbound(actor::HOST, Role::Admin);
        let attempts = (0..20).map(|_| tokens.create(&by, Caller::unbound("ci", Role::View), None, &audit));
        let created = futures::future::join_all(attempts).await.into_iter().filter(Result::is_ok).count();
        assert_eq!((created, tokens.list().len()), (1, 1));
    }
}
