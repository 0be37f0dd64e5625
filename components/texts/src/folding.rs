//! The folding of texts: two texts that differ only in their case, in the
//! composition of their letters or in the form of their characters have one
//! folding.

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;

use crate::characters::is_invisible;

/// The dot that the small form of `İ` has beside the dot of its `i`.
const DOT_ABOVE: char = '\u{307}';

/// The text in the form for comparisons and searches. It is like
/// `NFKC_Casefold` of the Unicode standard (section 3.13). Blanks of every kind
/// become spaces, and `İ` becomes `i`, so that it is found without a Turkish
/// keyboard. The result is at most 18 times as long as the text.
///
/// ```
/// assert_eq!(texts::fold("STRASSE"), texts::fold("Straße"));
/// assert_eq!(texts::fold("Cafe\u{301}"), texts::fold("CAFÉ"));
/// ```
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let visible = text.chars().filter(|character| !is_invisible(*character));
    // The first folding can create characters that decompose, and the other way
    // round. A second round reaches a form that does not change again.
    let once: String = without_dots(visible.nfkd().default_case_fold()).nfkd().collect();
    without_dots(once.chars().default_case_fold()).nfkc().collect()
}

/// The text in the form that only its case and its composition do not matter
/// for. It keeps every other difference between characters.
pub fn fold_case(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let once: String = text.nfd().default_case_fold().nfd().collect();
    once.chars().default_case_fold().nfc().collect()
}

/// The text in the composed form of Unicode (NFC).
pub fn compose(text: &str) -> String {
    text.nfc().collect()
}

/// Without a dot above an `i`, which has one already.
fn without_dots(characters: impl Iterator<Item = char>) -> impl Iterator<Item = char> {
    let mut before = None;
    characters.filter(move |character| before.replace(*character) != Some('i') || *character != DOT_ABOVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_a_text_have_one_folding() {
        for (one, other) in [
            ("Café", "CAFE\u{301}"),
            ("STRASSE", "Straße"),
            ("STRAẞE", "strasse"),
            ("ΟΔΟΣ", "οδος"),
            ("Σίσυφος", "ΣΊΣΥΦΟΣ"),
            ("İstanbul", "istanbul"),
            ("ISTANBUL", "I\u{307}stanbul"),
            ("ﬁesta", "FIESTA"),
            ("Ｔｏｋｙｏ　１", "tokyo 1"),
            ("한국", "\u{1112}\u{1161}\u{11AB}\u{1100}\u{116E}\u{11A8}"),
            ("Å", "\u{212B}"),
            ("ᾳ", "ΑΙ"),
            ("soft\u{AD}ware", "SOFTWARE"),
            ("a\u{200B}b\u{FE0F}", "AB"),
            ("Ǆ", "ǆ"),
            ("ŉ", "ʼn"),
            ("Ω", "\u{2126}"),
            ("ſt", "ST"),
            ("가\u{0323}\u{0301}", "가\u{0301}\u{0323}"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
        }
        assert_ne!(fold("cafe"), fold("café"));
        assert_ne!(fold("ı"), fold("j"));
    }

    #[test]
    fn a_folded_text_does_not_change_again() {
        // Most of the others are ideographs.
        let blocks = [0..0x3400, 0xA000..0xAC20, 0xF900..0x1_3000, 0x1_6000..0x1_8000, 0x1_D000..0x2_0000];
        for character in blocks.into_iter().flatten().filter_map(char::from_u32) {
            let once = fold(&format!("a{character}\u{345}b"));
            assert_eq!(fold(&once), once, "{character:?}");
            let once = fold_case(&format!("a{character}b"));
            assert_eq!(fold_case(&once), once, "{character:?}");
        }
    }

    #[test]
    fn a_folding_by_case_keeps_other_differences() {
        assert_eq!(fold_case("JOSÉ"), fold_case("jose\u{301}"));
        assert_ne!(fold_case("ﬀ１"), fold_case("ff1"));
    }
}
