//! What the table of model files must say.

use std::collections::BTreeSet;

use super::*;

fn table() -> Arc<Manifest> {
    Manifest::built_in().unwrap()
}

#[test]
fn every_file_of_the_product_is_there() {
    let table = table();
    for id in [
        "hmr2-data",
        "hmr2",
        "hmr2a-data",
        "vitdet-h",
        "regnety",
        "phalp-hmar",
        "phalp-pose-predictor",
        "phalp-mean-std",
        "phalp-ava-labels",
        "vitpose-s",
        "vitpose-b",
        "vitpose-l",
        "vitpose-h",
        "vitpose-b-mmpose",
        "vitpose-b-hf",
        "dpt-large",
        "dpt-hybrid",
        "midas-v21",
        "midas-v21-small",
        "smpl-neutral",
        "blazepose-detector",
        "blazepose-heavy",
    ] {
        assert_eq!(table.entry(id).unwrap().id, id);
    }
}

#[test]
fn names_and_places_are_unique() {
    let table = table();
    let mut seen = BTreeSet::new();
    for entry in table.entries() {
        assert!(seen.insert(entry.place.clone()), "place {}", entry.place);
        for name in entry.aliases.iter().chain([&entry.id]) {
            assert!(seen.insert(name.clone()), "name {name}");
        }
    }
}

#[test]
fn aliases_file_names_and_sets_are_understood() {
    let table = table();
    assert_eq!(table.entry("DPT_Large").unwrap().id, "dpt-large");
    assert_eq!(table.entry("MiDaS_small").unwrap().id, "midas-v21-small");
    assert_eq!(
        table.entry("model_final_f05665.pkl").unwrap().id,
        "vitdet-h"
    );
    assert_eq!(table.entry("VITDET-H").unwrap().id, "vitdet-h");
    assert!(table.select("4dhumans").unwrap().len() > 10);
    assert_eq!(table.select("vitdet").unwrap().len(), 1);
}

#[test]
fn an_unknown_name_gets_a_suggestion() {
    let error = table().entry("vitdet-x").unwrap_err();
    assert_eq!(error.code, MODEL_UNKNOWN);
    assert!(
        error.message.contains("did you mean \"vitdet-h\"?"),
        "{error}"
    );
    assert!(
        !table()
            .entry("zzzzzzzz")
            .unwrap_err()
            .message
            .contains("did you mean")
    );
}

#[test]
fn smpl_can_never_be_fetched() {
    for entry in table().entries().filter(|entry| entry.licence == "SMPL") {
        assert_eq!(entry.source, Origin::User, "{}", entry.id);
        assert!(entry.urls.is_empty(), "{}", entry.id);
    }
}

#[test]
fn hashes_in_names_and_in_the_table_agree() {
    for entry in table().entries() {
        if let (
            Some(Prefix {
                algorithm: Algorithm::Sha256,
                hex,
            }),
            Some(hash),
        ) = (&entry.prefix, &entry.sha256)
        {
            assert!(hash.starts_with(hex), "{}", entry.id);
        }
        // MiDaS's old names and MMPose's names carry SHA-256[:8].
        for name in entry
            .file_names()
            .filter(|name| name.contains("midas") || name.contains("model-"))
        {
            let stem = name.trim_end_matches(".pt");
            if let Some((_, hex)) = stem.rsplit_once('-').filter(|(_, hex)| hex.len() == 8) {
                assert!(entry.sha256.as_ref().unwrap().starts_with(hex), "{name}");
            }
        }
    }
}

#[test]
fn a_table_that_would_lead_outside_is_refused() {
    let with_place = |place: &str| {
        format!(
            r#"{{"version":1,"sets":{{}},"entries":[{{"id":"a","family":"f","component":"c",
            "purpose":"p","source":"user","file":"a.pt","place":{place:?},"licence":"MIT","format":"torch"}}]}}"#
        )
    };
    assert!(Manifest::parse(&with_place("x/a.pt")).is_ok());
    for place in [
        "../a.pt",
        "/etc/a.pt",
        "x/../../a",
        ".pose4d/a",
        "pose4d/runtime/a",
        "c:\\a",
        "",
    ] {
        assert!(Manifest::parse(&with_place(place)).is_err(), "{place}");
    }
}
