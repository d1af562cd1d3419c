//! Attacks on what payments are confirmed by.

use koudai_core::ledger::AccountId;

use crate::authenticator::Authenticator;
use crate::house::{Browser, House, PHONE};
use crate::rig::PIN;

/// Somebody with 1,000.00 and a passkey that may pay.
async fn payer<'a>(house: &'a House, passkey: &mut Authenticator) -> Browser<'a> {
    let mut phone = house.signed_in(PHONE).await;
    let person = house.person(PHONE).await;
    let card = house.rig.bind(person).await;
    house.rig.top_up(person, card, 100_000).await;
    let options = phone.options("/security/passkeys/new").await;
    phone.post("/security/passkeys", &[("answer", &passkey.make(&options))]).await;
    let list = phone.post_json("/security/passkeys/none/pay/off", &[]).await;
    assert_eq!(list.refusal(), "RECORD_UNKNOWN");
    let id =
        phone.options("/security/passkeys").await["passkeys"][0]["passkey_id"].as_str().unwrap().to_owned();
    let allowed = phone.post(&format!("/security/passkeys/{id}/pay"), &[("payment_password", PIN)]).await;
    assert_eq!(allowed.status, 303, "{}", allowed.refusal());
    phone
}

#[tokio::test]
async fn an_answer_for_one_order_pays_none_of_a_hundred_others_sent_at_once_and_its_own_once() {
    let house = House::start().await;
    let mut passkey = Authenticator::new(1, &house.origin);
    let mut phone = payer(&house, &mut passkey).await;
    let shop = house.rig.shop().await;
    let meant = house.order(&shop, "meant", 100).await;
    let mut others = vec![];
    for n in 0..100 {
        // Of the same amount, a fen more, a hundred times as much.
        let fen = [100, 101, 10_000][n % 3];
        others.push(house.order(&shop, &format!("other-{n}"), fen).await);
    }
    let options = phone.post_json(&format!("{meant}/passkey"), &[("method", "balance")]).await.json();
    let answer = passkey.answer(&options);
    let fields = [("method", "balance"), ("passkey", answer.as_str())];
    let send = |path: String| {
        let mut twin = house.browser();
        twin.cookies.clone_from(&phone.cookies);
        async move { twin.post_json(&path, &fields).await.refusal() }
    };
    let answers = futures_util::future::join_all(others.into_iter().map(send)).await;
    assert!(answers.iter().all(|refusal| refusal == "PASSKEY_REFUSED"), "{answers:?}");
    let own = (0..100).map(|_| send(meant.clone()));
    let answers = futures_util::future::join_all(own).await;
    assert!(answers.iter().any(String::is_empty), "{answers:?}");
    let person = AccountId::person(house.person(PHONE).await);
    assert_eq!(house.rig.standing(person).await, 100_000 - 100, "its own is paid, once");
}
