//! `ticketing plugin failures`.

use super::Shell;
use crate::hostile::hostile;

#[tokio::test]
async fn the_last_failures_are_told_with_their_cause() {
    let host = hostile().start().await;
    let shell = Shell::of(&host);
    let none = shell.plugin("failures hostile").await;
    assert!(none.done().starts_with("no call has failed"), "{}", none.stdout);
    let client = host.visitor().with_header("x-request-id", "the-request-of-this-test");
    for attack in ["trap", "status"] {
        client.get(&format!("/hostile/{attack}")).await;
    }
    let shown = shell.plugin("failures hostile").await;
    let heads: Vec<_> = shown.done().lines().filter(|line| !line.starts_with(' ')).collect();
    assert!(heads.len() == 2 && heads[0].ends_with("  GET /hostile/{attack}  answer, to blame: guest"), "{heads:?}");
    assert!(heads[1].ends_with("  GET /hostile/{attack}  trap, to blame: guest"), "{heads:?}");
    assert!(shown.stdout.contains("\n  hostile trapped: "), "{}", shown.stdout);
    assert!(shown.stdout.contains("\n  id the-request-of-this-test\n  trace "), "{}", shown.stdout);
    let json = shell.plugin("failures hostile --json").await.json();
    assert_eq!((&json[0]["kind"], &json[1]["kind"]), (&"answer".into(), &"trap".into()));
    assert_eq!(shell.plugin("failures nothing").await.code, 1);
}
