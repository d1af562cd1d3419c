//! Its people: the sandboxes' customers, each with a number of its own and money. All of them are made up.

use crate::sandbox::people::{CUSTOMERS, name};

/// Whom money is paid out to late: it is under way for three seconds.
pub(super) const SLOW: i64 = 36;
/// Who has no money.
pub(super) const EMPTY: i64 = 38;
/// Whose account is barred.
pub(super) const BARRED: i64 = 39;
/// What the others have at first, in fen.
const FUNDS_MINOR: i64 = 5_000_000;

/// All of them.
pub(super) fn all() -> impl Iterator<Item = i64> {
    1..=i64::from(CUSTOMERS)
}

/// What one has at first, in fen.
pub(super) const fn first_funds(person: i64) -> i64 {
    if person == EMPTY { 0 } else { FUNDS_MINOR }
}

/// What Alipay knows one by.
///
/// ```
/// assert_eq!(koudai_networks::alipay::sandbox::user_id(7), "2088200000000007");
/// ```
pub fn user_id(person: i64) -> String {
    format!("2088{:012}", 200_000_000_000 + person)
}

/// The one that Alipay knows by this.
pub(super) fn of_user_id(user_id: &str) -> Option<i64> {
    all().find(|person| self::user_id(*person) == user_id)
}

/// A person's name.
pub(super) fn name_of(person: i64) -> String {
    u16::try_from(person).ok().filter(|n| (1..=CUSTOMERS).contains(n)).map(name).unwrap_or_default()
}
