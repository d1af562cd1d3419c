//! What the network tells by itself: believed as far as it says which payment to ask about, and no further.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use koudai_networks::network::{Moved, Network, NoticeIn};

use crate::inbox::listen;
use crate::rig::{Fixture, back, debit_card, moving, now};

type Heard = Arc<Mutex<Vec<Bytes>>>;

/// A merchant's end of notices: it writes down what it hears, and is deaf to the first.
async fn ear() -> (String, Heard) {
    let heard = Heard::default();
    let hear = async |State(heard): State<Heard>, body: Bytes| {
        heard.lock().unwrap().push(body);
        StatusCode::OK
    };
    let router =
        axum::Router::new().route("/heard", axum::routing::post(hear)).with_state(Arc::clone(&heard));
    let (address, listener) = listen().await;
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}/heard"), heard)
}

async fn until(heard: &Heard, count: usize) -> Vec<Bytes> {
    let wait = async {
        loop {
            let all = heard.lock().unwrap().clone();
            if all.len() >= count {
                return all;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), wait).await.expect("it is told")
}

async fn heard_as(network: &dyn Network, body: &[u8]) -> Option<String> {
    network.read_notice(NoticeIn { headers: &HeaderMap::new(), body }).await
}

#[tokio::test]
async fn a_notice_names_its_payment_and_nobody_elses_is_believed() {
    let (url, heard) = ear().await;
    let mut f = Fixture::told_at(&url).await;
    let token = f.bound(debit_card(1)).await;
    let (paid, whole) = (f.number(), f.number());
    let id = f.paid(&token, &paid, 900).await;
    let notice = until(&heard, 1).await.remove(0);
    let network: &dyn Network = &f.client;
    assert_eq!(heard_as(network, &notice).await, Some(paid.clone()));
    assert!(matches!(f.client.refund(back(&whole, &paid, &id, [900, 900])).await, Moved::Ended(_)));
    let notices = until(&heard, 2).await;
    assert_eq!(
        heard_as(network, &notices[1]).await,
        Some(whole),
        "a void is told under the refund's own number"
    );

    let text = String::from_utf8(notice.to_vec()).unwrap();
    let other = Fixture::new().await;
    let stranger: &dyn Network = &other.client;
    assert_eq!(heard_as(stranger, &notice).await, None, "it is signed by another network");
    for forged in [
        text.replace("respCode=00", "respCode=64"),
        text.replace("txnAmt=900", "txnAmt=901"),
        text.replace("signMethod=01", "signMethod=11"),
        text.replace("version=5.1.0", "version=5.0.0"),
        text.replace(&paid, &"7".repeat(28)),
        text.replace("merId=KOUDAI000000001", "merId=KOUDAI000000002"),
        text.split('&').filter(|field| !field.starts_with("signPubKeyCert")).collect::<Vec<_>>().join("&"),
        text.split('&').filter(|field| !field.starts_with("signature")).collect::<Vec<_>>().join("&"),
        format!("{text}&orderId=1"),
        String::new(),
    ] {
        assert_ne!(forged, text);
        assert_eq!(heard_as(network, forged.as_bytes()).await, None, "{forged}");
    }
    assert_eq!(heard_as(network, &[0xFF, 0xFE]).await, None);
}

#[tokio::test]
async fn a_late_decision_is_told_once_it_is_made() {
    let (url, heard) = ear().await;
    let mut f = Fixture::told_at(&url).await;
    let token = f.bound(debit_card(36)).await;
    let number = f.number();
    let began = now();
    assert_eq!(f.client.debit(moving(&token, &number, 100)).await, Moved::UnderWay);
    until(&heard, 1).await;
    assert!(now() - began >= 2_900, "it was told before it was decided");
    assert!(matches!(f.client.query_debit(&number).await, Moved::Ended(_)));
}
