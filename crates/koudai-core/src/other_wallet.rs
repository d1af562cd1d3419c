//! Paying at another wallet, as WeChat Pay and Alipay are: its person goes there and agrees there, so a call takes as long as
//! they do, and not longer than it may.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::column::{Cells, Column, Value};
use crate::time::MINUTE;

/// How long after it was recorded a person may pay at another wallet. The wallet is told so too, and takes nothing later.
pub const PAY_ELSEWHERE_MS: i64 = 5 * MINUTE;

/// Where a person is who is to pay at another wallet: it opens another way for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scene {
    /// In a computer's browser: a code is shown, and scanned with the app.
    Computer,
    /// In a phone's browser, at this address: a page opens the app.
    Phone(IpAddr),
    /// Inside the app.
    Inside,
}

const COMPUTER: &str = "computer";
const PHONE: &str = "phone ";
const INSIDE: &str = "inside";

impl Column for Scene {
    const PARTS: &'static [&'static str] = &[""];

    fn write(&self, out: &mut Vec<Value>) {
        out.push(Value::Text(match self {
            Self::Computer => Cow::Borrowed(COMPUTER),
            Self::Phone(address) => Cow::Owned(format!("{PHONE}{address}")),
            Self::Inside => Cow::Borrowed(INSIDE),
        }));
    }

    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        let Value::Text(word) = cells.next_cell()? else { return None };
        match word.as_ref() {
            COMPUTER => Some(Self::Computer),
            INSIDE => Some(Self::Inside),
            word => word.strip_prefix(PHONE)?.parse().ok().map(Self::Phone),
        }
    }
}
