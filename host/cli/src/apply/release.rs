//! The change of the revision that serves.

use super::{
    difference::{Change, Sign, short},
    file::{Canary, Wanted},
    state::{Present, PresentCanary},
};

/// How the wanted file becomes active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Release {
    /// It gets all work.
    Activate,
    /// It gets a part of the work.
    Try(Canary),
    /// The canary gets all work.
    Promote,
    /// The canary ends, because the active file is the wanted one.
    EndCanary,
}

/// The change of the active revision, and its lines. `swaps` says whether new limits or
/// settings are swapped in before. Such a swap ends a canary.
pub(super) fn release(wanted: &Wanted, present: &Present, swaps: bool) -> (Option<Release>, Vec<Change>) {
    let canary = present.canary();
    let Some(content) = &wanted.content else {
        return (None, canary.filter(|_| swaps).map(ends_with_swap).into_iter().collect());
    };
    let (to, from) = (content.digest.as_str(), present.digest());
    match (from, canary, wanted.canary) {
        (Some(from), None, _) if from == to => (None, Vec::new()),
        // The swap ends it. A rollback after the swap would go to the previous revision.
        (Some(from), Some(canary), _) if from == to && swaps => (None, vec![ends(canary)]),
        (Some(from), Some(canary), _) if from == to => (Some(Release::EndCanary), vec![ends(canary)]),
        (Some(_), canary, Some(share)) => trial(to, canary, share, swaps),
        (Some(from), Some(canary), None) if canary.digest == to => {
            let release = if swaps { Release::Activate } else { Release::Promote };
            let text = format!("revision {} -> {}, which is the canary", short(from), short(to));
            (Some(release), vec![Change::new(Sign::Changed, text)])
        }
        // Without an active revision there is nothing beside which another could be tried.
        (from, canary, _) => {
            let change = match from {
                Some(from) => Change::new(Sign::Changed, format!("revision {} -> {}", short(from), short(to))),
                None => Change::new(Sign::Added, format!("revision {}", short(to))),
            };
            (Some(Release::Activate), canary.map(ends).into_iter().chain([change]).collect())
        }
    }
}

/// The wanted file beside another one that is active.
fn trial(to: &str, canary: Option<PresentCanary<'_>>, share: Canary, swaps: bool) -> (Option<Release>, Vec<Change>) {
    let text = format!("canary {} with {}%", short(to), share.percent);
    let is_wanted = |canary: &PresentCanary<'_>| {
        canary.percent == share.percent && canary.ends == share.promote_after_seconds.is_some()
    };
    let changes = match canary {
        Some(canary) if canary.digest == to && is_wanted(&canary) && !swaps => return (None, Vec::new()),
        Some(canary) if canary.digest == to && is_wanted(&canary) => {
            vec![Change::new(Sign::Changed, format!("{text} begins again"))]
        }
        Some(canary) if canary.digest == to => {
            vec![Change::new(Sign::Changed, format!("{text} begins again, before with {}%", canary.percent))]
        }
        canary => canary.map(ends).into_iter().chain([Change::new(Sign::Added, text)]).collect(),
    };
    (Some(Release::Try(share)), changes)
}

fn ends(canary: PresentCanary<'_>) -> Change {
    Change::new(Sign::Removed, format!("canary {}", short(canary.digest)))
}

fn ends_with_swap(canary: PresentCanary<'_>) -> Change {
    Change::new(Sign::Removed, format!("canary {}: new limits or settings end it", short(canary.digest)))
}

#[cfg(test)]
mod tests;
