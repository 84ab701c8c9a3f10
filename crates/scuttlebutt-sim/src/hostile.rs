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

/// What these lines say, in frames: where they are updates, since a peer in frames has no lines. Before
/// them a digest that announces them and the switch, after them at times what is no frame.
pub(crate) fn in_frames(lines: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes =
        b"{\"id\":\"H\",\"clock\":{},\"ext\":{\"marks\":0,\"binary\":1}}\n\"BINARY\"\n".to_vec();
    let mut bits = 0;
    for line in lines.split(|byte| *byte == b'\n') {
        let Ok(update) = Update::from_json(&String::from_utf8_lossy(line)) else { continue };
        frame(0, &[2], update.source().json_literal().as_bytes(), &mut bytes);
        let now = update.timestamp().as_millis().to_bits() as i64;
        let difference = now.wrapping_sub(std::mem::replace(&mut bits, now));
        let mut time = Vec::new();
        number(((difference << 1) ^ (difference >> 63)) as u64, &mut time);
        frame(0, &[vec![0], time].concat(), update.change().as_bytes(), &mut bytes);
    }
    if chance.happens(0.5) {
        // No source is named in these, so that they cannot be what somebody might have written.
        for _ in 0..chance.between(1, 5) {
            let kind = *chance.pick(&[0, 1, 3, 4, 5, 6, 7, 8, 13]);
            let body: Vec<u8> = (0..chance.below(12)).map(|_| chance.bits() as u8).collect();
            let lie = if chance.happens(0.8) { 0 } else { chance.below(1 << 20) };
            frame(lie, &[kind], &body, &mut bytes);
        }
    }
    bytes
}

/// A frame that says it is longer than it is by so much.
fn frame(lie: u64, head: &[u8], body: &[u8], out: &mut Vec<u8>) {
    number(lie + (head.len() + body.len()) as u64, out);
    out.extend_from_slice(head);
    out.extend_from_slice(body);
}

fn number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
