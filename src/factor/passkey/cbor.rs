//! A strict reader of CBOR (RFC 8949), as far as WebAuthn uses it.
//!
//! It reads what CTAP2's canonical form allows: definite lengths, no tags, and at most four levels.
//! Duplicate keys are refused. The reader is more lenient in two points, because they give a client
//! no choice between two meanings: the keys of a map may have any order, and a number may be
//! written in more bytes than it needs.

use super::Refused;

/// The maximum nesting of arrays and maps (CTAP 2.1 §8).
const DEPTH_MAX: u8 = 4;

const BAD: Refused = Refused("cbor");

/// One item. Texts and bytes borrow from the input.
#[derive(Clone, Debug, PartialEq)]
pub enum Item<'a> {
    Integer(i64),
    Bytes(&'a [u8]),
    Text(&'a str),
    Array(Vec<Item<'a>>),
    /// The entries in the order of the input. No two entries have the same key.
    Map(Vec<(Item<'a>, Item<'a>)>),
    /// `true`, `false`, `null`, `undefined` or a floating-point number. The bits tell them apart.
    Simple(u8, u64),
}

impl<'a> Item<'a> {
    /// Reads the item at the start of `input`. Returns it with the bytes after it.
    pub fn read(input: &'a [u8]) -> Result<(Self, &'a [u8]), Refused> {
        let mut reader = Reader { left: input };
        let item = reader.item(DEPTH_MAX)?;
        Ok((item, reader.left))
    }

    /// Reads one item that fills `input`.
    pub fn read_all(input: &'a [u8]) -> Result<Self, Refused> {
        match Self::read(input)? {
            (item, []) => Ok(item),
            _ => Err(Refused("bytes after cbor")),
        }
    }

    pub fn into_map(self) -> Result<Map<'a>, Refused> {
        match self {
            Self::Map(entries) => Ok(Map(entries)),
            _ => Err(BAD),
        }
    }
}

/// A map whose entries are taken one by one.
#[derive(Debug)]
pub struct Map<'a>(Vec<(Item<'a>, Item<'a>)>);

impl<'a> Map<'a> {
    /// Takes the value of a key.
    pub fn take(&mut self, key: &Item<'_>) -> Result<Item<'a>, Refused> {
        let at = self.0.iter().position(|(it, _)| it == key).ok_or(BAD)?;
        Ok(self.0.swap_remove(at).1)
    }

    pub fn bytes(&mut self, key: &Item<'_>) -> Result<&'a [u8], Refused> {
        match self.take(key)? {
            Item::Bytes(bytes) => Ok(bytes),
            _ => Err(BAD),
        }
    }

    pub fn integer(&mut self, key: &Item<'_>) -> Result<i64, Refused> {
        match self.take(key)? {
            Item::Integer(number) => Ok(number),
            _ => Err(BAD),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

struct Reader<'a> {
    left: &'a [u8],
}

impl<'a> Reader<'a> {
    fn item(&mut self, depth: u8) -> Result<Item<'a>, Refused> {
        let [first] = *self.take(1)? else { return Err(BAD) };
        let (major, info) = (first >> 5, first & 0x1f);
        let number = self.argument(info)?;
        let signed = || i64::try_from(number).map_err(|_| BAD);
        match major {
            0 => signed().map(Item::Integer),
            1 => signed().map(|number| Item::Integer(-1 - number)),
            2 => self.take_long(number).map(Item::Bytes),
            3 => str::from_utf8(self.take_long(number)?).map(Item::Text).map_err(|_| BAD),
            4 => self.array(number, depth.checked_sub(1).ok_or(BAD)?),
            5 => self.map(number, depth.checked_sub(1).ok_or(BAD)?),
            // A value below 32 has no second form with an extra byte.
            7 if info != 24 => Ok(Item::Simple(info, number)),
            _ => Err(BAD),
        }
    }

    /// The argument of an item's first byte (RFC 8949 §3). Indefinite lengths are refused.
    fn argument(&mut self, info: u8) -> Result<u64, Refused> {
        let bytes = match info {
            0..=23 => return Ok(u64::from(info)),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return Err(BAD),
        };
        Ok(self.take(bytes)?.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    fn array(&mut self, length: u64, depth: u8) -> Result<Item<'a>, Refused> {
        // Each item has a byte, so the input's length limits the number of items. No memory is
        // reserved for the announced number.
        let mut items = Vec::new();
        for _ in 0..length {
            items.push(self.item(depth)?);
        }
        Ok(Item::Array(items))
    }

    fn map(&mut self, length: u64, depth: u8) -> Result<Item<'a>, Refused> {
        let mut entries: Vec<(Item<'a>, Item<'a>)> = Vec::new();
        for _ in 0..length {
            let key = self.item(depth)?;
            if entries.len() >= ENTRIES_MAX || entries.iter().any(|(it, _)| *it == key) {
                return Err(BAD);
            }
            entries.push((key, self.item(depth)?));
        }
        Ok(Item::Map(entries))
    }

    fn take_long(&mut self, length: u64) -> Result<&'a [u8], Refused> {
        self.take(usize::try_from(length).map_err(|_| BAD)?)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Refused> {
        let (taken, left) = self.left.split_at_checked(length).ok_or(BAD)?;
        self.left = left;
        Ok(taken)
    }
}

/// The maximum number of entries of a map. A map of an authenticator has at most a dozen entries.
/// The limit bounds the comparison of each key with the earlier ones.
const ENTRIES_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn items_are_read_as_rfc_8949_writes_them() {
        // RFC 8949, appendix A.
        for (bytes, item) in [
            (&b"\x00"[..], Item::Integer(0)),
            (b"\x18\x64", Item::Integer(100)),
            (b"\x1a\x00\x0f\x42\x40", Item::Integer(1_000_000)),
            (b"\x20", Item::Integer(-1)),
            (b"\x39\x03\xe7", Item::Integer(-1_000)),
            (b"\x44\x01\x02\x03\x04", Item::Bytes(&[1, 2, 3, 4])),
            (b"\x62\xc3\xbc", Item::Text("ü")),
            (b"\x82\x01\xf5", Item::Array(vec![Item::Integer(1), Item::Simple(21, 21)])),
            (b"\xa1\x61a\x01", Item::Map(vec![(Item::Text("a"), Item::Integer(1))])),
            (b"\xf9\x3c\x00", Item::Simple(25, 0x3c00)),
        ] {
            assert_eq!(Item::read_all(bytes), Ok(item), "{bytes:x?}");
        }
    }

    #[test]
    fn everything_that_the_canonical_form_forbids_is_refused() {
        for bytes in [
            &b""[..],
            b"\x18",                                 // no argument
            b"\x1b\xff\xff\xff\xff\xff\xff\xff\xff", // a number above 63 bits
            b"\x5b\xff\xff\xff\xff\xff\xff\xff\xff", // a length above the input
            b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff", // as many items
            b"\x42\x01",                             // too few bytes
            b"\x61\xff",                             // not UTF-8
            b"\x5f\x41\x01\xff",                     // an indefinite length
            b"\x9f\x01\xff",
            b"\xbf\xff",
            b"\xff",
            b"\xc0\x00",                 // a tag
            b"\xf8\x20",                 // a simple value with an extra byte
            b"\x1c",                     // a reserved length
            b"\xa2\x01\x02\x01\x03",     // a duplicate key
            b"\xa2\x01\x02\x18\x01\x03", // the same key in more bytes
            b"\xa1\x01",                 // a key without a value
            b"\x81\x81\x81\x81\x81\x00", // five levels
        ] {
            assert!(Item::read_all(bytes).is_err(), "{bytes:x?}");
        }
        assert!(Item::read_all(b"\x81\x81\x81\x81\x00").is_ok());
        assert_eq!(Item::read_all(b"\x00\x00"), Err(Refused("bytes after cbor")));
        assert_eq!(Item::read(b"\x00\x01"), Ok((Item::Integer(0), &b"\x01"[..])));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            if let Ok((_, left)) = Item::read(&bytes) {
                prop_assert!(left.len() < bytes.len());
            }
        }
    }
}
