//! Draws a result onto its frame, for the command line and for looking at results.

use napi::Env;
use napi::bindgen_prelude::{Buffer, PromiseRaw};
use napi_derive::napi;

use super::error::to_js;
use super::fields::Fields;
use super::frames::{Limits, read_one};
use super::value::Value;
use crate::geometry::body_angles;
use crate::geometry::boxes::BBox;
use crate::geometry::joints::KeypointSet;
use crate::imaging::encode::{encode_jpeg, encode_png};
use crate::imaging::limits::DecodeLimits;
use crate::imaging::pixels::Rgb8;
use crate::pipeline::error::{EngineError, INTERNAL, INVALID_ARGUMENT};
use crate::pipeline::overlay::{OverlayOptions, draw_overlay};
use crate::pipeline::result::{BoxSource, FrameResult, Keypoint, Person, Source};
use crate::pipeline::source::FrameInput;

#[derive(Clone, Copy)]
enum Format {
    Png,
    Jpeg,
    Rgb,
}

struct Drawing {
    options: OverlayOptions,
    format: Format,
    quality: u8,
}

/// The frame with its people drawn in, as a PNG or JPEG file or as raw RGB.
#[napi(skip_typescript, catch_unwind)]
pub fn render_overlay(
    env: &Env,
    frame: Value,
    result: Value,
    options: Value,
) -> napi::Result<PromiseRaw<'_, Buffer>> {
    let drawing = drawing(options).map_err(to_js)?;
    let people = read_result(result).map_err(to_js)?;
    let limits = DecodeLimits::default();
    let frame = read_one(
        frame,
        Limits {
            bytes: limits.max_bytes,
            pixels: limits.max_pixels,
        },
    );
    env.spawn_future(async move {
        tokio::task::spawn_blocking(move || render(frame, &limits, &people, &drawing))
            .await
            .map_err(|e| EngineError::new(INTERNAL, format!("drawing failed: {e}")))
            .and_then(|bytes| bytes)
            .map(Buffer::from)
            .map_err(to_js)
    })
}

fn render(
    frame: FrameInput,
    limits: &DecodeLimits,
    result: &FrameResult,
    drawing: &Drawing,
) -> Result<Vec<u8>, EngineError> {
    let mut image: Rgb8 = frame.source.decode(limits)?;
    draw_overlay(&mut image, result, &drawing.options);
    match drawing.format {
        Format::Rgb => Ok(image.data),
        Format::Png => encode_png(&image).map_err(unencodable),
        Format::Jpeg => encode_jpeg(&image, drawing.quality).map_err(unencodable),
    }
}

fn unencodable(error: impl std::fmt::Display) -> EngineError {
    EngineError::new(INVALID_ARGUMENT, error.to_string())
}

fn drawing(value: Value) -> Result<Drawing, EngineError> {
    const KNOWN: &[&str] = &[
        "boxes",
        "ids",
        "angles",
        "minConfidence",
        "scale",
        "format",
        "quality",
    ];
    let fields = Fields::new("options", value, KNOWN)?;
    let mut options = OverlayOptions::default();
    options.boxes = fields.boolean("boxes")?.unwrap_or(options.boxes);
    options.labels = fields.boolean("ids")?.unwrap_or(options.labels);
    if let Some(given) = fields.value("angles")? {
        options.angles = wanted_angles(given, options.angles)?;
    }
    if let Some(least) = fields.number("minConfidence", 0.0, 1.0)? {
        options.min_confidence = least as f32;
    }
    if let Some(scale) = fields.number("scale", 0.1, 10.0)? {
        options.scale = scale as f32;
    }
    let formats = [
        ("png", Format::Png),
        ("jpeg", Format::Jpeg),
        ("rgb", Format::Rgb),
    ];
    Ok(Drawing {
        options,
        format: fields.choice("format", &formats)?.unwrap_or(Format::Png),
        quality: fields.whole("quality", 1, 100)?.map_or(90, |q| q as u8),
    })
}

/// `true`: the usual ones; `false`: none; or their names.
fn wanted_angles(given: Value, usual: Vec<String>) -> Result<Vec<String>, EngineError> {
    if let Some(wanted) = given.boolean() {
        return Ok(if wanted { usual } else { Vec::new() });
    }
    let names = || -> Option<Vec<String>> {
        (0..given.array_length()?)
            .map(|i| given.at(i).ok()?.string())
            .collect()
    };
    names().ok_or_else(|| {
        wrong(
            "options.angles",
            "true, false or names of joint angles",
            given,
        )
    })
}

fn wrong(name: &str, expected: &str, got: Value) -> EngineError {
    let got = got.describe();
    EngineError::new(
        INVALID_ARGUMENT,
        format!("{name} must be {expected}, but is {got}"),
    )
}

/// A property of a result that came back from JS.
fn part<T>(
    object: Value,
    path: &str,
    name: &str,
    expected: &str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Result<T, EngineError> {
    let unreadable = || {
        let message = format!("{path}.{name} cannot be read: its getter throws");
        EngineError::new(INVALID_ARGUMENT, message)
    };
    let value = object.get(name).map_err(|_| unreadable())?;
    read(&value).ok_or_else(|| wrong(&format!("{path}.{name}"), expected, value))
}

fn read_result(result: Value) -> Result<FrameResult, EngineError> {
    if !result.is_object() {
        return Err(wrong("result", "a PoseResult", result));
    }
    let pixels = |name| {
        let side = part(result, "result", name, "pixels", Value::number)?;
        Ok::<_, EngineError>(side.clamp(0.0, f64::from(u32::MAX)) as u32)
    };
    let (width, height) = (pixels("frameWidth")?, pixels("frameHeight")?);
    let list = part(result, "result", "persons", "an array", |v| {
        v.array_length().map(|n| (*v, n))
    })?;
    let persons = (0..list.1)
        .map(|i| match list.0.at(i) {
            Ok(person) => read_person(person, &format!("result.persons[{i}]")),
            Err(_) => Err(wrong("result.persons", "readable", list.0)),
        })
        .collect::<Result<_, _>>()?;
    Ok(FrameResult {
        frame_number: 0.0,
        time_s: 0.0,
        held: Vec::new(),
        starts_shot: false,
        earlier: Vec::new(),
        width,
        height,
        persons,
        processing_time_ms: 0.0,
        timings: Vec::new(),
        model_version: String::new(),
        depth: None,
        depth_error: None,
        error: None,
    })
}

fn read_person(person: Value, path: &str) -> Result<Person, EngineError> {
    if !person.is_object() {
        return Err(wrong(path, "a Person", person));
    }
    let number = |name| part(person, path, name, "a number", Value::number);
    let bbox = part(person, path, "box", "[x1, y1, x2, y2]", |v| {
        match *v.floats()?.as_slice() {
            [x1, y1, x2, y2] => Some(BBox::new(x1, y1, x2, y2)),
            _ => None,
        }
    })?;
    let source = part(person, path, "source", "a source of a record", |v| {
        let name = v.string()?;
        let all = [
            Source::Detected,
            Source::Recovered,
            Source::Predicted,
            Source::Interpolated,
        ];
        all.into_iter().find(|source| source.as_str() == name)
    })?;
    let points = part(person, path, "keypoints", "an array", |v| {
        v.array_length().map(|n| (*v, n))
    })?;
    let keypoints = (0..points.1)
        .map(|i| match points.0.at(i) {
            Ok(point) => read_keypoint(point, &format!("{path}.keypoints[{i}]")),
            Err(_) => Err(wrong(path, "readable", points.0)),
        })
        .collect::<Result<_, _>>()?;
    Ok(Person {
        score: number("score")? as f32,
        tracking_confidence: number("trackingConfidence")? as f32,
        keypoints,
        joint_angles3d: read_angles(person, path)?,
        box_source: read_box_source(person, path)?,
        ..Person::at(
            number("trackId")?.clamp(0.0, f64::from(u32::MAX)) as u32,
            bbox,
            source,
        )
    })
}

/// Only of a whole image does the drawing depend on it.
fn read_box_source(person: Value, path: &str) -> Result<Option<BoxSource>, EngineError> {
    part(person, path, "boxSource", "who drew the box", |value| {
        let name = (!value.is_absent()).then(|| value.string());
        match name {
            None => Some(None),
            Some(name) => {
                Some((name? == BoxSource::FullImage.as_str()).then_some(BoxSource::FullImage))
            }
        }
    })
}

fn read_keypoint(point: Value, path: &str) -> Result<Keypoint, EngineError> {
    if !point.is_object() {
        return Err(wrong(path, "a Keypoint", point));
    }
    let number = |name| part(point, path, name, "a number", Value::number);
    let name = part(point, path, "name", "the name of a keypoint", |v| {
        let given = v.string()?;
        let known = KeypointSet::ALL.iter().flat_map(|set| set.names());
        known.copied().find(|name| *name == given)
    })?;
    Ok(Keypoint {
        name,
        x: number("x")? as f32,
        y: number("y")? as f32,
        z: None,
        confidence: number("confidence")? as f32,
    })
}

/// Angles that this version knows; others cannot be drawn.
fn read_angles(person: Value, path: &str) -> Result<Option<Vec<(&'static str, f32)>>, EngineError> {
    let given = part(person, path, "jointAngles3d", "an object", |v| {
        (v.is_absent() || v.is_object()).then_some(*v)
    })?;
    if given.is_absent() {
        return Ok(None);
    }
    // Which include BlazePose's.
    let known = body_angles::names().filter_map(|name| {
        let degrees = given.get(name).ok()?.number()?;
        Some((name, degrees as f32))
    });
    Ok(Some(known.collect()))
}
