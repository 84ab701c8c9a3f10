//! Secrets stay where they are, whatever is logged and whatever fails.

use std::path::Path;

use scuttlebutt_security::Ed25519Key;
use scuttlebutt_security::key_file::{self, Existing};

use crate::common::{Folder, Running, done, eventually, run};

#[test]
fn no_secret_is_in_a_log_or_an_error() {
    let folder = Folder::new();
    let key = Ed25519Key::from_seed(&[9; 32]);
    let (path, text) = (folder.file("node.key"), key.to_text());
    key_file::write(Path::new(&path), &text, Existing::Keep).expect("writes");
    let ours = text.lines().last().and_then(|line| line.split_once(':')).expect("a secret").1;
    let dir = folder.file("certs");
    done(&["cert", "ca", "--dir", &dir]);
    done(&["cert", "node", "ada", "--dir", &dir]);
    let pem = std::fs::read_to_string(folder.file("certs/ada.key.pem")).expect("it is there");
    let theirs = pem.lines().nth(1).expect("base64");
    let is_told = |text: &str| text.contains(ours) || text.contains(theirs);

    // Everything that is logged by a node that lets one in and one not.
    let key_of_serve = format!("#{}", key.id());
    let listen = ["serve", "--memory", "--tls", "127.0.0.1:0", "--node-key", &path];
    let ca = folder.file("certs/ca.pem");
    let serve = Running::start(&[&listen[..], &["--ca", &ca, "--log", "trace"]].concat());
    let line = serve.line();
    let address = line.strip_prefix("listening tls ").expect("the address comes first");
    let address = format!("tls://{address}{key_of_serve}");
    let cert = folder.file("certs/ada.pem");
    let set = ["set", "--peer", &address, "k", "1", "--log", "trace"];
    let let_in = run(&[&set[..], &["--cert", &cert]].concat());
    assert_eq!(let_in.code, Some(0), "{}", let_in.err);
    let refused = run(&[&set[..], &["--node-key", &path]].concat());
    assert_eq!(refused.code, Some(4), "{}", refused.err);
    let mut log = vec![];
    eventually("it logs why", || {
        log.extend(serve.rest_of_log());
        log.iter().any(|line| line.contains("from an authority that is not known here"))
    });
    assert!(!log.iter().any(|line| is_told(line)));
    assert!(!is_told(&let_in.err) && !is_told(&refused.err));

    // Keys that are damaged, of the wrong kind, or where something else should be.
    let damaged = folder.file("damaged.key");
    key_file::write(Path::new(&damaged), &text[..text.len() - 3], Existing::Keep).expect("writes");
    let pem_key = folder.file("certs/ada.key.pem");
    for arguments in [
        ["--node-key", &damaged, "--ca", &ca],
        ["--node-key", &pem_key, "--ca", &ca],
        ["--cert", &path, "--cert-key", &pem_key],
        ["--cert", &cert, "--cert-key", &path],
        ["--ca", &pem_key, "--cert", &cert],
        ["--admit", &path, "--cert", &cert],
    ] {
        let serve = ["serve", "--memory", "--tls", "127.0.0.1:0", "--log", "trace"];
        let failed = run(&[&serve[..], &arguments].concat());
        assert_eq!(failed.code, Some(1), "{arguments:?}: {}", failed.err);
        assert!(!is_told(&failed.err), "{arguments:?}: {}", failed.err);
    }
}
