//! Encrypted links as an operator makes them: certificates, keys, who is let in, who may write.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use common::{Folder, Running, done, fails, run};
use scuttlebutt_security::Ed25519Key;
use scuttlebutt_security::key_file::{self, Existing};

/// `serve` in memory with these arguments; answers where it listens first.
fn serve(args: &[&str]) -> (Running, String) {
    let serve = Running::start(&[&["serve", "--memory"], args].concat());
    let line = serve.line();
    let address = line.strip_prefix("listening tls ").map(|place| format!("tls://{place}"));
    let address = address.or_else(|| line.strip_prefix("listening tcp ").map(str::to_owned));
    (serve, address.expect("the address comes first"))
}

/// An authority and certificates for these nodes.
fn certificates(folder: &Folder, names: &[&str]) {
    let dir = folder.file("certs");
    done(&["cert", "ca", "--dir", &dir]);
    for name in names {
        done(&["cert", "node", name, "--dir", &dir]);
    }
}

/// The options of a node with a certificate.
fn certified(folder: &Folder, name: &str) -> [String; 4] {
    let file = |name: &str| folder.file(&format!("certs/{name}.pem"));
    ["--cert".into(), file(name), "--ca".into(), file("ca")]
}

/// A file with a node's key, and the key's public part.
fn node_key(folder: &Folder, seed: u8) -> (String, String) {
    let (path, key) = (folder.file(&format!("{seed}.key")), Ed25519Key::from_seed(&[seed; 32]));
    key_file::write(Path::new(&path), &key.to_text(), Existing::Keep).expect("writes");
    (path, key.id().to_string())
}

#[test]
fn two_nodes_with_certificates_share_a_map_and_let_nobody_else_in() {
    let folder = Folder::new();
    certificates(&folder, &["ada", "ben", "cy"]);
    let [ada, ben, cy] = ["ada", "ben", "cy"].map(|name| certified(&folder, name));
    let (ada, ben, cy) = (ada.each_ref(), ben.each_ref(), cy.each_ref());
    let (ada, ben, cy) = (ada.map(String::as_str), ben.map(String::as_str), cy.map(String::as_str));

    let (first, address) = serve(&[&["--tls", "127.0.0.1:0"][..], &ada].concat());
    let second = ["--tcp", "127.0.0.1:0", "--peer", &address];
    let (_second, plain) = serve(&[&second[..], &ben].concat());
    first.wait_for_log("in sync");
    done(&[&["set", "--peer", &address, "k", "1"][..], &cy].concat());
    assert!(first.line().starts_with("\"k\"\t1\t"));
    common::eventually("the second node has it", || {
        run(&["get", "--peer", &plain, "k"]).out == "1\n"
    });

    // A client without a certificate, with one of another authority, and one that does not encrypt.
    let ca = folder.file("certs/ca.pem");
    fails(&["get", "--peer", &address, "k"], 2, "an authority is named by --ca FILE");
    fails(&["get", "--peer", &address, "--ca", &ca, "k"], 4, "show one with --cert FILE");
    let other = Folder::new();
    certificates(&other, &["eve"]);
    let eve = other.file("certs/eve.pem");
    let stranger = ["get", "--peer", &address, "--ca", &ca, "--cert", &eve, "k"];
    fails(&stranger, 4, "it does not know the authority of this node's certificate");
    let others_ca = other.file("certs/ca.pem");
    let misled = ["get", "--peer", &address, "--ca", &others_ca, "--cert", &eve, "k"];
    fails(&misled, 4, "from an authority that is not known here");
    let place = address.strip_prefix("tls://").expect("tls");
    fails(&["get", "--peer", place, "k"], 4, "speaks TLS, not scuttlebutt");
    fails(&[&["get", "--peer", &format!("tls://{plain}"), "k"][..], &cy].concat(), 4, "plaintext");
}

/// `tls.js` in Node, with these arguments.
fn node(arguments: &[&str]) -> Running {
    let interop = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../interop");
    assert!(
        interop.join("node_modules/scuttlebutt").is_dir(),
        "the npm packages are missing: run `npm ci` in interop/ (`cargo xtask test` does it)"
    );
    let mut command = Command::new("node");
    command.arg(interop.join("tls.js")).args(arguments);
    Running::spawn(&mut command)
}

#[test]
fn the_npm_package_speaks_over_tls_in_both_roles() {
    let folder = Folder::new();
    certificates(&folder, &["ada", "js", "dialled"]);
    let certs = folder.file("certs");
    let ada = certified(&folder, "ada");
    let ada = ada.each_ref().map(String::as_str);

    let server = node(&["listen", &certs, "dialled"]);
    let peer = format!("tls://127.0.0.1:{}", server.line());
    let (serve, address) = serve(&[&["--tls", "127.0.0.1:0", "--peer", &peer][..], &ada].concat());
    let (_, port) = address.rsplit_once(':').expect("a port");
    assert!(serve.line().starts_with("\"dialled\"\t1\t"));
    let client = node(&["connect", &certs, "js", port]);
    assert!(serve.line().starts_with("\"js\"\t1\t"));
    // What each wrote has come to the other, through the node.
    let said = |node: &Running| [node.line(), node.line()].concat();
    for node in [&server, &client] {
        let said = said(node);
        assert!(said.contains(r#"["js",1]"#) && said.contains(r#"["dialled",1]"#), "{said}");
    }
}

#[test]
fn secret_keys_are_their_owners_and_nothing_is_replaced_unasked() {
    let folder = Folder::new();
    certificates(&folder, &["ada"]);
    let dir = folder.file("certs");
    let read = |name: &str| std::fs::read_to_string(folder.file(name)).expect("it is there");
    for name in ["certs/ca.key.pem", "certs/ada.key.pem"] {
        let mode = std::fs::metadata(folder.file(name)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        assert!(read(name).contains("BEGIN PRIVATE KEY"));
    }
    let before = read("certs/ca.key.pem");
    fails(&["cert", "ca", "--dir", &dir], 1, "--force replaces it");
    fails(&["cert", "node", "ada", "--dir", &dir], 1, "--force replaces it");
    assert_eq!(read("certs/ca.key.pem"), before);
    let certificate = read("certs/ada.pem");
    let made = done(&["cert", "node", "ada", "--dir", &dir, "--force", "--host", "ada.example"]);
    assert!(made.contains("node key ed25519:"), "{made}");
    assert_ne!(read("certs/ada.pem"), certificate);
    for (name, message) in
        [("ca", "authority's name"), ("../x", "a node's name"), ("", "a node's name")]
    {
        fails(&["cert", "node", name, "--dir", &dir], 2, message);
    }
    fails(&["cert", "node", "x", "--dir", &folder.file("none")], 1, "`scuttlebutt cert ca` makes");
    // A key that others may read is none any more.
    let key = folder.file("certs/ada.key.pem");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("ours");
    let cert = folder.file("certs/ada.pem");
    fails(&["serve", "--memory", "--tls", "127.0.0.1:0", "--cert", &cert], 1, "chmod 600");
}

#[test]
fn nodes_are_let_in_by_their_keys_as_the_file_says_now() {
    let folder = Folder::new();
    let ((ada, ada_id), (ben, ben_id)) = (node_key(&folder, 1), node_key(&folder, 2));
    let admitted = folder.file("peers.txt");
    std::fs::write(&admitted, "# nobody yet\n").expect("writes");
    let (serve, address) =
        serve(&["--tls", "127.0.0.1:0", "--node-key", &ada, "--admit", &admitted]);
    let address = format!("{address}#{ada_id}");
    let get = ["set", "--peer", &address, "--node-key", &ben, "k", "1"];
    fails(&get, 4, "the peer does not let this node in");
    serve.wait_for_log(&format!("the peer's key is not admitted here: {ben_id}"));

    std::fs::write(&admitted, format!("{ben_id} # Ben\n")).expect("writes");
    serve.signal("HUP");
    serve.wait_for_log("read again");
    done(&get);

    std::fs::write(&admitted, "what is this\n").expect("writes");
    serve.signal("HUP");
    serve.wait_for_log("who was admitted stays so");
    done(&get);
    // One that may read alone, by another list.
    let readers = folder.file("readers.txt");
    std::fs::write(&readers, format!("{ben_id}\n")).expect("writes");
    let readers = format!("{readers},read-only");
    let listen = ["--tls", "127.0.0.1:0", "--node-key", &ada, "--admit", &readers];
    let (_second, read_only) = self::serve(&listen);
    let read_only = format!("{read_only}#{ada_id}");
    let set = ["set", "--peer", &read_only, "--node-key", &ben, "k", "1"];
    fails(&set, 6, "did not accept");
    // Another node than the one that was asked for.
    let (wrong, _) = address.split_once('#').expect("a key");
    let wrong = format!("{wrong}#{ben_id}");
    fails(&["get", "--peer", &wrong, "--node-key", &ben, "k"], 4, "another node answers");
}

#[test]
fn plaintext_beyond_this_machine_is_asked_for_by_name() {
    let refused = ["serve", "--memory", "--tcp", "0.0.0.0:0"];
    fails(
        &refused,
        2,
        "encrypt with --tls 0.0.0.0:0 (see `scuttlebutt help cert`), or say --plaintext",
    );
    let (_serve, address) = serve(&["--tcp", "0.0.0.0:0", "--plaintext"]);
    let (_, port) = address.rsplit_once(':').expect("a port");
    done(&["set", "--peer", &format!("127.0.0.1:{port}"), "k", "1"]);
    fails(&["serve", "--memory", "--tls", "127.0.0.1:0"], 2, "--cert FILE");
    let folder = Folder::new();
    let (key, _) = node_key(&folder, 1);
    let open = ["serve", "--memory", "--tls", "127.0.0.1:0", "--node-key", &key];
    fails(&open, 2, "nobody could come in");
}

#[test]
fn each_place_has_its_own_direction() {
    let places = ["--tcp", "127.0.0.1:0", "--tcp", "127.0.0.1:0,read-only"];
    let (serve, both) = serve(&[&places[..], &["--tcp", "127.0.0.1:0,write-only"]].concat());
    let next = || serve.line().strip_prefix("listening tcp ").expect("an address").to_owned();
    let (read_only, write_only) = (next(), next());
    done(&["set", "--peer", &both, "k", "1"]);
    assert_eq!(done(&["get", "--peer", &read_only, "k"]), "1\n");
    fails(&["set", "--peer", &read_only, "k", "2"], 6, "did not accept");
    fails(&["get", "--peer", &write_only, "k"], 1, "has no value");
    assert_eq!(done(&["get", "--peer", &both, "k"]), "1\n");

    // A peer that is dialled, too: what it holds does not come here, what is here goes there.
    let (_other, other) = self::serve(&["--tcp", "127.0.0.1:0"]);
    done(&["set", "--peer", &other, "theirs", "1"]);
    let peer = format!("{other},read-only");
    let (_third, third) = self::serve(&["--tcp", "127.0.0.1:0", "--peer", &peer]);
    done(&["set", "--peer", &third, "ours", "1"]);
    common::eventually("it goes there", || run(&["get", "--peer", &other, "ours"]).out == "1\n");
    fails(&["get", "--peer", &third, "theirs"], 1, "has no value");
}

/// As `serve` does, the commands know a node by a file of keys, also where the address has none.
#[test]
fn commands_know_nodes_by_a_file_of_keys() {
    let folder = Folder::new();
    let ((ada, ada_id), (eve, eve_id)) = (node_key(&folder, 1), node_key(&folder, 2));
    let (right, wrong) = (folder.file("right"), folder.file("wrong"));
    std::fs::write(&right, format!("# ours\n{ada_id}\n")).unwrap();
    std::fs::write(&wrong, format!("{eve_id}\n")).unwrap();
    let (_node, address) = serve(&["--tls", "127.0.0.1:0", "--node-key", &ada, "--admit-anyone"]);
    done(&["set", "--peer", &address, "--admit", &right, "k", "1"]);
    assert_eq!(done(&["get", "--peer", &address, "--admit", &right, "k"]), "1\n");
    assert_eq!(done(&["dump", "--peer", &address, "--admit", &right]), "{\"k\":1}\n");
    let watch = ["--peer", &address, "--admit", &right, "--node-key", &eve, "--history"];
    assert!(Running::watch(&watch).line().starts_with("\"k\"\t1"));
    for command in [&["get", "k"][..], &["dump"], &["watch"], &["set", "k", "2"]] {
        let mut all = command[..1].to_vec();
        all.extend(["--peer", &address, "--admit", &wrong]);
        all.extend(&command[1..]);
        fails(&all, 4, "");
    }
}
