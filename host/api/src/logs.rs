//! `/plugins/{name}/logs`: the log of one plugin.

/// The most lines that a host keeps of a plugin.
pub const KEPT_LINES: usize = 500;
