//! The card as a picture, for a message or a screen: the page of the PDF, in shades of gray.
//! W3C PNG, third edition.
//!
//! Not here: where what stands (`layout`).

use ab_glyph::{Font, PxScale, point};

use super::fonts::Face;
use super::layout::{Mark, page};
use super::{Card, Paper};

/// Dots an inch: letters of 9 points are 19 dots high, and a page has 200 kB at most.
const DOTS_PER_INCH: f32 = 150.0;
const DOTS_PER_POINT: f32 = DOTS_PER_INCH / 72.0;
/// Metres of an inch, for what a printer is told.
const METRES_PER_INCH: f32 = 0.0254;
const WHITE: u8 = 0xff;

/// The whole file; `None`: it cannot be written, which memory alone can be the cause of.
pub(crate) fn write(card: &Card) -> Option<Vec<u8>> {
    let mut picture = Picture::blank(card.paper);
    for mark in page(card) {
        picture.draw(&mark);
    }
    picture.file()
}

struct Picture {
    paper: Paper,
    width: usize,
    height: usize,
    /// Row by row from the top.
    dots: Vec<u8>,
}

/// A place on the page in dots: never below nothing, and far below 2^24.
fn dots(points: f32) -> usize {
    (points * DOTS_PER_POINT).round().max(0.0) as usize
}

impl Picture {
    fn blank(paper: Paper) -> Self {
        let [width, height] = paper.size().map(dots);
        Self {
            paper,
            width,
            height,
            dots: vec![WHITE; width * height],
        }
    }

    fn draw(&mut self, mark: &Mark) {
        match mark {
            Mark::Text { x, y, face, text } => self.text(*x, *y, *face, text),
            Mark::Area {
                x,
                y,
                width,
                height,
                gray,
            } => {
                let (left, right) = (dots(*x), dots(x + width));
                let from_top = self.paper.size()[1] - y;
                let top = dots(from_top - height);
                // A line is there, however thin.
                let low = dots(from_top).max(top + 1);
                let shade = (gray * f32::from(WHITE)) as u8;
                for row in top..low.min(self.height) {
                    let start = row * self.width;
                    self.dots[start + left..start + right.min(self.width)].fill(shade);
                }
            }
        }
    }

    fn text(&mut self, x: f32, y: f32, face: Face, text: &str) {
        let font = face.font();
        let units = font.units_per_em().unwrap_or(1_000.0);
        let size = face.size * DOTS_PER_POINT;
        // Scales are by the height of a line, sizes of letters by the em.
        let scale = PxScale::from(size * font.height_unscaled() / units);
        let mut place = x * DOTS_PER_POINT;
        let line = (self.paper.size()[1] - y) * DOTS_PER_POINT;
        for one in text.chars() {
            let glyph = face
                .glyph(one)
                .with_scale_and_position(scale, point(place, line));
            place += face.advance(one) * DOTS_PER_POINT;
            let Some(outline) = font.outline_glyph(glyph) else {
                continue;
            };
            let corner = outline.px_bounds().min;
            outline.draw(|right, down, cover| {
                self.darken((corner.x + right as f32, corner.y + down as f32), cover);
            });
        }
    }

    fn darken(&mut self, (x, y): (f32, f32), cover: f32) {
        if x < 0.0 || y < 0.0 {
            return;
        }
        let (column, row) = (x as usize, y as usize);
        if column >= self.width {
            return;
        }
        if let Some(dot) = self.dots.get_mut(row * self.width + column) {
            let left = f32::from(*dot) * (1.0 - cover.clamp(0.0, 1.0));
            *dot = left as u8;
        }
    }

    fn file(&self) -> Option<Vec<u8>> {
        let mut file = Vec::new();
        let (width, height) = (u32::try_from(self.width), u32::try_from(self.height));
        let mut encoder = png::Encoder::new(&mut file, width.ok()?, height.ok()?);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        let per_metre = (DOTS_PER_INCH / METRES_PER_INCH) as u32;
        encoder.set_pixel_dims(Some(png::PixelDimensions {
            xppu: per_metre,
            yppu: per_metre,
            unit: png::Unit::Meter,
        }));
        let mut writer = encoder.write_header().ok()?;
        writer.write_image_data(&self.dots).ok()?;
        writer.finish().ok()?;
        Some(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::tests::imagined;

    /// Dots of the picture that are dark.
    fn dark(picture: &[u8]) -> usize {
        picture.iter().filter(|dot| **dot < 0x80).count()
    }

    #[test]
    fn a_picture_is_a_page_of_a4_with_letters_and_its_code() {
        let card = imagined(4);
        let file = write(&card).expect("a picture");
        let decoder = png::Decoder::new(std::io::Cursor::new(&file));
        let mut reader = decoder.read_info().expect("a PNG");
        let mut dots = vec![0; reader.output_buffer_size().expect("a size")];
        let info = reader.next_frame(&mut dots).expect("all of it");
        assert_eq!((info.width, info.height), (1_240, 1_754));
        assert!(file.len() < 300_000, "{}", file.len());
        let with_code = dark(&dots);
        let without = Card { code: None, ..card };
        let mut picture = Picture::blank(Paper::A4);
        page(&without).iter().for_each(|mark| picture.draw(mark));
        let letters = dark(&picture.dots);
        assert!(letters > 10_000, "{letters}");
        assert!(with_code > letters + 5_000, "{with_code} {letters}");
    }

    #[test]
    fn an_accent_is_drawn() {
        let drawn = |text: &str| {
            let mut picture = Picture::blank(Paper::A4);
            let face = Face {
                size: 20.0,
                is_bold: false,
            };
            picture.text(100.0, 400.0, face, text);
            dark(&picture.dots)
        };
        assert!(drawn("é") > drawn("e"));
        assert_eq!(drawn("打"), drawn("?"));
    }
}
