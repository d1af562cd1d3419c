//! The books of another wallet against ours: everything that can differ by what both sides did is planted, and found.

use std::collections::BTreeMap;

use koudai_core::attempt::{EndAttempt, Outcome};
use koudai_core::ledger::NetworkId;
use koudai_core::money::Money;
use koudai_core::other_wallet::{AtWallet, OpenWallet, wallet_mac};
use koudai_core::payment_password::Pin;
use koudai_core::rows::{Attempt, Difference, DifferenceState, NetworkRefusal, StatementLine};
use koudai_core::time::{DAY, Timestamp};
use koudai_core::top_up::StartTopUp;
use koudai_engine::Clock;
use koudai_networks::Reach;
use koudai_networks::network::{Network, Scene};
use koudai_networks::outside::Outside;
use koudai_networks::reconciling::{self, Days};
use koudai_store::Reader;

use super::{PIN, Rig, now_s};

/// Noon of tomorrow in China, so that no day ends during a test, and nothing made at its start is of the future.
pub fn noon() -> Timestamp {
    Timestamp::of_china_day(Timestamp(now_s() * 1_000).china_day() + 1).plus(DAY / 2)
}

/// A wallet on this clock whose people top up from another one. `pay` pays so much there under a number and returns the other
/// one's number for it; `forward` moves every clock, by milliseconds. It is noon, and two days later the books are whole.
pub async fn each_is_found(
    network: NetworkId,
    books: impl Network + 'static,
    clock: Clock,
    pay: impl AsyncFn(&str, i64) -> String,
    forward: impl Fn(i64),
) {
    let wallet = Rig::start_by(Reach::Local, clock).await;
    let engine = &wallet.app.engine;
    let person = wallet.newcomer().await;
    let mac = wallet_mac(wallet.app.networks.vault.compare_key(), network, person);
    let [zh, en] = ["别处", "Elsewhere"].map(str::to_owned);
    let card = engine.submit(OpenWallet { person, network, mac, zh, en }).await.unwrap().id;
    let begin = async |number: &str, fen: i64| {
        let at = Some(AtWallet { scene: Scene::Computer, payer_sealed: None });
        let (amount, pin) = (Money::fen(fen).unwrap(), Pin::parse(PIN).unwrap());
        let top_up =
            StartTopUp { person, number: number.to_owned(), card, at, amount, confirmed: pin.into() };
        engine.submit(top_up).await.unwrap()
    };
    let end = async |attempt: &Attempt, outcome| {
        engine.submit(EndAttempt { attempt: attempt.id, outcome }).await.unwrap();
    };
    let done = |network_ref| Outcome::Succeeded { network_ref };

    let same = begin("differing-same", 1_000).await;
    end(&same, done(pay(&same.id.wire(), 1_000).await)).await;
    let short = begin("differing-short", 1_001).await;
    end(&short, done("nothing moved".to_owned())).await;
    let amount = begin("differing-amount", 1_002).await;
    end(&amount, done(pay(&amount.id.wire(), 1_007).await)).await;
    let failed = begin("differing-failed", 1_003).await;
    pay(&failed.id.wire(), 1_003).await;
    end(&failed, Outcome::Failed(NetworkRefusal::Withdrawn)).await;
    let cut = begin("differing-cut", 1_004).await;
    let cut_ref = pay(&cut.id.wire(), 1_004).await;
    // A number as ours are that we never gave.
    let long = koudai_core::id::AttemptId(cut.id.0 + 16).wire();
    pay(&long, 1_005).await;
    forward(DAY);
    end(&cut, done(cut_ref)).await;
    forward(DAY);

    let outside = Outside::default().with(network, books);
    reconciling::run(engine, &outside, network, Days::Due).await.unwrap();
    let found = engine.read(Reader::all::<Difference>).await.unwrap();
    let found: BTreeMap<_, _> =
        found.iter().map(|one| (one.number.as_str(), (one.class.word(), one.gap_minor, one.state))).collect();
    let [short, amount, failed, cut] = [short, amount, failed, cut].map(|attempt| attempt.id.wire());
    let (open, explained) = (DifferenceState::Open, DifferenceState::Explained);
    let due = BTreeMap::from([
        (short.as_str(), ("SHORT", -1_001, open)),
        (amount.as_str(), ("AMOUNT", 5, open)),
        (failed.as_str(), ("STATUS", 1_003, open)),
        (cut.as_str(), ("DATE_CUT", 0, explained)),
        (long.as_str(), ("LONG", 1_005, open)),
    ]);
    assert_eq!(found, due);
    let lines = engine.read(Reader::all::<StatementLine>).await.unwrap().len();
    reconciling::run(engine, &outside, network, Days::All).await.unwrap();
    assert_eq!(engine.read(Reader::all::<StatementLine>).await.unwrap().len(), lines, "read once");
    assert_eq!(engine.read(Reader::all::<Difference>).await.unwrap().len(), due.len());
}
