//! The table of accounts.

use ticketing_sdk::store::{FromRow, Query, Row, Snapshot, transact};
use ticketing_sdk::{Error, Result, id, now_ms, params};

use crate::domain::Email;

/// A user with an account.
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) email: String,
    pub(crate) password_hash: String,
}

impl FromRow for User {
    fn from_row(row: &mut Row<'_>) -> Result<Self> {
        Ok(Self { id: row.text("id")?, email: row.text("email")?, password_hash: row.text("password_hash")? })
    }
}

/// Finds the account of an address, in any spelling.
pub(crate) fn find(email: &Email) -> Result<Option<User>> {
    Snapshot.one("SELECT id, email, password_hash FROM users WHERE email_key = $1", params![&email.key])
}

/// Inserts an account. If several requests use one address at the same time,
/// the unique index lets one of them succeed.
pub(crate) fn insert(email: &Email, password_hash: String) -> Result<User> {
    let user = User { id: id::new(), email: email.address.clone(), password_hash };
    transact(|tx| {
        tx.execute(
            "INSERT INTO users (id, email, email_key, password_hash, created_ms)
             VALUES ($1, $2, $3, $4, $5)",
            params![&user.id, &user.email, &email.key, &user.password_hash, now_ms(),],
        )
    })
    .map_err(|error| match error {
        error if error.is_duplicate_of("users.email_key") => email_in_use(),
        error => error,
    })?;
    Ok(user)
}

/// The error for a second account with one address.
pub(crate) fn email_in_use() -> Error {
    Error::field("email", "Email in use")
}
