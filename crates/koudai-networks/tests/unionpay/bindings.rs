//! Opening cards: whose they are, codes, and what is left when something is lost on the way.

use koudai_core::card::CardKind;
use koudai_core::refusal::Refusal;
use koudai_core::secret::Secret;
use koudai_networks::faults::{Fault, Rule};
use koudai_networks::network::{BindingIs, Moved, Network};

use crate::rig::{Fixture, credit_card, debit_card, details, moving, now};

fn refused(is: &BindingIs) -> Option<Refusal> {
    if let BindingIs::Refused(refusal) = is { Some(*refusal) } else { None }
}

#[tokio::test]
async fn debit_and_credit_cards_are_opened_with_the_code_their_holder_got() {
    let mut f = Fixture::new().await;
    for (card, bank) in [(debit_card(1), "平安银行"), (credit_card(1), "华夏银行")] {
        let number = f.binding_number();
        let BindingIs::CodeSent(face) = f.client.bind(&number, details(card)).await else { panic!() };
        assert_eq!((face.bank_zh.as_str(), face.kind), (bank, card.kind));
        let code = f.code().await;
        let wrong = Secret::new(if code.expose() == "000000" { "000001" } else { "000000" }.to_owned());
        assert!(matches!(f.client.confirm(&number, wrong).await, BindingIs::CodeWrong));
        assert!(matches!(f.client.binding(&number).await, BindingIs::CodeSent(_)));
        let BindingIs::Bound { face, token } = f.client.confirm(&number, code.clone()).await else {
            panic!()
        };
        assert_eq!(face.unwrap().kind, card.kind);
        assert!(
            !token.expose().contains(&card.number) && card.kind != CardKind::Debit
                || token.expose().len() == 19
        );
        // Asked again, it says the same, and nothing is held of the card by now.
        let BindingIs::Bound { face: None, token: again } = f.client.binding(&number).await else { panic!() };
        assert_eq!(again.expose(), token.expose());
        let BindingIs::Bound { token: again, .. } = f.client.confirm(&number, code).await else { panic!() };
        assert_eq!(again.expose(), token.expose());
    }
}

#[tokio::test]
async fn each_refusal_says_what_is_wrong_and_no_more() {
    let mut f = Fixture::new().await;
    let card = debit_card(1);
    let mut unknown = details(card);
    unknown.number = Secret::new("6216261000000099991".to_owned());
    let mut phone = details(card);
    phone.phone = Secret::new("13900000002".to_owned());
    for (card, refusal) in [
        (unknown, Refusal::CardNumberInvalid),
        (phone, Refusal::CardDetailsMismatch),
        (details(debit_card(37)), Refusal::CardNotOpened),
        (details(debit_card(39)), Refusal::CardNotUsable),
    ] {
        let number = f.binding_number();
        assert_eq!(refused(&f.client.bind(&number, card).await), Some(refusal));
        assert!(matches!(f.client.binding(&number).await, BindingIs::NotThere));
    }
    // Name, ID number and the card's back are compared when it is opened.
    let mut name = details(card);
    name.name = Secret::new("李白".to_owned());
    let mut back = details(credit_card(1));
    back.cvv = Some(Secret::new("321".to_owned()));
    for card in [name, back] {
        let number = f.binding_number();
        assert!(matches!(f.client.bind(&number, card).await, BindingIs::CodeSent(_)));
        let code = f.code().await;
        let is = f.client.confirm(&number, code).await;
        assert_eq!(refused(&is), Some(Refusal::CardDetailsMismatch));
    }
}

#[tokio::test]
async fn a_code_that_did_not_come_is_sent_again_and_the_one_before_is_void() {
    let mut f = Fixture::new().await;
    let number = f.binding_number();
    f.client.bind(&number, details(debit_card(1))).await;
    let first = f.code().await;
    assert!(matches!(f.client.resend(&number).await, BindingIs::CodeSent(_)));
    let second = f.code().await;
    if first.expose() != second.expose() {
        assert!(matches!(f.client.confirm(&number, first).await, BindingIs::CodeWrong));
    }
    assert!(matches!(f.client.confirm(&number, second).await, BindingIs::Bound { .. }));
    let never = f.binding_number();
    assert_eq!(refused(&f.client.resend(&never).await), Some(Refusal::BindingExpired));
}

#[tokio::test]
async fn five_wrong_codes_end_it() {
    let mut f = Fixture::new().await;
    let number = f.binding_number();
    f.client.bind(&number, details(debit_card(1))).await;
    let code = f.code().await;
    let wrong = Secret::new(if code.expose() == "000000" { "000001" } else { "000000" }.to_owned());
    for _ in 0..4 {
        assert!(matches!(f.client.confirm(&number, wrong.clone()).await, BindingIs::CodeWrong));
    }
    assert_eq!(refused(&f.client.confirm(&number, wrong).await), Some(Refusal::TooManyBindings));
    // The card is forgotten with it, so that nothing is tried any more.
    assert_eq!(refused(&f.client.confirm(&number, code).await), Some(Refusal::BindingExpired));
}

#[tokio::test]
async fn an_opening_whose_answer_was_lost_is_found_again_even_by_a_program_that_knows_nothing_of_it() {
    let mut f = Fixture::new().await;
    let (lost, never) = (f.binding_number(), f.binding_number());
    f.client.bind(&lost, details(debit_card(1))).await;
    let code = f.code().await;
    f.sandbox.set_faults(vec![Rule::once("open", Fault::Drop)]).unwrap();
    assert!(matches!(f.client.confirm(&lost, code.clone()).await, BindingIs::Unknown));
    f.client.bind(&never, details(debit_card(2))).await;
    let unused = f.code().await;
    // Another program, as after a restart: it holds no card.
    let other = f.client_at(now);
    let BindingIs::Bound { face: None, token } = other.binding(&lost).await else { panic!() };
    assert!(matches!(other.confirm(&lost, code).await, BindingIs::Bound { face: None, .. }));
    assert_eq!(refused(&other.confirm(&never, unused).await), Some(Refusal::BindingExpired));
    let number = f.number();
    assert!(matches!(other.debit(moving(&token, &number, 100)).await, Moved::Ended(_)));
}

#[tokio::test]
async fn a_token_that_was_given_up_pays_no_more() {
    let mut f = Fixture::new().await;
    let token = f.bound(debit_card(1)).await;
    f.client.unbind(token.clone()).await;
    let number = f.number();
    let gone = Moved::NothingDone(koudai_core::rows::NetworkRefusal::CardNotUsable);
    assert_eq!(f.client.debit(moving(&token, &number, 100)).await, gone);
    assert!(f.sandbox.books_agree().await.unwrap());
}
