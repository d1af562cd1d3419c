//! What goes wrong outside, made to go wrong at each call, and what the next try finds: moved once, or not at all.

use std::time::Duration;

use koudai_core::rows::NetworkRefusal;
use koudai_core::secret::Secret;
use koudai_networks::faults::{Fault, Rule};
use koudai_networks::network::{Moved, Network as _, Scene, Who};
use koudai_networks::wechat::{Settings, WeChat};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::ground::{Ground, HASTE, PHONE, WITHDRAWN, back, succeeded};

fn refuse(code: &str) -> Fault {
    Fault::Refuse { code: code.to_owned() }
}

fn late() -> Fault {
    Fault::Delay { ms: 2 * u64::try_from(HASTE.as_millis()).unwrap() }
}

#[derive(Clone, Copy, Debug)]
enum Moves {
    Native,
    Page,
    Inside,
    Refund,
    Transfer,
}

impl Moves {
    const ALL: [Self; 5] = [Self::Native, Self::Page, Self::Inside, Self::Refund, Self::Transfer];

    const fn call(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Page => "h5",
            Self::Inside => "jsapi",
            Self::Refund => "refund",
            Self::Transfer => "transfer",
        }
    }

    async fn ask(self, g: &Ground, number: &str, paid: (&str, &str)) -> Moved {
        match self {
            Self::Native => g.debit(number, 100, Scene::Computer).await,
            Self::Page => g.debit(number, 100, PHONE).await,
            Self::Inside => g.debit(number, 100, Scene::Inside).await,
            Self::Refund => g.wechat.refund(back(number, paid.0, paid.1, [10_000, 100])).await,
            Self::Transfer => g.wechat.pay_out(g.moving(number, 100, None)).await,
        }
    }

    async fn query(self, g: &Ground, number: &str, paid: (&str, &str)) -> Moved {
        match self {
            Self::Native | Self::Page | Self::Inside => g.wechat.query_debit(number).await,
            Self::Refund => g.wechat.query_refund(back(number, paid.0, paid.1, [10_000, 100])).await,
            Self::Transfer => g.wechat.query_pay_out(number).await,
        }
    }

    /// Whether this is what it comes to when all goes well.
    fn is_done(self, moved: &Moved) -> bool {
        match self {
            Self::Refund => matches!(moved, Moved::Ended(_)),
            _ => *moved == Moved::UnderWay,
        }
    }
}

#[tokio::test]
async fn each_fault_is_met_once_and_the_next_try_finds_the_money_moved_once_or_not_at_all() {
    let g = Ground::new().await;
    let debit = g.number();
    let id = g.paid(&debit, 10_000).await;
    let paid = (debit.as_str(), id.as_str());
    // What goes wrong, what the first try is taken for, and whether the platform has done it by then. `None`: it is done.
    let cases = [
        (refuse("RULE_LIMIT"), Some(Moved::NothingDone(NetworkRefusal::Refused)), false),
        (refuse("PARAM_ERROR"), Some(Moved::NothingDone(NetworkRefusal::Refused)), false),
        (refuse("INVALID_REQUEST"), Some(Moved::NothingDone(NetworkRefusal::Refused)), false),
        (refuse("NOT_ENOUGH"), Some(Moved::NothingDone(NetworkRefusal::NotCovered)), false),
        (refuse("STATEMENT_CREATING"), Some(Moved::Unknown), false),
        (refuse("FREQUENCY_LIMITED"), Some(Moved::Unknown), false),
        (refuse("SYSTEM_ERROR"), Some(Moved::Unknown), false),
        (late(), Some(Moved::Unknown), true),
        (Fault::Drop, Some(Moved::Unknown), true),
        (Fault::Garbage, Some(Moved::Unknown), true),
        (Fault::Down, Some(Moved::Unknown), false),
        (Fault::Twice, None, true),
    ];
    let (mut orders, mut refunded) = (1, 0);
    for moves in Moves::ALL {
        for (fault, first, done) in &cases {
            let (number, what) = (g.number(), format!("{moves:?} {fault:?}"));
            g.wrong(&[Rule::once(moves.call(), fault.clone())]);
            let found = moves.ask(&g, &number, paid).await;
            match first {
                Some(first) => assert_eq!(found, *first, "{what}"),
                None => assert!(moves.is_done(&found), "{what}: {found:?}"),
            }
            let asked = moves.query(&g, &number, paid).await;
            assert_eq!(moves.is_done(&asked), *done, "{what}: {asked:?}");
            assert!(*done || asked == Moved::NotThere, "{what}: {asked:?}");
            let again = moves.ask(&g, &number, paid).await;
            assert!(moves.is_done(&again), "{what}: {again:?}");
            match moves {
                Moves::Native | Moves::Page | Moves::Inside => orders += 1,
                Moves::Refund => refunded += 100,
                Moves::Transfer => {}
            }
        }
    }
    assert_eq!(g.rig.orders_of_everyone().await, orders, "each order once");
    assert_eq!(g.rig.order(&g.shop, &debit).await.refunded.minor(), refunded, "each refund once");
    let sent = g.rig.app.engine.read(koudai_store::Reader::all::<koudai_core::rows::Transfer>).await.unwrap();
    assert_eq!(sent.len(), cases.len(), "each transfer once");
}

#[tokio::test]
async fn a_question_that_goes_wrong_says_nothing_of_what_it_asks_about() {
    let g = Ground::new().await;
    let (debit, unpaid, payout, refund) = (g.number(), g.number(), g.number(), g.number());
    let id = g.paid(&debit, 10_000).await;
    g.debit(&unpaid, 100, Scene::Computer).await;
    g.wechat.pay_out(g.moving(&payout, 100, None)).await;
    let part = back(&refund, &debit, &id, [10_000, 100]);
    succeeded(&g.wechat.refund(part).await);
    for fault in [
        refuse("SIGN_ERROR"),
        refuse("PARAM_ERROR"),
        refuse("RULE_LIMIT"),
        refuse("FREQUENCY_LIMITED"),
        refuse("SYSTEM_ERROR"),
        late(),
        Fault::Drop,
        Fault::Garbage,
        Fault::Down,
    ] {
        for (call, asked) in [("query", 0), ("query", 1), ("query_refund", 2), ("query_transfer", 3)] {
            g.wrong(&[Rule::once(call, fault.clone())]);
            let found = match asked {
                0 => g.wechat.query_debit(&debit).await,
                1 => g.wechat.query_debit(&unpaid).await,
                2 => g.wechat.query_refund(part).await,
                _ => g.wechat.query_pay_out(&payout).await,
            };
            assert_eq!(found, Moved::Unknown, "{call} {fault:?}");
        }
    }
    g.wrong(&[Rule::once("query", Fault::Twice)]);
    succeeded(&g.wechat.query_debit(&debit).await);
}

#[tokio::test]
async fn closing_is_believed_only_once_it_is_seen() {
    let g = Ground::new().await;
    g.fill(10_000).await;
    let undecided = [
        (refuse("SYSTEM_ERROR"), false),
        (refuse("FREQUENCY_LIMITED"), false),
        (late(), true),
        (Fault::Drop, true),
        (Fault::Garbage, true),
        (Fault::Down, false),
    ];
    for (fault, done) in undecided {
        for what in ["close", "query"] {
            let number = g.number();
            g.debit(&number, 100, Scene::Computer).await;
            g.wrong(&[Rule::once(what, fault.clone())]);
            assert_eq!(g.wechat.close_debit(&number).await, Moved::Unknown, "{what} {fault:?}");
            let stands = g.wechat.query_debit(&number).await;
            let closed = done || what == "query";
            assert_eq!(stands, if closed { WITHDRAWN } else { Moved::UnderWay }, "{what} {fault:?}");
            assert_eq!(g.wechat.close_debit(&number).await, WITHDRAWN);
        }
        let number = g.number();
        g.wechat.pay_out(g.moving(&number, 100, None)).await;
        g.wrong(&[Rule::once("cancel_transfer", fault.clone())]);
        assert_eq!(g.wechat.close_pay_out(&number).await, Moved::Unknown, "{fault:?}");
        let stands = g.wechat.query_pay_out(&number).await;
        assert_eq!(stands, if done { WITHDRAWN } else { Moved::UnderWay }, "{fault:?}");
        assert_eq!(g.wechat.close_pay_out(&number).await, WITHDRAWN);
    }
    // A refusal of the closing says nothing of the order: it is asked about.
    for code in ["SIGN_ERROR", "INVALID_REQUEST", "ORDER_PAID", "ORDER_CLOSED", "NO_AUTH"] {
        let number = g.number();
        g.debit(&number, 100, Scene::Computer).await;
        g.wrong(&[Rule::once("close", refuse(code))]);
        assert_eq!(g.wechat.close_debit(&number).await, Moved::UnderWay, "{code}");
    }
    let number = g.number();
    g.debit(&number, 100, Scene::Computer).await;
    g.wrong(&[Rule::once("close", Fault::Twice)]);
    assert_eq!(g.wechat.close_debit(&number).await, WITHDRAWN);
}

#[tokio::test]
async fn a_payout_that_is_refused_is_given_up_only_once_it_is_known_not_to_be_there() {
    let g = Ground::new().await;
    g.fill(10_000).await;
    // Something in between refuses what had arrived before.
    let number = g.number();
    g.wechat.pay_out(g.moving(&number, 100, None)).await;
    g.wrong(&[Rule::once("transfer", refuse("NO_AUTH"))]);
    assert_eq!(g.wechat.pay_out(g.moving(&number, 100, None)).await, Moved::UnderWay);
    // And nobody says whether it had.
    let number = g.number();
    g.wrong(&[Rule::once("transfer", refuse("NO_AUTH")), Rule::once("query_transfer", Fault::Down)]);
    assert_eq!(g.wechat.pay_out(g.moving(&number, 100, None)).await, Moved::Unknown);
    for code in ["SYSTEM_ERROR", "STATEMENT_CREATING"] {
        g.wrong(&[Rule::once("transfer", refuse(code))]);
        assert_eq!(g.wechat.pay_out(g.moving(&number, 100, None)).await, Moved::Unknown, "{code}");
    }
}

/// A platform that refuses one call with a code, and is gone then; where.
async fn refuses_once_and_is_gone(status: &'static str, code: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // Whoever comes next is refused by the machine, before the first has its answer.
        drop(listener);
        let mut request = vec![];
        while !request.ends_with(b"}") {
            stream.read_buf(&mut request).await.unwrap();
        }
        let body = format!(r#"{{"code":"{code}","message":""}}"#);
        let head =
            format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    });
    url
}

#[tokio::test]
async fn a_refusal_is_not_believed_where_nobody_is_left_to_be_asked() {
    let g = Ground::new().await;
    let number = g.number();
    let gone = async |status, code| {
        let api = refuses_once_and_is_gone(status, code).await;
        WeChat::new(Settings { api, ..g.settings() }).unwrap()
    };
    let wechat = gone("403 Forbidden", "NO_AUTH").await;
    assert_eq!(wechat.pay_out(g.moving(&number, 500, None)).await, Moved::Unknown);
    let wechat = gone("403 Forbidden", "OUT_TRADE_NO_USED").await;
    assert_eq!(wechat.debit(g.moving(&number, 500, None)).await, Moved::Unknown);
    let wechat = gone("403 Forbidden", "RULE_LIMIT").await;
    assert_eq!(wechat.refund(back(&number, &number, "42", [500, 500])).await, Moved::Unknown);
    let wechat = gone("400 Bad Request", "ORDER_PAID").await;
    assert_eq!(wechat.close_debit(&number).await, Moved::Unknown);
    let wechat = gone("400 Bad Request", "INVALID_REQUEST").await;
    assert_eq!(wechat.close_pay_out(&number).await, Moved::Unknown);
}

#[tokio::test]
async fn a_code_is_not_given_up_because_nobody_answered() {
    let g = Ground::new().await;
    let code = || Secret::new("0123".to_owned());
    for fault in
        [late(), Fault::Drop, Fault::Garbage, Fault::Down, refuse("-1"), refuse("40125"), refuse("45009")]
    {
        g.wrong(&[Rule::once("access_token", fault.clone())]);
        assert!(matches!(g.wechat.who(code()).await, Who::Unknown), "{fault:?}");
    }
    g.wrong(&[Rule::once("access_token", refuse("40163"))]);
    assert!(matches!(g.wechat.who(code()).await, Who::Refused));
}

#[tokio::test]
async fn the_sandbox_takes_rules_of_the_protocol_and_passes_everything_else_on() {
    let g = Ground::new().await;
    let http = crate::rig::browser();
    let put = async |rules: &str| {
        let request = http.put(format!("{}/faults", g.url)).header("content-type", "application/json");
        request.body(rules.to_owned()).send().await.unwrap().status().as_u16()
    };
    assert_eq!(put(r#"[{"call":"debit","fault":"drop"}]"#).await, 422);
    assert_eq!(put(r#"[{"fault":"refuse","code":"MOON"}]"#).await, 422);
    assert_eq!(put(r#"[{"call":"native","fault":"down","times":1}]"#).await, 204);
    let listed = http.get(format!("{}/faults", g.url)).send().await.unwrap().text().await.unwrap();
    assert_eq!(listed, r#"[{"call":"native","fault":"down","times":1}]"#);
    // The same bytes and headers come through it and past it.
    let direct = http.get(format!("http://{}/v3/certificates", g.rig.address)).send().await.unwrap();
    let through = http.get(format!("{}/v3/certificates", g.url)).send().await.unwrap();
    assert_eq!(direct.status(), through.status());
    assert_eq!(direct.headers()["content-type"], through.headers()["content-type"]);
    assert_eq!(direct.text().await.unwrap(), through.text().await.unwrap());
    tokio::time::timeout(Duration::from_secs(5), g.debit(&g.number(), 100, Scene::Computer)).await.unwrap();
    assert_eq!(g.sandbox.set_faults(vec![]), Ok(()));
    for bad in ["", "ftp://127.0.0.1", "http://127.0.0.1/path", "http://127.0.0.1/?a", "http://u@127.0.0.1"] {
        assert!(koudai_networks::wechat::sandbox::SandboxWeChat::before(bad).is_err(), "{bad}");
    }
}
