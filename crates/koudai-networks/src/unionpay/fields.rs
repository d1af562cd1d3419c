//! A message of the protocol: names and values, and the three ways it is written down.
//!
//! A request and a notice are ordinary forms. A reply is not: its values stand as they are, so that what is in braces or
//! brackets, a `&` too, belongs to the value.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroize;

/// The most fields a message may have; the protocol's longest have about thirty.
const MOST_FIELDS: usize = 100;

/// Names and values, in the order of the names. `Debug` shows the names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(BTreeMap<String, String>);

/// Some of them are what opens a card.
impl Drop for Fields {
    fn drop(&mut self) {
        self.0.values_mut().for_each(Zeroize::zeroize);
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl Fields {
    /// These fields.
    pub(crate) fn of(fields: &[(&str, &str)]) -> Self {
        let mut all = Self::default();
        for (name, value) in fields {
            all.set(name, *value);
        }
        all
    }

    /// Sets a field. An empty value is no field: it would stand in no signature either.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if value.is_empty() {
            self.0.remove(name);
        } else {
            self.0.insert(name.to_owned(), value);
        }
    }

    /// With another field.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set(name, value);
        self
    }

    /// A field's value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A field's value, or nothing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// The names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// What a signature is made over: every field but the signature, by name, values as they are.
    pub(crate) fn joined(&self) -> String {
        let fields = self.0.iter().filter(|(name, _)| *name != "signature");
        let pairs: Vec<String> = fields.map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("&")
    }

    /// As a request or a notice.
    pub(crate) fn to_form(&self) -> String {
        serde_urlencoded::to_string(&self.0).expect("names and values are text")
    }

    /// As a reply.
    pub(crate) fn to_reply(&self) -> String {
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("&")
    }

    /// Reads a request or a notice; `None` if it is no form, says nothing, or names a field twice.
    pub(crate) fn from_form(body: &[u8]) -> Option<Self> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(body).ok()?;
        Self::collected(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// Reads a reply; `None` if it is none, says nothing, or names a field twice.
    pub(crate) fn from_reply(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        Self::collected(pairs(text)?)
    }

    fn collected<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<Self> {
        let mut fields = BTreeMap::new();
        for (name, value) in pairs {
            if value.is_empty() {
                continue;
            }
            if fields.insert(name.to_owned(), value.to_owned()).is_some() || fields.len() > MOST_FIELDS {
                return None;
            }
        }
        (!fields.is_empty()).then_some(Self(fields))
    }
}

/// The names and values of `a=1&b={c=2&d=3}`: what is in braces or brackets is part of its value.
fn pairs(text: &str) -> Option<Vec<(&str, &str)>> {
    let (mut found, mut depth, mut from) = (vec![], 0_u32, 0);
    let text_end = text.len();
    let ends = text.char_indices().chain([(text_end, '&')]);
    for (at, c) in ends {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth = depth.checked_sub(1)?,
            '&' if depth == 0 => {
                found.push(text[from..at].split_once('=')?);
                from = at + 1;
            }
            _ => {}
        }
    }
    (depth == 0).then_some(found)
}

/// What stands in braces, such as `{token=1&trId=2}`; `None` if it is not in braces.
pub(crate) fn inner(value: &str) -> Option<Fields> {
    let inside = value.strip_prefix('{')?.strip_suffix('}')?;
    if inside.is_empty() {
        return Some(Fields::default());
    }
    Fields::collected(pairs(inside)?)
}

/// Such fields in braces.
pub(crate) fn in_braces(fields: &[(&str, &str)]) -> String {
    format!("{{{}}}", Fields::of(fields).to_reply())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_keeps_what_is_in_braces_together() {
        let read =
            Fields::from_reply(b"a=1&tokenPayData={token=6235&trId=62}&list=[x=1&y]&pem=MII=\n=&e=").unwrap();
        assert_eq!((read.get("a"), read.get("list"), read.get("e")), (Some("1"), Some("[x=1&y]"), None));
        assert_eq!(read.get("pem"), Some("MII=\n="));
        let token = inner(read.text("tokenPayData")).unwrap();
        assert_eq!((token.get("token"), token.get("trId")), (Some("6235"), Some("62")));
        assert_eq!(inner("{}"), Some(Fields::default()));
        assert_eq!(Fields::from_reply(read.to_reply().as_bytes()), Some(read));
        for bad in ["a", "a=1&&b=2", "a={b", "a=}", "a=1&a=2", "", "a="] {
            assert_eq!(Fields::from_reply(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!((inner("token=1"), inner("{token"), Fields::from_reply(&[0xFF])), (None, None, None));
    }

    #[test]
    fn a_form_is_read_as_it_was_written() {
        let fields = Fields::of(&[("b", "1&2=3 口袋"), ("a", "{x=+}"), ("none", "")]);
        assert_eq!(Fields::from_form(fields.to_form().as_bytes()), Some(fields.clone()));
        assert_eq!(fields.joined(), "a={x=+}&b=1&2=3 口袋");
        assert_eq!(format!("{fields:?}"), r#"["a", "b"]"#);
        assert_eq!(Fields::from_form(b"a=1&a=2"), None);
    }

    #[test]
    fn a_message_has_no_more_fields_than_a_message_may_have() {
        let many: Vec<String> = (0..=MOST_FIELDS).map(|n| format!("f{n}=1")).collect();
        assert_eq!(Fields::from_reply(many.join("&").as_bytes()), None);
        assert_eq!(Fields::from_form(many.join("&").as_bytes()), None);
        assert!(Fields::from_reply(many[1..].join("&").as_bytes()).is_some());
    }
}
