//! Who somebody is there, and the pages of the sandbox.

use koudai_core::secret::Secret;
use koudai_networks::alipay::sandbox::{APP_ID, user_id};
use koudai_networks::network::{Network, Place, Who};

use crate::rig::{Fixture, Mode, moving, now};

#[tokio::test]
async fn a_person_says_who_they_are_and_their_code_is_good_once() {
    for mode in [Mode::Keys, Mode::Certificates] {
        let f = Fixture::by(mode, "http://127.0.0.1:9/", now).await;
        let back = "http://127.0.0.1:9/back?from=1";
        let page = f.client.ask_who_at(back, "st&te").unwrap();
        let html = reqwest::get(&page).await.unwrap().text().await.unwrap();
        assert!(html.contains("value=\"http://127.0.0.1:9/back?from=1\"") && html.contains("李明"), "{html}");
        let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let mut form: reqwest::Url = "http://localhost/".parse().unwrap();
        form.query_pairs_mut().extend_pairs([
            ("app_id", APP_ID),
            ("redirect_uri", back),
            ("state", "st&te"),
            ("person", "7"),
        ]);
        let said = browser.post(format!("{}/oauth2/publicAppAuthorize.htm", f.url));
        let said = said.header("content-type", "application/x-www-form-urlencoded");
        let said = said.body(form.query().unwrap().to_owned()).send().await.unwrap();
        let location: reqwest::Url = said.headers()["location"].to_str().unwrap().parse().unwrap();
        let value = |name: &str| {
            location.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned()).unwrap()
        };
        assert_eq!((value("state").as_str(), value("from").as_str()), ("st&te", "1"));
        let code = Secret::new(value("auth_code"));
        let Who::Is(known) = f.client.who(code.clone()).await else { panic!() };
        assert_eq!(*known.expose(), user_id(7));
        assert!(matches!(f.client.who(code).await, Who::Refused), "it was used");
        assert!(matches!(f.client.who(Secret::new("x".to_owned())).await, Who::Refused));
        // A code for paying says nothing of who somebody is.
        assert!(matches!(f.client.who(f.code(1).await).await, Who::Refused));
    }
}

#[tokio::test]
async fn nobody_is_sent_anywhere_for_another_app() {
    let f = Fixture::new().await;
    let page = format!("{}/oauth2/publicAppAuthorize.htm", f.url);
    for query in [
        "app_id=1&scope=auth_base&redirect_uri=http://a.org",
        &format!("app_id={APP_ID}&scope=all&redirect_uri=http://a.org"),
        &format!("app_id={APP_ID}&scope=auth_base&redirect_uri=javascript:alert(1)"),
        &format!("app_id={APP_ID}&scope=auth_base&redirect_uri=%2F%2Fa.org"),
    ] {
        let status = reqwest::get(format!("{page}?{query}")).await.unwrap().status();
        assert_eq!(status, 400, "{query}");
    }
}

#[tokio::test]
async fn the_face_of_it_and_its_pages_in_both_languages() {
    let mut f = Fixture::new().await;
    let face = f.client.wallet().unwrap();
    assert_eq!((face.zh, face.en, face.marks), ("支付宝", "Alipay", &["AlipayClient"][..]));
    assert_eq!(face.places, [Place::Computer, Place::Phone, Place::Inside]);
    assert!(face.asks_who && face.pays_out);
    let number = f.number();
    f.client
        .debit(koudai_networks::network::Move {
            what_for: "<script>alert(1)</script>",
            ..moving(&number, 8_800)
        })
        .await;
    let code = match f.invited(&number) {
        koudai_networks::network::Invitation::Scan(code) => code,
        other => panic!("{other:?}"),
    };
    let get = |url: String, language: &'static str| async move {
        let get = reqwest::Client::new().get(url).header("accept-language", language).send().await.unwrap();
        get.text().await.unwrap()
    };
    let page = get(code.clone(), "zh-CN").await;
    assert!(page.contains("确认付款") && page.contains("¥88.00") && !page.contains("<script>"), "{page}");
    assert!(get(code.clone(), "en").await.contains("Who pays"));
    f.person(&code, 2, "agree").await;
    assert!(get(code, "en").await.contains("data-paid=\"true\""));
    let home = get(f.url.clone(), "en").await;
    assert!(home.contains(&number) && home.contains("Its people"));
    assert_eq!(reqwest::get(format!("{}/alipay.css", f.url)).await.unwrap().status(), 200);
    assert_eq!(reqwest::get(format!("{}/pay/0", f.url)).await.unwrap().status(), 404);
}
