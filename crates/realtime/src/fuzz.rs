//! Malformed input: frames of captured sessions, broken in every way that a seeded chance finds, in both serialisations. Nothing may panic, and
//! when the clients are gone nothing may be left of them. `ENDCAP_FUZZ_INPUTS` sets how many inputs there are, `ENDCAP_FUZZ_SEED` which.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use bytes::Bytes;
use serde_json::Value;

use crate::frame::Version;
use crate::limits::Limits;
use crate::testing::{Client, at, hub};

const CAPTURES: [&str; 3] = [
    include_str!("protocol/captures/supabase-js-2.119.1_node20ws_vsn1.jsonl"),
    include_str!("protocol/captures/supabase-js-2.119.1_node22_vsn2.jsonl"),
    include_str!("protocol/captures/supabase-py-2.34.1_vsn1.jsonl"),
];
/// Pieces that parsers trip over.
const PIECES: [&str; 24] = [
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    "null",
    "true",
    "1e999",
    "-0",
    "9223372036854775808",
    "\u{feff}",
    "realtime:",
    "phx_join",
    "access_token",
    "presence",
    "postgres_changes",
    "\"filter\":\"id=in.(,\\\"\"",
    "\"replay\":{\"after\":-1}",
    "\"private\":\"TRUE\"",
];
/// Inputs of one client before it goes away.
const INPUTS_PER_CLIENT: u64 = 200;
/// What may be held after the last client, beyond what was held after the first tenth: allocators keep some.
const GROWTH_BYTES: usize = 8 * 1024 * 1024;

/// Xorshift: the same inputs for the same seed.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(most.max(1)).unwrap()).unwrap()
    }
}

/// All frames that clients sent in the captures, text and binary.
fn corpus() -> Vec<Vec<u8>> {
    let lines = CAPTURES.iter().flat_map(|capture| capture.lines()).filter(|line| !line.starts_with('#'));
    let steps = lines.map(|line| serde_json::from_str::<Value>(line).unwrap()).filter(|step| step["dir"] == "in");
    let frames = steps.filter_map(|step| match (step["txt"].as_str(), step["bin"].as_str()) {
        (Some(text), _) => Some(text.as_bytes().to_vec()),
        (None, Some(hex)) => Some((0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap()).collect()),
        (None, None) => None,
    });
    frames.collect()
}

/// Which of the clients a frame was made for: an object is of 1.0.0, anything else of 2.0.0.
fn speaker(frame: &[u8], chance: &mut Chance) -> usize {
    // The clients come in turns, and now and then one hears what was made for another.
    let version = usize::from(frame.first() != Some(&b'{')) ^ usize::from(chance.below(8) == 0);
    version + 2 * chance.below(2)
}

/// One frame, changed in up to four places: some stay whole, so that the broken ones meet channels that are joined.
fn broken(corpus: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut frame = corpus[chance.below(corpus.len())].clone();
    for _ in 0..chance.below(5) {
        let place = chance.below(frame.len() + 1);
        match chance.below(9) {
            0 => frame.truncate(place),
            1 => frame.insert(place, chance.next().to_le_bytes()[0]),
            2 => drop(frame.splice(place..place, PIECES[chance.below(PIECES.len())].bytes()).collect::<Vec<_>>()),
            3 if place < frame.len() => frame[place] ^= 1 << chance.below(8),
            4 if place < frame.len() => drop(frame.remove(place)),
            5 => {
                let end = (place + chance.below(40)).min(frame.len());
                frame.drain(place..end);
            }
            6 => {
                let other = &corpus[chance.below(corpus.len())];
                let from = chance.below(other.len());
                frame.truncate(place);
                frame.extend_from_slice(&other[from..]);
            }
            7 => {
                let again = frame[place.saturating_sub(60)..place].to_vec();
                drop(frame.splice(place..place, again).collect::<Vec<_>>());
            }
            8 => frame.splice(place..place, "[".repeat(chance.below(300)).bytes()).for_each(drop),
            _ => {}
        }
    }
    frame
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4096
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn broken_frames_do_no_harm_and_leave_nothing_behind() {
    let (inputs, seed) = (number("ENDCAP_FUZZ_INPUTS", 20_000), number("ENDCAP_FUZZ_SEED", 0x5eed));
    let (corpus, hub) = (corpus(), hub(Limits::default()));
    assert!(corpus.len() > 20, "{} frames to break", corpus.len());
    let mut chance = Chance(seed | 1);
    let (mut clients, mut answered, mut held) = (Vec::new(), 0_u64, 0);
    for input in 0..inputs {
        if input % INPUTS_PER_CLIENT == 0 {
            // Two of either serialisation, so that broken frames meet each other's rooms.
            let make = |version| Client::new(&hub, version, ["sb_key", "<jwt>"][usize::from(input % 400 == 0)]);
            clients = [Version::V1, Version::V2, Version::V1, Version::V2].map(make).into();
        }
        if input == inputs / 10 {
            held = resident();
        }
        let frame = broken(&corpus, &mut chance);
        let which = speaker(&frame, &mut chance);
        let client: &mut Client = &mut clients[which];
        let now = at(input % INPUTS_PER_CLIENT);
        let answer = match std::str::from_utf8(&frame) {
            // What is no text never comes as a text frame: the socket closes before.
            Ok(text) if chance.below(8) > 0 => client.protocol.receive_text(text, now),
            _ => client.protocol.receive_binary(&Bytes::from(frame), now),
        };
        answered += u64::from(!answer.frames.is_empty());
        for frame in &answer.frames {
            client.read(frame);
        }
        for client in &mut clients {
            client.heard();
        }
    }
    drop(clients);
    assert!(answered > inputs / 10, "only {answered} of {inputs} inputs were understood at all: the fuzz is too wild to reach anything");
    assert_eq!(hub.connections(), 0);
    assert_eq!(hub.rooms(), 0);
    assert_eq!(hub.tenants().count(), 0);
    let grown = resident().saturating_sub(held);
    assert!(grown < GROWTH_BYTES, "{grown} bytes more than after the first tenth");
    println!("{inputs} inputs, {answered} answered, {grown} bytes more than after the first tenth");
}
