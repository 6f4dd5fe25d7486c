//! Passes the linker script to the bare-metal program.

fn main() {
    println!("cargo:rerun-if-changed=link.ld");
    println!("cargo:rerun-if-changed=build.rs");
    let bare = std::env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "none");
    if let (true, Ok(root)) = (bare, std::env::var("CARGO_MANIFEST_DIR")) {
        println!("cargo:rustc-link-arg-bins=-T{root}/link.ld");
        println!("cargo:rustc-link-arg-bins=--no-dynamic-linker");
    }
}
