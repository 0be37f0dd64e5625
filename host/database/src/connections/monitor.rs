//! Watches over the server at the other end of the connections.
//!
//! One session asks the server twice a second whether it takes writes. After a
//! refusal, an error or a silence a new session looks where the address leads
//! now. A silence alone proves nothing on a busy machine. So an old session that
//! is silent races with a new one, and if both are silent they get more time.

use super::{Connections, is_writable, no_answer};
use crate::reach;
use host_base::secret::Secret;
use sqlx::PgConnection;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::time::{sleep, timeout};

const INTERVAL: Duration = Duration::from_millis(500);
/// A session that does not answer for this time may be silent.
const SILENCE: Duration = Duration::from_secs(2);
/// If a new session does not answer either, the server may only have too much to
/// do. It gets this time more.
const WHOLE_SILENCE: Duration = Duration::from_secs(4);
/// A session with a server that only reads is replaced after this time, because
/// the address may lead to another server by now.
const READ_ONLY_LIFETIME: Duration = Duration::from_secs(1);

/// The state of a server, as a session reports it.
enum Answer {
    Writable,
    OnlyReads,
}

/// The session that answered.
enum Asked {
    Old(sqlx::Result<bool>),
    Anew(sqlx::Result<(PgConnection, Answer)>),
}

/// Watches until it is dropped.
struct Monitor {
    url: Secret,
    connections: Arc<Connections>,
    session: Option<(PgConnection, Instant)>,
    /// Whether the last answer was that the server takes writes.
    was_writable: bool,
}

impl Connections {
    /// Watches over the server until this is dropped.
    pub(crate) async fn monitor(self: Arc<Self>, url: Secret) {
        let mut monitor = Monitor { url, connections: self, session: None, was_writable: true };
        loop {
            let answer = monitor.look().await;
            monitor.judge(answer);
            sleep(INTERVAL).await;
        }
    }
}

impl Monitor {
    async fn look(&mut self) -> sqlx::Result<Answer> {
        let Some((mut old, made)) = self.session.take() else { return self.look_anew().await };
        match self.ask(&mut old).await {
            Asked::Old(Ok(is_writable)) => {
                if is_writable || made.elapsed() < READ_ONLY_LIFETIME {
                    self.session = Some((old, made));
                }
                Ok(to_answer(is_writable))
            }
            Asked::Old(Err(error)) => {
                self.connections.note(&error);
                self.look_anew().await
            }
            Asked::Anew(anew) => {
                tracing::warn!("connections to the database are silent, the host discards them");
                self.connections.silent();
                anew.map(|(session, answer)| self.keep(session, answer))
            }
        }
    }

    /// Asks the old session, and a new one if the old one is silent.
    async fn ask(&self, old: &mut PgConnection) -> Asked {
        let asked = is_writable(old);
        tokio::pin!(asked);
        match timeout(SILENCE, &mut asked).await {
            Ok(answer) => Asked::Old(answer),
            Err(_) => tokio::select! {
                biased;
                answer = &mut asked => Asked::Old(answer),
                anew = open_soon(&self.url) => match anew {
                    Ok(_) => Asked::Anew(anew),
                    Err(_) => timeout(WHOLE_SILENCE, &mut asked).await.map_or(Asked::Anew(anew), Asked::Old),
                },
            },
        }
    }

    async fn look_anew(&mut self) -> sqlx::Result<Answer> {
        let (session, answer) = open(&self.url).await?;
        Ok(self.keep(session, answer))
    }

    fn keep(&mut self, session: PgConnection, answer: Answer) -> Answer {
        self.session = Some((session, Instant::now()));
        answer
    }

    /// Connections that exist when the answer changes are of the past. While the
    /// server only reads, no connection gets old.
    fn judge(&mut self, answer: sqlx::Result<Answer>) {
        let problem = match &answer {
            Ok(Answer::Writable) => None,
            Ok(Answer::OnlyReads) => Some("the database server only reads, as a standby does".to_owned()),
            Err(error) => Some(format!("the database cannot be reached: {error}")),
        };
        let is_writable = problem.is_none();
        let looks_elsewhere = self.session.is_none();
        if is_writable != self.was_writable || (!is_writable && looks_elsewhere) {
            self.connections.distrust();
        }
        if is_writable != self.was_writable {
            match &problem {
                Some(problem) => tracing::warn!("{problem}: writes wait for a server that takes them"),
                None => tracing::info!("the database takes writes again"),
            }
        }
        self.was_writable = is_writable;
        self.connections.set_problem(problem);
    }
}

fn to_answer(is_writable: bool) -> Answer {
    if is_writable { Answer::Writable } else { Answer::OnlyReads }
}

/// Opens a session while another one is silent.
async fn open_soon(url: &Secret) -> sqlx::Result<(PgConnection, Answer)> {
    timeout(SILENCE, open(url)).await.unwrap_or_else(|_| Err(no_answer()))
}

/// Opens a session and asks its server.
async fn open(url: &Secret) -> sqlx::Result<(PgConnection, Answer)> {
    let mut session = reach::connect(url).await?;
    let answer = timeout(SILENCE, is_writable(&mut session)).await.unwrap_or_else(|_| Err(no_answer()))?;
    Ok((session, to_answer(answer)))
}
