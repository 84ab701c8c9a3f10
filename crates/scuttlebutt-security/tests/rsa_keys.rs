//! Keys of the kinds that the npm package's users have, and what is signed with them.

mod common;

use common::{PASSPHRASE, public, secret, table, text, try_public, try_secret};
use proptest::prelude::*;
use scuttlebutt::{Change, Signer, Timestamp, Trust, Update, Verifier};
use scuttlebutt_security::KeyError;
use scuttlebutt_security::rsa_sha1::{KeyTable, KeyTableFull, PublicKey, SecretKey};

fn unsigned(key: &SecretKey, change: &str, millis: f64) -> Update {
    let change = Change::from_json(change).expect("JSON");
    Update::new(&change, Timestamp::new(millis).expect("a timestamp"), key.id().clone())
}

fn signed(key: &SecretKey, change: &str, millis: f64) -> Update {
    let update = unsigned(key, change, millis);
    update.signed(&key.sign(&update).expect("the key is long enough"))
}

#[test]
fn keys_are_read_as_their_tools_write_them() {
    for (name, bits, is_weak) in [
        ("openssh-1024", 1024, true),
        ("openssh-2048-passphrase", 2048, false),
        ("pem-1024", 1024, true),
        ("pem-768", 768, true),
    ] {
        let (secret, public) = (secret(name), public(name));
        assert_eq!(secret.public().pem(), text(&format!("{name}.pub.pem")), "{name}");
        assert_eq!(secret.public(), &public, "{name}");
        assert_eq!(public.bits(), bits, "{name}");
        assert_eq!(public.weakness().is_some(), is_weak, "{name}");
        let again = SecretKey::from_text(&secret.to_text().unwrap(), None).unwrap();
        assert_eq!(again.public(), &public, "{name}");
    }
    assert_eq!(secret("pkcs8-1024").public().bits(), 1024);
    assert_eq!(*secret("pem-1024").to_text().unwrap(), text("pem-1024"));
}

#[test]
fn what_cannot_be_read_is_said() {
    let wrong = |name: &str, passphrase| try_secret(name, passphrase).unwrap_err();
    let passphrase = Some(PASSPHRASE);
    assert_eq!(wrong("openssh-2048-passphrase", None), KeyError::Encrypted);
    assert_eq!(wrong("openssh-2048-passphrase", Some(b"wrong")), KeyError::Passphrase);
    let algorithm = "ssh-ed25519".to_owned();
    assert_eq!(wrong("openssh-ed25519", passphrase), KeyError::Algorithm { algorithm });
    let error = wrong("pem-1024-passphrase", passphrase).to_string();
    assert!(
        error.contains("RSA PRIVATE KEY, encrypted") && error.contains("ssh-keygen -p"),
        "{error}"
    );
    assert!(matches!(wrong("pem-512", None), KeyError::Bits { bits: 512, .. }));
    assert!(matches!(try_public("pem-512"), Err(KeyError::Bits { bits: 512, .. })));
    assert!(matches!(wrong("pem-768.pub.pem", None), KeyError::Kind { .. }));
    assert!(matches!(wrong("README.md", None), KeyError::Missing { .. }));
    assert!(matches!(PublicKey::from_pem(text("pem-768").as_bytes()), Err(KeyError::Kind { .. })));
    assert!(matches!(PublicKey::from_pem(b"\xff"), Err(KeyError::Damaged { .. })));
    assert!(matches!(SecretKey::generate(767), Err(KeyError::Bits { .. })));
    assert!(matches!(SecretKey::generate(4097), Err(KeyError::Bits { .. })));
}

/// A file that lost or changed a character is refused, or it is the same key.
#[test]
fn damaged_keys_are_refused_and_stay_secret() {
    for name in ["openssh-1024", "pem-768", "pkcs8-1024"] {
        let (whole, key) = (text(name), secret(name));
        let body = whole.lines().nth(2).unwrap();
        for at in (0..whole.len()).step_by(7) {
            for replacement in ["", "A", "\n", "-"] {
                let damaged = [&whole[..at], replacement, &whole[at + 1..]].concat();
                match SecretKey::from_text(&damaged, None) {
                    Ok(read) => assert_eq!(read.public(), key.public(), "{name} {at}"),
                    Err(error) => assert!(!format!("{error} {error:?}").contains(body)),
                }
            }
        }
        assert!(!format!("{key:?}").contains(body));
    }
    let debug = format!("{:?}", secret("pem-768"));
    assert_eq!(
        debug,
        r#"SecretKey { public: PublicKey { id: "drVpmSiRnGXZJsDIuuQZHVSXejg=", bits: 768 }, .. }"#
    );
}

/// Every byte of the public file counts for the id, so a node can be told to use its own.
#[test]
fn the_id_is_that_of_the_public_file() {
    let file = text("pem-768.pub.pem").replace('\n', "\r\n");
    let other = PublicKey::from_pem(file.as_bytes()).unwrap();
    let key = secret("pem-768");
    assert_ne!(key.id(), other.id());
    assert_eq!(key.clone().with_public(other.clone()).unwrap().id(), other.id());
    assert_eq!(key.with_public(public("pem-1024")).unwrap_err(), KeyError::Mismatch);
}

#[test]
fn a_table_is_bounded_and_believes_whom_it_knows() {
    let mut table = KeyTable::new(1);
    let update = signed(&secret("pem-768"), r#"["k",1]"#, 1.0);
    assert_eq!(table.verify(&update), Trust::Untrusted, "an unknown key is no error");
    table.insert(public("pem-768")).unwrap();
    table.insert(public("pem-768")).unwrap();
    assert_eq!(table.insert(public("pem-1024")), Err(KeyTableFull { keys_max: 1 }));
    assert_eq!((table.len(), table.verify(&update)), (1, Trust::Trusted));
    assert!(table.remove(update.source()).is_some() && table.is_empty());
    assert_eq!(table.verify(&update), Trust::Untrusted);
}

#[test]
fn only_the_last_element_in_its_one_form_is_a_signature() {
    let (key, table) = (secret("pem-768"), table(&["pem-768"]));
    let update = unsigned(&key, r#"["k",1]"#, 1.0);
    let (line, signature) = (update.to_json(), key.sign(&update).unwrap());
    let verdict = |extras: &str| {
        let line = format!("{}{extras}]", line.strip_suffix(']').unwrap());
        table.verify(&Update::from_json(&line).unwrap())
    };
    assert_eq!(verdict(&format!(r#","{signature}""#)), Trust::Trusted);
    for extras in [
        String::new(),
        format!(r#","{signature}",1"#),
        format!(r#",1,"{signature}""#),
        format!(r#","{signature}","{signature}""#),
        format!(r#",["{signature}"]"#),
        format!(r#",{{"toString":"{signature}"}}"#),
        format!(r#","{} ""#, signature),
        format!(r#","{}""#, signature.trim_end_matches('=').replace('+', "-").replace('/', "_")),
        format!(r#","AAAA{signature}""#),
        format!(r#","{signature}AAAA""#),
        format!(r#","{}""#, &signature[4..]),
        format!(r#","{}""#, "A".repeat(1_000_000)),
        r#","""#.to_owned(),
        ",null".to_owned(),
        ",1".to_owned(),
    ] {
        assert_eq!(verdict(&extras), Trust::Untrusted, "{extras:.300}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_signed_update_survives_the_wire(change in any::<Vec<(String, f64)>>(), millis in 1e-300..1e300_f64) {
        let key = secret("pem-768");
        let change = serde_json::to_string(&change).unwrap();
        let update = signed(&key, &change, millis);
        let again = Update::from_json(&update.to_json()).unwrap();
        prop_assert_eq!(&again, &update);
        prop_assert_eq!(table(&["pem-768"]).verify(&again), Trust::Trusted);
    }

    /// Any change to the line leaves no line, the same update, or one that nobody believes.
    #[test]
    fn any_flipped_bit_fails(byte: prop::sample::Index, bit in 0..8_u8) {
        let update = signed(&secret("pem-768"), r#"["key",[1.5,"é😀","\ud800"]]"#, 1e12 + 0.5);
        let mut line = update.to_json().into_bytes();
        let at = byte.index(line.len());
        line[at] ^= 1 << bit;
        if let Ok(line) = String::from_utf8(line)
            && let Ok(flipped) = Update::from_json(&line)
            && flipped != update
        {
            prop_assert_eq!(table(&["pem-768"]).verify(&flipped), Trust::Untrusted, "{}", line);
        }
    }
}
