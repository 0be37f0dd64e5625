//! Good files after mutations: bytes are changed, removed and repeated. The host
//! judges each file in a short time and without a panic.

use super::good;
use host_artifact::{
    Artifact,
    compatibility::{self, ComparedRevision, HostContext, Interfaces, RevisionInfo},
};
use host_engine::OFFERS;
use proptest::{
    prelude::{ProptestConfig, Strategy, any, prop, prop_oneof, proptest},
    sample::Index,
};
use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

static FILE: LazyLock<Vec<u8>> = LazyLock::new(good);
static ACTIVE: LazyLock<(Artifact, Interfaces)> = LazyLock::new(|| {
    let artifact = Artifact::parse(FILE.clone(), None).unwrap();
    let interfaces = Interfaces::read_and_check(&artifact.bytes).unwrap();
    (artifact, interfaces)
});

/// A change of a file.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(Position, u8),
    Set(Position, u8),
    Truncate(Position),
    Remove(Position, usize),
    Repeat(Position, Position, usize),
    Insert(Position, Vec<u8>),
}

/// A position in a file. Most of a file is code, and the description of the
/// component is at both ends.
#[derive(Debug, Clone)]
enum Position {
    Anywhere(Index),
    Begin(usize),
    End(usize),
}

impl Position {
    fn of(&self, length: usize) -> usize {
        match self {
            Self::Anywhere(index) => index.index(length + 1),
            Self::Begin(offset) => (*offset).min(length),
            Self::End(offset) => length.saturating_sub(*offset),
        }
    }
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        match self {
            Self::Flip(position, bit) => {
                bytes.iter_mut().skip(position.of(length)).take(1).for_each(|byte| *byte ^= 1 << bit)
            }
            Self::Set(position, value) => {
                bytes.iter_mut().skip(position.of(length)).take(1).for_each(|byte| *byte = *value)
            }
            Self::Truncate(position) => bytes.truncate(position.of(length)),
            Self::Remove(position, count) => {
                let begin = position.of(length);
                bytes.drain(begin..(begin + count).min(length));
            }
            Self::Repeat(from, to, count) => {
                let begin = from.of(length);
                let part = bytes[begin..(begin + count).min(length)].to_vec();
                let to = to.of(length);
                bytes.splice(to..to, part);
            }
            Self::Insert(position, part) => {
                let position = position.of(length);
                bytes.splice(position..position, part.iter().copied());
            }
        }
    }
}

fn position() -> impl Strategy<Value = Position> {
    prop_oneof![
        1 => any::<Index>().prop_map(Position::Anywhere),
        2 => (0..6_000_usize).prop_map(Position::Begin),
        2 => (0..9_000_usize).prop_map(Position::End),
    ]
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        6 => (position(), 0..8_u8).prop_map(|(position, bit)| Mutation::Flip(position, bit)),
        3 => (position(), any::<u8>()).prop_map(|(position, value)| Mutation::Set(position, value)),
        1 => position().prop_map(Mutation::Truncate),
        2 => (position(), 1..200_usize).prop_map(|(position, count)| Mutation::Remove(position, count)),
        2 => (position(), position(), 1..2_000_usize).prop_map(|(from, to, count)| Mutation::Repeat(from, to, count)),
        1 => (position(), prop::collection::vec(any::<u8>(), 1..50)).prop_map(|(position, part)| Mutation::Insert(position, part)),
    ]
}

/// Judges a file as an upload before it is compiled. Returns whether it passes.
fn judge(bytes: Vec<u8>) -> bool {
    let Ok(artifact) = Artifact::parse(bytes, None) else { return false };
    let Ok(interfaces) = Interfaces::read_and_check(&artifact.bytes) else { return false };
    let (active, active_interfaces) = &*ACTIVE;
    let host = HostContext {
        offers: OFFERS,
        active: Some(ComparedRevision {
            manifest: &active.manifest,
            interfaces: active_interfaces,
            events: &active.events,
        }),
        active_revision: None,
        others: &[&active.manifest],
        applied: &[],
    };
    let new = ComparedRevision { manifest: &artifact.manifest, interfaces: &interfaces, events: &artifact.events };
    let verdict = compatibility::compare(new, &artifact.migrations, host, RevisionInfo::default());
    verdict.compatible == verdict.problems.is_empty()
}

#[test]
fn the_unchanged_file_passes() {
    assert!(judge(FILE.clone()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_file_is_judged_in_good_time(mutations in prop::collection::vec(mutation(), 1..5)) {
        let mut bytes = FILE.clone();
        mutations.iter().for_each(|mutation| mutation.apply(&mut bytes));
        let begun = Instant::now();
        judge(bytes);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}
