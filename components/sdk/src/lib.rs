#![doc = include_str!("../README.md")]
//!
//! # The modules
//!
//! - [`component!`] makes a crate a component. [`Router`] has its routes.
//! - [`Request`], [`Response`], [`Error`] and [`Fields`] are what a route reads and answers.
//! - [`store`] is the database: statements, typed rows, and transactions that commit rows, events and timers.
//! - [`messaging`] has typed events, [`settings`] what the operator has set, [`requests`] what goes to others.
//! - [`signals`], [`paging`], [`id`], [`replica`] and [`log`] help with what many components do.
//! - [`capability`] has passwords, sessions and card charges, and [`bindings`] the interfaces
//!   that a component calls, and the handlers that the macro exports.
//!
//! # How a component lives
//!
//! An instance runs one handler at a time. The host may replace the instance
//! between two calls, so a component keeps no state in memory. All effects go
//! through the host.
//!
//! A panic ends the call, and nothing of its transaction remains. Its message and
//! its place are in the log of the component.
//!
//! A native build (`cargo test`) has no host, and the functions of the host
//! panic there. So a function with a unit test takes its data as arguments.

// Other targets have a C library, whose allocator the bindings use too.
#[cfg(all(feature = "allocator", target_arch = "wasm32", target_os = "unknown", not(target_feature = "atomics")))]
#[expect(unsafe_code, reason = "an allocator hands out memory")]
mod allocator;
pub mod bindings;
pub mod capability;
mod component;
mod error;
mod fields;
mod headers;
pub mod id;
mod json;
pub mod log;
pub mod messaging;
pub mod paging;
mod payload;
pub mod replica;
mod request;
pub mod requests;
mod response;
mod router;
pub mod settings;
pub mod signals;
pub mod store;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod time;

pub use error::{Error, Problem, Result};
pub use fields::Fields;
pub use request::{Principal, Request};
pub use response::Response;
pub use router::{Handler, Route, Router, delete, get, patch, post, put};
pub use time::{Timestamp, now_ms};

#[doc(hidden)]
pub mod rt {
    //! Items that the expansion of [`component!`](crate::component!) uses.
    pub use crate::log::report_panics;
    pub use crate::router::serve;
    pub use crate::store::Tx;
}
