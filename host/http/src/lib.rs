//! The parts that the two HTTP listeners share: connections with limits, TLS,
//! compression, and every refusal of the host with its status.

pub mod client_link;
pub mod compression;
mod connection;
pub mod error;
pub mod host_name;
mod http2;
mod incoming;
pub mod listener;
pub mod page;
mod request_body;
mod serving;
mod socket;
pub mod tls;
