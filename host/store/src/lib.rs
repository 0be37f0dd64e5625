//! `platform:store`: the database of each component, `platform:signals`, which
//! announces its commits to calls that wait, and `platform:live`, which sends
//! events to connections that the host holds.
//!
//! One transaction makes a component's state, its events and its timers durable
//! together. Two engines implement [`Database`]: [`SqliteDatabases`] keeps one
//! file per component on this host, [`PostgresDatabases`] keeps one schema per
//! component in a database that several hosts share.
//!
//! [`Database`] is the sum of narrow traits, one for each caller. A caller takes
//! the narrow trait alone.
//!
//! | Trait | Caller |
//! |---|---|
//! | [`ComponentSql`] | the component, through [`StoreView`] |
//! | [`Migrations`] | the loader of a revision |
//! | [`Outbox`] | the relay from the outbox to the bus |
//! | [`Inbox`] | the delivery of an event or a timer |
//! | [`KeyedRequests`] | the HTTP front, for requests with an `Idempotency-Key` |
//! | [`TimerQueue`] | the timer worker |
//! | [`LiveLog`] | the host, for the connections that it holds |
//! | [`Leases`] | the relay and the timer worker |
//! | [`DiskUse`] | the host, which gives quotas and measures |

pub mod bindings;
mod component_sql;
#[cfg(test)]
mod conformance;
mod database;
mod disk_use;
mod errors;
mod gate;
mod guest_calls;
mod inbox;
mod keyed_requests;
mod lazy_transaction;
mod leases;
mod limits;
mod live;
mod memory;
mod migrations;
mod open_transaction;
mod outbox;
mod outbox_signal;
mod pace;
mod postgres;
mod sql_span;
mod sqlite;
mod timer_queue;
mod timers_signal;
mod topics;
mod transaction;
mod values;

pub use bindings::platform::store::sql::{ConstraintKind, Error, Rows, Timer, Value, Violation};
pub use component_sql::{ComponentSql, SqlEngine};
pub use database::{Database, Databases};
pub use disk_use::{DiskAmount, DiskUse, TableSize};
pub use errors::describe;
pub use guest_calls::{CallListener, CallWaits, HeldTurns, OFFER, StoreView, add_to_linker};
pub use inbox::{IdempotencyKey, Inbox};
pub use keyed_requests::{KEPT_MS, KeyState, KeyedCall, KeyedRequests, KeyedStep, RequestClaim};
pub use lazy_transaction::{LazyTransaction, NotStarted};
pub use leases::{Lease, LeaseRole, Leases};
pub use live::{LIVE_BYTES, LIVE_EVENTS, LIVE_KEPT_MS, LiveEvent, LiveLog, LoggedEvent, RESET, check_channel};
pub use memory::{HeldMemory, set_memory_limit};
pub use migrations::{MigrationError, Migrations};
pub use open_transaction::OpenTransaction;
pub use outbox::{Outbox, OutboxEvent};
pub use outbox_signal::{OutboxBatch, OutboxSignal, PendingEvents};
pub use postgres::PostgresDatabases;
pub use sqlite::SqliteDatabases;
pub use timer_queue::{DueTimer, SCHEDULE_KEYS, TimerCounts, TimerQueue};
pub use timers_signal::TimersSignal;
pub use topics::{OpenListener, Topics};
pub use transaction::Transaction;
