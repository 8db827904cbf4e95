//! Looks at frames as bytes: what needs no memory of other frames may be found on one machine and
//! followed on another, with the same results to the bit.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::control::JobControl;
use super::error::{EngineError, LOOK};
use super::perception::{FrameView, Perception};
use super::pool::Priority;
use super::sealed::Kind;
use super::shared::Core;
use super::words::{Word, named};

/// Of the layout of looks: to be raised with every change of what a family sees in a frame.
const VERSION: u32 = 1;

const KIND: Kind = Kind {
    magic: *b"pose4dL\n",
    version: VERSION,
    code: LOOK,
    name: "look",
    whole_name: "look at a frame",
    maker: "engine.lookAtFrames()",
};

/// A frame by its number, and the look at it or what is wrong with the frame.
pub type Looked = (f64, Result<Vec<u8>, EngineError>);

/// What the look is of. The model stands for its weights; `settings` for all else of the engine that
/// changes what is seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Header {
    model: String,
    settings: String,
    number: f64,
    index: u64,
    size: [u64; 2],
    /// Of pixels and given boxes: against mix-ups, not against forgers.
    digest: u32,
    mesh: bool,
    tracked: bool,
}

#[derive(Serialize, Deserialize)]
struct Body<S> {
    sightings: S,
    /// What it cost where it was made.
    #[serde(with = "named")]
    timings: Vec<(Word, f64)>,
}

/// Sightings, and what they cost.
pub(super) type Seen<S> = (S, Vec<(Word, f64)>);

impl Header {
    fn of(model: &str, settings: String, view: &FrameView) -> Self {
        let mut digest = crc32fast::Hasher::new();
        digest.update(&view.image.data);
        // Nobody said who is there, or that nobody is.
        digest.update(&[u8::from(view.boxes.is_some())]);
        for b in view.boxes.iter().flatten() {
            for side in [b.x1, b.y1, b.x2, b.y2] {
                digest.update(&side.to_le_bytes());
            }
        }
        Self {
            model: model.to_owned(),
            settings,
            number: view.number,
            index: view.index,
            size: [view.image.width as u64, view.image.height as u64],
            digest: digest.finalize(),
            mesh: view.mesh,
            tracked: view.tracked,
        }
    }

    /// Whether a look under this header is one at the frame of `wanted`.
    fn check(&self, wanted: &Self) -> Result<(), EngineError> {
        let ([w, h], [width, height]) = (self.size, wanted.size);
        let mesh = |mesh: bool| if mesh { "with" } else { "without" };
        let what = if self.model != wanted.model {
            format!(
                "made with model {:?}, this engine has {:?}",
                self.model, wanted.model
            )
        } else if self.settings != wanted.settings {
            "made by an engine with other settings (detector, thresholds, precision, people at most)"
                .to_owned()
        } else if self.number != wanted.number {
            format!("of frame {}, not of frame {}", self.number, wanted.number)
        } else if self.index != wanted.index {
            format!(
                "of a frame with {} before it in its clip; this one has {} (startIndex)",
                self.index, wanted.index
            )
        } else if self.size != wanted.size {
            format!("of a picture of {w}x{h} pixels; this one has {width}x{height}")
        } else if self.digest != wanted.digest {
            "of another picture, or with other boxes".to_owned()
        } else if self.tracked != wanted.tracked {
            "made for a clip with another `tracking`".to_owned()
        } else if self.mesh != wanted.mesh {
            format!(
                "one {} meshes, and the call is {} them",
                mesh(self.mesh),
                mesh(wanted.mesh)
            )
        } else {
            return Ok(());
        };
        Err(KIND.refused(format!(
            "the look is {what}; leave it away, and the frame is looked at anew"
        )))
    }
}

/// Sightings of `bytes`, if they are a look at this frame by an engine like this one.
fn read<S: DeserializeOwned>(bytes: &[u8], wanted: &Header) -> Result<Seen<S>, EngineError> {
    let opened = KIND.open::<Header>(bytes)?;
    opened.header.check(wanted)?;
    let Body { sightings, timings } = opened.body()?;
    Ok((sightings, timings))
}

/// What an engine's looks depend on, beside the frame: those of an engine with the same are good here.
pub(super) fn key<P: Perception>(version: &str, perception: &P) -> String {
    format!("{VERSION} {version} {}", perception.looks_with())
}

/// The look at a frame, as bytes.
pub(super) async fn pack<P: Perception>(
    core: &Core<P>,
    ctl: &JobControl,
    view: FrameView,
    (sightings, timings): Seen<P::Sightings>,
) -> Result<Vec<u8>, EngineError> {
    let model = core.version().to_owned();
    let settings = core.perception().looks_with();
    let seal = move |_: &mut P::Worker| {
        let header = Header::of(&model, settings, &view);
        KIND.seal(&header, &Body { sightings, timings })
    };
    core.pool().run(ctl, Priority::Ahead, seal).await?
}

/// What a look that was handed over with the frame says.
pub(super) async fn unpack<P: Perception>(
    core: &Core<P>,
    ctl: &JobControl,
    view: &FrameView,
    bytes: Vec<u8>,
) -> Result<Seen<P::Sightings>, EngineError> {
    let (model, view) = (core.version().to_owned(), view.clone());
    let settings = core.perception().looks_with();
    let open = move |_: &mut P::Worker| read(&bytes, &Header::of(&model, settings, &view));
    core.pool().run(ctl, Priority::Ahead, open).await?
}

#[cfg(test)]
#[path = "looks_tests.rs"]
mod tests;
