//! The arithmetic of a signature: PKCS#1 v1.5 over SHA-1, by OpenSSL.
//!
//! The digest is wrapped here, so that a system whose OpenSSL signs nothing over SHA-1 any more can still
//! take part; whoever is here has chosen it. Nothing here reads keys.

use openssl::error::ErrorStack;
use openssl::pkey::{Private, Public};
use openssl::rsa::{Padding, RsaRef};
use openssl::sha::sha1;

/// What stands before a SHA-1 in a signature: that it is one (RFC 8017, 9.2).
const SHA1_INFO: [u8; 15] =
    [0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14];

fn wrapped(text: &[u8]) -> Vec<u8> {
    [&SHA1_INFO[..], &sha1(text)].concat()
}

pub(super) fn sign(key: &RsaRef<Private>, text: &[u8]) -> Result<Vec<u8>, ErrorStack> {
    let mut signature = vec![0; key.size() as usize];
    let len = key.private_encrypt(&wrapped(text), &mut signature, Padding::PKCS1)?;
    signature.truncate(len);
    Ok(signature)
}

/// Whether this is the one signature that the key makes for the text.
pub(super) fn is_by(key: &RsaRef<Public>, text: &[u8], signature: &[u8]) -> bool {
    let mut signed = vec![0; key.size() as usize];
    signature.len() == signed.len()
        && key
            .public_decrypt(signature, &mut signed, Padding::PKCS1)
            .is_ok_and(|len| signed[..len] == wrapped(text))
}
