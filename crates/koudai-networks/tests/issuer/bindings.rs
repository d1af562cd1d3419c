//! Who may bind which card, and with which code.

use koudai_core::secret::Secret;
use koudai_networks::issuer::sandbox::Timing;
use koudai_networks::issuer::{Answer, BindRequest, BindingState, IssuerCode};

use crate::rig::{Expect, Fixture, PATIENCE, card, refused_with, request, token};

#[tokio::test]
async fn details_that_differ_from_the_banks_record_are_refused() {
    let mut f = Fixture::new().await;
    let text = |text: &str| Secret::new(text.to_owned());
    let wrong = [
        BindRequest { name: text("王芳"), ..request("m1", 1) },
        BindRequest { id_number: text(&card(7).id_number), ..request("m2", 1) },
        BindRequest { phone: text("13900000002"), ..request("m3", 1) },
        BindRequest { expiry: Some(text("11/30")), ..request("m4", 2) },
        BindRequest { cvv: Some(text("124")), ..request("m5", 2) },
        BindRequest { cvv: None, ..request("m6", 2) },
        request("m7", 4),
    ];
    for request in &wrong {
        assert_eq!(
            f.client.bind(request).await.code(),
            IssuerCode::DetailsMismatch,
            "{}",
            request.binding_id
        );
        // The answer stays, and the query tells it.
        assert_eq!(f.client.bind(request).await.code(), IssuerCode::DetailsMismatch);
        let state = f.client.binding(&request.binding_id).await.done().state;
        assert_eq!(state, BindingState::Failed { code: IssuerCode::DetailsMismatch });
        assert_eq!(f.client.resend(&request.binding_id).await.code(), IssuerCode::DetailsMismatch);
        let confirmed = f.client.confirm(&request.binding_id, text("123456")).await;
        assert_eq!(confirmed.code(), IssuerCode::DetailsMismatch);
    }
    assert!(f.messages.try_recv().is_err(), "nobody got a code");
    assert!(matches!(f.client.bind(&request("ok", 2)).await.done().state, BindingState::CodeSent(_)));
}

#[tokio::test]
async fn an_unknown_card_and_a_frozen_card_are_refused() {
    let mut f = Fixture::new().await;
    let stranger = BindRequest { card_number: Secret::new("6216261000000000018".into()), ..request("u1", 1) };
    assert_eq!(f.client.bind(&stranger).await.code(), IssuerCode::CardUnknown);
    assert_eq!(f.client.bind(&request("u2", 8)).await.code(), IssuerCode::CardFrozen);
    // Whoever does not know the details does not learn that the card is frozen.
    let guess = BindRequest { phone: Secret::new("13900000009".into()), ..request("u3", 8) };
    assert_eq!(f.client.bind(&guess).await.code(), IssuerCode::DetailsMismatch);
    assert!(f.messages.try_recv().is_err());
}

#[tokio::test]
async fn five_wrong_codes_void_the_code_and_another_one_is_sent_on_demand() {
    let mut f = Fixture::new().await;
    f.client.bind(&request("b1", 1)).await.done();
    let first = f.message().await.code();
    let wrong = if first == "000000" { "000001" } else { "000000" };
    for left in (0..5).rev() {
        let answer = f.client.confirm("b1", Secret::new(wrong.to_owned())).await;
        assert_eq!(answer, Answer::Refused { code: IssuerCode::CodeWrong, tries_left: Some(left) });
    }
    assert_eq!(f.client.confirm("b1", Secret::new(first)).await.code(), IssuerCode::CodeExpired);
    f.client.resend("b1").await.done();
    let second = f.message().await.code();
    token(&f.client.confirm("b1", Secret::new(second)).await.done());
}

#[tokio::test]
async fn parallel_guesses_do_not_outrun_the_count() {
    let mut f = Fixture::new().await;
    f.client.bind(&request("b1", 1)).await.done();
    let right = f.message().await.code();
    let guesses: Vec<_> = (0..20_u32)
        .map(|n| {
            let (client, code) = (f.client.clone(), format!("{n:06}"));
            assert_ne!(code, right, "one in fifty thousand: run again");
            tokio::spawn(async move { client.confirm("b1", Secret::new(code)).await })
        })
        .collect();
    let mut counted = 0;
    for guess in guesses {
        match guess.await.unwrap() {
            Answer::Refused { code: IssuerCode::CodeWrong, .. } => counted += 1,
            other => assert_eq!(other, refused_with(IssuerCode::CodeExpired)),
        }
    }
    assert_eq!(counted, 5);
}

#[tokio::test]
async fn a_code_expires_and_may_be_sent_again_only_so_often() {
    let mut f =
        Fixture::with(Timing { code_life_ms: 0, resend_gap_ms: 0, ..Timing::default() }, PATIENCE).await;
    f.client.bind(&request("b1", 1)).await.done();
    let code = f.message().await.code();
    assert_eq!(f.client.confirm("b1", Secret::new(code)).await.code(), IssuerCode::CodeExpired);
    for _ in 0..5 {
        f.client.resend("b1").await.done();
        f.message().await;
    }
    assert_eq!(f.client.resend("b1").await.code(), IssuerCode::TooMany);
    assert!(f.messages.try_recv().is_err());
}

#[tokio::test]
async fn a_code_is_not_sent_again_within_a_minute() {
    let f = Fixture::with(Timing::default(), PATIENCE).await;
    f.client.bind(&request("b1", 1)).await.done();
    assert_eq!(f.client.resend("b1").await.code(), IssuerCode::TooSoon);
}

#[tokio::test]
async fn a_resent_code_replaces_the_one_before() {
    let mut f = Fixture::new().await;
    f.client.bind(&request("b1", 1)).await.done();
    let first = f.message().await.code();
    f.client.resend("b1").await.done();
    let second = f.message().await.code();
    if first != second {
        let answer = f.client.confirm("b1", Secret::new(first)).await;
        assert_eq!(answer, Answer::Refused { code: IssuerCode::CodeWrong, tries_left: Some(4) });
    }
    token(&f.client.confirm("b1", Secret::new(second)).await.done());
}
