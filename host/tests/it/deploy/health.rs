//! `ticketing health`, the health check of the image.

use crate::support::{PATIENCE, Setup};
use std::process::Output;
use tokio::{process::Command, time::timeout};

async fn health(operators: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ticketing"));
    command.env_clear().arg("health").env("TICKETING_ADMIN_LISTEN", operators);
    timeout(PATIENCE, command.output()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_host_that_lives_is_healthy_and_one_that_has_ended_is_not() {
    let mut host = Setup::new().start().await;
    let operators = host.operators_address().to_owned();
    let everywhere = operators.replace("127.0.0.1", "0.0.0.0");
    for address in [&operators, &everywhere] {
        let output = health(address).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    host.stop().await;
    let output = health(&operators).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&operators), "{said}");
}
