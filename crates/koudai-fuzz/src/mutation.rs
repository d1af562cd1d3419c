//! Inputs out of other inputs, the same ones for the same seed. No match for libFuzzer, which sees what an input reaches;
//! enough to notice at once that a parser has got worse.

/// What the formats are made of: whole words get further than bytes.
const WORDS: &[&str] = &[
    "\"",
    "\"\":",
    "{",
    "}",
    "[",
    "]",
    "{}",
    "[]",
    "null",
    "true",
    "-1",
    "0",
    "1.0",
    "1e9",
    "9223372036854775808",
    "2147483648",
    "\\u0000",
    "\\ud800",
    "\u{0}",
    "口",
    "\u{10ffff}",
    "=",
    ",",
    "-----BEGIN ",
    "-----END ",
    "\n",
    "/",
    "%7C",
    "2026-11-23T12:00:00+08:00",
    "+14:00",
    "CNY",
    "AAAA",
    "http://",
    "https://[",
    "WECHATPAY2-SHA256-RSA2048 ",
];
/// The longest input made.
const LONGEST: usize = 8 * 1024;

/// A source of inputs.
#[derive(Debug)]
pub struct Mutator(u64);

impl Mutator {
    /// A source that gives the same inputs whenever it is given the same seed.
    pub const fn seeded(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `below`, which is above zero (xorshift64*).
    fn number(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(drawn).unwrap_or(0) % below
    }

    /// One of the inputs, changed in one to eight places.
    pub fn next(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut input = if corpus.is_empty() { vec![] } else { corpus[self.number(corpus.len())].clone() };
        for _ in 0..=self.number(8) {
            self.change(&mut input, corpus);
        }
        input.truncate(LONGEST);
        input
    }

    fn change(&mut self, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
        let at = self.number(input.len() + 1);
        let end = at + self.number(input.len() - at + 1);
        match self.number(7) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..end)),
            2 => {
                let word = WORDS[self.number(WORDS.len())];
                input.splice(at..at, word.bytes());
            }
            3 => {
                let word = WORDS[self.number(WORDS.len())];
                input.splice(at..end.min(at + word.len()), word.bytes());
            }
            4 => {
                let copy = input[at..end].to_vec();
                input.splice(at..at, copy);
            }
            5 if !corpus.is_empty() => {
                let other = &corpus[self.number(corpus.len())];
                let from = self.number(other.len() + 1);
                input.truncate(at);
                input.extend_from_slice(&other[from..]);
            }
            _ => {
                let random = self.number(256);
                if let Some(byte) = input.get_mut(at) {
                    *byte = u8::try_from(random).unwrap_or(0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_inputs_and_another_one_others() {
        let corpus = [b"{\"a\":1}".to_vec(), b"header".to_vec()];
        let inputs = |seed| {
            let mut mutator = Mutator::seeded(seed);
            (0..200).map(|_| mutator.next(&corpus)).collect::<Vec<_>>()
        };
        assert_eq!(inputs(7), inputs(7));
        assert_ne!(inputs(7), inputs(9));
        let different: std::collections::HashSet<_> = inputs(7).into_iter().collect();
        assert!(different.len() > 150, "{}", different.len());
        assert_eq!(Mutator::seeded(3).next(&[]).len(), Mutator::seeded(3).next(&[]).len());
    }
}
