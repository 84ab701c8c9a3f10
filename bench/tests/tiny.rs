//! Every case runs to its end, in sizes that take no time. What it measures is worth nothing; that
//! participants end in equal states is checked as in any other run.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn scratch(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // Of an earlier run.
    let _ = std::fs::remove_dir_all(&dir);
    dir
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_scuttlebutt-bench"))
}

#[test]
fn every_case_runs_and_its_results_make_a_document() {
    let out = scratch("tiny");
    let interop = Path::new(env!("CARGO_MANIFEST_DIR")).join("../interop");
    let run = program()
        .args(["run", "--scale", "tiny"])
        .arg("--out")
        .arg(&out)
        .arg("--interop")
        .arg(interop)
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");

    let results: Value =
        serde_json::from_slice(&std::fs::read(out.join("results.json")).unwrap()).unwrap();
    let cases = results["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 9);
    for case in cases {
        let series = case["series"].as_array().unwrap();
        for subject in ["ours", "npm scuttlebutt"] {
            let measured = series.iter().filter(|one| one["subject"] == subject);
            assert!(measured.count() > 0, "nothing of {subject} in {}", case["letter"]);
        }
    }

    let document = out.join("benchmarks.md");
    let report = program().arg("report").arg(out.join("results.json")).arg(&document).output();
    assert!(report.unwrap().status.success());
    let text = std::fs::read_to_string(&document).unwrap();
    for case in cases {
        let picture = format!("benchmarks/{}.svg", case["letter"].as_str().unwrap());
        assert!(text.contains(&picture), "{picture} is not shown");
        assert!(std::fs::read_to_string(out.join(picture)).unwrap().contains("<svg"));
    }
}

#[test]
fn a_case_that_is_none_is_named() {
    let run = program()
        .args(["run", "--only", "x", "--interop", "."])
        .arg("--out")
        .arg(scratch("none"))
        .output()
        .unwrap();
    assert!(!run.status.success());
    assert!(String::from_utf8_lossy(&run.stderr).contains("no case x"), "{run:?}");
}
