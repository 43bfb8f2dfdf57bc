//! Embeds the web pages (web/dist) with feature `ui`, when they were built; without them the server still serves its API.
//!
//! Never runs npm: the pages are committed. `cfg(parlour_ui)` tells `src/http/assets.rs` whether they are there.

use std::path::Path;

const DIST: &str = "web/dist";

fn main() {
    println!("cargo::rustc-check-cfg=cfg(parlour_ui)");
    println!("cargo::rerun-if-changed=build.rs");
    // The migrations are built in, too (store::migrate); without this a changed one would go unnoticed.
    println!("cargo::rerun-if-changed=migrations");
    // Cargo takes a watched path that is absent for changed, every time: the nearest that exists is watched.
    if let Some(path) = [DIST, "web"].into_iter().find(|path| Path::new(path).exists()) {
        println!("cargo::rerun-if-changed={path}");
    }
    let is_wanted = std::env::var_os("CARGO_FEATURE_UI").is_some();
    let is_built = ["console.html", "page.html", "assets"].iter().all(|name| Path::new(DIST).join(name).exists());
    if is_wanted && is_built {
        println!("cargo::rustc-cfg=parlour_ui");
        memory_serve::load_names_directories([("assets", "web/dist/assets")], true);
    }
}
