//! Migrations of a component, and what a database remembers of those that it
//! has had.

use sha2::{Digest, Sha256};

/// One SQL file of a component's `migrations/`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Migration {
    /// The file's name, such as `0001_tables.sql`; migrations run in its order.
    pub name: String,
    /// Statements separated by `;`.
    pub sql: String,
}

/// A migration that a database has had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The file's name.
    pub name: String,
    /// What its text was.
    pub digest: String,
}

impl Applied {
    /// What is known of this one afterwards.
    pub fn of(migration: &Migration) -> Self {
        Self { name: migration.name.clone(), digest: migration.digest() }
    }

    /// Whether this migration was the one, of those with its name.
    pub fn is(&self, migration: &Migration) -> bool {
        self.digest == migration.digest()
    }
}

impl Migration {
    /// SHA-256 of its text, hexadecimal: tells whether an applied one was this
    /// one.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.sql.as_bytes()))
    }
}
