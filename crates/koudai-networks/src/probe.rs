//! A look at whether a merchant checks what it is told, made only when its operator asks: a notification whose signature
//! is wrong, as the original sends them now and then, and if wanted one that is right.
//!
//! Neither can be taken for money: the event is of a type of its own, and what it opens to says that it is a probe.

use std::sync::Arc;

use koudai_core::id::MchId;
use koudai_core::rows::Merchant;
use koudai_engine::Engine;
use koudai_store::StoreError;
use koudai_wechatpay::headers::{PROBE_PREFIX, SignedHeaders};
use serde::Serialize;

use crate::courier::post::{self, Content, Sent};
use crate::platform::SigningMode;
use crate::{Networks, reach, reach_allows, telling};

/// The type of a probe's event.
pub const EVENT_TYPE: &str = "KOUDAI.PROBE";

/// What a probe found.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// Where it was sent.
    pub url: String,
    /// The notification whose signature is wrong.
    pub wrong_signature: Answered,
    /// The one whose signature is right, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right_signature: Option<Answered>,
    /// What it comes to: `refused`, as it should be; `taken`, so that anybody can tell this merchant that it was paid; or
    /// `no_answer`.
    pub verdict: &'static str,
}

/// What came back.
#[derive(Clone, Debug, Serialize)]
pub struct Answered {
    /// A word of `DeliveryOutcome`.
    pub outcome: &'static str,
    /// The status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// How long it took.
    pub took_ms: u64,
    /// How the body begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
}

/// Why a merchant was not probed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// There is none of this number.
    #[error("there is no merchant of this number")]
    MerchantUnknown,
    /// It was told of nothing yet, so no address of its is known.
    #[error("this merchant has had no notification yet; say where it listens with --url")]
    NoAddress,
    /// Notifications may not go there.
    #[error("notifications may not go to {0}")]
    NotAllowed(String),
    /// Its key does not open.
    #[error("the merchant's key does not open with the operator's keys")]
    Key,
    /// The database could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Probes a merchant at `url`, or where its newest notification goes; with `right` it is sent one that is in order too.
///
/// # Errors
/// Why nothing was sent.
pub async fn run(
    engine: &Engine,
    networks: &Arc<Networks>,
    mchid: MchId,
    url: Option<String>,
    right: bool,
) -> Result<Found, ProbeError> {
    let (theirs, now) = (Arc::clone(networks), engine.now());
    let read = engine.read(move |r| {
        Ok((
            r.get::<Merchant>(&mchid)?,
            telling::newest_event(r, &theirs.vault, mchid, now)?.map(|event| event.url),
        ))
    });
    let (merchant, known) = read.await?;
    let merchant = merchant.ok_or(ProbeError::MerchantUnknown)?;
    let url = url.or(known).ok_or(ProbeError::NoAddress)?;
    let Some(address) = reach_allows(networks.reach, &url) else { return Err(ProbeError::NotAllowed(url)) };
    let client = reach::client(networks.reach, 1);
    let send = async |wrong: bool| {
        let (body, signed) = signed(engine, networks, &merchant, wrong)?;
        Ok::<_, ProbeError>(answered(post::send(&client, address.clone(), body, &signed).await))
    };
    // Beside each other: a merchant that hangs is waited for once.
    let (wrong_signature, right_signature) =
        tokio::try_join!(send(true), async { if right { send(false).await.map(Some) } else { Ok(None) } })?;
    let verdict = match wrong_signature.status {
        None => "no_answer",
        Some(200..=299) => "taken",
        Some(_) => "refused",
    };
    Ok(Found { url, wrong_signature, right_signature, verdict })
}

fn answered(sent: Sent) -> Answered {
    Answered {
        outcome: sent.outcome.word(),
        status: sent.status,
        took_ms: u64::try_from(sent.took.as_millis()).unwrap_or(u64::MAX),
        answer: sent.said,
    }
}

/// A probe's body and headers.
fn signed(
    engine: &Engine,
    networks: &Networks,
    merchant: &Merchant,
    wrong: bool,
) -> Result<(Vec<u8>, SignedHeaders), ProbeError> {
    let now = engine.clock().now();
    let plain = serde_json::json!({
        "mchid": merchant.mchid.wire(),
        "probe": true,
        "remark": "This is a probe. Nothing was paid and nothing is to be done.",
    });
    let plain = plain.to_string();
    let id = format!("koudai-probe-{}", koudai_wechatpay::nonce());
    let content = Content {
        id: id.get(..36).unwrap_or(&id),
        create_time: &now.rfc3339(),
        event_type: EVENT_TYPE,
        summary: "验签探测",
        original_type: "probe",
        plain: plain.as_bytes(),
    };
    let body = post::body(&networks.vault, merchant, content).ok_or(ProbeError::Key)?;
    let mut signed = networks.platform.sign(SigningMode::of(merchant), now, &body);
    if wrong {
        signed.signature.insert_str(0, PROBE_PREFIX);
    }
    Ok((body, signed))
}
