//! The Rust bindings of `wit/`. All worlds share one definition of each type.
//!
//! The linker leaves out the imports that a component does not call, so the
//! component's world names only the interfaces that it uses.
//!
//! The modules are generated and checked in: a component compiles without the
//! generator, which would take most of the time. Most components need only the
//! other modules of this crate.
#![expect(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::all,
    clippy::restriction,
    reason = "generated; the documentation is in wit/"
)]

/// The world of a component that gets HTTP requests in one piece.
pub mod http;
/// The interfaces that a component may call.
pub mod imports;
/// The world of a component that handles events.
pub mod messaging;
/// The world of a component that handles timers.
pub mod timers;
