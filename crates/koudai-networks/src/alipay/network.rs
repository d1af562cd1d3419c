//! Alipay as one of the wallet's networks: its answers in the wallet's words.
//!
//! A payment that was ordered is not paid: each is asked about, and only that answer counts. Its person agrees to it in the
//! other app, so each carries a time past which it cannot be paid any more, and a trade that is not there past that time, and
//! some more for clocks, never will be.

use async_trait::async_trait;
use koudai_core::attempt::Outcome;
use koudai_core::money::Money;
use koudai_core::other_wallet::PAY_ELSEWHERE_MS;
use koudai_core::rows::NetworkRefusal;
use koudai_core::secret::Secret;
use koudai_core::time::{DAY, HOUR, MINUTE, Timestamp};
use serde_json::{Value, json};

use super::certificates::Trust;
use super::client::{Alipay, Answer};
use super::codes::{self, Said, said};
use super::fields::Fields;
use super::file::{self, Line};
use super::reply::Content;
use super::signing;
use super::wire::{Call, date, moment, read_moment, read_yuan, yuan};
use crate::network::{
    BookEntry, GiveBack, Invitation, Invitations, Move, Moved, Network, NoticeIn, Scene, WalletFace, Who,
    made_at,
};

/// How much longer than it can be paid a trade that is not there may still turn up: clocks differ.
pub(crate) const GRACE_MS: i64 = 5 * MINUTE;
/// How long after its number was made a payout that is not there may still arrive; then the bills of its days are looked at.
const PAY_OUT_WITHIN_MS: i64 = 2 * DAY;
/// When the books of a day are whole: its bills are out at nine in the morning after, as a rule.
const BOOKS_AFTER_MS: i64 = 10 * HOUR;
/// For how many days after it a day that has no bill may still get one.
const BILL_WITHIN_DAYS: i64 = 2;
/// How far back the books are read at first.
const FIRST_BOOKS_DAYS: i64 = 30;
/// How long after it was made a notice is believed: its last repeat comes after 25 hours.
const NOTICE_WITHIN_MS: i64 = 30 * HOUR;
/// How far ahead of ours Alipay's clock may be.
const AHEAD_MS: i64 = 10 * MINUTE;
/// A number that stands for nothing, for asking whether the gateway is there.
const NOBODYS: &str = "7000200109100000000000000000";
/// The longest text that says what a payment is for, in characters.
const MOST_SUBJECT: usize = 120;

#[async_trait]
impl Network for Alipay {
    fn name(&self) -> &'static str {
        "alipay"
    }

    fn wallet(&self) -> Option<WalletFace> {
        Some(WalletFace {
            zh: "支付宝",
            en: "Alipay",
            app_zh: "支付宝",
            app_en: "Alipay",
            marks: &["AlipayClient"],
            places: self.settings.places.clone(),
            pays_out: self.settings.pays_out,
            asks_who: true,
            who_inside_only: false,
        })
    }

    fn invitations(&self) -> Option<&Invitations> {
        Some(&self.invitations)
    }

    fn ask_who_at(&self, back: &str, state: &str) -> Option<String> {
        let query = Fields::of(&[
            ("app_id", &self.settings.app_id),
            ("scope", "auth_base"),
            ("redirect_uri", back),
            ("state", state),
        ]);
        Some(format!("{}?{}", self.settings.authorise, query.to_form()))
    }

    async fn who(&self, code: Secret<String>) -> Who {
        let about = Fields::of(&[("grant_type", "authorization_code"), ("code", code.expose())]);
        let Answer::Answered(content) = self.call_with(Call::Token, "", about).await else {
            return Who::Unknown;
        };
        // A reply that says who it is has no code.
        match content.get("user_id").or_else(|| content.get("open_id")) {
            Some(id) if content.get("sub_code").is_none() => Who::Is(Secret::new(id.to_owned())),
            _ if content.text("sub_code") == "isv.code-invalid" => Who::Refused,
            _ => Who::Unknown,
        }
    }

    async fn debit(&self, debit: Move<'_>) -> Moved {
        let Some(made) = made_at(debit.number) else { return Moved::NothingDone(NetworkRefusal::Refused) };
        let until = made.plus(PAY_ELSEWHERE_MS);
        // A call that is sent past its time could be under way when it is asked about for the last time.
        if self.now() >= until {
            return self.close_debit(debit.number).await;
        }
        self.remember(debit.number, until.plus(GRACE_MS), debit.amount);
        // The way that is open already is the same one; and where it was opened, it was opened for this payment.
        if self.invitations.get(debit.number, self.now()).is_some() {
            return Moved::UnderWay;
        }
        match debit.scene.unwrap_or(Scene::Computer) {
            Scene::Computer => {
                let content = order(&debit, until, &[("product_code", "FACE_TO_FACE_PAYMENT")]);
                self.open_way(Call::Precreate, &debit, until, content).await
            }
            Scene::Inside if debit.token.expose().is_empty() => Moved::NothingDone(NetworkRefusal::Refused),
            Scene::Inside => {
                let (_, buyer, id) = person(&debit.token);
                self.open_way(Call::Create, &debit, until, order(&debit, until, &[(buyer, id)])).await
            }
            Scene::Phone(_) => self.send_there(&debit, until),
        }
    }

    fn expects(&self, number: &str, amount: Money) {
        self.remember(number, self.now().plus(GRACE_MS), amount);
    }

    async fn query_debit(&self, number: &str) -> Moved {
        match self.trade(number).await {
            Trade::Is(moved) => moved,
            Trade::Waits => Moved::UnderWay,
            // What was opened here is there only once its person came: until then there is nothing to do but to wait.
            Trade::NotThere if self.invitations.get(number, self.now()).is_some() => Moved::UnderWay,
            Trade::NotThere => Moved::NotThere,
        }
    }

    async fn close_debit(&self, number: &str) -> Moved {
        match self.trade(number).await {
            Trade::Is(moved) => moved,
            Trade::NotThere => self.not_there_any_more(number),
            Trade::Waits => {
                // Whatever this says: whether it was closed or paid is asked. Only one that is not paid can be closed.
                let closed = self.call(Call::Close, number, json!({ "out_trade_no": number })).await;
                if let Answer::NotSent = closed {
                    return Moved::NothingDone(NetworkRefusal::Unavailable);
                }
                match self.trade(number).await {
                    Trade::Is(moved) => moved,
                    Trade::Waits | Trade::NotThere => Moved::UnderWay,
                }
            }
        }
    }

    async fn refund(&self, back: GiveBack<'_>) -> Moved {
        let Some(made) = made_at(back.number) else { return Moved::NothingDone(NetworkRefusal::Refused) };
        let content = json!({
            "out_trade_no": back.debit,
            "trade_no": back.debit_ref,
            "refund_amount": yuan(back.amount),
            "out_request_no": back.number,
        });
        let content = match self.call(Call::Refund, back.number, content).await {
            Answer::Answered(content) => content,
            Answer::NotSent => return Moved::NothingDone(NetworkRefusal::Unavailable),
            Answer::Unknown => return Moved::Unknown,
        };
        match said(&content) {
            // `fund_change` says whether this call moved money, `N` that an earlier one may have: which it was is asked.
            Said::Done | Said::Waits | Said::FurtherOn => match self.query_refund(back).await {
                Moved::NotThere if said(&content) == Said::FurtherOn => {
                    self.refused(made, NetworkRefusal::Refused)
                }
                Moved::NotThere | Moved::NothingDone(_) => Moved::UnderWay,
                known => known,
            },
            Said::NotThere => self.refused(made, NetworkRefusal::Refused),
            Said::Refused(refusal) => self.refused(made, refusal),
            Said::Unknown => Moved::Unknown,
        }
    }

    async fn query_refund(&self, back: GiveBack<'_>) -> Moved {
        let content = json!({
            "out_trade_no": back.debit,
            "trade_no": back.debit_ref,
            "out_request_no": back.number,
        });
        let content = match self.call(Call::RefundQuery, back.number, content).await {
            Answer::Answered(content) => content,
            Answer::NotSent => return Moved::NothingDone(NetworkRefusal::Unavailable),
            Answer::Unknown => return Moved::Unknown,
        };
        match said(&content) {
            Said::Done => {}
            Said::NotThere => return Moved::NotThere,
            Said::Waits | Said::FurtherOn | Said::Refused(_) | Said::Unknown => return Moved::Unknown,
        }
        // A refund that was not made is answered as well, and says nothing of one.
        let Some(amount) = content.get("refund_amount") else { return Moved::NotThere };
        if content.get("refund_status").is_some_and(|status| status != "REFUND_SUCCESS") {
            return Moved::UnderWay;
        }
        let ours = content.get("out_request_no") == Some(back.number)
            && content.get("out_trade_no").is_none_or(|number| number == back.debit)
            && read_yuan(amount) == Some(back.amount);
        match content.get("trade_no") {
            Some(trade) if ours && trade == back.debit_ref => {
                Moved::Ended(Outcome::Succeeded { network_ref: trade.to_owned() })
            }
            _ => {
                tracing::error!(number = back.number, "Alipay has another refund under this number");
                Moved::Unknown
            }
        }
    }

    async fn pay_out(&self, payout: Move<'_>) -> Moved {
        let may = self.settings.pays_out && !payout.token.expose().is_empty();
        if made_at(payout.number).is_none() || !may {
            return Moved::NothingDone(NetworkRefusal::Refused);
        }
        let (kind, _, id) = person(&payout.token);
        let subject = subject(payout.what_for);
        let content = json!({
            "out_biz_no": payout.number,
            "trans_amount": yuan(payout.amount),
            "product_code": PAYS_OUT[0],
            "biz_scene": PAYS_OUT[1],
            "order_title": subject,
            "payee_info": { "identity": id, "identity_type": kind },
        });
        let content = match self.call(Call::PayOut, payout.number, content).await {
            Answer::Answered(content) => content,
            Answer::NotSent => return Moved::NothingDone(NetworkRefusal::Unavailable),
            Answer::Unknown => return Moved::Unknown,
        };
        match said(&content) {
            Said::Done | Said::Waits | Said::FurtherOn => {
                match self.paid_out(payout.number, Some(payout.amount)).await {
                    // It has answered, and may have it: it is asked again.
                    Moved::NotThere | Moved::NothingDone(_) => Moved::UnderWay,
                    known => known,
                }
            }
            Said::NotThere => Moved::NothingDone(NetworkRefusal::Refused),
            Said::Refused(refusal) => Moved::NothingDone(refusal),
            Said::Unknown => Moved::Unknown,
        }
    }

    async fn query_pay_out(&self, number: &str) -> Moved {
        self.paid_out(number, None).await
    }

    /// Nothing stops a payout there, so the bills of its days have the last word.
    async fn close_pay_out(&self, number: &str) -> Moved {
        match self.paid_out(number, None).await {
            Moved::NotThere => match made_at(number) {
                Some(made) if self.now() < made.plus(PAY_OUT_WITHIN_MS) => Moved::UnderWay,
                Some(made) if !self.is_in_no_bill(number, made).await => Moved::UnderWay,
                _ => Moved::Ended(Outcome::Failed(NetworkRefusal::Withdrawn)),
            },
            known => known,
        }
    }

    async fn books(&self, after: i64) -> Option<Vec<BookEntry>> {
        let today = self.now().china_day();
        let (mut day, line) = file::day_and_line(after);
        if after == 0 {
            day = today - FIRST_BOOKS_DAYS;
        }
        // Days whose bills may still come. Nothing behind them is read before them, unless it shows that they will not: bills
        // come day by day.
        let (mut held, mut line) = (vec![], line);
        while day < today {
            let (lines, whole) = self.day(day).await?;
            held.push((day, lines));
            if whole || today - day > BILL_WITHIN_DAYS {
                for (day, lines) in held.drain(..) {
                    let entries = lines.iter().filter(|(n, _)| *n > line);
                    let entries: Vec<BookEntry> =
                        entries.map(|(n, found)| file::entry(file::place(day, *n), found)).collect();
                    if !entries.is_empty() {
                        return Some(entries);
                    }
                    line = 0;
                }
            }
            day += 1;
        }
        Some(vec![])
    }

    fn books_after_ms(&self) -> i64 {
        BOOKS_AFTER_MS
    }

    async fn answers(&self) -> bool {
        let asked = self.call(Call::Query, NOBODYS, json!({ "out_trade_no": NOBODYS })).await;
        matches!(asked, Answer::Answered(_))
    }

    async fn read_notice(&self, notice: NoticeIn<'_>) -> Option<String> {
        let number = self.notice_about(notice.body);
        number.inspect_err(|why| tracing::warn!(%why, "a notice is not believed")).ok()
    }

    fn notice_reply(&self) -> &'static str {
        "success"
    }
}

/// The product and the scene of a payout.
const PAYS_OUT: [&str; 2] = ["TRANS_ACCOUNT_NO_PWD", "DIRECT_TRANSFER"];

/// How far a trade is.
enum Trade {
    /// This is known of it.
    Is(Moved),
    /// Its payer has to agree.
    Waits,
    NotThere,
}

/// Why a notice is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoticeError {
    #[error("it is no form")]
    Form,
    #[error("its signature does not hold")]
    Signature,
    #[error("it is for another app")]
    App,
    #[error("it is for another merchant")]
    Seller,
    #[error("its number is none of ours")]
    Number,
    #[error("its amount is missing or another one")]
    Amount,
    #[error("it does not say how far the payment is")]
    Status,
    #[error("its time is missing, long past or to come")]
    Time,
}

impl Alipay {
    /// Has the gateway open a way for a payment.
    async fn open_way(&self, call: Call, debit: &Move<'_>, until: Timestamp, content: Value) -> Moved {
        let content = match self.call(call, debit.number, content).await {
            Answer::Answered(content) => content,
            Answer::NotSent => return Moved::NothingDone(NetworkRefusal::Unavailable),
            Answer::Unknown => return Moved::Unknown,
        };
        match said(&content) {
            Said::Done => {
                let invitation = match call {
                    Call::Create => content.get("trade_no").map(|trade| Invitation::CallUp {
                        call: "alipay-pay",
                        parameters: json!({ "tradeNO": trade }).to_string(),
                    }),
                    _ => content.get("qr_code").map(|code| Invitation::Scan(code.to_owned())),
                };
                match invitation {
                    Some(invitation) if content.get("out_trade_no") == Some(debit.number) => {
                        self.invitations.put(debit.number, until, invitation);
                        Moved::UnderWay
                    }
                    _ => Moved::Unknown,
                }
            }
            // An earlier call under the same number got further.
            Said::FurtherOn => match self.trade(debit.number).await {
                Trade::Is(moved) => moved,
                Trade::Waits | Trade::NotThere => Moved::UnderWay,
            },
            Said::Waits => Moved::UnderWay,
            Said::NotThere => Moved::NothingDone(NetworkRefusal::Refused),
            Said::Refused(refusal) => Moved::NothingDone(refusal),
            Said::Unknown => Moved::Unknown,
        }
    }

    /// Opens a way for somebody in a phone's browser: an address where they order the payment themselves.
    fn send_there(&self, debit: &Move<'_>, until: Timestamp) -> Moved {
        let back = &format!("{}{}", self.settings.back, debit.number);
        let content = order(debit, until, &[("product_code", "QUICK_WAP_WAY"), ("quit_url", back)]);
        let about = Fields::of(&[("biz_content", &content.to_string()), ("return_url", back)]);
        let Some(address) = self.address_of(Call::WapPay, &about) else {
            return Moved::NothingDone(NetworkRefusal::Refused);
        };
        tracing::info!(call = Call::WapPay.name(), number = debit.number, "a way was opened");
        self.invitations.put(debit.number, until, Invitation::Visit(address));
        Moved::UnderWay
    }

    /// Takes money from whoever shows this code: sixteen to twenty-four digits of the other app's. They may have to agree first,
    /// which is `UnderWay`; whatever is not certain is asked about with [`Network::query_debit`], and ended with
    /// [`Alipay::take_back`] if it is not paid soon.
    pub async fn pay_by_code(&self, debit: Move<'_>) -> Moved {
        let code = debit.token.expose();
        let is_code = (16..=24).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_digit());
        let Some(made) = made_at(debit.number).filter(|_| is_code) else {
            return Moved::NothingDone(NetworkRefusal::Refused);
        };
        let until = made.plus(PAY_ELSEWHERE_MS);
        if self.now() >= until {
            return self.close_debit(debit.number).await;
        }
        self.remember(debit.number, until.plus(GRACE_MS), debit.amount);
        let more = [("scene", "bar_code"), ("auth_code", code), ("product_code", "FACE_TO_FACE_PAYMENT")];
        let content = match self.call(Call::Pay, debit.number, order(&debit, until, &more)).await {
            Answer::Answered(content) => content,
            Answer::NotSent => return Moved::NothingDone(NetworkRefusal::Unavailable),
            Answer::Unknown => return Moved::Unknown,
        };
        match said(&content) {
            Said::Done | Said::FurtherOn => match self.trade(debit.number).await {
                Trade::Is(moved) => moved,
                Trade::Waits | Trade::NotThere => Moved::UnderWay,
            },
            Said::Waits => Moved::UnderWay,
            Said::Refused(refusal) => Moved::NothingDone(refusal),
            Said::NotThere | Said::Unknown => Moved::Unknown,
        }
    }

    /// Ends a payment by code for good: what is not paid is closed, and what is paid is given back to its payer.
    pub async fn take_back(&self, number: &str) -> Moved {
        let content = match self.call(Call::Cancel, number, json!({ "out_trade_no": number })).await {
            Answer::Answered(content) => content,
            Answer::NotSent => return Moved::NothingDone(NetworkRefusal::Unavailable),
            Answer::Unknown => return Moved::Unknown,
        };
        if said(&content) != Said::Done || content.get("retry_flag") != Some("N") {
            return Moved::UnderWay;
        }
        match self.trade(number).await {
            Trade::Is(Moved::Ended(Outcome::Succeeded { .. })) | Trade::Waits => Moved::UnderWay,
            Trade::Is(moved) => moved,
            Trade::NotThere => self.not_there_any_more(number),
        }
    }

    /// One that is not there: whether it still may come.
    fn not_there_any_more(&self, number: &str) -> Moved {
        match made_at(number) {
            Some(made) if self.now() < made.plus(PAY_ELSEWHERE_MS + GRACE_MS) => Moved::UnderWay,
            _ => {
                self.forget(number);
                Moved::Ended(Outcome::Failed(NetworkRefusal::Withdrawn))
            }
        }
    }

    /// A refund that is refused goes on for a day: it is owed. One that the operator's account does not cover goes on until it does.
    fn refused(&self, made: Timestamp, refusal: NetworkRefusal) -> Moved {
        let may_change = matches!(refusal, NetworkRefusal::NotCovered | NetworkRefusal::Unavailable);
        if may_change || self.now() < made.plus(DAY) {
            Moved::NothingDone(refusal)
        } else {
            Moved::Ended(Outcome::Failed(refusal))
        }
    }

    /// Asks how far a trade is.
    async fn trade(&self, number: &str) -> Trade {
        let content = match self.call(Call::Query, number, json!({ "out_trade_no": number })).await {
            Answer::Answered(content) => content,
            Answer::NotSent => return Trade::Is(Moved::NothingDone(NetworkRefusal::Unavailable)),
            Answer::Unknown => return Trade::Is(Moved::Unknown),
        };
        match said(&content) {
            Said::Done => {}
            Said::NotThere => return Trade::NotThere,
            // This says something of the question only.
            Said::Waits | Said::FurtherOn | Said::Refused(_) | Said::Unknown => {
                return Trade::Is(Moved::Unknown);
            }
        }
        if !self.is_ours(number, &content) {
            tracing::error!(number, "Alipay has another trade under this number");
            return Trade::Is(Moved::Unknown);
        }
        let known = match (content.text("trade_status"), content.get("trade_no")) {
            ("WAIT_BUYER_PAY", _) => return Trade::Waits,
            ("TRADE_SUCCESS" | "TRADE_FINISHED", Some(id)) => {
                Outcome::Succeeded { network_ref: id.to_owned() }
            }
            // Not paid in time, or given back in full: either way its payer has the money.
            ("TRADE_CLOSED", _) => {
                if content.get("send_pay_date").is_some() {
                    tracing::warn!(number, "a payment was given back at Alipay before it was known here");
                }
                Outcome::Failed(NetworkRefusal::Withdrawn)
            }
            _ => return Trade::Is(Moved::Unknown),
        };
        self.forget(number);
        Trade::Is(Moved::Ended(known))
    }

    /// Whether an answer is about the trade that was ordered: its number, its amount, the currency, and us.
    fn is_ours(&self, number: &str, content: &Content) -> bool {
        let amount = content.get("total_amount").and_then(read_yuan);
        let yuan = ["trans_currency", "pay_currency", "settle_currency"];
        content.get("out_trade_no") == Some(number)
            && amount.is_some()
            && self.remembered(number).is_none_or(|ordered| amount == Some(ordered))
            && yuan.iter().all(|name| content.get(name).is_none_or(|currency| currency == "CNY"))
            && content.get("seller_id").is_none_or(|seller| seller == self.settings.seller)
    }

    /// Asks how a payout ended.
    async fn paid_out(&self, number: &str, of: Option<Money>) -> Moved {
        let content = json!({ "out_biz_no": number, "product_code": PAYS_OUT[0], "biz_scene": PAYS_OUT[1] });
        let content = match self.call(Call::PayOutQuery, number, content).await {
            Answer::Answered(content) => content,
            Answer::NotSent => return Moved::NothingDone(NetworkRefusal::Unavailable),
            Answer::Unknown => return Moved::Unknown,
        };
        match said(&content) {
            Said::Done => {}
            Said::NotThere => return Moved::NotThere,
            Said::Waits | Said::FurtherOn | Said::Refused(_) | Said::Unknown => return Moved::Unknown,
        }
        let amount = content.get("trans_amount").map(read_yuan);
        let other = |of: Money| amount.is_some_and(|amount| amount != Some(of));
        if content.get("out_biz_no") != Some(number) || of.is_some_and(other) || amount == Some(None) {
            tracing::error!(number, "Alipay has another payout under this number");
            return Moved::Unknown;
        }
        match (content.text("status"), content.get("order_id")) {
            ("SUCCESS", Some(id)) => Moved::Ended(Outcome::Succeeded { network_ref: id.to_owned() }),
            ("FAIL" | "CLOSED" | "REFUND", _) => {
                Moved::Ended(Outcome::Failed(codes::refusal(content.text("error_code"))))
            }
            ("DEALING" | "WAIT_PAY" | "INIT", _) => Moved::UnderWay,
            _ => Moved::Unknown,
        }
    }

    /// Whether a payout stands in no bill of the day it was made on, nor of those behind it in which it may have come. False
    /// if a bill cannot be read.
    async fn is_in_no_bill(&self, number: &str, made: Timestamp) -> bool {
        let last = made.plus(PAY_OUT_WITHIN_MS).china_day().min(self.now().china_day() - 1);
        for day in made.china_day()..=last {
            match self.bill(file::Kind::Account, day).await {
                Some(lines) if lines.iter().flatten().all(|line| line.number != number) => {}
                Some(_) => {
                    tracing::error!(number, "a payout that Alipay denies stands in its bill");
                    return false;
                }
                None => return false,
            }
        }
        true
    }

    /// The lines of a day, each with its place in it, and whether all its bills are there; `None` if the gateway did not
    /// answer.
    async fn day(&self, day: i64) -> Option<(Vec<(i64, Line)>, bool)> {
        let trades = self.bill(file::Kind::Trade, day).await?;
        // What is paid out stands only in the account's own bill, and what was taken stands there once more.
        let account = if self.settings.pays_out { self.bill(file::Kind::Account, day).await? } else { None };
        let whole = trades.is_some() && (account.is_some() || !self.settings.pays_out);
        let trades = trades.into_iter().flatten().map(|line| (line.row, line));
        let account = account.into_iter().flatten().map(|line| (file::ACCOUNT_FROM + line.row, line));
        Some((trades.chain(account).collect(), whole))
    }

    /// One bill of a day; `Some(None)` if there is none, and `None` if the gateway did not answer.
    async fn bill(&self, kind: file::Kind, day: i64) -> Option<Option<Vec<Line>>> {
        let content = json!({ "bill_type": kind.word(), "bill_date": date(day) });
        let Answer::Answered(content) = self.call(Call::Bill, "", content).await else { return None };
        match said(&content) {
            Said::Done => {}
            Said::NotThere => return Some(None),
            _ => return None,
        }
        let archive = self.file(content.get("bill_download_url")?).await?;
        let unpacked = tokio::task::spawn_blocking(move || file::unpack(&archive, kind)).await.ok()?;
        unpacked.inspect_err(|error| tracing::error!(%error, day, "a bill of Alipay's")).ok().map(Some)
    }

    /// Reads a notice, and says which number it is about. Only that is taken from it: how the money went is asked.
    fn notice_about(&self, body: &[u8]) -> Result<String, NoticeError> {
        let fields = Fields::from_form(body).ok_or(NoticeError::Form)?;
        let now = self.now();
        if !signing::notice_holds(&fields, &self.settings.trust, now.0) {
            return Err(NoticeError::Signature);
        }
        if fields.get("app_id") != Some(&self.settings.app_id) {
            return Err(NoticeError::App);
        }
        if fields.get("seller_id") != Some(&self.settings.seller) {
            return Err(NoticeError::Seller);
        }
        let number = fields.get("out_trade_no").filter(|number| made_at(number).is_some());
        let number = number.ok_or(NoticeError::Number)?;
        let amount = fields.get("total_amount").and_then(read_yuan).ok_or(NoticeError::Amount)?;
        if self.remembered(number).is_some_and(|ordered| ordered != amount) {
            return Err(NoticeError::Amount);
        }
        if fields.get("trade_status").is_none() {
            return Err(NoticeError::Status);
        }
        let made = fields.get("notify_time").and_then(read_moment).ok_or(NoticeError::Time)?;
        if !(-AHEAD_MS..=NOTICE_WITHIN_MS).contains(&now.since(made)) {
            return Err(NoticeError::Time);
        }
        // That money went back is told with the number of the refund beside the payment's.
        let refund = fields.get("out_biz_no").filter(|number| made_at(number).is_some());
        Ok(refund.filter(|_| fields.get("gmt_refund").is_some()).unwrap_or(number).to_owned())
    }

    /// Whether it signs and believes with certificates.
    pub fn is_in_certificate_mode(&self) -> bool {
        matches!(self.settings.trust, Trust::Certificates(_))
    }
}

/// What a payment is ordered with.
fn order(debit: &Move<'_>, until: Timestamp, more: &[(&str, &str)]) -> Value {
    let mut content = json!({
        "out_trade_no": debit.number,
        "total_amount": yuan(debit.amount),
        "subject": subject(debit.what_for),
        // The moment itself, so that each repeat ends with the first.
        "time_expire": moment(until),
    });
    for (name, value) in more {
        content[*name] = Value::from(*value);
    }
    content
}

/// What a payment is for, without what the gateway refuses there, and something in any case.
fn subject(what_for: &str) -> String {
    let plain = |c: &char| !c.is_control() && !matches!(c, '/' | '=' | '&' | '<' | '>' | '"' | '\\');
    let text: String = what_for.chars().filter(plain).take(MOST_SUBJECT).collect();
    match text.trim() {
        "" => "钱包".to_owned(),
        text => text.to_owned(),
    }
}

/// How a person is named as one who is paid, as one who pays, and what they are known by: an older number of sixteen digits, or
/// one that is good for this app only.
fn person(token: &Secret<String>) -> (&'static str, &'static str, &str) {
    let id = token.expose();
    if id.len() == 16 && id.starts_with("2088") && id.bytes().all(|b| b.is_ascii_digit()) {
        ("ALIPAY_USER_ID", "buyer_id", id)
    } else {
        ("ALIPAY_OPEN_ID", "buyer_open_id", id)
    }
}
