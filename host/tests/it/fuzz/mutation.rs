//! Random changes of inputs: words are removed, repeated, and taken from other
//! inputs, and single bytes are changed.

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use std::ops::Range;

/// The longest input that changes may make.
const MOST_BYTES: usize = 64 << 10;

/// Good inputs, and words that are worth inserting.
pub(super) struct Corpus {
    inputs: Vec<Vec<u8>>,
    words: &'static [&'static str],
}

impl Corpus {
    pub(super) fn new(inputs: impl IntoIterator<Item = impl Into<Vec<u8>>>, words: &'static [&'static str]) -> Self {
        Self { inputs: inputs.into_iter().map(Into::into).collect(), words }
    }

    /// One of the inputs.
    pub(super) fn input(&self, random: &mut StdRng) -> &[u8] {
        self.inputs.choose(random).expect("an input")
    }

    /// One of the inputs after a few changes, most often after one.
    pub(super) fn mutated(&self, random: &mut StdRng) -> Vec<u8> {
        let mut bytes = self.input(random).to_vec();
        let changes = if random.random() { 1 } else { random.random_range(1..8) };
        for _ in 0..changes {
            self.mutate(random, &mut bytes);
        }
        bytes.truncate(MOST_BYTES);
        bytes
    }

    /// One of the inputs, changed or not.
    pub(super) fn text(&self, random: &mut StdRng) -> String {
        match random.random() {
            true => self.mutated_text(random),
            false => String::from_utf8_lossy(self.input(random)).into_owned(),
        }
    }

    /// One of the inputs after a few changes, as text.
    pub(super) fn mutated_text(&self, random: &mut StdRng) -> String {
        String::from_utf8_lossy(&self.mutated(random)).into_owned()
    }

    fn mutate(&self, random: &mut StdRng, bytes: &mut Vec<u8>) {
        let part = some_words(random, bytes);
        match random.random_range(0..8) {
            0 => drop(bytes.drain(part)),
            1 => {
                let copy = bytes[part.clone()].repeat(random.random_range(1..5));
                bytes.splice(part.start..part.start, copy);
            }
            2 | 3 => {
                let word = self.words.choose(random).map_or(&[][..], |word| word.as_bytes());
                let replaced = if random.random() { part } else { part.start..part.start };
                bytes.splice(replaced, word.iter().copied());
            }
            4 | 5 => {
                let other = self.input(random);
                let piece = some_words(random, other);
                bytes.splice(part, other[piece].iter().copied());
            }
            6 => {
                let other = some_words(random, bytes);
                let copy = bytes[other].to_vec();
                bytes.splice(part, copy);
            }
            _ => {
                if let Some(byte) = bytes.get_mut(part.start) {
                    *byte = random.random();
                }
            }
        }
    }
}

/// The range of a few words.
fn some_words(random: &mut StdRng, bytes: &[u8]) -> Range<usize> {
    if bytes.is_empty() {
        return 0..0;
    }
    let is_word = |index: usize| bytes.get(index).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let mut start = random.random_range(0..bytes.len());
    while start > 0 && is_word(start) && is_word(start - 1) {
        start -= 1;
    }
    let mut end = start;
    let words = if random.random() { 1 } else { random.random_range(1..6) };
    for _ in 0..words {
        end += 1;
        while is_word(end - 1) && is_word(end) {
            end += 1;
        }
        if end >= bytes.len() {
            break;
        }
    }
    start..end.min(bytes.len())
}
