//! Sensitive fields: names and the like, encrypted to one of the platform's keys on their way in and to the merchant's on
//! their way out (protocol specification 1.6). What is opened here is a `Secret` and is not quoted in any answer.

use std::ops::RangeInclusive;

use koudai_core::secret::Secret;
use koudai_wechatpay::oaep;

use super::Call;
use super::fault::{Fault, said};
use super::fields::Fields;

/// More than the cipher of the longest key takes.
const MOST_CHARS: usize = 2_048;

impl Call {
    /// A sensitive text of so many characters; empty is absent. It is opened by the platform key that the request names in
    /// `Wechatpay-Serial`, which has to be there for it.
    pub(super) fn sensitive(
        &self,
        fields: &Fields<'_>,
        name: &str,
        length: RangeInclusive<usize>,
    ) -> Result<Option<Secret<String>>, Fault> {
        let Some(cipher) = fields.text(name, 1..=MOST_CHARS)? else { return Ok(None) };
        let now = self.app.engine.clock().now();
        let Some(key) = self.app.networks.platform.named(&self.platform_serial, now) else {
            return Err(Fault::platform_serial(&self.platform_serial));
        };
        let issue = said(
            "无法用 Wechatpay-Serial 所指的平台密钥解密",
            "cannot be decrypted by the platform key that Wechatpay-Serial names",
        );
        let plain = oaep::decrypt(&key.key, cipher).map_err(|_| fields.refuse(name, issue))?;
        let text = std::str::from_utf8(&plain).ok().map(|text| Secret::new(text.to_owned()));
        let fits = |text: &Secret<String>| {
            length.contains(&text.expose().chars().count()) && !text.expose().chars().any(char::is_control)
        };
        match text.filter(fits) {
            Some(text) => Ok(Some(text)),
            None => Err(unfit(fields, name)),
        }
    }

    /// A text encrypted to the merchant who asks, by the certificate it signed with.
    pub(super) fn sealed_for_merchant(&self, text: &str) -> Result<String, Fault> {
        oaep::encrypt(&self.key, text.as_bytes()).map_err(|_| {
            tracing::error!("a stored text is too long to encrypt");
            Fault::system()
        })
    }
}

/// A refusal of what a sensitive field holds, which is not repeated: what is quoted is its cipher.
pub(super) fn unfit(fields: &Fields<'_>, name: &str) -> Fault {
    fields.refuse(name, said("解密后的内容不合要求", "does not hold what it should, once decrypted"))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::gateway::fields::Place;

    #[test]
    fn a_wrong_platform_serial_is_said_as_the_protocol_says_it() {
        let body: Value =
            serde_json::from_slice(&Fault::platform_serial("7A").body(crate::say::Lang::Zh)).unwrap();
        assert_eq!(body["code"], "PARAM_ERROR");
        assert_eq!(body["message"], "平台证书序列号Wechatpay-Serial错误");
        assert_eq!(body["detail"]["field"], "Wechatpay-Serial");
        assert_eq!(body["detail"]["location"], Place::Header.word());
    }
}
