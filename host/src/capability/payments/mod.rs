//! `platform:payments`: charging a card in two steps.
