//! What a frame shows by itself: boxes, crops, bodies, keypoints.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::desk::Desk;
use super::identity::Identity;
use super::networks::{Bodies, BodyCrop, BodyFacts, BodyWork, Finder, FoundBox, PointsCrop};
use super::person::Sighting;
use super::post::Counter;
use crate::geometry::boxes::BBox;
use crate::layers::detection::mask::Mask;
use crate::models::hmr2::config::{Config, SIDE};
use crate::models::hmr2::crop::{Cropper, Square};
use crate::models::phalp::atlas::{Atlas, UvMap};
use crate::models::phalp::picture::Picture;
use crate::models::vitpose::crop::{self as points, NUMBERS, Region};
use crate::models::vitpose::model::{Procedure, VitPose};
use crate::pipeline::control::JobControl;
use crate::pipeline::error::{EngineError, INTERNAL, INVALID_ARGUMENT};
use crate::pipeline::perception::FrameView;
use crate::pipeline::pool::{Pool, Priority};
use crate::pipeline::result::BoxSource;
use crate::tracking::phalp::texture::Texture;

type Result<T> = std::result::Result<T, EngineError>;

/// The networks within reach of a frame.
pub struct Networks {
    /// None: the whole image is taken for one person.
    pub finder: Option<(Arc<Counter<Finder>>, BoxSource)>,
    /// The score above which what it finds is somebody; weaker ones only where somebody is expected.
    pub sure: f32,
    pub bodies: Arc<Counter<Bodies>>,
    pub points: Option<Arc<Counter<VitPose>>>,
    /// Tells people apart by how they look and move.
    pub identity: Option<IdentityDesk>,
    pub facts: Arc<BodyFacts>,
    pub desks: Vec<Desk>,
}

/// PHALP's networks, and where on the body each texel of its maps lies.
pub struct IdentityDesk {
    pub counter: Arc<Counter<Identity>>,
    pub atlas: Arc<Atlas>,
}

/// What a frame shows by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sightings {
    pub people: Vec<Sighting>,
    /// Boxes that the detector half believes in, best first.
    pub weak: Vec<FoundBox>,
    pub source: BoxSource,
}

/// Where the time of each stage is counted.
pub struct Meters {
    pub crop: JobControl,
    pub hmr2: JobControl,
    pub vitpose: JobControl,
}

/// A box and the crops of it.
struct Cut {
    square: Square,
    body: Vec<f32>,
    points: Option<PointsCrop>,
}

impl Networks {
    /// What HMR2's configuration says.
    pub fn config(&self) -> Result<&Config> {
        let missing = || EngineError::new(INTERNAL, "HMR2 was never loaded; please report this");
        self.facts.config.get().ok_or_else(missing)
    }

    /// Everybody in the frame, as each network sees them; the surest `most` of those found.
    pub async fn look(
        &self,
        pool: &Pool<()>,
        ctl: &JobControl,
        frame: &FrameView,
        most: usize,
    ) -> Result<Sightings> {
        // In the order in which timings are told, whether or not they come to something.
        let detect = self.finder.as_ref().map(|_| ctl.stage("detect"));
        let meters = Meters {
            crop: ctl.stage("crop"),
            hmr2: ctl.stage("hmr2"),
            vitpose: match &self.points {
                Some(_) => ctl.stage("vitpose"),
                None => ctl.clone(),
            },
        };
        let detect = detect.as_ref().unwrap_or(ctl);
        let (mut sure, source) = self.boxes(detect, frame).await?;
        let mut weak = Vec::new();
        if matches!(source, BoxSource::VitDet | BoxSource::RegNetY) {
            (sure, weak) = sure.into_iter().partition(|found| found.score > self.sure);
            sure.truncate(most);
        }
        Ok(Sightings {
            people: self.see(pool, &meters, frame, sure, source).await?,
            weak,
            source,
        })
    }

    /// Who is in the boxes.
    pub async fn see(
        &self,
        pool: &Pool<()>,
        meters: &Meters,
        frame: &FrameView,
        boxes: Vec<FoundBox>,
        source: BoxSource,
    ) -> Result<Vec<Sighting>> {
        let config = self.config()?;
        let cuts: Vec<_> = boxes
            .iter()
            .map(|found| self.cut(pool, &meters.crop, frame, found.bbox, config))
            .collect();
        let textured = self.identity.as_ref().filter(|_| frame.tracked);
        let (mut squares, mut bodies, mut points) = (Vec::new(), Vec::new(), Vec::new());
        for cut in cuts {
            let cut: Cut = cut.await??;
            squares.push(cut.square);
            bodies.push(BodyWork::Crop(BodyCrop {
                pixels: cut.body,
                mesh: frame.mesh || textured.is_some(),
            }));
            points.extend(cut.points);
        }
        let bodies = self.bodies.order(&meters.hmr2, bodies);
        let counter = self.points.as_ref();
        let points = counter.map(|counter| counter.order(&meters.vitpose, points));
        let bodies = bodies.await?;
        let points = match points {
            Some(points) => points.await?.into_iter().map(Some).collect(),
            None => vec![None; bodies.len()],
        };
        let parts = boxes.into_iter().zip(squares).zip(bodies).zip(points);
        let mut sightings = Vec::new();
        for (((mut found, square), body), points) in parts {
            let mask = found.mask.take();
            let mut sighting = Sighting {
                bbox: found.bbox,
                score: found.score,
                box_source: source,
                square,
                body,
                points,
                texture: None,
            };
            if let Some(desk) = textured {
                let seen = desk.texture(pool, &meters.crop, frame, sighting, mask);
                sighting = seen.await?;
            }
            sightings.push(sighting);
        }
        Ok(sightings)
    }

    async fn boxes(
        &self,
        ctl: &JobControl,
        frame: &FrameView,
    ) -> Result<(Vec<FoundBox>, BoxSource)> {
        let (width, height) = (frame.image.width as f32, frame.image.height as f32);
        if let Some(boxes) = &frame.boxes {
            let given = |&bbox: &BBox| {
                check_inside(bbox, width, height)?;
                Ok(FoundBox {
                    bbox,
                    score: 1.0,
                    mask: None,
                })
            };
            let boxes = boxes.iter().map(given).collect::<Result<_>>()?;
            return Ok((boxes, BoxSource::Given));
        }
        let Some((finder, source)) = &self.finder else {
            let whole = FoundBox {
                bbox: BBox::new(0.0, 0.0, width, height),
                score: 0.0,
                mask: None,
            };
            return Ok((vec![whole], BoxSource::FullImage));
        };
        let found = finder.order(ctl, vec![Arc::clone(&frame.image)]).await?;
        Ok((found.into_iter().next().unwrap_or_default(), *source))
    }

    /// Cuts the crops of one box on a worker.
    fn cut(
        &self,
        pool: &Pool<()>,
        ctl: &JobControl,
        frame: &FrameView,
        bbox: BBox,
        config: &Config,
    ) -> impl Future<Output = Result<Result<Cut>>> + Send + use<> {
        let size = usize::try_from(config.image_size).unwrap_or(0);
        let side = usize::try_from(SIDE).unwrap_or(0);
        let cropper = Cropper::new(config, side..size.saturating_sub(side));
        let (image, shape, wants_points) = (
            Arc::clone(&frame.image),
            config.box_shape,
            self.points.is_some(),
        );
        pool.run(ctl, Priority::Ahead, move |()| {
            let wrong = |what: String| {
                EngineError::new(
                    INVALID_ARGUMENT,
                    format!("{what}; a person needs some pixels"),
                )
            };
            let square = Square::around(bbox, shape).map_err(|e| wrong(e.to_string()))?;
            let mut body = vec![0.0; cropper.len()];
            cropper
                .crop(&image, square, &mut body)
                .map_err(|e| wrong(e.to_string()))?;
            let points = match wants_points {
                true => Some(cut_points(&image, bbox).map_err(|e| wrong(e.to_string()))?),
                false => None,
            };
            Ok(Cut {
                square,
                body,
                points,
            })
        })
    }
}

impl IdentityDesk {
    /// What the frame shows of the body's surface, on a worker. Without a mask, as with a box of the
    /// caller's, all that the body covers is taken for the person's.
    async fn texture(
        &self,
        pool: &Pool<()>,
        ctl: &JobControl,
        frame: &FrameView,
        mut sighting: Sighting,
        mask: Option<Mask>,
    ) -> Result<Sighting> {
        let (image, atlas, wanted) = (
            Arc::clone(&frame.image),
            Arc::clone(&self.atlas),
            frame.mesh,
        );
        let work = pool.run(ctl, Priority::Ahead, move |()| {
            let mine = |x: usize, y: usize| mask.as_ref().is_none_or(|mask| mask.contains(x, y));
            let picture = Picture::cut(&image, sighting.square, mine);
            if let (Ok(picture), Some(vertices)) = (picture, &sighting.body.vertices) {
                let UvMap { side, colour, seen } =
                    atlas.seen(vertices, sighting.body.camera, &picture);
                sighting.texture = Some(Arc::new(Texture { side, colour, seen }));
            }
            if !wanted {
                sighting.body.vertices = None;
            }
            sighting
        });
        work.await
    }
}

fn cut_points(
    image: &crate::imaging::pixels::Rgb8,
    bbox: BBox,
) -> std::result::Result<PointsCrop, points::CropError> {
    let region = Region::around(bbox)?;
    let mut pixels = vec![0.0; NUMBERS];
    let warp = Procedure::PUBLISHED.decoding.warp();
    points::crop(image, region, warp, &mut pixels)?;
    Ok(PointsCrop { pixels, region })
}

/// A box may reach beyond the frame; one that only lies beyond it shows nobody.
fn check_inside(bbox: BBox, width: f32, height: f32) -> Result<()> {
    let inside = bbox.x1 < width && bbox.y1 < height && bbox.x2 > 0.0 && bbox.y2 > 0.0;
    if inside {
        return Ok(());
    }
    let BBox { x1, y1, x2, y2 } = bbox;
    Err(EngineError::new(
        INVALID_ARGUMENT,
        format!(
            "the box [{x1}, {y1}, {x2}, {y2}] lies beyond the frame of {width}x{height} pixels; boxes \
             are [x1, y1, x2, y2] in pixels of the upright image"
        ),
    ))
}
