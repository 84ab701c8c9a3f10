//! One pass from any JSON text to its canonical form.
//!
//! The pass reads the input once and lets what is canonical already stand. Only where the two
//! differ does it begin a copy, and only objects whose members must move are touched a second
//! time. There is one grammar, for good input and bad, and it keeps its place in a list instead
//! of on the stack.

use std::borrow::Cow;
use std::cell::Cell;
use std::mem;
use std::ops::Range;

use serde::Serialize;
use smallvec::SmallVec;

use super::exact::{self, Watched};
use super::order::{self, Member, Rearrangements};
use super::{JsonError, JsonErrorKind, NumberError, ToCanonicalError, escape, number};

/// How much a JSON text may ask of us beyond its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextLimits {
    /// How many arrays and objects may be open at once. Raising it costs some 50 bytes a level
    /// while a text is read. Keep it below what every peer can print: the original overflows its
    /// stack somewhere between 3,000 and 5,000.
    pub nesting_depth_max: usize,
}

/// Checks one JSON text as strictly as `JSON.parse` and answers what
/// `JSON.stringify(JSON.parse(text))` prints: borrowed if that is what was given.
///
/// White space around the text is tolerated, and a trailing carriage return with it. Invalid
/// UTF-8 is replaced by U+FFFD first. In the canonical text there is no white space; numbers are
/// printed as ECMAScript does; strings escape only what they must; an object's keys that are
/// array indices come first, in ascending order, then the others as they first appeared; and the
/// last value of a repeated key wins.
///
/// The work is proportional to the input, apart from sorting the keys of large objects.
///
/// ```
/// use std::borrow::Cow;
/// use scuttlebutt::json::{JsonErrorKind, TextLimits, canonicalize};
///
/// let limits = TextLimits { nesting_depth_max: 2 };
/// assert!(matches!(canonicalize(b"[\"k\",1.5]\r", limits)?, Cow::Borrowed(r#"["k",1.5]"#)));
/// assert_eq!(canonicalize(br#"{"a":1,"b":2,"a":1e999}"#, limits)?, r#"{"a":null,"b":2}"#);
/// assert_eq!(canonicalize(b" \r", limits).unwrap_err().kind, JsonErrorKind::Empty);
/// assert_eq!(canonicalize(b"[[[]]]", limits).unwrap_err().kind, JsonErrorKind::TooDeep { max: 2 });
/// # Ok::<(), scuttlebutt::json::JsonError>(())
/// ```
///
/// # Errors
///
/// If the text is not one JSON value, or nests deeper than `limits` allows.
pub fn canonicalize(input: &[u8], limits: TextLimits) -> Result<Cow<'_, str>, JsonError> {
    match str::from_utf8(input) {
        Ok(text) => Pass::new(text, limits).run(),
        Err(_) => {
            let repaired = String::from_utf8_lossy(input);
            let canonical = Pass::new(&repaired, limits).run()?;
            Ok(Cow::Owned(canonical.into_owned()))
        }
    }
}

/// [`canonicalize`] for what is written here: a number that would change is refused.
pub(crate) fn canonicalize_exactly(
    text: &str,
    limits: TextLimits,
) -> Result<Cow<'_, str>, ToCanonicalError> {
    let mut pass = Pass { numbers: Numbers::Exact { lost: None }, ..Pass::new(text, limits) };
    let canonical = pass.run()?;
    match pass.numbers {
        Numbers::Exact { lost: Some(lost) } => Err(lost.into()),
        _ => Ok(canonical),
    }
}

/// As [`canonicalize`], but what is too large for a double is still a number, `1e999` or `-1e999`: for what
/// is read here and not passed on. JavaScript compares with such a number as with an infinity, and only
/// prints it as `null`.
pub(crate) fn canonicalize_infinite(
    input: &[u8],
    limits: TextLimits,
) -> Result<Cow<'_, str>, JsonError> {
    let text = String::from_utf8_lossy(input);
    let mut pass = Pass { numbers: Numbers::Infinite, ..Pass::new(&text, limits) };
    Ok(Cow::Owned(pass.run()?.into_owned()))
}

/// Prints any serialisable value as JavaScript would print the same value.
///
/// ```
/// use scuttlebutt::json::{TextLimits, to_canonical};
///
/// let limits = TextLimits { nesting_depth_max: 128 };
/// assert_eq!(to_canonical(&("key", 1.0, 1_u64 << 53), limits)?, r#"["key",1,9007199254740992]"#);
/// assert!(to_canonical(&u64::MAX, limits).is_err());
/// # Ok::<(), scuttlebutt::json::ToCanonicalError>(())
/// ```
///
/// # Errors
///
/// If the value cannot be serialised as JSON, nests deeper than `limits` allows, or holds a number that
/// would not be read back as it is: an integer beyond what a double has digits for, NaN, an infinity.
pub fn to_canonical<T>(value: &T, limits: TextLimits) -> Result<String, ToCanonicalError>
where
    T: Serialize + ?Sized,
{
    let not_finite = Cell::new(None);
    let text = serde_json::to_string(&Watched::new(value, &not_finite))?;
    if let Some(number) = not_finite.get() {
        return Err(NumberError::new(&number.to_string(), "null").into());
    }
    let canonical = canonicalize_exactly(&text, limits)?;
    Ok(rewritten(&text, canonical).unwrap_or(text))
}

/// [`to_canonical`] that takes numbers as JavaScript would: the nearest double, and `null` for what JSON
/// cannot say.
///
/// ```
/// use scuttlebutt::json::{TextLimits, to_canonical_lossy};
///
/// let limits = TextLimits { nesting_depth_max: 128 };
/// assert_eq!(to_canonical_lossy(&(f64::NAN, u64::MAX), limits)?, "[null,18446744073709552000]");
/// # Ok::<(), scuttlebutt::json::ToCanonicalError>(())
/// ```
///
/// # Errors
///
/// If the value cannot be serialised as JSON, or nests deeper than `limits` allows.
pub fn to_canonical_lossy<T>(value: &T, limits: TextLimits) -> Result<String, ToCanonicalError>
where
    T: Serialize + ?Sized,
{
    let text = serde_json::to_string(value)?;
    let canonical = Pass::new(&text, limits).run()?;
    Ok(rewritten(&text, canonical).unwrap_or(text))
}

/// The canonical form of a text, if it is another text.
fn rewritten(text: &str, canonical: Cow<'_, str>) -> Option<String> {
    match canonical {
        // The length differs only if a raw value brought white space around it.
        Cow::Borrowed(canonical) if canonical.len() == text.len() => None,
        canonical => Some(canonical.into_owned()),
    }
}

/// The output as far as it stands: a copy of the input up to a point, and from there on the
/// input itself. As long as nothing has been replaced there is no copy.
///
/// Positions in the draft are positions in that output, which differ from positions in the input
/// by what has been left out so far.
pub(super) struct Draft<'a> {
    input: &'a str,
    /// What has been copied. Empty until the first replacement.
    copied: String,
    /// Where in the input the part begins that stands for itself.
    verbatim_from: usize,
}

impl<'a> Draft<'a> {
    /// The position in the draft of a position in the input.
    #[inline]
    fn position(&self, at: usize) -> usize {
        self.copied.len() + (at - self.verbatim_from)
    }

    /// Lets `text` stand for a part of the input that was read just now.
    #[cold]
    fn replace(&mut self, replaced: Range<usize>, text: &str) {
        if self.copied.is_empty() {
            self.copied.reserve(self.input.len() - self.verbatim_from);
        }
        self.copied.push_str(&self.input[self.verbatim_from..replaced.start]);
        self.copied.push_str(text);
        self.verbatim_from = replaced.end;
    }

    /// The bytes of a token that has been read: these are never partly copied and partly not.
    #[inline]
    pub(super) fn token(&self, token: Range<usize>) -> &[u8] {
        if token.end <= self.copied.len() {
            &self.copied.as_bytes()[token]
        } else {
            let shift = |position| position - self.copied.len() + self.verbatim_from;
            &self.input.as_bytes()[shift(token.start)..shift(token.end)]
        }
    }

    /// The whole draft, of which `end` is the end in the input.
    fn finish(&mut self, end: usize) -> Cow<'a, str> {
        let verbatim = &self.input[self.verbatim_from..end];
        if self.copied.is_empty() {
            Cow::Borrowed(verbatim)
        } else {
            self.copied.push_str(verbatim);
            Cow::Owned(mem::take(&mut self.copied))
        }
    }
}

/// An array or object that is open.
enum Open {
    Array,
    Object(OpenObject),
}

struct OpenObject {
    /// Where it starts in the draft.
    start: usize,
    /// Where its members start in [`Pass::members`].
    members: usize,
    /// The least array index that may follow as a key without having to move: beyond all of them
    /// once an ordinary key was seen.
    index_floor: u64,
    /// Whether an array index came too late, or twice.
    is_disordered: bool,
}

/// What becomes of numbers.
enum Numbers {
    /// They become the nearest doubles, as `JSON.parse` has it.
    Rounded,
    /// The same, but what is too large for a double stays a number.
    Infinite,
    /// They have to stay what they are; the first that does not.
    Exact { lost: Option<NumberError> },
}

/// The state of one reading. `at` is always on a character boundary of the input.
struct Pass<'a> {
    bytes: &'a [u8],
    at: usize,
    limits: TextLimits,
    numbers: Numbers,
    draft: Draft<'a>,
    open: SmallVec<[Open; 8]>,
    /// The members of all open objects, outermost first.
    members: SmallVec<[Member; 16]>,
    rearrangements: Rearrangements,
}

impl<'a> Pass<'a> {
    fn new(input: &'a str, limits: TextLimits) -> Self {
        let draft = Draft { input, copied: String::new(), verbatim_from: 0 };
        Self {
            bytes: input.as_bytes(),
            at: 0,
            limits,
            numbers: Numbers::Rounded,
            draft,
            open: SmallVec::new(),
            members: SmallVec::new(),
            rearrangements: Rearrangements::default(),
        }
    }

    fn run(&mut self) -> Result<Cow<'a, str>, JsonError> {
        self.at = self.space_end();
        self.draft.verbatim_from = self.at;
        if self.peek().is_none() {
            return self.fail(JsonErrorKind::Empty);
        }
        'value: loop {
            match self.peek() {
                Some(b'"') => self.string()?,
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b'[') => {
                    self.open(Open::Array)?;
                    if self.peek() != Some(b']') {
                        continue 'value;
                    }
                }
                Some(b'{') => {
                    let object = OpenObject {
                        start: self.draft.position(self.at),
                        members: self.members.len(),
                        index_floor: 0,
                        is_disordered: false,
                    };
                    self.open(Open::Object(object))?;
                    if self.peek() != Some(b'}') {
                        self.key()?;
                        continue 'value;
                    }
                }
                Some(b'n') => self.word("null")?,
                Some(b't') => self.word("true")?,
                Some(b'f') => self.word("false")?,
                _ => return self.fail(JsonErrorKind::ExpectedValue),
            }
            // A value has ended here, or an array or object is empty.
            loop {
                match self.open.last() {
                    None => return self.finish(),
                    Some(Open::Array) => {
                        self.skip_space();
                        match self.peek() {
                            Some(b',') => {
                                self.step();
                                continue 'value;
                            }
                            Some(b']') => {
                                self.at += 1;
                                self.open.pop();
                            }
                            _ => return self.fail(JsonErrorKind::ExpectedCommaOrBracket),
                        }
                    }
                    Some(Open::Object(_)) => {
                        self.skip_space();
                        match self.peek() {
                            Some(b',') => {
                                self.step();
                                self.key()?;
                                continue 'value;
                            }
                            Some(b'}') => {
                                self.at += 1;
                                self.close_object();
                            }
                            _ => return self.fail(JsonErrorKind::ExpectedCommaOrBrace),
                        }
                    }
                }
            }
        }
    }

    fn finish(&mut self) -> Result<Cow<'a, str>, JsonError> {
        let end = self.at;
        self.at = self.space_end();
        if self.peek().is_some() {
            return self.fail(JsonErrorKind::ExpectedEnd);
        }
        let draft = self.draft.finish(end);
        if self.rearrangements.is_empty() {
            Ok(draft)
        } else {
            Ok(Cow::Owned(self.rearrangements.apply(&draft)))
        }
    }

    fn fail<T>(&self, kind: JsonErrorKind) -> Result<T, JsonError> {
        Err(JsonError::new(kind, self.at))
    }

    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    /// Where the white space at `at` ends.
    #[inline]
    fn space_end(&self) -> usize {
        let mut end = self.at;
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.bytes.get(end) {
            end += 1;
        }
        end
    }

    /// Leaves out white space inside the text.
    #[inline]
    fn skip_space(&mut self) {
        let end = self.space_end();
        if end != self.at {
            self.draft.replace(self.at..end, "");
            self.at = end;
        }
    }

    /// Goes past a punctuation mark and the white space behind it.
    #[inline]
    fn step(&mut self) {
        self.at += 1;
        self.skip_space();
    }

    #[inline]
    fn open(&mut self, container: Open) -> Result<(), JsonError> {
        let max = self.limits.nesting_depth_max;
        if self.open.len() >= max {
            return self.fail(JsonErrorKind::TooDeep { max });
        }
        self.open.push(container);
        self.step();
        Ok(())
    }

    /// Reads a key with its colon and takes note of it.
    #[inline]
    fn key(&mut self) -> Result<(), JsonError> {
        if self.peek() != Some(b'"') {
            return self.fail(JsonErrorKind::ExpectedKey);
        }
        let start = self.draft.position(self.at);
        self.string()?;
        let member = Member { start, key_end: self.draft.position(self.at) };
        if let Some(Open::Object(object)) = self.open.last_mut() {
            match order::array_index(self.draft.token(member.key())) {
                Some(index) => {
                    let index = u64::from(index);
                    object.is_disordered |= index < object.index_floor;
                    object.index_floor = object.index_floor.max(index + 1);
                }
                None => object.index_floor = u64::MAX,
            }
        }
        self.members.push(member);
        self.skip_space();
        if self.peek() != Some(b':') {
            return self.fail(JsonErrorKind::ExpectedColon);
        }
        self.step();
        Ok(())
    }

    /// Ends the innermost object, which is an object, just after its brace.
    #[inline]
    fn close_object(&mut self) {
        if let Some(Open::Object(object)) = self.open.pop() {
            let members = &self.members[object.members..];
            if object.is_disordered || order::has_duplicates(members, &self.draft) {
                let span = object.start..self.draft.position(self.at);
                self.rearrangements.add(span, members, &self.draft);
            }
            self.members.truncate(object.members);
        }
    }

    /// Reads a string whose opening quote is at `at`.
    #[inline]
    fn string(&mut self) -> Result<(), JsonError> {
        let end = escape::next_special(self.bytes, self.at + 1);
        if self.bytes.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(());
        }
        self.at = end;
        self.string_with_escapes()
    }

    /// Reads the rest of a string, from the first byte that is not ordinary.
    fn string_with_escapes(&mut self) -> Result<(), JsonError> {
        let mut is_replaced = false;
        let mut printed = String::new();
        loop {
            match self.peek() {
                Some(b'"') => break self.at += 1,
                Some(b'\\') => {
                    let read = escape::read_escape(self.bytes, self.at)?;
                    printed.clear();
                    escape::write_code(read.code, &mut printed);
                    if printed.as_bytes() != &self.bytes[self.at..read.end] {
                        self.draft.replace(self.at..read.end, &printed);
                        is_replaced = true;
                    }
                    self.at = escape::next_special(self.bytes, read.end);
                }
                Some(_) => return self.fail(JsonErrorKind::ControlCharacter),
                None => return self.fail(JsonErrorKind::ExpectedQuote),
            }
        }
        if is_replaced {
            // Keeps the token in one piece, as `Draft::token` expects.
            self.draft.replace(self.at..self.at, "");
        }
        Ok(())
    }

    #[inline]
    fn number(&mut self) -> Result<(), JsonError> {
        let scan = number::scan(self.bytes, self.at)?;
        if !scan.surely_canonical {
            let text = &self.draft.input[self.at..scan.end];
            let mut buffer = ryu_js::Buffer::new();
            let number = number::parse_checked(text);
            let keeps_infinite = matches!(self.numbers, Numbers::Infinite);
            let printed = match number {
                f64::INFINITY if keeps_infinite => "1e999",
                f64::NEG_INFINITY if keeps_infinite => "-1e999",
                _ => number::printed(number, &mut buffer),
            };
            if printed != text {
                if let Numbers::Exact { lost: lost @ None } = &mut self.numbers
                    && !exact::is_same_decimal(text, printed)
                {
                    *lost = Some(NumberError::new(text, printed));
                }
                self.draft.replace(self.at..scan.end, printed);
            }
        }
        self.at = scan.end;
        Ok(())
    }

    #[inline]
    fn word(&mut self, word: &str) -> Result<(), JsonError> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return self.fail(JsonErrorKind::ExpectedValue);
        }
        self.at += word.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: TextLimits = TextLimits { nesting_depth_max: 10_000 };

    fn fault(text: &str) -> (JsonErrorKind, usize) {
        let error = canonicalize(text.as_bytes(), LIMITS).expect_err(text);
        (error.kind, error.offset)
    }

    #[test]
    fn canonical_text_is_borrowed() {
        for text in [
            r#"[["key-0000000001",{"a":1,"b":"some text"}],1700000000000.001,"A1B2C3"]"#,
            r#"{"id":"A","clock":{"0":1,"7":2,"A":3,"01":4,"-1":5,"4294967295":6}}"#,
            r#"["\u0000\b\f\n\r\t\u001f\"\\/\ud800é😀"]"#,
            "  \"SYNC\" \t\r",
        ] {
            let canonical = canonicalize(text.as_bytes(), LIMITS).expect(text);
            assert!(matches!(canonical, Cow::Borrowed(_)), "{text}");
            assert_eq!(canonical, text.trim());
        }
    }

    #[test]
    fn faults_say_what_was_expected_and_where() {
        use JsonErrorKind::*;
        for (text, expected) in [
            ("", (Empty, 0)),
            (" \t\r", (Empty, 3)),
            ("\u{feff}1", (ExpectedValue, 0)),
            ("1 2", (ExpectedEnd, 2)),
            ("01", (ExpectedEnd, 1)),
            ("nul", (ExpectedValue, 0)),
            ("+1", (ExpectedValue, 0)),
            ("-", (ExpectedDigit, 1)),
            ("1.", (ExpectedDigit, 2)),
            ("1e+", (ExpectedDigit, 3)),
            ("[1", (ExpectedCommaOrBracket, 2)),
            ("[1}", (ExpectedCommaOrBracket, 2)),
            ("[1,]", (ExpectedValue, 3)),
            ("[,1]", (ExpectedValue, 1)),
            ("{", (ExpectedKey, 1)),
            ("{\"a\":1,}", (ExpectedKey, 7)),
            ("{1:1}", (ExpectedKey, 1)),
            ("{\"a\" 1}", (ExpectedColon, 5)),
            ("{\"a\":}", (ExpectedValue, 5)),
            ("{\"a\":1 \"b\"", (ExpectedCommaOrBrace, 7)),
            ("\"abc", (ExpectedQuote, 4)),
            ("\"a\\", (ExpectedQuote, 3)),
            ("\"\\u12", (ExpectedQuote, 5)),
            ("\"\\u12\"", (InvalidEscape, 1)),
            ("\"\\ud83d\\u12x4\"", (InvalidEscape, 7)),
            ("\"\\x\"", (InvalidEscape, 1)),
            ("\"a\tb\"", (ControlCharacter, 2)),
        ] {
            assert_eq!(fault(text), expected, "{text}");
        }
    }

    #[test]
    fn depth_is_bounded_by_the_limit_and_not_by_the_stack() {
        let nested = |opening: &str, closing: &str, depth| {
            [opening.repeat(depth).as_str(), "1 ", &closing.repeat(depth)].concat()
        };
        for (opening, closing) in [("[", "]"), ("{\"b\":0,\"1\":", "}")] {
            let text = nested(opening, closing, 10_000);
            let canonical = canonicalize(text.as_bytes(), LIMITS).expect("is as deep as allowed");
            assert_eq!(canonical.len(), text.len() - 1);
            let text = nested(opening, closing, 10_001);
            let (kind, offset) = fault(&text);
            assert_eq!(kind, JsonErrorKind::TooDeep { max: 10_000 });
            assert_eq!(offset, 10_000 * opening.len());
        }
        let limits = TextLimits { nesting_depth_max: 0 };
        assert!(canonicalize(b"1", limits).is_ok());
        assert!(canonicalize(b"[]", limits).is_err());
    }

    #[test]
    fn invalid_utf8_is_repaired() {
        let canonical = canonicalize(b"[\"\xc3\",\"\xf0\x9f\x98\"]", LIMITS).expect("repaired");
        assert_eq!(canonical, "[\"\u{fffd}\",\"\u{fffd}\"]");
    }

    #[test]
    fn a_raw_value_is_canonicalized_like_anything_else() {
        let raw: Box<serde_json::value::RawValue> =
            serde_json::from_str(" [1.0, 2] ").expect("is JSON");
        assert_eq!(to_canonical(&raw, LIMITS).expect("is JSON"), "[1,2]");
        assert!(to_canonical(&[[1]], TextLimits { nesting_depth_max: 1 }).is_err());
    }
}
