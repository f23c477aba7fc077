//! However the bytes of a client are cut into pieces, the same messages come out; and no bytes at all do any harm.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use bytes::BytesMut;

use super::{Heard, Reader};
use crate::end::End;

const MOST: usize = 400;

/// Xorshift: the same inputs for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(most).unwrap()).unwrap()
    }
}

/// A frame with a mask; some are as no client should send them.
fn frame(chance: &mut Chance) -> Vec<u8> {
    let first = [0x81, 0x82, 0x01, 0x00, 0x80, 0x80, 0x89, 0x8a, 0x81, 0x82][chance.below(10)];
    let length = [0, 1, 20, 125, 126, 300][chance.below(if first >= 0x89 { 4 } else { 6 })];
    let mut frame = vec![first];
    match length {
        126.. => frame.extend([0x80 | 126, u8::try_from(length >> 8).unwrap(), u8::try_from(length & 0xff).unwrap()]),
        _ => frame.push(0x80 | u8::try_from(length).unwrap()),
    }
    let mask: [u8; 4] = std::array::from_fn(|_| u8::try_from(chance.below(256)).unwrap());
    frame.extend(mask);
    frame.extend((0..length).map(|place| b'a' ^ mask[place % 4]));
    if chance.below(20) == 0 {
        let place = chance.below(frame.len());
        frame[place] ^= 1 << chance.below(8);
    }
    frame
}

/// What is heard of these pieces, and how it ends.
fn read(pieces: &[&[u8]]) -> (Vec<Heard>, Option<End>) {
    let mut reader = Reader::new(BytesMut::new(), MOST);
    let mut heard = Vec::new();
    for piece in pieces {
        reader.buffer.extend_from_slice(piece);
        loop {
            match reader.next() {
                Ok(Some(message)) => heard.push(message),
                Ok(None) => break,
                Err(end) => return (heard, Some(end)),
            }
        }
        assert!(reader.buffer.len() <= MOST + 14, "more waits than one frame has");
    }
    (heard, None)
}

#[test]
fn bytes_in_any_pieces_are_the_same_messages_and_the_same_end() {
    let inputs = std::env::var("ENDCAP_FUZZ_INPUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(5_000);
    let mut chance = Chance(0x5eed);
    let (mut messages, mut ends) = (0, 0);
    for _ in 0..inputs {
        let bytes: Vec<u8> = (0..1 + chance.below(8)).flat_map(|_| frame(&mut chance)).collect();
        let at_once = read(&[&bytes]);
        let one_by_one = read(&bytes.chunks(1).collect::<Vec<_>>());
        assert_eq!(at_once, one_by_one, "{bytes:x?}");
        messages += at_once.0.len();
        ends += usize::from(at_once.1.is_some());
    }
    assert!(messages > inputs && ends > inputs / 20 && ends < inputs, "{messages} messages and {ends} ends of {inputs} inputs");
}
