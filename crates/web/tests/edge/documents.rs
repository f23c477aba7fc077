//! The files that are rendered from tables in the code are the files in the repository.

use web::problem::codes::{CODES, render_errors_page};
use web::settings::{KEYS, render_configuration_table, render_env_example};

/// Compares, or writes when `UPDATE_DOCUMENTS` is set.
fn is_kept(path: &str, rendered: &str) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        std::fs::write(&file, rendered).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == rendered, "{path} differs from its table in the code; run: UPDATE_DOCUMENTS=1 cargo test -p web documents");
}

#[test]
fn env_example_lists_every_key() {
    is_kept(".env.example", &render_env_example());
    for key in KEYS {
        assert!(render_env_example().contains(&format!("# {}=", key.name)), "{}", key.name);
    }
}

#[test]
fn configuration_page_is_the_table() {
    is_kept("docs/configuration.md", &render_configuration_table());
}

#[test]
fn errors_page_is_the_table_and_codes_are_unique() {
    is_kept("docs/errors.md", &render_errors_page());
    for (i, entry) in CODES.iter().enumerate() {
        assert!(CODES.iter().skip(i + 1).all(|other| other.code != entry.code), "{} is there twice", entry.code);
        assert!((400..600).contains(&entry.status) && entry.meaning.ends_with('.') && entry.what_to_do.ends_with('.'), "{}", entry.code);
    }
}
