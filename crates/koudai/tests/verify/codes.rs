//! Payments by a payer's code: what the house lives through of them, and what does not fit in their rows and journals.

use koudai_core::code_payment::{DeclineCodePayment, TakeByCode};
use koudai_core::id::{CardId, MchId, OrderId, PersonId};
use koudai_core::ledger::{AccountId, JournalKind};
use koudai_core::payer_code::{AuthCode, ChoosePayerMethod, IssuePayerCode, SwitchPayerCodesOn};
use koudai_core::reversal::ReverseOrder;
use koudai_core::rows::Order;
use koudai_core::time::SECOND;

use crate::books::{Books, the};
use crate::house::{Hand, House, done, fen, pin};

/// Numbers that were reversed before any order came, the second when the youngest order was there.
const BARRED: [&str; 2] = ["code-barred", "code-barred-last"];
/// What is paid from here on is asked about.
const ASKED: i64 = 100_001;

/// One payment by the payer's code of every outcome.
pub(crate) struct Codes {
    /// Of 5,000 fen from the balance, with a fee of 30.
    paid: OrderId,
    /// Asked about, and not answered.
    waiting: OrderId,
    /// Asked about, and refused by the payer.
    declined: OrderId,
    /// Of 1,000 fen from the balance, reversed.
    given_back: OrderId,
    /// Asked about, and reversed before an answer.
    dropped: OrderId,
    /// Reversed while the card's bank is asked, which has not answered.
    withdrawn: OrderId,
    /// Of 2,000 fen. Reversed as well, but the bank had paid; the card gets it back.
    returned: OrderId,
}

impl Hand {
    /// A code of the payer's, scanned at once.
    async fn take(&self, mchid: MchId, person: PersonId, number: &str, amount: i64) -> Order {
        let code = AuthCode::draw(amount.unsigned_abs());
        done!(self, IssuePayerCode { person, code: code.clone() });
        let take = TakeByCode {
            mchid,
            appid: format!("wx{:016}", mchid.0),
            out_trade_no: number.to_owned(),
            description: "拿铁 大杯".to_owned(),
            attach: None,
            goods_tag: None,
            detail: None,
            scene_info: None,
            settle_info: None,
            amount: fen(amount),
            code,
        };
        done!(self, take)
    }

    async fn reverse(&self, mchid: MchId, number: &str) {
        let appid = format!("wx{:016}", mchid.0);
        self.clock.advance(15 * SECOND);
        done!(self, ReverseOrder { mchid, appid, out_trade_no: number.to_owned() });
    }

    pub(crate) async fn codes(&self, mchid: MchId, person: PersonId, card: CardId) -> Codes {
        done!(self, SwitchPayerCodesOn { person, pin: pin() });
        let paid = self.take(mchid, person, "code-paid", 5_000).await.id;
        let given_back = self.take(mchid, person, "code-given-back", 1_000).await.id;
        self.reverse(mchid, "code-given-back").await;
        let declined = self.take(mchid, person, "code-declined", ASKED).await.id;
        done!(self, DeclineCodePayment { person, order: declined });
        let dropped = self.take(mchid, person, "code-dropped", ASKED + 1).await.id;
        self.reverse(mchid, "code-dropped").await;
        done!(self, ChoosePayerMethod { person, card: Some(card) });
        let withdrawn = self.take(mchid, person, "code-withdrawn", 3_000).await.id;
        self.reverse(mchid, "code-withdrawn").await;
        let returned = self.take(mchid, person, "code-returned", 2_000).await;
        self.reverse(mchid, "code-returned").await;
        self.bank_says(returned.attempt.unwrap(), true).await;
        let waiting = self.take(mchid, person, "code-waiting", ASKED + 2).await.id;
        self.reverse(mchid, BARRED[0]).await;
        Codes { paid, waiting, declined, given_back, dropped, withdrawn, returned: returned.id }
    }

    /// Reverses a number that no order came under. No order is younger.
    pub(crate) async fn bar(&self, mchid: MchId) {
        self.reverse(mchid, BARRED[1]).await;
    }
}

fn progress(id: OrderId, set: &str) -> String {
    format!("UPDATE order_progress SET {set} WHERE id = {}", id.0)
}

/// A change of what a code payment has beside its order.
fn beside(id: OrderId, set: &str) -> String {
    format!("UPDATE code_payment SET {set} WHERE \"order\" = {}", id.0)
}

#[test]
fn numbers_that_were_reversed_and_stand_for_something_are_found() {
    let house = House::built();
    let (other, stands) = (house.other_shop.0, "a number that was reversed before its order stands for none");
    for barred in BARRED {
        let which = format!("WHERE out_trade_no = '{barred}'");
        house.finds_sql(stands, &format!("DELETE FROM order_number {which}"));
        let stood_for = house.unpaid.0;
        house.finds_sql(stands, &format!("UPDATE order_number SET \"order\" = {stood_for} {which}"));
        house.finds_sql(stands, &format!("UPDATE order_number SET mchid = {other} {which}"));
        house.finds_sql(stands, &format!("UPDATE reversed_number SET out_trade_no = 'x' {which}"));
        house.finds_sql(stands, &format!("UPDATE reversed_number SET mchid = {other} {which}"));
    }
    let lost = format!("DELETE FROM reversed_number WHERE out_trade_no = '{}'", BARRED[0]);
    house.finds_sql("an order has one number", &lost);
}

#[test]
fn orders_that_are_not_the_code_payments_they_pass_for_are_found() {
    let house = House::built();
    let Codes { paid, waiting, declined, given_back, .. } = house.codes;
    let payer = house.payer.0;
    let whose = "an order paid by a payer's code, and no other, says whose code it was";
    for order in [paid, waiting, declined, given_back] {
        house.finds_sql(whose, &format!("DELETE FROM code_payment WHERE \"order\" = {}", order.0));
    }
    // Of an order that is of another kind, and of none.
    for order in [house.unpaid.0, house.by_balance.0, 16] {
        let stray =
            format!("INSERT INTO code_payment VALUES ({order}, {payer}, x'{:064}', 0, NULL, NULL)", 0);
        house.finds_sql(whose, &stray);
    }
    let product =
        |id: OrderId, word: &str| format!("UPDATE trade_order SET product = '{word}' WHERE id = {}", id.0);
    house.finds_sql(whose, &product(paid, "native"));
    house.finds_sql(whose, &product(house.by_balance, "codepay"));

    let only = "only code payments are asked about, fail or are reversed";
    house.finds_sql(only, &progress(house.unpaid, &format!("state = 'confirming', payer = {payer}")));
    house.finds_sql(only, &progress(house.unpaid, "state = 'failed'"));
    house.finds_sql(only, &progress(house.closed, "state = 'reversed'"));
    house.finds_sql(only, &progress(house.by_balance, "state = 'reversed'"));
    let open = "a code payment is never open to others, and not closed";
    for state in ["unpaid", "closed"] {
        house.finds_sql(open, &progress(declined, &format!("state = '{state}'")));
    }
}

#[test]
fn code_payments_of_somebody_else_are_found() {
    let house = House::built();
    let Codes { paid, waiting, declined, given_back, dropped, withdrawn, returned } = house.codes;
    let (payer, other, card, top_up) = (house.payer.0, house.other.0, house.card.0, house.top_up.0);

    house.finds_sql("who shows a code is a person", &beside(declined, "person = 16"));
    let his = "a code payment is paid by whose code it was";
    for order in [paid, waiting, given_back, withdrawn, returned] {
        house.finds_sql(his, &beside(order, &format!("person = {other}")));
    }
    for order in [paid, waiting, given_back] {
        house.finds_sql(his, &progress(order, &format!("payer = {other}")));
    }
    let waits = "an order that waits for its payer names nobody else";
    for set in ["payer = NULL".to_owned(), format!("card = {card}"), format!("attempt = {top_up}")] {
        house.finds_sql(waits, &progress(waiting, &set));
    }
    let asks = "a reversed order that was not paid names no payer but one whose bank is asked";
    for set in [format!("payer = {payer}"), format!("card = {card}"), format!("attempt = {top_up}")] {
        house.finds_sql(asks, &progress(dropped, &set));
    }
    for set in ["payer = NULL".to_owned(), format!("payer = {other}"), "card = NULL".to_owned()] {
        house.finds_sql(asks, &progress(withdrawn, &set));
    }
    house.finds_sql("an order's state is that of its card payment", &progress(withdrawn, "attempt = NULL"));
    house.finds_sql("a paid order has its payer", &progress(given_back, "payer = NULL"));
    house.finds_sql(
        "a paid order has the card payment that paid it, or none",
        &progress(returned, "card = NULL"),
    );
}

#[test]
fn code_payments_whose_end_does_not_fit_are_found() {
    let house = House::built();
    let Codes { paid, waiting, declined, given_back, dropped, withdrawn, returned } = house.codes;

    let time = "a reversed order has its time";
    for order in [given_back, dropped, withdrawn, returned] {
        house.finds_sql(time, &beside(order, "reversed_at = NULL"));
    }
    for order in [paid, waiting, declined] {
        house.finds_sql(time, &beside(order, "reversed_at = 1"));
    }
    house.finds_sql(time, &progress(given_back, "state = 'paid'"));

    let whole = "a reversed order that was paid is given back whole";
    for order in [given_back, returned] {
        house.finds_sql(whole, &progress(order, "refunded_minor = refunded_minor - 1"));
    }
    house.finds(whole, |books| {
        books.sql(&progress(paid, "state = 'reversed'"));
        books.sql(&beside(paid, "reversed_at = 1"));
    });

    let why = "a failed code payment says why";
    house.finds_sql(why, &beside(declined, "failure = NULL"));
    house.finds_sql(why, &beside(paid, "failure = 'declined'"));
}

#[test]
fn money_that_moved_otherwise_than_reversals_say_is_found() {
    let house = House::built();
    let Codes { given_back, returned, .. } = house.codes;
    let other = AccountId::person(house.other);
    let paid = "an order is paid once, by its payer, as its journal says";
    for (kind, order) in [(JournalKind::BalancePayment, given_back), (JournalKind::CardPayment, returned)] {
        house.finds_booked(paid, |all| the(all, kind, order.0).postings[0].debit = other);
        house.finds_booked(paid, |all| the(all, kind, order.0).postings[0].amount = fen(4_000));
    }
    let refunded = "a refund is taken from its merchant once, with its share of the fee given back";
    for (kind, order) in
        [(JournalKind::BalanceRefund, given_back), (JournalKind::CardRefundAccepted, returned)]
    {
        let refund: i64 = house.refund_of(order);
        house.finds_booked(refunded, |all| the(all, kind, refund).postings[1].credit = other);
    }
}

impl House {
    /// The one refund of an order.
    fn refund_of(&self, order: OrderId) -> i64 {
        let copy = self.copy();
        let sql = "SELECT id FROM refund WHERE \"order\" = ?1";
        Books::open(copy.path()).0.query_row(sql, [order.0], |row| row.get(0)).unwrap()
    }
}
