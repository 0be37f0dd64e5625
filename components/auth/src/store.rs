//! The table of accounts.

use ticketing_sdk::store::{FromRow, Query, Row, Snapshot, Tx, transact};
use ticketing_sdk::{Error, Result, id, now_ms, params};

use crate::email::Email;

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

/// The form of a key, as the migration `0002` describes it.
const OF_OLDER_VERSION: i64 = 0;
const CANONICAL: i64 = 1;
const DUPLICATE: i64 = 2;

/// The accounts of older versions that one transaction converts.
const CONVERTED_AT_ONCE: i64 = 40;
/// The transactions of one request.
const CONVERSIONS: usize = 5;

/// Finds the account of an address, in any spelling. If older versions have made
/// two accounts of one address, the exact spelling decides, and then the age.
///
/// The search for accounts of older versions runs for each address. So the time of
/// an answer does not tell whether the address has an account.
pub(crate) fn find(email: &Email) -> Result<Option<User>> {
    let user = lookup(email)?;
    let converted = convert_old_accounts();
    if user.is_some() || !converted? {
        return Ok(user);
    }
    lookup(email)
}

fn lookup(email: &Email) -> Result<Option<User>> {
    Snapshot.one(
        "SELECT id, email, password_hash FROM users WHERE email_key IN ($1, $2)
         ORDER BY key_form DESC LIMIT 1",
        params![&email.key, &email.old_key],
    )
}

/// Gives the accounts of older versions their canonical keys. Returns false if
/// there are none.
fn convert_old_accounts() -> Result<bool> {
    if old_accounts(&Snapshot)?.is_empty() {
        return Ok(false);
    }
    for _ in 0..CONVERSIONS {
        let is_done = transact(|tx| {
            let accounts = old_accounts(tx)?;
            accounts.iter().try_for_each(|account| convert(tx, account))?;
            Ok(accounts.is_empty())
        })?;
        if is_done {
            return Ok(true);
        }
    }
    Err(Error::Unavailable("accounts of an older version are converted".to_owned()))
}

struct OldAccount {
    id: String,
    email: String,
}

impl FromRow for OldAccount {
    fn from_row(row: &mut Row<'_>) -> Result<Self> {
        Ok(Self { id: row.text("id")?, email: row.text("email")? })
    }
}

/// The oldest account is first, so it gets the key if another has its address.
fn old_accounts(db: &impl Query) -> Result<Vec<OldAccount>> {
    db.all("SELECT id, email FROM users WHERE key_form = 0 ORDER BY id LIMIT $1", params![CONVERTED_AT_ONCE])
}

fn convert(tx: &Tx<'_>, account: &OldAccount) -> Result<()> {
    let key = Email::unchecked(&account.email).key;
    let owner: Option<String> = tx.one("SELECT id FROM users WHERE email_key = $1", params![&key])?;
    if owner.is_some_and(|owner| owner != account.id) {
        let duplicate = "UPDATE users SET key_form = $2 WHERE id = $1 AND key_form = $3";
        return tx.update(duplicate, params![&account.id, DUPLICATE, OF_OLDER_VERSION]);
    }
    tx.update(
        "UPDATE users SET email_key = $2, key_form = $3 WHERE id = $1 AND key_form = $4",
        params![&account.id, key, CANONICAL, OF_OLDER_VERSION],
    )
}

/// Inserts an account. If several requests use one address at the same time,
/// the unique index lets one of them succeed.
pub(crate) fn insert(email: &Email, password_hash: String) -> Result<User> {
    let user = User { id: id::new(), email: email.address.clone(), password_hash };
    transact(|tx| {
        tx.execute(
            "INSERT INTO users (id, email, email_key, key_form, password_hash, created_ms)
             VALUES ($1, $2, $3, $4, $5, $6)",
            params![&user.id, &user.email, &email.key, CANONICAL, &user.password_hash, now_ms()],
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
