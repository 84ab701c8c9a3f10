//! Numbers in as few bytes as they need: seven bits in each, the lowest first, and a high bit that
//! says whether another follows (LEB128).
//!
//! Each number has one form; a longer one is refused, so that nobody can hide anything in it.

use crate::wire::FrameError;

/// What 64 bits take.
pub(super) const BYTES_MAX: usize = 10;

/// Appends `number`.
#[inline]
pub(super) fn write(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// How many bytes [`write`] appends.
#[inline]
pub(super) fn len(number: u64) -> usize {
    (64 - (number | 1).leading_zeros() as usize).div_ceil(7)
}

/// Reads the number at the front of `bytes` and goes past it; `None` when its end is not there.
#[inline]
pub(super) fn read(bytes: &mut &[u8]) -> Result<Option<u64>, FrameError> {
    let mut number = 0u64;
    for (nth, byte) in bytes.iter().enumerate() {
        let bits = u64::from(byte & 0x7f);
        // Of the tenth byte only one bit is left.
        if nth >= BYTES_MAX || nth == BYTES_MAX - 1 && bits > 1 {
            return Err(FrameError::NumberTooLarge);
        }
        number |= bits << (7 * nth);
        if byte & 0x80 == 0 {
            if nth > 0 && bits == 0 {
                return Err(FrameError::NumberTooLong);
            }
            *bytes = &bytes[nth + 1..];
            return Ok(Some(number));
        }
    }
    if bytes.len() >= BYTES_MAX { Err(FrameError::NumberTooLarge) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_all(mut bytes: &[u8]) -> Result<Option<u64>, FrameError> {
        read(&mut bytes)
    }

    #[test]
    fn the_ends_of_the_range() {
        for (number, expected) in [
            (0, &[0x00][..]),
            (127, &[0x7f]),
            (128, &[0x80, 0x01]),
            (u64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ] {
            let mut out = Vec::new();
            write(number, &mut out);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn what_is_no_number() {
        assert_eq!(read_all(&[]), Ok(None));
        assert_eq!(read_all(&[0x80]), Ok(None));
        assert_eq!(read_all(&[0x80, 0x00]), Err(FrameError::NumberTooLong));
        assert_eq!(read_all(&[0xff; 9]), Ok(None));
        assert_eq!(read_all(&[0xff; 10]), Err(FrameError::NumberTooLarge));
        let too_large = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        assert_eq!(read_all(&too_large), Err(FrameError::NumberTooLarge));
    }

    proptest! {
        #[test]
        fn each_number_is_read_as_it_was_written(number: u64, shift in 0u32..64) {
            let number = number >> shift;
            let mut out = Vec::new();
            write(number, &mut out);
            prop_assert_eq!(out.len(), len(number));
            out.push(0x55);
            let mut rest = &out[..];
            prop_assert_eq!(read(&mut rest), Ok(Some(number)));
            prop_assert_eq!(rest, &[0x55]);
        }
    }
}
