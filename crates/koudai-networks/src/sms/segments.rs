//! A text as a message centre takes it: in one piece, or in several that the phone puts together again.
//!
//! The pieces carry their place in a header of their own (GSM 03.40, section 9.2.3.24.1), which is what every message centre and
//! every phone takes. `message_payload`, which leaves the cutting to the message centre, is an option of SMPP that many refuse.

/// What a piece holds, in octets: alone, or beside the header. Of the plain alphabet 160 letters of seven bits fit into the 140
/// octets, and 153 beside the header; on this way each letter still has an octet of its own.
const PLAIN: [usize; 2] = [160, 153];
/// The same of UTF-16.
const WIDE: [usize; 2] = [140, 134];
/// The most pieces of one text. Of a text that is longer none is sent: nothing of ours is.
const MOST: usize = 10;

/// A text in pieces.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Segments {
    /// Whether each letter is UTF-16 and not of the plain alphabet.
    pub(super) wide: bool,
    /// Whether the pieces begin with a header.
    pub(super) headed: bool,
    pub(super) pieces: Vec<Vec<u8>>,
}

/// Cuts a text; `reference` tells its pieces from those of others to the same phone.
pub(super) fn cut(text: &str, reference: u8) -> Option<Segments> {
    let wide = !text.bytes().all(is_plain);
    let letters: Vec<Vec<u8>> = if wide {
        let units = |letter: char| {
            letter.encode_utf16(&mut [0; 2]).iter().flat_map(|unit| unit.to_be_bytes()).collect()
        };
        text.chars().map(units).collect()
    } else {
        text.bytes().map(|byte| vec![byte]).collect()
    };
    let [alone, headed] = if wide { WIDE } else { PLAIN };
    let length: usize = letters.iter().map(Vec::len).sum();
    if length <= alone {
        return Some(Segments { wide, headed: false, pieces: vec![letters.concat()] });
    }
    // A letter outside of the first plane is two units, which stay together.
    let mut bodies: Vec<Vec<u8>> = vec![vec![]];
    for letter in letters {
        let last = bodies.last_mut().filter(|last| last.len() + letter.len() <= headed);
        match last {
            Some(last) => last.extend(letter),
            None => bodies.push(letter),
        }
    }
    if bodies.len() > MOST {
        return None;
    }
    let total = u8::try_from(bodies.len()).ok()?;
    let head = |number| [5, 0, 3, reference, total, number];
    let pieces = (1..).zip(bodies).map(|(number, body)| [&head(number)[..], &body].concat()).collect();
    Some(Segments { wide, headed: true, pieces })
}

/// Whether a byte means the same letter in ASCII and in the alphabet of GSM 03.38, for message centres differ in which of the two
/// they take for the one they were not told.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"\n\r !\"#%&'()*+,-./:;<=>?".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(bytes: &[u8]) -> String {
        let units: Vec<u16> = bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        String::from_utf16(&units).expect("no letter is cut through")
    }

    #[test]
    fn what_means_the_same_in_both_alphabets_is_plain_and_all_else_is_wide() {
        let code = cut("Code 012345, valid 5 min.", 7).unwrap();
        assert_eq!(
            code,
            Segments { wide: false, headed: false, pieces: vec![b"Code 012345, valid 5 min.".to_vec()] }
        );
        for wide in ["验证码", "a@b", "$", "_", "{", "~", "é", "`"] {
            assert!(cut(wide, 7).unwrap().wide, "{wide}");
        }
    }

    #[test]
    fn one_piece_holds_160_plain_letters_or_70_wide_ones_and_no_more() {
        for (letter, most, beside) in [("a", 160, 153), ("码", 70, 67)] {
            let whole = cut(&letter.repeat(most), 7).unwrap();
            assert!(!whole.headed && whole.pieces.len() == 1);
            let two = cut(&letter.repeat(most + 1), 7).unwrap();
            assert!(two.headed && two.pieces.len() == 2);
            let unit = if two.wide { 2 } else { 1 };
            assert_eq!(two.pieces[0].len(), 6 + beside * unit);
            assert_eq!(two.pieces[0][..6], [5, 0, 3, 7, 2, 1]);
            assert_eq!(two.pieces[1][..6], [5, 0, 3, 7, 2, 2]);
        }
    }

    #[test]
    fn no_letter_is_cut_through_and_a_text_without_end_is_not_sent() {
        let text = format!("a{}", "💰".repeat(70));
        let segments = cut(&text, 7).unwrap();
        assert!(segments.pieces.iter().all(|piece| piece.len() <= 140));
        assert_eq!(segments.pieces.iter().map(|piece| utf16(&piece[6..])).collect::<String>(), text);
        assert_eq!(cut(&"码".repeat(671), 7), None);
        assert!(cut("", 7).is_some());
    }
}
