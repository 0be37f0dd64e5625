//! The words of titles and of searches. A title is found if each word of the
//! search is a part of it, in any order.
//!
//! Both sides are folded ([`texts::fold`]), so neither case nor the
//! normalization of Unicode matters.

/// The first character of a key. The keys of older versions begin with another
/// one.
const MARK: char = ' ';
/// The longest folded title. Every title of letters is shorter.
const KEY_CHARACTERS: usize = 400;
/// The length of a stored part. A search looks up the first letters of a word.
const PART_CHARACTERS: usize = 8;
/// A longer word is stored as several words of this length. Each begins
/// [`PART_CHARACTERS`] after the one before, so every part is inside of one.
const WORD_CHARACTERS: usize = 2 * PART_CHARACTERS;

/// The key of a title, as the database stores it.
pub fn key(title: &str) -> String {
    let folded = texts::fold(title);
    // A few signs of Unicode stand for up to 18 letters.
    let end = folded.char_indices().nth(KEY_CHARACTERS).map_or(folded.len(), |(end, _)| end);
    format!("{MARK}{}", folded.get(..end).unwrap_or_default())
}

/// The folded title of a stored key. `None` if the key is of an older version.
pub fn folded(key: &str) -> Option<&str> {
    key.strip_prefix(MARK)
}

/// The words of a search, without repetitions and without those that are parts
/// of others. The longest are first, because few titles contain them.
pub fn of_search(text: &str) -> Vec<String> {
    let folded = texts::fold(text);
    let mut words: Vec<&str> = folded.split_whitespace().collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    let mut terms: Vec<String> = Vec::new();
    for word in words {
        if !terms.iter().any(|term| term.contains(word)) {
            terms.push(word.to_owned());
        }
    }
    terms
}

/// Whether a folded title contains all terms.
pub fn matches(title: &str, terms: &[String]) -> bool {
    terms.iter().all(|term| title.contains(term.as_str()))
}

/// The words of a folded title, as the index stores them.
pub fn words(title: &str) -> Vec<String> {
    let mut words: Vec<String> = title.split_whitespace().flat_map(pieces).collect();
    words.sort();
    words.dedup();
    words
}

fn pieces(word: &str) -> Vec<String> {
    let characters: Vec<char> = word.chars().collect();
    let mut pieces: Vec<String> =
        characters.windows(WORD_CHARACTERS).step_by(PART_CHARACTERS).map(|piece| piece.iter().collect()).collect();
    let rest = characters.len().saturating_sub(WORD_CHARACTERS).next_multiple_of(PART_CHARACTERS);
    if pieces.is_empty() || rest + WORD_CHARACTERS > characters.len() {
        pieces.push(characters.get(rest..).unwrap_or_default().iter().collect());
    }
    pieces
}

/// The parts of a word of the index: its first letters from each position on.
pub fn parts(word: &str) -> Vec<String> {
    let mut parts: Vec<String> = word
        .char_indices()
        .filter_map(|(at, _)| Some(word.get(at..)?.chars().take(PART_CHARACTERS).collect()))
        .collect();
    parts.sort();
    parts.dedup();
    parts
}

/// The range of the parts that begin like a term, or like its first letters.
/// The end is not part of the range.
pub fn range(term: &str) -> (String, String) {
    let begin: String = term.chars().take(PART_CHARACTERS).collect();
    let end = format!("{begin}{}", char::MAX);
    (begin, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_finds_words_in_any_order_and_any_spelling() {
        for (title, search, is_found) in [
            ("Café Müller", "muller", false),
            ("Café Müller", "MÜLLER cafe\u{301}", true),
            ("Straße 12", "12 STRASSE", true),
            ("ΟΔΟΣ", "οδος", true),
            ("İstanbul", "istanbul", true),
            ("Kraftwerk Berlin", "lin werk", true),
            ("Kraftwerk Wien", "lin werk", false),
            ("50% off_peak", "f_p", true),
            ("東京 公演", "公演", true),
            ("x", "\u{200B}", true),
        ] {
            let key = key(title);
            assert_eq!(matches(folded(&key).unwrap(), &of_search(search)), is_found, "{title} {search}");
        }
        assert_eq!(folded("a key of an older version"), None);
    }

    #[test]
    fn terms_are_not_repeated_and_the_longest_is_first() {
        assert_eq!(of_search("a Row ROW ro\u{3000}berlin"), ["berlin", "row", "a"]);
        assert!(of_search(" \u{200B} ").is_empty());
    }

    /// Every part of a word leads to a stored word.
    #[test]
    fn the_index_leads_from_each_term_to_its_titles() {
        for length in 1..60_u32 {
            let word: String = (0..length).filter_map(|number| char::from_u32(0x4E00 + number)).collect();
            let words = words(&word);
            let parts: Vec<String> = words.iter().flat_map(|word| parts(word)).collect();
            assert!(words.iter().all(|word| word.chars().count() <= WORD_CHARACTERS));
            for (from, _) in word.char_indices() {
                for (to, last) in word.char_indices().filter(|(to, _)| *to >= from) {
                    let (begin, end) = range(&word[from..to + last.len_utf8()]);
                    assert!(parts.iter().any(|part| *part >= begin && *part < end), "{length}: {from} to {to}");
                }
            }
        }
    }

    #[test]
    fn a_key_has_a_limited_length() {
        assert_eq!(key(&"ß".repeat(200)), format!(" {}", "s".repeat(400)));
        assert_eq!(key(&"\u{FDFA}".repeat(200)).chars().count(), 401);
    }

    #[test]
    fn a_short_word_is_stored_as_it_is() {
        assert_eq!(words("row 1 row"), ["1", "row"]);
        assert_eq!(words("abcdefghijklmnop"), ["abcdefghijklmnop"]);
        assert_eq!(words("abcdefghijklmnopq"), ["abcdefghijklmnop", "ijklmnopq"]);
        assert_eq!(parts("row"), ["ow", "row", "w"]);
    }
}
