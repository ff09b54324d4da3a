//! Parsers for the parts of hash strings. Every input is bounded: a stored string has at most 1 024
//! bytes.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// A number without sign, space or leading zero.
pub fn number(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_shortest = text == "0" || !text.starts_with('0');
    if is_plain && is_shortest { text.parse().ok() } else { None }
}

/// The values of `a=1,b=2` by name. Each name occurs at most once, and no other names are allowed.
pub fn fields<const N: usize>(text: &str, names: [&str; N]) -> Option<[Option<u32>; N]> {
    let mut values = [None; N];
    for field in text.split(',') {
        let (name, value) = field.split_once('=')?;
        let slot = &mut values[names.iter().position(|known| *known == name)?];
        if slot.replace(number(value)?).is_some() {
            return None;
        }
    }
    Some(values)
}

/// Base64 in the variants that the systems write: standard, URL-safe, or passlib's with `.` for
/// `+`. Padding is optional.
pub fn base64(text: &str) -> Option<Vec<u8>> {
    const PLAIN: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let standard: String = text
        .chars()
        .map(|c| match c {
            '.' | '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    PLAIN.decode(standard).ok()
}

/// Hexadecimal digits, two for each byte.
pub fn hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// A salt: not empty, and at most 128 bytes.
pub fn salt(bytes: Vec<u8>) -> Option<Vec<u8>> {
    (1..=128).contains(&bytes.len()).then_some(bytes)
}

/// A hash of 128 to 512 bits. A shorter one could be matched by chance.
pub fn tag(bytes: Vec<u8>) -> Option<Vec<u8>> {
    (16..=64).contains(&bytes.len()).then_some(bytes)
}
