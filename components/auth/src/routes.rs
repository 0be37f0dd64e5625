//! The HTTP side of accounts.

use serde::Serialize;
use ticketing_sdk::capability::identity;
use ticketing_sdk::{Error, Principal, Request, Response, Result, Router};

use crate::domain::{Email, new_password, present};
use crate::store;

/// All routes.
pub(crate) const ROUTES: Router = Router::new(&[
    ("GET", "/api/users/currentuser", current_user),
    ("POST", "/api/users/signin", sign_in),
    ("POST", "/api/users/signup", sign_up),
    ("POST", "/api/users/signout", sign_out),
]);

#[derive(Serialize)]
struct User<'a> {
    id: &'a str,
    email: &'a str,
}

impl<'a> From<&'a Principal> for User<'a> {
    fn from(principal: &'a Principal) -> Self {
        Self { id: &principal.id, email: &principal.email }
    }
}

fn sign_up(request: &Request) -> Result<Response> {
    let mut fields = request.fields()?;
    let email = fields.text("email", Email::parse);
    let password = fields.text("password", new_password);
    let (Some(email), Some(password)) = (email, password) else {
        return Err(fields.into_error());
    };

    // Spares the work of hashing; the index is what decides.
    if store::find(&email)?.is_some() {
        return Err(store::email_in_use());
    }
    let user = store::insert(&email, identity::hash_password(&password)?)?;
    begin_session(201, user)
}

fn sign_in(request: &Request) -> Result<Response> {
    let mut fields = request.fields()?;
    let email = fields.text("email", |text| present("email", text.trim()));
    let password = fields.text("password", |text| present("password", text));
    let (Some(email), Some(password)) = (email, password) else {
        return Err(fields.into_error());
    };

    let email = Email::lenient(&email);
    let user = store::find(&email)?;
    // Without an account this takes as long as with one, and says no.
    let hash = user.as_ref().map(|user| user.password_hash.as_str());
    let right = match identity::verify_password(&email.key, &password, hash) {
        // A password that long is nobody's.
        Err(identity::Error::Limit(_)) => false,
        outcome => outcome?,
    };
    match user {
        Some(user) if right => begin_session(200, user),
        _ => Err(Error::bad_request("Invalid credentials")),
    }
}

fn sign_out(_: &Request) -> Result<Response> {
    #[derive(Serialize)]
    struct Nothing {}

    let cookie = identity::revoke()?;
    Ok(Response::json(200, &Nothing {})?.header("set-cookie", cookie))
}

fn current_user(request: &Request) -> Result<Response> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Body<'a> {
        current_user: Option<User<'a>>,
    }

    let current_user = request.principal().map(User::from);
    Response::json(200, &Body { current_user })
}

fn begin_session(status: u16, user: store::User) -> Result<Response> {
    let principal = Principal { id: user.id, email: user.email };
    let cookie = identity::issue(&principal)?;
    Ok(Response::json(status, &User::from(&principal))?.header("set-cookie", cookie))
}
