//! Files that were good once: bytes changed, cut out, repeated. Whatever
//! becomes of one, it is judged in good time and without a panic.

use super::good;
use host_artifact::{
    Artifact,
    compatibility::{self, Interfaces, Measured, Subject, Surroundings},
};
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

/// What happens to a file.
#[derive(Debug, Clone)]
enum Mutation {
    Flip(Place, u8),
    Set(Place, u8),
    Truncate(Place),
    Remove(Place, usize),
    Repeat(Place, Place, usize),
    Insert(Place, Vec<u8>),
}

/// Most of a file is code; what describes the component lies at both ends.
#[derive(Debug, Clone)]
enum Place {
    Anywhere(Index),
    Begin(usize),
    End(usize),
}

impl Place {
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
            Self::Flip(place, bit) => {
                bytes.iter_mut().skip(place.of(length)).take(1).for_each(|byte| *byte ^= 1 << bit)
            }
            Self::Set(place, value) => bytes.iter_mut().skip(place.of(length)).take(1).for_each(|byte| *byte = *value),
            Self::Truncate(place) => bytes.truncate(place.of(length)),
            Self::Remove(place, count) => {
                let begin = place.of(length);
                bytes.drain(begin..(begin + count).min(length));
            }
            Self::Repeat(from, to, count) => {
                let begin = from.of(length);
                let part = bytes[begin..(begin + count).min(length)].to_vec();
                let to = to.of(length);
                bytes.splice(to..to, part);
            }
            Self::Insert(place, part) => {
                let place = place.of(length);
                bytes.splice(place..place, part.iter().copied());
            }
        }
    }
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        1 => any::<Index>().prop_map(Place::Anywhere),
        2 => (0..6_000_usize).prop_map(Place::Begin),
        2 => (0..9_000_usize).prop_map(Place::End),
    ]
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        6 => (place(), 0..8_u8).prop_map(|(place, bit)| Mutation::Flip(place, bit)),
        3 => (place(), any::<u8>()).prop_map(|(place, value)| Mutation::Set(place, value)),
        1 => place().prop_map(Mutation::Truncate),
        2 => (place(), 1..200_usize).prop_map(|(place, count)| Mutation::Remove(place, count)),
        2 => (place(), place(), 1..2_000_usize).prop_map(|(from, to, count)| Mutation::Repeat(from, to, count)),
        1 => (place(), prop::collection::vec(any::<u8>(), 1..50)).prop_map(|(place, part)| Mutation::Insert(place, part)),
    ]
}

/// As far as an upload is judged before it is compiled.
fn judge(bytes: Vec<u8>) -> bool {
    let Ok(artifact) = Artifact::parse(bytes, None) else { return false };
    let Ok(interfaces) = Interfaces::read_and_check(&artifact.bytes) else { return false };
    let (active, active_interfaces) = &*ACTIVE;
    let surroundings = Surroundings {
        active: Some(Subject { manifest: &active.manifest, interfaces: active_interfaces }),
        active_revision: None,
        others: &[&active.manifest],
        applied: &[],
    };
    let new = Subject { manifest: &artifact.manifest, interfaces: &interfaces };
    let verdict = compatibility::compare(new, &artifact.migrations, surroundings, Measured::default());
    verdict.compatible == verdict.problems.is_empty()
}

#[test]
fn the_file_itself_is_judged_well() {
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
