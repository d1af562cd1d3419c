//! The app's side of the issuer protocol: one method a call, and an answer that never guesses.
//!
//! Nothing here retries. Whoever holds the intent decides when to ask again, always under the same id.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use koudai_core::money::Money;
use koudai_core::secret::Secret;
use koudai_wechatpay::keys::{PrivateKey, PublicKey};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use reqwest::{Method, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use crate::outward;

use super::signing::{self, ReplyHeaders, Signer, SigningError};
use super::wire::{
    BASE_PATH, BindRequest, BindingReply, BookLine, ConfirmRequest, DebitReply, DebitRequest, ErrorReply,
    IssuerCode, MAX_BODY_BYTES, PayoutReply, PayoutRequest, RefundReply, RefundRequest, UnbindReply,
    UnbindRequest, id_ok,
};

/// How long a call may take when nobody has a reason to choose otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// What is known after one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// The issuer answered, and its signature holds.
    Done(T),
    /// The issuer said no, and its signature holds: *this call* did nothing. An earlier call under the same id may
    /// have done something, so a debit, refund or payout is only over with a final `Outcome` inside `Done`.
    Refused {
        /// Why.
        code: IssuerCode,
        /// With `CodeWrong`: tries left.
        tries_left: Option<u8>,
    },
    /// No connection was made, so this call did nothing. What is said of earlier calls above holds here too.
    NotSent,
    /// Timeout, reset, 5xx, a signature that does not hold, or an answer that makes no sense. Never a failure:
    /// ask again.
    Unknown,
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not an http or https address without query and user.
    #[error("the issuer's address is not usable")]
    Address,
    /// The app id is not 1 to 32 characters of `0-9 A-Z a-z _ -`.
    #[error("the app id is not usable")]
    AppId,
    /// The HTTP client could not start.
    #[error("the HTTP client could not start")]
    Http(#[source] reqwest::Error),
}

/// Speaks to one issuer as one app. Cloning shares the connections.
#[derive(Clone)]
pub struct IssuerClient {
    /// What operators know it by.
    name: Arc<str>,
    http: reqwest::Client,
    base: String,
    app_id: String,
    signer: Signer,
    issuer_key: PublicKey,
    clock: fn() -> i64,
}

impl fmt::Debug for IssuerClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuerClient")
            .field("base", &self.base)
            .field("app_id", &self.app_id)
            .finish_non_exhaustive()
    }
}

/// One call before it is sent.
struct Call<'a> {
    /// For the log.
    name: &'static str,
    /// For the log; `-` where there is none that may be logged.
    id: &'a str,
    method: Method,
    /// Behind [`BASE_PATH`], with its query.
    path: String,
    body: Zeroizing<Vec<u8>>,
}

impl<'a> Call<'a> {
    fn get(name: &'static str, id: &'a str, path: String) -> Self {
        Self { name, id, method: Method::GET, path, body: Zeroizing::new(Vec::new()) }
    }

    fn post(name: &'static str, id: &'a str, path: String, content: &impl Serialize) -> Self {
        // One allocation, so that no half-grown copy of a card number stays behind.
        let mut body = Zeroizing::new(Vec::with_capacity(2_048));
        serde_json::to_writer(&mut *body, content).expect("the wire types are plain JSON");
        Self { name, id, method: Method::POST, path, body }
    }
}

/// How a call ended on the wire.
enum Sent {
    /// A signed body with its status.
    Replied(u16, Zeroizing<Vec<u8>>),
    /// No connection was made.
    Nothing,
    Unknown(&'static str),
}

impl IssuerClient {
    /// A client of the issuer at `base_url` (such as `http://localhost:8082`), known to it as `app_id`. `clock` gives
    /// Unix seconds; a call is given up as unknown after `timeout`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn new(
        base_url: &str,
        app_id: &str,
        key: PrivateKey,
        issuer_key: PublicKey,
        clock: fn() -> i64,
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        let url: Url = base_url.parse().map_err(|_| ClientError::Address)?;
        let plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !matches!(url.scheme(), "http" | "https") || !plain || url.password().is_some() {
            return Err(ClientError::Address);
        }
        if !id_ok(app_id) || app_id.len() > 32 {
            return Err(ClientError::AppId);
        }
        let http = outward::builder(timeout, url.scheme() == "https").build().map_err(ClientError::Http)?;
        Ok(Self {
            name: "issuer".into(),
            http,
            base: format!("{}{BASE_PATH}", url.as_str().trim_end_matches('/')),
            app_id: app_id.to_owned(),
            signer: Signer::new(key),
            issuer_key,
            clock,
        })
    }

    /// The same, known to operators by another name than `issuer`.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: name.into(), ..self }
    }

    /// What operators know it by.
    pub fn operators_name(&self) -> &str {
        &self.name
    }

    /// Asks for a binding: the bank checks the details and sends its code to the holder.
    pub async fn bind(&self, request: &BindRequest) -> Answer<BindingReply> {
        let id = request.binding_id.as_str();
        let call = Call::post("bind", id, "/bindings".into(), request);
        self.ask(call, id_ok(id), |reply: &BindingReply| reply.binding_id == id).await
    }

    /// Has the bank send another code.
    pub async fn resend(&self, binding_id: &str) -> Answer<BindingReply> {
        let call = Call::post(
            "resend",
            binding_id,
            format!("/bindings/{binding_id}/resend"),
            &serde_json::json!({}),
        );
        self.ask(call, id_ok(binding_id), |reply: &BindingReply| reply.binding_id == binding_id).await
    }

    /// Hands over the code the holder typed.
    pub async fn confirm(&self, binding_id: &str, code: Secret<String>) -> Answer<BindingReply> {
        let path = format!("/bindings/{binding_id}/confirm");
        let call = Call::post("confirm", binding_id, path, &ConfirmRequest { code });
        self.ask(call, id_ok(binding_id), |reply: &BindingReply| reply.binding_id == binding_id).await
    }

    /// Asks where a binding stands.
    pub async fn binding(&self, binding_id: &str) -> Answer<BindingReply> {
        let call = Call::get("binding", binding_id, format!("/bindings/{binding_id}"));
        self.ask(call, id_ok(binding_id), |reply: &BindingReply| reply.binding_id == binding_id).await
    }

    /// Gives a token back. Doing it twice is the same as once.
    pub async fn unbind(&self, token: Secret<String>) -> Answer<UnbindReply> {
        let call = Call::post("unbind", "-", "/tokens/unbind".into(), &UnbindRequest { token });
        self.ask(call, true, |_| true).await
    }

    /// Takes `amount` from the card behind `token`.
    pub async fn debit(
        &self,
        debit_id: &str,
        token: Secret<String>,
        amount: Money,
        description: &str,
    ) -> Answer<DebitReply> {
        let request = DebitRequest {
            debit_id: debit_id.to_owned(),
            token,
            amount_minor: amount.minor(),
            currency: amount.currency().code().to_owned(),
            description: description.to_owned(),
        };
        let call = Call::post("debit", debit_id, "/debits".into(), &request);
        self.ask(call, id_ok(debit_id), |reply: &DebitReply| reply.debit_id == debit_id).await
    }

    /// Asks how a debit ended. `NotFound` is no proof that it never will happen: [`close_debit`](Self::close_debit) is.
    pub async fn query_debit(&self, debit_id: &str) -> Answer<DebitReply> {
        let call = Call::get("query_debit", debit_id, format!("/debits/{debit_id}"));
        self.ask(call, id_ok(debit_id), |reply: &DebitReply| reply.debit_id == debit_id).await
    }

    /// Makes a debit final: refused with `Closed` for all time if it has not arrived, else as it ended.
    pub async fn close_debit(&self, debit_id: &str) -> Answer<DebitReply> {
        let path = format!("/debits/{debit_id}/close");
        let call = Call::post("close_debit", debit_id, path, &serde_json::json!({}));
        self.ask(call, id_ok(debit_id), |reply: &DebitReply| reply.debit_id == debit_id).await
    }

    /// Gives `amount` of a debit back to its card.
    pub async fn refund(&self, refund_id: &str, debit_id: &str, amount: Money) -> Answer<RefundReply> {
        let request = RefundRequest {
            refund_id: refund_id.to_owned(),
            debit_id: debit_id.to_owned(),
            amount_minor: amount.minor(),
            currency: amount.currency().code().to_owned(),
        };
        let call = Call::post("refund", refund_id, "/refunds".into(), &request);
        let fits = |reply: &RefundReply| reply.refund_id == refund_id && reply.debit_id == debit_id;
        self.ask(call, id_ok(refund_id) && id_ok(debit_id), fits).await
    }

    /// Asks how a refund ended.
    pub async fn query_refund(&self, refund_id: &str) -> Answer<RefundReply> {
        let call = Call::get("query_refund", refund_id, format!("/refunds/{refund_id}"));
        self.ask(call, id_ok(refund_id), |reply: &RefundReply| reply.refund_id == refund_id).await
    }

    /// Pays `amount` of the operator's money out to the card behind `token`.
    pub async fn pay_out(
        &self,
        payout_id: &str,
        token: Secret<String>,
        amount: Money,
        description: &str,
    ) -> Answer<PayoutReply> {
        let request = PayoutRequest {
            payout_id: payout_id.to_owned(),
            token,
            amount_minor: amount.minor(),
            currency: amount.currency().code().to_owned(),
            description: description.to_owned(),
        };
        let call = Call::post("pay_out", payout_id, "/payouts".into(), &request);
        self.ask(call, id_ok(payout_id), |reply: &PayoutReply| reply.payout_id == payout_id).await
    }

    /// Asks how a payout ended. `NotFound` is no proof that it never will happen: [`close_pay_out`](Self::close_pay_out) is.
    pub async fn query_pay_out(&self, payout_id: &str) -> Answer<PayoutReply> {
        let call = Call::get("query_pay_out", payout_id, format!("/payouts/{payout_id}"));
        self.ask(call, id_ok(payout_id), |reply: &PayoutReply| reply.payout_id == payout_id).await
    }

    /// Makes a payout final: refused with `Closed` for all time if it has not arrived, else as it ended.
    pub async fn close_pay_out(&self, payout_id: &str) -> Answer<PayoutReply> {
        let path = format!("/payouts/{payout_id}/close");
        let call = Call::post("close_pay_out", payout_id, path, &serde_json::json!({}));
        self.ask(call, id_ok(payout_id), |reply: &PayoutReply| reply.payout_id == payout_id).await
    }

    /// Lines of the bank's books behind line `after`, oldest first, at most 200; 0 for the beginning. An empty answer is
    /// the end.
    pub async fn books(&self, after: i64) -> Answer<Vec<BookLine>> {
        let call = Call::get("books", "-", format!("/books?after={after}"));
        self.ask(call, true, |lines: &Vec<BookLine>| lines.first().is_none_or(|line| line.no > after)).await
    }

    /// Sends one call and reads what came back. An id that may not stand in a path is refused here, unsent; `fits` says
    /// whether a reply is about what was asked.
    async fn ask<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
        ids_ok: bool,
        fits: impl FnOnce(&T) -> bool,
    ) -> Answer<T> {
        if !ids_ok {
            return Answer::Refused { code: IssuerCode::BadRequest, tries_left: None };
        }
        let (name, id) = (call.name, call.id);
        let started = Instant::now();
        let (answer, outcome) = match self.send(call).await {
            Sent::Nothing => (Answer::NotSent, "not_sent"),
            Sent::Unknown(why) => (Answer::Unknown, why),
            Sent::Replied(200..=299, body) => match serde_json::from_slice::<T>(&body) {
                Ok(reply) if fits(&reply) => (Answer::Done(reply), "done"),
                _ => (Answer::Unknown, "unknown: another body than was asked for"),
            },
            Sent::Replied(400..=499, body) => match serde_json::from_slice::<ErrorReply>(&body) {
                Ok(ErrorReply { code, tries_left, .. }) => {
                    (Answer::Refused { code, tries_left }, code.word())
                }
                Err(_) => (Answer::Unknown, "unknown: a refusal without a code"),
            },
            Sent::Replied(..) => (Answer::Unknown, "unknown: neither 2xx nor 4xx"),
        };
        let elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(call = name, id, outcome, elapsed_ms, "issuer call");
        answer
    }

    async fn send(&self, call: Call<'_>) -> Sent {
        let Ok(url) = format!("{}{}", self.base, call.path).parse::<Url>() else { return Sent::Nothing };
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let nonce = signing::random_text();
        let authorization = self.signer.authorize(
            &self.app_id,
            call.method.as_str(),
            &target,
            (self.clock)(),
            &nonce,
            &call.body,
        );
        let mut request = self.http.request(call.method, url).header(AUTHORIZATION, authorization);
        if !call.body.is_empty() {
            // The bytes are wiped when the last holder of them lets go.
            request = request.header(CONTENT_TYPE, "application/json").body(Bytes::from_owner(call.body));
        }
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(error) if error.is_connect() => return Sent::Nothing,
            Err(error) if error.is_timeout() => return Sent::Unknown("unknown: timeout"),
            Err(_) => return Sent::Unknown("unknown: connection lost"),
        };
        let mut body = Zeroizing::new(Vec::with_capacity(1_024));
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() <= MAX_BODY_BYTES => {
                    body.extend_from_slice(&chunk);
                }
                Ok(Some(_)) => return Sent::Unknown("unknown: body too large"),
                Ok(None) => break,
                Err(error) if error.is_timeout() => return Sent::Unknown("unknown: timeout"),
                Err(_) => return Sent::Unknown("unknown: connection lost"),
            }
        }
        let headers = reply_headers(response.headers());
        match signing::verify_reply(headers, &self.issuer_key, (self.clock)(), &nonce, &body) {
            Ok(()) => Sent::Replied(response.status().as_u16(), body),
            Err(why) => Sent::Unknown(match why {
                SigningError::Malformed => "unknown: unsigned answer",
                SigningError::Time => "unknown: the clocks differ by more than five minutes",
                SigningError::Nonce => "unknown: answer to another request",
                SigningError::Sender | SigningError::Signature => "unknown: bad signature",
            }),
        }
    }
}

fn reply_headers(headers: &HeaderMap) -> ReplyHeaders<'_> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    ReplyHeaders {
        timestamp: text(signing::TIMESTAMP_HEADER),
        nonce: text(signing::NONCE_HEADER),
        signature: text(signing::SIGNATURE_HEADER),
    }
}
