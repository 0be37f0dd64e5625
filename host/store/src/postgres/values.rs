//! Values on their way to and from PostgreSQL. Its columns have types, and so
//! have parameters: a value is sent as what the statement wants, where that
//! loses nothing, as SQLite would store it.

use super::{
    super::{Error, Value},
    errors::Failure,
};
use sqlx::{
    Arguments, Decode, Encode, Postgres, Row, Type, TypeInfo, ValueRef,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgArguments, PgRow, PgTypeInfo, PgValueRef, types::Oid},
};

const NUMERIC: Oid = Oid(1_700);
const NUMERIC_BASE_DIGITS: usize = 4;
const NUMERIC_NEGATIVE: u16 = 0x4000;
const NUMERIC_POSITIVE: u16 = 0;

/// The parameters of a statement, each as the type that it has there.
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

/// What a value is when the statement does not say.
pub(super) fn hint(value: &Value) -> PgTypeInfo {
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
        Value::Real(real) => Ok(real),
        Value::Text(text) => Ok(text.parse()?),
        other => Err(format!("a parameter is {}, but has to be a real", kind(&other)).into()),
    }
}

fn text(value: Value) -> Result<String, BoxDynError> {
    match value {
        Value::Text(text) => Ok(text),
        Value::Integer(integer) => Ok(integer.to_string()),
        Value::Real(real) => Ok(real.to_string()),
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

/// The values of a row.
pub(super) fn values(row: &PgRow) -> Result<Vec<Value>, Failure> {
    (0..row.len()).map(|index| Ok(value(row.try_get_raw(index)?)?)).collect()
}

fn value(raw: PgValueRef<'_>) -> sqlx::Result<Value> {
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let stored = raw.type_info().into_owned();
    match stored.name() {
        "INT8" => <i64 as Decode<Postgres>>::decode(raw).map(Value::Integer),
        "INT4" => <i32 as Decode<Postgres>>::decode(raw).map(|integer| Value::Integer(integer.into())),
        "INT2" => <i16 as Decode<Postgres>>::decode(raw).map(|integer| Value::Integer(integer.into())),
        "BOOL" => <bool as Decode<Postgres>>::decode(raw).map(|truth| Value::Integer(truth.into())),
        "FLOAT8" => <f64 as Decode<Postgres>>::decode(raw).map(Value::Real),
        "FLOAT4" => <f32 as Decode<Postgres>>::decode(raw).map(|real| Value::Real(real.into())),
        "TEXT" | "VARCHAR" | "BPCHAR" | "NAME" | "UNKNOWN" => {
            <&str as Decode<Postgres>>::decode(raw).map(|text| Value::Text(text.to_owned()))
        }
        "BYTEA" => <Vec<u8> as Decode<Postgres>>::decode(raw).map(Value::Blob),
        "NUMERIC" => raw.as_bytes().and_then(numeric),
        other => Err(format!("the type {other} is not shared by the engines").into()),
    }
    .map_err(sqlx::Error::Decode)
}

/// What a sum of integers is, or a number written with a point.
fn numeric(bytes: &[u8]) -> Result<Value, BoxDynError> {
    let mut words = bytes.chunks_exact(2).filter_map(|word| Some(u16::from_be_bytes(word.try_into().ok()?)));
    let mut header = || words.next().ok_or("a number is cut off");
    let (count, weight, sign, scale) = (header()?, header()?.cast_signed(), header()?, header()?);
    if sign != NUMERIC_POSITIVE && sign != NUMERIC_NEGATIVE {
        return Err("not a number".into());
    }
    let mut digits = if sign == NUMERIC_NEGATIVE { "-".to_owned() } else { String::new() };
    if weight < 0 {
        digits.push('0');
    }
    let mut groups: Vec<u16> = words.take(count.into()).collect();
    let whole = usize::try_from(i32::from(weight) + 1).unwrap_or(0);
    groups.resize(groups.len().max(whole), 0);
    for (index, group) in groups.iter().enumerate() {
        if index == whole {
            digits.push('.');
            digits.extend(std::iter::repeat_n("0000", usize::try_from(-1 - i32::from(weight)).unwrap_or(0)));
        }
        digits.push_str(&format!("{group:04}"));
    }
    match digits.parse::<i64>() {
        Ok(integer) if scale == 0 => Ok(Value::Integer(integer)),
        _ => Ok(Value::Real(digits.parse()?)),
    }
}

/// A number in decimal digits, as PostgreSQL takes it.
struct Numeric(String);

impl Type<Postgres> for Numeric {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(NUMERIC)
    }
}

impl Encode<'_, Postgres> for Numeric {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let (sign, digits) = match self.0.strip_prefix('-') {
            Some(digits) => (NUMERIC_NEGATIVE, digits),
            None => (NUMERIC_POSITIVE, self.0.as_str()),
        };
        let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
        let whole_groups = whole.len().div_ceil(NUMERIC_BASE_DIGITS);
        let part_groups = part.len().div_ceil(NUMERIC_BASE_DIGITS);
        let padded = format!(
            "{whole:0>before$}{part:0<behind$}",
            before = whole_groups * NUMERIC_BASE_DIGITS,
            behind = part_groups * NUMERIC_BASE_DIGITS
        );
        let header = [
            u16::try_from(whole_groups + part_groups)?,
            i16::try_from(whole_groups)?.saturating_sub(1).cast_unsigned(),
            sign,
            u16::try_from(part.len())?,
        ];
        for word in header {
            buffer.extend_from_slice(&word.to_be_bytes());
        }
        for group in padded.as_bytes().chunks(NUMERIC_BASE_DIGITS) {
            buffer.extend_from_slice(&std::str::from_utf8(group)?.parse::<u16>()?.to_be_bytes());
        }
        Ok(IsNull::No)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_as_they_were() {
        for (text, expected) in [
            ("0", Value::Integer(0)),
            ("9223372036854775807", Value::Integer(i64::MAX)),
            ("-10000", Value::Integer(-10_000)),
            ("1.5", Value::Real(1.5)),
            ("-0.00003", Value::Real(-0.000_03)),
            ("123456.25", Value::Real(123_456.25)),
            ("92233720368547758070", Value::Real(92_233_720_368_547_758_070.0)),
        ] {
            let mut buffer = PgArgumentBuffer::default();
            assert!(matches!(Numeric(text.to_owned()).encode_by_ref(&mut buffer), Ok(IsNull::No)));
            assert_eq!(format!("{:?}", numeric(&buffer).unwrap()), format!("{expected:?}"), "{text}");
        }
        // 10^8 and 10^-8, without the groups that are zero.
        let sparse = |weight: i16, scale: u16| {
            [1, weight.cast_unsigned(), 0, scale, 1].into_iter().flat_map(u16::to_be_bytes).collect::<Vec<_>>()
        };
        assert_eq!(format!("{:?}", numeric(&sparse(2, 0)).unwrap()), format!("{:?}", Value::Integer(100_000_000)));
        assert_eq!(format!("{:?}", numeric(&sparse(-2, 8)).unwrap()), format!("{:?}", Value::Real(1e-8)));
    }
}
