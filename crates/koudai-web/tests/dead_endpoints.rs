//! Merchants whose endpoints take connections and never answer, beside one whose endpoint does: how long its notices wait.
//! `tests/long.sh notices` runs it with ten thousand of them.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod rig;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::post;
use koudai_core::id::{MchId, OrderId, PersonId, Seq};
use koudai_core::merchant::{CreateMerchant, NewCertificate, NextMerchant};
use koudai_core::order::PlaceOrder;
use koudai_core::payment::{Means, Pay};
use koudai_core::payment_password::Pin;
use koudai_core::rows::{NoticeRetry, NoticeTally, Product};
use koudai_core::time::{DAY, Timestamp};
use koudai_networks::courier;
use koudai_networks::vault::Sealed;
use koudai_store::Reader;
use koudai_wechatpay::types::Notification;
use rig::{PIN, Rig, now_s};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// When each notice came first, by its journal.
type Arrivals = Arc<Mutex<HashMap<i64, Instant>>>;

/// Takes connections and says nothing for as long as anybody waits. Its port.
async fn hanging() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                // Until the other side has given up.
                let _end = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            });
        }
    });
    port
}

/// Answers at once, and notes when. Its port.
async fn healthy(arrivals: Arrivals) -> u16 {
    let answer = move |body: axum::body::Bytes| async move {
        let notice: Notification = serde_json::from_slice(&body).unwrap();
        let Seq(seq) = courier::parse_notice_id(&notice.id).unwrap();
        arrivals.lock().unwrap().entry(seq).or_insert_with(Instant::now);
        axum::http::StatusCode::NO_CONTENT
    };
    rig::served(Router::new().route("/paid", post(answer))).await.port()
}

struct Town {
    rig: Rig,
    payer: PersonId,
}

impl Town {
    /// A merchant that never signs anything.
    async fn merchant(rig: &Rig) -> MchId {
        let mchid = rig.app.engine.submit(NextMerchant).await.unwrap();
        let now = Timestamp(now_s() * 1_000);
        let create = CreateMerchant {
            mchid,
            name: "口袋咖啡".to_owned(),
            appid: format!("wx{:016}", mchid.0),
            products: vec![Product::Native],
            apiv3_key_sealed: rig.app.networks.vault.seal(Sealed::ApiV3Key, &[b'k'; 32]),
            certificate: NewCertificate {
                serial: "01".to_owned(),
                pem: String::new(),
                not_before: now,
                not_after: now.plus(DAY),
            },
        };
        rig.app.engine.submit(create).await.unwrap();
        mchid
    }

    async fn order(rig: &Rig, mchid: MchId, number: usize, notify_url: String) -> OrderId {
        let order = PlaceOrder {
            description: "拿铁".to_owned(),
            notify_url,
            ..rig::placed(mchid, &format!("order-{number}"), 1)
        };
        rig.app.engine.submit(order).await.unwrap().id
    }

    /// Pays an order. Its journal, and when it was done.
    async fn pay(&self, order: OrderId) -> (i64, Instant) {
        let pay = Pay {
            person: self.payer,
            order,
            means: Means::Balance,
            confirmed: Pin::parse(PIN).unwrap().into(),
        };
        let paid = self.rig.app.engine.submit(pay).await.unwrap();
        (paid.paid_seq.unwrap().0, Instant::now())
    }
}

/// Waits until something holds, for at most so long.
async fn until(seconds: u64, mut holds: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < Duration::from_secs(seconds), "it did not happen in {seconds} s");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Half of the dead have orders paid at the beginning, all at once; then `rate` of them a second are paid, while a healthy
/// merchant is paid ten times a second.
#[tokio::test(flavor = "multi_thread")]
async fn merchants_who_never_answer_do_not_delay_one_who_does() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<usize>().ok());
    let dead = setting("KOUDAI_DEAD_MERCHANTS").unwrap_or(500);
    let seconds = setting("KOUDAI_DEAD_SECONDS").unwrap_or(6);
    let rate = (dead / 10).clamp(50, 200);
    let arrivals = Arrivals::default();
    let (dead_port, healthy_port) = (hanging().await, healthy(Arc::clone(&arrivals)).await);
    let rig = Rig::start().await;
    let payer = rig.person(5_000_000).await;
    let town = Arc::new(Town { rig, payer });

    let shop = Town::merchant(&town.rig).await;
    let healthy_url = format!("http://localhost:{healthy_port}/paid");
    let mut healthy_orders = vec![];
    for number in 0..=seconds * 10 {
        healthy_orders.push(Town::order(&town.rig, shop, number, healthy_url.clone()).await);
    }
    let mut making = JoinSet::new();
    let (turns, each) = (64, (rate * seconds).div_ceil(dead) + 2);
    for turn in 0..turns {
        let town = Arc::clone(&town);
        making.spawn(async move {
            let mut orders = vec![];
            for n in (turn..dead).step_by(turns) {
                let mchid = Town::merchant(&town.rig).await;
                // Each has a host of its own.
                let url = format!("http://dead-{n}.localhost:{dead_port}/paid");
                for number in 0..each {
                    orders.push((number, Town::order(&town.rig, mchid, number, url.clone()).await));
                }
            }
            orders
        });
    }
    let mut dead_orders: Vec<(usize, OrderId)> = making.join_all().await.into_iter().flatten().collect();
    dead_orders.sort_unstable();

    let _courier = courier::start(
        town.rig.app.engine.clone(),
        town.rig.app.networks.clone(),
        "Koudai".into(),
        "https://wallet.example".into(),
    );
    // The healthy one has been told something before.
    let (first, _) = town.pay(healthy_orders.pop().unwrap()).await;
    until(10, async || arrivals.lock().unwrap().contains_key(&first)).await;

    // All at once, and then as time goes by.
    let rest = dead_orders.split_off(dead);
    let mut paying = JoinSet::new();
    for (_, order) in dead_orders {
        let town = Arc::clone(&town);
        paying.spawn(async move { town.pay(order).await });
    }
    paying.join_all().await;
    let began = Instant::now();
    let crowd = tokio::spawn({
        let town = Arc::clone(&town);
        async move {
            let mut tick = tokio::time::interval(Duration::from_millis(50));
            for some in rest.chunks(rate / 20).take(seconds * 20) {
                tick.tick().await;
                for (_, order) in some {
                    town.pay(*order).await;
                }
            }
        }
    });
    let mut paid = vec![];
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    for order in healthy_orders {
        tick.tick().await;
        paid.push(town.pay(order).await);
    }
    crowd.await.unwrap();
    until(20, async || paid.iter().all(|(seq, _)| arrivals.lock().unwrap().contains_key(seq))).await;
    let arrivals = arrivals.lock().unwrap().clone();
    let mut delays: Vec<Duration> =
        paid.iter().map(|(seq, at)| arrivals[seq].saturating_duration_since(*at)).collect();
    delays.sort_unstable();
    let (p50, max) = (delays[delays.len() / 2], *delays.last().unwrap());

    // Who is behind first: what is dealt with in between has its row then.
    let read = |r: &Reader| Ok((r.merchants_behind()?, r.all::<NoticeRetry>()?, r.all::<NoticeTally>()?));
    let (behind, retries, tallies) = town.rig.app.engine.read(read).await.unwrap();
    let owed: HashSet<MchId> = retries.iter().map(|row| row.key.mchid).chain(behind).collect();
    let retries = retries.len();
    let called: i64 = tallies.iter().filter(|tally| tally.mchid != shop).map(|tally| tally.failed).sum();
    println!(
        "notices: {dead} merchants who never answer, one who does told {} times in {:.0?}: p50 {:.1?}, longest \
         {:.1?}; {called} calls to the dead ended, {retries} of their events wait; {} MiB",
        delays.len(),
        began.elapsed(),
        p50,
        max,
        most_memory_mib(),
    );
    assert!(max < Duration::from_secs(1), "a healthy merchant waited {max:?}");
    assert!(owed.len() >= dead, "nothing owed to the dead is forgotten: {} of them", owed.len());
}

/// The most memory this process has held.
fn most_memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).map_or(0, |kib| kib / 1_024)
}
