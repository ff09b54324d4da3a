//! The fuzz harness for the text of a project key. The input is the text of a key. If the input
//! begins with `!`, the rest is a list of edits, and the harness applies the first edit to a valid
//! key.

use latchkey::team::key_text::{KeyText, make};
use uuid::Uuid;

use super::edits::edited;

/// The length of a key: `lk_`, 32 digits, `_`, 43 characters of the secret and 6 characters of the
/// checksum.
const CHARS: usize = 3 + 32 + 1 + 43 + 6;

/// Checks that an accepted key has the documented format. A key with a typing error of up to four
/// bytes in a row must be refused, because the CRC-32 detects every such error.
pub fn run(data: &[u8]) {
    let Some(script) = data.strip_prefix(b"!") else {
        let Ok(text) = std::str::from_utf8(data) else { return };
        if let Some(key) = KeyText::parse(text) {
            assert!(text.len() == CHARS && text.starts_with("lk_"));
            assert_eq!(text[3..35], key.id.simple().to_string());
            assert!(text[36..].bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
        return;
    };
    let id = Uuid::from_u128(0x0197_d3c1_0000_7000_8000_0000_0000_0001);
    let good = make(id);
    assert_eq!(KeyText::parse(good.expose()).map(|key| key.id), Some(id));
    let other = edited(good.expose(), &script[..script.len().min(3)]);
    assert!(other == *good.expose() || KeyText::parse(&other).is_none(), "a slip passes");
}
