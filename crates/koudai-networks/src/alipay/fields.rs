//! The parameters of a request or a notice: names and values, as a form and as the text that is signed.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroize;

/// The most parameters a message may have; a notice has about thirty.
const MOST_FIELDS: usize = 100;

/// Names and values, in the order of the names. `Debug` shows the names only.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(BTreeMap<String, String>);

/// Some of them are codes that a person pays or is known by.
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
    /// These parameters.
    pub(crate) fn of(fields: &[(&str, &str)]) -> Self {
        let mut all = Self::default();
        for (name, value) in fields {
            all.set(name, *value);
        }
        all
    }

    /// Sets a parameter. An empty one is none: it would stand in no signature either.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        if value.is_empty() {
            self.0.remove(name);
        } else {
            self.0.insert(name.to_owned(), value);
        }
    }

    /// A parameter's value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter's value, or nothing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// Names and values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// What a signature is made over: every parameter but these, by name, values as they are.
    pub(crate) fn joined_without(&self, left_out: &[&str]) -> String {
        let fields = self.0.iter().filter(|(name, _)| !left_out.contains(&name.as_str()));
        let pairs: Vec<String> = fields.map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("&")
    }

    /// As a form, or as the query of an address.
    pub(crate) fn to_form(&self) -> String {
        serde_urlencoded::to_string(&self.0).expect("names and values are text")
    }

    /// Reads a form; `None` if it is none, says nothing, or names a parameter twice.
    pub(crate) fn from_form(body: &[u8]) -> Option<Self> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(body).ok()?;
        let mut fields = Self::default();
        for (name, value) in pairs {
            if value.is_empty() {
                continue;
            }
            if fields.0.insert(name, value).is_some() || fields.0.len() > MOST_FIELDS {
                return None;
            }
        }
        (!fields.0.is_empty()).then_some(fields)
    }

    /// Those of these names, and the others.
    pub(crate) fn split(&self, names: &[&str]) -> (Self, Self) {
        let of = |these: bool| {
            let chosen = self.0.iter().filter(|(name, _)| names.contains(&name.as_str()) == these);
            Self(chosen.map(|(name, value)| (name.clone(), value.clone())).collect())
        };
        (of(true), of(false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_as_it_was_written() {
        let fields = Fields::of(&[("b", "1&2=3 口袋+%"), ("a", "{\"x\":\"1\"}"), ("none", "")]);
        assert_eq!(Fields::from_form(fields.to_form().as_bytes()), Some(fields.clone()));
        assert_eq!(fields.joined_without(&[]), "a={\"x\":\"1\"}&b=1&2=3 口袋+%");
        assert_eq!(fields.joined_without(&["a"]), "b=1&2=3 口袋+%");
        assert_eq!(format!("{fields:?}"), r#"["a", "b"]"#);
        let (a, b) = fields.split(&["a"]);
        assert_eq!((a.get("a"), a.get("b"), b.get("a")), (Some("{\"x\":\"1\"}"), None, None));
        assert_eq!(b.text("b"), "1&2=3 口袋+%");
    }

    #[test]
    fn what_says_nothing_or_something_twice_is_no_form() {
        for bad in [&b"a=1&a=2"[..], b"", b"a=", b"&"] {
            assert_eq!(Fields::from_form(bad), None);
        }
        let many: Vec<String> = (0..=MOST_FIELDS).map(|n| format!("f{n}=1")).collect();
        assert_eq!(Fields::from_form(many.join("&").as_bytes()), None);
    }
}
