//! The foundation of all other crates of the host: the clock, the disk,
//! identifiers, secrets, events, texts of limited length and texts of strangers,
//! and the differences between the database engines.

pub mod byte_budget;
pub mod clock;
pub mod dialect;
pub mod disk;
pub mod event;
pub mod id;
pub mod printable;
pub mod secret;
pub mod shared_by_name;
pub mod text;
pub mod thread_stack;

pub use byte_budget::ByteBudget;
pub use dialect::Dialect;
pub use disk::{Disk, DiskSpace};
pub use event::Event;
pub use secret::Secret;
pub use shared_by_name::SharedByName;
