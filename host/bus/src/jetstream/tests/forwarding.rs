//! Payloads that hosts forward to one another.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs NATS"]
async fn a_forward_reaches_the_receiving_host_or_fails() {
    let settings = shared();
    let (here, there) = (open(&settings).await, open(&settings).await);
    here.forward("one", b"to nobody".to_vec()).await.expect_err("no host receives");
    let mut of_other_component = there.receive_forwarded("other").await;
    let mut receiver = there.receive_forwarded("one").await;
    let receiving = tokio::spawn(async move {
        let received = [receiver.next().await, receiver.next().await];
        (received, receiver)
    });
    // The broker learns a moment later which host receives.
    eventually(async || here.forward("one", b"a".to_vec()).await.is_ok(), |forwarded| *forwarded).await;
    here.forward("one", b"b".to_vec()).await.unwrap();
    let (received, receiver) = receiving.await.unwrap();
    assert_eq!(received, [b"a", b"b"]);
    let nothing = tokio::time::timeout(Duration::from_millis(200), of_other_component.next()).await;
    assert!(nothing.is_err(), "the payload was for another component");

    // A host that stands still has not received the payload.
    here.forward("one", b"c".to_vec()).await.expect_err("no host has answered");
    drop(receiver);
    eventually(async || here.forward("one", b"d".to_vec()).await.is_ok(), |forwarded| !*forwarded).await;
    let too_much = vec![0; here.connection.client.server_info().max_payload + 1];
    here.forward("other", too_much).await.expect_err("the broker would end the connection");
}
