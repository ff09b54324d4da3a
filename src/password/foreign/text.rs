//! Parsers for the parts of hash strings. Every input is short, because a stored string has at most
//! 2 048 bytes.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Parses a decimal number. Returns None if the text contains a sign, a space or a leading zero.
pub fn number(text: &str) -> Option<u32> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_shortest = text == "0" || !text.starts_with('0');
    if is_plain && is_shortest { text.parse().ok() } else { None }
}

/// Parses a text such as `a=1,b=2`, and returns the values in the order of `names`. Returns None if
/// a name occurs twice or is not in `names`.
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

/// Decodes base64 in the variants that other systems write: standard, URL-safe, or passlib's
/// variant, which has `.` in place of `+`. Padding is optional.
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

/// Decodes hexadecimal digits, two for each byte.
pub fn hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// Accepts a salt of 1 to 128 bytes. Returns None for other lengths.
pub fn salt(bytes: Vec<u8>) -> Option<Vec<u8>> {
    (1..=128).contains(&bytes.len()).then_some(bytes)
}

/// Accepts a hash of 128 to 512 bits. Returns None for other lengths, because a wrong password
/// could match a shorter hash by chance.
pub fn tag(bytes: Vec<u8>) -> Option<Vec<u8>> {
    (16..=64).contains(&bytes.len()).then_some(bytes)
}
