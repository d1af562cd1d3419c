//! The shop's till: places orders, finds out what became of them, gives money back.
//!
//! Everything is written down before it is asked for, and asked again under the same number when no answer came.

mod scan;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::http::StatusCode;
use koudai_core::time::{MINUTE, SECOND, Timestamp};
use koudai_engine::Clock;
use koudai_web::say::Lang;
use koudai_wechatpay::client::{Client, ClientError};
use koudai_wechatpay::headers::SignedHeaders;
use koudai_wechatpay::notice::Notice;
use koudai_wechatpay::types::{
    CNY, NativeOrder, OrderAmount, RefundRequest, RefundRequestAmount, RefundStatus, Transaction, same_code,
};

use super::books::{Books, OrderRow, Progress, Refund, RefundState};
use super::{Goods, goods};

/// How often the gateway is asked about one order. Notifications are quicker; this is for those that went astray.
const LOOK_EVERY_MS: i64 = 2 * SECOND;
/// A code lives two hours; the shop asks for a fresh one a little earlier.
const CODE_FRESH_MS: i64 = 110 * MINUTE;
/// Orders whose last look is remembered.
const REMEMBERED: usize = 4_096;

/// An order with its refunds.
#[derive(Clone, Debug)]
pub(super) struct Order {
    row: OrderRow,
    pub(super) refunds: Vec<Refund>,
}

impl std::ops::Deref for Order {
    type Target = OrderRow;

    fn deref(&self) -> &OrderRow {
        &self.row
    }
}

/// Where an order stands, as programs and people read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OrderState {
    Unpaid,
    /// Paid, and some of it kept: a part may have gone back.
    Paid,
    /// Some of it is on its way back.
    Refunding,
    /// All of it went back.
    Refunded,
    Closed,
}

impl OrderState {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Unpaid => "unpaid",
            Self::Paid => "paid",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
            Self::Closed => "closed",
        }
    }
}

impl Order {
    fn new((row, refunds): (OrderRow, Vec<Refund>)) -> Self {
        Self { row, refunds }
    }

    pub(super) fn state(&self) -> OrderState {
        let under_way =
            |refund: &Refund| !matches!(refund.state, RefundState::Success | RefundState::Refused);
        match self.progress {
            Progress::Unpaid => OrderState::Unpaid,
            Progress::Closed => OrderState::Closed,
            Progress::Paid if self.refunds.iter().any(under_way) => OrderState::Refunding,
            Progress::Paid if self.refunded() == self.fen => OrderState::Refunded,
            Progress::Paid => OrderState::Paid,
        }
    }

    /// Fen that went back.
    pub(super) fn refunded(&self) -> i64 {
        self.refunds
            .iter()
            .filter(|refund| refund.state == RefundState::Success)
            .map(|refund| refund.fen)
            .sum()
    }

    /// Fen that may still go back.
    pub(super) fn rest(&self) -> i64 {
        let asked: i64 = self
            .refunds
            .iter()
            .filter(|refund| refund.state != RefundState::Refused)
            .map(|refund| refund.fen)
            .sum();
        self.fen - asked
    }

    /// The number the next refund gets.
    pub(super) fn next_refund(&self) -> u32 {
        self.refunds.last().map_or(1, |refund| refund.number + 1)
    }

    /// Where it is shown.
    pub(super) fn path(&self) -> String {
        format!("/orders/{}", self.order_no)
    }

    /// What was ordered, in the reader's language.
    pub(super) fn what(&self, l: Lang) -> &str {
        goods(&self.goods).map_or(&self.goods, |goods| l.say(goods.zh, goods.en))
    }

    /// The character that stands for it.
    pub(super) fn sign(&self) -> &'static str {
        goods(&self.goods).map_or("物", |goods| goods.sign)
    }

    /// When it was placed.
    pub(super) fn placed_at(&self) -> Timestamp {
        Timestamp(self.placed_ms)
    }
}

/// Why the shop says no.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The request names nothing the shop has.
    Unreadable,
    /// Not an amount of yuan above zero.
    Amount,
    /// No such order.
    Unknown,
    /// The order takes no payment any more, so it has no code.
    NoCode,
    /// Nothing was paid that could go back.
    NotPaid,
    /// More than what is left.
    MoreThanRest,
    /// The payment call's outcome is still on its way.
    TooSoon,
    /// A notification that is not the gateway's.
    NotOurs,
    /// The gateway said no, for the reason it gave.
    Gateway(String),
    /// The gateway gave no answer that counts.
    NoAnswer,
    /// The shop's own file.
    Books,
}

impl Refusal {
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Unreadable => "UNREADABLE",
            Self::Amount => "AMOUNT",
            Self::Unknown => "ORDER_UNKNOWN",
            Self::NoCode => "NO_CODE",
            Self::NotPaid => "NOT_PAID",
            Self::MoreThanRest => "MORE_THAN_REST",
            Self::TooSoon => "TOO_SOON",
            Self::NotOurs => "NOT_VERIFIED",
            Self::Gateway(_) => "GATEWAY_REFUSED",
            Self::NoAnswer => "NO_ANSWER",
            Self::Books => "SHOP_ERROR",
        }
    }

    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::Unreadable | Self::Amount => StatusCode::BAD_REQUEST,
            Self::Unknown => StatusCode::NOT_FOUND,
            Self::NoCode | Self::NotPaid | Self::MoreThanRest | Self::TooSoon | Self::Gateway(_) => {
                StatusCode::CONFLICT
            }
            Self::NotOurs => StatusCode::UNAUTHORIZED,
            Self::NoAnswer => StatusCode::BAD_GATEWAY,
            Self::Books => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(super) fn wording(&self, l: Lang) -> String {
        let (zh, en) = match self {
            Self::Unreadable => ("没有看懂要买什么", "It is not clear what to order"),
            Self::Amount => {
                ("金额要大于零，最多两位小数", "An amount is above zero, with two decimals at most")
            }
            Self::Unknown => ("没有这个订单", "There is no such order"),
            Self::NoCode => {
                ("这个订单已不能付款，没有二维码", "This order takes no payment any more, so it has no code")
            }
            Self::NotPaid => {
                ("订单还没有付款，没有可退的钱", "The order is not paid, so there is nothing to refund")
            }
            Self::MoreThanRest => ("超过了可退金额", "More than what is left to refund"),
            Self::TooSoon => (
                "刚刚扫码，请等 15 秒后再撤销",
                "The code was just scanned; wait 15 seconds before cancelling",
            ),
            Self::NotOurs => ("通知没有通过验证", "The notification could not be verified"),
            Self::Gateway(why) => {
                return match l {
                    Lang::Zh => format!("收单方拒绝了：{why}"),
                    Lang::En => format!("The gateway refused: {why}"),
                };
            }
            Self::NoAnswer => (
                "收单方没有回复，结果还不知道，会自动再查",
                "The gateway did not answer. The outcome is not known yet and will be asked for again",
            ),
            Self::Books => {
                ("小店的账本出了问题，请看日志", "Something is wrong with the shop's file, see its log")
            }
        };
        l.say(zh, en).to_owned()
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        tracing::error!(%error, "the shop's file");
        Self::Books
    }
}

impl From<ClientError> for Refusal {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused { body, .. } => Self::Gateway(format!("{} {}", body.code, body.message)),
            ClientError::Unknown(_) => {
                tracing::warn!(%error, "the gateway");
                Self::NoAnswer
            }
            ClientError::Invalid(field) => Self::Gateway(field.to_owned()),
        }
    }
}

/// The till.
#[derive(Debug)]
pub(super) struct Till {
    client: Client,
    books: Books,
    mchid: String,
    appid: String,
    notify_url: String,
    clock: Clock,
    /// When the gateway was last asked about an order.
    looked: Mutex<HashMap<String, i64>>,
}

impl Till {
    pub(super) fn new(
        client: Client,
        books: Books,
        mchid: String,
        appid: String,
        notify_url: String,
        clock: Clock,
    ) -> Self {
        Self { client, books, mchid, appid, notify_url, clock, looked: Mutex::default() }
    }

    fn now_ms(&self) -> i64 {
        self.clock.now().0
    }

    fn order(&self, order_no: &str) -> Result<Order, Refusal> {
        self.books.order(order_no)?.map(Order::new).ok_or(Refusal::Unknown)
    }

    /// The newest orders, as they were when they were last looked at.
    pub(super) fn newest(&self, limit: u32) -> Result<Vec<Order>, Refusal> {
        Ok(self.books.newest(limit)?.into_iter().map(Order::new).collect())
    }

    /// Orders something for `fen`.
    pub(super) async fn place(&self, goods: &Goods, fen: i64) -> Result<Order, Refusal> {
        let row = OrderRow {
            order_no: order_no(self.clock.now()),
            goods: goods.id.to_owned(),
            fen,
            progress: Progress::Unpaid,
            scanned: false,
            code_url: None,
            code_at_ms: 0,
            placed_ms: self.now_ms(),
            paid_ms: None,
        };
        self.books.add(&row)?;
        self.fetch_code(&row).await?;
        self.order(&row.order_no)
    }

    /// Places an order at the gateway; the same order again gives the same code or a fresh one.
    async fn fetch_code(&self, row: &OrderRow) -> Result<(), Refusal> {
        let what =
            goods(&row.goods).map_or_else(|| row.goods.clone(), |goods| format!("{} {}", goods.zh, goods.en));
        let order = NativeOrder {
            appid: self.appid.clone(),
            mchid: self.mchid.clone(),
            description: what,
            out_trade_no: row.order_no.clone(),
            notify_url: self.notify_url.clone(),
            amount: OrderAmount { total: row.fen, currency: Some(CNY.to_owned()) },
            ..NativeOrder::default()
        };
        let reply = self.client.native(&order).await?;
        Ok(self.books.set_code(&row.order_no, &reply.code_url, self.now_ms())?)
    }

    /// An order as it stands, asking the gateway where the shop does not know the end yet.
    pub(super) async fn look(&self, order_no: &str) -> Result<Order, Refusal> {
        let order = self.order(order_no)?;
        let open = matches!(order.state(), OrderState::Unpaid | OrderState::Refunding);
        if !open || !self.look_is_due(order_no) {
            return Ok(order);
        }
        if order.scanned && order.state() == OrderState::Unpaid {
            if let Err(refusal) = self.look_for_scan(&order).await {
                tracing::warn!(order_no, code = refusal.code(), "looking for a code payment");
            }
        } else if order.state() == OrderState::Unpaid {
            self.look_for_payment(&order).await;
        } else {
            for refund in &order.refunds {
                self.look_for_refund(&order, refund).await;
            }
        }
        self.order(order_no)
    }

    fn look_is_due(&self, order_no: &str) -> bool {
        let now = self.now_ms();
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        if looked.get(order_no).is_some_and(|last| now - last < LOOK_EVERY_MS) {
            return false;
        }
        if looked.len() >= REMEMBERED {
            looked.clear();
        }
        looked.insert(order_no.to_owned(), now);
        true
    }

    /// What a look fails on is said in the log; the next one asks again.
    async fn look_for_payment(&self, order: &Order) {
        let found = self.client.query_by_out_trade_no(&order.order_no).await;
        let unplaced = matches!(&found, Err(ClientError::Refused { body, .. }) if same_code(&body.code, "ORDER_NOT_EXIST"));
        let stale = self.now_ms() - order.code_at_ms > CODE_FRESH_MS;
        let done = match found {
            Ok(found) if found.trade_state.is_paid() => self.paid(order, &found),
            Ok(found) if found.trade_state.is_over_unpaid() => self
                .books
                .set_progress(&order.order_no, Progress::Closed, self.now_ms())
                .map_err(Refusal::from),
            Ok(_) if stale => self.fetch_code(order).await,
            Ok(_) => Ok(()),
            Err(_) if unplaced => self.fetch_code(order).await,
            Err(error) => Err(error.into()),
        };
        if let Err(refusal) = done {
            tracing::warn!(order_no = order.order_no, code = refusal.code(), "looking for a payment");
        }
    }

    /// Takes an order as paid only if what was paid is what was asked.
    fn paid(&self, order: &Order, found: &Transaction) -> Result<(), Refusal> {
        let amount = found.amount.as_ref();
        let fits = amount.is_some_and(|amount| {
            amount.total == order.fen && amount.currency.as_deref().is_none_or(|currency| currency == CNY)
        });
        if !fits || found.appid != self.appid || found.out_trade_no != order.order_no {
            tracing::error!(order_no = order.order_no, "a payment does not fit its order");
            return Err(Refusal::NotOurs);
        }
        let paid_at = found.success_time.as_deref().and_then(Timestamp::parse_rfc3339);
        let paid_ms = paid_at.map_or_else(|| self.now_ms(), |at| at.0);
        Ok(self.books.set_progress(&order.order_no, Progress::Paid, paid_ms)?)
    }

    async fn look_for_refund(&self, order: &Order, refund: &Refund) {
        let done = match refund.state {
            RefundState::Asked => self.ask_refund(order, refund).await,
            RefundState::Processing | RefundState::Abnormal => {
                match self.client.query_refund(&refund.refund_no).await {
                    Ok(found) => self.refund_stands(&refund.refund_no, &found.status),
                    Err(error) => Err(error.into()),
                }
            }
            RefundState::Success | RefundState::Refused => Ok(()),
        };
        if let Err(refusal) = done {
            tracing::warn!(refund_no = refund.refund_no, code = refusal.code(), "looking for a refund");
        }
    }

    /// Gives back `fen`, or all that is left. `number` says which refund of the order it is; the same again is one refund.
    pub(super) async fn refund(
        &self,
        order_no: &str,
        fen: Option<i64>,
        number: Option<u32>,
    ) -> Result<Order, Refusal> {
        let order = self.order(order_no)?;
        if order.progress != Progress::Paid {
            return Err(Refusal::NotPaid);
        }
        let number = number.unwrap_or_else(|| order.next_refund());
        if order.refunds.iter().any(|refund| refund.number == number) {
            return Ok(order);
        }
        let fen = fen.unwrap_or_else(|| order.rest());
        if fen < 1 || fen > order.rest() || number != order.next_refund() {
            return Err(Refusal::MoreThanRest);
        }
        let refund = Refund {
            refund_no: format!("{order_no}-R{number}"),
            number,
            fen,
            state: RefundState::Asked,
            at_ms: self.now_ms(),
        };
        if !self.books.add_refund(order_no, &refund)? {
            // Somebody asked under this number a moment ago: theirs is the refund.
            return self.order(order_no);
        }
        match self.ask_refund(&order, &refund).await {
            // It is written down and will be asked for again: to the reader it is on its way.
            Ok(()) | Err(Refusal::NoAnswer) => self.order(order_no),
            Err(refusal) => Err(refusal),
        }
    }

    async fn ask_refund(&self, order: &Order, refund: &Refund) -> Result<(), Refusal> {
        let request = RefundRequest {
            out_trade_no: Some(order.order_no.clone()),
            out_refund_no: refund.refund_no.clone(),
            notify_url: Some(self.notify_url.clone()),
            amount: RefundRequestAmount {
                refund: refund.fen,
                total: order.fen,
                currency: CNY.to_owned(),
                from: None,
            },
            ..RefundRequest::default()
        };
        match self.client.refund(&request).await {
            Ok(taken) => self.refund_stands(&refund.refund_no, &taken.status),
            Err(error) => {
                let refusal = Refusal::from(error);
                if matches!(refusal, Refusal::Gateway(_)) {
                    self.books.set_refund(&refund.refund_no, RefundState::Refused)?;
                }
                Err(refusal)
            }
        }
    }

    fn refund_stands(&self, refund_no: &str, status: &RefundStatus) -> Result<(), Refusal> {
        let state = match status {
            RefundStatus::Success => RefundState::Success,
            RefundStatus::Closed => RefundState::Refused,
            RefundStatus::Abnormal => RefundState::Abnormal,
            RefundStatus::Processing | RefundStatus::Other(_) => RefundState::Processing,
        };
        Ok(self.books.set_refund(refund_no, state)?)
    }

    /// Takes a notification once it is verified.
    pub(super) fn notified(&self, headers: &SignedHeaders, body: &[u8]) -> Result<(), Refusal> {
        let notice = self.client.open_notification(headers, body).map_err(|error| {
            tracing::warn!(%error, "a notification was not accepted");
            Refusal::NotOurs
        })?;
        match notice {
            Notice::Paid(found) => {
                let order = self.order(&found.out_trade_no)?;
                self.paid(&order, &found)
            }
            Notice::Refund(found) => self.refund_stands(&found.out_refund_no, &found.refund_status),
            // This shop sends nobody money.
            Notice::Transfer(_) => Ok(()),
        }
    }
}

/// A fresh number: the time in China and eight random digits.
fn order_no(now: Timestamp) -> String {
    let t = now.china();
    let random = koudai_engine::random_bytes();
    let digits = random.expose().iter().take(8).map(|byte| char::from(b'0' + byte % 10));
    format!(
        "{:04}{:02}{:02}{:02}{:02}{:02}{}",
        t.year,
        t.month,
        t.day,
        t.hour,
        t.minute,
        t.second,
        digits.collect::<String>()
    )
}
