//! What happened in a run: a hash by which two runs compare, and an account to read.

use std::fmt;

/// Takes note of everything that happens.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// A trace that keeps only the hash, or also the account.
    #[must_use]
    pub fn new(keeps_lines: bool) -> Self {
        Self { hash: 0xCBF2_9CE4_8422_2325, lines: keeps_lines.then(Vec::new) }
    }

    /// Something happened at this virtual time.
    pub fn note(&mut self, micros: u64, what: fmt::Arguments<'_>) {
        use fmt::Write;
        let mut hasher = Fnv(self.hash);
        // Hashing cannot fail.
        let _ = writeln!(hasher, "{micros} {what}");
        self.hash = hasher.0;
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>12.3} ms  {what}", micros as f64 / 1_000.0));
        }
    }

    /// The hash of all so far.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// The account, if it was kept.
    #[must_use]
    pub fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}

struct Fnv(u64);

impl fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        Ok(())
    }
}
