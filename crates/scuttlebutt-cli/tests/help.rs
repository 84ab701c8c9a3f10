//! What the command says about itself.

mod common;

use common::{done, run};

#[test]
fn help_teaches_the_first_sync_and_the_exit_codes() {
    let help = done(&["--help"]);
    for text in [
        "scuttlebutt set --peer 127.0.0.1:7000 greeting '\"hello\"'",
        "Exit codes:\n  0  done\n  1  failed",
        "  6  the peer did not accept what was written",
    ] {
        assert!(help.contains(text), "{text}\n{help}");
    }
    let commands = [
        "serve",
        "dump",
        "watch",
        "get",
        "set",
        "emit",
        "export",
        "import",
        "backup",
        "inspect",
        "compact",
        "repair",
        "cert",
        "keygen",
        "id",
        "key",
        "trust",
        "verify",
        "completions",
    ];
    for command in commands {
        assert!(help.contains(&format!("\n  {command} ")), "{command}");
        assert!(done(&["help", command]).contains("Example"), "{command}");
    }
    assert_eq!(run(&[]).code, Some(2));
}

#[test]
fn completions_know_every_shell() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = done(&["completions", shell]);
        assert!(script.contains("read-only"), "{shell}");
    }
}

#[test]
fn ids_are_fresh_and_of_the_originals_shape() {
    let [a, b] = [done(&["id"]), done(&["id"])];
    assert_ne!(a, b);
    assert_eq!(a.trim_end().len(), 39);
    assert!(a.trim_end().chars().all(|c| c.is_ascii_hexdigit()));
}

#[test]
fn colour_is_for_terminals() {
    assert!(!done(&["--help"]).contains('\x1b'));
    let ended = run(&["dump", "--peer", "127.0.0.1:1", "--log", "debug"]);
    assert!(!ended.err.contains('\x1b'), "{}", ended.err);
}
