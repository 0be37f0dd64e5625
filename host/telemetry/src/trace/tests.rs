use super::*;

const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn start(traceparent: Option<&str>) -> Span {
    Span::start(SpanKind::Server, traceparent, || "a span".to_owned())
}

fn is_read(traceparent: &str) -> bool {
    parent(Some(traceparent)).has_active_span()
}

#[test]
fn a_child_stays_in_the_trace_and_has_an_identifier_of_its_own() {
    let child = start(Some(HEADER));
    assert_eq!((child.trace_id().to_string(), child.trace_text()), (TRACE.to_owned(), TRACE.to_owned()));
    let header = child.traceparent();
    assert!(is_read(&header) && header.starts_with(&HEADER[..36]) && header.ends_with("-01"), "{header}");
    assert_ne!(header, HEADER);
    assert_ne!(header, start(Some(HEADER)).traceparent());
    assert_eq!(child.recorded_traceparent(), None, "nothing records it");
}

#[test]
fn a_root_has_a_trace_of_its_own_and_is_sampled() {
    let root = start(None);
    assert!(is_read(&root.traceparent()) && root.traceparent().ends_with("-01"));
    assert_ne!(root.trace_id(), start(None).trace_id());
    assert_ne!(root.trace_id(), start(Some("rubbish")).trace_id());
}

#[test]
fn a_child_of_a_trace_that_is_not_sampled_is_not_sampled() {
    assert!(start(Some(&HEADER.replace("-01", "-00"))).traceparent().ends_with("-00"));
    assert!(start(Some(&HEADER.replace("-01", "-03"))).traceparent().ends_with("-01"), "an unknown flag is cleared");
}

#[test]
fn a_header_that_the_standard_forbids_is_ignored() {
    for wrong in [
        "",
        "00",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333g-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    ] {
        assert!(!is_read(wrong), "{wrong}");
    }
}

#[test]
fn a_header_of_a_later_version_is_read_up_to_the_flags() {
    let later = "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more";
    assert_eq!(start(Some(later)).trace_id().to_string(), TRACE);
}
