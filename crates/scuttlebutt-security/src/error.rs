//! What can be wrong with a key.

/// A text that holds no key that can be used here. Says what it is, and nothing that is secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No line of it is a key.
    #[error("no {expected} in it")]
    Missing {
        /// What was looked for.
        expected: &'static str,
    },
    /// More than one key.
    #[error("more than one key in it")]
    Several,
    /// It begins as a key does, and goes on otherwise.
    #[error("a damaged {what}: {reason}")]
    Damaged {
        /// What it began as.
        what: &'static str,
        /// Why it is not one.
        reason: String,
    },
    /// A PEM file of a kind that is not read here.
    #[error("a PEM file of kind `{label}`, which is not read here; {remedy}")]
    Kind {
        /// What follows `BEGIN`.
        label: String,
        /// What to do.
        remedy: &'static str,
    },
    /// It is encrypted, and no passphrase was given.
    #[error("it is encrypted: a passphrase is needed")]
    Encrypted,
    /// The passphrase does not open it.
    #[error("the passphrase does not open it")]
    Passphrase,
    /// The key is not an RSA key.
    #[error("a key for {algorithm}, not an RSA key")]
    Algorithm {
        /// Its algorithm.
        algorithm: String,
    },
    /// Too short or too long.
    #[error("a key of {bits} bits: between {bits_min} and {bits_max} are possible")]
    Bits {
        /// Its length, in bits.
        bits: usize,
        /// The shortest, in bits.
        bits_min: usize,
        /// The longest, in bits.
        bits_max: usize,
    },
    /// The public key is not that of the private key.
    #[error("the public key is not the one that belongs to the private key")]
    Mismatch,
}
