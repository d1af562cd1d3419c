//! A network of a test's own, as `docs/adding-a-network.md` describes one: a counter where people leave deposits, reached
//! over HTTP. What it takes to add it is in this file; everything else is the wallet as it is.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod rig;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::{Path, State};
use koudai_core::attempt::Outcome;
use koudai_core::binding::BankFace;
use koudai_core::card::CardKind;
use koudai_core::ledger::{AccountId, ISSUER_NETWORK};
use koudai_core::rows::{Attempt, AttemptState, NetworkRefusal};
use koudai_core::secret::Secret;
use koudai_networks::courier;
use koudai_networks::network::{
    BindingIs, BookEntry, CardDetails, GiveBack, Move, Moved, Network, Way, async_trait,
};
use koudai_networks::outside::Outside;
use koudai_networks::vault::Sealed;
use rig::{Rig, order, refund, until};
use serde::{Deserialize, Serialize};

/// What was moved, by our number: which way, and how much.
type Book = Arc<Mutex<BTreeMap<String, (Way, i64)>>>;

/// The counter's own server: it writes down what it is told, once.
async fn counter(book: Book) -> String {
    #[derive(Deserialize)]
    struct Entry {
        back: bool,
        fen: i64,
    }
    let write = async |State(book): State<Book>, Path(number): Path<String>, Json(entry): Json<Entry>| {
        let way = if entry.back { Way::Back } else { Way::In };
        let mut book = book.lock().unwrap();
        let known = book.entry(number).or_insert((way, entry.fen));
        if *known == (way, entry.fen) { "done" } else { "other" }
    };
    let look = async |State(book): State<Book>, Path(number): Path<String>| {
        if book.lock().unwrap().contains_key(&number) { "done" } else { "nothing" }
    };
    let router = axum::Router::new().route("/{number}", axum::routing::put(write).get(look)).with_state(book);
    format!("http://{}", rig::served(router).await)
}

/// The counter as one of the wallet's networks.
#[derive(Debug)]
struct Counter {
    http: reqwest::Client,
    url: String,
}

#[derive(Serialize)]
struct Entry {
    back: bool,
    fen: i64,
}

impl Counter {
    async fn said(&self, request: reqwest::RequestBuilder) -> Moved {
        let word = match request.send().await {
            Err(error) if error.is_connect() => return Moved::NothingDone(NetworkRefusal::Unavailable),
            Err(_) => return Moved::Unknown,
            Ok(reply) => reply.text().await,
        };
        match word.as_deref() {
            Ok("done") => Moved::Ended(Outcome::Succeeded { network_ref: "counter".to_owned() }),
            Ok("nothing") => Moved::NotThere,
            Ok("other") => Moved::NothingDone(NetworkRefusal::Refused),
            Ok(_) | Err(_) => Moved::Unknown,
        }
    }

    async fn write(&self, number: &str, back: bool, fen: i64) -> Moved {
        let entry = serde_json::to_string(&Entry { back, fen }).unwrap();
        let put = self.http.put(format!("{}/{number}", self.url));
        self.said(put.header("content-type", "application/json").body(entry)).await
    }

    async fn look(&self, number: &str) -> Moved {
        self.said(self.http.get(format!("{}/{number}", self.url))).await
    }
}

#[async_trait]
impl Network for Counter {
    fn name(&self) -> &'static str {
        "counter"
    }

    async fn bind(&self, number: &str, _card: CardDetails) -> BindingIs {
        // Nobody is sent a code: whoever has a deposit has shown who they are.
        let face =
            BankFace {
                bank_zh: "押金柜台".to_owned(), bank_en: "Counter".to_owned(), kind: CardKind::Debit
            };
        BindingIs::Bound { face: Some(face), token: Secret::new(number.to_owned()) }
    }

    async fn resend(&self, _number: &str) -> BindingIs {
        BindingIs::NotThere
    }

    async fn confirm(&self, _number: &str, _code: Secret<String>) -> BindingIs {
        BindingIs::NotThere
    }

    async fn binding(&self, _number: &str) -> BindingIs {
        BindingIs::NotThere
    }

    async fn unbind(&self, _token: Secret<String>) {}

    async fn debit(&self, debit: Move<'_>) -> Moved {
        self.write(debit.number, false, debit.amount.minor()).await
    }

    async fn query_debit(&self, number: &str) -> Moved {
        self.look(number).await
    }

    async fn close_debit(&self, number: &str) -> Moved {
        self.look(number).await
    }

    async fn refund(&self, back: GiveBack<'_>) -> Moved {
        self.write(back.number, true, back.amount.minor()).await
    }

    async fn query_refund(&self, back: GiveBack<'_>) -> Moved {
        self.look(back.number).await
    }

    async fn pay_out(&self, _payout: Move<'_>) -> Moved {
        Moved::NothingDone(NetworkRefusal::Refused)
    }

    async fn query_pay_out(&self, _number: &str) -> Moved {
        Moved::NotThere
    }

    async fn close_pay_out(&self, _number: &str) -> Moved {
        Moved::NotThere
    }

    async fn books(&self, _after: i64) -> Option<Vec<BookEntry>> {
        None
    }

    async fn answers(&self) -> bool {
        self.look("anything").await == Moved::NotThere
    }
}

#[tokio::test]
async fn a_network_of_ones_own_pays_and_is_refunded_through_the_wallet_as_it_is() {
    let book = Book::default();
    let network = Counter { http: rig::browser(), url: counter(Arc::clone(&book)).await };
    let rig = Rig::start_on(Outside::default().with(ISSUER_NETWORK, network)).await;
    let shop = rig.shop().await;
    let client = rig.client(&shop, false);
    let person = rig.newcomer().await;
    let token = rig.app.networks.vault.seal(Sealed::CardToken, b"a deposit");
    let card = rig.bind_with(person, token).await;
    let _courier = courier::start(
        rig.app.engine.clone(),
        rig.app.networks.clone(),
        "Koudai".into(),
        "https://wallet.example".into(),
    );

    client.native(&order(&shop, "SMALL-0001", 500)).await.unwrap();
    let paying = rig.pay(person, Some(card), &shop, "SMALL-0001").await.attempt.unwrap();
    let engine = &rig.app.engine;
    let ended = until(async || {
        let attempt = engine.read(move |r| r.get::<Attempt>(&paying)).await.unwrap().unwrap();
        (attempt.state != AttemptState::Open).then_some(attempt)
    });
    assert_eq!(ended.await.state, AttemptState::Succeeded);
    client.refund(&refund("SMALL-0001", "SMALL-R-1", 200, 500)).await.unwrap();
    until(async || client.query_refund("SMALL-R-1").await.unwrap().success_time).await;

    let mut moved: Vec<_> = book.lock().unwrap().values().copied().collect();
    moved.sort_unstable_by_key(|(_, fen)| *fen);
    assert_eq!(moved, [(Way::Back, 200), (Way::In, 500)]);
    assert_eq!(rig.standing(AccountId::clearing(ISSUER_NETWORK)).await, -300, "it owes us the rest");
}
