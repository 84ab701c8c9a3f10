//! Replays the corpora, and every input that ever failed, without a fuzzer.

use std::fs;
use std::path::Path;

/// Runs every file of a folder, and answers how many there were.
fn replay(folder: &str, run: fn(&[u8])) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let Ok(files) = fs::read_dir(folder) else { return 0 };
    let mut paths: Vec<_> = files.filter_map(|file| Some(file.ok()?.path())).collect();
    paths.sort();
    for path in &paths {
        // A panic ends the test; this says where.
        println!("{}", path.display());
        run(&fs::read(path).expect("a file of the corpus"));
    }
    paths.len()
}

macro_rules! targets {
    ($($target:ident),*) => {$(
        #[test]
        fn $target() {
            assert!(replay(concat!("corpus/", stringify!($target)), scuttlebutt_fuzz::$target::run) > 0);
            replay(concat!("regressions/", stringify!($target)), scuttlebutt_fuzz::$target::run);
        }
    )*};
}

targets!(decode, roundtrip, session_pair, laws);
