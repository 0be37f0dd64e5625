//! Texts whose length whoever makes them decides.

/// The most that is kept of what a component says, where that is why something failed.
pub const REASON_BYTES: usize = 2 << 10;

/// The beginning of it, of at most so many bytes.
pub fn cut(text: &str, bytes: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes)).unwrap_or(text)
}

/// A reason that anything can keep: cut, and without the zero bytes that
/// PostgreSQL has no place for.
pub fn reason(text: &str) -> String {
    cut(text, REASON_BYTES).replace('\0', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_characters_are_kept() {
        assert_eq!((cut("aä", 3), cut("aä", 2), cut("aä", 0), cut("", 9)), ("aä", "a", "", ""));
        assert_eq!(reason("a\0b"), "a b");
        assert_eq!(reason(&"x".repeat(REASON_BYTES + 1)).len(), REASON_BYTES);
    }
}
