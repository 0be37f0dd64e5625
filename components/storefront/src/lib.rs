//! The pages of the marketplace: static HTML, style sheets and scripts. The
//! scripts call the HTTP API of the other components, as any other client does.
//!
//! This component only serves the files in `web/`, which the compiler includes.
//! It stores nothing, and does not look at the signed-in user.

mod asset;
mod page;
mod response;
mod routes;

ticketing_sdk::component! { http: routes::ROUTES }
