//! Taking a payer's code at the till: one call, then asking until it is settled, then taking it back.

use koudai_core::time::{MINUTE, SECOND};
use koudai_wechatpay::client::ClientError;
use koudai_wechatpay::types::{
    CNY, CodeOrder, CodePayer, CodeScene, CodeStore, OrderAmount, TradeState, same_code,
};

use super::{Goods, Order, OrderRow, Progress, Refusal, Till, goods, order_no};

/// How long a payer is waited for before the till takes the payment back.
const WAIT_MS: i64 = MINUTE;
/// Before, the outcome of the call is on its way and the gateway reverses nothing.
const REVERSIBLE_MS: i64 = 15 * SECOND;

impl Till {
    /// Takes `fen` by the code that was scanned. It is written down before the call, so that a call without an answer is
    /// asked about.
    pub(in super::super) async fn scan(&self, what: &Goods, fen: i64, code: &str) -> Result<Order, Refusal> {
        let row = OrderRow {
            order_no: order_no(self.clock.now()),
            goods: what.id.to_owned(),
            fen,
            progress: Progress::Unpaid,
            scanned: true,
            code_url: None,
            code_at_ms: 0,
            placed_ms: self.now_ms(),
            paid_ms: None,
        };
        self.books.add(&row)?;
        let order = self.order(&row.order_no)?;
        match self.client.code_pay(&self.code_order(&row, code)).await {
            Ok(paid) => self.paid(&order, &paid)?,
            // Nothing is known yet: the payer is asked, or no answer came. The order's page finds out.
            Err(ClientError::Unknown(why)) => tracing::info!(order_no = row.order_no, %why, "a code payment"),
            Err(refused) => {
                self.books.set_progress(&row.order_no, Progress::Closed, self.now_ms())?;
                return Err(refused.into());
            }
        }
        self.order(&row.order_no)
    }

    fn code_order(&self, row: &OrderRow, code: &str) -> CodeOrder {
        let what =
            goods(&row.goods).map_or_else(|| row.goods.clone(), |goods| format!("{} {}", goods.zh, goods.en));
        CodeOrder {
            appid: self.appid.clone(),
            mchid: self.mchid.clone(),
            description: what,
            out_trade_no: row.order_no.clone(),
            payer: CodePayer { auth_code: code.to_owned() },
            amount: OrderAmount { total: row.fen, currency: Some(CNY.to_owned()) },
            scene_info: CodeScene {
                device_id: Some("till-1".to_owned()),
                device_ip: None,
                store_info: CodeStore { id: None, out_id: Some("corner".to_owned()) },
            },
            ..CodeOrder::default()
        }
    }

    /// Asks what became of a scan, and takes it back once it has taken too long.
    pub(super) async fn look_for_scan(&self, order: &Order) -> Result<(), Refusal> {
        let late = self.now_ms() - order.placed_ms > WAIT_MS;
        match self.client.query_by_out_trade_no(&order.order_no).await {
            Ok(found) if found.trade_state.is_paid() => self.paid(order, &found),
            Ok(found) if found.trade_state.is_over_unpaid() => self.given_up(order),
            Ok(found) if found.trade_state == TradeState::UserPaying && !late => Ok(()),
            Err(ClientError::Refused { body, .. }) if same_code(&body.code, "ORDER_NOT_EXIST") && !late => {
                Ok(())
            }
            // It is late, or nothing certain is known: from now on it never pays.
            Ok(_) | Err(ClientError::Refused { .. }) => self.reverse(order).await,
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a scan back at the cashier's wish.
    pub(in super::super) async fn cancel(&self, order_no: &str) -> Result<Order, Refusal> {
        let order = self.order(order_no)?;
        if !order.scanned || order.progress != Progress::Unpaid {
            return Ok(order);
        }
        if self.now_ms() - order.placed_ms < REVERSIBLE_MS {
            return Err(Refusal::TooSoon);
        }
        self.reverse(&order).await?;
        self.order(order_no)
    }

    async fn reverse(&self, order: &Order) -> Result<(), Refusal> {
        self.client.reverse(&self.appid, &order.order_no).await?;
        self.given_up(order)
    }

    fn given_up(&self, order: &Order) -> Result<(), Refusal> {
        Ok(self.books.set_progress(&order.order_no, Progress::Closed, self.now_ms())?)
    }
}
