//! Words for people to type: letters and digits none of which looks like another, five bits each.

use crate::secret::Secret;

const LETTERS: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// The first letters of a MAC.
pub(super) fn letters(mac: &[u8; 32], count: usize) -> Secret<String> {
    let letter = |byte: &u8| char::from(LETTERS[usize::from(byte % 32)]);
    Secret::new(mac[..count].iter().map(letter).collect())
}

/// A word as typed: letters of either case, with spaces and dashes anywhere.
pub(super) fn as_typed(text: &str) -> Secret<String> {
    let plain = text.chars().filter(|c| !c.is_whitespace() && *c != '-').take(64);
    Secret::new(plain.map(|c| c.to_ascii_uppercase()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_however_it_is_written() {
        assert_eq!(as_typed(" abcde-fghjk ").expose(), "ABCDEFGHJK");
        assert_eq!(as_typed(&"a".repeat(500)).expose().len(), 64);
    }
}
