//! A payer's code as a cashier's scanner reads it: bars (Code 128, ISO/IEC 15417) and squares (QR), drawn as SVG.

use std::fmt::Write as _;

use qrcode::{Color, EcLevel, QrCode};

/// Modules left white on either side of the bars (ISO/IEC 15417, section 4.3.2).
const QUIET_BARS: usize = 10;
/// Modules left white around the squares (ISO/IEC 18004, section 9.1).
const QUIET_SQUARES: usize = 4;

/// Code set C: what stands for each pair of digits, as the widths of three bars and three spaces in turn.
#[rustfmt::skip]
const PAIRS: [&str; 100] = [
    "212222", "222122", "222221", "121223", "121322", "131222", "122213", "122312", "132212", "221213",
    "221312", "231212", "112232", "122132", "122231", "113222", "123122", "123221", "223211", "221132",
    "221231", "213212", "223112", "312131", "311222", "321122", "321221", "312212", "322112", "322211",
    "212123", "212321", "232121", "111323", "131123", "131321", "112313", "132113", "132311", "211313",
    "231113", "231311", "112133", "112331", "132131", "113123", "113321", "133121", "313121", "211331",
    "231131", "213113", "213311", "213131", "311123", "311321", "331121", "312113", "312311", "332111",
    "314111", "221411", "431111", "111224", "111422", "121124", "121421", "141122", "141221", "112214",
    "112412", "122114", "122411", "142112", "142211", "241211", "221114", "413111", "241112", "134111",
    "111242", "121142", "121241", "114212", "124112", "124211", "411212", "421112", "421211", "212141",
    "214121", "412121", "111143", "111341", "131141", "114113", "114311", "411113", "411311", "113141",
];
const START_C: (usize, &str) = (105, "211232");
const STOP: &str = "2331112";
/// What the check character is taken modulo, and those that stand for no pair.
const MODULUS: usize = 103;
const BEYOND: [&str; 3] = ["114131", "311141", "411131"];

/// The widths of bars and spaces in turn, a bar first; `None` unless it is an even number of digits.
fn widths(digits: &str) -> Option<String> {
    if digits.is_empty() || digits.len() % 2 == 1 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let values = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| usize::from(pair[0] - b'0') * 10 + usize::from(pair[1] - b'0'));
    let mut all = START_C.1.to_owned();
    let mut check = START_C.0;
    for (place, value) in (1..).zip(values) {
        all.push_str(PAIRS[value]);
        check += place * value;
    }
    let check = check % MODULUS;
    all.push_str(PAIRS.get(check).copied().unwrap_or_else(|| BEYOND[check - PAIRS.len()]));
    all.push_str(STOP);
    Some(all)
}

/// The digits as bars, one unit wide each and stretched to whatever height the page gives them.
pub fn bars(digits: &str) -> Option<String> {
    let mut at = QUIET_BARS;
    let mut path = String::new();
    for (place, width) in widths(digits)?.bytes().map(|width| usize::from(width - b'0')).enumerate() {
        if place % 2 == 0 {
            let _ = write!(path, "M{at} 0h{width}v1h-{width}z");
        }
        at += width;
    }
    let side = at + QUIET_BARS;
    Some(format!(
        "<svg class=\"bars\" viewBox=\"0 0 {side} 1\" preserveAspectRatio=\"none\" shape-rendering=\"crispEdges\" \
         aria-hidden=\"true\"><path d=\"{path}\"/></svg>"
    ))
}

/// The digits as a QR code.
pub fn squares(digits: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(digits, EcLevel::M).ok()?;
    let (width, side) = (code.width(), code.width() + 2 * QUIET_SQUARES);
    let mut path = String::new();
    for (at, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            let _ = write!(path, "M{} {}h1v1h-1z", at % width + QUIET_SQUARES, at / width + QUIET_SQUARES);
        }
    }
    Some(format!(
        "<svg class=\"squares\" viewBox=\"0 0 {side} {side}\" shape-rendering=\"crispEdges\" aria-hidden=\"true\">\
         <path d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_character_is_eleven_wide_is_told_from_the_others_and_keeps_the_parity_of_its_bars() {
        let mut all: Vec<&str> = PAIRS.into_iter().chain(BEYOND).chain([START_C.1]).collect();
        for pattern in &all {
            let wide = |from| pattern.bytes().skip(from).step_by(2).map(|w| u32::from(w - b'0')).sum::<u32>();
            assert_eq!(wide(0) + wide(1), 11, "{pattern}");
            assert_eq!(wide(0) % 2, 0, "{pattern}");
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 104);
    }

    #[test]
    fn the_widths_of_a_known_code_are_those_of_the_standard() {
        // 12 34: start C 105, then 1 * 12 + 2 * 34 = 80, together 185, and 185 - 103 = 82.
        assert_eq!(
            widths("1234").as_deref(),
            Some("211232112232131123121241 2331112".replace(' ', "").as_str())
        );
        for wrong in ["", "123", "12a4", "１２"] {
            assert!(widths(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn eighteen_digits_take_nine_pairs_and_the_squares_read_back() {
        let digits = "700000000000000013";
        assert_eq!(
            widths(digits).unwrap().bytes().map(|w| usize::from(w - b'0')).sum::<usize>(),
            11 * 11 + 13
        );
        let svg = squares(digits).unwrap();
        let module = 8;
        let side = 29 * module;
        let mut picture = image::GrayImage::from_pixel(side, side, image::Luma([255]));
        for square in svg.split('M').skip(1) {
            let (x, rest) = square.split_once(' ').unwrap();
            let Ok(x) = x.parse::<u32>() else { continue };
            let y: u32 = rest.split_once('h').unwrap().0.parse().unwrap();
            for (dx, dy) in (0..module).flat_map(|dx| (0..module).map(move |dy| (dx, dy))) {
                picture.put_pixel(x * module + dx, y * module + dy, image::Luma([0]));
            }
        }
        let mut prepared =
            rqrr::PreparedImage::prepare_from_greyscale(side as usize, side as usize, |x, y| {
                picture.get_pixel(u32::try_from(x).unwrap(), u32::try_from(y).unwrap()).0[0]
            });
        assert_eq!(prepared.detect_grids()[0].decode().unwrap().1, digits);
    }
}
