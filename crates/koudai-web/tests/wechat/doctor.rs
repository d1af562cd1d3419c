//! A contract that is looked over: the platform takes all of it, or each part that is wrong is named.

use koudai_core::secret::Secret;
use koudai_core::time::HOUR;
use koudai_networks::faults::{Fault, Rule};
use koudai_networks::wechat::{Finding, Settings, Verdict, WeChat};
use koudai_wechatpay::aead::ApiV3Key;
use koudai_wechatpay::keys::PrivateKey;

use crate::ground::Ground;
use crate::rig::{PUBLIC_KEY_ID, now_s};

async fn examined(settings: Settings) -> Vec<Finding> {
    WeChat::new(settings).unwrap().examine().await
}

/// What is not fine, and how it stands.
fn ails(found: &[Finding]) -> Vec<(&str, Verdict)> {
    let ails = found.iter().filter(|one| one.verdict != Verdict::Fine);
    ails.map(|one| (one.part, one.verdict)).collect()
}

fn says<'a>(found: &'a [Finding], part: &str) -> &'a str {
    &found.iter().find(|one| one.part == part).unwrap_or_else(|| panic!("{part}: {found:?}")).says
}

#[tokio::test]
async fn a_contract_that_the_platform_takes_is_fine_in_both_modes_and_leaves_nothing_open() {
    let g = Ground::new().await;
    let both = examined(g.settings()).await;
    assert_eq!((ails(&both), both.len()), (vec![], 8), "{both:?}");
    let by_certificates = examined(g.settings_with(vec![])).await;
    assert_eq!(ails(&by_certificates), []);
    let key = g.rig.platform_keys().get(PUBLIC_KEY_ID).unwrap().clone();
    let by_public_key = examined(g.settings_with(vec![(PUBLIC_KEY_ID.to_owned(), key)])).await;
    assert_eq!(ails(&by_public_key), []);
    let orders = g.rig.app.engine.read(koudai_store::Reader::all::<koudai_core::rows::Order>).await.unwrap();
    assert_eq!(orders.len(), 3);
    let closed = koudai_core::rows::OrderState::Closed;
    assert!(orders.iter().all(|order| order.state == closed && order.amount.minor() == 1), "{orders:?}");
}

#[tokio::test]
async fn each_part_that_is_wrong_is_named_with_what_to_do() {
    let g = Ground::new().await;
    let wrong = |part| vec![(part, Verdict::Wrong)];

    let mut settings = g.settings();
    settings.api = "http://127.0.0.1:9".to_owned();
    assert_eq!(ails(&examined(settings).await), wrong("the platform"));

    let settings = Settings { clock: || now_s() + HOUR / 1_000, ..g.settings() };
    let found = examined(settings).await;
    assert_eq!(ails(&found), wrong("this machine's clock"));
    assert!(says(&found, "this machine's clock").contains("s from the platform's"));

    let mut settings = g.settings();
    settings.identities[0].key = PrivateKey::generate();
    let found = examined(settings).await;
    assert_eq!(ails(&found), wrong("mchid, certificate and key"));
    assert!(says(&found, "mchid, certificate and key").contains("the key of the certificate"), "{found:?}");

    let settings = Settings { api_v3_key: ApiV3Key::generate(), ..g.settings_with(vec![]) };
    let found = examined(settings).await;
    assert_eq!(ails(&found), wrong("apiv3-key"));
    assert!(says(&found, "apiv3-key").contains("does not open"));

    // Another's key under the right name: nothing that comes back is believed.
    let another = PrivateKey::generate().public_key();
    let found = examined(g.settings_with(vec![(PUBLIC_KEY_ID.to_owned(), another)])).await;
    assert_eq!(ails(&found), wrong("the platform's keys"));

    let settings = Settings { appid: "wx0000000000000000".to_owned(), ..g.settings() };
    let found = examined(settings).await;
    assert!(says(&found, "appid and native orders").contains("not bound"), "{found:?}");

    let secret = Some(Secret::new("f".repeat(32)));
    let found = examined(Settings { app_secret: secret, ..g.settings() }).await;
    assert_eq!(ails(&found), wrong("app-secret"));
    assert!(!format!("{found:?}").contains("ffff"), "no secret is shown");

    for (call, part) in
        [("transfer", "payouts"), ("trade_bill", "bills"), ("native", "appid and native orders")]
    {
        let call = if call == "transfer" { "query_transfer" } else { call };
        g.wrong(&[Rule::once(call, Fault::Refuse { code: "NO_AUTH".to_owned() })]);
        let found = examined(g.settings()).await;
        assert_eq!(ails(&found), wrong(part));
        assert!(says(&found, part).contains("not part of the contract"), "{found:?}");
    }
    g.wrong(&[Rule::once("query", Fault::Down)]);
    let found = examined(g.settings()).await;
    let unsure = [("mchid, certificate and key", Verdict::Unsure)];
    assert_eq!(ails(&found), unsure, "what is not answered is not wrong");
}
