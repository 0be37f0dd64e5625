//! The host's other capabilities: identity and payments. The files in `wit/`
//! document them.

/// Password hashes and sessions.
pub use crate::bindings::imports::platform::identity::identity;
/// Card charges.
pub use crate::bindings::imports::platform::payments::payments;
