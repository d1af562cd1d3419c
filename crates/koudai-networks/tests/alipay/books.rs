//! The bills of a day as the wallet's books have them.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};

use koudai_core::time::{DAY, HOUR};
use koudai_networks::network::{BookEntry, Move, Network, Way};

use crate::rig::{Fixture, Mode, back, moving, now, succeeded, with};

/// What is added to the clock below.
static LATER_MS: AtomicI64 = AtomicI64::new(0);

/// Noon of tomorrow in China, so that no day ends during the test, and nothing made at its start is of the future.
static NOON: LazyLock<i64> = LazyLock::new(|| ((now() + 8 * HOUR).div_euclid(DAY) + 1) * DAY + 4 * HOUR);

/// A clock that stands.
fn later() -> i64 {
    *NOON + LATER_MS.load(Ordering::Relaxed)
}

fn line(entry: &BookEntry) -> (Way, &str, i64) {
    (entry.way, &entry.number, entry.amount_minor)
}

#[tokio::test]
async fn a_day_is_read_whole_once_it_is_over_and_its_places_never_change() {
    let mut f = Fixture::by(Mode::Certificates, "http://127.0.0.1:9/", later).await;
    let numbers: Vec<String> = (0..4).map(|_| f.number_at(later())).collect();
    let [first, second, refund, payout] = numbers.as_slice() else { panic!() };
    let id = f.paid(first, 1_000).await;
    f.client.debit(Move { what_for: "早餐, 午餐, 晚餐", ..moving(second, 250) }).await;
    f.person(second, 2, "agree").await;
    succeeded(&f.client.refund(back(refund, first, &id, [1_000, 400])).await);
    succeeded(&f.client.pay_out(with(payout, 3, 5_000)).await);
    assert_eq!(f.client.books(0).await, Some(vec![]), "the day is not over");
    assert!(f.client.books_after_ms() > 9 * HOUR);

    LATER_MS.store(DAY, Ordering::Relaxed);
    let day = f.client.books(0).await.unwrap();
    let lines: Vec<_> = day.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            (Way::In, first.as_str(), 1_000),
            (Way::In, second, 250),
            (Way::Back, refund, 400),
            (Way::Out, payout, 5_000),
        ]
    );
    assert!(day.windows(2).all(|pair| pair[0].no < pair[1].no));
    assert!(day.iter().all(|entry| (0..2_000).contains(&(entry.at_ms - (later() - DAY) + 1_000))));
    let rest = f.client.books(day[1].no).await.unwrap();
    assert_eq!(rest, day[2..]);
    assert_eq!(f.client.books(day[3].no).await, Some(vec![]));

    // The next day is read behind it.
    let number = f.number_at(later());
    succeeded(&f.client.pay_by_code(Move { token: f.code(1).await, ..moving(&number, 77) }).await);
    LATER_MS.store(2 * DAY, Ordering::Relaxed);
    let books = f.client.books(day[3].no).await.unwrap();
    assert_eq!(books.iter().map(line).collect::<Vec<_>>(), [(Way::In, number.as_str(), 77)]);

    // A bill that cannot be had, or read, is no empty day.
    for fault in ["drop", "garbage", "down"] {
        for call in ["bill", "bill_file"] {
            f.set_faults(&format!(r#"[{{"call":"{call}","fault":"{fault}","times":1}}]"#));
            assert_eq!(f.client.books(0).await, None, "{call} {fault}");
        }
    }
    f.set_faults("[]");
    // Nothing happened on a day, and on the next only something was paid out: one bill of it may still come.
    LATER_MS.store(3 * DAY, Ordering::Relaxed);
    let alone = f.number_at(later());
    succeeded(&f.client.pay_out(with(&alone, 3, 100)).await);
    LATER_MS.store(4 * DAY, Ordering::Relaxed);
    assert_eq!(f.client.books(books[0].no).await, Some(vec![]));
    // Once a later day has its bills, none comes any more.
    let last = f.number_at(later());
    f.paid(&last, 5).await;
    LATER_MS.store(5 * DAY, Ordering::Relaxed);
    let out = f.client.books(books[0].no).await.unwrap();
    assert_eq!(out.iter().map(line).collect::<Vec<_>>(), [(Way::Out, alone.as_str(), 100)]);
    let books = f.client.books(out[0].no).await.unwrap();
    assert_eq!(books.iter().map(line).collect::<Vec<_>>(), [(Way::In, last.as_str(), 5)]);
    // Days without anything are passed over once no bill of theirs can come any more.
    LATER_MS.store(9 * DAY, Ordering::Relaxed);
    assert_eq!(f.client.books(0).await.unwrap(), day);
    assert_eq!(f.client.books(books[0].no).await, Some(vec![]));
    assert!(f.sandbox.books_agree().await.unwrap());
}
