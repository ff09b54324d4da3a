//! The files that the pages load, compiled in.

/// Path, content type and text of each asset. Paths are exact; the query `?v=` is only there for caches.
///
/// Answer with a long `Cache-Control` (`immutable`) where `v` is [`VERSION`], else with `no-cache`.
pub const ASSETS: &[(&str, &str, &str)] = &[
    ("/assets/latchkey.css", "text/css; charset=utf-8", STYLE),
    ("/assets/latchkey.js", "text/javascript; charset=utf-8", SCRIPT),
    ("/assets/docs.js", "text/javascript; charset=utf-8", DOCS),
    ("/assets/captcha.js", "text/javascript; charset=utf-8", CAPTCHA),
    ("/assets/latchkey.svg", "image/svg+xml", ICON),
];

const STYLE: &str = include_str!("assets/latchkey.css");
const SCRIPT: &str = include_str!("assets/latchkey.js");
const CAPTCHA: &str = include_str!("assets/captcha.js");
const DOCS: &str = include_str!("assets/docs.js");
const ICON: &str = include_str!("assets/latchkey.svg");

/// A digest of all assets, 16 hexadecimal digits: changes when any of them does. Good as an `ETag` too.
pub const VERSION: &str = match std::str::from_utf8(&VERSION_DIGITS) {
    Ok(digits) => digits,
    Err(_) => "0",
};

static VERSION_DIGITS: [u8; 16] =
    hex(fnv(ICON, fnv(DOCS, fnv(CAPTCHA, fnv(SCRIPT, fnv(STYLE, FNV_BASIS))))));

/// The digest of a text, quoted as an `ETag` is (RFC 9110 §8.8.3).
pub(super) fn etag(text: &str) -> String {
    format!("\"{:016x}\"", fnv(text, FNV_BASIS))
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// FNV-1a: nobody attacks a cache key, and it is short enough to run in the compiler.
const fn fnv(text: &str, mut hash: u64) -> u64 {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u64).wrapping_mul(FNV_PRIME);
        at += 1;
    }
    hash
}

const fn hex(hash: u64) -> [u8; 16] {
    let bytes = hash.to_be_bytes();
    let mut digits = [0; 16];
    let mut at = 0;
    while at < 8 {
        digits[2 * at] = b"0123456789abcdef"[(bytes[at] >> 4) as usize];
        digits[2 * at + 1] = b"0123456789abcdef"[(bytes[at] & 15) as usize];
        at += 1;
    }
    digits
}
