//! The differences between SQLite and PostgreSQL.

/// The engine of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// SQLite: a file of one host.
    Sqlite,
    /// PostgreSQL: a database that several hosts can share.
    Postgres,
}

/// Pairs of SQLite syntax and PostgreSQL syntax. The order matters, because
/// later entries match parts of earlier ones.
const TRANSLATIONS: [(&str, &str); 5] = [
    ("INTEGER PRIMARY KEY AUTOINCREMENT", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
    ("INTEGER PRIMARY KEY", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
    ("INTEGER", "BIGINT"),
    ("BLOB", "BYTEA"),
    (") STRICT", ")"),
];

impl Dialect {
    /// The SQL expression for the database's own time in milliseconds since the
    /// Unix epoch. All hosts on a database agree on this time.
    pub const fn now_ms(self) -> &'static str {
        match self {
            Self::Sqlite => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
            Self::Postgres => "(extract(epoch from clock_timestamp()) * 1000)::bigint",
        }
    }

    /// Translates a schema step of the host from SQLite to this engine: types,
    /// generated keys and table options.
    pub fn translate(self, step: &str) -> String {
        match self {
            Self::Sqlite => step.to_owned(),
            Self::Postgres => TRANSLATIONS
                .iter()
                .fold(step.replace(", WITHOUT ROWID", ""), |step, (sqlite, postgres)| step.replace(sqlite, postgres)),
        }
    }
}
