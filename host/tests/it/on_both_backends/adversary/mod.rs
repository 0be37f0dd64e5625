//! Attacks of an uploaded plugin, and of a token that is bound to its name. Each
//! test shows that the attack is refused, or that it harms only the plugin
//! itself.

mod capacity;
mod policy;
mod processor;
mod sql;
