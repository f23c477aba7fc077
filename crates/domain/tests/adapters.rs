//! LoRA adapters: files that PEFT saved are taken, and each rule of the format and of the configuration refuses the file that breaks it.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use domain::adapter::{Adapter, CONFIG_FILE, WEIGHTS_FILE, check, is_pickle, safetensors};
use domain::invalid::Invalid;
use serde_json::{Value, json};

/// Checks as the service does: from the whole file.
fn look(config: &[u8], file: &[u8]) -> Result<Adapter, Invalid> {
    let wrong = |why| Invalid::one(WEIGHTS_FILE, why);
    let size = file.len() as u64;
    let n = safetensors::header_bytes(&file[..file.len().min(8)], size).map_err(wrong)?;
    check(config, &file[8..8 + usize::try_from(n).unwrap()], size)
}

#[test]
fn adapters_that_peft_saved_are_taken() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/peft");
    for (name, modules, parameters, remarks) in [
        ("pattern", 4, 192, 1),
        ("regex", 4, 224, 2),
        ("dora", 2, 144, 1),
        ("save", 2, 138, 1),
        ("conv", 4, 372, 1),
        ("bias", 2, 144, 1),
        ("lorabias", 2, 144, 1),
        ("rslora", 1, 64, 1),
    ] {
        let read = |file: &str| std::fs::read(folder.join(name).join(file)).unwrap();
        let adapter = look(&read(CONFIG_FILE), &read(WEIGHTS_FILE)).unwrap_or_else(|invalid| panic!("{name}: {invalid}"));
        assert_eq!((adapter.modules_count, adapter.parameters_count, adapter.rank), (modules, parameters, 4), "{name}");
        assert_eq!((adapter.dtypes, adapter.alpha), (vec!["F32".to_owned()], 8.0), "{name}");
        assert_eq!(adapter.not_checked.len(), remarks, "{name}: {:?}", adapter.not_checked);
    }
}

/// A file with this header and so many bytes of tensors, byte for byte as the format has it.
fn file(header: &str, held: usize) -> Vec<u8> {
    let mut bytes = u64::try_from(header.len()).unwrap().to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + held, 0);
    bytes
}

const A: &str = "base_model.model.m.q_proj.lora_A.weight";
const B: &str = "base_model.model.m.q_proj.lora_B.weight";

fn config() -> Value {
    json!({"peft_type": "LORA", "base_model_name_or_path": "acme/tiny", "r": 2, "lora_alpha": 4, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"})
}

/// The header of A [2, 3] and B [4, 2] in F16: 12 and 16 bytes.
fn good() -> String {
    format!(
        r#"{{"__metadata__":{{"format":"pt"}},"{A}":{{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]}},"{B}":{{"dtype":"F16","shape":[4,2],"data_offsets":[12,28]}}}}"#
    )
}

#[test]
fn a_file_written_byte_for_byte_is_taken() {
    let adapter = look(config().to_string().as_bytes(), &file(&good(), 28)).unwrap();
    assert_eq!((adapter.base_model.as_str(), adapter.rank, adapter.parameters_count), ("acme/tiny", 2, 14));
    assert_eq!((adapter.dtypes, adapter.task_type.as_deref(), adapter.not_checked.len()), (vec!["F16".to_owned()], Some("CAUSAL_LM"), 0));
    look(config().to_string().as_bytes(), &file(&(good() + "    "), 28)).unwrap();
}

#[test]
fn a_file_that_breaks_the_format_is_refused_with_the_reason() {
    let changed = |from: &str, to: &str| file(&good().replacen(from, to, 1), 28);
    let mut long_header = file(&good(), 28);
    long_header[..8].copy_from_slice(&(17_u64 << 20).to_le_bytes());
    let mut beyond = file(&good(), 28);
    beyond[..8].copy_from_slice(&1_000_u64.to_le_bytes());
    let mut not_text = file(&good(), 28);
    not_text[20] = 0xff;
    let deep = format!("{{\"a\":{}", "[".repeat(10_000));
    for (bytes, words) in [
        (b"PK\x03\x04 a zip of PyTorch, and so on".to_vec(), "pickle"),
        (b"\x80\x02}q\x00. a bare pickle".to_vec(), "pickle"),
        (Vec::new(), "too few"),
        (vec![1, 0, 0], "too few"),
        (long_header, "read at most"),
        (beyond, "cut off or no safetensors"),
        (file("", 28), "cut off or no safetensors"),
        (file("[]", 0), "begin with {"),
        (file(&format!(" {}", good()), 28), "begin with {"),
        (file(&format!("{}\n", good()), 28), "after the JSON"),
        (file(&format!("{}\0", good()), 28), "after the JSON"),
        (file(&format!("{}{{}}", good()), 28), "trailing"),
        (not_text, "not UTF-8"),
        (file(&format!("{deep}}}"), 0), "wrong"),
        (file("{\"a\":}", 0), "wrong"),
        (changed("\"shape\":[2,3],", ""), "missing field `shape`"),
        (changed("\"shape\":[2,3]", "\"shape\":[2,-3]"), "wrong"),
        (changed("\"shape\":[2,3]", "\"shape\":[2,3.0]"), "wrong"),
        (changed("\"shape\":[2,3]", "\"shape\":[2,3],\"more\":1"), "unknown field `more`"),
        (changed("\"shape\":[2,3]", "\"shape\":[2,3],\"shape\":[2,3]"), "duplicate field `shape`"),
        (changed("[0,12]", "[0,12,13]"), "wrong"),
        (changed("[0,12]", "[0,11]"), "does not fill"),
        (changed("[0,12]", "[12,0]"), "does not fill"),
        (changed("[2,3]", "[4294967296,4294967296,4294967296]"), "does not fill"),
        (changed("F16", "F17"), "unknown dtype \"F17\""),
        (changed("{\"format\":\"pt\"}", "{\"format\":1}"), "wrong"),
        (changed("{\"format\":\"pt\"}", "{\"a\":\"x\",\"a\":\"y\"}"), "twice in __metadata__"),
        (changed(B, A), "is there twice"),
        (changed("[12,28]", "[10,26]"), "overlaps"),
        (changed("[12,28]", "[14,30]"), "hole"),
        (changed("[0,12]", "[18446744073709551604,18446744073709551615]"), "hole"),
        (file(&good(), 27), "cut off"),
        (file(&good(), 29), "1 bytes behind"),
        (file(&(good() + " "), 27), "cut off"),
        (file("{}", 5), "5 bytes behind"),
    ] {
        let refused = look(config().to_string().as_bytes(), &bytes).unwrap_err();
        assert!(refused.to_string().contains(words), "{words}: {refused}");
        assert_eq!(refused.fields[0].field, WEIGHTS_FILE);
    }
}

#[test]
fn weights_that_do_not_fit_the_configuration_are_refused_with_the_reason() {
    let with = |field: &str, value: Value| {
        let mut config = config();
        config[field] = value;
        (config.to_string(), file(&good(), 28))
    };
    let tensors = |header: &str, held| (config().to_string(), file(header, held));
    let changed = |from: &str, to: &str| tensors(&good().replace(from, to), 28);
    let one = format!(r#"{{"{A}":{{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]}}}}"#);
    let extra = |name: &str, dtype: &str| {
        format!(r#"{},"{name}":{{"dtype":"{dtype}","shape":[1],"data_offsets":[28,29]}}}}"#, good().strip_suffix('}').unwrap())
    };
    for ((config, bytes), words) in [
        (with("peft_type", json!("IA3")), "only LORA"),
        (with("r", json!(0)), "must be from 1"),
        (with("r", json!(4)), "with rank 4 they must be [4, in] and [out, 4]"),
        (with("r", json!(-2)), "is -2; it must be a whole number such as 16"),
        (with("lora_alpha", json!("32")), "it must be a number such as 32"),
        (with("use_dora", json!("yes")), "it must be true or false"),
        (with("lora_alpha", json!(0)), "must be over 0"),
        (with("target_modules", Value::Null), "must name the modules"),
        (with("target_modules", json!([])), "list of names"),
        (with("target_modules", json!([1])), "list of names"),
        (with("target_modules", json!(["v_proj"])), "none of target_modules"),
        (with("target_modules", json!(["q_proj", "v_proj"])), "has nothing for \"v_proj\""),
        (with("target_modules", json!(["proj"])), "none of target_modules"),
        (with("rank_pattern", json!({"m.q_proj": 3})), "with rank 3"),
        (with("rank_pattern", json!({"q": 0})), "the rank 0"),
        (with("base_model_name_or_path", json!("x".repeat(301))), "at most 300"),
        (("{".to_owned(), file(&good(), 28)), "is no JSON: line 1"),
        (("[]".to_owned(), file(&good(), 28)), "is a list, not an object"),
        (("{}".to_owned(), file(&good(), 28)), "is missing; it must be a text such as \"LORA\""),
        (changed("[2,3]", "[3,2]"), "with rank 2"),
        (changed("[4,2]", "[2,4]"), "with rank 2"),
        (changed("[4,2]", "[8]"), "both must be matrices"),
        (changed("[4,2]", "[4,2,1]"), "both must be matrices"),
        (changed("lora_B", "lora_C"), "says nothing of"),
        (changed("base_model.model.m.q_proj.lora_A", "m.q_proj.lora_A"), "does not begin with base_model.model."),
        (tensors(&one, 12), "lora_A and no lora_B"),
        (tensors(&one.replace("lora_A", "lora_B"), 12), "lora_B and no lora_A"),
        (tensors("{}", 0), "no matrices"),
        (changed("F16", "I16"), "no type of weights"),
        (tensors(&extra("base_model.model.score.weight", "F8_E4M3"), 29), "says nothing of"),
        (tensors(&extra("base_model.model.m.q_proj.lora_magnitude_vector", "F8_E4M3"), 29), "says nothing of"),
        (tensors(&extra("base_model.model.m.q_proj.lora_B.bias", "F8_E4M3"), 29), "says nothing of"),
    ] {
        let refused = look(config.as_bytes(), &bytes).unwrap_err();
        assert!(refused.to_string().contains(words), "{words}: {refused}");
    }
}

#[test]
fn ranks_by_patterns_that_are_no_names_are_compared_with_each_other() {
    let mut config = config();
    config["rank_pattern"] = json!({"^m\\..*": 7});
    let adapter = look(config.to_string().as_bytes(), &file(&good(), 28)).unwrap();
    assert!(adapter.not_checked[0].contains("rank_pattern"), "{:?}", adapter.not_checked);
    let uneven = good().replace("[4,2]", "[2,4]");
    assert!(look(config.to_string().as_bytes(), &file(&uneven, 28)).unwrap_err().to_string().contains("must be [r, in] and [out, r]"));
}

#[test]
fn pickles_are_known_by_their_endings() {
    for (name, is_one) in
        [("adapter_model.bin", true), ("a.PT", true), ("x.pkl", true), ("adapter_model.safetensors", false), ("bin", false)]
    {
        assert_eq!(is_pickle(name), is_one, "{name}");
    }
}
