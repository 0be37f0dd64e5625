//! Fuzzes the code that reads an upload before it is compiled: the file, its
//! manifest, its migrations, its interfaces, and the comparison with the active
//! revision.
//!
//! The first byte of the input is the length of the separate manifest, in units of
//! 16 bytes. The value 0 means that there is none. The code must not panic, and an
//! accepted file must be compatible with itself.

#![no_main]

use host_artifact::{
    Artifact,
    compatibility::{self, Interfaces, Measured, Subject, Surroundings},
    permissions,
};
use host_sql::Applied;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&length, rest)) = input.split_first() else { return };
    let Some((manifest, component)) = rest.split_at_checked(usize::from(length) * 16) else { return };
    match std::str::from_utf8(manifest) {
        Ok("") => compare(component, None),
        Ok(manifest) => compare(component, Some(manifest)),
        // The host refuses such an upload at once.
        Err(_) => {}
    }
});

fn compare(component: &[u8], manifest: Option<&str>) {
    let Ok(artifact) = Artifact::parse(component.to_vec(), manifest) else { return };
    let Ok(interfaces) = Interfaces::read_and_check(&artifact.bytes) else { return };
    permissions::capabilities(&interfaces.imports());
    let subject = Subject { manifest: &artifact.manifest, interfaces: &interfaces };
    compatibility::compare(subject, &artifact.migrations, Surroundings::default(), Measured::default());
    let applied: Vec<Applied> = artifact.migrations.iter().map(Applied::of).collect();
    let surroundings = Surroundings { active: Some(subject), applied: &applied, ..Surroundings::default() };
    let verdict = compatibility::compare(subject, &artifact.migrations, surroundings, Measured::default());
    assert!(verdict.compatible, "a file is not compatible with itself: {:?}", verdict.problems);
    // Without its applied migrations, the comparison must report each wrong migration.
    let unseen = Surroundings { applied: &[], ..surroundings };
    let verdict = compatibility::compare(subject, &artifact.migrations, unseen, Measured::default());
    assert_eq!(verdict.compatible, verdict.problems.is_empty());
}
