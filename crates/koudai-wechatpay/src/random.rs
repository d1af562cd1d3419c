//! Random text: nonces and keys of ASCII letters and digits, every character equally likely.

use zeroize::Zeroizing;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A nonce for a signed request, reply or notification: 32 random letters and digits.
///
/// # Panics
/// When the operating system cannot give random bytes.
pub fn nonce() -> String {
    alphanumerics(32).as_str().to_owned()
}

/// A nonce for [`crate::aead`]: 12 random letters and digits, about 71 bits.
///
/// # Panics
/// When the operating system cannot give random bytes.
pub fn nonce12() -> String {
    alphanumerics(12).as_str().to_owned()
}

/// `length` random letters and digits.
pub(crate) fn alphanumerics(length: usize) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(length));
    let mut bytes = Zeroizing::new([0_u8; 64]);
    while text.len() < length {
        fill(bytes.as_mut_slice());
        // Of the 64 values of six bits, 62 are used and two thrown away: a remainder would favour some characters.
        let characters = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 63)));
        for character in characters.take(length - text.len()) {
            text.push(char::from(*character));
        }
    }
    text
}

/// Fills `bytes` from the system's random source.
pub(crate) fn fill(bytes: &mut [u8]) {
    aws_lc_rs::rand::fill(bytes).expect("the system's random source works");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nonces_have_their_length_and_differ() {
        for (one, other, length) in [(nonce(), nonce(), 32), (nonce12(), nonce12(), 12)] {
            assert_eq!((one.len(), other.len()), (length, length));
            assert_ne!(one, other);
            assert!(one.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
        assert_eq!(alphanumerics(0).len(), 0);
        assert_eq!(alphanumerics(1000).len(), 1000);
    }

    #[test]
    fn every_character_comes_up() {
        let text = alphanumerics(20_000);
        for character in ALPHABET {
            let count = text.bytes().filter(|byte| byte == character).count();
            assert!(
                (150..600).contains(&count),
                "{} came up {count} times of about 323",
                char::from(*character)
            );
        }
    }
}
