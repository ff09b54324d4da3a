//! The fuzz harness for the token of a known device (`X-Latchkey-Device`). The input is an email
//! address, a newline, and a token. If the second line begins with `!`, the rest of this line is a
//! list of edits, and the harness applies them to a valid token.

use latchkey::admission::device::Devices;
use latchkey::secret::MasterKey;
use uuid::Uuid;

use super::edits::edited;

const NOW: i64 = 1_800_000_000_000;

/// Checks that a token that latchkey issued is valid for its email address until it expires, and
/// that no other text is valid.
pub fn run(data: &[u8]) {
    let Some(at) = data.iter().position(|byte| *byte == b'\n') else { return };
    let Ok(address) = std::str::from_utf8(&data[..at]) else { return };
    let devices = Devices::new(&MasterKey::new([7; 32]), None);
    let Some(script) = data[at + 1..].strip_prefix(b"!") else {
        assert!(devices.read(&data[at + 1..], address, NOW).is_none(), "nobody guesses a tag");
        return;
    };
    let good = devices.issue(address, (Uuid::from_u128(9), 3), (None, None), NOW);
    assert!(devices.read(good.as_bytes(), address, NOW).is_some());
    assert!(devices.read(good.as_bytes(), &format!("{address}x"), NOW).is_none());
    assert!(devices.read(good.as_bytes(), address, i64::MAX).is_none(), "it ends");
    let other = edited(&good, script);
    assert!(other == good || devices.read(other.as_bytes(), address, NOW).is_none(), "{other}");
}
