//! The files that the pages load, compiled into the binary.

/// The path, content type and text of each asset. Paths are compared exactly. The query `?v=` has a
/// meaning only for caches.
///
/// Serve an asset with a long `Cache-Control` if `v` is [`VERSION`], otherwise with `no-cache`.
pub const ASSETS: &[(&str, &str, &str)] = &[
    ("/assets/latchkey.css", "text/css; charset=utf-8", STYLE),
    ("/assets/latchkey.js", "text/javascript; charset=utf-8", SCRIPT),
    ("/assets/docs.js", "text/javascript; charset=utf-8", DOCS),
    ("/assets/captcha.js", "text/javascript; charset=utf-8", CAPTCHA),
    ("/assets/passkey.js", "text/javascript; charset=utf-8", PASSKEY),
    ("/assets/latchkey.svg", "image/svg+xml", ICON),
];

const STYLE: &str = include_str!("assets/latchkey.css");
const SCRIPT: &str = include_str!("assets/latchkey.js");
const CAPTCHA: &str = include_str!("assets/captcha.js");
const PASSKEY: &str = include_str!("assets/passkey.js");
const DOCS: &str = include_str!("assets/docs.js");
const ICON: &str = include_str!("assets/latchkey.svg");

/// A digest of all assets, in 16 hexadecimal digits. It changes if an asset changes, so it can also
/// be used as an `ETag`.
pub const VERSION: &str = match std::str::from_utf8(&VERSION_DIGITS) {
    Ok(digits) => digits,
    Err(_) => "0",
};

static VERSION_DIGITS: [u8; 16] =
    hex(fnv(ICON, fnv(DOCS, fnv(PASSKEY, fnv(CAPTCHA, fnv(SCRIPT, fnv(STYLE, FNV_BASIS)))))));

/// The digest of a text, in quotes as in an `ETag` (RFC 9110 §8.8.3).
pub(super) fn etag(text: &str) -> String {
    format!("\"{:016x}\"", fnv(text, FNV_BASIS))
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// FNV-1a. A cache key needs no protection against attackers, and the function is short enough to
/// run at compile time.
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
