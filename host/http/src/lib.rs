//! The parts that the two HTTP listeners share: connections with limits, and
//! every refusal of the host with its status.

pub mod connection;
pub mod error;
pub mod listener;
pub mod page;
