//! PostgreSQL's binary format of `NUMERIC`: a header of four words, then groups
//! of four decimal digits. The format is described in
//! `src/backend/utils/adt/numeric.c` of PostgreSQL, at `numeric_send`.

use crate::Value;
use sqlx::{
    Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgTypeInfo, types::Oid},
};

const NUMERIC: Oid = Oid(1_700);
const GROUP_DIGITS: usize = 4;
const NEGATIVE: u16 = 0x4000;
const POSITIVE: u16 = 0;

/// Decodes a sum of integers, or a number with a decimal point.
pub(super) fn decode(bytes: &[u8]) -> Result<Value, BoxDynError> {
    let mut words = bytes.chunks_exact(2).filter_map(|word| Some(u16::from_be_bytes(word.try_into().ok()?)));
    let mut header = || words.next().ok_or("a number is cut off");
    let (count, weight, sign, scale) = (header()?, header()?.cast_signed(), header()?, header()?);
    if sign != POSITIVE && sign != NEGATIVE {
        return Err("not a number".into());
    }
    let mut digits = if sign == NEGATIVE { "-".to_owned() } else { String::new() };
    if weight < 0 {
        digits.push('0');
    }
    let mut groups: Vec<u16> = words.take(count.into()).collect();
    let whole_groups = usize::try_from(i32::from(weight) + 1).unwrap_or(0);
    groups.resize(groups.len().max(whole_groups), 0);
    for (index, group) in groups.iter().enumerate() {
        if index == whole_groups {
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

/// A number in decimal digits, as a parameter.
pub(super) struct Numeric(pub(super) String);

impl Type<Postgres> for Numeric {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(NUMERIC)
    }
}

impl Encode<'_, Postgres> for Numeric {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let (sign, digits) = match self.0.strip_prefix('-') {
            Some(digits) => (NEGATIVE, digits),
            None => (POSITIVE, self.0.as_str()),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let whole_groups = whole.len().div_ceil(GROUP_DIGITS);
        let fraction_groups = fraction.len().div_ceil(GROUP_DIGITS);
        let padded = format!(
            "{whole:0>before$}{fraction:0<after$}",
            before = whole_groups * GROUP_DIGITS,
            after = fraction_groups * GROUP_DIGITS
        );
        let header = [
            u16::try_from(whole_groups + fraction_groups)?,
            i16::try_from(whole_groups)?.saturating_sub(1).cast_unsigned(),
            sign,
            u16::try_from(fraction.len())?,
        ];
        for word in header {
            buffer.extend_from_slice(&word.to_be_bytes());
        }
        for group in padded.as_bytes().chunks(GROUP_DIGITS) {
            buffer.extend_from_slice(&std::str::from_utf8(group)?.parse::<u16>()?.to_be_bytes());
        }
        Ok(IsNull::No)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_number_decodes_to_the_same_value() {
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
            assert_eq!(format!("{:?}", decode(&buffer).unwrap()), format!("{expected:?}"), "{text}");
        }
        // 10^8 and 10^-8, without the groups that are zero.
        let sparse = |weight: i16, scale: u16| {
            [1, weight.cast_unsigned(), 0, scale, 1].into_iter().flat_map(u16::to_be_bytes).collect::<Vec<_>>()
        };
        assert_eq!(format!("{:?}", decode(&sparse(2, 0)).unwrap()), format!("{:?}", Value::Integer(100_000_000)));
        assert_eq!(format!("{:?}", decode(&sparse(-2, 8)).unwrap()), format!("{:?}", Value::Real(1e-8)));
    }
}
