//! The interfaces that one capability offers to components.

use crate::plugins::Grant;

/// The interfaces of one capability and the grant that they need. Each
/// capability declares its own, next to its code. The type is in this crate
/// because every crate that declares or reads an offer may use this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Offer {
    /// The grant that a component needs to import the interfaces.
    pub grant: Grant,
    /// The names of the interfaces, without versions.
    pub interfaces: &'static [&'static str],
}
