mod accounts;
mod failover;
mod isolation;
mod leases;
mod notifications;
mod pool;
mod quota;
mod several_hosts;
mod statements;
mod topics;
mod two_hosts;

use super::{PostgresDatabases, accounts::find_or_create, pool::Pool};
use crate::{
    Databases, Error,
    conformance::{self, Store, conformance_suite},
    limits::Limits,
};
use host_base::secret::Secret;
use host_database::HostDatabase;
use host_test_support::postgres;

/// The databases of one host in a new PostgreSQL database, and its URL.
async fn databases(limits: Limits) -> (PostgresDatabases, String) {
    let url = postgres::new_database().await;
    (host(&url, limits).await, url)
}

async fn host(url: &str, limits: Limits) -> PostgresDatabases {
    let secret = Secret::new(url);
    let host = HostDatabase::connect(&secret).await.unwrap();
    PostgresDatabases::with_limits(&secret, &host, limits).await.unwrap()
}

/// A pool of a component's role that writes.
async fn pool_of(databases: &PostgresDatabases, component: &str, most: u32) -> Pool {
    let account = find_or_create(&databases.host, component).await.unwrap();
    let login = databases.login(component, &account);
    databases.pool(&login, &account.schema, most, true).unwrap()
}

fn patient() -> Limits {
    Limits { wait_ms: 60_000, ..Limits::default() }
}

async fn add(store: &Store, id: &str) -> Result<(), Error> {
    let mut transaction = store.begin().await?;
    let values = vec![conformance::text(id)];
    transaction.execute("INSERT INTO things (id, n) VALUES ($1, 1)", values).await?;
    transaction.publish(&conformance::event(id)).await?;
    transaction.commit().await
}

macro_rules! conforms {
    ($($module:ident { $($case:ident)* })*) => {$($(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[ignore = "needs PostgreSQL"]
        async fn $case() {
            let (databases, _url) = databases(patient()).await;
            let store: Store = databases.open("things").await.unwrap();
            conformance::$module::$case(store).await;
        }
    )*)*};
}

conformance_suite!(conforms);
