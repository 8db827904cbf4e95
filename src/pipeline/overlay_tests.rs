//! What of a person is drawn, and that sizes and madness are coped with.

use super::*;
use crate::geometry::joints::KeypointSet;

/// A runner, in fractions of a box: name, x, y, metres away from the camera.
const RUNNER: [(&str, f32, f32, f32); 33] = [
    ("nose", 0.62, 0.09, -0.1),
    ("left_eye_inner", 0.62, 0.075, -0.1),
    ("left_eye", 0.615, 0.072, -0.12),
    ("left_eye_outer", 0.61, 0.072, -0.12),
    ("right_eye_inner", 0.625, 0.074, 0.0),
    ("right_eye", 0.63, 0.073, 0.02),
    ("right_eye_outer", 0.632, 0.073, 0.03),
    ("left_ear", 0.55, 0.08, -0.15),
    ("right_ear", 0.6, 0.08, 0.1),
    ("mouth_left", 0.605, 0.11, -0.1),
    ("mouth_right", 0.615, 0.112, 0.0),
    ("left_shoulder", 0.5, 0.2, -0.2),
    ("right_shoulder", 0.56, 0.2, 0.2),
    ("left_elbow", 0.3, 0.3, -0.3),
    ("right_elbow", 0.66, 0.34, 0.25),
    ("left_wrist", 0.2, 0.42, -0.25),
    ("right_wrist", 0.86, 0.28, 0.2),
    ("left_pinky", 0.18, 0.45, -0.25),
    ("right_pinky", 0.9, 0.26, 0.2),
    ("left_index", 0.19, 0.46, -0.25),
    ("right_index", 0.91, 0.25, 0.2),
    ("left_thumb", 0.21, 0.44, -0.25),
    ("right_thumb", 0.89, 0.27, 0.2),
    ("left_hip", 0.48, 0.5, -0.1),
    ("right_hip", 0.53, 0.5, 0.1),
    ("left_knee", 0.7, 0.62, -0.15),
    ("right_knee", 0.42, 0.72, 0.1),
    ("left_ankle", 0.66, 0.82, -0.15),
    ("right_ankle", 0.14, 0.82, 0.1),
    ("left_heel", 0.62, 0.85, -0.15),
    ("right_heel", 0.08, 0.82, 0.1),
    ("left_foot_index", 0.76, 0.88, -0.15),
    ("right_foot_index", 0.1, 0.92, 0.1),
];

fn runner(track_id: u32, bbox: BBox, source: Source) -> Person {
    let keypoints = RUNNER.map(|(name, x, y, z)| Keypoint {
        name,
        x: bbox.x1 + x * bbox.width(),
        y: bbox.y1 + y * bbox.height(),
        z: Some(z),
        confidence: 0.95,
    });
    Person {
        score: 0.97,
        tracking_confidence: if source == Source::Detected { 1.0 } else { 0.6 },
        keypoints: keypoints.to_vec(),
        joint_angles3d: Some(vec![
            ("left_elbow", 142.3),
            ("left_knee", 88.6),
            ("left_hip", 110.0),
        ]),
        ..Person::at(track_id, bbox, source)
    }
}

fn frame(width: usize, height: usize, persons: Vec<Person>) -> (Rgb8, FrameResult) {
    let image = Rgb8 {
        width,
        height,
        data: vec![60; width * height * 3],
    };
    let result = FrameResult {
        frame_number: 0.0,
        time_s: 0.0,
        held: Vec::new(),
        starts_shot: false,
        earlier: Vec::new(),
        width: width as u32,
        height: height as u32,
        persons,
        processing_time_ms: 0.0,
        timings: Vec::new(),
        model_version: String::new(),
        depth: None,
        depth_error: None,
        error: None,
    };
    (image, result)
}

fn drawn(width: usize, height: usize, person: Person, options: &OverlayOptions) -> Rgb8 {
    let (mut image, result) = frame(width, height, vec![person]);
    draw_overlay(&mut image, &result, options);
    image
}

/// Share of pixels in the rectangle that are no longer grey.
fn ink(image: &Rgb8, area: &BBox) -> f32 {
    let (mut changed, mut all) = (0, 0);
    for y in area.y1 as usize..area.y2 as usize {
        for x in area.x1 as usize..area.x2 as usize {
            let at = (y * image.width + x) * 3;
            all += 1;
            changed += i32::from(image.data[at..at + 3] != [60; 3]);
        }
    }
    changed as f32 / all as f32
}

fn bare() -> OverlayOptions {
    OverlayOptions {
        boxes: false,
        labels: false,
        angles: Vec::new(),
        ..OverlayOptions::default()
    }
}

const BOX: BBox = BBox {
    x1: 200.0,
    y1: 60.0,
    x2: 400.0,
    y2: 340.0,
};

#[test]
fn every_part_is_drawn_and_can_be_left_out() {
    let inside = BBox::new(210.0, 70.0, 390.0, 330.0);
    let top_edge = BBox::new(215.0, 59.0, 385.0, 62.0);
    let tab = BBox::new(202.0, 46.0, 240.0, 58.0);
    let person = || runner(1, BOX, Source::Detected);
    let skeleton = drawn(640, 360, person(), &bare());
    assert!(ink(&skeleton, &inside) > 0.02);
    assert_eq!(ink(&skeleton, &top_edge) + ink(&skeleton, &tab), 0.0);
    let boxed = OverlayOptions {
        boxes: true,
        ..bare()
    };
    assert!(ink(&drawn(640, 360, person(), &boxed), &top_edge) > 0.3);
    let labelled = OverlayOptions {
        labels: true,
        ..bare()
    };
    assert!(ink(&drawn(640, 360, person(), &labelled), &tab) > 0.9);
    let angled = OverlayOptions {
        angles: vec!["left_knee".into()],
        ..bare()
    };
    let angle = drawn(640, 360, person(), &angled);
    assert!(ink(&angle, &inside) > ink(&skeleton, &inside) + 0.003);
}

#[test]
fn left_is_warm_and_right_is_cool() {
    let image = drawn(640, 360, runner(1, BOX, Source::Detected), &bare());
    let middle_of = |a: &str, b: &str| {
        let at = |name| RUNNER.iter().find(|k| k.0 == name).unwrap();
        let (a, b) = (at(a), at(b));
        let x = BOX.x1 + (a.1 + b.1) / 2.0 * BOX.width();
        let y = BOX.y1 + (a.2 + b.2) / 2.0 * BOX.height();
        let at = (y.round() as usize * 640 + x.round() as usize) * 3;
        [image.data[at], image.data[at + 1], image.data[at + 2]]
    };
    let [r, _, b] = middle_of("left_elbow", "left_wrist");
    assert!(r > b + 100);
    let [r, _, b] = middle_of("right_knee", "right_ankle");
    assert!(b > r + 100);
}

#[test]
fn guesses_and_doubts_are_fainter() {
    let sure = drawn(640, 360, runner(1, BOX, Source::Detected), &bare());
    let guess = drawn(640, 360, runner(1, BOX, Source::Predicted), &bare());
    assert!(ink(&guess, &BOX) < 0.75 * ink(&sure, &BOX));
    assert!(ink(&guess, &BOX) > 0.01);

    let mut doubtful = runner(1, BOX, Source::Detected);
    for point in &mut doubtful.keypoints {
        point.confidence = 0.15;
    }
    let contrast = |image: &Rgb8| -> u32 {
        let steps = image.data.iter().map(|v| u32::from(v.abs_diff(60)));
        steps.sum()
    };
    let faint = drawn(640, 360, doubtful.clone(), &bare());
    assert!(contrast(&faint) * 2 < contrast(&sure) && contrast(&faint) > 0);
    for point in &mut doubtful.keypoints {
        point.confidence = 0.05;
    }
    assert_eq!(ink(&drawn(640, 360, doubtful, &bare()), &BOX), 0.0);
}

/// A body in one of SMPL's or OpenPose's sets, each joint where the runner has it or beside it.
fn body_of(set: KeypointSet) -> Person {
    let runner = runner(1, BOX, Source::Detected);
    let place = |name: &str| {
        let known = runner.keypoints.iter().find(|k| k.name == name);
        known.map_or([0.5, 0.45], |k| {
            [(k.x - BOX.x1) / BOX.width(), (k.y - BOX.y1) / BOX.height()]
        })
    };
    let point = |name: &&'static str| {
        let [x, y] = place(name);
        Keypoint {
            name,
            x: BOX.x1 + x * BOX.width(),
            y: BOX.y1 + y * BOX.height(),
            z: Some(0.0),
            confidence: 0.9,
        }
    };
    Person {
        keypoints: set.names().iter().map(point).collect(),
        ..runner
    }
}

#[test]
fn bodies_have_skeletons_too_and_regressed_doubles_are_left_out() {
    for set in [
        KeypointSet::Smpl24,
        KeypointSet::Smplx45,
        KeypointSet::Openpose25,
    ] {
        let body = body_of(set);
        let mut bones = body.clone();
        // Without the trunk's middle line there is less ink.
        bones
            .keypoints
            .retain(|k| !["neck", "spine2"].contains(&k.name));
        let (whole, part) = (
            drawn(640, 360, body, &bare()),
            drawn(640, 360, bones, &bare()),
        );
        assert!(ink(&whole, &BOX) > 0.01, "{}", set.as_str());
        assert!(whole != part, "{}", set.as_str());
    }
    let openpose = drawn(640, 360, body_of(KeypointSet::Openpose25), &bare());
    let hmr = drawn(640, 360, body_of(KeypointSet::Hmr44), &bare());
    assert!(openpose == hmr);
}

#[test]
fn a_whole_image_nobody_looked_at_is_drawn_faint() {
    let mut person = runner(1, BOX, Source::Detected);
    let sure = drawn(640, 360, person.clone(), &bare());
    person.keypoints.iter_mut().for_each(|k| k.confidence = 0.0);
    let nothing = drawn(640, 360, person.clone(), &bare());
    person.box_source = Some(BoxSource::FullImage);
    let faint = drawn(640, 360, person, &bare());
    assert_eq!(ink(&nothing, &BOX), 0.0);
    assert!(ink(&faint, &BOX) > 0.0 && faint != sure);
}

#[test]
fn coco_has_a_skeleton_too() {
    let mut person = runner(1, BOX, Source::Detected);
    person
        .keypoints
        .retain(|k| KeypointSet::Coco17.names().contains(&k.name));
    assert_eq!(person.keypoints.len(), 17);
    let face = BBox::new(300.0, 78.0, 330.0, 88.0);
    let image = drawn(640, 360, person, &bare());
    assert!(ink(&image, &BOX) > 0.02 && ink(&image, &face) > 0.05);
}

#[test]
fn lines_grow_with_the_frame_and_follow_its_scale() {
    let share = |width: usize, height: usize| {
        let k = width as f32 / 640.0;
        let big = BBox::new(BOX.x1 * k, BOX.y1 * k, BOX.x2 * k, BOX.y2 * k);
        ink(
            &drawn(width, height, runner(1, big, Source::Detected), &bare()),
            &big,
        )
    };
    let (small, large) = (share(640, 360), share(3840, 2160));
    assert!(
        large > 0.4 * small && large < 1.2 * small,
        "{small} {large}"
    );

    let (mut image, mut result) = frame(640, 360, vec![runner(1, BOX, Source::Detected)]);
    (result.width, result.height) = (1280, 720);
    draw_overlay(&mut image, &result, &bare());
    assert!(ink(&image, &BBox::new(100.0, 30.0, 200.0, 170.0)) > 0.02);
    assert_eq!(ink(&image, &BBox::new(230.0, 180.0, 640.0, 360.0)), 0.0);
}

#[test]
fn labels_of_neighbours_do_not_hide_each_other() {
    let persons = vec![
        runner(1, BOX, Source::Detected),
        runner(2, BOX, Source::Detected),
        runner(3, BOX, Source::Predicted),
    ];
    let sheet = Sheet {
        options: &OverlayOptions::default(),
        width: 640.0,
        height: 360.0,
        scale: [1.0; 2],
    };
    let (image, _) = frame(640, 360, Vec::new());
    let mut canvas = Canvas::over(&image).unwrap();
    let mut tabs = Vec::new();
    for person in &persons {
        Figure::new(&sheet, person).draw_tab(&mut canvas, &mut tabs);
    }
    assert_eq!(tabs.len(), 3);
    for (i, a) in tabs.iter().enumerate() {
        assert!(tabs[i + 1..].iter().all(|b| a.intersection(b) == 0.0));
    }
}

#[test]
fn mad_numbers_do_no_harm() {
    for wild in [f32::NAN, f32::INFINITY, -1e30, 1e9] {
        let mut person = runner(u32::MAX, BOX, Source::Interpolated);
        person.bbox = BBox::new(wild, wild, wild, 5.0);
        for point in &mut person.keypoints {
            (point.x, point.y) = (wild, -wild);
        }
        person.joint_angles3d = Some(vec![("left_knee", wild)]);
        person.score = wild;
        for (width, height) in [(640, 360), (1, 1), (3, 200)] {
            let options = OverlayOptions {
                scale: wild,
                ..OverlayOptions::default()
            };
            let image = drawn(width, height, person.clone(), &options);
            assert_eq!(image.data.len(), width * height * 3);
        }
    }
    let (mut none, result) = frame(0, 0, vec![runner(1, BOX, Source::Detected)]);
    draw_overlay(&mut none, &result, &OverlayOptions::default());
}
