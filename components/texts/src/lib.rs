//! The texts that people write: which of them are accepted, and which of them
//! are equal for a search.
//!
//! Unicode has several spellings of one text, and characters that nobody sees.
//! A component that stores a text for other people passes it through
//! [`line()`]. A component that compares texts compares their [`fold`].

mod characters;
mod folding;
mod lines;

pub use characters::{is_blank, is_invisible, trim};
pub use folding::{compose, fold, fold_case};
pub use lines::{Flaw, flaw, line};
