//! The sandbox bank itself: its file, its books, its page, its messages.

use koudai_core::secret::Secret;
use koudai_networks::issuer::sandbox::{App, BankError, BankSettings, SandboxBank, Timing, test_cards};
use koudai_networks::issuer::{BindingState, IssuerCode, Outcome};
use koudai_networks::sms::{SmsError, SmsGateway};

use crate::inbox::{INBOX_TOKEN, inbox, listen};
use crate::rig::{APP, Expect, Fixture, card, request, token};

#[tokio::test]
async fn the_bank_keeps_everything_over_a_restart() {
    let mut f = Fixture::new().await;
    let token = f.bound(1).await;
    let debit = f.debit("d1", &token, 500).await.done();
    let refund = f.refund("r1", "d1", 200).await.done();
    let closed = f.client.close_debit("d2").await.done();
    f.client.bind(&request("b2", 2)).await.done();
    let code = f.message().await.code();
    let books = f.client.books(0).await.done();

    let mut f = f.restart().await;
    assert_eq!(f.client.query_debit("d1").await.done(), debit);
    assert_eq!(f.debit("d1", &token, 500).await.done(), debit);
    assert_eq!(f.debit("d1", &token, 501).await.code(), IssuerCode::IdReused);
    assert_eq!(f.refund("r1", "d1", 200).await.done(), refund);
    assert_eq!(f.debit("d2", &token, 500).await.done(), closed);
    assert_eq!(f.client.books(0).await.done(), books);
    // The code sent before still counts, and the token from before still pays.
    let bound = f.client.confirm("b2", Secret::new(code)).await.done();
    assert!(matches!(bound.state, BindingState::Bound { .. }));
    assert_eq!(f.debit("d3", &token, 100).await.done().outcome, Outcome::Succeeded);
    assert_eq!(f.client.books(books[1].no).await.done().len(), 1);
    assert!(f.bank.books_agree().await.unwrap());
    assert!(f.messages.try_recv().is_err());
}

/// The journal as the bank's first version kept it.
const FIRST_VERSION: &str = "
DROP TABLE payout;
ALTER TABLE journal RENAME TO later;
CREATE TABLE journal (
    journal_no     INTEGER NOT NULL PRIMARY KEY,
    kind           TEXT    NOT NULL CHECK (kind IN ('opening', 'debit', 'refund')),
    id             TEXT    NOT NULL,
    debit_account  INTEGER NOT NULL REFERENCES account,
    credit_account INTEGER NOT NULL REFERENCES account CHECK (credit_account <> debit_account),
    amount_minor   INTEGER NOT NULL CHECK (amount_minor > 0),
    at_ms          INTEGER NOT NULL,
    UNIQUE (kind, id)
) STRICT;
INSERT INTO journal SELECT * FROM later;
DROP TABLE later;
PRAGMA user_version = 1;
";

#[tokio::test]
async fn a_bank_from_before_payouts_keeps_its_books_and_learns_them() {
    let mut f = Fixture::new().await;
    let token = f.bound(1).await;
    let debit = f.debit("d1", &token, 500).await.done();
    f.refund("r1", "d1", 200).await.done();
    let books = f.client.books(0).await.done();
    let f = f
        .restart_after(|dir| {
            let file = rusqlite::Connection::open(dir.join("bank.db")).unwrap();
            file.execute_batch(FIRST_VERSION).unwrap();
        })
        .await;
    assert_eq!(f.client.query_debit("d1").await.done(), debit);
    assert_eq!(f.client.books(0).await.done(), books);
    assert_eq!(f.pay_out("p1", &token, 300).await.done().outcome, Outcome::Succeeded);
    assert!(f.bank.books_agree().await.unwrap());
}

#[tokio::test]
async fn a_second_bank_in_the_same_directory_is_refused() {
    let f = Fixture::new().await;
    let app =
        App { id: APP.into(), name_zh: String::new(), name_en: String::new(), key: f.app_key.public_key() };
    let settings =
        BankSettings { key: f.bank_key.clone(), app, sms: None, inbox_url: None, timing: Timing::default() };
    assert!(matches!(SandboxBank::open(f.dir.path(), settings), Err(BankError::Store(_))));
}

#[tokio::test]
async fn nothing_a_holder_typed_is_in_the_banks_file_but_what_the_bank_knew() {
    let mut f = Fixture::new().await;
    f.client.bind(&request("b1", 2)).await.done();
    let mut code = f.message().await.code();
    while test_cards().iter().any(|card| card.number.contains(&code)) {
        f.client.resend("b1").await.done();
        code = f.message().await.code();
    }
    let token = token(&f.client.confirm("b1", Secret::new(code.clone())).await.done());
    f.debit("d1", &token, 500).await.done();
    for file in std::fs::read_dir(f.dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for text in [code.as_str(), "12/30", &card(2).id_number, &card(2).name, "13900000001"] {
            assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
        }
    }
}

#[tokio::test]
async fn the_books_are_read_page_by_page() {
    let mut f = Fixture::new().await;
    let token = f.bound(1).await;
    for n in 0..205 {
        f.debit(&format!("d{n}"), &token, 1).await.done();
    }
    let first = f.client.books(0).await.done();
    assert_eq!(first.len(), 200);
    let second = f.client.books(first[199].no).await.done();
    assert_eq!(
        second.iter().map(|line| line.id.as_str()).collect::<Vec<_>>(),
        ["d200", "d201", "d202", "d203", "d204"]
    );
    assert!(f.client.books(second[4].no).await.done().is_empty());
}

#[tokio::test]
async fn the_message_gateway_is_told_who_asks_and_its_refusals_are_errors() {
    let (url, mut messages) = inbox().await;
    let gateway = SmsGateway::new(&url, &Secret::new(INBOX_TOKEN.into())).unwrap();
    gateway.send("13800138000", "你好").await.unwrap();
    let message = messages.recv().await.unwrap();
    assert_eq!((message.to.as_str(), message.text.as_str()), ("13800138000", "你好"));
    assert!(!format!("{gateway:?}").contains(INBOX_TOKEN));

    let stranger = SmsGateway::new(&url, &Secret::new("wrong".into())).unwrap();
    assert!(matches!(stranger.send("1", "x").await, Err(SmsError::Refused(401))));
    let (address, listener) = listen().await;
    drop(listener);
    let nobody = SmsGateway::new(&format!("http://{address}/"), &Secret::new("t".into())).unwrap();
    assert!(matches!(nobody.send("1", "x").await, Err(SmsError::NoAnswer(_))));
    assert!(SmsGateway::new("file:///x", &Secret::new("t".into())).is_err());
    assert!(SmsGateway::new(&url, &Secret::new("a\nb".into())).is_err());
}

#[tokio::test]
async fn the_page_shows_every_card_in_the_readers_language() {
    let mut f = Fixture::new().await;
    let token = f.bound(1).await;
    f.debit("d-on-the-page", &token, 8_800).await.done();
    let get = async |path: &str, language: &str| {
        let url = format!("{}{path}", f.url);
        let response =
            reqwest::Client::new().get(url).header("accept-language", language).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    };
    let (zh, en) = (get("/", "zh-CN").await, get("/", "en-GB,en").await);
    for card in test_cards() {
        for page in [&zh, &en] {
            assert!(page.contains(&card.id_number) && page.contains(&card.phone), "card {}", card.no);
        }
    }
    assert!(zh.contains("¥49,912.00") && zh.contains("d-on-the-page") && zh.contains("data-minor=\"8800\""));
    assert!(zh.contains("身份证号") && en.contains("Card number") && !en.contains("身份证号"));
    assert!(zh.contains("<span>6299</span><span>9900</span>"));
    assert!(get("/style.css", "").await.contains("--pocket"));
}
