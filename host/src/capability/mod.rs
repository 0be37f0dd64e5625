//! What components may import: one module per WIT interface, of the same name.

pub mod identity;
pub mod logging;
pub mod messaging;
pub mod outbound;
pub mod payments;
pub mod store;
