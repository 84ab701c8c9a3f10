//! What is written in every benchmark, in the same words by all who take part: keys of 14 bytes,
//! values of 64 bytes of JSON. `interop/measure.js` and `bench/alternatives` say the same.

use scuttlebutt::{Change, LwwMap};

const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The first timestamp of a filled store, milliseconds since the epoch.
pub const FIRST_MS: u64 = 1_700_000_000_000;

/// The key with a number.
#[must_use]
pub fn key(number: u64) -> String {
    format!("key-{number:010}")
}

/// What stands at a key after it was overwritten so many times: 62 bytes, and two quotes in JSON. The
/// letters are drawn, so that whoever compresses what he sends gains no more than with real text.
#[must_use]
pub fn value(number: u64, overwritten: u64) -> String {
    let mut text = format!("{number} {overwritten} ");
    let mut drawn =
        (number as u32).wrapping_mul(2_654_435_761) ^ (overwritten as u32).wrapping_mul(40_503) | 1;
    while text.len() < 62 {
        drawn ^= drawn << 13;
        drawn ^= drawn >> 17;
        drawn ^= drawn << 5;
        for shift in (0..30).step_by(5) {
            text.push(char::from(LETTERS[(drawn >> shift) as usize % LETTERS.len()]));
        }
    }
    text.truncate(62);
    text
}

/// The change that writes it, as JSON text.
#[must_use]
pub fn change_text(number: u64, overwritten: u64) -> String {
    format!("[\"{}\",\"{}\"]", key(number), value(number, overwritten))
}

/// The same for a replica.
#[must_use]
pub fn change(number: u64, overwritten: u64) -> Change {
    // A string always serializes.
    LwwMap::set(key(number), &value(number, overwritten)).unwrap_or_else(|_| LwwMap::remove(""))
}

/// The line by which key `number` was first written, one of `sources` in turn.
#[must_use]
pub fn line(number: u64, sources: u64) -> String {
    let at = FIRST_MS + number;
    format!("[{},{at},\"source-{}\"]", change_text(number, 0), number % sources.max(1))
}

/// The number of a key in a line that begins with an update of it, if it is one of ours.
#[must_use]
pub fn key_number(line: &[u8]) -> Option<u64> {
    let digits = line.strip_prefix(b"[[\"key-")?.get(..10)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The change in an update's line: all but the timestamp and the source.
#[must_use]
pub fn change_in(line: &[u8]) -> Option<&[u8]> {
    let end = line.windows(2).rposition(|pair| pair == b"],")?;
    line.get(1..=end)
}

/// What adds up to a fingerprint of a state in which this change stands.
#[must_use]
pub fn weight(change: &[u8]) -> u64 {
    u64::from(crc32fast::hash(change))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values_have_the_sizes_they_are_said_to_have() {
        assert_eq!(key(123).len(), 14);
        assert_eq!(value(9_999_999, 99).len() + 2, 64);
        // As the others have it.
        assert_eq!(
            value(4_294_967_295, 7),
            "4294967295 7 vwry5kwuyx56sacckydfoo4skeyqlm6iuqyaln3kn733bbw74"
        );
    }

    #[test]
    fn a_change_is_found_in_its_line() {
        let line = line(7, 3);
        assert_eq!(key_number(line.as_bytes()), Some(7));
        assert_eq!(change_in(line.as_bytes()), Some(change_text(7, 0).as_bytes()));
        assert_eq!(change(7, 0).as_json(), change_text(7, 0));
    }
}
