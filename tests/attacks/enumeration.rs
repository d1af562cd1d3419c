//! Finding out who has an account: by what is answered, and by how long it takes.

use std::time::{Duration, Instant};

use crate::house::{House, PASSWORD, PHONE};

/// What differs from one reply to the next whoever asks: the number that was typed, and the reference.
fn plain(text: &str, typed: &str) -> String {
    let text = text.replace(typed, "");
    let Some((before, rest)) = text.split_once("class=\"ref\">") else { return text };
    let after = rest.split_once('<').map_or("", |(_, after)| after);
    format!("{before}{after}")
}

#[tokio::test]
async fn every_way_in_answers_strangers_and_holders_alike() {
    let house = House::start().await;
    let mut owner = house.signed_in(PHONE).await;
    owner.post("/security/password", &[("password", PASSWORD)]).await;
    house.later();
    let nobody = "13912349999";
    let ways = [
        ("/login/code", "phone"),
        ("/login/password", "account"),
        ("/recover/password/code", "phone"),
        ("/recover/phone", "account"),
    ];
    for (path, name) in ways {
        let mut answers = vec![];
        for account in [PHONE, nobody] {
            let mut stranger = house.browser();
            let fields = [(name, account), ("password", "a guess of mine")];
            let reply = stranger.post(path, &fields).await;
            let names: Vec<String> = stranger.cookies.into_keys().collect();
            answers.push((reply.status, reply.location, plain(&reply.text, account), names));
        }
        assert_eq!(answers[0], answers[1], "{path}");
    }
}

/// How much longer one account takes than another: the median of pairs tried one after the other, by turns the one and the other
/// first, so that what else goes on meets both alike. In microseconds, either way.
async fn difference(pairs: u32, mut of: impl AsyncFnMut(u32, bool) -> Duration) -> i128 {
    let us = |time: Duration| i128::try_from(time.as_micros()).unwrap();
    let mut differences = vec![];
    for n in 0..pairs {
        let first = of(n, n % 2 == 0).await;
        let second = of(n, n % 2 == 1).await;
        let (here, not) = if n % 2 == 0 { (first, second) } else { (second, first) };
        differences.push(us(here) - us(not));
    }
    differences.sort_unstable();
    differences[differences.len() / 2].abs()
}

#[tokio::test]
async fn how_long_an_answer_takes_does_not_tell_either() {
    let house = House::start().await;
    let mut owner = house.signed_in(PHONE).await;
    owner.post("/security/password", &[("password", PASSWORD)]).await;
    // Each try from an address of its own and in a while of its own, so that all of them are judged.
    let password = difference(60, async |n, here| {
        let mut stranger = house.browser();
        stranger.forwarded = Some(format!("198.18.{}.{}", n % 256, u8::from(here)));
        house.later();
        house.later();
        house.later();
        let account = if here { PHONE } else { "13912349999" };
        let began = Instant::now();
        let reply = stranger.post("/login/password", &[("account", account), ("password", "a guess")]).await;
        let took = began.elapsed();
        assert_eq!(reply.refusal(), "SIGN_IN_WRONG");
        took
    });
    let password = password.await;
    assert!(password < 1_000, "passwords: {password} us");

    let code = difference(200, async |n, here| {
        let mut stranger = house.browser();
        stranger.forwarded = Some(format!("198.19.{}.{}", n % 256, u8::from(here)));
        house.clock.advance(koudai_core::time::DAY);
        let account = if here { PHONE } else { "13912349998" };
        let began = Instant::now();
        let reply = stranger.post("/login/code", &[("phone", account)]).await;
        let took = began.elapsed();
        assert_eq!(reply.status, 303);
        took
    });
    let code = code.await;
    assert!(code < 1_000, "codes: {code} us");
}
