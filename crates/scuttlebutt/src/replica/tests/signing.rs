//! What a replica signs, and what it never does.

use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;
use crate::session::{Session, SessionConfig};

/// Signs with the length of what it signs, and tells what it was shown.
struct Telling {
    id: SourceId,
    shown: Sender<String>,
}

impl Signer for Telling {
    fn id(&self) -> &SourceId {
        &self.id
    }

    fn sign(&self, update: &Update) -> Result<String, SignError> {
        if update.change().contains("refused") {
            return Err(SignError("no".into()));
        }
        let text = update.to_json();
        let signature = format!("#{}", text.len());
        self.shown.send(text).expect("the test listens");
        Ok(signature)
    }
}

fn signing(id: &str) -> (Replica<LwwMap>, Receiver<String>) {
    let (sender, shown) = channel();
    let signer = Telling { id: source(id), shown: sender };
    (replica("before").sign_with(signer), shown)
}

#[test]
fn i5_a_local_update_is_signed_before_it_enters_the_log() {
    let (mut r, shown) = signing("R");
    let written = r.local_update(10.0, LwwMap::set("k", &1).unwrap()).unwrap();
    assert_eq!(written.to_json(), r##"[["k",1],10,"R","#16"]"##);
    assert_eq!(since(&r, &VersionVector::new()), [written.to_json()]);
    let shown: Vec<_> = shown.try_iter().collect();
    assert_eq!(shown, [r#"[["k",1],10,"R"]"#], "the unsigned text is signed");
}

/// In the original a peer gets anything signed by sending it under the signer's own id.
#[test]
fn i5_what_comes_from_outside_under_our_id_is_never_signed() {
    let (mut r, shown) = signing("R");
    let forged = r#"[["k","forged"],50,"R"]"#;
    assert_eq!(r.remote_update(NOW, update(forged)), Outcome::Applied, "there is no verifier");
    assert_eq!(since(&r, &VersionVector::new()), [forged]);
    r.restore([update(r#"[["j","restored"],60,"R"]"#)], &VersionVector::new());
    assert_eq!(shown.try_iter().count(), 0);
}

#[test]
fn a_write_that_is_not_signed_changes_nothing() {
    let (mut r, _shown) = signing("R");
    let refused = r.local_update(NOW, LwwMap::set("refused", &1).unwrap());
    assert_eq!(refused, Err(LocalUpdateError::Unsigned(SignError("no".into()))));
    r.renew_identity(source("S"));
    let refused = r.local_update(NOW, LwwMap::set("k", &1).unwrap());
    let (id, signer) = (source("S"), source("R"));
    assert_eq!(refused, Err(LocalUpdateError::NotTheSigner { id, signer }));
    assert_eq!((r.sources_known(), r.head(), r.model().len()), (0, 0, 0));
}

/// A draft that is signed, of the value `n`.
fn drafted(r: &mut Replica<LwwMap>, n: i32) -> SignedDraft {
    r.draft(NOW, &LwwMap::set("k", &n).unwrap()).unwrap().sign().unwrap()
}

#[test]
fn drafts_have_no_effect_and_are_published_in_order() {
    let (mut r, shown) = signing("R");
    let drafts = [1, 2, 3].map(|n| drafted(&mut r, n));
    assert_eq!(shown.try_iter().count(), 3);
    assert_eq!((r.head(), r.model().len(), r.version_vector().len()), (0, 0, 0));
    let mut last = None;
    for draft in drafts {
        let written = r.publish(NOW, draft).unwrap();
        assert!(Some(written.timestamp()) > last);
        last = Some(written.timestamp());
        assert_eq!(r.version_vector().timestamp(r.id()), last, "nothing older comes");
    }
    assert_eq!(r.model().to_json(), r#"{"k":3}"#);
}

/// I2: what is announced is complete, so nothing may come in below it.
#[test]
fn i2_a_draft_that_was_overtaken_is_not_published() {
    let (mut r, _shown) = signing("R");
    let overtaken = drafted(&mut r, 1);
    let written = r.local_update(NOW, LwwMap::set("j", &1).unwrap()).unwrap();
    assert_eq!(r.publish(NOW, overtaken), Err(LocalUpdateError::Overtaken));
    let under_another_id = drafted(&mut r, 2);
    r.renew_identity(source("S"));
    assert_eq!(r.publish(NOW, under_another_id), Err(LocalUpdateError::Overtaken));
    assert_eq!(since(&r, &VersionVector::new()), [written.to_json()]);
}

/// What comes from elsewhere meanwhile may be later; both stay true.
#[test]
fn a_draft_can_be_superseded_before_it_is_published() {
    let (mut r, _shown) = signing("R");
    let draft = drafted(&mut r, 1);
    r.remote_update(NOW, update(&format!(r#"[["k",2],{},"B"]"#, NOW + 1.0)));
    let written = r.publish(NOW, draft).unwrap();
    assert_eq!(r.model().to_json(), r#"{"k":2}"#);
    assert_eq!(r.version_vector().timestamp(r.id()), Some(written.timestamp()));
}

/// I3: as with a write in one step.
#[test]
fn i3_a_draft_is_not_published_while_own_history_is_awaited() {
    let (mut r, _shown) = signing("R");
    let draft = drafted(&mut r, 1);
    let mut session = claimant(&mut r, NOW);
    assert_eq!(r.publish(NOW, draft), Err(LocalUpdateError::OwnHistoryAwaited));
    session.receive(&mut r, NOW, b"\"SYNC\"\n").unwrap();
    r.local_update(NOW, LwwMap::set("k", &2).unwrap()).unwrap();
}

/// I3: nor does it matter that a peer says in its digest that it makes promises.
#[test]
fn i3_own_history_has_come_from_a_peer_that_makes_promises() {
    let (mut r, _shown) = signing("R");
    let mut session = Session::new(&mut r, NOW, SessionConfig::default());
    let digest = b"{\"id\":\"P\",\"clock\":{\"R\":20},\"ext\":{\"marks\":1}}\n";
    session.receive(&mut r, NOW, digest).unwrap();
    let refused = r.local_update(NOW, LwwMap::set("k", &2).unwrap());
    assert_eq!(refused, Err(LocalUpdateError::OwnHistoryAwaited));
    session.receive(&mut r, NOW, b"[[\"k\",1],20,\"R\"]\n\"SYNC\"\n").unwrap();
    r.local_update(NOW, LwwMap::set("k", &2).unwrap()).unwrap();
}

/// I8: the signature counts.
#[test]
fn i8_a_signed_update_fits_with_its_signature_or_not_at_all() {
    let (mut measured, _shown) = signing("R");
    let held = measured.log.bytes() + measured.sources.bytes();
    let written = measured.local_update(10.0, LwwMap::set("k", &1).unwrap()).unwrap();
    for (spare, is_refused) in [(0, false), (1, true)] {
        let held_bytes_max = held + written.heap_bytes() - spare;
        let limits = Limits { held_bytes_max, ..Limits::default() };
        let (r, _shown) = signing("R");
        let mut r = Replica { limits, ..r };
        let outcome = r.local_update(10.0, LwwMap::set("k", &1).unwrap());
        assert_eq!(outcome.is_err(), is_refused, "{outcome:?}");
    }
}

fn write(r: &mut Replica<LwwMap>, now_ms: f64) -> Result<Update, LocalUpdateError> {
    r.local_update(now_ms, LwwMap::set("k", &1).unwrap())
}

/// A peer that announced writes of ours, and what it has said so far.
fn claimant(r: &mut Replica<LwwMap>, now_ms: f64) -> Session {
    let mut session = Session::new(r, now_ms, SessionConfig::default());
    session.receive(r, now_ms, b"{\"id\":\"B\",\"clock\":{\"R\":50}}\n").unwrap();
    session
}

/// Another write could get the name of one that was forgotten, with a signature too.
#[test]
fn i3_a_signing_replica_writes_nothing_before_it_has_back_what_a_peer_announced() {
    let (mut r, _shown) = signing("R");
    let mut session = claimant(&mut r, 10.0);
    assert_eq!(write(&mut r, 10.0), Err(LocalUpdateError::OwnHistoryAwaited));
    session.receive(&mut r, 10.0, b"[[\"j\",1],50,\"R\",\"#16\"]\n").unwrap();
    assert_eq!(write(&mut r, 10.0), Err(LocalUpdateError::OwnHistoryAwaited));
    assert!(r.lacks_own_history());
    session.receive(&mut r, 10.0, b"\"SYNC\"\n").unwrap();
    assert!(!r.lacks_own_history());
    let written = write(&mut r, 10.0).unwrap();
    assert!(written.timestamp() > Timestamp::new(50.0).unwrap());
    assert_eq!(r.version_vector().timestamp(r.id()), Some(written.timestamp()));
}

#[test]
fn i3_all_that_announced_own_writes_are_waited_for() {
    let (mut r, _shown) = signing("R");
    let mut sessions = [claimant(&mut r, 10.0), claimant(&mut r, 11.0)];
    for session in &mut sessions {
        assert_eq!(write(&mut r, 12.0), Err(LocalUpdateError::OwnHistoryAwaited));
        session.receive(&mut r, 12.0, b"\"SYNC\"\n").unwrap();
    }
    write(&mut r, 12.0).unwrap();
}

/// I8: a peer that lies holds it up so often, for so long.
#[test]
fn i8_waiting_for_what_never_comes_is_bounded() {
    let (r, _shown) = signing("R");
    let limits =
        Limits { identity_renewals_max: 2, own_history_wait_ms_max: 5.0, ..Limits::default() };
    let mut r = Replica { limits, ..r };
    for begin in [10.0, 20.0] {
        let _liars = [claimant(&mut r, begin), claimant(&mut r, begin + 4.0)];
        let timestamp = r.newest_held(r.id());
        assert_eq!(write(&mut r, begin + 4.5), Err(LocalUpdateError::OwnHistoryAwaited));
        assert_eq!(r.newest_held(r.id()), timestamp);
        write(&mut r, begin + 5.0).unwrap();
    }
    let _liar = claimant(&mut r, 30.0);
    write(&mut r, 30.0).unwrap();
}

/// Without a key it takes a fresh id instead, or was given its own.
#[test]
fn a_replica_that_does_not_sign_waits_for_nobody() {
    let mut r = replica("R");
    let _session = claimant(&mut r, 10.0);
    assert!(!r.lacks_own_history());
    write(&mut r, 10.0).unwrap();
}
