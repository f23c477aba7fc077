//! The header of a safetensors file, read strictly: what the format's own description demands is checked here, so that a file that
//! passes can be mapped by any reader without looking twice.
//!
//! ```text
//! 8 bytes  n, little endian | n bytes of JSON, spaces at its end | tensors, side by side
//! {"name": {"dtype": "F16", "shape": [8, 64], "data_offsets": [0, 1024]}, "__metadata__": {"format": "pt"}}
//! ```

use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// Bytes before the header.
pub const PREFIX_BYTES: u64 = 8;

/// Longest header read: one of a LoRA adapter has some hundred bytes for each of some thousand tensors.
pub const MAX_HEADER_BYTES: u64 = 16 << 20;

/// One tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// What its numbers are.
    pub dtype: String,
    /// Its dimensions; none for a single number.
    pub shape: Vec<u64>,
}

impl Tensor {
    /// How many numbers it has. The parser has seen that this does not overflow.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.shape.iter().product()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether its numbers are floating-point ones that weights are stored in.
    #[must_use]
    pub fn is_of_floats(&self) -> bool {
        matches!(self.dtype.as_str(), "F64" | "F32" | "F16" | "BF16" | "F8_E4M3" | "F8_E5M2")
    }
}

/// Bits of one number.
fn bits_of(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" | "F8_E4M3FNUZ" | "F8_E5M2FNUZ" => 8,
        "I16" | "U16" | "F16" | "BF16" => 16,
        "I32" | "U32" | "F32" => 32,
        "I64" | "U64" | "F64" | "C64" => 64,
        _ => return None,
    })
}

/// Length of the header, from the first eight bytes of a file of `file_bytes`.
///
/// # Errors
/// A sentence on what the file is instead.
pub fn header_bytes(first: &[u8], file_bytes: u64) -> Result<u64, String> {
    if first.starts_with(b"PK\x03\x04") || matches!(first, [0x80, 2..=5, ..]) {
        return Err("is a pickle of PyTorch, which runs code when it is loaded; save it with safe_serialization=True".to_owned());
    }
    let Some(prefix) = first.first_chunk::<8>().filter(|_| file_bytes >= PREFIX_BYTES) else {
        return Err(format!("has {file_bytes} bytes, too few for a safetensors file"));
    };
    let n = u64::from_le_bytes(*prefix);
    if n > MAX_HEADER_BYTES {
        return Err(format!("is no safetensors file: it would have a header of {n} bytes, and {MAX_HEADER_BYTES} are read at most"));
    }
    if n < 2 || n > file_bytes - PREFIX_BYTES {
        return Err(format!("is cut off or no safetensors file: it says that its header has {n} bytes, and it has {file_bytes} in all"));
    }
    Ok(n)
}

/// The tensors of a file of `file_bytes`, in the order of their bytes.
///
/// # Errors
/// A sentence on the first rule that is broken.
pub fn parse(header: &[u8], file_bytes: u64) -> Result<Vec<Tensor>, String> {
    if header.first() != Some(&b'{') {
        return Err("has a header that does not begin with {".to_owned());
    }
    let whole = u64::try_from(header.len()).unwrap_or(u64::MAX);
    let end = header.iter().rposition(|byte| *byte != b' ').map_or(0, |at| at + 1);
    let json = header.get(..end).unwrap_or_default();
    if json.last() != Some(&b'}') {
        return Err("has something but spaces after the JSON of its header".to_owned());
    }
    let text = std::str::from_utf8(json).map_err(|error| format!("has a header that is not UTF-8: {error}"))?;
    let header: Header = serde_json::from_str(text).map_err(|error| format!("has a header that is wrong: {error}"))?;
    place(header.tensors, file_bytes.saturating_sub(PREFIX_BYTES).saturating_sub(whole))
}

fn place(mut entries: Vec<(String, Entry)>, held: u64) -> Result<Vec<Tensor>, String> {
    entries.sort_by_key(|(_, entry)| entry.data_offsets);
    let mut at = 0;
    let mut tensors = Vec::with_capacity(entries.len());
    for (name, Entry { dtype, shape, data_offsets: (begin, end) }) in entries {
        let shown: String = name.chars().take(200).collect();
        let bits = bits_of(&dtype).ok_or_else(|| format!("has the tensor {shown:?} of the unknown dtype {dtype:?}"))?;
        let needed = shape.iter().try_fold(bits, |product, dimension| product.checked_mul(*dimension));
        let needed = needed.filter(|bits| bits % 8 == 0).map(|bits| bits / 8);
        if begin > end || needed != Some(end - begin) {
            return Err(format!(
                "has the tensor {shown:?} whose shape {shape:?} of {dtype} does not fill its offsets {begin} to {end} exactly"
            ));
        }
        if begin != at {
            let what = if begin < at { "overlaps the one before it" } else { "leaves a hole before it" };
            return Err(format!("has the tensor {shown:?} that {what}: it begins at {begin}, and {at} comes next"));
        }
        if end > held {
            return Err(format!("is cut off: the tensor {shown:?} ends at {end}, and {held} bytes of tensors are there"));
        }
        at = end;
        tensors.push(Tensor { name, dtype, shape });
    }
    if at != held {
        return Err(format!("has {} bytes behind its last tensor", held - at));
    }
    Ok(tensors)
}

struct Header {
    tensors: Vec<(String, Entry)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tensors;
        impl<'de> Visitor<'de> for Tensors {
            type Value = Header;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let (mut seen, mut tensors) = (HashSet::new(), Vec::new());
                while let Some(name) = map.next_key::<String>()? {
                    if !seen.insert(name.clone()) {
                        return Err(A::Error::custom(format!("the key {name:?} is there twice")));
                    }
                    if name == "__metadata__" {
                        map.next_value::<Unique<String>>()?;
                    } else {
                        tensors.push((name, map.next_value()?));
                    }
                }
                Ok(Header { tensors })
            }
        }
        deserializer.deserialize_map(Tensors)
    }
}

/// An object whose keys are all different, looked at and dropped.
struct Unique<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Unique<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Pairs<T> {
            type Value = Unique<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of texts")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique<T>, A::Error> {
                let mut seen = HashSet::new();
                while let Some((name, _)) = map.next_entry::<String, T>()? {
                    if !seen.insert(name.clone()) {
                        return Err(A::Error::custom(format!("the key {name:?} is there twice in __metadata__")));
                    }
                }
                Ok(Unique(PhantomData))
            }
        }
        deserializer.deserialize_map(Pairs(PhantomData))
    }
}
