//! What hosts hand over to one another.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn what_is_handed_over_is_with_the_host_that_takes_over_or_fails() {
    let settings = shared();
    let (here, there) = (open(&settings).await, open(&settings).await);
    here.hand_over("one", b"to nobody".to_vec()).await.expect_err("nobody took it");
    let mut of_another = there.takeover("other").await;
    let mut takeover = there.takeover("one").await;
    let taking = tokio::spawn(async move {
        let taken = [takeover.next().await, takeover.next().await];
        (taken, takeover)
    });
    // The broker learns a moment later of who takes over.
    eventually(async || here.hand_over("one", b"a".to_vec()).await.is_ok(), |taken| *taken).await;
    here.hand_over("one", b"b".to_vec()).await.unwrap();
    let (taken, takeover) = taking.await.unwrap();
    assert_eq!(taken, [b"a", b"b"]);
    let nothing = tokio::time::timeout(Duration::from_millis(200), of_another.next()).await;
    assert!(nothing.is_err(), "it was for another component");

    // One that stands still has not taken it.
    here.hand_over("one", b"c".to_vec()).await.expect_err("nobody has answered");
    drop(takeover);
    eventually(async || here.hand_over("one", b"d".to_vec()).await.is_ok(), |taken| !*taken).await;
    let too_much = vec![0; here.link.client.server_info().max_payload + 1];
    here.hand_over("other", too_much).await.expect_err("the broker would end the connection");
}
