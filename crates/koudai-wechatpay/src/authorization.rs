//! The `Authorization` header of a signed request: a scheme, one blank, five `name="value"` pairs.
//!
//! The issuer protocol uses the same form under a scheme of its own, so the scheme is a parameter.

use crate::{
    keys::{PrivateKey, PublicKey, SignatureError},
    message,
};

/// The scheme of the `WeChat` Pay protocol.
pub const SCHEME: &str = "WECHATPAY2-SHA256-RSA2048";
/// The longest header read, in bytes. A usual one takes about 500, one with an 8192-bit key 1,600.
pub const MAX_HEADER_BYTES: usize = 4096;

/// The longest merchant number, serial and nonce accepted, in characters. Documents say 32, 40 and 32; some
/// clients go a little beyond.
const MAX_MCHID: usize = 32;
const MAX_SERIAL: usize = 64;
const MAX_NONCE: usize = 64;
const MAX_SIGNATURE: usize = 2048;
/// Enough digits for the year 33658; the number must fit `i64` without a check of its own.
const MAX_TIMESTAMP_DIGITS: usize = 12;

/// Why a header was not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationError {
    /// Another authentication scheme.
    #[error("another authentication scheme")]
    WrongScheme,
    /// Not of the form `name="value"`, or a value out of its character set.
    #[error("not a list of name=\"value\" pairs")]
    Malformed,
    /// One of the five is not there.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// One of the five is there twice.
    #[error("`{0}` is given twice")]
    Duplicate(&'static str),
    /// The header or one value is too long.
    #[error("too long")]
    TooLong,
}

/// The five values, as the sender wrote them. None is checked against anything yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// Merchant number, at most 32 characters.
    pub mchid: String,
    /// Serial of the sender's certificate, in either case and perhaps with leading zeros: compare it with
    /// [`crate::certificate::serial_matches`].
    pub serial_no: String,
    /// 1 to 64 characters.
    pub nonce_str: String,
    /// Unix seconds, never negative.
    pub timestamp: i64,
    /// Base64.
    pub signature: String,
}

impl Authorization {
    /// Signs a request. `target` and `body` as in [`message::request`], `timestamp` in Unix seconds.
    #[expect(clippy::too_many_arguments, reason = "the parts of one signed message, none of which group")]
    pub fn sign(
        key: &PrivateKey,
        mchid: &str,
        serial_no: &str,
        method: &str,
        target: &str,
        timestamp: i64,
        nonce: &str,
        body: &[u8],
    ) -> Self {
        let signature = key.sign(&message::request(method, target, timestamp, nonce, body));
        Self {
            mchid: mchid.to_owned(),
            serial_no: serial_no.to_owned(),
            nonce_str: nonce.to_owned(),
            timestamp,
            signature,
        }
    }

    /// Checks the signature over a request with these values. The clock and the serial are the caller's to check.
    ///
    /// # Errors
    /// `SignatureError` if it does not hold.
    pub fn verify(
        &self,
        key: &PublicKey,
        method: &str,
        target: &str,
        body: &[u8],
    ) -> Result<(), SignatureError> {
        key.verify(&message::request(method, target, self.timestamp, &self.nonce_str, body), &self.signature)
    }

    /// Reads a header of scheme [`SCHEME`].
    ///
    /// # Errors
    /// See [`parse_scheme`](Self::parse_scheme).
    pub fn parse(header: &str) -> Result<Self, AuthorizationError> {
        Self::parse_scheme(SCHEME, header)
    }

    /// Reads a header of the given scheme: pairs in any order, blanks around commas, names this protocol does not
    /// know ignored.
    ///
    /// # Errors
    /// `WrongScheme` is told apart from all others, because the protocol answers it with a text of its own.
    pub fn parse_scheme(scheme: &str, header: &str) -> Result<Self, AuthorizationError> {
        use AuthorizationError::{Malformed, Missing, TooLong, WrongScheme};
        if header.len() > MAX_HEADER_BYTES {
            return Err(TooLong);
        }
        let header = header.trim_matches(' ');
        if header.is_empty() {
            return Err(Malformed);
        }
        let (found, pairs) = header.split_once(' ').unwrap_or((header, ""));
        if !found.eq_ignore_ascii_case(scheme) {
            return Err(WrongScheme);
        }
        let (mut mchid, mut serial_no, mut nonce_str) = (None, None, None);
        let (mut timestamp, mut signature) = (None, None);
        let mut rest = pairs.trim_matches(' ');
        while !rest.is_empty() {
            let (name, after) = rest.split_once("=\"").ok_or(Malformed)?;
            let (value, after) = after.split_once('"').ok_or(Malformed)?;
            if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(Malformed);
            }
            match name {
                "mchid" => set(&mut mchid, "mchid", value, MAX_MCHID)?,
                "serial_no" => set(&mut serial_no, "serial_no", value, MAX_SERIAL)?,
                "nonce_str" => set(&mut nonce_str, "nonce_str", value, MAX_NONCE)?,
                "timestamp" => set(&mut timestamp, "timestamp", value, MAX_TIMESTAMP_DIGITS)?,
                "signature" => set(&mut signature, "signature", value, MAX_SIGNATURE)?,
                _ if !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {}
                _ => return Err(Malformed),
            }
            let after = after.trim_start_matches(' ');
            rest = match after.strip_prefix(',') {
                Some(next) => {
                    let next = next.trim_start_matches(' ');
                    if next.is_empty() {
                        return Err(Malformed);
                    }
                    next
                }
                None if after.is_empty() => after,
                None => return Err(Malformed),
            };
        }
        Ok(Self {
            mchid: mchid.ok_or(Missing("mchid"))?,
            serial_no: serial_no.ok_or(Missing("serial_no"))?,
            nonce_str: nonce_str.ok_or(Missing("nonce_str"))?,
            timestamp: parse_timestamp(&timestamp.ok_or(Missing("timestamp"))?).ok_or(Malformed)?,
            signature: signature.ok_or(Missing("signature"))?,
        })
    }

    /// The header for these values under [`SCHEME`].
    pub fn header_value(&self) -> String {
        self.header_value_scheme(SCHEME)
    }

    /// The header for these values under another scheme.
    pub fn header_value_scheme(&self, scheme: &str) -> String {
        let Self { mchid, serial_no, nonce_str, timestamp, signature } = self;
        format!(
            "{scheme} mchid=\"{mchid}\",nonce_str=\"{nonce_str}\",signature=\"{signature}\",\
             timestamp=\"{timestamp}\",serial_no=\"{serial_no}\""
        )
    }
}

/// Unix seconds in the one way to write them: digits, no sign, no leading zero. The message that is checked is
/// built from the number, so another spelling could not verify anyway.
pub(crate) fn parse_timestamp(text: &str) -> Option<i64> {
    let digits =
        !text.is_empty() && text.len() <= MAX_TIMESTAMP_DIGITS && text.bytes().all(|b| b.is_ascii_digit());
    if !digits || (text.len() > 1 && text.starts_with('0')) {
        return None;
    }
    text.parse().ok()
}

fn set(
    slot: &mut Option<String>,
    name: &'static str,
    value: &str,
    max: usize,
) -> Result<(), AuthorizationError> {
    if value.is_empty() {
        return Err(AuthorizationError::Malformed);
    }
    if value.len() > max {
        return Err(AuthorizationError::TooLong);
    }
    if slot.replace(value.to_owned()).is_some() {
        return Err(AuthorizationError::Duplicate(name));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "WECHATPAY2-SHA256-RSA2048 mchid=\"1900007291\",nonce_str=\"abc\",signature=\"c2ln\",\
                        timestamp=\"1554208460\",serial_no=\"408B07\"";

    fn values() -> Authorization {
        Authorization {
            mchid: "1900007291".into(),
            serial_no: "408B07".into(),
            nonce_str: "abc".into(),
            timestamp: 1_554_208_460,
            signature: "c2ln".into(),
        }
    }

    #[test]
    fn a_header_survives_the_round_trip() {
        assert_eq!(values().header_value(), GOOD);
        assert_eq!(Authorization::parse(GOOD), Ok(values()));
    }

    #[test]
    fn order_and_blanks_after_commas_do_not_matter() {
        let header = "WECHATPAY2-SHA256-RSA2048  serial_no=\"408B07\", timestamp=\"1554208460\" ,  \
                      signature=\"c2ln\",mchid=\"1900007291\",nonce_str=\"abc\",extra_1=\"\" ";
        assert_eq!(Authorization::parse(header), Ok(values()));
    }

    #[test]
    fn another_scheme_is_told_apart_from_a_malformed_header() {
        for header in ["Bearer abc", "WECHATPAY2-SM2-WITH-SM3 mchid=\"1\"", "Basic", "mchid=\"1\""] {
            assert_eq!(Authorization::parse(header), Err(AuthorizationError::WrongScheme), "{header}");
        }
        let header = values().header_value_scheme("KOUDAI-SHA256-RSA2048");
        assert_eq!(Authorization::parse(&header), Err(AuthorizationError::WrongScheme));
        assert_eq!(Authorization::parse_scheme("KOUDAI-SHA256-RSA2048", &header), Ok(values()));
    }

    #[test]
    fn each_of_the_five_is_required_and_may_come_once() {
        for name in ["mchid", "nonce_str", "signature", "timestamp", "serial_no"] {
            let without = GOOD.replace(&format!("{name}="), &format!("x{name}="));
            assert_eq!(Authorization::parse(&without), Err(AuthorizationError::Missing(name)));
            let twice = format!("{GOOD},{name}=\"1\"");
            assert_eq!(Authorization::parse(&twice), Err(AuthorizationError::Duplicate(name)));
        }
    }

    #[test]
    fn sizes_are_bounded() {
        let long = |name: &str, length| {
            GOOD.replace(&format!("{name}=\""), &format!("{name}=\"{}", "1".repeat(length)))
        };
        for (name, length) in [
            ("mchid", 33),
            ("nonce_str", 65),
            ("signature", 2049),
            ("timestamp", 13),
            ("serial_no", 65),
            ("mchid", 9999),
        ] {
            assert_eq!(Authorization::parse(&long(name, length)), Err(AuthorizationError::TooLong), "{name}");
        }
    }

    #[test]
    fn hostile_headers_are_refused_without_a_panic() {
        let scheme = SCHEME;
        for tail in [
            "",
            " ",
            " mchid",
            " mchid=",
            " mchid=\"",
            " mchid=\"1\"\"",
            " mchid=\"1\",",
            " ,",
            " ,,,",
            " =\"\"",
            " mchid=1900007291",
            " mchid='1'",
            " mchid=\"\"",
            " mchid=\"商户\"",
            " 商户=\"1\"",
            " mchid=\"1\n2\"",
            " mchid=\"1\" nonce_str=\"2\"",
            " \u{0}=\"1\"",
            " a=\"=\"\",b=\"",
            " mchid=\"\\\"\"",
        ] {
            assert!(Authorization::parse(&format!("{scheme}{tail}")).is_err(), "{tail}");
            assert!(Authorization::parse(tail).is_err(), "{tail}");
        }
        for timestamp in ["-1", "+1", "01", "1.0", "1e3", "0x1", "9a", "１"] {
            let header = GOOD.replace("1554208460", timestamp);
            assert_eq!(Authorization::parse(&header), Err(AuthorizationError::Malformed), "{timestamp}");
        }
        // Every prefix, and every byte replaced in turn.
        for end in 0..GOOD.len() {
            let _ = Authorization::parse(&GOOD[..end]);
            for other in ["\"", ",", "=", " ", "\u{0}", "é"] {
                let _ = Authorization::parse(&format!("{}{other}{}", &GOOD[..end], &GOOD[end + 1..]));
            }
        }
    }
}
