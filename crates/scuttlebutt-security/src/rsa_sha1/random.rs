//! The randomness that is handed in, as `rsa` asks for it: by an older interface.

use rsa::rand_core::{CryptoRng, Error, RngCore};

pub(super) struct Older<'r, R>(pub(super) &'r mut R);

impl<R: rand_core::CryptoRng> RngCore for Older<'_, R> {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl<R: rand_core::CryptoRng> CryptoRng for Older<'_, R> {}
