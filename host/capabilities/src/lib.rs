//! The capabilities of components, except for the store. Each module is one
//! capability: its interface, its grant, its link into the engine, and its
//! backends.

pub mod bindings;
pub mod head_limits;
pub mod identity;
pub mod logging;
pub mod outbound;
pub mod payments;
pub mod plugin_calls;
pub mod requests;
