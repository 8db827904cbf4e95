//! Tests of YAML configurations against PyYAML and OmegaConf (`yaml_fixtures/generate.py`).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use serde_json::json;

use super::*;

fn fixture(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/checkpoint/yaml_fixtures");
    std::fs::read(folder.join(name)).unwrap()
}

fn expected() -> Value {
    serde_json::from_slice(&fixture("expected.json")).unwrap()
}

fn value(text: &str) -> Value {
    parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{text:?}: {fault}"))
}

fn refused(text: &str) -> Fault {
    let start = Instant::now();
    let fault = parse(text.as_bytes()).unwrap_err();
    assert!(start.elapsed().as_secs_f64() < 1.0, "{:?}", start.elapsed());
    fault
}

#[test]
fn scalars_are_what_python_reads() {
    let expected = expected();
    let scalars = expected["scalars"].as_array().unwrap();
    assert!(scalars.len() > 130);
    for pair in scalars {
        let text = pair[0].as_str().unwrap();
        assert_eq!(value(&format!("x: {text}\n"))["x"], pair[1], "{text}");
    }
}

#[test]
fn a_document_of_everything_is_what_python_reads() {
    let found = parse(&fixture("tricky.yaml")).unwrap();
    let expected = &expected()["tricky"];
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&found[key], value, "{key}");
    }
    assert_eq!(&found, expected);
}

#[test]
fn lists_and_empty_files_are_configurations_too() {
    let read_text = |text: &str| {
        let source: Source = Arc::new(text.as_bytes().to_vec());
        read(&source).map(|contents| Value::Object(contents.values))
    };
    assert_eq!(
        read_text("- a\n- b: 1\n").unwrap(),
        json!({"0": "a", "1": {"b": 1}})
    );
    assert_eq!(read_text("# nothing\n").unwrap(), json!({}));
    assert_eq!(read_text("\u{feff}a: 1\n").unwrap(), json!({"a": 1}));
    assert_eq!(read_text("just words\n").unwrap_err().kind, Kind::Format);
    let large: Source = Arc::new(vec![b'a'; MAX_FILE as usize + 1]);
    assert_eq!(read(&large).map(|_| ()).unwrap_err().kind, Kind::Hostile);
}

#[test]
fn tags_that_would_run_code_are_refused() {
    for text in [
        "!!python/object/apply:os.system ['true']",
        "a: !!python/object/new:subprocess.Popen [[ls]]",
        "a: !!python/name:os.system ''",
        "a: !!python/module:os ''",
        "!<tag:yaml.org,2002:python/object/apply:os.system> [x]",
        "%TAG !p! tag:yaml.org,2002:python/\n---\n!p!object/apply:os.system [x]",
    ] {
        let fault = refused(text);
        assert_eq!(fault.kind, Kind::Hostile, "{text}: {fault}");
        assert!(fault.message.contains("python/"), "{fault}");
    }
    assert_eq!(refused("a: !thing 1").kind, Kind::Unsupported);
    assert_eq!(refused("a: !!binary aGk=").kind, Kind::Unsupported);
    assert_eq!(value("a: !!python/tuple [1, 2]"), json!({"a": [1, 2]}));
}

#[test]
fn bombs_are_refused() {
    let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for i in 1..30 {
        let below = format!("*a{}", i - 1);
        let all = [below.as_str(); 9].join(", ");
        laughs.push_str(&format!("a{i}: &a{i} [{all}]\n"));
    }
    assert_eq!(refused(&laughs).kind, Kind::Hostile);
    let text = "x".repeat(100_000);
    let aliases = "- *t\n".repeat(10_000);
    assert_eq!(
        refused(&format!("- &t {text}\n{aliases}")).kind,
        Kind::Hostile
    );
    let merged = value("m: &m {a: 1}\nn: {<<: *m, b: 1}");
    assert_eq!(merged["n"], json!({"a": 1, "b": 1}));
}

#[test]
fn depth_and_cycles_are_refused() {
    assert_eq!(refused("a: &a [*a]").kind, Kind::Hostile);
    for open in ["[", "{a: ", "- "] {
        for count in [70, 300, 100_000] {
            let fault = refused(&open.repeat(count));
            assert!(
                matches!(fault.kind, Kind::Hostile | Kind::Corrupt),
                "{open}: {fault}"
            );
        }
    }
    // Deep through aliases only.
    let mut deep = String::from("a0: &a0 [1]\n");
    for i in 1..100 {
        deep.push_str(&format!("a{i}: &a{i} [*a{}]\n", i - 1));
    }
    assert!(refused(&deep).message.contains("deeper"));
}

#[test]
fn what_is_ambiguous_is_refused() {
    assert!(refused("a: 1\na: 2").message.contains("twice"));
    assert!(refused("1: a\n\"1\": b").message.contains("twice"));
    assert!(refused("[1]: a").message.contains("key"));
    assert!(
        refused("a: 1\n---\nb: 2")
            .message
            .contains("second document")
    );
    assert!(refused("a: [1").message.contains("bad YAML"));
    assert!(refused("a: *nowhere").message.contains("bad YAML"));
    assert!(refused("a: \0").message.contains("control"));
    assert!(parse(b"a: \xff").unwrap_err().message.contains("UTF-8"));
}

#[test]
fn mutants_are_survived() {
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let good = fixture("tricky.yaml");
    let marks = b"[]{}:,-?&*!|>'\"%@`#~<\n \t\\0";
    let mut read = 0;
    for _ in 0..3000 {
        let mut file = good.clone();
        for _ in 0..=random(5) {
            let at = random(file.len());
            match random(3) {
                0 => file[at] = marks[random(marks.len())],
                1 => file.insert(at, marks[random(marks.len())]),
                _ => {
                    file.remove(at);
                }
            }
        }
        let start = Instant::now();
        read += usize::from(parse(&file).is_ok());
        assert!(start.elapsed().as_secs_f64() < 1.0);
    }
    assert!(read > 100, "{read}");
}
