//! The arithmetic of signing, in a time that depends on the lengths of the key's numbers only.
//!
//! `rsa` 0.9 computes in a time that depends on the numbers themselves (RUSTSEC-2023-0071), which
//! blinding hides only in part. It reads keys, makes them and verifies; this signs.

use std::sync::Arc;

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{BoxedUint, Limb, Odd, Uint};
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, RsaPrivateKey};
use zeroize::{Zeroize, Zeroizing};

/// What stands before a SHA-1 in a signature: that it is one (RFC 8017, 9.2).
const SHA1_INFO: [u8; 15] =
    [0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14];

/// A secret key, ready to sign.
#[derive(Clone)]
pub(super) struct SigningKey {
    /// The length of a signature, in bytes.
    len: usize,
    power: Arc<dyn Power>,
}

impl SigningKey {
    /// `None` if the key is not made of two odd primes of about half its length.
    pub(super) fn of(key: &RsaPrivateKey) -> Option<Self> {
        // For keys of 1024, 2048 and 4096 bits; the others take the next room.
        let power = Primes::<{ 512 / Limb::BITS as usize }>::of(key)
            .or_else(|| Primes::<{ 1024 / Limb::BITS as usize }>::of(key))
            .or_else(|| Primes::<{ 2048 / Limb::BITS as usize }>::of(key))?;
        Some(Self { len: key.size(), power })
    }

    /// The PKCS#1 v1.5 signature of a SHA-1. `None` if the key is too short for one.
    pub(super) fn sign(&self, sha1: &[u8; 20]) -> Option<Vec<u8>> {
        let end = self.len.checked_sub(SHA1_INFO.len() + sha1.len())?;
        // At least eight bytes of padding, by the standard.
        let padding = end.checked_sub(3).filter(|padding| *padding >= 8)?;
        let padding = vec![0xff; padding];
        let block = [&[0, 1], &*padding, &[0], &SHA1_INFO, sha1].concat();
        let block = BoxedUint::from_be_slice(&block, u32::try_from(8 * self.len).ok()?).ok()?;
        let signature = self.power.raise(&block);
        Some(signature[signature.len().checked_sub(self.len)?..].to_vec())
    }
}

/// Raises numbers to a secret power.
trait Power: Send + Sync {
    fn raise(&self, number: &BoxedUint) -> Vec<u8>;
}

/// A key's primes, each of at most so many limbs. Wiped when it is dropped.
struct Primes<const LIMBS: usize> {
    p: Prime<LIMBS>,
    q: Prime<LIMBS>,
    /// The inverse of `q` modulo `p`.
    q_inverse: Uint<LIMBS>,
}

struct Prime<const LIMBS: usize> {
    params: FixedMontyParams<LIMBS>,
    exponent: Uint<LIMBS>,
    bits: u32,
}

impl<const LIMBS: usize> Primes<LIMBS> {
    fn of(key: &RsaPrivateKey) -> Option<Arc<dyn Power>> {
        let [p, q] = key.primes() else { return None };
        let q_inverse = Zeroizing::new(key.crt_coefficient()?);
        let (p, q) = (Prime::new(p, key.dp()?)?, Prime::new(q, key.dq()?)?);
        Some(Arc::new(Self { p, q, q_inverse: number(&q_inverse)? }))
    }
}

impl<const LIMBS: usize> Power for Primes<LIMBS> {
    fn raise(&self, number: &BoxedUint) -> Vec<u8> {
        let (p, q) = (&self.p, &self.q);
        let by_p = p.raise(number.rem(p.params.modulus().as_nz_ref()));
        let by_q = Zeroizing::new(q.raise(number.rem(q.params.modulus().as_nz_ref())).retrieve());
        // What that lacks modulo p, times q (Garner).
        let by_q_in_p = p.form(by_q.rem(p.params.modulus().as_nz_ref()));
        let lacking = Zeroizing::new(by_p.sub(&by_q_in_p));
        let lacking = Zeroizing::new(lacking.mul(&p.form(self.q_inverse)).retrieve());
        let (low, high) = lacking.widening_mul(q.params.modulus().as_ref());
        let (low, carry) = low.carrying_add(&by_q, Limb::ZERO);
        let (high, _) = high.carrying_add(&Uint::ZERO, carry);
        let limbs = high.as_limbs().iter().rev().chain(low.as_limbs().iter().rev());
        limbs.flat_map(|limb| limb.0.to_be_bytes()).collect()
    }
}

impl<const LIMBS: usize> Drop for Primes<LIMBS> {
    fn drop(&mut self) {
        self.q_inverse.zeroize();
    }
}

impl<const LIMBS: usize> Prime<LIMBS> {
    fn new(prime: &BigUint, exponent: &BigUint) -> Option<Self> {
        let bits = u32::try_from(prime.bits()).ok()?;
        let modulus = Option::from(Odd::new(number::<LIMBS>(prime)?))?;
        Some(Self { params: FixedMontyParams::new(modulus), exponent: number(exponent)?, bits })
    }

    fn form(&self, number: Uint<LIMBS>) -> Zeroizing<FixedMontyForm<LIMBS>> {
        Zeroizing::new(FixedMontyForm::new(&number, &self.params))
    }

    /// `number` to the power of the exponent.
    fn raise(&self, number: Uint<LIMBS>) -> Zeroizing<FixedMontyForm<LIMBS>> {
        Zeroizing::new(self.form(number).pow_bounded_exp(&self.exponent, self.bits))
    }
}

impl<const LIMBS: usize> Drop for Prime<LIMBS> {
    fn drop(&mut self) {
        self.params.zeroize();
        self.exponent.zeroize();
    }
}

/// A number of the one library as one of the other, if there is room for it.
fn number<const LIMBS: usize>(number: &BigUint) -> Option<Uint<LIMBS>> {
    let bytes = Zeroizing::new(number.to_bytes_be());
    let mut padded = Zeroizing::new(vec![0; Uint::<LIMBS>::BYTES]);
    let start = padded.len().checked_sub(bytes.len())?;
    padded[start..].copy_from_slice(&bytes);
    Some(Uint::from_be_slice(&padded))
}
