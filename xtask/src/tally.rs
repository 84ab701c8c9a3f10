//! Adds up the closing lines of the test runners, so that one line can say how
//! many tests ran. It reads only those lines and judges nothing: whether a run
//! failed is told by its exit code.

use std::fmt;

/// How many tests passed, failed and were left out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Tally {
    /// Adds a runner's closing line, and passes over every other line.
    pub(crate) fn read(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.read_cargo(counts);
        } else if let Some(count) = line.strip_prefix("# ").or(line.strip_prefix("ℹ ")) {
            self.read_node(count);
        }
    }

    /// `ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s`
    fn read_cargo(&mut self, counts: &str) {
        let counts = counts.split_once(". ").map_or(counts, |(_, rest)| rest);
        for part in counts.split("; ") {
            if let Some((Ok(count), what)) = part.split_once(' ').map(|(n, what)| (n.parse(), what))
            {
                self.add(what, count);
            }
        }
    }

    /// `pass 3`, after `# ` in TAP and `ℹ ` in the reporter for terminals
    fn read_node(&mut self, line: &str) {
        if let Some((what, Ok(count))) = line.split_once(' ').map(|(what, n)| (what, n.parse())) {
            self.add(what, count);
        }
    }

    fn add(&mut self, what: &str, count: u64) {
        match what {
            "passed" | "pass" => self.passed += count,
            "failed" | "fail" | "cancelled" => self.failed += count,
            "ignored" | "skipped" | "todo" => self.skipped += count,
            _ => {}
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(f, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: &str) -> String {
        let mut tally = Tally::default();
        lines.lines().for_each(|line| tally.read(line));
        tally.to_string()
    }

    #[test]
    fn adds_the_closing_lines_of_every_runner() {
        let lines = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.00s\n\
             test result: FAILED. 4 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.10s\n\
             # tests 7\n# pass 5\n# fail 1\n# cancelled 1\n# skipped 0\n# todo 0\n# duration_ms 12.5\n\
             ℹ pass 10\nℹ fail 0";
        assert_eq!(tally(lines), "22 passed, 3 failed, 2 skipped");
    }

    #[test]
    fn passes_over_everything_else() {
        let lines = "running 3 tests\ntest a ... ok\n# Subtest: pass 3\nok 1 - pass 3\n# pass\n";
        assert_eq!(tally(lines), "0 passed, 0 failed");
    }
}
