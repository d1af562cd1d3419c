//! Debits, refunds and payouts: each done once, however often it is asked for.

use koudai_core::money::Money;
use koudai_core::secret::Secret;
use koudai_networks::issuer::{BindRequest, BindingState, BookKind, IssuerCode, Outcome, UnbindReply};

use crate::rig::{Expect, Fixture, fen, request, token};

#[tokio::test]
async fn a_card_is_bound_debited_refunded_and_unbound() {
    let mut f = Fixture::new().await;
    let reply = f.client.bind(&request("b1", 1)).await.done();
    let BindingState::CodeSent(face) = &reply.state else { panic!("{reply:?}") };
    assert_eq!((face.phone_masked.as_str(), face.last4.as_str()), ("139****0001", "0012"));
    assert_eq!((face.bank_name_zh.as_str(), face.bank_name_en.as_str()), ("沙盒银行", "Sandbox Bank"));

    let message = f.message().await;
    assert_eq!(message.to, "13900000001");
    let code = message.code();
    assert_eq!(
        message.text,
        format!(
            "【沙盒银行】验证码 {code}，用于把尾号 0012 的银行卡添加到口袋钱包，5 分钟内有效。任何人索要都是诈骗。 / \
             Code {code} to add your card ending 0012 to Koudai, valid 5 min. Anyone asking for it is a fraudster."
        )
    );

    let bound = f.client.confirm("b1", Secret::new(code)).await.done();
    let token = token(&bound);
    assert_eq!(token.len(), 22);
    assert_eq!(f.client.binding("b1").await.done(), bound);

    let debit = f.debit("d1", &token, 8_800).await.done();
    assert_eq!(debit.outcome, Outcome::Succeeded);
    assert_eq!(f.client.query_debit("d1").await.done(), debit);
    let refund = f.refund("r1", "d1", 3_000).await.done();
    assert_eq!(refund.outcome, Outcome::Succeeded);
    assert_eq!(f.client.query_refund("r1").await.done(), refund);

    assert_eq!(f.client.unbind(Secret::new(token.clone())).await.done(), UnbindReply::Unbound);
    assert_eq!(f.client.unbind(Secret::new(token.clone())).await.done(), UnbindReply::Unbound);
    assert_eq!(
        f.client.binding("b1").await.done().state,
        BindingState::Failed { code: IssuerCode::TokenUnknown }
    );
    let refused = f.debit("d2", &token, 100).await.done();
    assert_eq!(refused.outcome, Outcome::Refused { code: IssuerCode::TokenUnknown });
    // What was paid before can still be given back.
    assert_eq!(f.refund("r2", "d1", 5_800).await.done().outcome, Outcome::Succeeded);
    assert_eq!(
        f.moved().await,
        [
            (BookKind::Debit, "d1".into(), 8_800),
            (BookKind::Refund, "r1".into(), 3_000),
            (BookKind::Refund, "r2".into(), 5_800)
        ]
    );
    assert!(f.bank.books_agree().await.unwrap());
}

#[tokio::test]
async fn the_same_request_twice_has_one_effect_and_one_answer() {
    let mut f = Fixture::new().await;
    let first = f.client.bind(&request("b1", 1)).await.done();
    assert_eq!(f.client.bind(&request("b1", 1)).await.done(), first);
    let code = f.message().await.code();
    assert!(f.messages.try_recv().is_err(), "one code only");
    let bound = f.client.confirm("b1", Secret::new(code.clone())).await.done();
    assert_eq!(f.client.confirm("b1", Secret::new(code)).await.done(), bound);
    assert_eq!(f.client.bind(&request("b1", 1)).await.done(), bound);
    let token = token(&bound);

    let debit = f.debit("d1", &token, 500).await.done();
    assert_eq!(f.debit("d1", &token, 500).await.done(), debit);
    let refund = f.refund("r1", "d1", 200).await.done();
    assert_eq!(f.refund("r1", "d1", 200).await.done(), refund);
    let closed = f.client.close_debit("d9").await.done();
    assert_eq!(f.client.close_debit("d9").await.done(), closed);
    assert_eq!(f.moved().await.len(), 2);

    // A refusal is repeated too, even when it would succeed by now.
    f.bank.set_frozen(1, true).await.unwrap();
    let refused = f.debit("d2", &token, 500).await.done();
    assert_eq!(refused.outcome, Outcome::Refused { code: IssuerCode::CardFrozen });
    f.bank.set_frozen(1, false).await.unwrap();
    assert_eq!(f.debit("d2", &token, 500).await.done(), refused);
    assert_eq!(f.client.query_debit("d2").await.done(), refused);
}

#[tokio::test]
async fn the_same_id_with_other_content_is_refused() {
    let mut f = Fixture::new().await;
    let token = f.bound(1).await;
    assert_eq!(f.client.bind(&request("bind-1", 2)).await.code(), IssuerCode::IdReused);
    let other_phone = BindRequest { phone: Secret::new("13900000009".into()), ..request("bind-1", 1) };
    assert_eq!(f.client.bind(&other_phone).await.code(), IssuerCode::IdReused);

    f.debit("d1", &token, 500).await.done();
    assert_eq!(f.debit("d1", &token, 501).await.code(), IssuerCode::IdReused);
    assert_eq!(f.debit("d1", "another-token", 500).await.code(), IssuerCode::IdReused);
    let other_text = f.client.debit("d1", Secret::new(token.clone()), fen(500), "另一笔").await;
    assert_eq!(other_text.code(), IssuerCode::IdReused);

    f.debit("d2", &token, 500).await.done();
    f.refund("r1", "d1", 100).await.done();
    assert_eq!(f.refund("r1", "d1", 101).await.code(), IssuerCode::IdReused);
    assert_eq!(f.refund("r1", "d2", 100).await.code(), IssuerCode::IdReused);
    assert_eq!(f.moved().await.len(), 3);
}

#[tokio::test]
async fn a_debit_needs_money_credit_and_an_amount_within_the_limit() {
    let mut f = Fixture::new().await;
    let refused = |code| Outcome::Refused { code };
    let empty = f.bound(3).await;
    assert_eq!(f.debit("e1", &empty, 1).await.done().outcome, refused(IssuerCode::InsufficientFunds));

    let credit = f.bound(2).await;
    assert_eq!(f.debit("c1", &credit, 1_999_999).await.done().outcome, Outcome::Succeeded);
    assert_eq!(f.debit("c2", &credit, 2).await.done().outcome, refused(IssuerCode::InsufficientFunds));
    assert_eq!(f.debit("c3", &credit, 1).await.done().outcome, Outcome::Succeeded);
    // A refund makes room again.
    f.refund("rc1", "c1", 500).await.done();
    assert_eq!(f.debit("c4", &credit, 500).await.done().outcome, Outcome::Succeeded);

    let rich = f.bound(7).await;
    assert_eq!(f.debit("l1", &rich, 5_000_001).await.done().outcome, refused(IssuerCode::Limit));
    assert_eq!(f.debit("l2", &rich, 5_000_000).await.done().outcome, Outcome::Succeeded);
    assert!(f.bank.books_agree().await.unwrap());
}

#[tokio::test]
async fn what_is_unknown_or_malformed_is_said_to_be_so() {
    let mut f = Fixture::new().await;
    assert_eq!(f.client.binding("nobody").await.code(), IssuerCode::NotFound);
    assert_eq!(f.client.resend("nobody").await.code(), IssuerCode::NotFound);
    assert_eq!(f.client.confirm("nobody", Secret::new("123456".into())).await.code(), IssuerCode::NotFound);
    assert_eq!(f.client.query_debit("nobody").await.code(), IssuerCode::NotFound);
    assert_eq!(f.client.query_refund("nobody").await.code(), IssuerCode::NotFound);
    assert_eq!(f.refund("r1", "nobody", 1).await.code(), IssuerCode::NotFound);
    assert_eq!(f.client.unbind(Secret::new("nothing".into())).await.code(), IssuerCode::TokenUnknown);
    assert_eq!(
        f.debit("d0", "nothing", 1).await.done().outcome,
        Outcome::Refused { code: IssuerCode::TokenUnknown }
    );
    // A debit that was refused has nothing to give back.
    assert_eq!(f.refund("r2", "d0", 1).await.code(), IssuerCode::NotFound);

    let token = f.bound(1).await;
    assert_eq!(f.debit("zero", &token, 0).await.code(), IssuerCode::BadRequest);
    let long = "长".repeat(129);
    let answer = f.client.debit("long", Secret::new(token.clone()), fen(1), &long).await;
    assert_eq!(answer.code(), IssuerCode::BadRequest);
    let dollars = Money::new(100, koudai_core::money::Currency::from_code("USD").unwrap()).unwrap();
    let answer = f.client.debit("usd", Secret::new(token.clone()), dollars, "x").await;
    assert_eq!(answer.code(), IssuerCode::BadRequest);
    for id in ["", "a/b", "../debits", "é", &"x".repeat(41)] {
        assert_eq!(f.debit(id, &token, 1).await.code(), IssuerCode::BadRequest, "{id}");
    }
    let letters = BindRequest { card_number: Secret::new("6299990000000000x10".into()), ..request("l1", 1) };
    assert_eq!(f.client.bind(&letters).await.code(), IssuerCode::BadRequest);
    assert!(f.moved().await.is_empty());
}

#[tokio::test]
async fn a_closed_debit_never_succeeds_and_a_paid_one_stays_paid() {
    let mut f = Fixture::new().await;
    let token = f.bound(1).await;
    let closed = f.client.close_debit("late").await.done();
    assert_eq!(closed.outcome, Outcome::Refused { code: IssuerCode::Closed });
    assert_eq!(f.debit("late", &token, 500).await.done(), closed);
    assert_eq!(f.debit("late", &token, 700).await.done(), closed);
    assert_eq!(f.client.query_debit("late").await.done(), closed);
    assert_eq!(f.refund("r", "late", 1).await.code(), IssuerCode::NotFound);

    let paid = f.debit("paid", &token, 500).await.done();
    assert_eq!(f.client.close_debit("paid").await.done(), paid);
    assert_eq!(paid.outcome, Outcome::Succeeded);
    assert_eq!(f.moved().await, [(BookKind::Debit, "paid".into(), 500)]);
    assert!(f.bank.books_agree().await.unwrap());
}

#[tokio::test]
async fn a_debit_races_its_closing_and_both_sides_hear_the_same() {
    let mut f = Fixture::new().await;
    let token = f.bound(1).await;
    for n in 0..20 {
        let id = format!("race-{n}");
        let (debit, close) = tokio::join!(f.debit(&id, &token, 100), f.client.close_debit(&id));
        assert_eq!(debit.done(), close.done());
    }
    assert!(f.bank.books_agree().await.unwrap());
}

#[tokio::test]
async fn refunds_never_exceed_the_debit_however_many_come_at_once() {
    let mut f = Fixture::new().await;
    let token = f.bound(1).await;
    f.debit("d1", &token, 10_000).await.done();
    let refunds: Vec<_> = (0..100)
        .map(|n| {
            let client = f.client.clone();
            tokio::spawn(async move { client.refund(&format!("r{n}"), "d1", fen(300)).await })
        })
        .collect();
    let mut given_back = 0;
    for refund in refunds {
        match refund.await.unwrap().done().outcome {
            Outcome::Succeeded => given_back += 300,
            Outcome::Refused { code } => assert_eq!(code, IssuerCode::Limit),
        }
    }
    assert_eq!(given_back, 9_900);
    assert_eq!(f.refund("rest", "d1", 100).await.done().outcome, Outcome::Succeeded);
    let back: i64 = f.moved().await.iter().filter(|line| line.0 == BookKind::Refund).map(|line| line.2).sum();
    assert_eq!(back, 10_000);
    assert!(f.bank.books_agree().await.unwrap());
}

#[tokio::test]
async fn a_payout_reaches_the_card_once_and_only_from_the_operators_money() {
    let mut f = Fixture::new().await;
    let refused = |code| Outcome::Refused { code };
    let (token, frozen) = (f.bound(1).await, f.bound(7).await);
    assert_eq!(f.pay_out("early", &token, 1).await.done().outcome, refused(IssuerCode::NotCovered));
    f.debit("d1", &token, 1_000).await.done();

    let paid = f.pay_out("p1", &token, 600).await.done();
    assert_eq!(paid.outcome, Outcome::Succeeded);
    assert_eq!(f.pay_out("p1", &token, 600).await.done(), paid);
    assert_eq!(f.client.query_pay_out("p1").await.done(), paid);
    assert_eq!(f.client.close_pay_out("p1").await.done(), paid);
    assert_eq!(f.pay_out("p1", &token, 601).await.code(), IssuerCode::IdReused);
    assert_eq!(f.pay_out("p2", &token, 401).await.done().outcome, refused(IssuerCode::NotCovered));
    assert_eq!(f.client.query_pay_out("p3").await.code(), IssuerCode::NotFound);
    let closed = f.client.close_pay_out("p3").await.done();
    assert_eq!(closed.outcome, refused(IssuerCode::Closed));
    assert_eq!(f.pay_out("p3", &token, 100).await.done(), closed);

    f.debit("d2", &frozen, 5_000_000).await.done();
    assert_eq!(f.pay_out("p4", &frozen, 5_000_001).await.done().outcome, refused(IssuerCode::Limit));
    assert!(f.bank.set_frozen(7, true).await.unwrap());
    assert_eq!(f.pay_out("p5", &frozen, 100).await.done().outcome, refused(IssuerCode::CardFrozen));
    assert_eq!(f.pay_out("p6", "nothing", 100).await.done().outcome, refused(IssuerCode::TokenUnknown));
    for (id, minor) in [("zero", 0), ("a/b", 1)] {
        assert_eq!(f.pay_out(id, &token, minor).await.code(), IssuerCode::BadRequest, "{id}");
    }
    assert_eq!(
        f.moved().await,
        [
            (BookKind::Debit, "d1".into(), 1_000),
            (BookKind::Payout, "p1".into(), 600),
            (BookKind::Debit, "d2".into(), 5_000_000)
        ]
    );
    assert!(f.bank.books_agree().await.unwrap());
}

#[tokio::test]
async fn a_payout_races_its_closing_and_both_sides_hear_the_same() {
    let mut f = Fixture::new().await;
    let token = f.bound(1).await;
    f.debit("d1", &token, 10_000).await.done();
    for n in 0..20 {
        let id = format!("race-{n}");
        let (paid, close) = tokio::join!(f.pay_out(&id, &token, 100), f.client.close_pay_out(&id));
        assert_eq!(paid.done(), close.done());
    }
    assert!(f.bank.books_agree().await.unwrap());
}
