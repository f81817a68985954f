//! Makes sure that the screen's folder exists, so that the program compiles before the screen was built.

#![allow(clippy::disallowed_methods, reason = "a build script touches files")]

fn main() {
    let dist = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/dist");
    // Where it cannot be made, embedding reports the missing folder in clearer words than a panic here would.
    let _ = std::fs::create_dir_all(&dist);
    println!("cargo:rerun-if-changed=../web/dist");
    println!("cargo:rerun-if-changed=build.rs");
}
