//! JSON text exactly as JavaScript would print it.
//!
//! Peers compare, sign and relay what `JSON.stringify(JSON.parse(line))` prints. This module
//! produces that text, called *canonical* here, and reads it back without building a tree. A line
//! that already is canonical, as nearly every line from a peer is, costs one pass over its bytes
//! and no copy.
//!
//! It never recurses, however deep the input nests, and never panics on outside data. It holds
//! no hash maps, so no input can make it slow by choosing keys.
//!
//! * [`canonicalize`] checks a text as strictly as `JSON.parse` and answers its canonical form.
//! * [`to_canonical`] does the same for anything that implements [`serde::Serialize`], and refuses
//!   numbers that would not be read back as they are.
//! * [`kind`], [`elements`] and [`members`] take canonical text apart.
//! * [`JsString`] is a string as JavaScript has it: lone surrogates and all.
//! * [`to_js_string`] and [`to_js_number`] coerce a value as JavaScript does when it needs a
//!   property key or compares with `<`.
//!
//! ```
//! use scuttlebutt::json::{TextLimits, canonicalize};
//!
//! let limits = TextLimits { nesting_depth_max: 128 };
//! let line = br#" { "b": 1.0, "10": [ -0, 1e21 ], "9": "\u0041\/" } "#;
//! let text = canonicalize(line, limits)?;
//! assert_eq!(text, r#"{"9":"A/","10":[0,1e+21],"b":1}"#);
//! # Ok::<(), scuttlebutt::json::JsonError>(())
//! ```

mod canonical;
mod coerce;
mod error;
mod escape;
mod exact;
mod number;
mod order;
mod string;
#[cfg(test)]
mod tests;
mod text;
#[cfg(test)]
mod twin;

pub use canonical::{TextLimits, canonicalize, to_canonical, to_canonical_lossy};
pub(crate) use canonical::{canonicalize_exactly, canonicalize_infinite};
pub use coerce::{to_js_number, to_js_string};
pub use error::{JsonError, JsonErrorKind, ToCanonicalError};
pub use exact::NumberError;
pub use number::{parse_number, write_number};
pub(crate) use order::array_index;
pub use string::{JsString, Utf16Units};
pub(crate) use string::{compare, compare_different, same_bytes};
pub use text::{Elements, Kind, Members, elements, kind, members};
