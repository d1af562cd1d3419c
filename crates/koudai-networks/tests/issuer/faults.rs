//! What goes wrong between the two, by itself or by order.

use axum::http::StatusCode;
use koudai_core::attempt::Outcome as Ended;
use koudai_core::rows::NetworkRefusal;
use koudai_core::secret::Secret;
use koudai_networks::issuer::sandbox::Timing;
use koudai_networks::issuer::{Answer, BookKind, Outcome};
use koudai_networks::network::{GiveBack, Move, Moved, Network};
use koudai_wechatpay::keys::PrivateKey;
use std::time::{Duration, Instant};

use crate::inbox::listen;
use crate::rig::{Expect, Fixture, HASTE, PATIENCE, client, fen};

#[tokio::test]
async fn the_silent_card_does_the_work_and_never_answers() {
    let mut f = Fixture::with(Timing::default(), HASTE).await;
    let token = f.bound(6).await;
    assert_eq!(f.debit("d1", &token, 500).await, Answer::Unknown);
    assert_eq!(f.client.query_debit("d1").await.done().outcome, Outcome::Succeeded);
    assert_eq!(f.debit("d1", &token, 500).await, Answer::Unknown);
    assert_eq!(f.client.close_debit("d1").await.done().outcome, Outcome::Succeeded);

    assert_eq!(f.refund("r1", "d1", 200).await, Answer::Unknown);
    assert_eq!(f.client.query_refund("r1").await.done().outcome, Outcome::Succeeded);
    assert_eq!(f.refund("r1", "d1", 200).await.done().outcome, Outcome::Succeeded);
    assert_eq!(f.moved().await, [(BookKind::Debit, "d1".into(), 500), (BookKind::Refund, "r1".into(), 200)]);
}

#[tokio::test]
async fn the_silent_card_closes_the_connection_without_a_word() {
    let mut f =
        Fixture::with(Timing { silence: Duration::from_millis(50), ..Timing::default() }, PATIENCE).await;
    let token = f.bound(6).await;
    let started = Instant::now();
    assert_eq!(f.debit("d1", &token, 500).await, Answer::Unknown);
    assert!(started.elapsed() < PATIENCE, "cut, not timed out");
    assert_eq!(f.client.query_debit("d1").await.done().outcome, Outcome::Succeeded);
}

#[tokio::test]
async fn the_late_card_does_the_work_at_once() {
    let mut f = Fixture::with(Timing { late: Duration::from_secs(12), ..Timing::default() }, HASTE).await;
    let token = f.bound(5).await;
    assert_eq!(f.debit("d1", &token, 500).await, Answer::Unknown);
    assert_eq!(f.client.query_debit("d1").await.done().outcome, Outcome::Succeeded);

    let mut f =
        Fixture::with(Timing { late: Duration::from_millis(50), ..Timing::default() }, PATIENCE).await;
    let token = f.bound(5).await;
    let started = Instant::now();
    assert_eq!(f.debit("d1", &token, 500).await.done().outcome, Outcome::Succeeded);
    assert!(started.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn no_connection_is_not_sent_and_a_cut_one_is_unknown() {
    let (key, app_key) = (PrivateKey::generate(), PrivateKey::generate());
    let (address, listener) = listen().await;
    let client = client(&format!("http://{address}"), &app_key, &key, HASTE);
    tokio::spawn(async move {
        // One connection is accepted and dropped, then nobody listens.
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncReadExt::read_u8(&mut stream).await.unwrap();
    });
    assert_eq!(client.query_debit("d1").await, Answer::Unknown);
    assert_eq!(client.query_debit("d1").await, Answer::NotSent);
}

async fn tell(f: &Fixture, rules: &str) -> StatusCode {
    let told =
        reqwest::Client::new().put(format!("{}/faults", f.url)).header("content-type", "application/json");
    told.body(rules.to_owned()).send().await.unwrap().status()
}

/// Calls that move money, as the wallet makes them of any network.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moves {
    Debit,
    Refund,
    PayOut,
}

impl Moves {
    const ALL: [Self; 3] = [Self::Debit, Self::Refund, Self::PayOut];

    const fn name(self) -> &'static str {
        match self {
            Self::Debit => "debit",
            Self::Refund => "refund",
            Self::PayOut => "pay_out",
        }
    }

    async fn ask(self, network: &dyn Network, token: &str, number: &str) -> Moved {
        let token = Secret::new(token.to_owned());
        let what = Move { number, token, amount: fen(100), what_for: "测试", scene: None };
        match self {
            Self::Debit => network.debit(what).await,
            Self::Refund => network.refund(back(number)).await,
            Self::PayOut => network.pay_out(what).await,
        }
    }

    async fn query(self, network: &dyn Network, number: &str) -> Moved {
        match self {
            Self::Debit => network.query_debit(number).await,
            Self::Refund => network.query_refund(back(number)).await,
            Self::PayOut => network.query_pay_out(number).await,
        }
    }
}

fn back(number: &str) -> GiveBack<'_> {
    GiveBack { number, debit: "before", debit_ref: "", debited: fen(10_000), amount: fen(100) }
}

#[tokio::test]
async fn each_fault_is_met_once_and_the_next_try_finds_the_money_moved_once_or_not_at_all() {
    let mut f = Fixture::with(Timing { resend_gap_ms: 0, ..Timing::default() }, HASTE).await;
    let token = f.bound(1).await;
    assert_eq!(f.debit("before", &token, 10_000).await.done().outcome, Outcome::Succeeded);
    let refused = Moved::NothingDone(NetworkRefusal::OverLimit);
    // What goes wrong, what the first try is taken for, and whether the bank has done it by then. `None`: it is done.
    let cases = [
        (r#""fault":"refuse","code":"LIMIT""#, Some(refused), false),
        (r#""fault":"delay","ms":2000"#, Some(Moved::Unknown), true),
        (r#""fault":"drop""#, Some(Moved::Unknown), true),
        (r#""fault":"garbage""#, Some(Moved::Unknown), true),
        (r#""fault":"down""#, Some(Moved::Unknown), false),
        (r#""fault":"twice""#, None, true),
    ];
    let mut all = vec!["before".to_owned()];
    for moves in Moves::ALL {
        for (n, (fault, first, done)) in cases.iter().enumerate() {
            let id = format!("{}-{n}", moves.name());
            let rules = format!(r#"[{{"call":"{}",{fault},"times":1}}]"#, moves.name());
            assert_eq!(tell(&f, &rules).await, StatusCode::NO_CONTENT);
            let found = moves.ask(&f.client, &token, &id).await;
            match first {
                Some(first) => assert_eq!(found, *first, "{id} {fault}"),
                None => assert!(matches!(found, Moved::Ended(Ended::Succeeded { .. })), "{id}: {found:?}"),
            }
            let found = moves.query(&f.client, &id).await;
            assert_eq!(matches!(found, Moved::Ended(_)), *done, "{id} {fault}: {found:?}");
            assert!(*done || found == Moved::NotThere, "{id} {fault}: {found:?}");
            let again = moves.ask(&f.client, &token, &id).await;
            assert!(matches!(again, Moved::Ended(Ended::Succeeded { .. })), "{id} {fault}: {again:?}");
            all.push(id);
        }
    }
    for rules in [r#"[{"call":"moon","fault":"drop"}]"#, r#"[{"fault":"refuse","code":"MOON_PHASE"}]"#] {
        assert_eq!(tell(&f, rules).await, StatusCode::UNPROCESSABLE_ENTITY, "{rules}");
    }
    let ids: Vec<_> = f.moved().await.into_iter().map(|(_, id, _)| id).collect();
    assert_eq!(ids, all, "each once");
    assert!(f.bank.books_agree().await.unwrap());
}
