//! The files of `deploy/`, and what operators do with them.

mod health;
