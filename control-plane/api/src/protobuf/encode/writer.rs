//! Writes the protobuf wire format. A message's length stands before it and is only known after it, so a byte is kept
//! free for the length and what was written moves up when one byte is not enough.

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;

/// Most bytes of a varint.
const MAX_VARINT: usize = 10;

#[derive(Default)]
pub(super) struct Writer {
    out: Vec<u8>,
}

/// Where a message began.
#[must_use]
pub(super) struct Open(usize);

impl Writer {
    pub(super) fn with_capacity(capacity: usize) -> Writer {
        Writer {
            out: Vec::with_capacity(capacity),
        }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// Begins the message in field `tag`.
    pub(super) fn open(&mut self, tag: u32) -> Open {
        self.key(tag, BYTES);
        self.out.push(0);
        Open(self.out.len())
    }

    /// Ends it.
    pub(super) fn close(&mut self, open: Open) {
        let start = open.0;
        let length = self.out.len() - start;
        let mut digits = [0; MAX_VARINT];
        let count = put_varint(length as u64, &mut digits);
        if count > 1 {
            let end = self.out.len();
            self.out.resize(end + count - 1, 0);
            self.out.copy_within(start..end, start + count - 1);
        }
        self.out[start - 1..start - 1 + count].copy_from_slice(&digits[..count]);
    }

    pub(super) fn bytes(&mut self, tag: u32, content: &[u8]) {
        self.key(tag, BYTES);
        self.raw_varint(content.len() as u64);
        self.out.extend_from_slice(content);
    }

    pub(super) fn varint(&mut self, tag: u32, number: u64) {
        self.key(tag, VARINT);
        self.raw_varint(number);
    }

    pub(super) fn fixed64(&mut self, tag: u32, bits: u64) {
        self.key(tag, FIXED64);
        self.out.extend_from_slice(&bits.to_le_bytes());
    }

    fn key(&mut self, tag: u32, wire: u32) {
        self.raw_varint(u64::from(tag << 3 | wire));
    }

    fn raw_varint(&mut self, number: u64) {
        if number < 0x80 {
            return self.out.push(number as u8);
        }
        let mut digits = [0; MAX_VARINT];
        let count = put_varint(number, &mut digits);
        self.out.extend_from_slice(&digits[..count]);
    }
}

/// Writes a varint and says how many bytes it took.
pub(in crate::protobuf) fn put_varint(mut number: u64, digits: &mut [u8; MAX_VARINT]) -> usize {
    let mut count = 0;
    while number >= 0x80 {
        digits[count] = number as u8 | 0x80;
        number >>= 7;
        count += 1;
    }
    digits[count] = number as u8;
    count + 1
}
