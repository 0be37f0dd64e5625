//! `platform:identity`: passwords and sessions.
