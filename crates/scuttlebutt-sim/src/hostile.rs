//! What hostile peers say. They hold no replica and keep no rules.

use scuttlebutt::{Change, SourceId, Timestamp, Update};

use crate::chance::Chance;

/// Something a hostile peer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trick {
    Garbage,
    BrokenLine,
    ForgedDigest,
    /// Claims to know more of others than they do, within what their clocks allow.
    ForgedClaim,
    Malformed,
    Flood,
    Replay,
    FarFuture,
    DuplicateSource,
    FalsePromise,
    /// Writes as another: under a new name, or under one that the other has used.
    Forgery,
    /// Signs two changes under one name, and shows one here and the other there.
    Fork,
}

impl Trick {
    pub(crate) fn draw(chance: &mut Chance, liars: bool, are_verified: bool) -> Self {
        if are_verified && chance.happens(0.4) {
            return Trick::Forgery;
        }
        if are_verified && chance.happens(0.2) {
            return Trick::Fork;
        }
        match chance.below(if liars { 11 } else { 9 }) {
            0 => Trick::Garbage,
            1 => Trick::BrokenLine,
            2 => Trick::ForgedDigest,
            3 | 4 => Trick::Malformed,
            5 => Trick::Flood,
            6 => Trick::Replay,
            7 => Trick::FarFuture,
            8 => Trick::ForgedClaim,
            9 => Trick::DuplicateSource,
            _ => Trick::FalsePromise,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Trick::Garbage => "hostile: garbage",
            Trick::BrokenLine => "hostile: broken line",
            Trick::ForgedDigest => "hostile: forged digest",
            Trick::ForgedClaim => "hostile: forged claim",
            Trick::Malformed => "hostile: malformed",
            Trick::Flood => "hostile: flood",
            Trick::Replay => "hostile: replay",
            Trick::FarFuture => "hostile: far future",
            Trick::DuplicateSource => "hostile: duplicate source id",
            Trick::FalsePromise => "hostile: false promise",
            Trick::Forgery => "hostile: forgery",
            Trick::Fork => "hostile: fork",
        }
    }
}

/// A digest that claims to hold everything of these sources up to a time. Unless it lies, it says that it makes
/// no promises.
pub(crate) fn digest(claimed: &[SourceId], up_to_ms: f64, promises: bool) -> Vec<u8> {
    let claims: Vec<String> =
        claimed.iter().map(|source| format!("{}:{up_to_ms:?}", source.json_literal())).collect();
    let marks = u8::from(promises);
    format!("{{\"id\":\"H\",\"clock\":{{{}}},\"ext\":{{\"marks\":{marks}}}}}\n", claims.join(","))
        .into_bytes()
}

pub(crate) fn garbage(chance: &mut Chance) -> Vec<u8> {
    let length = chance.between(1, 300);
    (0..length).map(|_| chance.bits() as u8).collect()
}

pub(crate) fn broken_line(chance: &mut Chance) -> Vec<u8> {
    let lines: [&[u8]; 4] = [b"[[\n", b"{\"clock\":\n", b"{\"clock\":0}\n", b"\"SYN\n"];
    chance.pick(&lines).to_vec()
}

pub(crate) fn malformed(chance: &mut Chance) -> Vec<u8> {
    let lines: [&[u8]; 8] = [
        b"[null,1,\"n\"]\n",
        b"[1]\n",
        b"[]\n",
        b"[[\"key-0\",1],0,\"x\"]\n",
        b"[[\"key-0\",1],1e999,\"x\"]\n",
        b"[[\"key-0\",1],-5,\"x\"]\n",
        b"[[\"key-0\",1],5,\"__proto__\"]\n",
        b"[[\"key-0\",1],5,null]\n",
    ];
    chance.pick(&lines).to_vec()
}

/// An update that is formally right.
pub(crate) fn update(change: &Change, millis: f64, source: &SourceId) -> Option<Update> {
    Some(Update::new(change, Timestamp::new(millis).ok()?, source.clone()))
}
