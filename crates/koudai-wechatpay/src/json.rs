//! JSON as this protocol needs it read: no key twice, no deep nesting, bounded.
//!
//! Parsers disagree about which of two equal keys counts. Where one program checks an amount and another books it,
//! that disagreement is money, so such a body is refused here before anything looks at it.

use std::{cell::RefCell, collections::HashSet, fmt};

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// The largest body read, in bytes.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// The deepest nesting of objects and arrays read. The protocol's deepest has 5.
pub const MAX_DEPTH: usize = 32;

/// Why a body was refused. Texts name places and types; they may quote a wrong value.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Over [`MAX_BODY_BYTES`].
    #[error("the body is larger than 1 MiB")]
    TooLarge,
    /// Deeper than [`MAX_DEPTH`].
    #[error("the body is nested too deeply")]
    TooDeep,
    /// A key twice in one object; the value is its JSON pointer, e.g. `/amount/total`.
    #[error("the key {0} is given twice")]
    DuplicateKey(String),
    /// Not JSON.
    #[error("not JSON: {0}")]
    Syntax(#[source] serde_json::Error),
    /// JSON, but a field is missing or of another type. A fraction or an exponent where an integer belongs ends here.
    #[error("not as expected: {0}")]
    Shape(#[source] serde_json::Error),
}

/// Reads `body` as a `T`, refusing what the module says.
///
/// # Errors
/// The first rule that is broken, see [`JsonError`].
pub fn strict_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, JsonError> {
    if body.len() > MAX_BODY_BYTES {
        return Err(JsonError::TooLarge);
    }
    let found = RefCell::new(Found::default());
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let walked =
        Walk { found: &found, depth: 0 }.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    if let Err(error) = walked {
        return Err(match found.into_inner().problem {
            Some(problem) => problem,
            None => JsonError::Syntax(error),
        });
    }
    serde_json::from_slice(body).map_err(JsonError::Shape)
}

/// Where the walk is, and what it stumbled over.
#[derive(Default)]
struct Found {
    pointer: String,
    problem: Option<JsonError>,
}

/// Walks over one value without keeping it.
#[derive(Clone, Copy)]
struct Walk<'a> {
    found: &'a RefCell<Found>,
    /// How many objects and arrays are open around the value.
    depth: usize,
}

impl Walk<'_> {
    fn enter<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            self.found.borrow_mut().problem = Some(JsonError::TooDeep);
            return Err(E::custom("too deep"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    /// Adds one step to the pointer (RFC 6901) and returns its length before.
    fn step(self, name: &str) -> usize {
        let pointer = &mut self.found.borrow_mut().pointer;
        let before = pointer.len();
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
        before
    }

    fn back(self, length: usize) {
        self.found.borrow_mut().pointer.truncate(length);
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.enter()?;
        let mut index = 0_usize;
        loop {
            let before = self.step(&index.to_string());
            if items.next_element_seed(inner)?.is_none() {
                self.back(before);
                return Ok(());
            }
            self.back(before);
            index += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.enter()?;
        let mut seen = HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            let before = self.step(&key);
            if !seen.insert(key) {
                let mut found = self.found.borrow_mut();
                found.problem = Some(JsonError::DuplicateKey(found.pointer.clone()));
                return Err(A::Error::custom("duplicate key"));
            }
            members.next_value_seed(inner)?;
            self.back(before);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Money {
        total: i64,
    }

    #[test]
    fn an_integer_is_taken_and_nothing_that_only_looks_like_one() {
        assert_eq!(strict_json::<Money>(br#" {"total":8800,"more":1.5} "#).unwrap().total, 8800);
        for value in ["1.0", "1e3", "\"1\"", "null", "true", "9223372036854775808", "[1]", "-0.0"] {
            let body = format!("{{\"total\":{value}}}");
            assert!(matches!(strict_json::<Money>(body.as_bytes()), Err(JsonError::Shape(_))), "{value}");
        }
        assert!(matches!(strict_json::<Money>(b"{}"), Err(JsonError::Shape(_))));
    }

    #[test]
    fn a_key_given_twice_is_refused_wherever_it_is() {
        for (body, pointer) in [
            (r#"{"total":1,"total":1}"#, "/total"),
            (r#"{"total":1,"x":{"a":1,"a":2}}"#, "/x/a"),
            (r#"{"total":1,"x":[{},[{"b/~":1,"b/~":2}]]}"#, "/x/1/0/b~1~0"),
            (r#"{"total":1,"\u0074otal":2}"#, "/total"),
        ] {
            match strict_json::<Money>(body.as_bytes()) {
                Err(JsonError::DuplicateKey(found)) => assert_eq!(found, pointer),
                other => panic!("{body} gave {other:?}"),
            }
        }
        assert!(strict_json::<Value>(br#"[{"a":1},{"a":1,"b":{"a":1}}]"#).is_ok());
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(strict_json::<Value>(nested(32).as_bytes()).is_ok());
        for depth in [33, 127, 128, 100_000] {
            assert!(
                matches!(strict_json::<Value>(nested(depth).as_bytes()), Err(JsonError::TooDeep)),
                "{depth}"
            );
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for body in
            ["", "{", "{}{}", "{\"a\":}", "{a:1}", "nul", "\"\\ud800\"", "[1,]", "\u{feff}{}", "01", "NaN"]
        {
            assert!(matches!(strict_json::<Value>(body.as_bytes()), Err(JsonError::Syntax(_))), "{body}");
        }
        assert!(matches!(strict_json::<Value>(b"\"\xff\""), Err(JsonError::Syntax(_))));
        let large = vec![b' '; MAX_BODY_BYTES + 1];
        assert!(matches!(strict_json::<Value>(&large), Err(JsonError::TooLarge)));
    }
}
