//! What goes wrong outside, made to go wrong: each fault at each call that moves money, and what the next try finds.

use koudai_core::rows::NetworkRefusal;
use koudai_core::secret::Secret;
use koudai_networks::faults::Rule;
use koudai_networks::network::{Moved, Network};

use crate::rig::{Fixture, back, debit_card, moving};

#[derive(Clone, Copy, Debug)]
enum Moves {
    Pay,
    Void,
    Refund,
    PayOut,
}

/// What a try is about: its number, and a payment that gives back.
struct Try {
    token: Secret<String>,
    number: String,
    paid: String,
    id: String,
}

impl Moves {
    const ALL: [Self; 4] = [Self::Pay, Self::Void, Self::Refund, Self::PayOut];

    const fn call(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::Void => "void",
            Self::Refund => "refund",
            Self::PayOut => "pay_out",
        }
    }

    async fn ask(self, network: &dyn Network, t: &Try) -> Moved {
        match self {
            Self::Pay => network.debit(moving(&t.token, &t.number, 100)).await,
            Self::PayOut => network.pay_out(moving(&t.token, &t.number, 100)).await,
            Self::Void | Self::Refund => network.refund(self.back(t)).await,
        }
    }

    async fn query(self, network: &dyn Network, t: &Try) -> Moved {
        match self {
            Self::Pay => network.query_debit(&t.number).await,
            Self::PayOut => network.query_pay_out(&t.number).await,
            Self::Void | Self::Refund => network.query_refund(self.back(t)).await,
        }
    }

    fn back(self, t: &Try) -> koudai_networks::network::GiveBack<'_> {
        let part = if matches!(self, Self::Void) { 200 } else { 100 };
        back(&t.number, &t.paid, &t.id, [200, part])
    }
}

#[tokio::test]
async fn each_fault_is_met_once_and_the_next_try_finds_the_money_moved_once_or_not_at_all() {
    let mut f = Fixture::new().await;
    let token = f.bound(debit_card(1)).await;
    let refused = Moved::NothingDone(NetworkRefusal::OverLimit);
    // What goes wrong, what the first try is taken for, and whether the network has done it by then. `None`: it is done.
    let cases = [
        (r#""fault":"refuse","code":"33""#, Some(refused), false),
        (r#""fault":"delay","ms":2000"#, Some(Moved::Unknown), true),
        (r#""fault":"drop""#, Some(Moved::Unknown), true),
        (r#""fault":"garbage""#, Some(Moved::Unknown), true),
        (r#""fault":"down""#, Some(Moved::Unknown), false),
        (r#""fault":"twice""#, None, true),
    ];
    let mut expected = 0;
    for moves in Moves::ALL {
        for (fault, first, done) in &cases {
            let paid = f.number();
            let id = f.paid(&token, &paid, 200).await;
            let t = Try { token: token.clone(), number: f.number(), paid, id };
            expected += 2;
            let rules: Vec<Rule> =
                serde_json::from_str(&format!(r#"[{{"call":"{}",{fault},"times":1}}]"#, moves.call()))
                    .unwrap();
            f.sandbox.set_faults(rules).unwrap();
            let what = format!("{moves:?} {fault}");
            let found = moves.ask(&f.client, &t).await;
            match first {
                // A void that is refused is refunded instead.
                Some(Moved::NothingDone(_)) if matches!(moves, Moves::Void) => {
                    assert!(matches!(found, Moved::Ended(_)), "{what}: {found:?}");
                }
                Some(first) => assert_eq!(found, *first, "{what}"),
                None => assert!(matches!(found, Moved::Ended(_)), "{what}: {found:?}"),
            }
            let done = *done || matches!((moves, first), (Moves::Void, Some(Moved::NothingDone(_))));
            let found = moves.query(&f.client, &t).await;
            assert_eq!(matches!(found, Moved::Ended(_)), done, "{what}: {found:?}");
            assert!(done || found == Moved::NotThere, "{what}: {found:?}");
            let again = moves.ask(&f.client, &t).await;
            assert!(matches!(again, Moved::Ended(_)), "{what}: {again:?}");
        }
    }
    assert_eq!(f.sandbox.movements().await.unwrap().len(), expected, "each moved once");
    assert!(f.sandbox.books_agree().await.unwrap());
    for rules in [r#"[{"call":"debit","fault":"drop"}]"#, r#"[{"fault":"refuse","code":"MOON"}]"#] {
        assert!(f.sandbox.set_faults(serde_json::from_str(rules).unwrap()).is_err(), "{rules}");
    }
}
