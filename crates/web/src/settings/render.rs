//! The two files that list all keys, rendered from the table so that they cannot go stale.

use super::key::{DefaultValue, Key};
use super::keys::KEYS;

/// Text of `.env.example`: every key, commented out, with its default or an example.
#[must_use]
pub fn render_env_example() -> String {
    let mut text = String::from(
        "# Copy to .env and change what you need. In development every key may stay unset.\n\
         # Each KEY may also be given as KEY_FILE: the path of a file that holds the value.\n\
         # Written from the table of keys in crates/web/src/settings/keys.rs; docs/configuration.md explains it.\n",
    );
    for key in KEYS {
        let value = match key.default {
            DefaultValue::Value(value) => value,
            _ => key.example,
        };
        let value = if value.contains(' ') { format!("\"{value}\"") } else { value.to_owned() };
        text.push_str(&format!("\n# {}\n# Default: {}\n# {}={value}\n", key.help, default_words(key), key.name));
    }
    text
}

/// Text of `docs/configuration.md`.
#[must_use]
pub fn render_configuration_table() -> String {
    let mut text = String::from(
        "# Configuration\n\n\
         Values come from the environment, then (in development) from `.env` in the working directory, then from the TOML file named by\n\
         `ENDCAP_CONFIG_FILE`, then from the defaults below. An empty variable counts as unset. Every `KEY` may be given as `KEY_FILE`, the path of a file that holds the value:\n\
         use it for secrets. Unknown `ENDCAP_` keys, unknown keys in the file and bad values stop the start and name the key, the problem and an example; `--check-config` does only this check.\n\
         The file uses the same names, in upper or lower case: `endcap_signup = \"closed\"`. This page is written from `crates/web/src/settings/keys.rs`.\n\n\
         | key | default | what it does | example |\n|---|---|---|---|\n",
    );
    for key in KEYS {
        let secret = if key.secret { " *(secret)*" } else { "" };
        text.push_str(&format!("| `{}`{secret} | {} | {} | `{}` |\n", key.name, default_cell(key), key.help, key.example));
    }
    text
}

fn default_words(key: &Key) -> &'static str {
    match key.default {
        DefaultValue::Value(value) | DefaultValue::Derived(value) => value,
        DefaultValue::Absent => "none",
    }
}

fn default_cell(key: &Key) -> String {
    match key.default {
        DefaultValue::Value(value) => format!("`{value}`"),
        DefaultValue::Derived(words) => words.to_owned(),
        DefaultValue::Absent => "none".to_owned(),
    }
}
