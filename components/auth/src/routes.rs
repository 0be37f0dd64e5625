//! The HTTP routes of accounts.

use serde::Serialize;
use ticketing_sdk::capability::identity;
use ticketing_sdk::{Error, Principal, Request, Response, Result, Router};

use crate::domain::{new_password, required};
use crate::email::Email;
use crate::store;

/// The routes of the component.
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

    // This check saves a hash. The unique index makes the final decision.
    if store::find(&email)?.is_some() {
        return Err(store::email_in_use());
    }
    let user = store::insert(&email, identity::hash_password(&password)?)?;
    begin_session(201, user)
}

fn sign_in(request: &Request) -> Result<Response> {
    let mut fields = request.fields()?;
    let email = fields.text("email", |text| required("email", texts::trim(text)));
    let password = fields.text("password", |text| required("password", text));
    let (Some(email), Some(password)) = (email, password) else {
        return Err(fields.into_error());
    };

    let email = Email::unchecked(&email);
    let user = store::find(&email)?;
    // Without a hash, this takes as long as with one and returns false. So the
    // time of the answer does not show whether the account exists.
    let hash = user.as_ref().map(|user| user.password_hash.as_str());
    let is_correct = match identity::verify_password(&email.key, &password, hash) {
        // No account has a password of that length.
        Err(identity::Error::Limit(_)) => false,
        result => result?,
    };
    match user {
        Some(user) if is_correct => begin_session(200, user),
        _ => Err(Error::bad_request("Invalid credentials")),
    }
}

fn sign_out(_: &Request) -> Result<Response> {
    #[derive(Serialize)]
    struct Empty {}

    let cookie = identity::revoke()?;
    Ok(Response::json(200, &Empty {})?.header("set-cookie", cookie))
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
