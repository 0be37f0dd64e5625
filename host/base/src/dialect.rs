//! What differs between the two engines of databases.

/// The engine behind a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// A file of this host alone.
    Sqlite,
    /// A database that several hosts may share.
    Postgres,
}

/// What SQLite says, and what PostgreSQL says for it. The first ones come
/// first: later ones match parts of them.
const TRANSLATIONS: [(&str, &str); 5] = [
    ("INTEGER PRIMARY KEY AUTOINCREMENT", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
    ("INTEGER PRIMARY KEY", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY"),
    ("INTEGER", "BIGINT"),
    ("BLOB", "BYTEA"),
    (") STRICT", ")"),
];

impl Dialect {
    /// The database's own time in milliseconds since the Unix epoch: several
    /// hosts agree on it, whatever their clocks say.
    pub const fn now_ms(self) -> &'static str {
        match self {
            Self::Sqlite => "CAST(unixepoch('subsec') * 1000 AS INTEGER)",
            Self::Postgres => "(extract(epoch from clock_timestamp()) * 1000)::bigint",
        }
    }

    /// A schema step of the host, written for SQLite, for this engine: types,
    /// keys that count by themselves, and options of tables.
    pub fn translate(self, step: &str) -> String {
        match self {
            Self::Sqlite => step.to_owned(),
            Self::Postgres => TRANSLATIONS
                .iter()
                .fold(step.replace(", WITHOUT ROWID", ""), |step, (theirs, ours)| step.replace(theirs, ours)),
        }
    }
}
