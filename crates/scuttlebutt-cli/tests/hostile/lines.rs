//! Lines that are too long, too deep, too rich, or none at all.

use crate::{BINARY, DIGEST, PACKS, survives, survives_compressing};

#[test]
fn a_line_without_an_end_is_cut_off_at_its_bound() {
    survives(&vec![b'['; 100_000_000]);
}

#[test]
fn a_string_without_an_end_is_cut_off_at_its_bound() {
    survives(&[b"\"".to_vec(), vec![b'x'; 100_000_000]].concat());
}

#[test]
fn deep_nesting_ends_the_session() {
    survives(&[DIGEST, &vec![b'['; 10_000_000], b"\n"].concat());
}

#[test]
fn a_million_sources_in_a_digest_are_passed_over() {
    let sources: Vec<_> = (0..1_000_000).map(|n| format!("\"s{n}\":1")).collect();
    survives(format!("{{\"id\":\"H\",\"clock\":{{{}}}}}\n", sources.join(",")).as_bytes());
}

#[test]
fn a_million_digests_are_answered_with_bounded_memory() {
    survives(&b"{\"clock\":{}}\n".repeat(1_000_000));
}

#[test]
fn invalid_utf8_ends_the_session() {
    survives(&[DIGEST, &vec![0xff; 1_000_000], b"\n"].concat());
}

#[test]
fn names_that_mean_something_to_javascript_mean_nothing_here() {
    survives(
        b"{\"clock\":{\"__proto__\":1}}\n[[\"__proto__\",1],1,\"n\"]\n[[\"k\",2],1,\"__proto__\"]\n[null,1,\"n\"]\n",
    );
}

#[test]
fn other_protocols_end_the_session() {
    survives(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    survives(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
}

/// The beginning of a gzip file, of a zstd frame and of a zlib stream: nothing is unpacked that was not
/// agreed on.
#[test]
fn compressed_bytes_are_not_unpacked() {
    for magic in [&b"\x1f\x8b\x08\x00"[..], b"\x28\xb5\x2f\xfd", b"\x78\xda"] {
        survives(&[magic, &vec![0; 1_000_000]].concat());
    }
}

/// Small packs that stand for much, as much as they may and more, and what is in them for nothing.
#[test]
fn packs_unpack_to_little_or_end_the_session() {
    // As dense as it is allowed to be: 64 times, by filling up what compresses to nothing.
    let mut state = 1_u64;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    })
    .take(1_200)
    .collect();
    let frame = [&[0xfd, 0xff, 3, 0x0d][..], &vec![0; 65_532 - noise.len()], &noise].concat();
    let dense = pack(frame.len(), &compress(&frame));
    assert!((40 * dense.len()..64 * dense.len()).contains(&frame.len()), "{} bytes", dense.len());
    survives_compressing(&[PACKS, &dense.repeat(3_000)].concat());
    // A quarter of a gigabyte of zeros in a few kilobytes, whatever is said of it.
    let zeros = compress(&vec![0; 1 << 28]);
    for claimed in [1 << 28, 65_536, 1] {
        survives_compressing(&[PACKS, &pack(claimed, &zeros)].concat());
    }
    // One in the other.
    survives_compressing(&[PACKS, &pack(dense.len(), &compress(&dense))].concat());
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 1).expect("compresses")
}

/// A frame that says that so many bytes are compressed in it.
fn pack(claimed: usize, packed: &[u8]) -> Vec<u8> {
    let body = [&[7], &number(claimed)[..], packed].concat();
    [number(body.len()), body].concat()
}

fn number(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}

/// A gigabyte is announced again and again, and does not come; then what comes never ends.
#[test]
fn a_frame_is_not_believed_before_it_comes() {
    survives(&[BINARY, b"\xff\xff\xff\xff\x03"].concat());
    survives(&[BINARY, b"\xff\xff\xff\x07", &vec![0; 100_000_000]].concat());
    survives(&[BINARY, &vec![0xff; 1_000_000]].concat());
}

/// The table of sources has an end, however often it is filled; so has what a mark may name.
#[test]
fn sources_named_in_frames_are_bounded() {
    let mut frames = BINARY.to_vec();
    for n in 0..1_000_000_u32 {
        // Two bytes of head: slots from 16 on; the first ones are filled in order before.
        let (slot, name) = (n % 1_024, format!("\"{n:07}\""));
        let head = slot << 3 | 2;
        let head = match head {
            0..0x80 => vec![head as u8],
            _ => vec![head as u8 | 0x80, (head >> 7) as u8],
        };
        frames.push((head.len() + name.len()) as u8);
        frames.extend(head);
        frames.extend(name.into_bytes());
    }
    survives(&frames);
    let mut mark = vec![4];
    for n in 0..1_000_000 {
        mark.extend([0, 9]);
        mark.extend(format!("\"{n:07}\"").into_bytes());
        mark.push(2);
    }
    let len = mark.len() as u32;
    let len =
        [len as u8 | 0x80, (len >> 7) as u8 | 0x80, (len >> 14) as u8 | 0x80, (len >> 21) as u8];
    survives(&[BINARY, &len, &mark].concat());
}
