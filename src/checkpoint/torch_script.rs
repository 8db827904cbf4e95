//! TorchScript archives: the parameters and buffers of a module, never its code.

use super::checkpoint::Contents;
use super::error::{Fault, Parse};
use super::source::Source;
use super::torch_zip::TorchArchive;

/// Whether an archive with members of these names is a scripted module.
pub fn looks_like<'a>(names: impl Iterator<Item = &'a str>) -> bool {
    let mut names = names;
    names.any(|name| name.rsplit('/').next() == Some("constants.pkl"))
}

/// Whether it is a scripted module of PyTorch 1.0 to 1.3, which kept its structure in JSON.
pub fn looks_old<'a>(mut names: impl Iterator<Item = &'a str>) -> bool {
    names.any(|name| name.rsplit('/').next() == Some("model.json"))
}

/// What to say of such an archive.
pub fn old_fault() -> Fault {
    Fault::unsupported(
        "a TorchScript archive of PyTorch 1.3 or before; load it with torch.jit.load and save its \
         state_dict with torch.save",
    )
}

/// Reads the module's attributes by their paths; the code's constants lie beside them.
pub fn read(source: &Source) -> Parse<Contents> {
    let archive = TorchArchive::open(source)?;
    let mut contents = archive.contents("data.pkl", "data/")?;
    let constants = archive.contents("constants.pkl", "constants/")?;
    let Contents {
        tensors,
        others,
        opaque,
        ..
    } = constants;
    for (name, tensor) in tensors.into_iter().chain(others) {
        contents.others.insert(format!("constants.{name}"), tensor);
    }
    contents.opaque.extend(opaque);
    archive.check_unused()?;
    Ok(contents)
}
