//! A gateway that takes short messages as JSON.

use std::time::Duration;

use koudai_core::secret::Secret;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use zeroize::Zeroizing;

use super::SmsError;
use crate::outward;

/// How long one message may take to be handed over.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Hands messages to a gateway: `POST {"to","text"}` with a bearer token.
#[derive(Clone, Debug)]
pub struct SmsGateway {
    http: reqwest::Client,
    url: reqwest::Url,
    authorization: HeaderValue,
}

impl SmsGateway {
    /// A gateway at `url`, which takes messages that carry `token`.
    ///
    /// # Errors
    /// `Unusable` if `url` is not an http or https address or `token` cannot stand in a header.
    pub fn new(url: &str, token: &Secret<String>) -> Result<Self, SmsError> {
        let url: reqwest::Url = url.parse().map_err(|_| SmsError::Unusable)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(SmsError::Unusable);
        }
        let bearer = Zeroizing::new(format!("Bearer {}", token.expose()));
        let mut authorization = HeaderValue::from_str(&bearer).map_err(|_| SmsError::Unusable)?;
        authorization.set_sensitive(true);
        let http = outward::builder(TIMEOUT, url.scheme() == "https").build();
        let http = http.map_err(|_| SmsError::Unusable)?;
        Ok(Self { http, url, authorization })
    }

    /// Hands over one message. `to` is a phone number; neither it nor `text` is ever logged.
    ///
    /// # Errors
    /// `NoAnswer` or `Refused`; the caller decides whether to send again.
    pub async fn send(&self, to: &str, text: &str) -> Result<(), SmsError> {
        let body = serde_json::json!({ "to": to, "text": text }).to_string();
        let answer = self
            .http
            .post(self.url.clone())
            .header(AUTHORIZATION, self.authorization.clone())
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .send()
            .await
            .map_err(|error| SmsError::NoAnswer(error.without_url()))?;
        if answer.status().is_success() { Ok(()) } else { Err(SmsError::Refused(answer.status().as_u16())) }
    }
}
