//! PEM, the text form of keys and certificates (RFC 7468): just enough to read one block and to write one.
//!
//! Written here because the readers at hand leave copies of private keys behind in freed memory.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// The longest PEM text read, in bytes. An 8192-bit private key takes about 6,500.
const MAX_PEM_BYTES: usize = 64 * 1024;

/// One decoded block.
pub(crate) struct Block<'a> {
    /// What stands between `BEGIN` and the dashes, e.g. `PRIVATE KEY`.
    pub(crate) label: &'a str,
    /// The decoded content, wiped when dropped.
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// The first block in `text`. Text before it, and further blocks (the rest of a chain), are ignored.
pub(crate) fn first_block(text: &str) -> Option<Block<'_>> {
    if text.len() > MAX_PEM_BYTES {
        return None;
    }
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, rest) = rest.split_once("-----END ")?;
    if !rest.strip_prefix(label)?.starts_with("-----") {
        return None;
    }
    let base64: Zeroizing<Vec<u8>> =
        Zeroizing::new(body.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect());
    // Decoding into a vector that already has the room leaves no half-written copy behind.
    let mut der = Zeroizing::new(Vec::with_capacity(base64.len()));
    STANDARD.decode_vec(base64.as_slice(), &mut der).ok()?;
    Some(Block { label, der })
}

/// `der` as one block with lines of 64 characters, the last line ended by a line feed.
pub(crate) fn encode(label: &str, der: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(STANDARD.encode(der));
    let mut text =
        Zeroizing::new(String::with_capacity(base64.len() + base64.len() / 64 + 2 * label.len() + 64));
    text.push_str("-----BEGIN ");
    text.push_str(label);
    text.push_str("-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str("-----END ");
    text.push_str(label);
    text.push_str("-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_survives_the_round_trip() {
        for length in [0, 1, 47, 48, 49, 300] {
            let der = vec![7_u8; length];
            let text = encode("PUBLIC KEY", &der);
            let block = first_block(&text).unwrap();
            assert_eq!(block.label, "PUBLIC KEY");
            assert_eq!(*block.der, der);
        }
    }

    #[test]
    fn broken_blocks_are_refused() {
        for text in [
            "",
            "-----BEGIN ",
            "-----BEGIN A-----",
            "-----BEGIN A-----\nAAAA",
            "-----BEGIN A-----\nAAAA\n-----END B-----",
            "-----BEGIN A-----\nAAA\n-----END A-----",
            "-----BEGIN A-----\n口袋\n-----END A-----",
        ] {
            assert!(first_block(text).is_none(), "{text}");
        }
    }
}
