//! New identifiers: UUIDs of version 7, which sort by the time of their creation.

use crate::clock::now_ms;
use std::sync::Arc;
use uuid::{Builder, Uuid};

/// Creates an identifier. Unlike `Uuid::now_v7` this makes no system call: the
/// thread's own generator makes the random part.
pub fn new() -> Uuid {
    Builder::from_unix_timestamp_millis(now_ms(), &rand::random()).into_uuid()
}

/// A new identifier as a text that many share. The formatter of the standard library takes
/// twice as many instructions.
pub fn new_text() -> Arc<str> {
    Arc::from(&*new().hyphenated().encode_lower(&mut Uuid::encode_buffer()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_the_one_of_an_identifier() {
        let text = new_text();
        assert_eq!(Uuid::parse_str(&text).unwrap().to_string(), *text);
    }

    #[test]
    fn an_identifier_is_unique_and_contains_its_time() {
        let before_ms = now_ms();
        let (one, other) = (new(), new());
        assert_ne!(one, other);
        assert_eq!(one.get_version_num(), 7);
        let (seconds, _) = one.get_timestamp().unwrap().to_unix();
        assert!((before_ms / 1_000..=now_ms() / 1_000).contains(&seconds));
    }
}
