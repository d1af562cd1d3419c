//! Looks a contract over: whatever the platform can judge of it is put to the platform, and its answers are put into words for the
//! operator. What is asked moves no money: one order over a fen that nobody pays, and is closed again.

use koudai_core::secret::Secret;
use koudai_core::time::{MINUTE, Timestamp};
use koudai_wechatpay::client::{ClientError, Unknown};
use koudai_wechatpay::nonce;
use koudai_wechatpay::types::{BillType, ErrorBody, NativeOrder, OrderAmount, same_code};
use reqwest::header::DATE;

use super::books::date;
use super::client::WeChat;
use super::codes;
use crate::network::Place;

/// How far our clock may be from the platform's: it refuses what was signed more than five minutes ago.
const MOST_APART_S: i64 = 60;
/// How much of a text of the platform's is shown, in characters.
const MOST_TEXT: usize = 160;

/// What answers are believed by.
const KEYS: &str = "the platform's keys";
/// What notices and certificates are encrypted under.
const ENCRYPTION: &str = "apiv3-key";

/// How a part of a contract stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The platform takes it.
    Fine,
    /// It does not, and payments fail until that is mended.
    Wrong,
    /// It did not say.
    Unsure,
}

/// What was found of a part of a contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The part, as an operator calls it.
    pub part: &'static str,
    /// How it stands.
    pub verdict: Verdict,
    /// In words, and what to do about it. It holds no secret.
    pub says: String,
}

impl Finding {
    fn new(part: &'static str, verdict: Verdict, says: impl Into<String>) -> Self {
        Self { part, verdict, says: says.into() }
    }
}

/// What an operator does about a code, whatever was asked.
fn advice(code: &str) -> Option<&'static str> {
    [
        (
            "SIGN_ERROR",
            "the signature does not fit: `key` has to be the key of the certificate that the merchant's console lists for \
             `mchid`, under the serial that `certificate` has",
        ),
        (
            "APPID_MCHID_NOT_MATCH",
            "`appid` is not bound to `mchid`: bind it at the merchant's console, under account associations",
        ),
        ("MCH_NOT_EXISTS", "there is no merchant `mchid`"),
        ("NO_AUTH", "the product is not part of the contract: apply for it at the merchant's console"),
        ("REQUEST_BLOCKED", "the platform blocks the call: look at the merchant's console for a limit"),
        ("ACCOUNT_ERROR", "the merchant's account there cannot be used: ask the platform"),
        ("RULE_LIMIT", "a rule of the platform's stands against it: look at the merchant's console"),
    ]
    .iter()
    .find(|(known, _)| same_code(known, code))
    .map(|(_, advice)| *advice)
}

/// A refusal in the platform's own words, as far as they can be shown.
fn quoted(status: u16, body: &ErrorBody) -> String {
    let shown = |text: &str| text.chars().filter(|c| !c.is_control()).take(MOST_TEXT).collect::<String>();
    format!("{status} {}: {}", shown(&body.code), shown(&body.message))
}

/// What an error says of a part, if it is none that was hoped for.
fn failed(part: &'static str, error: &ClientError) -> Finding {
    match error {
        ClientError::Refused { status, body } | ClientError::Unknown(Unknown::Refused { status, body }) => {
            let quoted = quoted(*status, body);
            match advice(&body.code) {
                Some(advice) => Finding::new(part, Verdict::Wrong, format!("{advice} ({quoted})")),
                None => Finding::new(part, Verdict::Wrong, format!("refused: {quoted}")),
            }
        }
        ClientError::Unknown(Unknown::Verify(why)) => Finding::new(
            KEYS,
            Verdict::Wrong,
            format!(
                "the answer is signed by nobody that the contract believes ({why}): compare `public-keys`, id and file, with the \
                 console, or set `certificates = yes` if the platform signs by certificates"
            ),
        ),
        ClientError::Unknown(Unknown::Certificate) => Finding::new(
            ENCRYPTION,
            Verdict::Wrong,
            "`apiv3-key` does not open what the platform encrypts under it: it is another one than the console's",
        ),
        ClientError::Unknown(why) => Finding::new(part, Verdict::Unsure, format!("no certain answer: {why}")),
        ClientError::Invalid(what) => Finding::new(part, Verdict::Wrong, format!("cannot be sent: {what}")),
    }
}

/// Whether an error says that nothing stands under a number.
fn is_not_there(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused { body, .. } if codes::is_not_there(&body.code))
}

impl WeChat {
    /// Puts every part of the contract to the platform that it can judge, in the order in which they rest on each other. One that
    /// nothing works without ends it.
    pub async fn examine(&self) -> Vec<Finding> {
        let mut found = self.reach().await;
        if found.iter().any(|finding| finding.verdict == Verdict::Wrong) {
            return found;
        }
        let number = format!("doctor{}", &nonce()[..24]);
        let identity = self.identity(&number).await;
        if identity.verdict == Verdict::Wrong {
            // Where certificates are fetched, what keeps them away is why no answer is believed.
            let why = if identity.part == KEYS && self.settings.certificates {
                Some(self.encryption().await).filter(|why| why.verdict == Verdict::Wrong)
            } else {
                None
            };
            found.push(why.unwrap_or(identity));
            return found;
        }
        found.push(identity);
        let encryption = self.encryption().await;
        let nobody_else = self.settings.public_keys.is_empty() || encryption.part == KEYS;
        let believes_nobody = encryption.verdict == Verdict::Wrong && nobody_else;
        found.push(encryption);
        if believes_nobody {
            return found;
        }
        if self.settings.places.contains(&Place::Computer) {
            found.push(self.ordering(&number).await);
        }
        if self.settings.app_secret.is_some() {
            found.push(self.secret().await);
        }
        if self.settings.payouts.is_some() {
            found.push(self.transfers(&number).await);
        }
        found.push(self.bills().await);
        found
    }

    /// Whether it is there, and what its clock says.
    async fn reach(&self) -> Vec<Finding> {
        const PLATFORM: &str = "the platform";
        const CLOCK: &str = "this machine's clock";
        let url = format!("{}/v3/certificates", self.settings.api);
        let answer = match self.http.get(&url).header("accept", "application/json").send().await {
            Ok(answer) => answer,
            Err(error) => {
                let error = error.without_url();
                let says = format!("{} cannot be reached: {error}", self.settings.api);
                return vec![Finding::new(PLATFORM, Verdict::Wrong, says)];
            }
        };
        let mut found = vec![Finding::new(PLATFORM, Verdict::Fine, format!("{} answers", self.settings.api))];
        let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
        let theirs = date.and_then(|date| httpdate::parse_http_date(date).ok());
        let theirs = theirs.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        found.push(match theirs.and_then(|since| i64::try_from(since.as_secs()).ok()) {
            None => Finding::new(CLOCK, Verdict::Unsure, "the platform does not say the time"),
            Some(theirs) => {
                let apart = self.now().0 / 1_000 - theirs;
                let says = format!("{apart} s from the platform's");
                if apart.abs() > MOST_APART_S {
                    let says = format!("{says}, which refuses what is signed at another time: set it right");
                    Finding::new(CLOCK, Verdict::Wrong, says)
                } else {
                    Finding::new(CLOCK, Verdict::Fine, says)
                }
            }
        });
        found
    }

    /// Whether what we sign is taken for the merchant's, by a question about a number that stands for nothing.
    async fn identity(&self, number: &str) -> Finding {
        const PART: &str = "mchid, certificate and key";
        match self.client.query_by_out_trade_no(number).await {
            Err(error) if is_not_there(&error) => {
                Finding::new(PART, Verdict::Fine, format!("calls of {} are taken", self.settings.mchid))
            }
            Ok(_) => {
                Finding::new(PART, Verdict::Unsure, "an order stands under a number that was never given")
            }
            Err(error) => failed(PART, &error),
        }
    }

    /// Whether the key that notices are encrypted under is the platform's, as certificates show it.
    async fn encryption(&self) -> Finding {
        const PART: &str = ENCRYPTION;
        match self.client.certificates().await {
            Ok(certificates) => {
                let until = certificates.iter().map(|one| one.not_after_ms).max().map(Timestamp);
                let until =
                    until.map_or_else(String::new, |until| format!(", good until {}", until.rfc3339()));
                let says = format!("opens {} of the platform's certificates{until}", certificates.len());
                Finding::new(PART, Verdict::Fine, says)
            }
            Err(error) if is_not_there(&error) && !self.settings.certificates => Finding::new(
                PART,
                Verdict::Unsure,
                "this merchant has public keys only, so that nothing but a notice shows whether it is right",
            ),
            Err(error) => failed(PART, &error),
        }
    }

    /// Whether orders can be placed, and whose key signs what comes back: one over a fen, which is closed again.
    async fn ordering(&self, number: &str) -> Finding {
        const PART: &str = "appid and native orders";
        let expires = self.now().plus(2 * MINUTE).rfc3339();
        let order = NativeOrder {
            appid: self.settings.appid.clone(),
            mchid: self.settings.mchid.clone(),
            description: "配置检查，请勿支付".to_owned(),
            out_trade_no: number.to_owned(),
            time_expire: Some(expires),
            notify_url: self.settings.notices.clone(),
            amount: OrderAmount { total: 1, currency: Some("CNY".to_owned()) },
            ..NativeOrder::default()
        };
        match self.client.native(&order).await {
            Err(error) => failed(PART, &error),
            Ok(_) => match self.client.close(number).await {
                Ok(()) => Finding::new(
                    PART,
                    Verdict::Fine,
                    "an order was placed and closed again, and the answers are believed",
                ),
                Err(error) => Finding::new(
                    PART,
                    Verdict::Unsure,
                    format!(
                        "order {number} over ¥0.01 was placed and could not be closed, it ends by itself: {error}"
                    ),
                ),
            },
        }
    }

    /// Whether the app's secret is its own, by a code that nobody was given.
    async fn secret(&self) -> Finding {
        const PART: &str = "app-secret";
        match self.errcode_of(&Secret::new(nonce())).await {
            None => Finding::new(PART, Verdict::Unsure, format!("{} does not answer", self.settings.sns)),
            // The code is refused, so everything before it was taken.
            Some(40_029) => Finding::new(PART, Verdict::Fine, "the app is known by it"),
            Some(40_013) => Finding::new(PART, Verdict::Wrong, "there is no app `appid` (40013)"),
            Some(40_125 | 41_004) => {
                let says = "`app-secret` is not the app's (40125): reset it at the app's own console, not at the merchant's";
                Finding::new(PART, Verdict::Wrong, says)
            }
            Some(40_164) => {
                let says = "this machine's address is not on the app's list of addresses (40164)";
                Finding::new(PART, Verdict::Wrong, says)
            }
            Some(48_001) => {
                let says =
                    "the app may not ask who people are (48001): it has to be a verified service account";
                Finding::new(PART, Verdict::Wrong, says)
            }
            Some(other) => Finding::new(PART, Verdict::Unsure, format!("answered with {other}")),
        }
    }

    /// Whether transfers are part of the contract, by a question about one that was never made.
    async fn transfers(&self, number: &str) -> Finding {
        const PART: &str = "payouts";
        match self.client.query_transfer(number).await {
            Err(error) if is_not_there(&error) => {
                let says = "transfers may be asked about; whether `payout-scene` and `payout-report` are right, the first one shows";
                Finding::new(PART, Verdict::Fine, says)
            }
            Ok(_) => {
                Finding::new(PART, Verdict::Unsure, "a transfer stands under a number that was never given")
            }
            Err(error) => failed(PART, &error),
        }
    }

    /// Whether the bills can be had that reconciliation reads.
    async fn bills(&self) -> Finding {
        const PART: &str = "bills";
        let yesterday = date(self.now().china_day() - 1);
        match self.client.trade_bill(&yesterday, &BillType::All, true).await {
            Ok(_) => Finding::new(PART, Verdict::Fine, format!("that of {yesterday} can be had")),
            Err(ClientError::Refused { body, .. })
                if ["NO_STATEMENT_EXIST", "STATEMENT_CREATING"]
                    .iter()
                    .any(|code| same_code(code, &body.code)) =>
            {
                Finding::new(
                    PART,
                    Verdict::Fine,
                    format!("there is none of {yesterday} yet, as it should be if nothing was paid"),
                )
            }
            Err(error) => failed(PART, &error),
        }
    }
}
