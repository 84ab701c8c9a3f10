#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| scuttlebutt_fuzz::decode::run(data));
