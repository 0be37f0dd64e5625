//! The files of `deploy/`, compared with the program.

mod files;
mod health;
mod image;
mod metrics;
mod monitoring;
mod settings;
mod skaffold;
