//! Paying, closing and refunding.

use std::collections::BTreeMap;
use std::sync::Arc;

use koudai_core::attempt::Outcome;
use koudai_core::order::CloseOrder;
use koudai_core::payment::{Means, Pay};
use koudai_core::payment_password::Pin;
use koudai_core::rows::{NetworkRefusal, Order};
use koudai_core::secret::Secret;
use koudai_core::time::{DAY, MINUTE};
use koudai_networks::network::{Invitation, Moved, Network as _, Scene, Who};
use koudai_wechatpay::types::{NativeOrder, OrderAmount};
use serde_json::json;

use crate::ground::{Ground, PHONE, WITHDRAWN, back, succeeded};
use crate::rig::{PIN, order};

#[tokio::test]
async fn a_code_is_scanned_and_what_was_paid_is_asked_about() {
    let g = Ground::new().await;
    let number = g.number();
    assert_eq!(g.wechat.query_debit(&number).await, Moved::NotThere);
    assert_eq!(g.debit(&number, 8_800, Scene::Computer).await, Moved::UnderWay);
    assert_eq!(g.wechat.query_debit(&number).await, Moved::UnderWay);
    let Invitation::Scan(code) = g.invitation(&number) else { panic!("a code is scanned") };
    // A repeat, after a restart too, opens the same way, and there is one order.
    assert_eq!(g.debit(&number, 8_800, Scene::Computer).await, Moved::UnderWay);
    assert_eq!(g.invitation(&number), Invitation::Scan(code.clone()));
    let anew = g.anew();
    assert_eq!(
        anew.debit(g.moving(&number, 8_800, None)).await,
        Moved::UnderWay,
        "by a code if nobody says where"
    );
    let now = koudai_core::time::Timestamp(crate::rig::now_s() * 1_000);
    assert_eq!(anew.invitations().unwrap().get(&number, now), Some(Invitation::Scan(code.clone())));
    assert_eq!(g.rig.orders_of_everyone().await, 1);
    let placed = g.rig.order(&g.shop, &number).await;
    let life = placed.expires_at.since(placed.created_at);
    assert!(
        (4 * MINUTE..=5 * MINUTE).contains(&life),
        "it ends five minutes after its number was made: {life}"
    );

    assert_eq!(g.scan_and_pay(&code).await.0, 200);
    let id = succeeded(&g.wechat.query_debit(&number).await);
    assert_eq!(id, g.rig.order(&g.shop, &number).await.id.wire());
    assert_eq!(g.wechat.invitations().unwrap().get(&number, now), None, "it is over");
    // Whatever is called after that, it was paid once.
    for moved in [
        g.debit(&number, 8_800, Scene::Computer).await,
        g.wechat.close_debit(&number).await,
        anew.query_debit(&number).await,
    ] {
        assert_eq!(succeeded(&moved), id);
    }
    assert_eq!(g.rig.orders_of_everyone().await, 1);
}

#[tokio::test]
async fn a_phones_browser_is_sent_to_a_page_and_inside_the_app_a_call_is_handed_over() {
    let g = Ground::new().await;
    let phone = g.number();
    assert_eq!(g.debit(&phone, 500, PHONE).await, Moved::UnderWay);
    let Invitation::Visit(url) = g.invitation(&phone) else { panic!("a page") };
    let path = url.strip_prefix(&*g.rig.app.origin).unwrap();
    let (status, paid) = g.come_and_pay(path, &BTreeMap::new()).await;
    assert_eq!(status, 200, "{paid}");
    succeeded(&g.wechat.query_debit(&phone).await);
    let order = g.rig.order(&g.shop, &phone).await;
    assert!(order.scene_info.unwrap().contains("203.0.113.7"), "the payer's own address");

    let inside = g.number();
    assert_eq!(g.debit(&inside, 600, Scene::Inside).await, Moved::UnderWay);
    let (call, parameters) = g.call_up(&inside);
    assert_eq!(
        (call, &*parameters["appId"], &*parameters["signType"]),
        ("wechat-pay", &*g.shop.appid, "RSA")
    );
    let (status, paid) = g.come_and_pay("/pay/jsapi", &parameters).await;
    assert_eq!(status, 200, "{paid}");
    succeeded(&g.wechat.query_debit(&inside).await);
    assert_eq!(g.rig.order(&g.shop, &inside).await.meant_for, Some(g.payer));

    let stranger = koudai_networks::network::Move {
        token: Secret::new("oNobody".to_owned()),
        ..g.moving(&inside, 600, Some(Scene::Inside))
    };
    let number = g.number();
    let refused = g.wechat.debit(koudai_networks::network::Move { number: &number, ..stranger }).await;
    assert_eq!(refused, Moved::NothingDone(NetworkRefusal::Refused));
}

#[tokio::test]
async fn what_is_closed_is_never_paid_and_what_was_paid_is_never_closed() {
    let g = Ground::new().await;
    let number = g.number();
    g.debit(&number, 500, Scene::Computer).await;
    let Invitation::Scan(code) = g.invitation(&number) else { panic!("a code") };
    assert_eq!(g.wechat.close_debit(&number).await, WITHDRAWN);
    assert_eq!(g.wechat.close_debit(&number).await, WITHDRAWN, "again");
    assert_ne!(g.scan_and_pay(&code).await.0, 200);
    assert_eq!(g.debit(&number, 500, Scene::Computer).await, WITHDRAWN, "its number is used up");
    assert_eq!(g.wechat.query_debit(&number).await, WITHDRAWN);

    // A call may still be on its way, until its last moment and a while for clocks are over.
    assert_eq!(g.wechat.close_debit(&g.number()).await, Moved::UnderWay);
    assert_eq!(g.wechat.close_debit(&g.number_of(11 * MINUTE)).await, Moved::UnderWay);
    assert_eq!(g.wechat.close_debit(&g.number_of(13 * MINUTE)).await, WITHDRAWN);
    // Past its time nothing is placed any more.
    assert_eq!(g.debit(&g.number_of(6 * MINUTE), 500, Scene::Computer).await, Moved::UnderWay);
    assert_eq!(g.debit(&g.number_of(13 * MINUTE), 500, Scene::Computer).await, WITHDRAWN);
    assert_eq!(g.rig.orders_of_everyone().await, 1);
    assert_eq!(g.wechat.close_debit("no number of ours").await, Moved::NotThere);
}

/// Lets others go on for a while, the longer the more.
async fn waits(how_long: u64) {
    for _ in 0..how_long * how_long * 1_000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_payment_that_races_its_closing_is_one_or_the_other() {
    let g = Arc::new(Ground::new().await);
    let (mut won, mut lost) = (0, 0);
    for round in 0..24_u64 {
        let number = g.number();
        g.debit(&number, 100, Scene::Computer).await;
        let order = g.rig.order(&g.shop, &number).await.id;
        let pay = Pay {
            person: g.payer,
            order,
            means: Means::of(None),
            confirmed: Pin::parse(PIN).unwrap().into(),
        };
        // The payment begins far ahead in the first rounds, and later and later.
        let mut turn = tokio::task::JoinSet::new();
        let other = Arc::clone(&g);
        turn.spawn(async move {
            waits(round.saturating_sub(12)).await;
            drop(other.rig.app.engine.submit(pay).await);
        });
        waits(12_u64.saturating_sub(round)).await;
        let closed = g.wechat.close_debit(&number).await;
        turn.join_all().await;
        let stands = g.rig.order(&g.shop, &number).await;
        if stands.paid_at.is_some() {
            won += 1;
            // Closing may have been answered before the payment was: then it was not closed.
            assert!(matches!(closed, Moved::Ended(Outcome::Succeeded { .. })), "{closed:?}");
        } else {
            lost += 1;
            assert_eq!(closed, WITHDRAWN);
        }
        let asked = g.wechat.query_debit(&number).await;
        assert_eq!(asked, closed, "and so it stays");
    }
    assert!(won > 0 && lost > 0, "{won} were paid, {lost} were closed");
}

/// Places an order under a number past the wallet's side, and lets the payer pay it.
async fn placed_by_another(g: &Ground, number: &str, fen: i64, attach: Option<&str>) -> Order {
    let client = g.rig.client(&g.shop, true);
    let other = NativeOrder {
        amount: OrderAmount { total: fen, currency: None },
        attach: attach.map(str::to_owned),
        ..order(&g.shop, number, fen)
    };
    client.native(&other).await.unwrap();
    g.rig.pay(g.payer, None, &g.shop, number).await
}

#[tokio::test]
async fn a_payment_of_another_amount_is_never_taken_for_this_one() {
    let g = Ground::new().await;
    for attach in [None, Some(""), Some("8800"), Some("1.0")].into_iter().filter(|attach| *attach != Some(""))
    {
        let number = g.number();
        placed_by_another(&g, &number, 1, attach).await;
        assert_eq!(g.wechat.query_debit(&number).await, Moved::Unknown, "{attach:?}");
        assert_eq!(g.wechat.close_debit(&number).await, Moved::Unknown);
        assert_eq!(g.debit(&number, 8_800, Scene::Computer).await, Moved::Unknown);
    }
    // Even one that says what it is, if it is not what is asked for now.
    let number = g.number();
    placed_by_another(&g, &number, 1, Some("1")).await;
    assert_eq!(g.debit(&number, 8_800, Scene::Computer).await, Moved::Unknown);
}

#[tokio::test]
async fn an_order_that_stands_otherwise_under_the_number_is_neither_paid_nor_given_up() {
    let g = Ground::new().await;
    let number = g.number();
    g.debit(&number, 500, Scene::Computer).await;
    assert_eq!(
        g.debit(&number, 500, PHONE).await,
        Moved::UnderWay,
        "another way to the same order is refused there"
    );
    let Invitation::Scan(_) = g.invitation(&number) else { panic!("the first way stays") };
    assert_eq!(g.rig.orders_of_everyone().await, 1);
}

#[tokio::test]
async fn parts_of_a_payment_go_back_each_once_and_never_more_than_was_paid() {
    let g = Ground::new().await;
    let debit = g.number();
    let id = g.paid(&debit, 1_000).await;
    let parts: Vec<String> = (0..3).map(|_| g.number()).collect();
    let first = succeeded(&g.wechat.refund(back(&parts[0], &debit, &id, [1_000, 300])).await);
    assert_eq!(succeeded(&g.wechat.refund(back(&parts[0], &debit, &id, [1_000, 300])).await), first, "once");
    let second = succeeded(&g.wechat.refund(back(&parts[1], &debit, &id, [1_000, 600])).await);
    assert_ne!(first, second);
    let too_much = back(&parts[2], &debit, &id, [1_000, 101]);
    assert_eq!(g.wechat.query_refund(too_much).await, Moved::NotThere);
    assert_eq!(g.wechat.refund(too_much).await, Moved::NothingDone(NetworkRefusal::Refused));
    succeeded(&g.wechat.refund(back(&parts[2], &debit, &id, [1_000, 100])).await);
    let refunded = g.rig.order(&g.shop, &debit).await.refunded.minor();
    assert_eq!(refunded, 1_000);
    assert_eq!(succeeded(&g.wechat.query_debit(&debit).await), id, "it was paid all the same");

    // What is under the number is not this refund.
    for other in [
        back(&parts[0], &debit, &id, [1_000, 301]),
        back(&parts[0], &debit, &id, [1_001, 300]),
        back(&parts[0], &debit, "4200000000000000000000000000", [1_000, 300]),
        back(&parts[0], &parts[1], &id, [1_000, 300]),
    ] {
        assert_eq!(g.wechat.query_refund(other).await, Moved::Unknown, "{other:?}");
    }
    // Refused for a day, and not there: somebody else has to decide.
    let old = g.number_of(DAY + MINUTE);
    assert_eq!(
        g.wechat.refund(back(&old, &debit, &id, [1_000, 1])).await,
        Moved::Ended(Outcome::Failed(NetworkRefusal::Refused))
    );
}

#[tokio::test]
async fn a_refund_to_a_card_is_under_way_then_stuck_then_done() {
    let g = Ground::new().await;
    let debit = g.number();
    g.debit(&debit, 1_000, Scene::Computer).await;
    let order = g.rig.pay(g.payer, Some(g.card), &g.shop, &debit).await;
    assert_eq!(g.wechat.query_debit(&debit).await, Moved::UnderWay, "the payer's bank has not answered");
    assert_eq!(g.wechat.close_debit(&debit).await, Moved::UnderWay, "and meanwhile it is not closed");
    g.rig.bank_pays(&order).await;
    let id = succeeded(&g.wechat.query_debit(&debit).await);

    let (one, two) = (g.number(), g.number());
    let (arrives, sticks) = (back(&one, &debit, &id, [1_000, 200]), back(&two, &debit, &id, [1_000, 300]));
    for refund in [arrives, sticks] {
        assert_eq!(g.wechat.refund(refund).await, Moved::UnderWay);
        assert_eq!(g.wechat.query_refund(refund).await, Moved::UnderWay);
    }
    let client = g.rig.client(&g.shop, true);
    let stuck = client.query_refund(&two).await.unwrap().refund_id;
    g.rig.bank_refuses_refund(&stuck).await;
    assert_eq!(g.wechat.query_refund(sticks).await, Moved::UnderWay, "it may yet go on");
    assert_eq!(g.wechat.refund(sticks).await, Moved::UnderWay);
    let path = format!("/v3/refund/domestic/refunds/{stuck}/apply-abnormal-refund");
    let decided = json!({ "out_refund_no": two, "type": "USER_BALANCE" }).to_string();
    assert_eq!(g.rig.ask(&g.shop, "POST", &path, &decided).await.status, 200);
    assert_eq!(succeeded(&g.wechat.query_refund(sticks).await), stuck);
}

#[tokio::test]
async fn a_refund_that_the_account_does_not_cover_is_asked_for_until_it_does() {
    let g = Ground::new().await;
    let debit = g.number();
    let id = g.paid(&debit, 1_000).await;
    let away = g.number();
    assert_eq!(g.wechat.pay_out(g.moving(&away, 990, None)).await, Moved::UnderWay);
    let number = g.number_of(2 * DAY);
    let refund = back(&number, &debit, &id, [1_000, 1_000]);
    let not_covered = Moved::NothingDone(NetworkRefusal::NotCovered);
    assert_eq!(g.wechat.refund(refund).await, not_covered, "however long");
    g.fill(2_000).await;
    succeeded(&g.wechat.refund(refund).await);
}

#[tokio::test]
async fn who_somebody_is_there_is_learnt_by_a_code_once() {
    let g = Ground::new().await;
    let page = g.wechat.ask_who_at("https://wallet.example.org/networks/who", "state-1").unwrap();
    assert!(page.ends_with("&state=state-1#wechat_redirect"), "{page}");
    let path = page.strip_prefix(&g.url).unwrap().trim_end_matches("#wechat_redirect").to_owned();
    let (status, found) = g.get(&path).await;
    assert_eq!((status, &found["state"]), (200, &json!("state-1")), "{found}");
    assert!(found["redirect"].as_str().unwrap().starts_with("https://wallet.example.org/networks/who?"));
    let code = || Secret::new(found["code"].as_str().unwrap().to_owned());
    match g.wechat.who(code()).await {
        Who::Is(openid) => assert_eq!(*openid.expose(), g.openid),
        other => panic!("{other:?}"),
    }
    assert!(matches!(g.wechat.who(code()).await, Who::Refused), "used");
    assert!(matches!(g.wechat.who(Secret::new("none".to_owned())).await, Who::Refused));
    let shown = format!("{:?}", g.wechat);
    assert!(!shown.contains("0123456789abcdef") && !shown.contains("PRIVATE"), "{shown}");
}

#[tokio::test]
async fn a_network_that_is_not_there_did_nothing_and_one_that_is_says_so() {
    let g = Ground::new().await;
    assert!(g.wechat.answers().await);
    assert!(g.wechat.answers().await, "the second time it does more than fetch certificates");
    let settings = koudai_networks::wechat::Settings { api: "http://127.0.0.1:1".to_owned(), ..g.settings() };
    let nowhere = koudai_networks::wechat::WeChat::new(settings).unwrap();
    let number = g.number();
    let nothing = Moved::NothingDone(NetworkRefusal::Unavailable);
    assert_eq!(nowhere.debit(g.moving(&number, 100, None)).await, nothing);
    assert_eq!(nowhere.pay_out(g.moving(&number, 100, None)).await, nothing);
    assert_eq!(nowhere.query_debit(&number).await, nothing);
    assert!(!nowhere.answers().await);
    let closed = CloseOrder { mchid: g.shop.mchid, out_trade_no: number };
    assert!(g.rig.app.engine.submit(closed).await.is_err(), "nothing came there");
}
