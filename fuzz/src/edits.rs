//! Small changes to a valid input. They reach inputs that a fuzzer would not find by chance.

/// Changes `good` as `script` says. Each edit takes three bytes: the operation, the position and
/// the byte to use.
pub fn edited(good: &str, script: &[u8]) -> String {
    let mut bytes = good.as_bytes().to_vec();
    for edit in script.chunks_exact(3).take(16) {
        let [what, at, byte] = [edit[0], edit[1], edit[2]];
        if bytes.is_empty() {
            break;
        }
        // A token is longer than 256 bytes. The upper bits of `what` select the block of 256 bytes.
        let at = (usize::from(what >> 3) * 256 + usize::from(at)) % bytes.len();
        match what & 7 {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            2 => drop(bytes.remove(at)),
            3 => bytes[at] ^= 1 << (byte & 7),
            4 => bytes.truncate(at),
            5 => {
                let tail = bytes[at..].to_vec();
                bytes.extend(tail.into_iter().take(usize::from(byte)));
            }
            6 => bytes.rotate_left(at),
            _ => {
                let other = usize::from(byte) % bytes.len();
                bytes.swap(at, other);
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
