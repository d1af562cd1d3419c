//! Requests that another site made, that lead to another site, or that two servers would read differently.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::house::{House, PHONE};

/// Every route that takes a form, as the router's own source has them, with a parameter where one is.
fn posts() -> Vec<String> {
    let source = include_str!("../../crates/koudai-web/src/wallet/mod.rs");
    let routes = source.split(".route(\"").skip(1).filter_map(|rest| {
        let (path, handlers) = rest.split_once("\",")?;
        let end = handlers.find("\n        .").unwrap_or(handlers.len());
        handlers[..end].contains("post(").then(|| path.to_owned())
    });
    let given = |path: String| {
        let parts = path
            .split('/')
            .map(|part| if part.starts_with('{') { "0000000000000000000000000001" } else { part });
        parts.collect::<Vec<_>>().join("/")
    };
    routes.map(given).collect()
}

#[tokio::test]
async fn no_form_of_another_sites_is_taken_by_any_route() {
    let house = House::start().await;
    let mut victim = house.signed_in(PHONE).await;
    let posts = posts();
    assert!(posts.len() > 30, "{posts:?}");
    for path in posts {
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
        ] {
            let reply = victim.post_from(&path, (name, value)).await;
            assert_eq!(
                (reply.status, reply.refusal().as_str()),
                (403, "FOREIGN_ORIGIN"),
                "{path} {name}: {value}"
            );
        }
    }
    assert!(victim.is_signed_in().await, "not even signed out");
}

#[tokio::test]
async fn no_address_leads_away_from_the_wallet() {
    let house = House::start().await;
    let hostile = [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "/\t/evil.example/",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/%0d%0aSet-Cookie:%20a=b",
        "/\r\nset-cookie: a=b",
        "http:evil.example",
    ];
    for (n, next) in hostile.into_iter().enumerate() {
        let mut visitor = house.browser();
        let phone = &*format!("1391234{n:04}");
        visitor.post("/login/code", &[("phone", phone), ("next", next)]).await;
        let code = house.code(phone, koudai_core::rows::CodePurpose::SignIn).await;
        let fields = [("phone", phone), ("code", &*code), ("agree", "yes"), ("next", next)];
        let there = visitor.post("/login", &fields).await.location;
        assert!(
            there.starts_with('/') && !there.contains("evil") && !there.contains("cookie"),
            "{next:?}: {there}"
        );
        assert!(!visitor.cookies.contains_key("a"), "{next:?}");
        let back = serde_urlencoded::to_string([("back", next)]).unwrap();
        let there = visitor.get(&format!("/lang/en?{back}")).await.location;
        assert_eq!(there, "/", "{next:?}");
    }
}

/// What a server answers to these bytes before it closes or falls silent.
async fn answer(house: &House, bytes: &str) -> String {
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut text = vec![];
    stream.read_to_end(&mut text).await.ok();
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_request_that_can_be_read_in_two_ways_is_not_read() {
    let house = House::start().await;
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for (what, headers, body) in [
        ("two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n", "phone="),
        ("a length that is none", "Content-Length: +5\r\n", "phone"),
        ("chunked as a proxy might not read it", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"),
        ("a blank before the colon", "Content-Length : 5\r\n", "phone"),
        ("a folded line", "X-A: b\r\n Content-Length: 5\r\n", ""),
        ("a bare line feed in a value", "X-A: b\u{0}c\r\n", ""),
    ] {
        let request = format!("POST /login/code HTTP/1.1\r\nHost: a\r\n{headers}\r\n{body}{smuggled}");
        let text = answer(&house, &request).await;
        assert!(text.starts_with("HTTP/1.1 400") || text.is_empty(), "{what}: {text}");
        assert!(text.matches("HTTP/1.1 ").count() <= 1, "{what}: a second request was read: {text}");
    }
    // With both, the length is not believed (RFC 9112, section 6.3), and the connection ends after the answer.
    let both = "POST /login/code HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let text = answer(&house, &format!("{both}{smuggled}")).await;
    assert!(!text.contains("smuggled"), "{text}");
}
