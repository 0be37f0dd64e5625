//! The kinds of characters that matter here.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// Whether a reader sees nothing where the character stands: a space of any
/// kind, a character without width, or a letter without a shape.
pub fn is_blank(character: char) -> bool {
    character.is_whitespace() || is_invisible(character) && !is_selector(character)
}

/// Removes the blanks and the line breaks around a text.
pub fn trim(text: &str) -> &str {
    text.trim_matches(is_blank)
}

/// Whether the character has no shape and no width of its own. These are the
/// format characters, and the default ignorable code points of Unicode that
/// have another category.
pub fn is_invisible(character: char) -> bool {
    match character {
        // The combining grapheme joiner, the fillers of Hangul, the vowels of
        // Khmer without a shape, and the selectors of Mongolian.
        '\u{34F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}' => true,
        '\u{3164}' | '\u{FFA0}' => true,
        // The pattern of Braille without a dot.
        '\u{2800}' => true,
        // Selectors of a variant, tags, and code points reserved for their kind.
        '\u{2065}' | '\u{FE00}'..='\u{FE0F}' | '\u{FFF0}'..='\u{FFF8}' | '\u{E0000}'..='\u{E0FFF}' => true,
        // These numbers and letters have a shape, although they are of the
        // category of format characters.
        '\u{600}'..='\u{605}' | '\u{6DD}' | '\u{70F}' | '\u{890}'..='\u{891}' | '\u{8E2}' => false,
        '\u{110BD}' | '\u{110CD}' | '\u{13430}'..='\u{1343F}' => false,
        _ => character.general_category() == GeneralCategory::Format,
    }
}

/// Whether the character only changes the shape of the one before it, such as
/// the last part of an emoji. So it belongs to a visible character.
fn is_selector(character: char) -> bool {
    matches!(character, '\u{FE00}'..='\u{FE0F}' | '\u{180B}'..='\u{180D}' | '\u{180F}' | '\u{E0020}'..='\u{E007F}' | '\u{E0100}'..='\u{E01EF}')
}

/// Whether the character changes the direction or the shape of the text after
/// it, also outside its own text.
pub(crate) fn is_direction_control(character: char) -> bool {
    matches!(character, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' | '\u{206A}'..='\u{206F}')
}

/// Whether the character is no character of a text: a control character, or a
/// code point that Unicode keeps for programs.
pub(crate) fn is_control(character: char) -> bool {
    let code = u32::from(character);
    character.is_control() || code & 0xFFFE == 0xFFFE || (0xFDD0..=0xFDEF).contains(&code) || is_annotation(character)
}

fn is_annotation(character: char) -> bool {
    matches!(character, '\u{FFF9}'..='\u{FFFB}')
}

/// Whether the character is drawn over or under the one before it.
pub(crate) fn is_mark(character: char) -> bool {
    character.general_category_group() == GeneralCategoryGroup::Mark
}

/// Whether the character alone shows something to a reader.
pub(crate) fn is_visible(character: char) -> bool {
    let group = character.general_category_group();
    let has_shape = matches!(
        group,
        GeneralCategoryGroup::Letter
            | GeneralCategoryGroup::Number
            | GeneralCategoryGroup::Punctuation
            | GeneralCategoryGroup::Symbol
    );
    // A character of a later version of Unicode is shown as itself or as a box.
    let is_unknown = character.general_category() == GeneralCategory::Unassigned;
    (has_shape || is_unknown) && !is_invisible(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_of_every_kind_are_trimmed() {
        for blank in [
            ' ',
            '\t',
            '\n',
            '\u{A0}',
            '\u{1680}',
            '\u{2003}',
            '\u{2028}',
            '\u{202F}',
            '\u{205F}',
            '\u{3000}',
            '\u{200B}',
            '\u{200D}',
            '\u{2060}',
            '\u{FEFF}',
            '\u{AD}',
            '\u{180E}',
            '\u{3164}',
            '\u{FFA0}',
            '\u{115F}',
            '\u{2800}',
            '\u{34F}',
            '\u{200E}',
            '\u{61C}',
            '\u{E0001}',
        ] {
            assert!(is_blank(blank), "{blank:?}");
            assert_eq!(trim(&format!("{blank} a{blank}b {blank}")), format!("a{blank}b"), "{blank:?}");
        }
    }

    #[test]
    fn the_last_part_of_an_emoji_is_not_trimmed() {
        for text in ["❤\u{FE0F}", "🏴\u{E0067}\u{E0062}\u{E007F}", "1\u{FE0F}\u{20E3}", "👩\u{200D}🚀"] {
            assert_eq!(trim(text), text);
        }
    }
}
