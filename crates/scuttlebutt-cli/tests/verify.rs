//! Signatures in files.
#![cfg(unix)]

mod common;

use std::fmt::Write;

use common::{Folder, done, fails, run};
use scuttlebutt::{Signer, Update};
use scuttlebutt_security::Ed25519Key;

fn signed(key: &Ed25519Key, n: u32) -> String {
    let update =
        Update::from_json(&format!(r#"[["k{n}",{n}],{n},"{}"]"#, key.id())).expect("an update");
    update.signed(&key.sign(&update).expect("is signed")).to_json()
}

#[test]
fn every_line_that_is_not_believed_is_named() {
    let folder = Folder::new();
    let (ada, ben) = (Ed25519Key::from_seed(&[7; 32]), Ed25519Key::from_seed(&[8; 32]));
    let lines = [
        r#"{"id":"x","clock":{}}"#.to_owned(),
        signed(&ada, 1),
        signed(&ada, 2).replace("k2", "k3"),
        signed(&ben, 4),
        format!(r#"[["k",5],5,"{}"]"#, ada.id()),
        r#"[["k",6],6,"nobody","ed25519:"]"#.to_owned(),
        "[1]".to_owned(),
        "\"SYNC\"".to_owned(),
    ];
    let path = folder.file("updates.jsonl");
    std::fs::write(&path, lines.join("\n")).unwrap();
    let ended = run(&["verify", &path]);
    assert_eq!(ended.code, Some(1));
    let begins: Vec<_> =
        ended.out.lines().map(|l| l.rsplit_once(": ").map_or(l, |l| l.0)).collect();
    assert_eq!(begins[..3], ["line 3: bad signature", "line 5: unsigned", "line 6: no key"]);
    assert!(begins[3].starts_with("line 7: no update"), "{begins:?}");
    assert_eq!(begins[4..], ["2 updates are signed by those they name"]);
    assert_eq!(ended.err, "error: 4 of 6 updates are not to be believed\n");

    let trusted = folder.file("trusted.txt");
    std::fs::write(&trusted, format!("{}\n", ada.id())).unwrap();
    let ended = run(&["verify", &path, "--trust", &trusted]);
    assert!(ended.out.contains("line 4: not trusted: \"ed25519:"), "{}", ended.out);
    fails(&["verify", &folder.file("none")], 1, "No such file");
}

/// More than a portion: the order is kept, and the one that is forged is found among the others.
#[test]
fn one_forged_line_is_found_in_a_long_file_that_is_compressed() {
    let folder = Folder::new();
    let key = Ed25519Key::from_seed(&[7; 32]);
    let mut file = String::new();
    for n in 1..=10_000 {
        let line = signed(&key, n);
        let line = if n == 9_000 { line.replace("[[\"k", "[[\"K") } else { line };
        writeln!(file, "{line}").unwrap();
    }
    let plain = folder.file("updates.jsonl");
    std::fs::write(&plain, &file).unwrap();
    assert!(std::process::Command::new("gzip").arg("-k").arg(&plain).status().unwrap().success());
    for path in [plain.clone(), format!("{plain}.gz")] {
        let ended = run(&["verify", &path]);
        assert!(ended.out.starts_with("line 9000: bad signature"), "{}", ended.out);
        assert!(
            ended.out.ends_with("9999 updates are signed by those they name\n"),
            "{}",
            ended.out
        );
    }
    std::fs::write(&plain, file.replace("[[\"K", "[[\"k")).unwrap();
    assert_eq!(done(&["verify", &plain]), "10000 updates are signed by those they name\n");
}
