//! JS frames → engine input. A frame that cannot be read is that frame's error, never the call's.

use super::value::{Bytes, Unreadable, Value};
use crate::geometry::boxes::BBox;
use crate::pipeline::error::{
    EngineError, FRAME_NUMBER, FRAME_SOURCE, IMAGE_TOO_LARGE, INVALID_ARGUMENT,
};
use crate::pipeline::source::{FrameInput, FrameSource};

const SOURCES: [&str; 4] = ["image", "imageBase64", "imagePath", "pixels"];

/// More boxes than this in one frame are a mistake.
const MAX_BOXES: u32 = 1000;

/// How much of a frame is taken over at most.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Encoded bytes, or characters of base64 that stand for them.
    pub bytes: u64,
    pub pixels: u64,
}

/// The frames of a call; `Err` only where they are not an array at all. Bytes are copied here:
/// what the caller does to them afterwards changes nothing.
pub fn read(frames: Value, limits: Limits) -> Result<Vec<FrameInput>, EngineError> {
    let length = length(frames)?;
    Ok((0..length)
        .map(|at| match frames.at(at) {
            Ok(frame) => read_one(frame, limits),
            Err(Unreadable) => bad(f64::NAN, unreadable(&format!("frames[{at}]"))),
        })
        .collect())
}

pub fn length(frames: Value) -> Result<u32, EngineError> {
    frames.array_length().ok_or_else(|| {
        EngineError::new(
            INVALID_ARGUMENT,
            format!(
                "frames must be an array of frames, but is {}",
                frames.describe()
            ),
        )
    })
}

pub fn read_one(frame: Value, limits: Limits) -> FrameInput {
    let number = match read_number(frame) {
        Ok(number) => number,
        Err(why) => return bad(f64::NAN, why),
    };
    match fill(frame, number, limits) {
        Ok(input) => input,
        Err(why) => bad(number, why),
    }
}

fn bad(number: f64, why: EngineError) -> FrameInput {
    FrameInput::new(number, FrameSource::Bad(why))
}

fn unreadable(what: &str) -> EngineError {
    EngineError::new(
        INVALID_ARGUMENT,
        format!("{what} cannot be read: its getter throws"),
    )
}

fn wrong(name: &str, expected: &str, got: Value) -> EngineError {
    let got = got.describe();
    EngineError::new(
        INVALID_ARGUMENT,
        format!("{name} must be {expected}, but is {got}"),
    )
}

fn read_number(frame: Value) -> Result<f64, EngineError> {
    if !frame.is_object() {
        return Err(EngineError::new(
            INVALID_ARGUMENT,
            format!("a frame must be an object, but is {}", frame.describe()),
        ));
    }
    let number = frame
        .get("frameNumber")
        .map_err(|_| unreadable("frameNumber"))?;
    number.number().ok_or_else(|| {
        EngineError::new(
            FRAME_NUMBER,
            format!(
                "frameNumber must be a whole number, 0 or more, but is {}",
                number.describe()
            ),
        )
    })
}

fn fill(frame: Value, number: f64, limits: Limits) -> Result<FrameInput, EngineError> {
    let mut input = FrameInput::new(number, source(frame, limits)?);
    if let Some(time) = present(frame, "timestampMs")? {
        let time = time.number().filter(|t| t.is_finite()).ok_or(time);
        input.timestamp_ms =
            Some(time.map_err(|got| wrong("timestampMs", "a finite number", got))?);
    }
    if let Some(given) = present(frame, "boxes")? {
        input.boxes = Some(boxes(given)?);
    }
    if let Some(look) = present(frame, "look")? {
        input.look = Some(copied("look", look, limits.bytes)?);
    }
    Ok(input)
}

fn present(frame: Value, name: &str) -> Result<Option<Value>, EngineError> {
    let value = frame.get(name).map_err(|_| unreadable(name))?;
    Ok((!value.is_absent()).then_some(value))
}

fn source(frame: Value, limits: Limits) -> Result<FrameSource, EngineError> {
    let mut given = Vec::new();
    for name in SOURCES {
        if let Some(value) = present(frame, name)? {
            given.push((name, value));
        }
    }
    let &[(name, value)] = given.as_slice() else {
        let names: Vec<_> = given.iter().map(|(name, _)| *name).collect();
        let found = if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(" and ")
        };
        return Err(EngineError::new(
            FRAME_SOURCE,
            format!(
                "a frame takes exactly one of {}; found {found}",
                SOURCES.join(", ")
            ),
        ));
    };
    match name {
        "image" => Ok(FrameSource::Bytes(copied(name, value, limits.bytes)?)),
        "pixels" => pixels(frame, value, limits),
        "imagePath" => {
            let path = value
                .string()
                .ok_or_else(|| wrong(name, "a string", value))?;
            Ok(FrameSource::Path(path.into()))
        }
        _ => {
            let text = value
                .string()
                .ok_or_else(|| wrong(name, "a string", value))?;
            Ok(FrameSource::Base64(text))
        }
    }
}

fn copied(name: &str, value: Value, most: u64) -> Result<Vec<u8>, EngineError> {
    match value.bytes() {
        Bytes::Here(bytes) if bytes.len() as u64 > most => Err(EngineError::new(
            IMAGE_TOO_LARGE,
            format!(
                "{name} has {} bytes; at most {most} are accepted",
                bytes.len()
            ),
        )),
        Bytes::Here(bytes) => Ok(bytes.to_vec()),
        Bytes::Detached => Err(EngineError::new(
            INVALID_ARGUMENT,
            format!("{name} is detached: its buffer was transferred, e.g. by postMessage"),
        )),
        Bytes::Other => Err(wrong(name, "a Buffer or Uint8Array", value)),
    }
}

fn pixels(frame: Value, value: Value, limits: Limits) -> Result<FrameSource, EngineError> {
    let side = |name: &'static str| {
        let given = frame.get(name).map_err(|_| unreadable(name))?;
        let number = given
            .number()
            .filter(|n| n.fract() == 0.0 && (1.0..=4e9).contains(n));
        let number =
            number.ok_or_else(|| wrong(name, "a whole number, 1 or more, beside pixels", given))?;
        Ok::<_, EngineError>(number as u32)
    };
    let (width, height) = (side("width")?, side("height")?);
    let data = copied("pixels", value, limits.pixels.saturating_mul(3))?;
    Ok(FrameSource::Pixels {
        data,
        width,
        height,
    })
}

/// `[[x1, y1, x2, y2], …]`, or the same numbers in a row in a Float32Array.
fn boxes(value: Value) -> Result<Vec<BBox>, EngineError> {
    const EXPECTED: &str = "[x1, y1, x2, y2] rows in pixels, x2 > x1 and y2 > y1 (a Float32Array: \
                            4 numbers per box)";
    let wrong = || wrong("boxes", EXPECTED, value);
    let rows: Vec<Vec<f32>> = match value.array_length() {
        Some(length) if length > MAX_BOXES => return Err(wrong()),
        Some(length) => (0..length)
            .map(|i| value.at(i).ok().and_then(|row| row.floats()))
            .collect::<Option<_>>()
            .ok_or_else(wrong)?,
        None => {
            let flat = value.floats().ok_or_else(wrong)?;
            if flat.len() % 4 != 0 || flat.len() / 4 > MAX_BOXES as usize {
                return Err(wrong());
            }
            flat.chunks_exact(4).map(<[f32]>::to_vec).collect()
        }
    };
    rows.iter()
        .map(|row| match row.as_slice() {
            &[x1, y1, x2, y2] if row.iter().all(|v| v.is_finite()) && x2 > x1 && y2 > y1 => {
                Ok(BBox::new(x1, y1, x2, y2))
            }
            _ => Err(wrong()),
        })
        .collect()
}
