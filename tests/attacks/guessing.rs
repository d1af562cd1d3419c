//! Guessing codes and passwords: online, from many addresses, at one account or at many.

use koudai_core::refusal::Refusal;
use koudai_core::rows::{Allowance, CodePurpose, Session};
use koudai_core::time::DAY;
use tokio::io::AsyncWriteExt;

use crate::house::{House, PASSWORD, PHONE};
use crate::rig::Rig;

/// How many sessions there are.
async fn sessions(rig: &Rig) -> usize {
    rig.app.engine.read(koudai_store::Reader::all::<Session>).await.unwrap().len()
}

fn from(address: u32) -> String {
    format!("198.{}.{}.7", 18 + address / 256 % 2, address % 256)
}

#[tokio::test]
async fn a_code_is_not_guessed_however_many_addresses_try() {
    let house = House::start().await;
    let mut thief = house.browser();
    let sent = thief.post("/login/code", &[("phone", PHONE)]).await;
    assert_eq!(sent.location, "/login/code");
    let right = house.code(PHONE, CodePurpose::SignIn).await;
    let (mut judged, mut guess) = (0, 0_u32);
    for n in 0..1_000 {
        guess += u32::from(format!("{guess:06}") == right);
        let code = format!("{guess:06}");
        thief.forwarded = Some(from(n));
        let reply = thief.post("/login", &[("phone", PHONE), ("code", &code), ("agree", "yes")]).await;
        match reply.refusal().as_str() {
            "CODE_WRONG" => judged += 1,
            refusal => assert_eq!(refusal, "CODE_EXPIRED", "{}", reply.text),
        }
        guess += 1;
    }
    assert_eq!(judged, 5, "of a thousand guesses");
    assert_eq!(sessions(&house.rig).await, 0);
}

#[tokio::test]
async fn a_day_of_asking_for_codes_gives_fifty_tries_at_one_account() {
    let house = House::start().await;
    let mut judged = 0;
    for n in 0..200 {
        let mut thief = house.browser();
        thief.forwarded = Some(from(n));
        thief.post("/login/code", &[("phone", PHONE)]).await;
        for _ in 0..6 {
            let fields = [("phone", PHONE), ("code", "not it"), ("agree", "yes")];
            judged += u32::from(thief.post("/login", &fields).await.refusal() == "CODE_WRONG");
        }
        house.clock.advance(DAY / 200 - 1);
    }
    assert!(
        judged <= 100,
        "ten codes on each of the two days that a day of 24 hours touches, five tries each: {judged}"
    );
}

#[tokio::test]
async fn a_password_is_not_guessed_from_one_address_at_many_accounts_or_from_many_at_one() {
    let house = House::start().await;
    let mut owner = house.signed_in(PHONE).await;
    owner.post("/security/password", &[("password", PASSWORD)]).await;
    let wrong = async |account: &str, address: u32| {
        let mut thief = house.browser();
        thief.forwarded = Some(from(address));
        thief
            .post("/login/password", &[("account", account), ("password", "a guess of mine")])
            .await
            .refusal()
    };
    let mut judged = 0;
    for n in 0..12 {
        judged += u32::from(wrong(PHONE, n).await == "SIGN_IN_WRONG");
    }
    assert_eq!(judged, 5, "at one account, from many addresses");
    judged = 0;
    for n in 0..60 {
        judged += u32::from(wrong(&format!("137{n:08}"), 400).await == "SIGN_IN_WRONG");
    }
    assert_eq!(judged, 50, "from one address, at many accounts");

    // Its owner, on the phone they always use, is not kept out by any of it.
    owner.sign_out().await;
    let back = owner.post("/login/password", &[("account", PHONE), ("password", PASSWORD)]).await;
    assert_eq!((back.status, back.location.as_str()), (303, "/"), "{}", back.refusal());
}

#[tokio::test]
async fn a_try_counts_though_whoever_made_it_hangs_up_before_it_is_answered() {
    let house = House::start().await;
    let mut answered = 0;
    for n in 0..30 {
        let body = format!("account=137{n:08}&password=a+guess+of+mine");
        let request = format!(
            "POST /login/password HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = tokio::net::TcpStream::connect(house.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        // Now sooner, now later: some hang up while their password is hashed.
        tokio::time::sleep(std::time::Duration::from_millis(n % 15)).await;
        answered += u32::from(stream.try_read(&mut [0; 1]).is_ok());
    }
    // All that was tried is counted for the address; of those who hung up, as many as had got so far.
    crate::rig::until(async || {
        let rows = house.rig.app.engine.read(koudai_store::Reader::all::<Allowance>).await.unwrap();
        rows.iter().map(|row| row.used).max().filter(|used| *used > answered)
    })
    .await;
}

#[tokio::test]
async fn a_code_opens_one_session_however_many_send_it_at_once() {
    let house = House::start().await;
    let mut phone = house.browser();
    phone.post("/login/code", &[("phone", PHONE)]).await;
    let code = house.code(PHONE, CodePurpose::SignIn).await;
    let fields = [("phone", PHONE), ("code", code.as_str()), ("agree", "yes")];
    let tries = (0..200).map(|_| {
        let mut twin = house.browser();
        twin.cookies.clone_from(&phone.cookies);
        async move { twin.post("/login", &fields).await.status }
    });
    let statuses = futures_util::future::join_all(tries).await;
    assert_eq!(statuses.iter().filter(|status| **status == 303).count(), 1);
    assert_eq!(sessions(&house.rig).await, 1);
}

#[tokio::test]
async fn of_a_thousand_wrong_payment_passwords_at_once_five_are_judged() {
    let house = House::start().await;
    let (person, card) = house.rig.person_with_card().await;
    let engine = &house.rig.app.engine;
    let tries = (0..1_000_u32).map(|n| {
        let pin = koudai_core::payment_password::Pin::parse(&format!("{:06}", 200_000 + n)).unwrap();
        let top_up = koudai_core::top_up::StartTopUp {
            person,
            number: format!("guess-{n:06}"),
            card,
            at: None,
            amount: koudai_core::money::Money::fen(100).unwrap(),
            confirmed: pin.into(),
        };
        async move { engine.submit(top_up).await.err() }
    });
    let answers = futures_util::future::join_all(tries).await;
    let mut judged = 0;
    for answer in answers {
        match answer {
            Some(koudai_engine::Failed::Refused(Refusal::PaymentPasswordWrong { .. })) => judged += 1,
            Some(
                koudai_engine::Failed::Refused(Refusal::PaymentPasswordLocked { .. })
                | koudai_engine::Failed::Busy,
            ) => {}
            other => panic!("{other:?}"),
        }
    }
    // The fifth is the one that locks.
    assert_eq!(judged, 4);
}
