//! Runs every file of `fuzz/corpus/` through its fuzz harness, on stable Rust. `scripts/fuzz` adds
//! files to the corpora. An input that makes a fuzz target fail becomes a file in the corpus of
//! that target.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/src/lib.rs"]
mod harness;

use harness::Fixture;

/// The minimum number of files in each corpus. A corpus with fewer files has lost its seeds.
const FILES_MIN: usize = 12;

fn replay(target: &str, run: impl Fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files = 0;
    for entry in fs::read_dir(&directory).expect("a corpus").flatten() {
        let data = fs::read(entry.path()).expect("a file of the corpus");
        // If the harness panics, this line in the output shows which input caused it.
        println!("{target}: {}", entry.path().display());
        run(&data);
        files += 1;
    }
    assert!(files >= FILES_MIN, "{target} has only {files} files");
}

macro_rules! corpora {
    ($($test:ident: $target:ident $(with $fixture:ident)?;)*) => {
        $(
            #[test]
            fn $test() {
                corpora!(@run $target $($fixture)?);
            }
        )*

        /// Every fuzz target must be in the list that calls this macro.
        #[test]
        fn no_fuzz_target_is_left_out() {
            let tested = [$(stringify!($target)),*];
            let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/targets");
            for entry in fs::read_dir(targets).expect("the targets").flatten() {
                let name = entry.file_name().to_string_lossy().replace(".rs", "");
                assert!(tested.contains(&name.as_str()), "{name} is not replayed");
            }
        }
    };
    (@run $target:ident) => {
        replay(stringify!($target), harness::$target::run);
    };
    (@run $target:ident $fixture:ident) => {
        let fixture = $fixture::start();
        replay(stringify!($target), |data| harness::$target::run(&fixture, data));
    };
}

corpora! {
    addresses_hold: address;
    authorizations_hold: authorization;
    captchas_hold: captcha;
    clients_hold: client with Fixture;
    devices_hold: device;
    forwarded_headers_hold: forwarded;
    imported_lines_hold: import;
    bodies_hold: json;
    tokens_hold: jwt with Fixture;
    passkeys_hold: passkey;
    paths_hold: path;
    names_and_languages_hold: person;
    stored_hashes_hold: phc;
    project_keys_hold: project_key;
    requests_hold: request with Fixture;
    urls_in_settings_hold: settings;
}
