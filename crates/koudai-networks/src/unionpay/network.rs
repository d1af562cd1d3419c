//! The network as one of the wallet's: its answers in the wallet's words.
//!
//! A payment that it has taken on is not paid: each is asked about, and only that answer counts. It has no call that closes a
//! payment, so each carries a time past which it is not done, and past that time one that is not there never will be.

use async_trait::async_trait;
use koudai_core::attempt::Outcome;
use koudai_core::binding::BankFace;
use koudai_core::card::CardKind;
use koudai_core::money::Money;
use koudai_core::refusal::Refusal;
use koudai_core::rows::NetworkRefusal;
use koudai_core::secret::Secret;
use koudai_core::time::{DAY, HOUR, MINUTE, Timestamp};
use koudai_wechatpay::certificate::Certificate;
use zeroize::Zeroizing;

use super::certificates::decimal;
use super::cipher::{Holder, encrypt};
use super::client::{Reply, UnionPay};
use super::codes::{self, Said, said};
use super::fields::{self, Fields};
use super::file::{self, VOID_MARK};
use super::wire::{CNY, Call, amount, clearing_day, made_at, txn_time};
use crate::bins;
use crate::network::{BindingIs, BookEntry, CardDetails, GiveBack, Move, Moved, Network, NoticeIn};

/// How long after its number was made a payment may still be done: past it the network refuses it, or gives it back by
/// itself.
pub(crate) const PAY_WITHIN_MS: i64 = 3 * MINUTE;
/// How much later one that the network has not is over: clocks differ, and a number may be found late.
const GRACE_MS: i64 = 5 * MINUTE;
/// How long after its number was made a payout that is not there may still arrive; then the files of its days are looked at.
const PAY_OUT_WITHIN_MS: i64 = 2 * DAY;
/// When a calendar day's books are whole: its last hour belongs to the next clearing day, whose file is out in the morning after.
const BOOKS_AFTER_MS: i64 = DAY + 10 * HOUR;
/// For how many days after it a day that has no file may still get one.
const FILE_WITHIN_DAYS: i64 = 2;
/// How far back the books are read at first.
const FIRST_BOOKS_DAYS: i64 = 30;
/// A number that stands for nothing, for asking whether the network is there.
const NOBODYS: &str = "7000200109100000000000000000";
/// When it was made.
const NOBODYS_TIME: Timestamp = Timestamp(1_000_051_200_000);

#[async_trait]
impl Network for UnionPay {
    fn name(&self) -> &'static str {
        "unionpay"
    }

    async fn bind(&self, number: &str, card: CardDetails) -> BindingIs {
        let face = face(&card);
        if !self.hold(number, card) {
            return BindingIs::Refused(Refusal::BankUnavailable);
        }
        let answer = self.send_code(number, face).await;
        if matches!(answer, BindingIs::Refused(_) | BindingIs::NotSent) {
            self.forget(number);
        }
        answer
    }

    async fn resend(&self, number: &str) -> BindingIs {
        match self.held(number, face) {
            Some(face) => self.send_code(number, face).await,
            None => BindingIs::Refused(Refusal::BindingExpired),
        }
    }

    async fn confirm(&self, number: &str, code: Secret<String>) -> BindingIs {
        // That there is nothing to encrypt for says nothing of whether the network answers payments.
        let (Some(at), Some(cipher)) = (made_at(number), self.cipher().await) else {
            return BindingIs::Refused(Refusal::BankUnavailable);
        };
        let Some(request) = self.held(number, |card| opening(card, &code, &cipher)) else {
            // The program was started anew meanwhile: what it held is gone, unless the card was opened before.
            return match self.binding(number).await {
                BindingIs::NotThere => BindingIs::Refused(Refusal::BindingExpired),
                known => known,
            };
        };
        let Some(request) = request else { return BindingIs::Refused(Refusal::BankRefused) };
        let request = request.with("tokenPayData", self.token_request());
        let fields = match self.call(Call::Open, number, at, request).await {
            Reply::Answered(fields) => fields,
            Reply::NotSent => return BindingIs::NotSent,
            Reply::Unknown => return BindingIs::Unknown,
        };
        let code = fields.text("respCode");
        match said(code) {
            Said::Done => self.opened(number, &fields),
            Said::Repeated => self.binding(number).await,
            Said::Refused(_) => match codes::binding_refusal(code) {
                Refusal::BankCodeWrong => BindingIs::CodeWrong,
                refusal => {
                    self.forget(number);
                    BindingIs::Refused(refusal)
                }
            },
            Said::UnderWay | Said::NotThere => BindingIs::Unknown,
        }
    }

    async fn binding(&self, number: &str) -> BindingIs {
        let Some(at) = made_at(number) else { return BindingIs::NotThere };
        let request = Fields::of(&[("tokenPayData", &self.token_request())]);
        match self.call(Call::OpenQuery, number, at, request).await {
            Reply::NotSent => BindingIs::NotSent,
            Reply::Unknown => BindingIs::Unknown,
            Reply::Answered(fields) => match fields.text("respCode") {
                "00" => self.opened(number, &fields),
                // Not opened: as long as the card is held, its holder may still type the code.
                "77" | "34" => match self.held(number, face) {
                    Some(face) => BindingIs::CodeSent(face),
                    None => BindingIs::NotThere,
                },
                _ => BindingIs::Unknown,
            },
        }
    }

    async fn unbind(&self, token: Secret<String>) {
        let (number, now) = (self.fresh_number(), self.now());
        let request = Fields::of(&[("tokenPayData", &self.token(&token))]);
        let _whatever_it_says = self.call(Call::DeleteToken, &number, now, request).await;
    }

    async fn debit(&self, debit: Move<'_>) -> Moved {
        let Some(at) = made_at(debit.number) else { return Moved::NothingDone(NetworkRefusal::Refused) };
        let until = at.plus(PAY_WITHIN_MS);
        // What is sent past its time could be under way when it is asked about for the last time.
        if self.now() >= until {
            return self.close(Call::Pay, debit.number, PAY_WITHIN_MS + GRACE_MS).await;
        }
        let request = self.moving(&debit).with("payTimeout", txn_time(until));
        self.moved(Call::Pay, debit.number, at, debit.amount, request).await
    }

    async fn query_debit(&self, number: &str) -> Moved {
        self.ask(Call::Pay, number, "").await
    }

    async fn close_debit(&self, number: &str) -> Moved {
        self.close(Call::Pay, number, PAY_WITHIN_MS + GRACE_MS).await
    }

    /// All of a payment of the same clearing day is taken back as if it had never been, which the holder sees at once;
    /// anything else is given back by the next clearing.
    async fn refund(&self, back: GiveBack<'_>) -> Moved {
        let Some(at) = made_at(back.number) else { return Moved::NothingDone(NetworkRefusal::Refused) };
        let request = Fields::of(&[
            ("origQryId", back.debit_ref),
            ("txnAmt", &amount(back.amount)),
            ("currencyCode", CNY),
            ("backUrl", &self.settings.notices),
        ]);
        let order_id = format!("{}{VOID_MARK}", back.number);
        if self.may_void(back) {
            match self.moved(Call::Void, &order_id, at, back.amount, request.clone()).await {
                // Part of it had gone back, or its clearing day was over by the network's clock.
                Moved::Ended(Outcome::Failed(_)) => {}
                Moved::NothingDone(refusal) if refusal != NetworkRefusal::Unavailable => {}
                known => return known,
            }
        } else if back.amount == back.debited {
            // A void of before the day was over may have been done.
            match self.asked(Call::Void, &order_id, at, None).await {
                Moved::Ended(Outcome::Failed(_)) | Moved::NotThere => {}
                known => return known,
            }
        }
        match self.moved(Call::Refund, back.number, at, back.amount, request).await {
            // Refused again and again for a day, and not there: nothing of it is under way any more.
            Moved::NothingDone(refusal)
                if refusal != NetworkRefusal::Unavailable && self.now() >= at.plus(DAY) =>
            {
                Moved::Ended(Outcome::Failed(refusal))
            }
            known => known,
        }
    }

    async fn query_refund(&self, back: GiveBack<'_>) -> Moved {
        if back.amount == back.debited {
            match self.ask(Call::Void, back.number, VOID_MARK).await {
                Moved::Ended(Outcome::Failed(_)) | Moved::NotThere => {}
                known => return known,
            }
        }
        self.ask(Call::Refund, back.number, "").await
    }

    async fn pay_out(&self, payout: Move<'_>) -> Moved {
        let Some(at) = made_at(payout.number) else { return Moved::NothingDone(NetworkRefusal::Refused) };
        let request = self.moving(&payout);
        self.moved(Call::PayOut, payout.number, at, payout.amount, request).await
    }

    async fn query_pay_out(&self, number: &str) -> Moved {
        self.ask(Call::PayOut, number, "").await
    }

    /// Nothing stops a payout at the network, so the files of its days have the last word.
    async fn close_pay_out(&self, number: &str) -> Moved {
        match self.close(Call::PayOut, number, PAY_OUT_WITHIN_MS).await {
            Moved::Ended(Outcome::Failed(NetworkRefusal::Withdrawn)) if !self.is_in_no_file(number).await => {
                Moved::UnderWay
            }
            known => known,
        }
    }

    async fn books(&self, after: i64) -> Option<Vec<BookEntry>> {
        let today = clearing_day(self.now(), self.settings.clearing_cut_ms);
        let (mut day, mut line) = file::day_and_line(after);
        if after == 0 {
            (day, line) = (today - FIRST_BOOKS_DAYS, 0);
        }
        // The file of a day is there once the day is over.
        while day < today {
            let lines = match self.file(day).await? {
                Some(lines) => lines,
                // Perhaps not out yet: nothing behind it is read before it.
                None if today - day <= FILE_WITHIN_DAYS => break,
                None => vec![],
            };
            let entries = (1..).zip(&lines).skip_while(|(n, _)| *n <= line);
            let entries = entries.filter_map(|(n, found)| file::entry(file::place(day, n), found));
            let entries: Vec<BookEntry> = entries.collect();
            if !entries.is_empty() {
                return Some(entries);
            }
            (day, line) = (day + 1, 0);
        }
        Some(vec![])
    }

    fn books_after_ms(&self) -> i64 {
        BOOKS_AFTER_MS
    }

    async fn answers(&self) -> bool {
        let asked = self.call(Call::Query, NOBODYS, NOBODYS_TIME, Fields::default()).await;
        matches!(asked, Reply::Answered(_))
    }

    async fn read_notice(&self, notice: NoticeIn<'_>) -> Option<String> {
        let number = self
            .notice_about(notice.body)
            .inspect_err(|why| tracing::warn!(%why, "a notice is not believed"))
            .ok()?;
        Some(number.strip_suffix(VOID_MARK).unwrap_or(&number).to_owned())
    }
}

impl UnionPay {
    /// Has a code sent to the holder of a card that is held.
    async fn send_code(&self, number: &str, face: BankFace) -> BindingIs {
        // That there is nothing to encrypt for says nothing of whether the network answers payments.
        let (Some(at), Some(cipher)) = (made_at(number), self.cipher().await) else {
            return BindingIs::Refused(Refusal::BankUnavailable);
        };
        let request = self.held(number, |card| {
            let holder = Holder { phone: Some(card.phone.expose()), ..Holder::default() };
            card_fields(card, &holder, &cipher)
        });
        let Some(Some(request)) = request else { return BindingIs::Refused(Refusal::BankRefused) };
        let request = request.with("tokenPayData", self.token_request());
        match self.call(Call::OpenSms, number, at, request).await {
            Reply::NotSent => BindingIs::NotSent,
            Reply::Unknown => BindingIs::Unknown,
            Reply::Answered(fields) => match said(fields.text("respCode")) {
                Said::Done | Said::Repeated => BindingIs::CodeSent(face),
                Said::Refused(_) | Said::NotThere => {
                    BindingIs::Refused(codes::binding_refusal(fields.text("respCode")))
                }
                Said::UnderWay => BindingIs::Unknown,
            },
        }
    }

    /// What the network says of a card it has opened.
    fn opened(&self, number: &str, fields: &Fields) -> BindingIs {
        let token = fields::inner(fields.text("tokenPayData"));
        let Some(token) = token.as_ref().and_then(|token| token.get("token")) else {
            return BindingIs::Unknown;
        };
        let face = self.held(number, face);
        self.forget(number);
        BindingIs::Bound { face, token: Secret::new(token.to_owned()) }
    }

    /// Asks for a token.
    fn token_request(&self) -> String {
        fields::in_braces(&[("trId", &self.settings.requestor), ("tokenType", "01")])
    }

    /// Names a card by its token.
    fn token(&self, token: &Secret<String>) -> String {
        fields::in_braces(&[("token", token.expose()), ("trId", &self.settings.requestor)])
    }

    /// The fields of money that moves.
    fn moving(&self, what: &Move<'_>) -> Fields {
        Fields::of(&[
            ("txnAmt", &amount(what.amount)),
            ("currencyCode", CNY),
            ("tokenPayData", &self.token(&what.token)),
            ("backUrl", &self.settings.notices),
        ])
    }

    /// Has money moved, and asks at once how it went: the network says first only that it has taken it on.
    async fn moved(
        &self,
        call: Call,
        order_id: &str,
        at: Timestamp,
        amount: Money,
        request: Fields,
    ) -> Moved {
        let fields = match self.call(call, order_id, at, request).await {
            Reply::Answered(fields) => fields,
            Reply::NotSent => return Moved::NothingDone(NetworkRefusal::Unavailable),
            Reply::Unknown => return Moved::Unknown,
        };
        match said(fields.text("respCode")) {
            Said::Refused(refusal) => {
                if refusal == NetworkRefusal::Withdrawn {
                    tracing::error!(order_id, "paid past its time: the network has to give it back");
                }
                Moved::NothingDone(refusal)
            }
            Said::NotThere => Moved::NothingDone(NetworkRefusal::Refused),
            Said::Done | Said::UnderWay | Said::Repeated => {
                match self.asked(call, order_id, at, Some(amount)).await {
                    Moved::Ended(outcome) => Moved::Ended(outcome),
                    // It has answered, and may have it: it is asked again.
                    _ => Moved::UnderWay,
                }
            }
        }
    }

    /// Asks how what a call began under a number went; `mark` is put behind the number.
    async fn ask(&self, about: Call, number: &str, mark: &str) -> Moved {
        match made_at(number) {
            Some(at) => self.asked(about, &format!("{number}{mark}"), at, None).await,
            None => Moved::NotThere,
        }
    }

    async fn asked(&self, about: Call, order_id: &str, at: Timestamp, of: Option<Money>) -> Moved {
        let [_, _, product] = about.kinds();
        let fields = match self.call(Call::Query, order_id, at, Fields::of(&[("bizType", product)])).await {
            Reply::Answered(fields) => fields,
            Reply::NotSent => return Moved::NothingDone(NetworkRefusal::Unavailable),
            Reply::Unknown => return Moved::Unknown,
        };
        match said(fields.text("respCode")) {
            Said::NotThere => return Moved::NotThere,
            Said::Done => {}
            // This says something of the question only.
            Said::UnderWay | Said::Repeated | Said::Refused(_) => return Moved::UnderWay,
        }
        let other = |of: Money| fields.get("txnAmt").is_some_and(|found| found != amount(of));
        if of.is_some_and(other) || fields.get("currencyCode").is_some_and(|code| code != CNY) {
            tracing::error!(order_id, "the network has another amount under this number");
            return Moved::UnderWay;
        }
        match (said(fields.text("origRespCode")), fields.get("queryId")) {
            (Said::Done, Some(id)) => Moved::Ended(Outcome::Succeeded { network_ref: id.to_owned() }),
            (Said::Refused(refusal), _) => Moved::Ended(Outcome::Failed(refusal)),
            (Said::Done | Said::UnderWay | Said::Repeated | Said::NotThere, _) => Moved::UnderWay,
        }
    }

    /// Ends what is not there and, `within_ms` after its number was made, never will be.
    async fn close(&self, about: Call, number: &str, within_ms: i64) -> Moved {
        match self.ask(about, number, "").await {
            Moved::NotThere => match made_at(number) {
                Some(at) if self.now() < at.plus(within_ms) => Moved::UnderWay,
                _ => Moved::Ended(Outcome::Failed(NetworkRefusal::Withdrawn)),
            },
            known => known,
        }
    }

    /// Whether a number stands in no file of the day it was made on, nor of the next. False if a file cannot be read.
    async fn is_in_no_file(&self, number: &str) -> bool {
        let Some(made) = made_at(number) else { return true };
        let day = clearing_day(made, self.settings.clearing_cut_ms);
        for day in [day, day + 1] {
            match self.file(day).await {
                Some(lines) if lines.iter().flatten().all(|line| line.order_id != number) => {}
                Some(_) => {
                    tracing::error!(number, "a payout that the network denies stands in its file");
                    return false;
                }
                None => return false,
            }
        }
        true
    }

    /// Whether all of a payment goes back while its clearing day lasts.
    fn may_void(&self, back: GiveBack<'_>) -> bool {
        let day = |at| clearing_day(at, self.settings.clearing_cut_ms);
        back.amount == back.debited && made_at(back.debit).is_some_and(|paid| day(paid) == day(self.now()))
    }

    /// The lines of a clearing day; `Some(None)` if it has no file, and `None` if the network did not answer.
    async fn file(&self, day: i64) -> Option<Option<Vec<file::Line>>> {
        let request = Fields::of(&[("settleDate", &file::settle_date(day)), ("fileType", "00")]);
        let Reply::Answered(fields) = self.call(Call::File, "", self.now(), request).await else {
            return None;
        };
        match fields.text("respCode") {
            "98" => return Some(None),
            "00" => {}
            _ => return None,
        }
        let unpacked =
            tokio::task::spawn_blocking(move || file::unpack(fields.text("fileContent"), day)).await.ok()?;
        unpacked.inspect_err(|error| tracing::error!(%error, day, "the network's file")).ok().map(Some)
    }
}

/// What may be shown of a card: the bank by its first digits, and its kind as its holder says.
fn face(card: &CardDetails) -> BankFace {
    let kind = if card.cvv.is_some() { CardKind::Credit } else { CardKind::Debit };
    match bins::find(card.number.expose()) {
        Some(bin) => BankFace { bank_zh: bin.bank_zh.to_owned(), bank_en: bin.bank_en.to_owned(), kind },
        None => BankFace { bank_zh: "银联卡".to_owned(), bank_en: "UnionPay card".to_owned(), kind },
    }
}

/// The fields that name a card by its number, and its holder; `None` if one does not fit.
fn card_fields(card: &CardDetails, holder: &Holder<'_>, cipher: &Certificate) -> Option<Fields> {
    let key = &cipher.public_key;
    Some(Fields::of(&[
        ("encryptCertId", &decimal(&cipher.serial)),
        ("accNo", &encrypt(key, card.number.expose())?),
        ("customerInfo", &holder.write(key)?),
    ]))
}

/// The fields that open a card; `None` if one does not fit.
fn opening(card: &CardDetails, code: &Secret<String>, cipher: &Certificate) -> Option<Fields> {
    // The card's face says month and year, the network wants them the other way round.
    let expiry = card.expiry.as_ref().and_then(|text| text.expose().split_once('/'));
    let expiry = expiry.map(|(month, year)| Zeroizing::new(format!("{year}{month}")));
    let holder = Holder {
        name: Some(card.name.expose()),
        id_number: Some(card.id_number.expose()),
        code: Some(code.expose()),
        phone: Some(card.phone.expose()),
        cvv: card.cvv.as_ref().map(|cvv| cvv.expose().as_str()),
        expiry: expiry.as_ref().map(|text| text.as_str()),
    };
    card_fields(card, &holder, cipher)
}
