//! What components may import besides the store: one module per WIT interface,
//! of the same name.

pub mod bindings;
pub mod identity;
pub mod logging;
pub mod outbound;
pub mod payments;
