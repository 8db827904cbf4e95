fn main() {
    // Without this any file of the project that changes, a document too, would build it anew.
    println!("cargo:rerun-if-changed=build.rs");
    napi_build::setup();
}
