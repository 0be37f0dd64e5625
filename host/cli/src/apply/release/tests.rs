use super::*;
use crate::apply::samples::{canary, present, wanted};
use serde_json::json;

const SHARE: Canary = Canary { percent: 10, promote_after_seconds: None };

/// The release and its lines, for a wanted file and perhaps a share, and the present
/// canary of the digest `c`, with its percent.
fn of(digit: char, share: Option<Canary>, percent: Option<u8>, swaps: bool) -> (Option<Release>, Vec<String>) {
    let fields = percent.map_or(json!({}), |percent| json!({ "canary": canary(percent) }));
    let (release, changes) = release(&Wanted { canary: share, ..wanted(digit) }, &present('a', fields), swaps);
    let lines = changes.into_iter().map(|change| format!("{} {}", change.change.as_str(), change.what));
    (release, lines.collect())
}

#[test]
fn a_file_without_a_share_serves_alone() {
    assert_eq!(of('a', None, None, false), (None, vec![]));
    let (release, lines) = of('b', None, None, false);
    assert_eq!((release, lines), (Some(Release::Activate), vec!["~ revision aaaaaaaaaaaa -> bbbbbbbbbbbb".to_owned()]));
    let (release, lines) = of('b', None, Some(10), false);
    assert_eq!((release, lines.len()), (Some(Release::Activate), 2));
    assert_eq!(lines[0], "- canary cccccccccccc");
    assert_eq!(of('c', None, Some(10), false).0, Some(Release::Promote));
    assert_eq!(of('a', None, Some(10), false).0, Some(Release::EndCanary));
}

#[test]
fn a_share_is_a_trial_beside_another_active_file() {
    let (release, lines) = of('c', Some(SHARE), None, false);
    assert_eq!((release, lines), (Some(Release::Try(SHARE)), vec!["+ canary cccccccccccc with 10%".to_owned()]));
    assert_eq!(of('c', Some(SHARE), Some(10), false), (None, vec![]));
    let (release, lines) = of('c', Some(SHARE), Some(20), false);
    assert_eq!(release, Some(Release::Try(SHARE)));
    assert_eq!(lines, ["~ canary cccccccccccc with 10% begins again, before with 20%"]);
    let timed = Canary { promote_after_seconds: Some(60), ..SHARE };
    assert_eq!(of('c', Some(timed), Some(10), false).0, Some(Release::Try(timed)));
    let (release, lines) = of('b', Some(SHARE), Some(10), false);
    assert_eq!((release, lines.len()), (Some(Release::Try(SHARE)), 2));
    // It was promoted, or it was active before.
    assert_eq!(of('a', Some(SHARE), None, false), (None, vec![]));
    assert_eq!(of('a', Some(SHARE), Some(10), false).0, Some(Release::EndCanary));
}

#[test]
fn the_first_revision_is_no_trial() {
    let wanted = Wanted { canary: Some(SHARE), ..wanted('b') };
    let (release, changes) = release(&wanted, &Present::default(), false);
    assert_eq!((release, changes.len()), (Some(Release::Activate), 1));
    assert_eq!(changes[0].what, "revision bbbbbbbbbbbb");
}

#[test]
fn a_swap_of_settings_ends_a_trial() {
    assert_eq!(of('c', Some(SHARE), Some(10), true).0, Some(Release::Try(SHARE)), "it begins again");
    assert_eq!(of('c', None, Some(10), true).0, Some(Release::Activate), "there is nothing to promote");
    let (release, lines) = of('a', None, Some(10), true);
    assert_eq!((release, lines), (None, vec!["- canary cccccccccccc".to_owned()]), "a rollback would go further");
    let without_file = Wanted { content: None, ..wanted('a') };
    let trial = present('a', json!({ "canary": canary(10) }));
    assert_eq!(release_lines(&without_file, &trial, true), 1);
    assert_eq!(release_lines(&without_file, &trial, false), 0);
}

fn release_lines(wanted: &Wanted, present: &Present, swaps: bool) -> usize {
    let (release, changes) = release(wanted, present, swaps);
    assert_eq!(release, None);
    changes.len()
}
