//! A pooler between the host and PostgreSQL.

use anyhow::Context;
use host_config::Config;
use host_database::connections::keeps_sessions;

/// A pooler that changes the session between transactions would lose the
/// settings, locks and notifications of the host.
pub(super) async fn refuse_if_sessions_change(config: &Config) -> anyhow::Result<()> {
    let Some(url) = &config.store.database_url else { return Ok(()) };
    anyhow::ensure!(
        keeps_sessions(url).await.context("store.database_url")?,
        "store.database_url: a connection pooler at this address changes the session between transactions: \
         set its pool mode to session (pgbouncer: pool_mode = session), or connect to PostgreSQL directly"
    );
    Ok(())
}
