fn main() {
    // Without this any file of the package that changes would build it anew.
    println!("cargo:rerun-if-changed=build.rs");
    napi_build::setup();
}
