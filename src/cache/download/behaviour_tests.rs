//! How a server's misbehaviour must end: the right file or a coded error, never a wrong file.

use super::server_tests::{Content, Hit, Out, Server, get, names, quick, request, sha};
use super::sweep::sweep;
use crate::cache::error::DOWNLOAD;

const SIZES: [usize; 4] = [1, 700, 70_001, 1_200_000];

/// How a behaviour must end.
#[derive(Clone, Copy)]
pub enum Want {
    /// With the file.
    File,
    /// With the version that came later.
    Next,
    /// With this code, and a message that contains this.
    Code(&'static str, &'static str),
    /// Nobody can tell without a hash: only asked with one.
    Unasked,
}
pub use Want::{Code, File, Next, Unasked};

/// Runs a behaviour with every size, with size and hash known and with neither, all at once: most of
/// them spend their time waiting.
pub fn check(
    hashed: Want,
    bare: Want,
    serve: impl Fn(&Hit, &mut Out, &Content) + Send + Sync + Copy + 'static,
) {
    std::thread::scope(|scope| {
        for size in SIZES {
            for (known, want) in [(true, hashed), (false, bare)] {
                if !matches!(want, Unasked) {
                    scope.spawn(move || case(size, known, want, serve));
                }
            }
        }
    });
}

fn case(
    size: usize,
    known: bool,
    want: Want,
    serve: impl Fn(&Hit, &mut Out, &Content) + Send + Sync + 'static,
) {
    let content = Content::new(size);
    let told = content.clone();
    let server = Server::start(move |hit, out| serve(hit, out, &told));
    let right = match want {
        Next => &content.next,
        _ => &content.bytes,
    };
    let folder = tempfile::tempdir().unwrap();
    let dest = folder.path().join("weights.bin");
    let asked = known.then_some(right.as_slice());
    let asked = request(&dest, &[server.url("/weights.bin")], asked);
    let result = get(&asked, &quick());
    let case = format!("{size} bytes, hash known: {known}");
    match (want, result) {
        (File | Next, Ok(fetched)) => {
            let found = std::fs::read(&dest).unwrap();
            assert!(found == *right, "{case}: wrong bytes");
            assert_eq!(fetched.sha256, sha(right), "{case}");
            assert_eq!(fetched.bytes, right.len() as u64, "{case}");
        }
        (Code(code, text), Err(error)) => {
            assert!(!dest.exists(), "{case}: refused and there");
            assert_eq!(error.code, code, "{case}: {error}");
            assert!(error.message.contains(text), "{case}: {error}");
        }
        (_, Ok(_)) => panic!("{case}: should have been refused"),
        (_, Err(error)) => panic!("{case}: {error}\n{:#?}", server.hits()),
    }
    let whole = dest.exists();
    sweep(folder.path()).unwrap();
    let expected: &[&str] = if whole { &["weights.bin"] } else { &[] };
    assert_eq!(names(folder.path()), expected, "{case}: left behind");
}

macro_rules! behaviours {
    ($($name:ident: $hashed:expr, $bare:expr, |$hit:ident, $out:ident, $file:ident| $body:expr;)*) => {
        $(#[test]
        fn $name() {
            $crate::cache::download::behaviour_tests::check($hashed, $bare,
                |$hit: &$crate::cache::download::server_tests::Hit,
                 $out: &mut $crate::cache::download::server_tests::Out,
                 $file: &$crate::cache::download::server_tests::Content| $body);
        })*
    };
}

/// A first reply with a fault, then an honest server.
macro_rules! once {
    ($hit:ident, $out:ident, $file:ident, $fault:expr) => {
        if $hit.n == 0 {
            $fault
        } else {
            $file.honest($hit, $out)
        }
    };
}

/// No source delivered the file.
pub const LOST: Want = Code(DOWNLOAD, "could not be downloaded");

pub(super) use {behaviours, once};
