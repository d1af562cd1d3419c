//! Payouts: transfers that their payee confirms, in every state.

use std::sync::atomic::{AtomicI64, Ordering};

use koudai_core::attempt::Outcome;
use koudai_core::rows::NetworkRefusal;
use koudai_core::time::{DAY, MINUTE, Timestamp};
use koudai_engine::Clock;
use koudai_networks::courier;
use koudai_networks::network::{Moved, Network as _};
use koudai_networks::wechat::{Settings, WeChat};

use crate::ground::{Ground, WITHDRAWN, succeeded};
use crate::rig::{Freeze, now_s, until};

#[tokio::test]
async fn a_payout_is_under_way_until_its_payee_receives_it() {
    let g = Ground::new().await;
    g.fill(10_000).await;
    let number = g.number();
    assert_eq!(g.wechat.query_pay_out(&number).await, Moved::NotThere);
    assert_eq!(g.wechat.pay_out(g.moving(&number, 1_234, None)).await, Moved::UnderWay);
    assert_eq!(g.wechat.query_pay_out(&number).await, Moved::UnderWay);
    let (call, parameters) = g.call_up(&number);
    assert_eq!(call, "wechat-receive");
    assert_eq!((&parameters["mchId"], &parameters["appId"]), (&g.shop.mchid.wire(), &g.shop.appid));
    // The same again is the same one, and opens the same way after a restart.
    let anew = g.anew();
    assert_eq!(anew.pay_out(g.moving(&number, 1_234, None)).await, Moved::UnderWay);
    let now = Timestamp(now_s() * 1_000);
    assert_eq!(anew.invitations().unwrap().get(&number, now), Some(g.invitation(&number)));

    assert_eq!(g.receive(&number).await, 200);
    let id = succeeded(&g.wechat.query_pay_out(&number).await);
    assert_eq!(g.wechat.invitations().unwrap().get(&number, now), None);
    for moved in
        [g.wechat.close_pay_out(&number).await, g.wechat.pay_out(g.moving(&number, 1_234, None)).await]
    {
        assert_eq!(succeeded(&moved), id, "whatever is called after that");
    }
    let other = g.wechat.pay_out(g.moving(&number, 1_235, None)).await;
    assert_eq!(other, Moved::Unknown, "another amount under the number is not this payout");
}

#[tokio::test]
async fn a_payout_that_is_called_off_is_never_received() {
    let g = Ground::new().await;
    g.fill(10_000).await;
    let number = g.number();
    g.wechat.pay_out(g.moving(&number, 500, None)).await;
    let (_, parameters) = g.call_up(&number);
    assert_eq!(g.wechat.close_pay_out(&number).await, WITHDRAWN);
    assert_eq!(g.wechat.close_pay_out(&number).await, WITHDRAWN);
    let path = parameters["package"].strip_prefix(&*g.rig.app.origin).unwrap();
    assert_ne!(g.post(path, &serde_json::json!({})).await.0, 200);
    assert_eq!(g.wechat.query_pay_out(&number).await, WITHDRAWN);
    assert_eq!(g.wechat.pay_out(g.moving(&number, 500, None)).await, WITHDRAWN);
}

#[tokio::test]
async fn what_cannot_be_paid_out_is_refused_and_nothing_moves() {
    let g = Ground::new().await;
    let nothing = Moved::NothingDone;
    let number = g.number();
    assert_eq!(
        g.wechat.pay_out(g.moving(&number, 500, None)).await,
        nothing(NetworkRefusal::NotCovered),
        "the account there is empty"
    );
    g.fill(300_000 / 10).await;
    assert_eq!(g.wechat.pay_out(g.moving(&number, 9, None)).await, nothing(NetworkRefusal::Refused));
    assert_eq!(g.wechat.pay_out(g.moving(&number, 200_000, None)).await, nothing(NetworkRefusal::OverLimit));
    let stranger = koudai_networks::network::Move {
        token: koudai_core::secret::Secret::new("oNobody".to_owned()),
        ..g.moving(&number, 500, None)
    };
    assert_eq!(g.wechat.pay_out(stranger).await, nothing(NetworkRefusal::Refused));
    let none = WeChat::new(Settings { payouts: None, ..g.settings() }).unwrap();
    assert_eq!(none.pay_out(g.moving(&number, 500, None)).await, nothing(NetworkRefusal::Refused));
    assert_eq!(g.wechat.query_pay_out(&number).await, Moved::NotThere, "nothing came of any of these");
    // With money there, the number is still good.
    assert_eq!(g.wechat.pay_out(g.moving(&number, 500, None)).await, Moved::UnderWay);
}

#[tokio::test]
async fn a_payout_to_somebody_who_cannot_receive_fails_for_good() {
    let g = Ground::new().await;
    g.fill(10_000).await;
    g.rig.app.engine.submit(Freeze(g.payer)).await.unwrap();
    let number = g.number();
    let failed = Moved::Ended(Outcome::Failed(NetworkRefusal::CardNotUsable));
    assert_eq!(g.wechat.pay_out(g.moving(&number, 500, None)).await, failed);
    assert_eq!(g.wechat.query_pay_out(&number).await, failed);
    assert_eq!(g.wechat.close_pay_out(&number).await, failed);
}

static LATER: AtomicI64 = AtomicI64::new(0);

fn shifted() -> i64 {
    now_s() + LATER.load(Ordering::Relaxed)
}

static AFTER_A_WHILE: AtomicI64 = AtomicI64::new(0);

fn after_a_while() -> i64 {
    now_s() + AFTER_A_WHILE.load(Ordering::Relaxed)
}

#[tokio::test]
async fn a_payout_that_is_not_there_is_over_once_no_call_of_it_can_arrive() {
    let clock = Clock::by_hand(Timestamp(now_s() * 1_000));
    let g = Ground::by(clock.clone(), after_a_while).await;
    let forward = |ms: i64| {
        clock.advance(ms);
        AFTER_A_WHILE.fetch_add(ms / 1_000, Ordering::Relaxed);
    };
    // Older than this process: another may have sent it just before this one began.
    let old = g.number_of(DAY);
    assert_eq!(g.wechat.close_pay_out(&old).await, Moved::UnderWay);
    forward(6 * MINUTE);
    assert_eq!(g.wechat.close_pay_out(&old).await, Moved::UnderWay);
    // The account is empty, so it is refused; the same call may come once more, twice delivered.
    assert!(matches!(g.wechat.pay_out(g.moving(&old, 500, None)).await, Moved::NothingDone(_)));
    forward(2 * MINUTE);
    assert_eq!(g.wechat.close_pay_out(&old).await, Moved::UnderWay, "it was sent two minutes ago");
    assert_eq!(g.wechat.close_pay_out(&g.number_of(DAY)).await, WITHDRAWN, "and this one was not");
    forward(5 * MINUTE + 1_000);
    assert_eq!(g.wechat.close_pay_out(&old).await, WITHDRAWN);
}

#[tokio::test]
async fn a_payout_that_nobody_receives_within_a_day_is_over() {
    let clock = Clock::by_hand(Timestamp(now_s() * 1_000));
    let g = Ground::by(clock.clone(), shifted).await;
    g.fill(10_000).await;
    let number = g.number();
    assert_eq!(g.wechat.pay_out(g.moving(&number, 500, None)).await, Moved::UnderWay);
    clock.advance(DAY + 1_000);
    LATER.store(DAY / 1_000 + 1, Ordering::Relaxed);
    let _courier = courier::start(
        g.rig.app.engine.clone(),
        g.rig.app.networks.clone(),
        "Koudai".into(),
        "https://wallet.example".into(),
    );
    let ended = until(async || match g.wechat.query_pay_out(&number).await {
        Moved::Ended(outcome) => Some(outcome),
        Moved::UnderWay => None,
        other => panic!("{other:?}"),
    });
    assert_eq!(ended.await, Outcome::Failed(NetworkRefusal::Withdrawn));
}
