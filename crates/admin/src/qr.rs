//! QR codes for pages: modules as a path of SVG, so that no picture is fetched and no style is
//! needed. Not here: the PDF of a device card (`card`).

use qrcode::{Color, EcLevel, QrCode};

/// A QR code and where it leads. ISO/IEC 18004.
pub(super) struct Code {
    pub(super) address: String,
    /// Modules on a side.
    pub(super) width: usize,
    pub(super) dark: Vec<(usize, usize)>,
}

impl Code {
    /// The modules as a path of SVG.
    pub(super) fn path(&self) -> String {
        let squares = self.dark.iter().map(|(x, y)| format!("M{x} {y}h1v1h-1z"));
        squares.collect()
    }
}

/// Of this address; `None`: it is too long.
pub(super) fn code(address: &str) -> Option<Code> {
    let code = QrCode::with_error_correction_level(address, EcLevel::M).ok()?;
    let width = code.width();
    let colors = code.to_colors();
    let dark = colors.iter().enumerate();
    let dark = dark.filter(|(_, color)| **color == Color::Dark);
    Some(Code {
        address: address.to_owned(),
        width,
        dark: dark.map(|(at, _)| (at % width, at / width)).collect(),
    })
}
