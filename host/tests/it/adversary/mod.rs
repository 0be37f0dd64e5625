//! Plugins and clients that attack the host. Each attack was seen to work once.
//! Now it harms only the plugin or the client that attacks.

mod compile;
mod disk;
mod files;
mod guests;
mod operator_api;
mod start;
mod uploads;
