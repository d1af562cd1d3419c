//! The platform's certificates: downloaded, kept fresh, and looked for when something is signed by one that is not known.

use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::Method;
use tokio::sync::Mutex;

use super::{Client, ClientError, Repeat, Reply, Unknown};
use crate::{
    certificate::{Certificate, serial_matches},
    headers::{PUBLIC_KEY_ID_PREFIX, SignedHeaders, VerifyError},
    json::strict_json,
    notice::{Notice, NoticeError},
    types::CertificateList,
};

/// More certificates than are ever current at once.
const MAX_CERTIFICATES: usize = 64;
/// The least time between two downloads because of a name nobody knows, in seconds: anybody can post one to a merchant.
const SEARCH_GAP_S: i64 = 60;

/// When certificates were downloaded. One download runs at a time, and who waited for it does not begin another.
#[derive(Debug, Default)]
pub(super) struct Downloads {
    times: Mutex<Times>,
    /// How many have ended, whatever came of them.
    ended: AtomicU64,
}

/// Unix seconds.
#[derive(Debug, Default)]
struct Times {
    /// When the last one was there.
    fetched_s: Option<i64>,
    /// When one was last begun for the sake of an unknown name.
    searched_s: Option<i64>,
}

impl Client {
    /// Downloads the platform's certificates, keeps those valid now for the checks to come, and returns them. Call it, or
    /// [`keep_certificates_fresh`](Self::keep_certificates_fresh), at least every 12 hours where the platform uses certificates.
    ///
    /// The reply is checked with a known key if one signed it, else with a key out of the reply itself: that key came
    /// encrypted under the `APIv3` key, which only the platform shares.
    ///
    /// # Errors
    /// See [`ClientError`]; a merchant that only uses a public key is `Refused` with `RESOURCE_NOT_EXISTS`.
    pub async fn certificates(&self) -> Result<Vec<Certificate>, ClientError> {
        self.download(&mut *self.downloads.times.lock().await).await
    }

    /// Downloads the certificates unless the last download is younger than `age`; whether it did.
    ///
    /// # Errors
    /// As [`certificates`](Self::certificates). What was known stays known.
    pub async fn keep_certificates_fresh(&self, age: Duration) -> Result<bool, ClientError> {
        let mut times = self.downloads.times.lock().await;
        let now_s = (self.config.clock)();
        let age_s = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        if times.fetched_s.is_some_and(|at| now_s.saturating_sub(at) < age_s) {
            return Ok(false);
        }
        self.download(&mut times).await.map(|_| true)
    }

    /// Opens a notification from its headers and raw body. If it is signed by a platform certificate that is not known, the
    /// certificates are downloaded, at most once a minute, and it is tried once more.
    ///
    /// # Errors
    /// See [`NoticeError`].
    pub async fn receive(&self, headers: &SignedHeaders, body: &[u8]) -> Result<Notice, NoticeError> {
        match self.open_notification(headers, body) {
            Err(NoticeError::Verify(VerifyError::UnknownSerial(serial))) if self.search(&serial).await => {
                self.open_notification(headers, body)
            }
            opened => opened,
        }
    }

    async fn download(&self, times: &mut Times) -> Result<Vec<Certificate>, ClientError> {
        let downloaded = self.downloaded().await;
        self.downloads.ended.fetch_add(1, Ordering::Release);
        if downloaded.is_ok() {
            times.fetched_s = Some((self.config.clock)());
        }
        downloaded
    }

    async fn downloaded(&self) -> Result<Vec<Certificate>, ClientError> {
        let path = "/v3/certificates?algorithm_type=RSA";
        let reply = self.settled(Repeat::Question, Method::GET, path, &[]).await?;
        let list: CertificateList = strict_json(&reply.body).map_err(Unknown::Body)?;
        if list.data.len() > MAX_CERTIFICATES {
            return Err(Unknown::TooLarge.into());
        }
        let now_ms = (self.config.clock)().saturating_mul(1000);
        let mut certificates = Vec::new();
        let mut keys = self.config.platform_keys.clone();
        for entry in &list.data {
            let pem = entry.encrypt_certificate.open(&self.config.api_v3_key);
            let certificate = pem
                .ok()
                .and_then(|pem| Certificate::from_pem(std::str::from_utf8(&pem).ok()?).ok())
                .filter(|certificate| serial_matches(&certificate.serial, &entry.serial_no))
                .ok_or(Unknown::Certificate)?;
            if certificate.is_valid_at(now_ms) {
                keys.insert(&certificate.serial, certificate.public_key.clone());
                certificates.push(certificate);
            }
        }
        match self.check(&reply, &self.platform_keys()) {
            Err(VerifyError::UnknownSerial(_)) => self.check(&reply, &keys),
            known => known,
        }
        .map_err(Unknown::Verify)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(certificates)
    }

    /// Looks for the certificate of this serial; whether it is known then. Public keys are not downloaded.
    async fn search(&self, serial: &str) -> bool {
        if !self.searching || serial.starts_with(PUBLIC_KEY_ID_PREFIX) {
            return false;
        }
        let known = || self.platform_keys().get(serial).is_some();
        let ended = self.downloads.ended.load(Ordering::Acquire);
        let mut times = self.downloads.times.lock().await;
        // A download that ended while this one waited brought what there is.
        if known() || self.downloads.ended.load(Ordering::Acquire) != ended {
            return known();
        }
        let now_s = (self.config.clock)();
        if times.searched_s.is_some_and(|at| now_s.saturating_sub(at) < SEARCH_GAP_S) {
            return false;
        }
        // The first download that succeeds is no search: nothing could be known before it.
        let first = times.fetched_s.is_none();
        let fetched = self.download(&mut times).await.is_ok();
        if !first || !fetched {
            times.searched_s = Some(now_s);
        }
        fetched && known()
    }

    /// Checks a reply, looking for the certificate that signed it if that is not known.
    pub(super) async fn check_refreshing(&self, reply: &Reply) -> Result<(), ClientError> {
        match self.check(reply, &self.platform_keys()) {
            // Whatever is wrong with the download, the outcome of the call itself is unknown, not refused.
            Err(VerifyError::UnknownSerial(serial)) if self.search(&serial).await => {
                Ok(self.check(reply, &self.platform_keys()).map_err(Unknown::Verify)?)
            }
            checked => Ok(checked.map_err(Unknown::Verify)?),
        }
    }
}
