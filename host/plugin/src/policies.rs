//! The policies of plugin names. They are apart from revisions: no activation,
//! rollback or canary changes a policy. All hosts on one database share them.

use host_api::policy::{Policy, PolicyView};
use host_database::HostDatabase;
use parking_lot::{Mutex, RwLock};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, sync::Arc};

const SCHEMA: &[&str] = &["
    CREATE TABLE plugin_policies (plugin TEXT PRIMARY KEY, version INTEGER NOT NULL, policy TEXT NOT NULL) STRICT;
"];

/// The row that tells that the policies of older plugins are in the table. No
/// plugin has this name.
const CARRIED_OVER: &str = "";

/// The policies. Readers get the state of the last [`refresh`](Self::refresh).
pub struct Policies {
    database: HostDatabase,
    /// The policies that administrators have set.
    stored: RwLock<BTreeMap<String, Versioned>>,
    /// The policies of the plugins of the binary and of the settings.
    built_in: Mutex<BTreeMap<String, Arc<Policy>>>,
}

#[derive(Clone)]
struct Versioned {
    version: u64,
    policy: Arc<Policy>,
}

/// The reason why a policy was not changed.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Someone else has changed it meanwhile.
    #[error("the policy has version {0} now, and the change was made for another version")]
    Conflict(u64),
    /// The host's database.
    #[error("the host's database: {0}")]
    Database(#[from] sqlx::Error),
    /// A stored policy is not understood.
    #[error("the policy of {0} is not understood, perhaps because a newer version of the host has written it: {1}")]
    Unreadable(String, serde_json::Error),
}

impl Policies {
    /// Opens the table and reads it.
    ///
    /// # Errors
    /// The table cannot be created or read.
    pub async fn open(database: HostDatabase) -> Result<Self, PolicyError> {
        database.ensure_schema("policies", SCHEMA).await?;
        let policies = Self { database, stored: RwLock::default(), built_in: Mutex::default() };
        policies.refresh().await?;
        Ok(policies)
    }

    /// Reads the policies that other hosts may have changed.
    ///
    /// # Errors
    /// The table cannot be read. The known policies stay in force then.
    pub async fn refresh(&self) -> Result<(), PolicyError> {
        let rows: Vec<(String, i64, String)> = sqlx::query_as("SELECT plugin, version, policy FROM plugin_policies")
            .fetch_all(&self.database.write)
            .await?;
        let read = rows.into_iter().map(|(plugin, version, text)| {
            let policy = parse(&text).map_err(|error| PolicyError::Unreadable(plugin.clone(), error))?;
            Ok((plugin, Versioned { version: version.unsigned_abs(), policy: Arc::new(policy) }))
        });
        let read = read.collect::<Result<_, PolicyError>>()?;
        *self.stored.write() = read;
        Ok(())
    }

    /// The policy of a name.
    pub fn of(&self, plugin: &str) -> Arc<Policy> {
        let stored = self.stored.read().get(plugin).map(|stored| stored.policy.clone());
        stored.or_else(|| self.built_in.lock().get(plugin).cloned()).unwrap_or_default()
    }

    /// The policy of a name with its version.
    pub fn view(&self, plugin: &str) -> PolicyView {
        let version = self.stored.read().get(plugin).map_or(0, |stored| stored.version);
        PolicyView { plugin: plugin.to_owned(), version, policy: Policy::clone(&self.of(plugin)) }
    }

    /// Whether the plugins of an older version of the host have got their
    /// policies in this database.
    pub fn are_carried_over(&self) -> bool {
        self.is_set(CARRIED_OVER)
    }

    /// Notes that they have.
    ///
    /// # Errors
    /// The database cannot be changed.
    pub async fn note_carried_over(&self) -> Result<(), PolicyError> {
        self.set_first(CARRIED_OVER, &Policy::default()).await
    }

    /// Sets the policy of a name that has none. Another host may have done the
    /// same at this moment.
    ///
    /// # Errors
    /// The database cannot be changed.
    pub async fn set_first(&self, plugin: &str, policy: &Policy) -> Result<(), PolicyError> {
        match self.set(plugin, Some(0), policy).await {
            Ok(_) | Err(PolicyError::Conflict(_)) => self.refresh().await,
            Err(error) => Err(error),
        }
    }

    /// Whether an administrator has set the policy of a name.
    pub fn is_set(&self, plugin: &str) -> bool {
        self.stored.read().contains_key(plugin)
    }

    /// Remembers the policy of a built-in plugin. It holds until an
    /// administrator sets another one.
    pub fn add_built_in(&self, plugin: &str, policy: Policy) {
        self.built_in.lock().insert(plugin.to_owned(), Arc::new(policy));
    }

    /// Replaces a policy. When it returns, the change is durable, and this host
    /// knows it. Returns the new version.
    ///
    /// # Errors
    /// `replaces` names another version than the present one, or the database
    /// cannot be changed.
    pub async fn set(&self, plugin: &str, replaces: Option<u64>, policy: &Policy) -> Result<u64, PolicyError> {
        let version = self.database.unless_silent(self.replace(plugin, replaces, policy)).await?;
        self.refresh().await?;
        Ok(version)
    }

    async fn replace(&self, plugin: &str, replaces: Option<u64>, policy: &Policy) -> Result<u64, PolicyError> {
        let mut transaction = self.database.begin("policies").await?;
        let row: Option<(i64, String)> =
            sqlx::query_as("SELECT version, policy FROM plugin_policies WHERE plugin = $1")
                .bind(plugin)
                .fetch_optional(&mut *transaction)
                .await?;
        let (version, before) = row.map_or((0, String::new()), |(version, text)| (version, text));
        if replaces.is_some_and(|replaces| replaces != version.unsigned_abs()) {
            return Err(PolicyError::Conflict(version.unsigned_abs()));
        }
        sqlx::query(
            "INSERT INTO plugin_policies (plugin, version, policy) VALUES ($1, $2, $3)
             ON CONFLICT (plugin) DO UPDATE SET version = excluded.version, policy = excluded.policy",
        )
        .bind(plugin)
        .bind(version + 1)
        .bind(Value::Object(with_unknown_fields(policy, &before)).to_string())
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok((version + 1).unsigned_abs())
    }

    /// Deletes the policy of a name that is not used any more.
    ///
    /// # Errors
    /// The database cannot be changed.
    pub async fn forget(&self, plugin: &str) -> Result<(), PolicyError> {
        let forget = sqlx::query("DELETE FROM plugin_policies WHERE plugin = $1").bind(plugin);
        forget.execute(&self.database.write).await?;
        self.refresh().await
    }
}

/// Reads a policy and ignores the fields of newer versions of the host.
fn parse(text: &str) -> Result<Policy, serde_json::Error> {
    let mut fields: Map<String, Value> = serde_json::from_str(text)?;
    let known = fields_of(&Policy { lowest_version: Some(String::new()), ..Policy::default() });
    fields.retain(|name, _| known.contains_key(name));
    serde_json::from_value(Value::Object(fields))
}

/// The fields of a policy, and those of the stored one that only newer versions
/// of the host know.
fn with_unknown_fields(policy: &Policy, stored: &str) -> Map<String, Value> {
    let known = fields_of(&Policy { lowest_version: Some(String::new()), ..Policy::default() });
    let mut fields: Map<String, Value> = serde_json::from_str(stored).unwrap_or_default();
    fields.retain(|name, _| !known.contains_key(name));
    fields.extend(fields_of(policy));
    fields
}

fn fields_of(policy: &Policy) -> Map<String, Value> {
    match serde_json::to_value(policy) {
        Ok(Value::Object(fields)) => fields,
        // A struct becomes an object.
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_of_a_newer_version_is_kept_and_not_understood() {
        let stored = r#"{"same_origin":true,"moon":{"phase":3}}"#;
        assert!(parse(stored).unwrap().same_origin);
        let changed = with_unknown_fields(&Policy { visitor: true, ..Policy::default() }, stored);
        assert_eq!(changed["moon"]["phase"], 3);
        assert_eq!((changed["same_origin"].clone(), changed["visitor"].clone()), (false.into(), true.into()));
    }

    #[test]
    fn an_unreadable_policy_is_an_error_and_not_the_default() {
        assert!(parse("[]").is_err() && parse(r#"{"grants":["moon"]}"#).is_err());
    }
}
