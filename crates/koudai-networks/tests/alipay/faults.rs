//! What goes wrong outside, made to go wrong: each fault at each call, and what the next try finds.

use koudai_core::rows::NetworkRefusal;
use koudai_core::secret::Secret;
use koudai_networks::network::{Move, Moved, Network, Who};

use crate::rig::{Fixture, Mode, back, moving, now, succeeded, with};

/// Calls that begin something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moves {
    Scan,
    Inside,
    Code,
    Refund,
    PayOut,
}

struct Try {
    number: String,
    code: Secret<String>,
    paid: String,
    id: String,
}

impl Moves {
    const ALL: [Self; 5] = [Self::Scan, Self::Inside, Self::Code, Self::Refund, Self::PayOut];

    const fn call(self) -> &'static str {
        match self {
            Self::Scan => "precreate",
            Self::Inside => "create",
            Self::Code => "pay",
            Self::Refund => "refund",
            Self::PayOut => "pay_out",
        }
    }

    async fn ask(self, f: &Fixture, t: &Try) -> Moved {
        match self {
            Self::Scan => f.client.debit(moving(&t.number, 100)).await,
            Self::Inside => f.client.debit(with(&t.number, 1, 100)).await,
            Self::Code => {
                f.client.pay_by_code(Move { token: t.code.clone(), ..moving(&t.number, 100) }).await
            }
            Self::Refund => f.client.refund(back(&t.number, &t.paid, &t.id, [200, 100])).await,
            Self::PayOut => f.client.pay_out(with(&t.number, 1, 100)).await,
        }
    }

    async fn query(self, f: &Fixture, t: &Try) -> Moved {
        match self {
            Self::Scan | Self::Inside | Self::Code => f.client.query_debit(&t.number).await,
            Self::Refund => f.client.query_refund(back(&t.number, &t.paid, &t.id, [200, 100])).await,
            Self::PayOut => f.client.query_pay_out(&t.number).await,
        }
    }

    /// Whether its person has to agree before money moves.
    const fn is_agreed_to(self) -> bool {
        matches!(self, Self::Scan | Self::Inside)
    }
}

#[tokio::test]
async fn each_fault_is_met_once_and_the_next_try_finds_the_money_moved_once_or_not_at_all() {
    let mut f = Fixture::new().await;
    let refused = Moved::NothingDone(NetworkRefusal::OverLimit);
    // What goes wrong, what the first try is taken for, and whether Alipay has it by then. `None`: as if nothing went wrong.
    let cases = [
        (r#""fault":"refuse","code":"ACQ.TOTAL_FEE_EXCEED""#, Some(refused), false),
        (r#""fault":"refuse","code":"ACQ.SYSTEM_ERROR""#, Some(Moved::Unknown), false),
        (r#""fault":"delay","ms":1500"#, Some(Moved::Unknown), true),
        (r#""fault":"drop""#, Some(Moved::Unknown), true),
        (r#""fault":"garbage""#, Some(Moved::Unknown), true),
        (r#""fault":"down""#, Some(Moved::Unknown), false),
        (r#""fault":"twice""#, None, true),
    ];
    let mut expected = 0;
    for moves in Moves::ALL {
        for (fault, first, has_it) in &cases {
            let what = format!("{moves:?} {fault}");
            let paid = f.number();
            let id = f.paid(&paid, 200).await;
            let t = Try { number: f.number(), code: f.code(1).await, paid, id };
            expected += 2;
            f.set_faults(&format!(r#"[{{"call":"{}",{fault},"times":1}}]"#, moves.call()));
            let found = moves.ask(&f, &t).await;
            match first {
                Some(first) => assert_eq!(found, *first, "{what}"),
                None if moves.is_agreed_to() => assert_eq!(found, Moved::UnderWay, "{what}"),
                None => drop(succeeded(&found)),
            }
            let found = moves.query(&f, &t).await;
            match (moves, has_it) {
                // Until somebody comes, a code that can be scanned is nothing to Alipay; the client knows only what it opened.
                (Moves::Scan, _) => {
                    let known = if first.is_none() { Moved::UnderWay } else { Moved::NotThere };
                    assert_eq!(found, known, "{what}");
                }
                (_, false) => assert_eq!(found, Moved::NotThere, "{what}"),
                (Moves::Inside, true) => assert_eq!(found, Moved::UnderWay, "{what}"),
                (_, true) => drop(succeeded(&found)),
            }
            let again = moves.ask(&f, &t).await;
            if moves.is_agreed_to() {
                assert_eq!(again, Moved::UnderWay, "{what}");
                assert_eq!(f.person(&t.number, 1, "agree").await.0, 200, "{what}");
                succeeded(&moves.query(&f, &t).await);
            } else {
                succeeded(&again);
            }
            assert_eq!(f.moved(&t.number).await, 1, "{what}");
        }
    }
    assert_eq!(f.sandbox.movements().await.unwrap().len(), expected, "each moved once");
    assert!(f.sandbox.books_agree().await.unwrap());
    for rules in [r#"[{"call":"debit","fault":"drop"}]"#, r#"[{"fault":"refuse","code":"MOON"}]"#] {
        assert!(f.sandbox.set_faults(serde_json::from_str(rules).unwrap()).is_err(), "{rules}");
    }
}

#[tokio::test]
async fn a_question_that_is_not_answered_says_nothing_of_what_it_is_about() {
    let mut f = Fixture::new().await;
    let (paid, waits, refund, payout) = (f.number(), f.number(), f.number(), f.number());
    let id = f.paid(&paid, 200).await;
    succeeded(&f.client.refund(back(&refund, &paid, &id, [200, 100])).await);
    succeeded(&f.client.pay_out(with(&payout, 1, 100)).await);
    f.client.debit(with(&waits, 1, 100)).await;
    for fault in [
        r#""fault":"refuse","code":"ACQ.INVALID_PARAMETER""#,
        r#""fault":"refuse","code":"ACQ.SYSTEM_ERROR""#,
        r#""fault":"delay","ms":1500"#,
        r#""fault":"drop""#,
        r#""fault":"garbage""#,
        r#""fault":"down""#,
    ] {
        f.set_faults(&format!("[{{{fault}}}]"));
        assert_eq!(f.client.query_debit(&paid).await, Moved::Unknown, "{fault}");
        assert_eq!(f.client.close_debit(&waits).await, Moved::Unknown, "{fault}");
        let back = back(&refund, &paid, &id, [200, 100]);
        assert_eq!(f.client.query_refund(back).await, Moved::Unknown, "{fault}");
        assert_eq!(f.client.query_pay_out(&payout).await, Moved::Unknown, "{fault}");
        assert_eq!(f.client.close_pay_out(&payout).await, Moved::Unknown, "{fault}");
        assert_eq!(f.client.books(0).await, None, "{fault}");
        // A refusal is an answer.
        assert_eq!(f.client.answers().await, fault.contains("refuse"), "{fault}");
        let who = f.client.who(Secret::new("code".to_owned())).await;
        assert!(matches!(who, Who::Unknown), "{fault}: {who:?}");
    }
    // Whatever comes of the call that closes, it is asked how it went.
    for (fault, done) in [("drop", true), ("garbage", true), ("twice", true), ("down", false)] {
        let number = f.number();
        f.set_faults("[]");
        f.client.debit(with(&number, 1, 100)).await;
        f.set_faults(&format!(r#"[{{"call":"close","fault":"{fault}"}}]"#));
        let closed = f.client.close_debit(&number).await;
        assert_eq!(closed == crate::rig::failed(NetworkRefusal::Withdrawn), done, "{fault}: {closed:?}");
        assert!(done || closed == Moved::UnderWay, "{fault}: {closed:?}");
    }
    f.set_faults("[]");
    succeeded(&f.client.query_debit(&paid).await);
    assert!(f.client.answers().await);
}

#[tokio::test]
async fn a_person_on_the_way_to_pay_meets_faults_too_and_pays_once() {
    use koudai_networks::network::Invitation;
    let mut f = Fixture::new().await;
    for fault in [
        r#""fault":"refuse","code":"ACQ.PAYMENT_FAIL""#,
        r#""fault":"drop""#,
        r#""fault":"twice""#,
        r#""fault":"down""#,
        r#""fault":"delay","ms":10"#,
        r#""fault":"garbage""#,
    ] {
        let number = f.number();
        f.client.debit(Move { scene: Some(crate::rig::PHONE), ..moving(&number, 100) }).await;
        let Invitation::Visit(address) = f.invited(&number) else { panic!() };
        f.set_faults(&format!(r#"[{{"call":"wap_pay",{fault},"times":1}}]"#));
        // Whatever they see at first, the same address brings them to the same payment.
        let _at_first = reqwest::get(&address).await;
        let page = reqwest::get(&address).await.unwrap();
        assert_eq!(page.status(), 200, "{fault}");
        assert_eq!(f.person(page.url().as_str(), 1, "agree").await.0, 200, "{fault}");
        succeeded(&f.client.query_debit(&number).await);
        assert_eq!(f.moved(&number).await, 1, "{fault}");
    }
}

#[tokio::test]
async fn a_network_that_is_not_there_has_done_nothing() {
    let mut f = Fixture::new().await;
    let number = f.number();
    let papers = f.sandbox.papers();
    // Nobody listens there.
    let settings = crate::rig::settings(
        "http://127.0.0.1:1",
        "http://127.0.0.1:9/",
        papers.in_certificate_mode().unwrap(),
        now,
    );
    let client = koudai_networks::alipay::Alipay::new(settings).unwrap();
    let nothing = Moved::NothingDone(NetworkRefusal::Unavailable);
    assert_eq!(client.debit(moving(&number, 100)).await, nothing);
    assert_eq!(client.query_debit(&number).await, nothing);
    assert_eq!(client.close_debit(&number).await, nothing);
    assert_eq!(client.pay_out(with(&number, 1, 100)).await, nothing);
    assert_eq!(client.refund(back(&number, &number, "1", [2, 1])).await, nothing);
    assert!(!client.answers().await && client.books(0).await.is_none());
    assert!(f.client_at(Mode::Keys, now).answers().await);
}
