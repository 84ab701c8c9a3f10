//! Numbers that survive: whether what a writer said is what every reader will get.
//!
//! Numbers here are doubles, as in JavaScript, and JSON has no word for NaN and the infinities. A
//! number that would be read back as another one, or as `null`, is found here: in a text by
//! comparing decimals, in a Rust value while it is serialised. What comes from peers is not judged:
//! they have rounded already.

use std::cell::Cell;
use std::fmt::Display;

use serde::Serialize;
use serde::ser::{self, Serializer};
use thiserror::Error;

/// A number that would not be read back as it was written. Nothing was stored.
///
/// ```
/// use scuttlebutt::json::ToCanonicalError;
/// use scuttlebutt::{Change, LwwMap};
///
/// let Err(ToCanonicalError::Number(lost)) = LwwMap::set("k", &9_007_199_254_740_993_u64) else {
///     panic!("2⁵³ + 1 is no double");
/// };
/// assert_eq!((&*lost.written, &*lost.stored), ("9007199254740993", "9007199254740992"));
/// assert!(Change::new(&[0.5, f64::NAN]).is_err());
/// assert_eq!(Change::new_lossy(&[0.5, f64::NAN])?.as_json(), "[0.5,null]");
/// # Ok::<(), ToCanonicalError>(())
/// ```
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error(
    "the number {written} would be stored as {stored}: numbers are doubles here, as in JavaScript; \
     a string keeps every digit"
)]
pub struct NumberError {
    /// The number as it was written; of a long one its beginning and `…`.
    pub written: String,
    /// What readers would get in its place.
    pub stored: String,
}

impl NumberError {
    #[cold]
    pub(super) fn new(written: &str, stored: &str) -> Self {
        /// Enough to recognise a number by.
        const SHOWN_BYTES_MAX: usize = 60;
        let written = match written.get(..SHOWN_BYTES_MAX) {
            Some(beginning) if written.len() > SHOWN_BYTES_MAX => format!("{beginning}…"),
            _ => written.to_owned(),
        };
        Self { written, stored: stored.to_owned() }
    }
}

/// Whether two texts of JSON numbers name the same decimal; `null` is none.
pub(super) fn is_same_decimal(one: &str, other: &str) -> bool {
    Decimal::of(one).is_some_and(|one| Decimal::of(other) == Some(one))
}

/// The number ±0.`digits` · 10^`exponent`, digits without zeros at either end.
#[derive(Debug)]
struct Decimal<'a> {
    is_negative: bool,
    /// Before the point and behind it, as they were written.
    digits: (&'a str, &'a str),
    exponent: i64,
}

impl<'a> Decimal<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        if !unsigned.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        let (number, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        // 100 is 0.1 · 10³, and 0.001 is 0.1 · 10⁻².
        let point = whole.len() as i64;
        let (digits, shift) = match (whole, fraction) {
            ("", "") => return Some(Self { is_negative: false, digits: ("", ""), exponent: 0 }),
            (whole, "") => ((whole.trim_end_matches('0'), ""), point),
            ("", fraction) => {
                let significant = fraction.trim_start_matches('0');
                (("", significant), significant.len() as i64 - fraction.len() as i64)
            }
            both => (both, point),
        };
        // Beyond an i64 there is no number that is like it.
        let exponent = exponent.parse::<i64>().ok()?.checked_add(shift)?;
        Some(Self { is_negative: unsigned.len() < text.len(), digits, exponent })
    }
}

impl PartialEq for Decimal<'_> {
    fn eq(&self, other: &Self) -> bool {
        let digits = |decimal: &Self| {
            let (whole, fraction) = decimal.digits;
            (whole.len() + fraction.len(), whole.bytes().chain(fraction.bytes()))
        };
        let ((count, one), (other_count, two)) = (digits(self), digits(other));
        self.is_negative == other.is_negative
            && self.exponent == other.exponent
            && count == other_count
            && one.eq(two)
    }
}

/// A value, or what it is serialised with, and a place to note a float that JSON has no word for.
/// `serde_json` writes `null` for these without a word.
pub(super) struct Watched<'a, T> {
    inner: T,
    not_finite: &'a Cell<Option<f64>>,
}

impl<'a, T> Watched<'a, T> {
    pub(super) fn new(inner: T, not_finite: &'a Cell<Option<f64>>) -> Self {
        Self { inner, not_finite }
    }

    fn with<U>(&self, inner: U) -> Watched<'a, U> {
        Watched { inner, not_finite: self.not_finite }
    }

    fn note(&self, number: f64) {
        if !number.is_finite() {
            self.not_finite.set(Some(self.not_finite.get().unwrap_or(number)));
        }
    }
}

impl<T: Serialize + ?Sized> Serialize for Watched<'_, &T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.inner.serialize(self.with(serializer))
    }
}

/// Methods that hand on what they are given.
macro_rules! pass_on {
    ($($method:ident($($name:ident: $type:ty),*);)*) => {
        $(fn $method(self, $($name: $type),*) -> Result<S::Ok, S::Error> {
            self.inner.$method($($name),*)
        })*
    };
}

/// Methods that answer what parts are serialised with.
macro_rules! open {
    ($($method:ident($($name:ident: $type:ty),*) -> $part:ident;)*) => {
        $(fn $method(self, $($name: $type),*) -> Result<Self::$part, S::Error> {
            let Self { inner, not_finite } = self;
            Ok(Watched { inner: inner.$method($($name),*)?, not_finite })
        })*
    };
}

impl<'a, S: Serializer> Serializer for Watched<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Watched<'a, S::SerializeSeq>;
    type SerializeTuple = Watched<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Watched<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Watched<'a, S::SerializeTupleVariant>;
    type SerializeMap = Watched<'a, S::SerializeMap>;
    type SerializeStruct = Watched<'a, S::SerializeStruct>;
    type SerializeStructVariant = Watched<'a, S::SerializeStructVariant>;

    pass_on! {
        serialize_bool(value: bool);
        serialize_i8(value: i8);
        serialize_i16(value: i16);
        serialize_i32(value: i32);
        serialize_i64(value: i64);
        serialize_i128(value: i128);
        serialize_u8(value: u8);
        serialize_u16(value: u16);
        serialize_u32(value: u32);
        serialize_u64(value: u64);
        serialize_u128(value: u128);
        serialize_char(value: char);
        serialize_str(value: &str);
        serialize_bytes(value: &[u8]);
        serialize_none();
        serialize_unit();
        serialize_unit_struct(name: &'static str);
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str);
    }

    open! {
        serialize_seq(len: Option<usize>) -> SerializeSeq;
        serialize_tuple(len: usize) -> SerializeTuple;
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeTupleVariant;
        serialize_map(len: Option<usize>) -> SerializeMap;
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeStructVariant;
    }

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        self.note(value.into());
        self.inner.serialize_f32(value)
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        self.note(value);
        self.inner.serialize_f64(value)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let value = self.with(value);
        self.inner.serialize_some(&value)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = self.with(value);
        self.inner.serialize_newtype_struct(name, &value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let value = self.with(value);
        self.inner.serialize_newtype_variant(name, index, variant, &value)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// One of serde's traits for the parts of a value.
macro_rules! parts {
    ($($part:ident: $($method:ident($($name:ident: $type:ty),*)),+;)*) => {
        $(impl<S: ser::$part> ser::$part for Watched<'_, S> {
            type Ok = S::Ok;
            type Error = S::Error;

            $(fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($name: $type,)*
                value: &T,
            ) -> Result<(), S::Error> {
                let value = self.with(value);
                self.inner.$method($($name,)* &value)
            })+

            fn end(self) -> Result<S::Ok, S::Error> {
                self.inner.end()
            }
        })*
    };
}

parts! {
    SerializeSeq: serialize_element();
    SerializeTuple: serialize_element();
    SerializeTupleStruct: serialize_field();
    SerializeTupleVariant: serialize_field();
    SerializeMap: serialize_key(), serialize_value();
    SerializeStruct: serialize_field(key: &'static str);
    SerializeStructVariant: serialize_field(key: &'static str);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::json::{ToCanonicalError, parse_number, write_number};
    use crate::{Change, EventLog, LwwMap, Register};

    #[derive(Serialize)]
    struct Reading {
        at: u64,
        values: BTreeMap<String, Sensor>,
    }

    #[derive(Serialize)]
    enum Sensor {
        Off,
        Raw(f64),
        Pair(f32, f64),
        Named { mean: Option<f64> },
    }

    fn reading(at: u64, sensor: Sensor) -> Reading {
        Reading { at, values: [("s".to_owned(), sensor)].into() }
    }

    /// What is lost, and how it would be stored.
    fn lost<T: Serialize + ?Sized>(value: &T) -> (String, String) {
        match Change::new(value) {
            Err(ToCanonicalError::Number(NumberError { written, stored })) => (written, stored),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers_that_would_change_are_refused_wherever_they_are() {
        let null = |word: &str| (word.to_owned(), "null".to_owned());
        assert_eq!(lost(&f64::NAN), null("NaN"));
        assert_eq!(lost(&[f64::NEG_INFINITY]), null("-inf"));
        assert_eq!(lost(&Some(f32::INFINITY)), null("inf"));
        for sensor in [
            Sensor::Raw(f64::NAN),
            Sensor::Pair(f32::NAN, 0.0),
            Sensor::Pair(0.0, f64::NAN),
            Sensor::Named { mean: Some(f64::NAN) },
        ] {
            assert_eq!(lost(&reading(1, sensor)), null("NaN"));
        }
        let max = ("18446744073709551615".to_owned(), "18446744073709552000".to_owned());
        assert_eq!(lost(&u64::MAX), max);
        assert_eq!(lost(&reading(u64::MAX, Sensor::Off)), max);
        assert_eq!(lost(&json!({ "a": [{ "b": u64::MAX }] })), max);
        assert_eq!(lost(&i64::MAX).0, i64::MAX.to_string());
        assert_eq!(lost(&(u128::MAX, 1)).0, u128::MAX.to_string());
        // It is a double, but its shortest digits are those of another integer.
        assert_eq!(lost(&(1_u64 << 63)).1, "9223372036854776000");
        let raw = serde_json::value::RawValue::from_string("[1e400]".to_owned()).unwrap();
        assert_eq!(lost(&raw), null("1e400"));
    }

    #[test]
    fn every_model_refuses_them_and_takes_them_where_that_is_asked_for() {
        let (nan, odd) = ([f64::NAN], [9_007_199_254_740_993_i64]);
        assert!(LwwMap::set("k", &nan).is_err() && LwwMap::set("k", &odd).is_err());
        assert!(Register::set(&nan).is_err() && Register::set(&odd).is_err());
        assert!(EventLog::emit("e", &nan).is_err() && EventLog::emit("e", &odd).is_err());
        assert!(Change::from_json("9007199254740993").is_err());

        let text = |change: Change| change.as_json().to_owned();
        assert_eq!(text(LwwMap::set_lossy("k", &nan).unwrap()), r#"["k",[null]]"#);
        assert_eq!(text(Register::set_lossy(&odd).unwrap()), "[9007199254740992]");
        assert_eq!(text(EventLog::emit_lossy("e", &odd).unwrap()), r#"["e",9007199254740992]"#);
        assert_eq!(text(Change::from_json_lossy("1e400").unwrap()), "null");
    }

    #[test]
    fn what_survives_is_taken_however_it_is_written() {
        for text in [
            "0",
            "-0",
            "0.0e5",
            "1.0",
            "0.10",
            "1e2",
            "1E+2",
            "100",
            "12.50e-1",
            "-5",
            "1e21",
            "1e23",
            "9007199254740992",
            "9007199254740994",
            "0.1",
            "5e-324",
            "1.7976931348623157e308",
            "0.000000100",
            "123456789012345680000",
            "0e99999999999999999999",
        ] {
            assert!(Change::from_json(text).is_ok(), "{text}");
        }
        for text in [
            "9007199254740993",
            "1e400",
            "-1e400",
            "1e-400",
            "0.1000000000000000055511151231257827",
            "3.14159265358979323846",
            "123456789012345678901",
            "1e99999999999999999999",
        ] {
            assert!(Change::from_json(text).is_err(), "{text}");
        }
        let typed =
            (0.1_f32, f32::MAX, f64::MIN_POSITIVE, -0.0, (1_u64 << 53), i64::from(i32::MIN));
        assert!(Change::new(&typed).is_ok());
        let keys: BTreeMap<u64, ()> = [(u64::MAX, ())].into();
        assert_eq!(Change::new(&keys).unwrap().as_json(), r#"{"18446744073709551615":null}"#);
    }

    #[test]
    fn a_long_number_is_shown_by_its_beginning() {
        let (written, stored) = lost(
            &serde_json::from_str::<&serde_json::value::RawValue>(&"9".repeat(1_000)).unwrap(),
        );
        assert_eq!((written.len(), &*stored), (60 + "…".len(), "null"));
    }

    proptest! {
        #[test]
        fn typed_numbers_that_are_taken_are_read_back_as_they_were(
            double in any::<u64>().prop_map(f64::from_bits),
            float in any::<u32>().prop_map(f32::from_bits),
            unsigned: u64,
            signed: i64,
            small in -(1_i64 << 53)..=1 << 53,
        ) {
            let back = |change: Change| -> Value { serde_json::from_str(change.as_json()).unwrap() };
            let change = Change::new(&double);
            prop_assert_eq!(change.is_ok(), double.is_finite());
            if let Ok(change) = change {
                prop_assert_eq!(back(change).as_f64(), Some(double));
            }
            let change = Change::new(&float);
            prop_assert_eq!(change.is_ok(), float.is_finite());
            if let Ok(change) = change {
                prop_assert_eq!(serde_json::from_str::<f32>(change.as_json()).unwrap(), float);
            }
            if let Ok(change) = Change::new(&unsigned) {
                prop_assert_eq!(back(change).as_u64(), Some(unsigned));
            }
            if let Ok(change) = Change::new(&signed) {
                prop_assert_eq!(back(change).as_i64(), Some(signed));
            }
            prop_assert_eq!(back(Change::new(&small).unwrap()).as_i64(), Some(small));
        }

        #[test]
        fn decimals_are_compared_by_value(
            digits in "[0-9]{1,20}", zeros in 0usize..4, shift in 0usize..25, exponent in -20i64..20,
        ) {
            let plain = format!("{digits}e{exponent}");
            let padded = format!("000{digits}{}", "0".repeat(zeros));
            let (whole, fraction) = padded.split_at(padded.len() - shift.min(padded.len() - 1));
            let moved = exponent - zeros as i64 + fraction.len() as i64;
            let written = match fraction {
                "" => format!("{whole}E{moved}"),
                _ => format!("{whole}.{fraction}E{moved}"),
            };
            prop_assert!(is_same_decimal(&plain, &written), "{plain} {written}");
            prop_assert!(is_same_decimal(&written, &plain));
            let more = format!("{digits}1e{}", exponent - 1);
            prop_assert!(!is_same_decimal(&plain, &more));
        }

        #[test]
        fn what_is_printed_is_the_same_decimal(bits: u64) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite());
            let mut printed = String::new();
            write_number(number, &mut printed);
            let rust = serde_json::to_string(&number).unwrap();
            prop_assert!(is_same_decimal(&rust, &printed), "{rust} {printed}");
            prop_assert_eq!(parse_number(&printed), number);
        }
    }
}
