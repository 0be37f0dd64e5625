//! The host's own tables for all components, and the functions through which a
//! transaction of a component uses them.
//!
//! The tables belong to the host's role. A component's role has no right to
//! them. Some of the host's work belongs to a transaction of a component, so it
//! must use that transaction's connection. It calls functions there that run
//! with the host's rights.
//!
//! The functions know the component by the role of the session. SQL of the
//! component that got past the gate could call them too. Therefore a function
//! that has an effect on others, by an event or a timer, requires a secret. The
//! host sends the secret only as a parameter. The functions that claim an event
//! or a timer, or record a request with a key, require no secret, because they are
//! part of the statement that begins a transaction. A component that called them
//! would only lose its own events and change its own answers.
//!
//! The functions name each table, function and operator with its schema, so a
//! component cannot give those names another meaning. A `search_path` for each
//! function would do the same, but setting and resetting it takes most of the
//! time of such a call.

/// The steps of `HostDatabase`, one for each version.
pub(super) const STEPS: &[&str] =
    &[include_str!("host_tables.sql"), include_str!("keyed_requests.sql"), include_str!("live.sql")];
