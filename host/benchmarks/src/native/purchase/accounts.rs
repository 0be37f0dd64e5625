//! Accounts and sessions, with the parameters of the host.

use std::sync::Arc;
use std::thread::available_parallelism;

use anyhow::Context;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordHasher, PasswordVerifier};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use host_config::identity::Argon2Config;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation, decode, encode, get_current_timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{Answer, Failure, Shared, now_ms};

/// The defaults of the host's `identity` settings.
const COST: Argon2Config = Argon2Config { memory_kib: 19_456, iterations: 2, parallelism: 1 };
const SESSION_SECONDS: u64 = 7 * 86_400;

pub(super) struct Accounts {
    params: Params,
    hashing: Arc<Semaphore>,
    encoding: EncodingKey,
    decoding: DecodingKey,
}

#[derive(Deserialize)]
pub(super) struct Credentials {
    email: String,
    password: String,
}

#[derive(Serialize)]
struct User<'a> {
    id: &'a str,
    email: &'a str,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    email: String,
    iat: u64,
    exp: u64,
    jti: String,
}

impl Accounts {
    pub(super) fn new() -> anyhow::Result<Self> {
        let key: [u8; 32] = rand::random();
        let params = Params::new(COST.memory_kib, COST.iterations, COST.parallelism, Some(32));
        Ok(Self {
            params: params.ok().context("the cost of hashing")?,
            hashing: Arc::new(Semaphore::new(available_parallelism()?.get())),
            encoding: EncodingKey::from_secret(&key),
            decoding: DecodingKey::from_secret(&key),
        })
    }

    /// The id of the user who is signed in.
    pub(super) fn user(&self, headers: &HeaderMap) -> Result<String, Failure> {
        let cookie = headers.get(header::COOKIE).and_then(|value| value.to_str().ok());
        let token = cookie.and_then(|cookie| cookie.strip_prefix("session="));
        let claims = token.and_then(|token| decode::<Claims>(token, &self.decoding, &Validation::default()).ok());
        match claims {
            Some(claims) => Ok(claims.claims.sub),
            None => Err(Failure(StatusCode::UNAUTHORIZED, "Not authorized".to_owned())),
        }
    }

    fn begin_session(&self, status: StatusCode, id: &str, email: &str) -> Answer {
        let iat = get_current_timestamp();
        let claims = Claims {
            sub: id.to_owned(),
            email: email.to_owned(),
            iat,
            exp: iat + SESSION_SECONDS,
            jti: Uuid::new_v4().to_string(),
        };
        let token = encode(&Header::default(), &claims, &self.encoding).map_err(failed)?;
        let cookie = format!("session={token}; Path=/; Max-Age={SESSION_SECONDS}; HttpOnly; SameSite=Lax");
        Ok((status, [(header::SET_COOKIE, cookie)], Json(User { id, email })).into_response())
    }

    /// Hashes or checks a password on a blocking thread. The number of such
    /// threads is limited.
    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
        let _turn = self.hashing.acquire().await.map_err(failed)?;
        tokio::task::spawn_blocking(work).await.map_err(failed)
    }
}

pub(super) async fn sign_up(State(app): Shared, Json(given): Json<Credentials>) -> Answer {
    let params = app.accounts.params.clone();
    let password = given.password;
    let hash = app
        .accounts
        .compute(move || {
            let salt: [u8; 16] = rand::random();
            Argon2::from(params).hash_password_with_salt(password.as_bytes(), &salt)
        })
        .await?
        .map_err(failed)?;
    let id = Uuid::now_v7().to_string();
    sqlx::query("INSERT INTO users (id, email, email_key, password_hash, created_ms) VALUES ($1, $2, $3, $4, $5)")
        .bind(&id)
        .bind(&given.email)
        .bind(given.email.to_lowercase())
        .bind(hash.to_string())
        .bind(now_ms())
        .execute(&app.database.write)
        .await?;
    app.accounts.begin_session(StatusCode::CREATED, &id, &given.email)
}

pub(super) async fn sign_in(State(app): Shared, Json(given): Json<Credentials>) -> Answer {
    let (id, email, hash): (String, String, String) =
        sqlx::query_as("SELECT id, email, password_hash FROM users WHERE email_key = $1")
            .bind(given.email.to_lowercase())
            .fetch_one(&app.database.read)
            .await?;
    let hash = PasswordHash::new(&hash).map_err(failed)?;
    let right = app
        .accounts
        .compute(move || Argon2::default().verify_password(given.password.as_bytes(), &hash).is_ok())
        .await?;
    if !right {
        return Err(Failure::bad_request("Invalid credentials"));
    }
    app.accounts.begin_session(StatusCode::OK, &id, &email)
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}
