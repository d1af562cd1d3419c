//! What the shop shows.

use askama::Template;
use koudai_core::money::Money;
use koudai_core::time::Timestamp;
use koudai_web::say::Lang;
use koudai_web::wallet::pages::Icon;

use super::books::{Refund, RefundState};
use super::till::{Order, OrderState};
use super::{Goods, NAME, amount, code};

/// How often an open page looks whether anything has changed, in milliseconds.
const LIVE_MS: u32 = 1_500;
/// The same once the order is paid: only another window could change it.
const CALM_MS: u32 = 5_000;

/// What there is to buy.
#[derive(Template)]
#[template(path = "shop_home.html")]
pub(super) struct HomePage {
    pub(super) l: Lang,
    pub(super) goods: &'static [Goods],
    /// Where the code on the counter is printed, if there is one.
    pub(super) sheet: Option<String>,
}

/// The newest orders.
#[derive(Template)]
#[template(path = "shop_orders.html")]
pub(super) struct OrdersPage {
    pub(super) l: Lang,
    pub(super) orders: Vec<Order>,
}

/// One order: its code while it is unpaid, then what became of it.
#[derive(Template)]
#[template(path = "shop_order.html")]
pub(super) struct OrderPage {
    l: Lang,
    order: Order,
    refused: Option<String>,
    svg: Option<String>,
}

impl OrderPage {
    pub(super) fn new(l: Lang, order: Order, refused: Option<String>) -> Self {
        let label = l.say("付款二维码", "Payment code");
        let svg = order.code_url.as_deref().and_then(|url| code::svg(url, label));
        Self { l, order, refused, svg }
    }

    fn live_ms(&self) -> u32 {
        match self.order.state() {
            OrderState::Unpaid | OrderState::Refunding => LIVE_MS,
            OrderState::Paid | OrderState::Refunded | OrderState::Closed => CALM_MS,
        }
    }

    /// The result mark follows the wallet's words for states.
    fn mark(&self) -> &'static str {
        match self.order.state() {
            OrderState::Refunding => "pending",
            state => state.word(),
        }
    }

    fn paid_at(&self) -> Option<Timestamp> {
        self.order.paid_ms.map(Timestamp)
    }
}

/// The shop cannot do what was asked.
#[derive(Template)]
#[template(path = "shop_refused.html")]
pub(super) struct RefusedPage {
    pub(super) l: Lang,
    pub(super) why: String,
}

impl Goods {
    fn money(&self) -> Money {
        amount(self.fen)
    }
}

impl Order {
    fn money(&self) -> Money {
        amount(self.fen)
    }

    fn rest_money(&self) -> Money {
        amount(self.rest())
    }

    fn refunded_money(&self) -> Money {
        amount(self.refunded())
    }

    fn state_in(&self, l: Lang) -> &'static str {
        match self.state() {
            OrderState::Unpaid => l.say("待付款", "Unpaid"),
            OrderState::Paid if self.refunded() > 0 => l.say("部分退款", "Part refunded"),
            OrderState::Paid => l.say("已付款", "Paid"),
            OrderState::Refunding => l.say("退款中", "Refunding"),
            OrderState::Refunded => l.say("已退款", "Refunded"),
            OrderState::Closed => l.say("已关闭", "Closed"),
        }
    }

    /// How the chip of its state looks.
    fn chip(&self) -> &'static str {
        match self.state() {
            OrderState::Unpaid | OrderState::Refunding => " wait",
            OrderState::Paid => "",
            OrderState::Refunded | OrderState::Closed => " none",
        }
    }
}

impl Refund {
    fn money(&self) -> Money {
        amount(self.fen)
    }

    fn at(&self) -> Timestamp {
        Timestamp(self.at_ms)
    }

    fn state_in(&self, l: Lang) -> &'static str {
        match self.state {
            RefundState::Asked => l.say("已提交", "Asked for"),
            RefundState::Processing => l.say("退款中", "On its way"),
            RefundState::Success => l.say("已到账", "Arrived"),
            RefundState::Abnormal => l.say("退款异常", "Stuck at the bank"),
            RefundState::Refused => l.say("被拒绝", "Refused"),
        }
    }
}
