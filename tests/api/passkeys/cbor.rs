//! A writer of CBOR (RFC 8949), for the software authenticator.

/// The first bytes of an item: its major type, and its argument in the shortest form.
fn head(major: u8, argument: u64) -> Vec<u8> {
    let bytes = argument.to_be_bytes();
    let (info, length) = match argument {
        0..=23 => return vec![(major << 5) | bytes[7]],
        24..=0xff => (24, 1),
        0x100..=0xffff => (25, 2),
        _ => (26, 4),
    };
    let mut head = vec![(major << 5) | info];
    head.extend(&bytes[8 - length..]);
    head
}

pub fn integer(number: i64) -> Vec<u8> {
    match u64::try_from(number) {
        Ok(number) => head(0, number),
        Err(_) => head(1, u64::try_from(-1 - number).expect("small")),
    }
}

pub fn bytes(bytes: &[u8]) -> Vec<u8> {
    [head(2, bytes.len() as u64), bytes.to_vec()].concat()
}

pub fn text(text: &str) -> Vec<u8> {
    [head(3, text.len() as u64), text.as_bytes().to_vec()].concat()
}

pub fn map(entries: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut map = head(5, entries.len() as u64);
    for (key, value) in entries {
        map.extend(key);
        map.extend(value);
    }
    map
}

/// A public key of the type EC2 in COSE.
pub fn ec2_key(algorithm: i64, curve: i64, (x, y): (&[u8], &[u8])) -> Vec<(Vec<u8>, Vec<u8>)> {
    vec![
        (integer(1), integer(2)),
        (integer(3), integer(algorithm)),
        (integer(-1), integer(curve)),
        (integer(-2), bytes(x)),
        (integer(-3), bytes(y)),
    ]
}

/// A public key of the type OKP on the curve Ed25519 in COSE.
pub fn okp_key(x: &[u8; 32]) -> Vec<(Vec<u8>, Vec<u8>)> {
    vec![
        (integer(1), integer(1)),
        (integer(3), integer(-8)),
        (integer(-1), integer(6)),
        (integer(-2), bytes(x)),
    ]
}

/// An RSA public key in COSE.
pub fn rsa_key(n: &[u8], e: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    vec![
        (integer(1), integer(3)),
        (integer(3), integer(-257)),
        (integer(-1), bytes(n)),
        (integer(-2), bytes(e)),
    ]
}
