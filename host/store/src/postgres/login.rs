//! The login of a component's role, and its repair.
//!
//! The host keeps the password of each role. A restored database, an operator or
//! a managed service may leave the role without it, expired, locked or without
//! the right to connect. When the server refuses a login, the host sets the role
//! right again and tries once more.

use super::accounts::{self, Account};
use host_database::connections::code_of;
use parking_lot::Mutex;
use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection,
    postgres::{PgConnectOptions, PgPool},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Weak},
    time::{Duration, Instant},
};
use tokio::{
    sync::Mutex as AsyncMutex,
    time::{sleep, timeout},
};

/// The least time between two repairs of a role. Two databases with one role
/// would otherwise change it back and forth without a pause.
const REPAIR_PAUSE: Duration = Duration::from_secs(5);
/// How often the host tries a login again that the server refuses.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Logs in as the role of one component.
pub(super) struct Login {
    component: String,
    url: PgConnectOptions,
    host: PgPool,
    account: Mutex<Account>,
    problems: Arc<LoginProblems>,
    /// The last repair. Its lock lets one repair run at a time.
    last: AsyncMutex<Option<Repair>>,
}

/// An attempt to set a role right.
struct Repair {
    at: Instant,
    /// Why it failed.
    error: Option<String>,
}

/// The logins that the server refuses, and why.
#[derive(Default)]
pub(super) struct LoginProblems(Mutex<BTreeMap<String, (Weak<Login>, String)>>);

impl Login {
    pub(super) fn new(
        component: &str,
        url: PgConnectOptions,
        host: PgPool,
        account: Account,
        problems: Arc<LoginProblems>,
    ) -> Arc<Self> {
        let (account, last) = (Mutex::new(account), AsyncMutex::default());
        Arc::new(Self { component: component.to_owned(), url, host, account, problems, last })
    }

    /// Opens a connection with these settings.
    pub(super) async fn connect(self: &Arc<Self>, settings: &str) -> sqlx::Result<PgConnection> {
        let mut connected = self.try_connect(settings).await;
        if refusal_of(&connected).is_some() {
            connected = self.repair_and_connect(settings).await;
        }
        let refusal = refusal_of(&connected);
        if let Some(refusal) = refusal {
            self.problems.add(self, self.describe(&refusal).await);
        } else if connected.is_ok() {
            self.problems.remove(&self.component);
        }
        connected
    }

    /// Settings follow the connection in a statement of their own, because a
    /// pooler refuses them as parameters of the connection.
    async fn try_connect(&self, settings: &str) -> sqlx::Result<PgConnection> {
        let options = {
            let account = self.account.lock();
            let options = self.url.clone().username(&account.role).password(account.password.expose());
            options.application_name(&account.role).statement_cache_capacity(256)
        };
        let mut connection = PgConnection::connect_with(&options).await?;
        connection.execute(AssertSqlSafe(settings.to_owned())).await?;
        Ok(connection)
    }

    async fn repair_and_connect(&self, settings: &str) -> sqlx::Result<PgConnection> {
        let mut last = self.last.lock().await;
        // Another caller or another host may have repaired it meanwhile.
        let refusal = match self.try_connect(settings).await {
            Err(error) if is_refused(&error) => error,
            connected => return connected,
        };
        if last.as_ref().is_some_and(|last| last.at.elapsed() < REPAIR_PAUSE) {
            return Err(refusal);
        }
        let repaired = accounts::repair(&self.host, &self.component).await;
        let error = repaired.as_ref().err().map(ToString::to_string);
        *last = Some(Repair { at: Instant::now(), error });
        match repaired {
            Ok(account) => {
                tracing::warn!(
                    component = self.component, role = account.role, reason = %refusal,
                    "the server refused the login of the component, and the host has set its role right again"
                );
                *self.account.lock() = account;
                self.try_connect(settings).await
            }
            Err(error) => {
                tracing::error!(
                    component = self.component, reason = %refusal, %error,
                    "the server refuses the login of the component, and the host cannot set its role right"
                );
                Err(refusal)
            }
        }
    }

    /// The problem of a login that is still refused, with the cure.
    async fn describe(&self, refusal: &str) -> String {
        let role = self.account.lock().role.clone();
        let cure = match self.last.lock().await.as_ref().and_then(|last| last.error.as_ref()) {
            Some(error) => format!(
                "the host cannot set the role right ({error}): give the host's own role CREATEROLE, and run \
                 GRANT \"{role}\" TO that role WITH ADMIN OPTION"
            ),
            None => format!(
                "the host has set the role \"{role}\" right, and the server still refuses it: allow its logins in \
                 pg_hba.conf, and look for another database on this server whose hosts use the same role"
            ),
        };
        format!("the database refuses the login of the component {}, {refusal}; {cure}", self.component)
    }
}

impl LoginProblems {
    fn add(&self, login: &Arc<Login>, problem: String) {
        self.0.lock().insert(login.component.clone(), (Arc::downgrade(login), problem));
    }

    fn remove(&self, component: &str) {
        self.0.lock().remove(component);
    }

    /// The problem of one component.
    pub(super) fn of(&self, component: &str) -> Option<String> {
        self.0.lock().get(component).map(|(_, problem)| problem.clone())
    }

    /// The first problem.
    pub(super) fn first(&self) -> Option<String> {
        self.0.lock().values().next().map(|(_, problem)| problem.clone())
    }

    /// Tries the refused logins again, until it is dropped. A host that is not
    /// ready gets no requests that would do so.
    pub(super) async fn retry(self: Arc<Self>) {
        loop {
            sleep(RETRY_INTERVAL).await;
            let refused: Vec<Weak<Login>> = self.0.lock().values().map(|(login, _)| login.clone()).collect();
            for login in refused.iter().filter_map(Weak::upgrade) {
                drop(timeout(CONNECT_TIMEOUT, login.connect("")).await);
            }
        }
    }
}

/// The reason for which the server refused a login.
fn refusal_of(connected: &sqlx::Result<PgConnection>) -> Option<String> {
    connected.as_ref().err().filter(|error| is_refused(error)).map(ToString::to_string)
}

/// Whether the server refused a login because of the role: no such role or a
/// wrong password (28P01), a role that may not log in (28000), no right to
/// connect to the database or to use a schema (42501).
fn is_refused(error: &sqlx::Error) -> bool {
    code_of(error).is_some_and(|code| code.starts_with("28") || code == "42501")
}
