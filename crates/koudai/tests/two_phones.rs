//! The same order paid from two phones at once: paid exactly once each time, the loser told so.
//!
//! `KOUDAI_TWO_PHONES` sets how often.

mod drive;

use drive::{Demo, Phone};
use koudai_networks::issuer::sandbox::test_cards;
use koudai_wechatpay::types::TradeState;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_is_paid_by_one_of_two_phones_and_the_other_is_told() {
    let times: u32 =
        std::env::var("KOUDAI_TWO_PHONES").ok().map_or(200, |text| text.parse().expect("a number"));
    let (_keep, root) = drive::scratch();
    let port = drive::free_ports();
    let demo = Demo::start(&root.join("data"), port, None, &root.join("demo.log"));
    let (client, created) = drive::merchant(&root.join("data"), &format!("http://127.0.0.1:{port}"));
    let mut phones = Vec::new();
    for card in test_cards().iter().filter(|card| card.customer >= 3).take(2) {
        let phone = Phone::register(&demo, &card.phone).await;
        let card = phone.bind(card).await;
        phone.top_up("for-the-race", &card, "1000").await;
        phones.push((phone, card));
    }
    let mut won = [0, 0];
    for n in 0..times {
        let number = format!("RACE-{n}");
        let code = client.native(&drive::order(&created, &number, 100)).await.expect("an order").code_url;
        let path = phones[0].0.scan(&code).await.expect("a page").expect("it is not busy");
        // Every other time one of the two pays by card, which holds the order while the bank is asked.
        let method = |who: usize| if n % 2 == 1 && who == 0 { phones[0].1.as_str() } else { "balance" };
        let (first, second) =
            tokio::join!(phones[0].0.pay(&path, method(0)), phones[1].0.pay(&path, method(1)));
        let answers = [first.expect("an answer"), second.expect("an answer")];
        let winners: Vec<usize> = (0..2).filter(|who| answers[*who].0 == 200).collect();
        assert_eq!(winners.len(), 1, "{number}: {answers:?}");
        won[winners[0]] += 1;
        let (status, told) = &answers[1 - winners[0]];
        let code = told["code"].as_str().unwrap_or_default();
        assert!(matches!(code, "ORDER_ALREADY_PAID" | "ORDER_BEING_PAID"), "{number}: {told}");
        assert_eq!((*status, &told["money_moved"]), (409, &"no".into()), "{number}: {told}");
        let paid = client.query_by_out_trade_no(&number).await.expect("the order");
        assert_eq!(paid.trade_state, TradeState::Success);
    }
    let report = drive::json_of(drive::koudai().args(["verify", "--data"]).arg(root.join("data")));
    assert_eq!(report["paid"], times, "{report}");
    println!(
        "two phones: {times} orders, won by the first {} times and by the second {} times",
        won[0], won[1]
    );
}
