//! The code under the fuzzer of uploads: all that reads an upload before it is
//! compiled. That is the file, its manifest, its migrations, its interfaces, and the
//! comparison with the active revision.
//!
//! The first byte of the input is the length of the separate manifest, in units of
//! 16 bytes. The value 0 means that there is none. The code must not panic, and an
//! accepted file must be compatible with itself.

use host_artifact::{
    Artifact,
    compatibility::{self, ComparedRevision, HostContext, Interfaces, RevisionInfo},
    permissions::Offers,
};
use host_config::{offer::Offer, plugins::Grant};
use host_sql::Applied;

/// The engine has the complete list, but the fuzzer does not depend on the engine.
const OFFERS: Offers = Offers(&[Offer { grant: Grant::Store, interfaces: &["platform:store/sql"] }]);

/// Reads an upload as the host does, and compares it with itself. Returns whether the
/// host can read it.
pub(super) fn check(input: &[u8]) -> bool {
    let Some((&length, rest)) = input.split_first() else { return false };
    let Some((manifest, component)) = rest.split_at_checked(usize::from(length) * 16) else { return false };
    match std::str::from_utf8(manifest) {
        Ok("") => compare(component, None),
        Ok(manifest) => compare(component, Some(manifest)),
        // The host refuses such an upload at once.
        Err(_) => false,
    }
}

fn compare(component: &[u8], manifest: Option<&str>) -> bool {
    let Ok(artifact) = Artifact::parse(component.to_vec(), manifest) else { return false };
    let Ok(interfaces) = Interfaces::read_and_check(&artifact.bytes) else { return false };
    OFFERS.grants_of(&interfaces.imports());
    let revision = ComparedRevision { manifest: &artifact.manifest, interfaces: &interfaces, events: &artifact.events };
    compatibility::compare(revision, &artifact.migrations, HostContext::default(), RevisionInfo::default());
    let applied: Vec<Applied> = artifact.migrations.iter().map(Applied::of).collect();
    let host = HostContext { offers: OFFERS, active: Some(revision), applied: &applied, ..HostContext::default() };
    let verdict = compatibility::compare(revision, &artifact.migrations, host, RevisionInfo::default());
    assert!(verdict.compatible, "a file is not compatible with itself: {:?}", verdict.problems);
    // Without its applied migrations, the comparison must report each wrong migration.
    let unseen = HostContext { applied: &[], ..host };
    let verdict = compatibility::compare(revision, &artifact.migrations, unseen, RevisionInfo::default());
    assert_eq!(verdict.compatible, verdict.problems.is_empty());
    true
}
