//! Applies small changes to a valid input. In this way the harnesses also test inputs that a fuzzer
//! would not find by chance.

/// Applies the edits in `script` to `good`. Each edit takes three bytes of the script: the
/// operation, the position and an operand.
pub fn edited(good: &str, script: &[u8]) -> String {
    let mut bytes = good.as_bytes().to_vec();
    for edit in script.chunks_exact(3).take(16) {
        let [what, at, byte] = [edit[0], edit[1], edit[2]];
        if bytes.is_empty() {
            break;
        }
        // Some values of `good` are longer than 256 bytes. So the upper bits of `what` select a
        // block of 256 bytes, and `at` is the position in this block.
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
