//! What an upload goes through before it is compiled: the file, its manifest,
//! its migrations, its interfaces, and the comparison with what is active.
//!
//! The first byte says how long the manifest beside the component is, in steps
//! of 16 bytes; with 0 there is none. Nothing may panic, and a file that is
//! accepted fits itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use host_artifact::{
    Artifact,
    compatibility::{self, Interfaces, Measured, Subject, Surroundings},
    permissions,
};
use host_sql::Applied;

fuzz_target!(|input: &[u8]| {
    let Some((&length, rest)) = input.split_first() else { return };
    let Some((manifest, component)) = rest.split_at_checked(usize::from(length) * 16) else { return };
    match std::str::from_utf8(manifest) {
        Ok("") => judge(component, None),
        Ok(manifest) => judge(component, Some(manifest)),
        // The host refuses it before anything else.
        Err(_) => {}
    }
});

fn judge(component: &[u8], manifest: Option<&str>) {
    let Ok(artifact) = Artifact::parse(component.to_vec(), manifest) else { return };
    let Ok(interfaces) = Interfaces::read_and_check(&artifact.bytes) else { return };
    permissions::capabilities(&interfaces.imports());
    let subject = Subject { manifest: &artifact.manifest, interfaces: &interfaces };
    compatibility::compare(subject, &artifact.migrations, Surroundings::default(), Measured::default());
    let applied: Vec<Applied> = artifact.migrations.iter().map(Applied::of).collect();
    let surroundings = Surroundings { active: Some(subject), applied: &applied, ..Surroundings::default() };
    let verdict = compatibility::compare(subject, &artifact.migrations, surroundings, Measured::default());
    assert!(verdict.compatible, "a file does not fit itself: {:?}", verdict.problems);
    // As if none of its migrations had run: what is wrong with one is told.
    let unseen = Surroundings { applied: &[], ..surroundings };
    let verdict = compatibility::compare(subject, &artifact.migrations, unseen, Measured::default());
    assert_eq!(verdict.compatible, verdict.problems.is_empty());
}
