//! Accounts and sessions. The host hashes passwords and signs sessions. This
//! component stores the accounts.

mod domain;
mod email;
mod routes;
mod store;

ticketing_sdk::component! { http: routes::ROUTES }
