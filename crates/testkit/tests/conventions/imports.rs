//! Who may import whom. What only tests need is exempt: a test may look from any side.

use std::collections::BTreeMap;

use crate::workspace::{Package, assert_none, packages, rust_files};

const EVERY_CRATE: [&str; 8] = ["domain", "storage", "learning", "planning", "realtime", "supabase", "peers", "web"];

/// Our rooms, and the rooms each may import.
fn allowed(package: &Package) -> Option<Vec<&'static str>> {
    if package.is_service || package.name == "endcap" {
        return Some(EVERY_CRATE.to_vec());
    }
    let table = BTreeMap::from([
        ("domain", vec![]),
        ("storage", vec!["domain"]),
        ("learning", vec!["domain"]),
        ("planning", vec!["domain"]),
        ("realtime", vec!["domain"]),
        ("supabase", vec!["domain"]),
        ("peers", vec!["domain"]),
        ("web", vec!["domain", "storage", "peers"]),
        ("testkit", vec!["domain", "storage"]),
    ]);
    table.get(package.name.as_str()).cloned()
}

/// The packages that import one of these crates and may not.
fn strangers(crates: &[&str], may: impl Fn(&Package) -> bool) -> Vec<String> {
    let packages = packages();
    let outsiders = packages.iter().filter(|p| !may(p));
    outsiders
        .flat_map(|p| p.dependencies.iter().filter(|d| crates.contains(&d.as_str())).map(|d| format!("{} imports {d}", p.name)))
        .collect()
}

#[test]
fn rooms_import_only_the_rooms_below_them() {
    let packages = packages();
    let ours: Vec<&str> = packages.iter().map(|p| p.name.as_str()).collect();
    let mut breaches = Vec::new();
    for package in &packages {
        let Some(allowed) = allowed(package) else {
            breaches.push(format!("{} is a new room: give it a row in this table and a reason in docs/architecture.md", package.name));
            continue;
        };
        let imported = package.dependencies.iter().map(String::as_str).filter(|d| ours.contains(d));
        breaches.extend(imported.filter(|d| !allowed.contains(d)).map(|d| format!("{} imports {d}", package.name)));
    }
    assert_none(&breaches, "rooms import only the rooms below them");
}

#[test]
fn services_never_import_each_other() {
    let services: Vec<String> = packages().into_iter().filter(|p| p.is_service).map(|p| p.name).collect();
    assert_eq!(services.len(), 3);
    let names: Vec<&str> = services.iter().map(String::as_str).collect();
    assert_none(&strangers(&names, |_| false), "a service is reached through `peers`, never imported");
}

#[test]
fn only_storage_knows_the_databases() {
    let crates = ["diesel", "diesel_migrations", "libsqlite3-sys", "r2d2"];
    assert_none(&strangers(&crates, |p| p.name == "storage"), "SQL lives in `storage`");
}

#[test]
fn only_the_edges_know_the_http_server() {
    let may = |p: &Package| p.is_service || ["web", "realtime"].contains(&p.name.as_str());
    assert_none(&strangers(&["actix-web", "actix-http"], may), "the HTTP server lives in `web`, `realtime` and the services");
}

#[test]
fn only_the_rooms_that_call_out_know_http_clients() {
    // `testkit` answers sockets: its stand-in of a hosted project is a server.
    let may = |p: &Package| ["peers", "supabase", "realtime", "endcap", "testkit"].contains(&p.name.as_str());
    assert_none(
        &strangers(&["reqwest", "tokio-tungstenite", "object_store"], may),
        "calls go out through `peers`, `supabase`, `realtime` or `endcap`",
    );
}

#[test]
fn one_room_knows_the_old_http_stack() {
    let may = |p: &Package| p.name == "supabase";
    assert_none(&strangers(&["postgrest"], may), "the `postgrest` crate is for `supabase::rest`");
}

#[test]
fn errors_without_a_type_stay_in_programs_and_tests() {
    let may = |p: &Package| p.is_service || ["endcap", "testkit"].contains(&p.name.as_str());
    let mut breaches = strangers(&["anyhow"], may);
    let services = rust_files("src").into_iter().filter(|f| f.path.starts_with("services/") && !f.path.ends_with("/main.rs"));
    breaches.extend(services.filter(|f| f.text.contains("anyhow")).map(|f| format!("{} uses anyhow", f.path)));
    assert_none(&breaches, "`anyhow` is for main.rs, `endcap` and `testkit`");
}

#[test]
fn one_module_of_web_knows_storage() {
    let knows =
        |text: &str| text.lines().map(str::trim).any(|l| !l.starts_with("//") && (l.contains("storage::") || l.contains("use storage")));
    let is_place = |path: &str| path == "crates/web/src/database.rs" || path.starts_with("crates/web/src/database/");
    let files = rust_files("src").into_iter().filter(|f| f.path.starts_with("crates/web/") && !is_place(&f.path));
    let breaches: Vec<String> = files.filter(|f| knows(&f.text)).map(|f| f.path).collect();
    assert_none(&breaches, "only `web::database` imports `storage`");
}

#[test]
fn what_tests_share_is_never_shipped() {
    assert_none(&strangers(&["testkit", "proptest"], |_| false), "test tools are dev-dependencies");
}
