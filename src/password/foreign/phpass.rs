//! phpass' portable hashes: `$P$` (WordPress before 6.8 and others) or `$H$` (phpBB), one character
//! for the cost, 8 characters of salt and 22 characters of hash. The hash is MD5(salt ‖ password),
//! then 2^cost times MD5(hash ‖ password).

use md5::{Digest as _, Md5};

use crate::secret;

/// The digits of phpass and crypt(3), in the order of their values.
pub const DIGITS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The maximum cost: 2^18 rounds, which take 0.03 s for a short password. WordPress uses 2^13.
pub const COST_MAX: usize = 18;

/// The maximum of rounds times bytes of the password. A longer password never matches, because each
/// round reads the whole password. With [`COST_MAX`] this is 512 bytes, which take a quarter of a
/// second, and with the rounds of WordPress it is 16 KiB.
const WORK_MAX: u64 = 512 << 18;

pub struct Phpass {
    cost: usize,
    salt: String,
    tag: String,
}

impl Phpass {
    pub fn parse(stored: &str) -> Option<Self> {
        let rest = stored.strip_prefix("$P$").or_else(|| stored.strip_prefix("$H$"))?;
        let (cost, rest) = rest.split_at_checked(1)?;
        let (salt, tag) = rest.split_at_checked(8)?;
        let cost = DIGITS.iter().position(|digit| cost.as_bytes() == [*digit])?;
        let is_tag = tag.len() == 22 && tag.bytes().all(|byte| DIGITS.contains(&byte));
        let is_hash = (7..=30).contains(&cost) && is_tag;
        is_hash.then(|| Self { cost, salt: salt.to_owned(), tag: tag.to_owned() })
    }

    pub fn is_within_caps(&self) -> bool {
        self.cost <= COST_MAX
    }

    pub fn matches(&self, password: &[u8]) -> bool {
        if (password.len() as u64) << self.cost > WORK_MAX {
            return false;
        }
        let of = |start: &[u8]| Md5::new().chain_update(start).chain_update(password).finalize();
        let mut hash = of(self.salt.as_bytes());
        for _ in 0..1_u32 << self.cost {
            hash = of(&hash);
        }
        secret::equal(&encoded(&hash), self.tag.as_bytes())
    }
}

/// Encodes three bytes as four digits, the lowest bits first.
fn encoded(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().rev().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        text.extend((0..=three.len()).map(|at| DIGITS[bits >> (6 * at) & 63]));
    }
    text
}
