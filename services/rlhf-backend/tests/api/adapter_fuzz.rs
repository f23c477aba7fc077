//! Files of adapters that are broken in every way a seeded chance finds: no panic, no more memory than the file has, and what is taken is counted
//! within the file.

use std::path::Path;

use domain::adapter::{CONFIG_FILE, WEIGHTS_FILE, check, safetensors};
use testkit::fuzz;

const SAVED: [&str; 8] = ["pattern", "regex", "dora", "save", "conv", "bias", "lorabias", "rslora"];

fn read(name: &str, file: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/domain/tests/data/peft").join(name).join(file)).unwrap()
}

#[test]
fn broken_adapters_are_refused_with_words_or_counted_within_the_file() {
    let configs: Vec<Vec<u8>> = SAVED.iter().map(|name| read(name, CONFIG_FILE)).collect();
    let weights: Vec<Vec<u8>> = SAVED.iter().map(|name| read(name, WEIGHTS_FILE)).collect();
    let held = fuzz::resident();
    let (mut taken, mut refused) = (0_u64, 0_u64);
    let given = fuzz::run("adapters", 6_000, &weights, |chance, file| {
        let config = if chance.below(2) == 0 { chance.one_of(&configs).clone() } else { chance.broken(&configs) };
        let size = file.len() as u64;
        let header = match safetensors::header_bytes(&file[..file.len().min(8)], size) {
            Ok(bytes) => usize::try_from(bytes).unwrap(),
            Err(why) => {
                refused += 1;
                return assert!(!why.is_empty());
            }
        };
        assert!(8 + header <= file.len(), "the header lies in the file");
        match check(&config, &file[8..8 + header], size) {
            Ok(adapter) => {
                taken += 1;
                assert!(adapter.parameters_count > 0 && adapter.parameters_count <= size, "{adapter:?} of {size} bytes");
            }
            Err(invalid) => {
                refused += 1;
                assert!(invalid.fields.iter().all(|field| !field.message.is_empty() && field.message.len() < 4_000), "{invalid}");
            }
        }
    });
    println!("adapters: {given} files, {taken} taken, {refused} refused");
    assert!(taken > given / 100 && refused > given / 10, "the fuzz reaches nothing");
    assert!(fuzz::resident().saturating_sub(held) < 64 << 20, "memory grows with broken files");
}
