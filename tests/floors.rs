//! Keeps the floors of `src/`: arrows point down only, no circles, every file says what it owns.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Top-level modules, and the floor of each.
const FLOORS: [(&str, u8); 11] = [
    ("geometry", 1),
    ("checkpoint", 2),
    ("imaging", 2),
    ("runtime", 2),
    ("cache", 3),
    ("layers", 3),
    ("models", 4),
    ("tracking", 4),
    ("pipeline", 5),
    ("bindings", 6),
    ("lib", 7),
];
const MAX_LINES: usize = 600;

/// Module path (`pipeline::engine`) → source text.
type Sources = BTreeMap<String, String>;

fn floor_of(module: &str) -> Option<u8> {
    let top = module.split("::").next()?;
    FLOORS
        .iter()
        .find(|(name, _)| *name == top)
        .map(|(_, floor)| *floor)
}

/// Every complaint about a source tree; empty when the floors hold.
fn complaints(sources: &Sources) -> Vec<String> {
    let mut found = Vec::new();
    let mut arrows: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (module, text) in sources {
        found.extend(file_complaints(module, text));
        if module == "lib" {
            continue;
        }
        let (own, of_tests) = text
            .split_once("#[cfg(test)]\nmod tests {")
            .unwrap_or((text, ""));
        let whole_file_tests = module.ends_with("tests");
        let own_imports = imports(module, own)
            .into_iter()
            .map(|path| (path, whole_file_tests));
        let test_imports = imports("", of_tests).into_iter().map(|path| (path, true));
        for (import, in_tests) in own_imports.chain(test_imports) {
            let Some(target) = owner(&import, sources) else {
                found.push(format!("{module}: crate::{import} is in no known module"));
                continue;
            };
            if target == *module {
                continue;
            }
            match (floor_of(module), floor_of(&target)) {
                (Some(own), Some(other)) if other > own => {
                    found.push(format!(
                        "{module} (floor {own}) imports {target} (floor {other})"
                    ));
                }
                // A test may exercise a file together with what is built on it, on one floor.
                _ if in_tests => {}
                _ => {
                    arrows.entry(module).or_default().insert(target);
                }
            }
        }
    }
    found.extend(circles(&arrows));
    found
}

fn file_complaints(module: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if floor_of(module).is_none() {
        found.push(format!(
            "{module} is on no floor: add it to the table in tests/floors.rs"
        ));
    }
    let owns = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("//! "));
    if owns.is_none_or(|sentence| sentence.trim().len() < 10) {
        found.push(format!(
            "{module} does not open with a `//!` sentence that says what it owns"
        ));
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        found.push(format!("{module} has {lines} lines, more than {MAX_LINES}"));
    }
    found
}

/// The paths after `crate::` (and those through `super::`) in code, with `{…}` lists spread out.
fn imports(module: &str, text: &str) -> BTreeSet<String> {
    let code = without_comments_and_strings(text);
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let attached = code[..at]
            .chars()
            .next_back()
            .is_some_and(is_word_or_dollar);
        if !attached {
            spread(&code[at + "crate::".len()..], "", &mut found);
        }
    }
    for (at, _) in code.match_indices("super::") {
        if code[..at].ends_with("super::") {
            continue;
        }
        let (mut rest, mut above) = (&code[at..], module);
        while let Some(more) = rest.strip_prefix("super::") {
            rest = more;
            above = above.rsplit_once("::").map_or("", |(parent, _)| parent);
        }
        if !above.is_empty() {
            spread(rest, &format!("{above}::"), &mut found);
        }
    }
    found
}

fn is_word_or_dollar(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// Adds the paths at the start of `rest` (`a::{b, c::d}` gives `a::b` and `a::c::d`).
fn spread<'a>(rest: &'a str, prefix: &str, found: &mut BTreeSet<String>) -> &'a str {
    let mut path = prefix.to_owned();
    let mut rest = rest.trim_start();
    loop {
        if let Some(inner) = rest.strip_prefix('{') {
            rest = inner;
            loop {
                rest = spread(rest, &path, found).trim_start();
                if let Some(more) = rest.strip_prefix(',') {
                    rest = more.trim_start();
                    if rest.starts_with('}') {
                        break;
                    }
                } else {
                    break;
                }
            }
            return rest.strip_prefix('}').unwrap_or(rest);
        }
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '*'));
        let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
        path.push_str(word);
        rest = after;
        match rest.strip_prefix("::") {
            Some(more) if !more.starts_with('<') => {
                path.push_str("::");
                rest = more;
            }
            _ => break,
        }
    }
    found.insert(path.trim_end_matches("::self").to_owned());
    // `as name`, up to the next comma or brace of the list.
    rest.trim_start()
        .strip_prefix("as ")
        .map_or(rest, |renamed| {
            renamed.trim_start().trim_start_matches(is_word_or_dollar)
        })
}

/// The longest module path that `import` runs through.
fn owner(import: &str, sources: &Sources) -> Option<String> {
    let mut path = import;
    loop {
        if sources.contains_key(path) {
            return Some(path.to_owned());
        }
        path = path.rsplit_once("::")?.0;
    }
}

fn without_comments_and_strings(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    for line in text.lines() {
        let mut in_string = false;
        let mut previous = ' ';
        for (at, c) in line.char_indices() {
            if c == '"' && previous != '\\' && previous != '\'' {
                in_string = !in_string;
            } else if !in_string && line[at..].starts_with("//") {
                break;
            } else if !in_string {
                code.push(c);
            }
            previous = c;
        }
        code.push('\n');
    }
    code
}

/// One complaint for each circle of imports, named from its first module in the alphabet.
fn circles(arrows: &BTreeMap<&str, BTreeSet<String>>) -> Vec<String> {
    let mut found = BTreeSet::new();
    for start in arrows.keys() {
        let mut stack = vec![vec![(*start).to_owned()]];
        let mut seen = BTreeSet::new();
        while let Some(path) = stack.pop() {
            let last = path.last().map(String::as_str).unwrap_or_default();
            for next in arrows.get(last).into_iter().flatten() {
                if next == start {
                    let smallest = path.iter().min();
                    if smallest.is_some_and(|module| module == start) {
                        found.insert(format!("circle: {} → {start}", path.join(" → ")));
                    }
                } else if seen.insert(next.clone()) {
                    let mut longer = path.clone();
                    longer.push(next.clone());
                    stack.push(longer);
                }
            }
        }
    }
    found.into_iter().collect()
}

fn read_tree(root: &Path) -> Sources {
    let mut sources = Sources::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let module = module_name(path.strip_prefix(root).unwrap());
                sources.insert(module, fs::read_to_string(&path).unwrap());
            }
        }
    }
    sources
}

fn module_name(file: &Path) -> String {
    let without = file.with_extension("");
    let parts: Vec<String> = without
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    match parts.split_last() {
        Some((last, folders)) if last == "mod" => folders.join("::"),
        _ => parts.join("::"),
    }
}

#[test]
fn the_floors_hold() {
    let sources = read_tree(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(
        sources.len() > FLOORS.len(),
        "the sources are not where this test looks"
    );
    let found = complaints(&sources);
    assert!(
        found.is_empty(),
        "{} complaints:\n{}",
        found.len(),
        found.join("\n")
    );
}

/// A small tree in good order, with some files replaced or added.
fn tree(changes: &[(&str, &str)]) -> Sources {
    let good = [
        (
            "geometry",
            "//! Floor 1: shapes in the plane.\npub mod boxes;\n",
        ),
        ("geometry::boxes", "//! Boxes and their overlap.\n"),
        ("pipeline", "//! Floor 5: the engine.\n"),
        (
            "pipeline::engine",
            "//! The engine handle.\nuse crate::geometry::boxes::{iou, Rect};\n",
        ),
        ("pipeline::queue", "//! The bounded queue.\n"),
    ];
    let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    good.iter().chain(changes).map(owned).collect()
}

fn assert_caught(changes: &[(&str, &str)], expected: &str) {
    let found = complaints(&tree(changes));
    assert!(
        found.iter().any(|line| line.contains(expected)),
        "{expected:?} not in {found:?}"
    );
}

#[test]
fn a_tree_in_good_order_passes() {
    assert_eq!(complaints(&tree(&[])), Vec::<String>::new());
}

#[test]
fn an_arrow_upward_is_caught() {
    let expected = "geometry::boxes (floor 1) imports pipeline::engine (floor 5)";
    for code in [
        "use crate::pipeline::engine::Engine;",
        "use crate::{pipeline::{engine::Engine, queue}};",
        "pub(crate) fn f() -> crate::pipeline::engine::Engine { todo() }",
        "use std::fmt;\nuse crate::{\n    geometry,\n    pipeline::engine as e,\n};",
    ] {
        let text = format!("//! Boxes and their overlap.\n{code}\n");
        assert_caught(&[("geometry::boxes", &text)], expected);
    }
}

#[test]
fn words_in_comments_and_strings_are_no_arrows() {
    let text = "//! Boxes and their overlap.\n// see crate::pipeline::engine\n\
                const S: &str = \"crate::pipeline::engine\"; // crate::pipeline\n";
    assert_eq!(
        complaints(&tree(&[("geometry::boxes", text)])),
        Vec::<String>::new()
    );
}

#[test]
fn circles_on_one_floor_are_caught() {
    let engine = "//! The engine handle.\nuse crate::pipeline::queue::Queue;\n";
    let queue = "//! The bounded queue.\nuse crate::pipeline::engine::Engine;\n";
    assert_caught(
        &[("pipeline::engine", engine), ("pipeline::queue", queue)],
        "circle: pipeline::engine → pipeline::queue → pipeline::engine",
    );
    let through_super = "//! The bounded queue.\nuse super::engine::Engine;\n";
    assert_caught(
        &[
            ("pipeline::engine", engine),
            ("pipeline::queue", through_super),
        ],
        "circle: pipeline::engine",
    );
    let parent = "//! Floor 5: the engine.\nuse crate::pipeline::engine::Engine;\n";
    let child = "//! The engine handle.\nuse super::Setting;\n";
    assert_caught(
        &[("pipeline", parent), ("pipeline::engine", child)],
        "circle: pipeline",
    );
}

#[test]
fn tests_may_look_sideways_but_not_up() {
    let engine = "//! The engine handle.\nuse crate::pipeline::queue::Queue;\n";
    let queue = "//! The bounded queue.\n#[cfg(test)]\nmod tests {\n    use super::*;\n    \
                 use crate::pipeline::engine::Engine;\n}\n";
    let sources = tree(&[("pipeline::engine", engine), ("pipeline::queue", queue)]);
    assert_eq!(complaints(&sources), Vec::<String>::new());
    let boxes = queue.replace("The bounded queue.", "Boxes and their overlap.");
    assert_caught(
        &[("geometry::boxes", &boxes)],
        "geometry::boxes (floor 1) imports pipeline",
    );
}

#[test]
fn a_file_that_does_not_say_what_it_owns_is_caught() {
    assert_caught(
        &[("pipeline::queue", "use std::fmt;\n")],
        "does not open with",
    );
    assert_caught(&[("pipeline::queue", "//! x\n")], "does not open with");
}

#[test]
fn a_file_that_is_too_long_is_caught() {
    let text = format!("//! The bounded queue.\n{}", "//\n".repeat(MAX_LINES));
    assert_caught(&[("pipeline::queue", &text)], "601 lines");
}

#[test]
fn unknown_modules_are_caught() {
    assert_caught(
        &[("extras", "//! Some extra things.\n")],
        "extras is on no floor",
    );
    let text = "//! The bounded queue.\nuse crate::elsewhere::Thing;\n";
    assert_caught(
        &[("pipeline::queue", text)],
        "crate::elsewhere::Thing is in no known module",
    );
}
