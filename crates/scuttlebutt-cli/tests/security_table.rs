//! SECURITY.md names only tests and limits that exist.

use std::path::Path;

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The rows of the table of attacks: attack, defence, limit, test.
fn rows(text: &str) -> Vec<[&str; 4]> {
    let (_, table) = text.split_once("| attack |").expect("a table of attacks");
    let rows = table.lines().skip(2).map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    rows.map(|row| {
        let cells: Vec<_> = row.split(" | ").collect();
        cells.try_into().unwrap_or_else(|_| panic!("four cells: {row}"))
    })
    .collect()
}

/// Whether the file has a test of this name that runs.
fn has_test(source: &str, name: &str) -> bool {
    let signature = format!("fn {name}(");
    let lines: Vec<_> = source.lines().map(str::trim).collect();
    lines.iter().enumerate().any(|(at, line)| {
        let mut attributes = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        let is_test = attributes.clone().any(|line| line.contains("test"));
        let is_left_out = attributes.any(|line| line.contains("ignore"));
        line.contains(&signature) && is_test && !is_left_out
    })
}

#[test]
fn every_row_names_tests_and_limits_that_exist() {
    let security = read("SECURITY.md");
    let limits = read("crates/scuttlebutt/src/limits.rs");
    let rows = rows(&security);
    assert!(rows.len() >= 20, "{} rows", rows.len());
    for [attack, _, limit, test] in rows {
        let names = quoted(limit);
        assert!(!names.is_empty() || limit == "none needed", "{attack}: no limit");
        for name in names {
            let field = name.strip_prefix("Limits::").unwrap_or_else(|| panic!("{attack}: {name}"));
            assert!(limits.contains(&format!("pub {field}: ")), "{attack}: {name}");
        }
        let tests = quoted(test);
        assert!(!tests.is_empty(), "{attack}: no test");
        for test in tests {
            let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("{attack}: {test}"));
            let source = read(&format!("crates/{file}"));
            assert!(has_test(&source, name), "{attack}: {test}");
        }
    }
}

#[test]
fn the_check_can_fail() {
    assert!(has_test("#[test]\nfn a() {}", "a"));
    assert!(has_test("    #[tokio::test]\n    async fn a() {}", "a"));
    assert!(!has_test("#[test]\n#[ignore]\nfn a() {}", "a")); // text to search: no test is ignored here
    assert!(!has_test("fn a() {}", "a"));
    assert!(!has_test("#[test]\nfn b() {}", "a"));
}
