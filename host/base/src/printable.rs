//! Text of strangers on one line of a log or a terminal.
//!
//! A component, a visitor or another program chooses the text. A line break in
//! it would begin a line that looks like one of the host. A control character
//! could move the cursor, and a format character could reorder or hide the text
//! around it. All of them are written as escapes, such as `\n` and `\u{202e}`.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

/// Whether a character acts on the text around it instead of being shown:
/// control characters, line and paragraph separators, and the format characters
/// of Unicode 17 (general categories Cc, Zl, Zp and Cf, and the tags).
pub fn acts(character: char) -> bool {
    character.is_control()
        || matches!(u32::from(character),
            0xad | 0x600..=0x605 | 0x61c | 0x6dd | 0x70f | 0x890..=0x891 | 0x8e2 | 0x180e
            | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f | 0xfeff | 0xfff0..=0xfffb
            | 0x110bd | 0x110cd | 0x13430..=0x1343f | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a
            | 0xe0000..=0xe0fff)
}

/// Whether a text has no character that [`acts`]. The check of an ASCII text is
/// fast.
pub fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.contains(acts)
}

/// The text with an escape in place of each character that [`acts`].
pub fn printable(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    // Writing to a string does not fail.
    let _ = Printable(&mut escaped).write_str(text);
    Cow::Owned(escaped)
}

/// Passes text on and escapes each character that [`acts`].
#[derive(Debug)]
pub struct Printable<W>(pub W);

impl<W: Write> Write for Printable<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if is_plain(text) {
            return self.0.write_str(text);
        }
        for piece in text.split_inclusive(acts) {
            match piece.chars().next_back() {
                Some(last) if acts(last) => {
                    self.0.write_str(piece.strip_suffix(last).unwrap_or_default())?;
                    write!(self.0, "{}", last.escape_default())?;
                }
                _ => self.0.write_str(piece)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_act_on_the_text_around_them_become_escapes() {
        for (text, shown) in [
            ("a\nb", "a\\nb"),
            ("\r\n", "\\r\\n"),
            ("a\tb\0", "a\\tb\\u{0}"),
            ("\x1b[2K\x1b[1A", "\\u{1b}[2K\\u{1b}[1A"),
            ("\x7f\u{9b}31m\u{85}", "\\u{7f}\\u{9b}31m\\u{85}"),
            ("user\u{202e}nimda\u{2066}", "user\\u{202e}nimda\\u{2066}"),
            ("a\u{2028}b\u{2029}c", "a\\u{2028}b\\u{2029}c"),
            ("zero\u{200b}width\u{feff}\u{ad}", "zero\\u{200b}width\\u{feff}\\u{ad}"),
            ("\u{e0041}\u{e0100}", "\\u{e0041}\\u{e0100}"),
        ] {
            assert_eq!(printable(text), shown);
            assert!(!printable(text).contains(acts));
        }
    }

    #[test]
    fn text_of_people_stays_as_it_is() {
        for text in ["", "plain \"quoted\" \\n", "größer, 日本語, हिन्दी, עברית", "🎟️ e\u{301}"]
        {
            assert!(matches!(printable(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }
}
