//! Words that a client of another version may not know.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One word of a fixed set, such as a status. A client that is older than its
/// host keeps a word that it does not know as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Word<T> {
    /// A word of the set.
    Known(T),
    /// A word that a newer host has added to the set.
    Unknown(String),
}

impl<T> From<T> for Word<T> {
    fn from(word: T) -> Self {
        Self::Known(word)
    }
}

impl<T: Serialize> fmt::Display for Word<T> {
    /// Writes the word as JSON has it, without quotes.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Grant;

    #[test]
    fn a_word_of_a_newer_host_stays_as_it_is() {
        for (json, word) in [("\"store\"", Word::Known(Grant::Store)), ("\"sky\"", Word::Unknown("sky".to_owned()))] {
            let read: Word<Grant> = serde_json::from_str(json).unwrap();
            assert_eq!(read, word);
            assert_eq!(serde_json::to_string(&read).unwrap(), json);
            assert_eq!(format!("\"{read}\""), json);
        }
    }
}
