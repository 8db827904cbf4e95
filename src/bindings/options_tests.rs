//! That the documented options are the engine's own, with the engine's own defaults.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value as Json;

use super::*;

const DECLARATIONS: &str = include_str!("../../index.d.ts");

/// The fields of a declared interface, each with its documented default.
fn documented(interface: &str) -> BTreeMap<String, Option<Json>> {
    let opening = format!("export interface {interface} {{\n");
    let (_, rest) = DECLARATIONS.split_once(&opening).unwrap();
    let (body, _) = rest.split_once("\n}").unwrap();
    let mut fields = BTreeMap::new();
    let mut comment = String::new();
    for line in body.lines().map(str::trim) {
        if line.starts_with("/*") || line.starts_with('*') {
            comment.push_str(line.trim_end_matches("*/"));
            comment.push('\n');
            continue;
        }
        let (name, _) = line.split_once("?:").unwrap();
        let default = comment.split_once("@default").map(|(_, value)| {
            let value = value.lines().next().unwrap_or_default().trim();
            as_js(serde_json::from_str(&value.replace('\'', "\"")).unwrap())
        });
        fields.insert(name.to_owned(), default);
        comment.clear();
    }
    fields
}

/// The defaults under their JavaScript names, floats as short as they are written.
fn actual(defaults: &impl Serialize) -> BTreeMap<String, Json> {
    let text = serde_json::to_string(defaults).unwrap();
    let fields: BTreeMap<String, Json> = serde_json::from_str(&text).unwrap();
    fields.into_iter().map(|(k, v)| (k, as_js(v))).collect()
}

/// JavaScript does not tell 30 from 30.0.
fn as_js(value: Json) -> Json {
    match value {
        Json::Number(number) => Json::from(number.as_f64().unwrap()),
        other => other,
    }
}

fn names<T>(fields: &BTreeMap<String, T>) -> BTreeSet<&str> {
    fields.keys().map(String::as_str).collect()
}

#[test]
fn every_setting_of_blazepose_is_an_option_with_its_default() {
    let documented = documented("BlazePoseConfig");
    let actual = actual(&BlazePoseConfig::default());
    assert_eq!(names(&documented), names(&actual));
    assert_eq!(names(&actual), BLAZEPOSE.iter().copied().collect());
    for (name, value) in actual {
        assert_eq!(documented[&name], Some(value), "{name}");
    }
}

#[test]
fn every_setting_of_the_engine_is_an_option_with_its_default() {
    let documented = documented("EngineConfig");
    assert_eq!(names(&documented), ENGINE.iter().copied().collect());
    let mut actual = actual(&EngineConfig::default());
    actual.remove("blazepose");
    actual.remove("humans");
    actual.remove("depth");
    for (name, value) in actual {
        let value = (!value.is_null()).then_some(value);
        assert_eq!(documented[&name], value, "{name}");
    }
}

#[test]
fn every_setting_of_a_clip_is_an_option_with_its_default() {
    let documented = documented("ClipOptions");
    let mut actual = actual(&ClipSettings::default());
    // One option says whether, another by what.
    assert_eq!(actual.remove("depth"), Some(Json::Null));
    assert_eq!(documented["depth"], Some(Json::Bool(false)));
    assert!(documented.contains_key("depthModel"));
    for (name, value) in actual {
        assert_eq!(documented[&name], Some(value), "{name}");
    }
}

#[test]
fn every_setting_of_4d_humans_is_an_option_with_its_default() {
    let documented = documented("HumansConfig");
    assert_eq!(names(&documented), HUMANS.iter().copied().collect());
    for (name, value) in actual(&HumansConfig::default()) {
        let value = (!value.is_null()).then_some(value);
        assert_eq!(documented[&name], value, "{name}");
    }
}

#[test]
fn every_setting_of_depth_is_an_option_with_its_default() {
    let documented = documented("DepthConfig");
    assert_eq!(names(&documented), DEPTH.iter().copied().collect());
    for (name, value) in actual(&DepthConfig::default()) {
        let value = (!value.is_null()).then_some(value);
        assert_eq!(documented[&name], value, "{name}");
    }
}
