//! Payments by printed codes, and guests: what is there, and what is found if it is not right.

use koudai_core::id::{CardId, MchId, OrderId, PersonId};
use koudai_core::ledger::WECHAT_NETWORK;
use koudai_core::other_wallet::{AtWallet, Scene};
use koudai_core::rows::Order;
use koudai_core::static_code::{AtCode, CreateStaticCode, PayAsGuest, PlaceAtCode, RevokeStaticCode};
use koudai_core::time::SECOND;

use crate::house::{Hand, House, done, fen};

/// What came of the shop's printed code.
#[derive(Clone, Copy)]
pub(crate) struct Printed {
    /// Of 700 fen with a fee of 4, paid from a balance.
    pub(crate) by_balance: OrderId,
    /// Of 900 fen with a fee of 5, paid by the guest.
    pub(crate) by_guest: OrderId,
    pub(crate) guest: PersonId,
    pub(crate) wallet: CardId,
}

impl Hand {
    /// A code that was replaced, and one by which a person paid once from the balance and once in vain by card, and a guest paid once
    /// and is about to pay once more.
    pub(crate) async fn printed(&self, mchid: MchId, person: PersonId, card: CardId) -> Printed {
        let create = |label: &str| CreateStaticCode { mchid, label: label.to_owned(), notify_url: None };
        let replaced = done!(self, create("1号窗口")).token;
        done!(self, RevokeStaticCode { mchid, token: replaced });
        let code = done!(self, create("1号窗口")).token;
        let said = |number: &str, minor: i64| {
            let (device, number) = ("a-device".to_owned(), number.to_owned());
            AtCode { code, device, amount: fen(minor), note: None, number }
        };
        let order = async |number: &str, minor: i64| {
            done!(self, PlaceAtCode { person, said: said(number, minor) }).id
        };
        let by_balance = order("printed-1", 700).await;
        self.pay(person, by_balance, None).await;
        let in_vain = order("printed-2", 500).await;
        let call = self.pay(person, in_vain, Some(card)).await.unwrap();
        self.bank_says(call, false).await;
        let guest = async |number: &str, minor: i64| -> Order {
            let at = AtWallet { scene: Scene::Inside, payer_sealed: Some(vec![7]) };
            let (zh, en) = ("微信支付".to_owned(), "WeChat Pay".to_owned());
            let (network, mac) = (WECHAT_NETWORK, [77; 32]);
            done!(self, PayAsGuest { network, mac, zh, en, at, said: said(number, minor) })
        };
        let paid = guest("printed-1", 900).await;
        self.bank_says(paid.attempt.unwrap(), true).await;
        guest("printed-2", 800).await;
        let (guest, wallet) = (paid.payer.unwrap(), paid.card.unwrap());
        Printed { by_balance, by_guest: paid.id, guest, wallet }
    }
}

#[test]
fn a_source_that_is_counted_wrong_is_found() {
    let house = House::built();
    let Printed { guest, wallet, .. } = house.printed;
    let counted = "what a source paid by printed codes today is counted right";
    let set = |wrong: &str, source: i64| format!("UPDATE static_tally SET {wrong} WHERE source = {source}");
    for wrong in ["used_minor = 699", "used_minor = 1200", "orders = 1", "since = since + 100000"] {
        house.finds_sql(counted, &set(wrong, house.other.0));
    }
    for wrong in ["used_minor = 900", "orders = 1"] {
        house.finds_sql(counted, &set(wrong, wallet.0));
    }
    house.finds_sql(counted, &set("orders = 3", guest.0));
    house.finds_sql(counted, &set("used_minor = 500", house.other_card.0));
}

#[test]
fn a_guest_that_is_a_person_or_pays_with_something_else_is_found() {
    let house = House::built();
    let Printed { by_balance, by_guest, guest, wallet } = house.printed;
    let (person, guest, wallet) = (house.other.0, guest.0, wallet.0);
    house.finds_sql("a guest is no person", &format!("INSERT INTO guest VALUES ({person}, 1002, 0)"));
    let has = "a guest has one thing to pay with, at their wallet";
    house.finds_sql(has, &format!("UPDATE guest SET network = 1003 WHERE id = {guest}"));
    house.finds(has, |books| {
        books.sql(&format!("UPDATE card SET removed_at = bound_at WHERE id = {wallet}"));
        books.sql(&format!("UPDATE card_owner SET card = NULL WHERE card = {wallet}"));
    });
    house.finds_sql(has, &format!("INSERT INTO guest VALUES ({}, 1002, 0)", guest + 16));
    house.finds_sql("a card's holder is a person", &format!("DELETE FROM guest WHERE id = {guest}"));
    let whose = "an order of a printed code is meant for whoever made it";
    for order in [by_balance.0, by_guest.0] {
        house.finds_sql(whose, &format!("UPDATE trade_order SET meant_for = NULL WHERE id = {order}"));
    }
    house.finds_sql(
        "a printed code ends after it was made",
        "UPDATE static_code SET revoked_at = created_at - 1 WHERE revoked_at IS NOT NULL",
    );
}
