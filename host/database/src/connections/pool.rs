//! Pools of the host's role that discard connections of the past, and statements
//! that do not wait for a server that is silent.

use super::{Connections, no_answer};
use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{Connection, Database, Either, Execute, Executor, Pool, SqlStr, pool::PoolOptions};
use std::{ops::Deref, sync::Arc, time::Duration};
use tokio::time::timeout;

/// A connection that does not answer for this time is discarded.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection was checked when it came back. It is checked again after this
/// time.
const CHECKED_FOR: Duration = Duration::from_millis(500);

/// A pool whose statements fail when the server falls silent.
#[derive(Debug)]
pub struct HostPool<DB: Database> {
    pool: Pool<DB>,
    connections: Arc<Connections>,
}

impl<DB: Database> HostPool<DB> {
    /// The statements of this pool.
    pub fn new(pool: Pool<DB>, connections: Arc<Connections>) -> Self {
        Self { pool, connections }
    }
}

impl<DB: Database> Clone for HostPool<DB> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), connections: self.connections.clone() }
    }
}

impl<DB: Database> Deref for HostPool<DB> {
    type Target = Pool<DB>;

    fn deref(&self) -> &Pool<DB> {
        &self.pool
    }
}

/// Options of a pool that discards the connections that are not trusted or do
/// not answer. The pool's own checks have no limit.
pub fn guarded<DB: Database>(options: PoolOptions<DB>, connections: &Arc<Connections>) -> PoolOptions<DB> {
    let (before, after) = (connections.clone(), connections.clone());
    options
        .test_before_acquire(false)
        .before_acquire(move |connection, metadata| {
            let connections = before.clone();
            async move {
                let is_trusted = connections.is_trusted(metadata.age);
                Ok(is_trusted && (metadata.idle_for < CHECKED_FOR || answers::<DB>(connection).await))
            }
            .boxed()
        })
        .after_release(move |connection, metadata| {
            let connections = after.clone();
            async move { Ok(connections.is_trusted(metadata.age) && answers::<DB>(connection).await) }.boxed()
        })
}

async fn answers<DB: Database>(connection: &mut DB::Connection) -> bool {
    matches!(timeout(PING_TIMEOUT, connection.ping()).await, Ok(Ok(())))
}

impl<'p, DB: Database> Executor<'p> for &'p HostPool<DB>
where
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
{
    type Database = DB;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, sqlx::Result<Either<DB::QueryResult, DB::Row>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, DB>,
    {
        let (rows, connections) = ((&self.pool).fetch_many(query), self.connections.clone());
        let next = |state: Option<(BoxStream<'e, _>, Arc<Connections>)>| async move {
            let (mut rows, connections) = state?;
            match connections.unless_silent(rows.next()).await {
                Some(row) => Some((row?, Some((rows, connections)))),
                None => Some((Err(no_answer()), None)),
            }
        };
        stream::unfold(Some((rows, connections)), next).boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<DB::Row>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, DB>,
    {
        let (row, connections) = ((&self.pool).fetch_optional(query), self.connections.clone());
        async move { connections.unless_silent(row).await.unwrap_or_else(|| Err(no_answer())) }.boxed()
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [DB::TypeInfo]) -> BoxFuture<'e, sqlx::Result<DB::Statement>>
    where
        'p: 'e,
    {
        (&self.pool).prepare_with(sql, parameters)
    }
}
