//! Values on the way to and from PostgreSQL. Its columns and parameters have
//! types. A value is sent as the type of its parameter where that loses nothing,
//! as SQLite would store it.

use super::{
    errors::Failure,
    numeric::{self, Numeric},
};
use crate::{Error, Value};
use sqlx::{
    Arguments, Decode, Postgres, Type, TypeInfo, ValueRef,
    error::BoxDynError,
    postgres::{PgArguments, PgTypeInfo, PgValueRef},
};

/// The parameters of a statement, each converted to its type.
pub(super) fn arguments(parameters: Vec<Value>, types: &[PgTypeInfo]) -> Result<PgArguments, Failure> {
    let mut arguments = PgArguments::default();
    for (parameter, wanted) in parameters.into_iter().zip(types) {
        add(&mut arguments, parameter, wanted)
            .map_err(|error| Failure::statement(Error::Invalid(error.to_string())))?;
    }
    Ok(arguments)
}

fn add(arguments: &mut PgArguments, value: Value, wanted: &PgTypeInfo) -> Result<(), BoxDynError> {
    match (wanted.name(), value) {
        (_, Value::Null) => arguments.add(None::<i64>),
        ("INT8", value) => arguments.add(integer(value)?),
        ("INT4", value) => arguments.add(i32::try_from(integer(value)?)?),
        ("INT2", value) => arguments.add(i16::try_from(integer(value)?)?),
        ("FLOAT8", value) => arguments.add(real(value)?),
        ("FLOAT4", value) => arguments.add(real(value)? as f32),
        ("BOOL", value) => arguments.add(integer(value)? != 0),
        ("NUMERIC", Value::Integer(integer)) => arguments.add(Numeric(integer.to_string())),
        ("NUMERIC", value) => arguments.add(Numeric(real(value)?.to_string())),
        ("BYTEA", Value::Blob(bytes)) => arguments.add(bytes),
        ("TEXT" | "VARCHAR" | "BPCHAR" | "NAME" | "UNKNOWN", value) => arguments.add(text(value)?),
        (wanted, value) => Err(format!("a parameter is {}, but has to be {wanted}", kind(&value)).into()),
    }
}

/// The type of a value, for a parameter whose type the statement does not
/// determine.
pub(super) fn type_of(value: &Value) -> PgTypeInfo {
    match value {
        Value::Null | Value::Text(_) => <String as Type<Postgres>>::type_info(),
        Value::Integer(_) => <i64 as Type<Postgres>>::type_info(),
        Value::Real(_) => <f64 as Type<Postgres>>::type_info(),
        Value::Blob(_) => <Vec<u8> as Type<Postgres>>::type_info(),
    }
}

fn integer(value: Value) -> Result<i64, BoxDynError> {
    match value {
        Value::Integer(integer) => Ok(integer),
        Value::Real(real) if real.fract() == 0.0 && real.abs() < 9e15 => Ok(real as i64),
        Value::Text(text) => Ok(text.parse()?),
        other => Err(format!("a parameter is {}, but has to be an integer", kind(&other)).into()),
    }
}

fn real(value: Value) -> Result<f64, BoxDynError> {
    match value {
        Value::Integer(integer) => Ok(integer as f64),
        // A sum with zero has no sign of zero.
        Value::Real(real) => Ok(real + 0.0),
        Value::Text(text) => Ok(text.parse()?),
        other => Err(format!("a parameter is {}, but has to be a real", kind(&other)).into()),
    }
}

fn text(value: Value) -> Result<String, BoxDynError> {
    match value {
        Value::Text(text) => Ok(text),
        Value::Integer(integer) => Ok(integer.to_string()),
        Value::Real(real) => Ok((real + 0.0).to_string()),
        other => Err(format!("a parameter is {}, but has to be a text", kind(&other)).into()),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Integer(_) => "an integer",
        Value::Real(_) => "a real",
        Value::Text(_) => "a text",
        Value::Blob(_) => "bytes",
    }
}

/// Whether values of a type can be long.
pub(super) fn is_long(of: &PgTypeInfo) -> bool {
    matches!(of.name(), "TEXT" | "VARCHAR" | "BPCHAR" | "UNKNOWN" | "BYTEA")
}

/// A value of a row.
pub(super) fn value(raw: PgValueRef<'_>) -> sqlx::Result<Value> {
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let stored = raw.type_info().into_owned();
    match stored.name() {
        "INT8" => <i64 as Decode<Postgres>>::decode(raw).map(Value::Integer),
        "INT4" => <i32 as Decode<Postgres>>::decode(raw).map(|integer| Value::Integer(integer.into())),
        "INT2" => <i16 as Decode<Postgres>>::decode(raw).map(|integer| Value::Integer(integer.into())),
        "BOOL" => <bool as Decode<Postgres>>::decode(raw).map(|boolean| Value::Integer(boolean.into())),
        "FLOAT8" => <f64 as Decode<Postgres>>::decode(raw).map(Value::Real),
        "FLOAT4" => <f32 as Decode<Postgres>>::decode(raw).map(|real| Value::Real(real.into())),
        "TEXT" | "VARCHAR" | "BPCHAR" | "NAME" | "UNKNOWN" => {
            <&str as Decode<Postgres>>::decode(raw).map(|text| Value::Text(text.to_owned()))
        }
        "BYTEA" => <Vec<u8> as Decode<Postgres>>::decode(raw).map(Value::Blob),
        "NUMERIC" => raw.as_bytes().and_then(numeric::decode),
        other => Err(format!("the type {other} is not shared by the engines").into()),
    }
    .map_err(sqlx::Error::Decode)
}
