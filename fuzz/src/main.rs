//! Writes every target's seeds as files: `cargo run --bin seeds -- <folder>`.

use std::fs;
use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "corpus".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (target, seeds) in pose4d_fuzz::seeds::all(&root) {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder)?;
        for (name, data) in &seeds {
            // Names of the corpora can be longer than a file's may be.
            let name: String = name.chars().take(120).collect();
            fs::write(folder.join(name), data)?;
        }
        println!("{:5} seeds for {target}", seeds.len());
    }
    Ok(())
}
