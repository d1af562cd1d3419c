//! The network as one of the wallet's: orders and refunds, and its answers in the wallet's words.
//!
//! An order is placed under the wallet's number and paid by whoever is let in; that it is paid counts only once it is asked about, and
//! only if what was paid is what was asked for. The order itself carries its amount in what the platform gives back with it
//! (`attach`), so that this can be told after a restart too.

use async_trait::async_trait;
use koudai_core::attempt::Outcome;
use koudai_core::money::{Currency, Money};
use koudai_core::other_wallet::{OVER_ELSEWHERE_MS, PAY_ELSEWHERE_MS};
use koudai_core::reconcile::newest_due_day;
use koudai_core::rows::NetworkRefusal;
use koudai_core::secret::Secret;
use koudai_core::time::{DAY, HOUR, Timestamp};
use koudai_wechatpay::client::{ClientError, Unknown};
use koudai_wechatpay::headers::{
    NONCE, SERIAL, SIGNATURE, SIGNATURE_TYPE, SignedHeaders, TIMESTAMP, VerifyError,
};
use koudai_wechatpay::notice::{Notice, NoticeError};
use koudai_wechatpay::types::{
    NativeOrder, OrderAmount, Refund, RefundRequest, RefundRequestAmount, RefundStatus, SceneInfo,
    TradeState, Transaction,
};

use super::client::{WeChat, note, reachable};
use super::{books, codes};
use crate::network::{
    BookEntry, GiveBack, Invitation, Invitations, Move, Moved, Network, NoticeIn, Place, Scene, WalletFace,
    Who, made_at,
};
use crate::with_parameters;

/// How much later than its last moment an order that the platform has not is over. A call is refused 300 s after it was signed,
/// so it cannot arrive much later than that.
const GRACE_MS: i64 = OVER_ELSEWHERE_MS - PAY_ELSEWHERE_MS;
/// For how long a refund that is refused and not there is asked for again.
const REFUND_WITHIN_MS: i64 = DAY;
/// When a day's books are whole. A payout stands on the day its money was set aside, and is known to have been received, or to have
/// come back, at the end of the day after; that day's bill is out by ten in the morning.
const BOOKS_AFTER_MS: i64 = DAY + 10 * HOUR;
/// How far back the books are read at first, in days. The platform keeps three months of bills.
const FIRST_BOOKS_DAYS: i64 = 30;
/// How old certificates get before they are downloaded again: the platform asks for 12 hours at most.
const CERTIFICATES_AGE: std::time::Duration = std::time::Duration::from_hours(6);
/// A number that stands for nothing, for asking whether the network is there.
const NOBODYS: &str = "7000200109100000000000000000";
/// The largest amount of one payment, in fen: the protocol's clients hold amounts in 32 bits.
const MOST_FEN: i64 = i32::MAX as i64;

/// What this call did: nothing, for a reason that is no bank's.
pub(super) const REFUSED: Moved = Moved::NothingDone(NetworkRefusal::Refused);
/// The same, for want of a connection.
const NOT_SENT: Moved = Moved::NothingDone(NetworkRefusal::Unavailable);

#[async_trait]
impl Network for WeChat {
    fn name(&self) -> &'static str {
        "wechat"
    }

    fn wallet(&self) -> Option<WalletFace> {
        Some(WalletFace {
            zh: "微信支付",
            en: "WeChat Pay",
            app_zh: "微信",
            app_en: "WeChat",
            marks: &["MicroMessenger"],
            places: self.settings.places.clone(),
            pays_out: self.settings.payouts.is_some(),
            asks_who: self.asks_who(),
            who_inside_only: true,
        })
    }

    fn invitations(&self) -> Option<&Invitations> {
        Some(&self.invitations)
    }

    fn ask_who_at(&self, back: &str, state: &str) -> Option<String> {
        self.authorize_url(back, state)
    }

    async fn who(&self, code: Secret<String>) -> Who {
        self.openid_of(&code).await
    }

    async fn debit(&self, debit: Move<'_>) -> Moved {
        let Some(at) = made_at(debit.number) else { return REFUSED };
        let until = at.plus(PAY_ELSEWHERE_MS);
        // What is placed past its time could be open when it is asked about for the last time.
        if self.now() >= until {
            return self.close_debit(debit.number).await;
        }
        match self.place(&debit, until).await {
            Ok(invitation) => {
                self.invitations.put(debit.number, until, invitation);
                Moved::UnderWay
            }
            Err(error) => self.not_placed(debit.number, debit.amount, &error).await,
        }
    }

    async fn query_debit(&self, number: &str) -> Moved {
        self.asked(number, None).await
    }

    /// That it is closed counts once the platform shows it so: the reply to closing carries no number, so it could be another's.
    async fn close_debit(&self, number: &str) -> Moved {
        let Some(at) = made_at(number) else { return Moved::NotThere };
        let closed = self.client.close(number).await;
        note("close", number, &closed);
        match closed {
            Err(ClientError::Refused { body, .. }) if codes::is_not_there(&body.code) => {
                return self.never_there(at.plus(PAY_ELSEWHERE_MS + GRACE_MS));
            }
            // Closed; or it was paid or closed before, or the refusal does not say how it stands.
            Ok(()) | Err(ClientError::Refused { .. }) => {}
            // The payer is just paying.
            Err(ClientError::Unknown(Unknown::Status { status: 202, .. })) => return Moved::UnderWay,
            Err(error) => return unanswered(&error),
        }
        match self.asked(number, None).await {
            Moved::NothingDone(_) => Moved::Unknown,
            Moved::NotThere => Moved::UnderWay,
            known => known,
        }
    }

    async fn refund(&self, back: GiveBack<'_>) -> Moved {
        let Some(at) = made_at(back.number) else { return REFUSED };
        let request = RefundRequest {
            out_trade_no: Some(back.debit.to_owned()),
            out_refund_no: back.number.to_owned(),
            notify_url: Some(self.settings.notices.clone()),
            amount: RefundRequestAmount {
                refund: back.amount.minor(),
                total: back.debited.minor(),
                currency: back.amount.currency().code().to_owned(),
                from: None,
            },
            ..RefundRequest::default()
        };
        let asked = self.client.refund(&request).await;
        note("refund", back.number, &asked);
        match asked {
            Ok(found) => returned(back, &found),
            Err(ClientError::Refused { body, .. }) => {
                let Some(said) = codes::said(&body.code) else { return Moved::Unknown };
                if said.refusal == NetworkRefusal::NotCovered {
                    tracing::error!(
                        number = back.number,
                        "the account at WeChat Pay does not cover a refund: pay money in there"
                    );
                    return Moved::NothingDone(said.refusal);
                }
                match self.query_refund(back).await {
                    // Refused for a day, and not there: nothing of it is under way any more. What is ours to mend goes on.
                    Moved::NotThere if !said.ours_to_mend && self.now() >= at.plus(REFUND_WITHIN_MS) => {
                        Moved::Ended(Outcome::Failed(said.refusal))
                    }
                    Moved::NotThere => Moved::NothingDone(said.refusal),
                    known => certain(known),
                }
            }
            Err(error) => unanswered(&error),
        }
    }

    async fn query_refund(&self, back: GiveBack<'_>) -> Moved {
        if made_at(back.number).is_none() {
            return Moved::NotThere;
        }
        let found = self.client.query_refund(back.number).await;
        note("query_refund", back.number, &found);
        match found {
            Ok(found) => returned(back, &found),
            Err(error) => question_failed(&error),
        }
    }

    async fn pay_out(&self, payout: Move<'_>) -> Moved {
        self.transfer(payout).await
    }

    async fn query_pay_out(&self, number: &str) -> Moved {
        self.transfer_asked(number, None).await
    }

    async fn close_pay_out(&self, number: &str) -> Moved {
        self.cancel_transfer(number).await
    }

    async fn books(&self, after: i64) -> Option<Vec<BookEntry>> {
        let newest = newest_due_day(self.now(), BOOKS_AFTER_MS);
        let (mut day, mut line) = books::day_and_line(after);
        if after == 0 {
            (day, line) = (newest - FIRST_BOOKS_DAYS, 0);
        }
        let mut flow = None;
        while day <= newest {
            let (entries, next) = self.day_of_books(day, flow).await?;
            let from = books::place(day, line);
            let entries: Vec<BookEntry> = entries.into_iter().filter(|entry| entry.no > from).collect();
            if !entries.is_empty() {
                return Some(entries);
            }
            (day, line, flow) = (day + 1, 0, next);
        }
        Some(vec![])
    }

    fn books_after_ms(&self) -> i64 {
        BOOKS_AFTER_MS
    }

    /// Whoever watches networks asks this every few seconds, so it is also when certificates are kept fresh.
    async fn answers(&self) -> bool {
        if self.settings.certificates {
            match self.client.keep_certificates_fresh(CERTIFICATES_AGE).await {
                Ok(false) => {}
                Ok(true) => {
                    tracing::info!("WeChat Pay's certificates were downloaded");
                    return true;
                }
                Err(error) => tracing::warn!(%error, "WeChat Pay's certificates were not downloaded"),
            }
        }
        let asked = self.client.query_by_out_trade_no(NOBODYS).await;
        matches!(asked, Ok(_) | Err(ClientError::Refused { .. }))
    }

    async fn read_notice(&self, notice: NoticeIn<'_>) -> Option<String> {
        match self.noticed(notice).await {
            Ok(number) => Some(number),
            Err(NoticeError::Verify(VerifyError::Probe)) => {
                tracing::info!("a probe of WeChat Pay's was refused, as it wants to see");
                None
            }
            Err(why) => {
                tracing::warn!(%why, "a notice is not believed");
                None
            }
        }
    }

    fn notice_reply(&self) -> &'static str {
        r#"{"code":"SUCCESS","message":"成功"}"#
    }
}

impl WeChat {
    /// Places an order, and says how its payer gets there.
    async fn place(&self, debit: &Move<'_>, until: Timestamp) -> Result<Invitation, ClientError> {
        let scene = debit.scene.unwrap_or(Scene::Computer);
        let place = match scene {
            Scene::Computer => Place::Computer,
            Scene::Phone(_) => Place::Phone,
            Scene::Inside => Place::Inside,
        };
        if !self.settings.places.contains(&place) {
            return Err(ClientError::Invalid("the place: the contract does not let people pay there"));
        }
        let mut order = self.order(debit, until);
        match scene {
            Scene::Computer => {
                let placed = self.client.native(&order).await;
                note("native", debit.number, &placed);
                Ok(Invitation::Scan(placed?.code_url))
            }
            Scene::Phone(address) => {
                let payer_client_ip = Some(address.to_canonical().to_string());
                order.scene_info = Some(SceneInfo { payer_client_ip, ..SceneInfo::default() });
                let placed = self.client.h5(&order, "Wap").await;
                note("h5", debit.number, &placed);
                let url = placed?.h5_url;
                match reachable(&url) {
                    Some(url) => {
                        let back = format!("{}{}", self.settings.back, debit.number);
                        Ok(Invitation::Visit(with_parameters(url, &[("redirect_url", &back)]).to_string()))
                    }
                    None => Err(Unknown::Mismatch("h5_url").into()),
                }
            }
            Scene::Inside => {
                let placed = self.client.jsapi(&order, debit.token.expose()).await;
                note("jsapi", debit.number, &placed);
                let call_up = self.client.jsapi_call_up(&self.settings.appid, &placed?);
                let parameters = serde_json::to_string(&call_up).expect("a call-up is plain JSON");
                Ok(Invitation::CallUp { call: "wechat-pay", parameters })
            }
        }
    }

    /// The same for the same debit, so that a repeat is the same order.
    fn order(&self, debit: &Move<'_>, until: Timestamp) -> NativeOrder {
        NativeOrder {
            appid: self.settings.appid.clone(),
            mchid: self.settings.mchid.clone(),
            description: debit.what_for.to_owned(),
            out_trade_no: debit.number.to_owned(),
            time_expire: Some(until.rfc3339()),
            attach: Some(debit.amount.minor().to_string()),
            notify_url: self.settings.notices.clone(),
            amount: OrderAmount {
                total: debit.amount.minor(),
                currency: Some(debit.amount.currency().code().to_owned()),
            },
            ..NativeOrder::default()
        }
    }

    /// What is known after an order was not placed.
    async fn not_placed(&self, number: &str, amount: Money, error: &ClientError) -> Moved {
        match error {
            ClientError::Refused { body, .. } => match codes::said(&body.code) {
                Some(said) if said.may_stand => match self.asked(number, Some(amount)).await {
                    Moved::NotThere => Moved::NothingDone(said.refusal),
                    known => certain(known),
                },
                Some(said) => Moved::NothingDone(said.refusal),
                None => Moved::Unknown,
            },
            // The payer is just paying it.
            ClientError::Unknown(Unknown::Status { status: 202, .. }) => Moved::UnderWay,
            error => unanswered(error),
        }
    }

    /// Asks how an order stands.
    async fn asked(&self, number: &str, amount: Option<Money>) -> Moved {
        if made_at(number).is_none() {
            return Moved::NotThere;
        }
        let found = self.client.query_by_out_trade_no(number).await;
        note("query", number, &found);
        let moved = match found {
            Ok(found) => self.stands(&found, amount),
            Err(error) => question_failed(&error),
        };
        if matches!(moved, Moved::Ended(_)) {
            self.invitations.end(number, self.now());
        }
        moved
    }

    /// What an order's standing is taken for, over `amount` if that is known here.
    fn stands(&self, found: &Transaction, amount: Option<Money>) -> Moved {
        let number = &found.out_trade_no;
        if found.appid != self.settings.appid {
            tracing::error!(number, "WeChat Pay has an order of another app under this number");
            return Moved::Unknown;
        }
        match &found.trade_state {
            TradeState::Success | TradeState::Refund => {}
            over if over.is_over_unpaid() => return Moved::Ended(Outcome::Failed(NetworkRefusal::Withdrawn)),
            _ => return Moved::UnderWay,
        }
        let ordered = found.attach.as_deref().and_then(|text| text.parse::<i64>().ok());
        let as_ordered = found.amount.as_ref().is_some_and(|paid| {
            let currency = paid.currency.as_deref().is_none_or(|code| code == Currency::Cny.code());
            currency
                && ordered == Some(paid.total)
                && amount.is_none_or(|amount| amount.minor() == paid.total)
        });
        match &found.transaction_id {
            Some(id) if as_ordered && !id.is_empty() => {
                Moved::Ended(Outcome::Succeeded { network_ref: id.clone() })
            }
            _ => {
                tracing::error!(
                    number,
                    "WeChat Pay says that another amount was paid, or does not say by what number"
                );
                Moved::Unknown
            }
        }
    }

    /// What the platform has nothing of and, from `over` on, never will.
    pub(super) fn never_there(&self, over: Timestamp) -> Moved {
        if self.now() < over {
            Moved::UnderWay
        } else {
            Moved::Ended(Outcome::Failed(NetworkRefusal::Withdrawn))
        }
    }

    /// Reads a notice: its number, if every part of it is in order.
    async fn noticed(&self, notice: NoticeIn<'_>) -> Result<String, NoticeError> {
        for name in [TIMESTAMP, NONCE, SERIAL, SIGNATURE, SIGNATURE_TYPE] {
            // Programs disagree about which of two counts.
            if notice.headers.get_all(name).iter().count() > 1 {
                return Err(VerifyError::MalformedHeader(name).into());
            }
        }
        let headers =
            SignedHeaders::read(|name| notice.headers.get(name).and_then(|value| value.to_str().ok()))?;
        let wrong = |field| Err(NoticeError::Contradiction(field));
        let ours = |number: &str| made_at(number).is_some();
        let sane = |fen: i64| (1..=MOST_FEN).contains(&fen);
        match self.client.receive(&headers, notice.body).await? {
            Notice::Paid(paid) => {
                let amount = paid.amount.unwrap_or_default();
                if paid.appid != self.settings.appid {
                    return wrong("appid");
                }
                if !ours(&paid.out_trade_no) {
                    return wrong("out_trade_no");
                }
                if !sane(amount.total) {
                    return wrong("amount.total");
                }
                if amount.currency.is_some_and(|code| code != Currency::Cny.code()) {
                    return wrong("amount.currency");
                }
                Ok(paid.out_trade_no)
            }
            Notice::Refund(refund) => {
                if !ours(&refund.out_refund_no) {
                    return wrong("out_refund_no");
                }
                if !ours(&refund.out_trade_no) {
                    return wrong("out_trade_no");
                }
                if !sane(refund.amount.refund) || refund.amount.refund > refund.amount.total {
                    return wrong("amount.refund");
                }
                Ok(refund.out_refund_no)
            }
            Notice::Transfer(transfer) => {
                if !ours(&transfer.out_bill_no) {
                    return wrong("out_bill_no");
                }
                if !sane(transfer.transfer_amount) {
                    return wrong("transfer_amount");
                }
                Ok(transfer.out_bill_no)
            }
        }
    }
}

/// What a refund's standing is taken for.
fn returned(back: GiveBack<'_>, found: &Refund) -> Moved {
    let amount = &found.amount;
    let currency = amount.currency.as_deref().is_none_or(|code| code == Currency::Cny.code());
    let same = amount.refund == back.amount.minor() && amount.total == back.debited.minor() && currency;
    if !same || found.out_trade_no != back.debit || found.transaction_id != back.debit_ref {
        tracing::error!(number = back.number, "WeChat Pay has another refund under this number");
        return Moved::Unknown;
    }
    match found.status {
        RefundStatus::Success if !found.refund_id.is_empty() => {
            Moved::Ended(Outcome::Succeeded { network_ref: found.refund_id.clone() })
        }
        RefundStatus::Closed => Moved::Ended(Outcome::Failed(NetworkRefusal::Refused)),
        RefundStatus::Abnormal => {
            // It may yet go on, to another account, once somebody has said so there.
            tracing::error!(
                number = back.number,
                "a refund is stuck: decide at WeChat Pay's merchant console where it goes"
            );
            Moved::UnderWay
        }
        RefundStatus::Processing | RefundStatus::Success | RefundStatus::Other(_) => Moved::UnderWay,
    }
}

/// What is known after a call that got no answer, or that could not be sent.
pub(super) fn unanswered(error: &ClientError) -> Moved {
    match error {
        ClientError::Unknown(Unknown::Unreachable(_)) => NOT_SENT,
        ClientError::Invalid(_) => REFUSED,
        ClientError::Unknown(_) | ClientError::Refused { .. } => Moved::Unknown,
    }
}

/// What is known after a question that brought no standing. A refusal of the question says nothing of what it asks about.
pub(super) fn question_failed(error: &ClientError) -> Moved {
    match error {
        ClientError::Refused { body, .. } if codes::is_not_there(&body.code) => Moved::NotThere,
        ClientError::Refused { .. } => Moved::Unknown,
        error => unanswered(error),
    }
}

/// What a question found, behind a call that may have done something: that the question did nothing says nothing of the call.
pub(super) fn certain(found: Moved) -> Moved {
    match found {
        Moved::NothingDone(_) => Moved::Unknown,
        known => known,
    }
}
