//! Texts of limited length.

/// The longest failure reason of a component that the host keeps.
pub const REASON_BYTES: usize = 2 << 10;

/// The beginning of a text, at most `bytes` long. It ends at a character
/// boundary.
pub fn truncate(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

/// A failure reason that every database can keep: it is truncated, and each zero
/// byte is replaced, because PostgreSQL refuses zero bytes in a text.
pub fn failure_reason(text: &str) -> String {
    truncate(text, REASON_BYTES).replace('\0', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncation_keeps_whole_characters() {
        assert_eq!((truncate("aä", 3), truncate("aä", 2), truncate("aä", 0), truncate("", 9)), ("aä", "a", "", ""));
        assert_eq!(failure_reason("a\0b"), "a b");
        assert_eq!(failure_reason(&"x".repeat(REASON_BYTES + 1)).len(), REASON_BYTES);
    }
}
