//! Who a person is there: its page of authorisation, and the call that trades its code for an openid.
//!
//! The call is older than APIv3: nothing is signed, and the app proves itself by a secret in the query, for which the protocol has
//! no other place. So its address is never logged, nor is an error that would show it.

use koudai_core::secret::Secret;
use serde::Deserialize;

use super::client::WeChat;
use crate::network::Who;

/// The longest reply read, in bytes.
const MAX_REPLY_BYTES: usize = 64 << 10;
/// The longest openid, in characters: what a transfer takes.
const MOST_OPENID: usize = 64;

/// What the platform answers; a refusal is a number in a 200.
#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    errcode: i64,
    openid: Option<String>,
}

impl WeChat {
    /// The page where a person lets us know who they are, if the contract has it.
    pub(super) fn authorize_url(&self, back: &str, state: &str) -> Option<String> {
        self.settings.app_secret.as_ref()?;
        // The platform wants them in this order.
        let query = serde_urlencoded::to_string([
            ("appid", self.settings.appid.as_str()),
            ("redirect_uri", back),
            ("response_type", "code"),
            ("scope", "snsapi_base"),
            ("state", state),
        ]);
        let query = query.expect("pairs of texts can be written");
        Some(format!("{}/connect/oauth2/authorize?{query}#wechat_redirect", self.settings.authorize))
    }

    /// Whom the platform means by a code.
    pub(super) async fn openid_of(&self, code: &Secret<String>) -> Who {
        let Some(secret) = &self.settings.app_secret else { return Who::Refused };
        let Some(reply) = self.access_token(secret, code).await else {
            tracing::info!(call = "access_token", "wechat call: no answer");
            return Who::Unknown;
        };
        tracing::info!(call = "access_token", errcode = reply.errcode, "wechat call");
        match (reply.errcode, reply.openid) {
            (0, Some(openid)) if is_openid(&openid) => Who::Is(Secret::new(openid)),
            // Invalid, missing, used, expired.
            (40_029 | 41_008 | 40_163 | 42_003, _) => Who::Refused,
            (errcode @ (40_013 | 40_125 | 41_002 | 41_004 | 48_001), _) => {
                tracing::error!(errcode, "WeChat refuses the app's id or secret");
                Who::Unknown
            }
            _ => Who::Unknown,
        }
    }

    /// What the platform refuses a code with, 0 if it takes it; `None` if it does not answer or there is no secret.
    pub(super) async fn errcode_of(&self, code: &Secret<String>) -> Option<i64> {
        let secret = self.settings.app_secret.as_ref()?;
        Some(self.access_token(secret, code).await?.errcode)
    }

    async fn access_token(&self, secret: &Secret<String>, code: &Secret<String>) -> Option<Reply> {
        let query = serde_urlencoded::to_string([
            ("appid", self.settings.appid.as_str()),
            ("secret", secret.expose()),
            ("code", code.expose()),
            ("grant_type", "authorization_code"),
        ]);
        let query = zeroize::Zeroizing::new(query.expect("pairs of texts can be written"));
        let url =
            zeroize::Zeroizing::new(format!("{}/sns/oauth2/access_token?{}", self.settings.sns, *query));
        let mut response = self.http.get(url.as_str()).send().await.ok()?;
        if !response.status().is_success() {
            return None;
        }
        let mut body = zeroize::Zeroizing::new(vec![]);
        while let Some(chunk) = response.chunk().await.ok()? {
            if body.len() + chunk.len() > MAX_REPLY_BYTES {
                return None;
            }
            body.extend_from_slice(&chunk);
        }
        koudai_wechatpay::strict_json(&body).ok()
    }
}

fn is_openid(text: &str) -> bool {
    (1..=MOST_OPENID).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
}
