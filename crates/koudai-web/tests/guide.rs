//! The calls of `docs/gateway.md`: the guide has each, what it says of each is so, and products open them one by one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod rig;

use koudai_core::rows::Product;
use rig::Rig;

const GUIDE: &str = include_str!("../../../docs/gateway.md");

/// The call that each product is for.
const PRODUCTS: [(Product, &str); 6] = [
    (Product::Native, "/v3/pay/transactions/native"),
    (Product::Jsapi, "/v3/pay/transactions/jsapi"),
    (Product::App, "/v3/pay/transactions/app"),
    (Product::H5, "/v3/pay/transactions/h5"),
    (Product::CodePay, "/v3/pay/transactions/codepay"),
    (Product::Transfer, "/v3/fund-app/mch-transfer/transfer-bills"),
];

#[tokio::test]
async fn each_product_is_granted_by_itself_and_without_it_the_body_is_not_even_read() {
    let rig = Rig::start().await;
    // Nothing is called for a printed code.
    let called = Product::ALL.iter().filter(|product| **product != Product::Static);
    assert!(called.into_iter().all(|product| PRODUCTS.iter().any(|(listed, _)| listed == product)));
    for (product, target) in PRODUCTS {
        let others = Product::ALL.iter().copied().filter(|other| *other != product).collect();
        let (without, with) = (rig.shop_with(others).await, rig.shop_with(vec![product]).await);
        let answer = rig.ask(&without, "POST", target, "{").await;
        assert_eq!(
            (answer.refusal(), answer.number()),
            ((403, "NO_AUTH".to_owned()), 900_000_005),
            "{target}"
        );
        assert_eq!(
            rig.ask(&with, "POST", target, "{").await.refusal(),
            (400, "PARAM_ERROR".to_owned()),
            "{target}"
        );
    }
}

#[tokio::test]
async fn a_call_that_this_version_does_not_have_is_named_whatever_the_method() {
    let rig = Rig::start().await;
    for (path, name) in [
        ("/v3/combine-transactions/native", "combined orders"),
        ("/v3/marketing/favor/stocks", "coupons"),
        ("/v3/profitsharing/orders", "profit sharing"),
        ("/v3/pay/partner/transactions/native", "service providers"),
        ("/v3/transfer/batches", "batch transfers"),
    ] {
        for method in ["GET", "POST", "DELETE"] {
            let answer = rig.send(method, path, &[("Accept-Language", "en")], b"").await;
            assert_eq!((answer.status, answer.number()), (404, 900_000_072), "{path}");
            assert!(answer.json()["message"].as_str().unwrap().contains(name), "{path}");
        }
    }
    let typo = rig.send("POST", "/v3/pay/transaction/native", &[], b"").await;
    assert_eq!((typo.status, typo.number()), (404, 900_000_001));
}

#[tokio::test]
async fn the_guide_has_every_call_and_what_it_says_of_each_is_so() {
    let rig = Rig::start().await;
    let routes = include_str!("../src/gateway/mod.rs").split(".route(").skip(1);
    for route in
        routes.filter_map(|text| text.split('"').nth(1)).filter(|path| path.len() > "/v3/{*rest}".len())
    {
        assert!(GUIDE.contains(&format!("{route}` | yes |")), "{route} is not in the guide");
    }
    let mut seen = 0;
    for line in GUIDE.lines() {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let (Some(calls), Some(here)) = (cells.next(), cells.next()) else { continue };
        if !matches!(here, "yes" | "no") {
            continue;
        }
        for call in calls.split('`').skip(1).step_by(2) {
            let (method, path) = call.split_once(' ').unwrap_or(("GET", call));
            // `/connect/` is the wallet's, and not served by this rig.
            if path == "/v3" || path.starts_with("/connect/") {
                continue;
            }
            let answer = rig.send(method, &path.replace('…', "x").replace(['{', '}'], ""), &[], b"").await;
            if path.starts_with("/sns/") {
                assert_eq!(answer.json()["errcode"], 41_002, "{call}");
                continue;
            }
            let expected = if here == "yes" { (401, 268_443_699) } else { (404, 900_000_072) };
            assert_eq!((answer.status, answer.number()), expected, "{call}");
            seen += 1;
        }
    }
    assert!(seen > 20, "the guide is still written as this test reads it");
}
