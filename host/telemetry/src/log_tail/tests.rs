use super::*;
use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt;

fn with_layer<R>(work: impl FnOnce() -> R) -> R {
    tracing::subscriber::with_default(tracing_subscriber::registry().with(Layer), work)
}

async fn next_line(tail: &mut LogTail) -> Value {
    match tail.next().await {
        Some(TailItem::Line(line)) => serde_json::from_str(&line).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_reader_gets_the_lines_of_its_component_alone_directly_and_through_spans() {
    let mut tail = LogTail::open("heard", u64::MAX);
    with_layer(|| {
        tracing::info!(component = "unheard", "first");
        tracing::info!("of nobody");
        tracing::info!(target: "request", component = "heard", status = 200, "second");
        let (heard, unheard) = ("heard".to_owned(), "unheard");
        tracing::info_span!("event", component = heard, attempt = 3).in_scope(|| {
            tracing::info_span!("inner").in_scope(|| tracing::warn!(?unheard, "third"));
            tracing::info!(component = "unheard", "not mine");
        });
        tracing::info!(component = %heard, "fourth");
    });
    let line = next_line(&mut tail).await;
    assert_eq!(
        (&line["message"], &line["status"], &line["level"], &line["target"]),
        (&json!("second"), &json!(200), &json!("INFO"), &json!("request"))
    );
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    let line = next_line(&mut tail).await;
    assert_eq!(line["message"], "third");
    assert_eq!(line["span"], json!({ "name": "event", "component": "heard", "attempt": 3 }));
    assert_eq!(next_line(&mut tail).await["message"], "fourth");
}

#[tokio::test]
async fn a_reader_that_is_too_slow_learns_how_many_lines_it_has_missed() {
    let mut tail = LogTail::open("fast", u64::MAX);
    with_layer(|| (0..CAPACITY_LINES + 7).for_each(|number| tracing::info!(component = "fast", number)));
    assert_eq!(tail.next().await, Some(TailItem::Lost(7)));
    assert_eq!(next_line(&mut tail).await["number"], 7);
}

#[test]
fn a_channel_goes_with_its_last_reader() {
    let (one, other) = (LogTail::open("left", u64::MAX), LogTail::open("left", u64::MAX));
    drop(one);
    assert!(is_read("left"));
    drop(other);
    assert!(!is_read("left"));
}

#[tokio::test]
async fn a_reader_gets_the_lines_from_before_and_then_the_new_ones() {
    let write = |number: u32| with_layer(|| tracing::info!(component = "early", number));
    (0..5).for_each(write);
    with_layer(|| tracing::info!(target: "request", component = "early", number = 99));
    let mut tail = LogTail::open("early", 0);
    write(5);
    let kept: Vec<Value> = tail.take_kept().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(kept.iter().map(|line| line["number"].as_u64().unwrap()).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(next_line(&mut tail).await["number"], 5);
    assert!(LogTail::open("early", u64::MAX).take_kept().is_empty());
    assert!(LogTail::open("never", 0).take_kept().is_empty());
}
