//! The handlers that the host calls for the same work. A revision may export
//! another one of them than the revision before it.

use crate::permissions::without_version;

/// The handlers of requests, of events and of timers, without versions.
const OF_SAME_WORK: [&[&str]; 3] = [
    &[
        "platform:packed/packed-handler",
        "platform:handlers/request-handler",
        "platform:http/handler",
        "wasi:http/incoming-handler",
        "wasi:http/handler",
    ],
    &["platform:handlers/event-handler", "platform:messaging/handler"],
    &["platform:handlers/timer-handler", "platform:timers/handler"],
];

/// Whether one of these exports does the work of a handler that is gone. The names
/// may have versions.
pub(super) fn do_its_work<'a>(mut exports: impl Iterator<Item = &'a str>, gone: &str) -> bool {
    let work = OF_SAME_WORK.iter().find(|handlers| handlers.contains(&without_version(gone)));
    work.is_some_and(|handlers| exports.any(|export| handlers.contains(&without_version(export))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::WASI_HANDLERS;

    #[test]
    fn each_handler_of_wasi_http_is_known() {
        assert!(WASI_HANDLERS.iter().all(|handler| OF_SAME_WORK[0].contains(handler)));
    }

    #[test]
    fn a_handler_of_the_same_work_is_one_of_any_name() {
        let exports = ["platform:packed/packed-handler@1", "platform:timers/handler@1"];
        for (gone, replaced) in [
            ("platform:http/handler@1", true),
            ("platform:handlers/request-handler@1", true),
            ("wasi:http/incoming-handler@0.2", true),
            ("platform:handlers/timer-handler@1", true),
            ("platform:messaging/handler@1", false),
            ("platform:handlers/event-handler@1", false),
            ("shop:till/handler@1", false),
            ("", false),
        ] {
            assert_eq!(do_its_work(exports.into_iter(), gone), replaced, "{gone}");
        }
        assert!(!do_its_work(["shop:till/handler@1"].into_iter(), "shop:till/handler@1"));
    }
}
