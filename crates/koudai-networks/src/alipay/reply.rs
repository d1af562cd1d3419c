//! A reply of the gateway's: what it says, and the exact text that its signature was made over.
//!
//! The signature is over the text of one member as it came, blanks and escapes included: written anew it would be another.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The member that answers a call that could not be made out.
pub(crate) const ERROR: &str = "error_response";
/// The most members a reply may have: the answer, a certificate's number, the signature, and what may come to be.
const MOST_MEMBERS: usize = 8;

/// A reply that was taken apart, and is believed only once its signature was checked.
#[derive(Debug)]
pub(crate) struct Reply<'a> {
    /// What was signed.
    pub(crate) signed: &'a str,
    /// The number of the certificate that it was signed with, in certificate mode.
    pub(crate) certificate: Option<String>,
    /// In base64.
    pub(crate) signature: String,
}

/// The members of an object, each as it stands there. Two of one name are an error: the one that is checked could be another
/// than the one that is read.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(String, &RawValue)> = vec![];
                while let Some((name, value)) = map.next_entry()? {
                    if members.len() == MOST_MEMBERS || members.iter().any(|(other, _)| *other == name) {
                        return Err(A::Error::custom("too many members, or two of one name"));
                    }
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

impl<'a> Reply<'a> {
    /// Takes a reply to the call whose answer is the member `answer` apart; `None` if it is none, or is not signed.
    pub(crate) fn read(body: &'a [u8], answer: &str) -> Option<Self> {
        let Members(members) = serde_json::from_str(std::str::from_utf8(body).ok()?).ok()?;
        let raw = |name: &str| members.iter().find(|(other, _)| other == name).map(|(_, value)| value.get());
        let text = |name: &str| raw(name).and_then(|raw| serde_json::from_str::<String>(raw).ok());
        // Both at once would leave open which of them counts.
        let signed = match (raw(answer), raw(ERROR)) {
            (Some(answer), None) => answer,
            (None, Some(error)) => error,
            _ => return None,
        };
        Some(Self { signed, certificate: text("alipay_cert_sn"), signature: text("sign")? })
    }

    /// What it says.
    pub(crate) fn content(&self) -> Option<Content> {
        serde_json::from_str(self.signed).ok().map(Content)
    }
}

/// What a reply says, by name. `Debug` shows the names only.
#[derive(Clone, Default, PartialEq)]
pub(crate) struct Content(Map<String, Value>);

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

impl Content {
    /// A text; `None` if it is absent, empty or something else.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// A text, or nothing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "alipay_trade_query_response";

    #[test]
    fn what_was_signed_is_the_text_as_it_came() {
        let inner = "{\"code\" :\"10000\",\"qr_code\":\"https:\\/\\/qr\\/\\u53e3\", \"sign\":\"}\"}";
        for body in [
            format!("{{\"{ANSWER}\":{inner},\"alipay_cert_sn\":\"ab\",\"sign\":\"c2ln\"}}"),
            format!("{{\"sign\":\"c2ln\",\"alipay_cert_sn\":\"ab\" , \"{ANSWER}\": {inner}  }}\n"),
        ] {
            let reply = Reply::read(body.as_bytes(), ANSWER).unwrap();
            assert_eq!(reply.signed, inner);
            assert_eq!((reply.certificate.as_deref(), reply.signature.as_str()), (Some("ab"), "c2ln"));
            let content = reply.content().unwrap();
            assert_eq!((content.text("qr_code"), content.get("none")), ("https://qr/口", None));
            assert_eq!(format!("{content:?}"), r#"["code", "qr_code", "sign"]"#);
        }
        let error = br#"{"error_response":{"code":"40002"},"sign":"x"}"#;
        assert_eq!(Reply::read(error, ANSWER).unwrap().content().unwrap().text("code"), "40002");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_no_reply() {
        for bad in [
            format!("{{\"{ANSWER}\":{{}},\"{ANSWER}\":{{}},\"sign\":\"x\"}}"),
            format!("{{\"{ANSWER}\":{{}},\"error_response\":{{}},\"sign\":\"x\"}}"),
            format!("{{\"{ANSWER}\":{{}},\"sign\":\"x\",\"sign\":\"y\"}}"),
            format!("{{\"{ANSWER}\":{{}}}}"),
            format!("{{\"{ANSWER}\":{{}},\"sign\":1}}"),
            format!("{{\"{ANSWER}\":{{}},\"sign\":\"x\"}}{{}}"),
            "{\"alipay_trade_close_response\":{},\"sign\":\"x\"}".to_owned(),
            "[]".to_owned(),
            String::new(),
        ] {
            assert!(Reply::read(bad.as_bytes(), ANSWER).is_none(), "{bad}");
        }
        assert!(Reply::read(&[b'{', 0xFF], ANSWER).is_none());
        let text = format!("{{\"{ANSWER}\":\"sealed\",\"sign\":\"x\"}}");
        assert!(Reply::read(text.as_bytes(), ANSWER).unwrap().content().is_none());
    }
}
