//! Key files: made, read, and kept from others.
#![cfg(unix)]

mod common;

use std::os::unix::fs::PermissionsExt;

use common::{Folder, done, fails};

#[test]
fn a_key_is_made_once_and_has_its_id() {
    let folder = Folder::new();
    let path = folder.file("node.key");
    let id = done(&["keygen", &path]);
    assert!(id.starts_with("ed25519:") && id.len() == 52, "{id}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(done(&["id", "--key", &path]), id);

    fails(&["keygen", &path], 1, "--force replaces it");
    assert_eq!(done(&["id", "--key", &path]), id);
    let other = done(&["keygen", "--force", &path]);
    assert_ne!(other, id);
    assert_eq!(done(&["id", "--key", &path]), other);
}

#[test]
fn what_is_no_key_is_refused_without_a_word_of_it() {
    let folder = Folder::new();
    let path = folder.file("node.key");
    fails(&["id", "--key", &path], 1, "No such file");
    done(&["keygen", &path]);
    let text = std::fs::read_to_string(&path).unwrap();
    let secret = text.trim_end().rsplit(':').next().unwrap();
    std::fs::write(&path, text.replace(secret, &secret[1..])).unwrap();
    let ended = common::run(&["id", "--key", &path, "--log", "trace"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("a damaged Ed25519 secret key"), "{}", ended.err);
    assert!(!ended.err.contains(&secret[1..9]), "{}", ended.err);

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    fails(&["id", "--key", &path], 1, "chmod 600");
}

#[cfg(not(feature = "rsa-sha1"))]
#[test]
fn rsa_says_that_it_is_not_built_in() {
    let folder = Folder::new();
    let path = folder.file("node.key");
    fails(&["keygen", "--rsa", "2048", &path], 2, "--features rsa-sha1");
    std::fs::write(&path, "-----BEGIN RSA PRIVATE KEY-----\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    fails(&["id", "--key", &path], 2, "--features rsa-sha1");
}

#[cfg(feature = "rsa-sha1")]
mod rsa {
    use super::*;
    use common::run;
    use scuttlebutt_security::rsa_sha1::{PublicKey, SecretKey};

    /// What npm's security.js is given: the secret key and the public one, both in PEM.
    #[test]
    fn an_rsa_key_comes_with_its_public_file_and_a_warning_if_it_is_short() {
        let folder = Folder::new();
        let path = folder.file("old.key");
        let public_path = format!("{path}.pub.pem");
        let made = run(&["keygen", "--rsa", "1024", &path]);
        assert_eq!(made.code, Some(0), "{}", made.err);
        assert!(made.err.contains("1024 bits is too short to be safe"), "{}", made.err);
        let (id, said) = made.out.split_once('\n').unwrap();
        assert_eq!(said.trim_end(), public_path);
        let public = PublicKey::from_pem(&std::fs::read(&public_path).unwrap()).unwrap();
        assert_eq!(public.id().to_string(), id);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("-----BEGIN RSA PRIVATE KEY-----\n"));
        assert_eq!(*SecretKey::from_text(&text, None).unwrap().public(), public);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(run(&["id", "--key", &path]).out, format!("{id}\n"));

        std::fs::remove_file(&path).unwrap();
        fails(&["keygen", "--rsa", "2048", &path], 1, "old.key.pub.pem: the file exists");
        fails(&["keygen", "--rsa", "512", &path], 1, "old.key.pub.pem: the file exists");
        fails(&["keygen", "--rsa", "512", &folder.file("x")], 2, "between 768 and 4096");
    }

    #[test]
    fn the_public_file_beside_a_key_gives_its_id() {
        let folder = Folder::new();
        let path = folder.file("old.key");
        assert_eq!(run(&["keygen", "--rsa", "768", &path]).code, Some(0));
        let public_path = format!("{path}.pub.pem");
        let public = std::fs::read_to_string(&public_path).unwrap().replace('\n', "\r\n");
        std::fs::write(&public_path, &public).unwrap();
        let id = PublicKey::from_pem(public.as_bytes()).unwrap().id().to_string();
        assert_eq!(run(&["id", "--key", &path]).out.trim_end(), id);

        let other = folder.file("other.key");
        assert_eq!(run(&["keygen", "--rsa", "768", &other]).code, Some(0));
        std::fs::copy(format!("{other}.pub.pem"), &public_path).unwrap();
        let ended = run(&["id", "--key", &path]);
        assert_eq!(ended.code, Some(1));
        assert!(ended.err.contains("not the one that belongs to the private key"));
    }

    #[test]
    fn a_passphrase_comes_from_a_file() {
        let folder = Folder::new();
        let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/../scuttlebutt-security/tests/keys");
        let (path, words) = (folder.file("key"), folder.file("words"));
        std::fs::copy(format!("{keys}/openssh-2048-passphrase"), &path).unwrap();
        std::fs::write(&words, "correct horse\n").unwrap();
        for path in [&path, &words] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        fails(&["id", "--key", &path], 2, "--passphrase-file FILE");
        let id = done(&["id", "--key", &path, "--passphrase-file", &words]);
        let file = std::fs::read(format!("{keys}/openssh-2048-passphrase.pub.pem")).unwrap();
        assert_eq!(PublicKey::from_pem(&file).unwrap().id().to_string(), id.trim_end());

        std::fs::write(&words, "wrong horse\n").unwrap();
        let ended = run(&["id", "--key", &path, "--passphrase-file", &words]);
        assert!(ended.err.contains("the passphrase does not open it"), "{}", ended.err);
        assert!(!ended.err.contains("wrong horse"), "{}", ended.err);
    }
}
