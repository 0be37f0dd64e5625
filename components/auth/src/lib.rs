//! Accounts and sessions. Hashes and keys are the host's work; this component
//! knows who has an account.

mod domain;
mod routes;
mod store;

ticketing_sdk::component! { http: routes::ROUTES }
