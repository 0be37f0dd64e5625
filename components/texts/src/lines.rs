//! Texts of one line that other people read, such as titles.

use std::fmt;

use unicode_normalization::{UnicodeNormalization, char::canonical_combining_class};

use crate::characters::{is_control, is_direction_control, is_invisible, is_mark, is_visible, trim};

/// The most accents on one letter.
const ACCENTS: usize = 3;
/// The most marks of any kind after one letter. A syllable of Burmese has 5.
const MARKS: usize = 6;

/// The reason why a text is not accepted. It reads well after the name of the
/// text: "title must ...".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing in the text is visible.
    Invisible,
    /// A control character, which no reader sees.
    Control,
    /// A character that turns the direction of the text around.
    Direction,
    /// Too many accents on one letter.
    Marks,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invisible => "must contain a letter, a digit or a sign that can be seen",
            Self::Control => "must not contain control characters",
            Self::Direction => "must not contain characters that change the direction of the text",
            Self::Marks => "must not have more than 3 accents on one letter",
        })
    }
}

/// Makes one line of a text: without blanks around it, in the composed form of
/// Unicode (NFC), and with spaces for line breaks and tabs.
///
/// # Errors
/// The first reason why the text is not accepted.
///
/// ```
/// assert_eq!(texts::line("\u{3000}Cafe\u{301}\n2 "), Ok("Café 2".to_owned()));
/// assert!(texts::line("\u{200B}").is_err());
/// ```
pub fn line(text: &str) -> Result<String, Flaw> {
    let is_break = |character| matches!(character, '\t'..='\r' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let spaced = |character| if is_break(character) { ' ' } else { character };
    let line: String = trim(text).chars().map(spaced).nfc().collect();
    match flaw(&line) {
        Some(flaw) => Err(flaw),
        None => Ok(line),
    }
}

/// The first reason why a line is not accepted, if there is one.
pub fn flaw(line: &str) -> Option<Flaw> {
    if line.chars().any(is_direction_control) {
        return Some(Flaw::Direction);
    }
    if line.chars().any(is_control) {
        return Some(Flaw::Control);
    }
    if !line.chars().any(is_visible) {
        return Some(Flaw::Invisible);
    }
    has_many_marks(line).then_some(Flaw::Marks)
}

/// Counts in the decomposed form, so the answer is the same for both forms.
/// Characters that nobody sees do not end a row.
fn has_many_marks(line: &str) -> bool {
    let mut row = Marks::default();
    line.nfd().any(|character| {
        if is_mark(character) {
            row.add(character);
        } else if !is_invisible(character) {
            row = Marks::default();
        }
        row.are_too_many()
    })
}

/// The marks in a row. The vowels of some scripts, such as Burmese and Thai, are
/// marks too. They stand beside each other, so a word may have more of them than
/// of accents, but not one of them again and again.
#[derive(Default)]
struct Marks {
    all: usize,
    accents: usize,
    last: Option<char>,
    /// How often the last mark is repeated.
    same: usize,
}

impl Marks {
    fn add(&mut self, mark: char) {
        self.all += 1;
        self.accents += usize::from(is_accent(mark));
        self.same = if self.last.replace(mark) == Some(mark) { self.same + 1 } else { 1 };
    }

    fn are_too_many(&self) -> bool {
        self.accents > ACCENTS || self.same > ACCENTS || self.all > MARKS
    }
}

/// Whether marks of this kind are stacked above or below the letter, or around
/// it.
fn is_accent(mark: char) -> bool {
    let is_enclosing = matches!(mark, '\u{488}' | '\u{489}' | '\u{20DD}'..='\u{20E4}' | '\u{A670}'..='\u{A672}');
    canonical_combining_class(mark) != 0 || is_enclosing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_trimmed_and_composed() {
        for (text, expected) in [
            ("  Concert ", "Concert"),
            ("\u{A0}\u{200B}\u{3000}Concert\u{FEFF}\u{2003}", "Concert"),
            ("Cafe\u{301}", "Café"),
            ("a\tb\r\nc\u{2028}d", "a b  c d"),
            ("Ünïcödé 🎫 ❤\u{FE0F}", "Ünïcödé 🎫 ❤\u{FE0F}"),
            ("مرحبا 2026", "مرحبا 2026"),
            ("नमस्ते", "नमस्ते"),
            ("ที่นี่", "ที่นี่"),
            ("!", "!"),
        ] {
            assert_eq!(line(text).as_deref(), Ok(expected), "{text:?}");
        }
    }

    #[test]
    fn a_text_that_shows_nothing_is_refused() {
        for text in [
            "",
            " ",
            "\u{A0}",
            "\u{200B}\u{200B}",
            "\u{3000}",
            "\u{3164}",
            "\u{2800}",
            "\u{301}",
            "\u{FE0F}",
            "\u{E0061}",
            "\u{E000}",
        ] {
            assert_eq!(line(text), Err(Flaw::Invisible), "{text:?}");
        }
    }

    #[test]
    fn characters_that_harm_the_page_are_refused() {
        for text in
            ["a\u{0}b", "a\u{7}b", "a\u{1B}[2Jb", "a\u{9F}b", "a\u{FFFE}b", "a\u{FDD0}b", "a\u{10FFFF}b", "a\u{FFF9}b"]
        {
            assert_eq!(line(text), Err(Flaw::Control), "{text:?}");
        }
        for text in ["a\u{202E}b", "a\u{202A}b", "a\u{2066}b", "a\u{2069}b", "a\u{206A}b"] {
            assert_eq!(line(text), Err(Flaw::Direction), "{text:?}");
        }
    }

    #[test]
    fn the_vowels_of_living_scripts_are_accepted() {
        for text in ["လျှို့ဝှက်", "မြို့", "ที่นี่ ก็", "བསྒྲུབས", "בְּרֵאשִׁ֖ית", "Việt Nam", "ᾧ", "क्षत्रिय"]
        {
            assert!(line(text).is_ok(), "{text}");
        }
        assert_eq!(line(&format!("ก{}", "\u{E47}".repeat(4))), Err(Flaw::Marks));
        assert_eq!(line(&format!("ก{}", "\u{E34}\u{E38}".repeat(4))), Err(Flaw::Marks));
    }

    #[test]
    fn at_most_three_marks_follow_each_other() {
        let marks = |count| format!("e{}x", "\u{301}".repeat(count));
        assert!(line(&marks(3)).is_ok());
        assert_eq!(line(&marks(4)), Err(Flaw::Marks));
        assert_eq!(line("é\u{301}\u{302}\u{303}"), Err(Flaw::Marks), "composed");
        assert_eq!(line("e\u{301}\u{301}\u{200D}\u{301}\u{301}"), Err(Flaw::Marks), "with a joiner");
        assert_eq!(line("e\u{301}\u{301}\u{34F}\u{301}\u{301}"), Err(Flaw::Marks), "with a joiner of graphemes");
        assert_eq!(line("e\u{20DD}\u{20DE}\u{20DF}\u{20E0}"), Err(Flaw::Marks), "around the letter");
    }
}
