//! The files of `deploy/`, and what operators do with them.

mod exposed;
mod files;
mod health;
mod settings;
mod skaffold;
mod watching;
