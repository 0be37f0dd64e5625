use super::*;

fn step(traceparent: Option<&str>) -> Step {
    Step::begin(StepKind::Serve, traceparent, || "a step".to_owned())
}

const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn a_traceparent_is_read_and_written_alike() {
    let parent: TraceParent = EXAMPLE.parse().unwrap();
    assert_eq!(parent.to_string(), EXAMPLE);
    assert_eq!(parent.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    let root = TraceParent::root();
    assert_eq!(root.to_string().parse::<TraceParent>().unwrap(), root);
}

#[test]
fn a_child_stays_in_the_trace_and_has_a_place_of_its_own() {
    let parent: TraceParent = EXAMPLE.parse().unwrap();
    let child = *step(Some(EXAMPLE)).place();
    assert_eq!(child.trace_id().to_string(), parent.trace_id().to_string());
    assert_ne!(child, parent);
    assert_ne!(child, parent.child());
    assert_ne!(step(Some("rubbish")).place(), step(None).place());
    assert_eq!(step(Some(EXAMPLE)).recorded(), None, "nobody records it");
}

#[test]
fn what_the_standard_forbids_is_refused() {
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
        assert_eq!(wrong.parse::<TraceParent>(), Err(NotATraceParent), "{wrong}");
    }
}

#[test]
fn a_later_version_is_understood_as_far_as_it_is_known() {
    let later = "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more";
    assert_eq!(later.parse::<TraceParent>().unwrap().to_string(), EXAMPLE);
}
