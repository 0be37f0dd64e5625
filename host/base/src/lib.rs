//! The foundation of all other crates of the host: the clock, the disk,
//! identifiers, secrets, events, texts of limited length, and the differences
//! between the database engines.

pub mod clock;
pub mod dialect;
pub mod disk;
pub mod event;
pub mod id;
pub mod secret;
pub mod text;

pub use dialect::Dialect;
pub use disk::{Disk, DiskSpace};
pub use event::Event;
pub use secret::Secret;
