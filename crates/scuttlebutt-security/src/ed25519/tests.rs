//! That nothing but what was signed is believed.

use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use scuttlebutt::{Change, Label, Timestamp, Trust, Verifier};

use super::*;

fn key(seed: u8) -> Ed25519Key {
    Ed25519Key::from_seed(&[seed; 32])
}

fn unsigned(key: &Ed25519Key, change: &str, millis: f64) -> Update {
    let change = Change::from_json_lossy(change).expect("JSON");
    Update::new(&change, Timestamp::new(millis).expect("a timestamp"), key.id().clone())
}

fn signed(key: &Ed25519Key, change: &str, millis: f64) -> Update {
    let update = unsigned(key, change, millis);
    update.signed(&key.sign(&update).expect("is unsigned"))
}

fn random() -> StdRng {
    StdRng::seed_from_u64(1)
}

/// The layout is part of the wire: this text was printed once and must stay.
#[test]
fn the_bytes_that_are_signed_do_not_change() {
    let update = unsigned(&key(7), r#"["k",{"b":1e21,"2":"\ud800é"}]"#, 1.5);
    let mut expected = b"scuttlebutt update, ed25519, version 1\0".to_vec();
    expected.extend([0x3f, 0xf8, 0, 0, 0, 0, 0, 0]);
    expected.extend([0, 0, 0, 0, 0, 0, 0, 53]);
    expected.extend(br#""ed25519:6kpsY-KcUgq-9VB7Ey7F-ZVHdq6-vnuSQh7qaRRG0iw""#);
    let change = r#"["k",{"2":"\ud800é","b":1e+21}]"#;
    expected.extend([0, 0, 0, 0, 0, 0, 0, change.len() as u8]);
    expected.extend(change.as_bytes());
    assert_eq!(message::signing_bytes(&update, None), expected);
}

/// The layout where a network has a name, printed once too.
#[test]
fn the_bytes_that_are_signed_for_a_cluster_do_not_change() {
    let (update, red) = (unsigned(&key(7), "[]", 1.5), Label::new("red").unwrap());
    let mut expected = b"scuttlebutt update, ed25519, version 2\0".to_vec();
    expected.extend([0, 0, 0, 0, 0, 0, 0, 5]);
    expected.extend(br#""red""#);
    let unbound = message::signing_bytes(&update, None);
    expected.extend(&unbound[message::DOMAIN.len()..]);
    assert_eq!(message::signing_bytes(&update, Some(&red)), expected);
}

/// A key that two networks trust writes for one of them at a time.
#[test]
fn what_is_signed_for_one_cluster_counts_in_no_other() {
    let [red, blue] = ["red", "blue"].map(|name| Label::new(name).unwrap());
    let verifiers: [(&str, Box<dyn Verifier>); 4] = [
        ("red", Box::new(Ed25519ClusterVerifier::new(red.clone()))),
        ("blue", Box::new(Ed25519ClusterVerifier::new(blue.clone()))),
        ("none", Box::new(Ed25519Verifier)),
        ("red or none", Box::new(Ed25519ClusterVerifier::new(red.clone()).believing_unbound())),
    ];
    let writers =
        [("red", key(7).in_cluster(red)), ("blue", key(7).in_cluster(blue)), ("none", key(7))];
    let updates: Vec<Update> = (0..60)
        .map(|n| signed(&writers[n % 3].1, &format!("[\"k\",{n}]"), 1.0 + n as f64))
        .collect();
    for (believed, verifier) in verifiers {
        let together = verifier.verify_all(&updates);
        for (n, update) in updates.iter().enumerate() {
            let is_believed = believed.split(" or ").any(|name| name == writers[n % 3].0);
            let expected = if is_believed { Trust::Trusted } else { Trust::Untrusted };
            assert_eq!(verifier.verify(update), expected, "{} by {believed}", writers[n % 3].0);
            assert_eq!(together[n], expected, "{} by {believed}", writers[n % 3].0);
        }
    }
}

#[test]
fn another_implementation_of_ed25519_agrees() {
    let (key, update) = (key(7), unsigned(&key(7), r#"["k",1]"#, 100.0));
    let signature = text::read_signature(&format!("\"{}\"", key.sign(&update).unwrap())).unwrap();
    let signature = ed25519_dalek::Signature::from_bytes(&signature);
    let public =
        ed25519_dalek::VerifyingKey::from_bytes(&text::read_id(key.id()).unwrap()).unwrap();
    public.verify_strict(&message::signing_bytes(&update, None), &signature).unwrap();
}

#[test]
fn only_the_form_that_a_signer_gives_is_believed() {
    let key = key(7);
    let good = signed(&key, r#"["k",1]"#, 100.0);
    assert_eq!(Ed25519Verifier.verify(&good), Trust::Trusted);
    let id = key.id().to_string();
    let signature = key.sign(&unsigned(&key, r#"["k",1]"#, 100.0)).unwrap();
    let escaped = signature.replacen('e', "\\u0065", 1);
    assert_eq!(good.to_json(), format!(r#"[["k",1],100,"{id}","{signature}"]"#));
    for extras in [
        String::new(),
        format!(r#","{signature}","{signature}""#),
        format!(r#","{signature}",1"#),
        format!(r#",1,"{signature}""#),
        format!(r#",["{signature}"]"#),
        format!(r#","{signature} ""#),
        format!(r#","{signature}=""#),
        r#","""#.to_owned(),
        ",null".to_owned(),
        ",{}".to_owned(),
        format!(r#","{}""#, id),
        format!(r#","{}""#, "A".repeat(10_000)),
    ] {
        let line = format!(r#"[["k",1],100,"{id}"{extras}]"#);
        let update = Update::from_json(&line).unwrap();
        assert_eq!(Ed25519Verifier.verify(&update), Trust::Untrusted, "{line}");
        assert_eq!(verify_batch(&[update], &mut random()), [Trust::Untrusted], "{line}");
    }
    // The same text once it is canonical, as it is when it comes from a peer.
    let line = format!(r#"[["k",1],100,"{id}","{escaped}"]"#);
    assert_eq!(Update::from_json(&line).unwrap(), good);
    // Of another, under another's name, and under names that are no keys.
    for source in [Ed25519Key::from_seed(&[8; 32]).id().to_string(), "ed25519:".into(), "A".into()]
    {
        let update = Update::from_json(&good.to_json().replace(&id, &source)).unwrap();
        assert_eq!(Ed25519Verifier.verify(&update), Trust::Untrusted, "{source}");
    }
    assert!(key.sign(&good).is_err(), "it is signed already");
}

/// The signature with the group's order added to its second half is good by the equation, and would
/// be a second text for one update.
#[test]
fn a_signature_has_one_text() {
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde,
        0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let (key, update) = (key(7), unsigned(&key(7), r#"["k",1]"#, 100.0));
    let text = key.sign(&update).unwrap();
    let mut bytes = text::read_signature(&format!("\"{text}\"")).unwrap();
    let mut carry = 0;
    for (byte, order) in bytes[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert_eq!(carry, 0);
    let update = update.signed(&text::write_signature(&bytes));
    assert_eq!(Ed25519Verifier.verify(&update), Trust::Untrusted);
    assert_eq!(verify_batch(&[update], &mut random()), [Trust::Untrusted]);
}

/// With a part of small order in it, a signature can be good in one batch and bad in the next, unless
/// the rules are made so that it cannot. Here it is good everywhere.
#[test]
fn alone_and_together_the_verdict_is_the_same() {
    // The point of order 2 as public key, and the neutral element as R: [8]([0]B) = [8](R + [k]A).
    let mut public = [0xff; 32];
    (public[0], public[31]) = (0xec, 0x7f);
    let mut signature = [0; 64];
    signature[0] = 1;
    let updates: Vec<Update> = (1..=64)
        .map(|n| {
            let timestamp = Timestamp::new(f64::from(n)).unwrap();
            let change = Change::from_json("[\"k\",1]").unwrap();
            let update = Update::new(&change, timestamp, text::id_of(&public));
            update.signed(&text::write_signature(&signature))
        })
        .collect();
    for seed in 0..8 {
        let mut random = StdRng::seed_from_u64(seed);
        for chunk in updates.chunks(5) {
            let alone: Vec<Trust> = chunk.iter().map(|u| Ed25519Verifier.verify(u)).collect();
            assert_eq!(verify_batch(chunk, &mut random), alone);
        }
    }
}

#[test]
fn a_batch_names_those_that_are_forged() {
    let keys = [key(1), key(2), key(3)];
    let mut updates: Vec<Update> =
        (0..600).map(|n| signed(&keys[n % 3], &format!("[\"k\",{n}]"), 1.0 + n as f64)).collect();
    let forged = [0, 255, 256, 299, 599];
    for at in forged {
        let (a, b) = (&updates[at], &updates[(at + 3) % 600]);
        let line = a.to_json().replace(a.extras()[0].as_str(), b.extras()[0].as_str());
        updates[at] = Update::from_json(&line).unwrap();
    }
    let verdicts = verify_batch(&updates, &mut random());
    assert_eq!(verdicts.len(), 600);
    for (at, verdict) in verdicts.into_iter().enumerate() {
        assert_eq!(verdict == Trust::Untrusted, forged.contains(&at), "{at}");
    }
    assert!(verify_batch(&[], &mut random()).is_empty());
}

#[test]
fn secrets_are_read_from_their_own_text_and_never_shown() {
    let key = key(7);
    let text = key.to_text();
    let secret = text.lines().last().unwrap().to_owned();
    assert_eq!(secret, "ed25519-secret:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc");
    assert!(!format!("{key:?} {key:#?}").contains("BwcHBwc"));
    assert!(!format!("{key:?}").contains("7, 7"));

    let wrong = |text: &str| Ed25519Key::from_text(text).unwrap_err();
    assert_eq!(wrong(""), KeyError::Missing { expected: "Ed25519 secret key" });
    assert_eq!(wrong(&key.id().to_string()), KeyError::Missing { expected: "Ed25519 secret key" });
    assert_eq!(wrong(&format!("{}{}", *text, *text)), KeyError::Several);
    for damaged in [&secret[..secret.len() - 1], &format!("{secret}A"), &secret.replace('B', "+")] {
        let error = wrong(damaged);
        assert!(matches!(error, KeyError::Damaged { .. }), "{damaged}");
        assert!(!error.to_string().contains("BwcHBwc"), "{error}");
    }
    // The last character has two bits that stand for nothing: they are zero.
    assert!(Ed25519Key::from_text(&format!("{}d", &secret[..secret.len() - 1])).is_err());
}

proptest! {
    #[test]
    fn a_signed_update_survives_the_wire(
        change in r#"\[("[^"\\\x00-\x1f]{0,9}"|-?[1-9][0-9]{0,9}(\.[0-9]{1,9})?(e-?[0-9]{1,3})?|null|true|"\\ud8[0-9a-f]{2}"|\{"[0-9]{1,3}":1,"b":2,"[0-9]{1,3}":3\}),1\]"#,
        millis in 1e-300..1e300_f64,
        seed: u8,
    ) {
        let update = signed(&key(seed), &change, millis);
        let again = Update::from_json(&update.to_json()).unwrap();
        prop_assert_eq!(&again, &update);
        prop_assert_eq!(Ed25519Verifier.verify(&again), Trust::Trusted);
    }

    /// Any change to the line leaves no line, the same update, or one that nobody believes.
    #[test]
    fn any_flipped_bit_fails(byte: prop::sample::Index, bit in 0..8_u8, number in 1..1_000_000_u32) {
        let update = signed(&key(7), &format!(r#"["key",[{number},"é😀","\ud800"]]"#), 1e12 + 0.5);
        let mut line = update.to_json().into_bytes();
        let at = byte.index(line.len());
        line[at] ^= 1 << bit;
        if let Ok(line) = String::from_utf8(line)
            && let Ok(flipped) = Update::from_json(&line)
            && flipped != update
        {
            prop_assert_eq!(Ed25519Verifier.verify(&flipped), Trust::Untrusted, "{}", line);
            prop_assert_eq!(verify_batch(&[flipped], &mut random()), [Trust::Untrusted]);
        }
    }
}
