//! Finds where each frame of a client begins and ends, see RFC 9113, section 4.1. Nothing
//! else in a frame counts here: `h2` reads the frames.

/// The bytes before the first frame, see RFC 9113, section 3.4.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const HEAD_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// The place of the client in its frames.
pub(crate) struct Frames {
    /// The bytes of the frame's head that have arrived.
    head: usize,
    /// The bytes of the frame that have not arrived.
    left: usize,
    /// Its length, as far as its head has arrived.
    length: usize,
    kind: u8,
    flags: u8,
    is_block_open: bool,
}

impl Frames {
    /// The frames of a connection from its first byte on. The client owes a first frame.
    pub(crate) fn new() -> Self {
        Self { head: 0, left: PREFACE.len(), length: 0, kind: HEADERS, flags: 0, is_block_open: true }
    }

    /// Whether a frame or a list of headers has begun and not ended. The time for the
    /// body of a request is a limit of its own, so `DATA` does not count.
    pub(crate) fn is_open(&self) -> bool {
        self.is_block_open || self.head > 0 || (self.left > 0 && self.kind != DATA)
    }

    /// Takes the bytes that have arrived. True if nothing was open at some moment, so that
    /// whatever is open now has begun among these bytes.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> bool {
        let mut was_closed = false;
        loop {
            let (_, rest) = bytes.split_at(self.left.min(bytes.len()));
            self.left -= bytes.len() - rest.len();
            was_closed |= !self.is_open();
            let Some((byte, rest)) = rest.split_first() else { return was_closed };
            self.read_head(*byte);
            bytes = rest;
        }
    }

    fn read_head(&mut self, byte: u8) {
        match self.head {
            0..=2 => self.length = (self.length << 8) | usize::from(byte),
            3 => self.kind = byte,
            4 => self.flags = byte,
            _ => {}
        }
        self.head += 1;
        if self.head == HEAD_BYTES {
            self.head = 0;
            self.left = std::mem::take(&mut self.length);
            self.is_block_open = matches!(self.kind, HEADERS | CONTINUATION) && self.flags & END_HEADERS == 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.resize(HEAD_BYTES + payload, 7);
        frame
    }

    #[test]
    fn only_a_frame_or_a_list_of_headers_that_has_begun_is_open() {
        const SETTINGS: u8 = 4;
        let steps: [(Vec<u8>, bool, bool); 13] = [
            (PREFACE[..20].to_vec(), true, false),
            (PREFACE[20..].to_vec(), true, false),
            (frame(SETTINGS, 0, 12), false, true),
            (frame(HEADERS, END_HEADERS, 300), false, true),
            (frame(HEADERS, 0, 300), true, true),
            (frame(CONTINUATION, 0, 0), true, false),
            (frame(CONTINUATION, END_HEADERS, 70_000), false, true),
            (frame(DATA, 0, 100)[..50].to_vec(), false, true),
            (vec![7; 59], false, true),
            (frame(SETTINGS, 0, 6)[..3].to_vec(), true, true),
            (frame(SETTINGS, 0, 6)[3..].to_vec(), false, true),
            (frame(HEADERS, END_HEADERS, 9)[..17].to_vec(), true, true),
            ([&[7], &frame(SETTINGS, 0, 6)[..3]].concat(), true, true),
        ];
        let (mut whole, mut bytewise) = (Frames::new(), Frames::new());
        assert!(whole.is_open(), "a new connection owes its first frame");
        for (step, (bytes, expected, was_closed)) in steps.into_iter().enumerate() {
            assert_eq!(whole.read(&bytes), was_closed, "step {step}");
            bytes.iter().for_each(|byte| _ = bytewise.read(&[*byte]));
            assert_eq!((whole.is_open(), bytewise.is_open()), (expected, expected), "step {step}");
        }
    }
}
