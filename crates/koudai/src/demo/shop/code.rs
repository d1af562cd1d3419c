//! The code a payer scans, drawn in the page and as a picture.

use std::fmt::Write as _;
use std::io::Cursor;

use image::{GrayImage, ImageFormat, Luma};
use qrcode::{Color, EcLevel, QrCode};

/// Modules left white around the code (ISO/IEC 18004, section 9.1).
const QUIET: usize = 4;
/// Pixels of a module in the picture.
const MODULE_PX: usize = 10;

fn code(text: &str) -> Option<QrCode> {
    QrCode::with_error_correction_level(text, EcLevel::M).ok()
}

/// An `svg` element, one square a module; `None` if the text is too long for a code.
pub(super) fn svg(text: &str, label: &str) -> Option<String> {
    let code = code(text)?;
    let (width, side) = (code.width(), code.width() + 2 * QUIET);
    let mut path = String::new();
    for (at, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            let _ = write!(path, "M{} {}h1v1h-1z", at % width + QUIET, at / width + QUIET);
        }
    }
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\" \
         role=\"img\" aria-label=\"{label}\"><path d=\"{path}\" fill=\"#000\"/></svg>"
    ))
}

/// A PNG; `None` if the text is too long for a code.
pub(super) fn png(text: &str) -> Option<Vec<u8>> {
    let code = code(text)?;
    let width = code.width();
    let colors = code.to_colors();
    let side = u32::try_from((width + 2 * QUIET) * MODULE_PX).ok()?;
    let picture = GrayImage::from_fn(side, side, |x, y| {
        let module = |pixel: u32| (pixel as usize / MODULE_PX).checked_sub(QUIET).filter(|at| *at < width);
        match (module(x), module(y)) {
            (Some(x), Some(y)) if colors[y * width + x] == Color::Dark => Luma([0]),
            _ => Luma([255]),
        }
    });
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png).ok()?;
    Some(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_and_the_page_show_the_same_modules() {
        let text = "http://localhost:8080/q/AAAAAAAAAAAAAAAAAAAAAA#signature";
        let picture = image::load_from_memory(&png(text).unwrap()).unwrap().to_luma8();
        let svg = svg(text, "code").unwrap();
        let side = picture.width() as usize / MODULE_PX;
        assert!(svg.contains(&format!("viewBox=\"0 0 {side} {side}\"")));
        for (x, y) in (0..side).flat_map(|y| (0..side).map(move |x| (x, y))) {
            let middle = |at: usize| u32::try_from(at * MODULE_PX + MODULE_PX / 2).unwrap();
            let dark = picture.get_pixel(middle(x), middle(y)) == &Luma([0]);
            assert_eq!(svg.contains(&format!("M{x} {y}h")), dark, "{x} {y}");
        }
    }

    #[test]
    fn a_text_too_long_for_a_code_has_none() {
        assert!(png(&"x".repeat(5_000)).is_none());
    }
}
