//! Visitors that read the fields of an event or span.

use serde_json::{Map, Value};
use std::fmt;
use tracing::field::{Field, Visit};

/// The field with the component that an event or span belongs to.
pub(super) const COMPONENT: &str = "component";

/// Reads the component and no other field.
#[derive(Default)]
pub(super) struct ComponentField(pub(super) Option<String>);

impl Visit for ComponentField {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == COMPONENT {
            self.0 = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == COMPONENT {
            self.0 = Some(format!("{value:?}"));
        }
    }
}

/// Reads all fields.
#[derive(Default)]
pub(super) struct AllFields(pub(super) Map<String, Value>);

impl AllFields {
    fn insert(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for AllFields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.insert(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.insert(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}"));
    }
}
