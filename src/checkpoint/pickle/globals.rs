//! Which classes and functions a checkpoint may name.
//!
//! Nothing named is ever imported or called, whatever its name; what is not known is kept as an
//! opaque object. But a name that only an attack uses says that the file is one: it is refused
//! as a whole, wherever in the stream the name is.

use super::super::error::{Fault, Parse};
use super::stdlib;
use super::value::Global;

/// Packages beyond the standard library that run, load or fetch whatever they are told to.
const REFUSED_PACKAGES: &[&str] = &[
    "IPython",
    "_pytest",
    "aiohttp",
    "celery",
    "cffi",
    "cloudpickle",
    "cython",
    "dill",
    "execnet",
    "fabric",
    "future",
    "gevent",
    "httpx",
    "invoke",
    "jinja2",
    "jsonpickle",
    "mako",
    "nose",
    "numexpr",
    "paramiko",
    "past",
    "pexpect",
    "pip",
    "pkg_resources",
    "plumbum",
    "ptyprocess",
    "py",
    "pytest",
    "requests",
    "setuptools",
    "sh",
    "six",
    "sympy",
    "tornado",
    "twisted",
    "urllib3",
    "wheel",
];

/// Modules whose name anywhere in a path opens the way to running code: `x.y.os.system`.
const REFUSED_PARTS: &[&str] = &[
    "__builtin__",
    "__builtins__",
    "__class__",
    "__globals__",
    "__import__",
    "__subclasses__",
    "builtins",
    "ctypes",
    "importlib",
    "marshal",
    "nt",
    "os",
    "posix",
    "pty",
    "runpy",
    "shutil",
    "subprocess",
    "sys",
];

/// Functions that run what they are given, whatever module they hide in.
const REFUSED_FUNCTIONS: &[&str] = &["eval", "exec", "execfile", "popen", "system"];

/// Functions of `package` (or of a module below it) that run or load what they are given.
const REFUSED_NAMES: &[(&str, &[&str])] = &[
    ("joblib", &["load", "delayed", "Parallel", "Memory", "hash"]),
    (
        "keras",
        &["Lambda", "load_model", "get_file", "deserialize"],
    ),
    ("numpy", NUMPY_FUNCTIONS),
    (
        "pandas",
        &[
            "eval",
            "read_pickle",
            "to_pickle",
            "read_csv",
            "read_hdf",
            "read_sql",
            "query",
        ],
    ),
    (
        "tensorflow",
        &[
            "load_model",
            "load_op_library",
            "load_library",
            "py_function",
            "numpy_function",
            "read_file",
            "write_file",
        ],
    ),
    ("torch", TORCH_FUNCTIONS),
    (
        "yaml",
        &[
            "load",
            "load_all",
            "full_load",
            "full_load_all",
            "unsafe_load",
            "unsafe_load_all",
        ],
    ),
];

const NUMPY_FUNCTIONS: &[&str] = &[
    "DataSource",
    "apply_along_axis",
    "apply_over_axes",
    "fromfile",
    "fromfunction",
    "frompyfunc",
    "fromregex",
    "genfromtxt",
    "get_include",
    "info",
    "load",
    "load_library",
    "loads",
    "loadtxt",
    "lookfor",
    "open_memmap",
    "piecewise",
    "recfromcsv",
    "recfromtxt",
    "run_module_suite",
    "runstring",
    "safe_eval",
    "save",
    "savetxt",
    "savez",
    "savez_compressed",
    "source",
    "test",
    "vectorize",
];

const TORCH_FUNCTIONS: &[&str] = &[
    "classes",
    "compile",
    "from_file",
    "hub",
    "import_ir_module",
    "load",
    "load_library",
    "load_url",
    "ops",
    "save",
    "set_default_tensor_type",
    "spawn",
];

/// Modules of numpy that have no business in a checkpoint.
const REFUSED_NUMPY: &[&str] = &[
    "numpy.compat",
    "numpy.ctypeslib",
    "numpy.distutils",
    "numpy.f2py",
    "numpy.lib",
    "numpy.testing",
    "numpy.tests",
];

/// Of `numpy.lib`, what real files name.
const NUMPY_LIB: &[&str] = &["numpy.lib.stride_tricks", "numpy.lib.index_tricks"];

/// Modules of torch whose classes and functions hold or rebuild data; the rest is refused.
const TORCH_MODULES: &[&str] = &[
    "torch",
    "torch._C._VariableFunctions",
    "torch._C._nn",
    "torch._tensor",
    "torch._utils",
    "torch.amp",
    "torch.ao.nn",
    "torch.ao.quantization",
    "torch.autograd.variable",
    "torch.cuda.amp",
    "torch.distributed._composable",
    "torch.distributed._shard",
    "torch.distributed._tensor",
    "torch.distributed.algorithms",
    "torch.distributed.checkpoint",
    "torch.distributed.device_mesh",
    "torch.distributed.fsdp",
    "torch.distributed.optim",
    "torch.distributed.tensor",
    "torch.distributions",
    "torch.functional",
    "torch.jit._pickle",
    "torch.masked",
    "torch.nested._internal",
    "torch.nn",
    "torch.optim",
    "torch.quantization",
    "torch.storage",
    "torch.tensor",
    "torch.torch_version",
    "torch.utils.data.dataset",
    "torch.utils.data.distributed",
    "torch.utils.data.sampler",
];

/// Single names from modules of torch that are otherwise refused.
const TORCH_NAMES: &[(&str, &str)] = &[
    ("torch._C", "Generator"),
    ("torch._C", "Size"),
    ("torch._C", "device"),
    ("torch._C", "dtype"),
    ("torch.serialization", "_get_layout"),
    ("torch.utils._ordered_set", "OrderedSet"),
    ("torch.utils.data.dataloader", "DataLoader"),
];

/// A fault when only an attack names `global`.
pub fn check(global: &Global) -> Parse<()> {
    let Global { module, name } = global;
    if module.is_empty() || name.is_empty() {
        return Err(Fault::corrupt("a class or function without a name"));
    }
    if is_data(module, name) || !is_refused(module, name) {
        return Ok(());
    }
    Err(Fault::hostile(format!(
        "it names {global}: opening this file in Python could run code of its author; \
         weights need no such thing"
    )))
}

/// The module's name in Python 3.
fn modern(module: &str) -> &str {
    match module {
        "__builtin__" => "builtins",
        "copy_reg" => "copyreg",
        other => other,
    }
}

/// A plain data type of the standard library.
fn is_data(module: &str, name: &str) -> bool {
    let module = modern(module);
    stdlib::DATA
        .iter()
        .filter(|(known, _)| *known == module)
        .any(|(_, names)| names.contains(&name) || (*names == ["*"] && is_plain(name)))
}

/// One name, not a way through an object's attributes, and not Python's own.
fn is_plain(name: &str) -> bool {
    let pythons = name.starts_with("__") && name.ends_with("__");
    !name.contains('.') && !pythons
}

fn is_refused(module: &str, name: &str) -> bool {
    let top = module.split('.').next().unwrap_or(module);
    if stdlib::is_module(top) || REFUSED_PACKAGES.contains(&top) {
        return true;
    }
    let refused_part = |part: &str| REFUSED_PARTS.contains(&part) || part.is_empty();
    // The code a TorchScript archive was made from is named as a path of its own.
    let script = top == "__torch__";
    let refused_name = |part: &str| refused_part(part) || REFUSED_FUNCTIONS.contains(&part);
    if !script && (module.split('.').any(refused_part) || name.split('.').any(refused_name)) {
        return true;
    }
    let functions = REFUSED_NAMES.iter().filter(|(package, _)| *package == top);
    if functions
        .flat_map(|(_, names)| *names)
        .any(|refused| name.split('.').any(|part| part == *refused))
    {
        return true;
    }
    match top {
        "numpy" => !is_plain(name) || is_refused_numpy(module),
        "torch" => !is_torch_data(module, name),
        "scipy" => {
            !is_plain(name) || is_below(module, "scipy.io") || is_below(module, "scipy.weave")
        }
        _ => name.split('.').any(|part| !is_plain(part)),
    }
}

fn is_refused_numpy(module: &str) -> bool {
    let refused = REFUSED_NUMPY.iter().any(|parent| is_below(module, parent));
    let tested = module
        .split('.')
        .any(|part| matches!(part, "tests" | "testing" | "f2py"));
    tested || (refused && !NUMPY_LIB.iter().any(|parent| is_below(module, parent)))
}

fn is_torch_data(module: &str, name: &str) -> bool {
    if !is_plain(name) {
        return false;
    }
    // `torch.cuda.FloatStorage`, `torch.sparse.FloatTensor` of old files.
    let old = matches!(module, "torch.cuda" | "torch.sparse");
    if old && (name.ends_with("Storage") || name.ends_with("Tensor")) {
        return true;
    }
    TORCH_NAMES.contains(&(module, name))
        || TORCH_MODULES.iter().any(|parent| match *parent {
            "torch" | "torch.tensor" => module == *parent,
            parent => is_below(module, parent),
        })
}

/// `module` is `parent` or inside it.
fn is_below(module: &str, parent: &str) -> bool {
    module
        .strip_prefix(parent)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
#[path = "globals_tests.rs"]
mod tests;
