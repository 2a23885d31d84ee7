//! The letters of a card: Arimo, which is as wide as Helvetica, so that what is measured here fits
//! in the PDF too. Latin letters and some signs only (`assets/fonts`, SIL Open Font License 1.1).

use std::sync::OnceLock;

use ab_glyph::{Font, FontRef, GlyphId};

const REGULAR: &[u8] = include_bytes!("../../assets/fonts/Arimo-Regular.ttf");
const BOLD: &[u8] = include_bytes!("../../assets/fonts/Arimo-Bold.ttf");

/// Letters of one size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Face {
    /// In points.
    pub(super) size: f32,
    pub(super) is_bold: bool,
}

impl Face {
    pub(super) fn font(self) -> &'static FontRef<'static> {
        static REGULAR_FONT: OnceLock<FontRef<'static>> = OnceLock::new();
        static BOLD_FONT: OnceLock<FontRef<'static>> = OnceLock::new();
        let read = |octets| FontRef::try_from_slice(octets).expect("a font of ours");
        match self.is_bold {
            true => BOLD_FONT.get_or_init(|| read(BOLD)),
            false => REGULAR_FONT.get_or_init(|| read(REGULAR)),
        }
    }

    /// The sign for a character; a question mark for one that is not there.
    pub(super) fn glyph(self, one: char) -> GlyphId {
        let found = self.font().glyph_id(one);
        match found.0 {
            0 => self.font().glyph_id('?'),
            _ => found,
        }
    }

    /// How far a character goes, in points.
    pub(super) fn advance(self, one: char) -> f32 {
        let font = self.font();
        let units = font.units_per_em().unwrap_or(1_000.0);
        font.h_advance_unscaled(self.glyph(one)) * self.size / units
    }

    /// In points.
    pub(super) fn width(self, text: &str) -> f32 {
        text.chars().map(|one| self.advance(one)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_as_wide_as_helvetica_and_french_is_there() {
        let face = |is_bold| Face {
            size: 1_000.0,
            is_bold,
        };
        // Adobe's metrics of Helvetica and Helvetica-Bold.
        for (one, regular, bold) in [
            ('a', 556, 556),
            ('i', 222, 278),
            ('W', 944, 944),
            ('é', 556, 556),
        ] {
            let rounded = |is_bold| face(is_bold).advance(one).round() as i32;
            assert_eq!((rounded(false), rounded(true)), (regular, bold), "{one}");
        }
        for one in "àâçéèêëîïôùûüœŒ«»’…–€\u{a0}\u{202f}".chars() {
            assert_ne!(face(false).glyph(one), face(false).glyph('?'), "{one:?}");
        }
        assert_eq!(face(true).glyph('打'), face(true).glyph('?'));
    }
}
