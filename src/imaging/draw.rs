//! Anti-aliased lines, discs, boxes and text on a picture.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};
use tiny_skia::{
    Color, FillRule, FilterQuality, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap,
    PixmapPaint, PremultipliedColorU8, Rect, Stroke, StrokeDash, Transform,
};

use crate::geometry::boxes::BBox;
use crate::imaging::pixels::Rgb8;

/// Red, green, blue in 0..=255 and opacity in 0..=1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Colour {
    pub rgb: [u8; 3],
    pub alpha: f32,
}

impl Colour {
    pub const WHITE: Self = Self::new(255, 255, 255);
    pub const BLACK: Self = Self::new(0, 0, 0);

    pub const fn new(r: u8, g: u8, b: u8) -> Self {
        Self {
            rgb: [r, g, b],
            alpha: 1.0,
        }
    }

    /// The same hue, `factor` times as opaque.
    pub fn faded(self, factor: f32) -> Self {
        Self {
            alpha: self.alpha * factor,
            ..self
        }
    }

    /// `hue` in turns (0 red, 1/3 green, 2/3 blue), `saturation` and `value` in 0..=1.
    pub fn from_hsv(hue: f32, saturation: f32, value: f32) -> Self {
        let channel = |shift: f32| {
            let distance = ((hue + shift).rem_euclid(1.0) * 6.0 - 3.0).abs() - 1.0;
            let level = value * (1.0 - saturation * (1.0 - distance.clamp(0.0, 1.0)));
            (level * 255.0).round() as u8
        };
        Self::new(channel(0.0), channel(2.0 / 3.0), channel(1.0 / 3.0))
    }

    /// Part of the way to white.
    pub fn lighter(self, part: f32) -> Self {
        let rgb = self
            .rgb
            .map(|c| (f32::from(c) + (255.0 - f32::from(c)) * part) as u8);
        Self { rgb, ..self }
    }

    /// Perceived lightness, 0..=1.
    pub fn lightness(self) -> f32 {
        let [r, g, b] = self.rgb.map(f32::from);
        (0.299 * r + 0.587 * g + 0.114 * b) / 255.0
    }

    fn paint(self) -> Paint<'static> {
        let [r, g, b] = self.rgb.map(|c| f32::from(c) / 255.0);
        let mut paint = Paint::default();
        if let Some(color) = Color::from_rgba(r, g, b, self.alpha.clamp(0.0, 1.0)) {
            paint.set_color(color);
        }
        paint
    }
}

/// How an outline is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pen {
    pub colour: Colour,
    /// Pixels.
    pub width: f32,
    /// Gaps as long as the dashes, a few widths each.
    pub dashed: bool,
}

impl Pen {
    pub fn solid(colour: Colour, width: f32) -> Self {
        Self {
            colour,
            width,
            dashed: false,
        }
    }

    fn stroke(&self) -> Stroke {
        let step = self.width * 3.0;
        Stroke {
            width: self.width,
            line_cap: LineCap::Round,
            line_join: LineJoin::Round,
            dash: self
                .dashed
                .then(|| StrokeDash::new(vec![step, step], 0.0))
                .flatten(),
            ..Stroke::default()
        }
    }
}

/// A picture being drawn on. Shapes that are not finite, or absurdly far outside, are left out.
pub struct Canvas {
    pixmap: Pixmap,
    reach: f32,
}

impl Canvas {
    /// `None` for a picture without pixels, or of a size that cannot be drawn on.
    pub fn over(image: &Rgb8) -> Option<Self> {
        let (width, height) = (
            u32::try_from(image.width).ok()?,
            u32::try_from(image.height).ok()?,
        );
        let mut pixmap = Pixmap::new(width, height)?;
        for (to, from) in pixmap
            .pixels_mut()
            .iter_mut()
            .zip(image.data.chunks_exact(3))
        {
            *to = PremultipliedColorU8::from_rgba(from[0], from[1], from[2], 255)?;
        }
        let reach = 4.0 * width.max(height) as f32;
        Some(Self { pixmap, reach })
    }

    /// Copies the drawing into a picture of the same size.
    pub fn write_to(&self, image: &mut Rgb8) {
        for (to, from) in image.data.chunks_exact_mut(3).zip(self.pixmap.pixels()) {
            to.copy_from_slice(&[from.red(), from.green(), from.blue()]);
        }
    }

    pub fn line(&mut self, from: [f32; 2], to: [f32; 2], pen: Pen) {
        if !self.reaches(from) || !self.reaches(to) {
            return;
        }
        let mut builder = PathBuilder::new();
        builder.move_to(from[0], from[1]);
        builder.line_to(to[0], to[1]);
        self.stroke(builder.finish(), pen);
    }

    pub fn disc(&mut self, centre: [f32; 2], radius: f32, colour: Colour) {
        if self.reaches(centre) {
            self.fill(
                PathBuilder::from_circle(centre[0], centre[1], radius),
                colour,
            );
        }
    }

    pub fn ring(&mut self, centre: [f32; 2], radius: f32, pen: Pen) {
        if self.reaches(centre) {
            self.stroke(PathBuilder::from_circle(centre[0], centre[1], radius), pen);
        }
    }

    /// The outline of a box with corners rounded by `radius`.
    pub fn frame(&mut self, area: &BBox, radius: f32, pen: Pen) {
        let path = self.rounded(area, radius);
        self.stroke(path, pen);
    }

    /// A filled box with corners rounded by `radius`.
    pub fn panel(&mut self, area: &BBox, radius: f32, colour: Colour) {
        let path = self.rounded(area, radius);
        self.fill(path, colour);
    }

    /// One line of text, its box's upper left corner at `at`. Letters the font lacks show as `?`.
    pub fn text(&mut self, at: [f32; 2], height: f32, text: &str, colour: Colour) {
        let Some(line) = raster_line(text, height, colour) else {
            return;
        };
        if !self.reaches(at) {
            return;
        }
        let scale = height / line.height() as f32;
        // At its own size a letter stays crisp only on whole pixels.
        let transform = Transform::from_row(scale, 0.0, 0.0, scale, at[0].round(), at[1].round());
        let paint = PixmapPaint {
            quality: FilterQuality::Bicubic,
            ..PixmapPaint::default()
        };
        self.pixmap
            .draw_pixmap(0, 0, line.as_ref(), &paint, transform, None);
    }

    fn reaches(&self, [x, y]: [f32; 2]) -> bool {
        x.is_finite() && y.is_finite() && x.abs() <= self.reach && y.abs() <= self.reach
    }

    fn rounded(&self, area: &BBox, radius: f32) -> Option<Path> {
        if !self.reaches([area.x1, area.y1]) || !self.reaches([area.x2, area.y2]) {
            return None;
        }
        let rect = Rect::from_ltrb(area.x1, area.y1, area.x2, area.y2)?;
        let r = radius
            .min(rect.width() / 2.0)
            .min(rect.height() / 2.0)
            .max(0.0);
        let (left, top, right, bottom) = (rect.left(), rect.top(), rect.right(), rect.bottom());
        let mut path = PathBuilder::new();
        path.move_to(left + r, top);
        path.line_to(right - r, top);
        path.quad_to(right, top, right, top + r);
        path.line_to(right, bottom - r);
        path.quad_to(right, bottom, right - r, bottom);
        path.line_to(left + r, bottom);
        path.quad_to(left, bottom, left, bottom - r);
        path.line_to(left, top + r);
        path.quad_to(left, top, left + r, top);
        path.close();
        path.finish()
    }

    fn stroke(&mut self, path: Option<Path>, pen: Pen) {
        if let Some(path) = path {
            let (paint, stroke) = (pen.colour.paint(), pen.stroke());
            self.pixmap
                .stroke_path(&path, &paint, &stroke, Transform::identity(), None);
        }
    }

    fn fill(&mut self, path: Option<Path>, colour: Colour) {
        if let Some(path) = path {
            let identity = Transform::identity();
            self.pixmap
                .fill_path(&path, &colour.paint(), FillRule::Winding, identity, None);
        }
    }
}

/// Width of a line of text of the given height, in pixels.
pub fn text_width(text: &str, height: f32) -> f32 {
    let raster = raster_for(height);
    let advance = get_raster_width(FontWeight::Bold, raster) as f32;
    advance * text.chars().count() as f32 * height / raster.val() as f32
}

/// The smallest stored size that need not be enlarged much.
fn raster_for(height: f32) -> RasterHeight {
    if height <= 18.0 {
        RasterHeight::Size16
    } else if height <= 27.0 {
        RasterHeight::Size24
    } else {
        RasterHeight::Size32
    }
}

fn raster_line(text: &str, height: f32, colour: Colour) -> Option<Pixmap> {
    let raster = raster_for(height);
    let advance = get_raster_width(FontWeight::Bold, raster);
    let width = advance.checked_mul(text.chars().count())?;
    let mut line = Pixmap::new(u32::try_from(width).ok()?, raster.val() as u32)?;
    let pixels = line.pixels_mut();
    for (index, letter) in text.chars().enumerate() {
        let glyph = get_raster(letter, FontWeight::Bold, raster)
            .or_else(|| get_raster('?', FontWeight::Bold, raster))?;
        for (y, row) in glyph.rows().enumerate() {
            let start = y * width + index * advance;
            let slots = pixels.get_mut(start..start + advance)?;
            for (slot, coverage) in slots.iter_mut().zip(row.iter()) {
                let alpha = f32::from(*coverage) * colour.alpha.clamp(0.0, 1.0);
                let [r, g, b] = colour.rgb.map(|c| (f32::from(c) * alpha / 255.0) as u8);
                // Truncated alike, so no channel exceeds the opacity.
                *slot = PremultipliedColorU8::from_rgba(r, g, b, alpha as u8)?;
            }
        }
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(width: usize, height: usize) -> Rgb8 {
        Rgb8 {
            width,
            height,
            data: vec![100; width * height * 3],
        }
    }

    fn pixel(image: &Rgb8, x: usize, y: usize) -> [u8; 3] {
        let at = (y * image.width + x) * 3;
        [image.data[at], image.data[at + 1], image.data[at + 2]]
    }

    #[test]
    fn shapes_land_where_they_should_and_nowhere_else() {
        let mut image = grey(60, 40);
        let mut canvas = Canvas::over(&image).unwrap();
        let red = Colour::new(255, 0, 0);
        canvas.line([10.0, 20.5], [30.0, 20.5], Pen::solid(red, 3.0));
        canvas.disc([45.0, 20.0], 5.0, Colour::WHITE);
        canvas.panel(
            &BBox::new(2.0, 2.0, 8.0, 8.0),
            0.0,
            Colour::BLACK.faded(0.5),
        );
        canvas.write_to(&mut image);
        assert_eq!(pixel(&image, 20, 20), [255, 0, 0]);
        assert_eq!(pixel(&image, 45, 20), [255; 3]);
        assert_eq!(pixel(&image, 5, 5), [50; 3]);
        assert_eq!(pixel(&image, 20, 25), [100; 3]);
        assert_eq!(pixel(&image, 9, 5), [100; 3]);
    }

    #[test]
    fn a_dashed_line_has_gaps() {
        let mut image = grey(80, 9);
        let mut canvas = Canvas::over(&image).unwrap();
        let pen = Pen {
            dashed: true,
            ..Pen::solid(Colour::WHITE, 2.0)
        };
        canvas.line([0.0, 4.0], [80.0, 4.0], pen);
        canvas.write_to(&mut image);
        let lit: Vec<bool> = (0..80).map(|x| pixel(&image, x, 4)[0] > 200).collect();
        assert!(lit.windows(2).filter(|pair| pair[0] != pair[1]).count() >= 8);
    }

    #[test]
    fn text_covers_its_box() {
        for height in [11.0, 16.0, 24.0, 40.0] {
            let mut image = grey(400, 60);
            let mut canvas = Canvas::over(&image).unwrap();
            canvas.text([10.0, 5.0], height, "#7 97°", Colour::WHITE);
            canvas.write_to(&mut image);
            let width = text_width("#7 97°", height) as usize;
            let lit = |x: usize| (0..60).any(|y| pixel(&image, x, y)[0] > 180);
            assert!((10..10 + width).filter(|x| lit(*x)).count() > width / 3);
            assert!(!(0..9).any(lit) && !(12 + width..400).any(lit));
        }
    }

    #[test]
    fn mad_coordinates_are_left_out() {
        let mut image = grey(20, 20);
        let before = image.clone();
        let mut canvas = Canvas::over(&image).unwrap();
        let pen = Pen {
            dashed: true,
            ..Pen::solid(Colour::WHITE, 1.0)
        };
        for wild in [f32::NAN, f32::INFINITY, 1e30, -1e9] {
            canvas.line([wild, 1.0], [5.0, wild], pen);
            canvas.disc([wild, wild], 3.0, Colour::WHITE);
            canvas.frame(&BBox::new(0.0, 0.0, wild, 5.0), 1.0, pen);
            canvas.text([wild, 0.0], 12.0, "x", Colour::WHITE);
        }
        canvas.write_to(&mut image);
        assert!(image == before);
        assert!(Canvas::over(&grey(0, 5)).is_none());
    }
}
