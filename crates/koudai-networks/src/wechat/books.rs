//! Its books: the trade bill of a day has payments and refunds, the fund-flow bill has payouts.
//!
//! A payout stands in the fund-flow bill on the day its money was set aside; what nobody received comes back the same day or the next
//! and is no payout. Columns are found by their names in the first line.

use std::collections::BTreeSet;
use std::time::Duration;

use koudai_core::money::{Currency, Money};
use koudai_core::reconcile::MOST_NUMBER_BYTES;
use koudai_core::time::Timestamp;
use koudai_wechatpay::client::{BillError, ClientError, Unknown};
use koudai_wechatpay::types::{BillReply, BillType, same_code};

use super::client::{WeChat, note};
use crate::network::{BookEntry, Way};

/// The longest bill, in bytes: some 800,000 lines.
const MOST_BYTES: u64 = 256 << 20;
/// How many places a day has.
const PLACES_A_DAY: i64 = 20_000_000;
/// From which of them on a day's payouts stand: behind all of its payments and refunds.
const PAYOUTS_FROM: i64 = 10_000_000;
/// How often one bill is applied for while the platform says that this is too often, and how long is waited in between.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// What a fund-flow bill calls a transfer to a person, or one that came back, to begin with.
const TRANSFER: &str = "商家转账";

/// Where a line of a day is in the books; days are counted as [`Timestamp::china_day`] counts.
pub(super) const fn place(day: i64, line: i64) -> i64 {
    day * PLACES_A_DAY + line
}

/// The day and the line of a place.
pub(super) const fn day_and_line(place: i64) -> (i64, i64) {
    (place.div_euclid(PLACES_A_DAY), place.rem_euclid(PLACES_A_DAY))
}

/// What stands in a fund-flow bill of payouts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Flow {
    /// What was set aside.
    out: Vec<BookEntry>,
    /// The numbers of what came back.
    back: BTreeSet<String>,
}

/// A bill that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Unreadable {
    /// No text, or no first line.
    #[error("it is no bill")]
    Form,
    /// A column is not there.
    #[error("it has no column {0}")]
    Column(&'static str),
    /// A line is not as it should be.
    #[error("its line {0} cannot be read")]
    Line(i64),
}

/// A bill as it was downloaded.
struct Bill<'a> {
    heads: Vec<&'a str>,
    text: &'a str,
}

impl<'a> Bill<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let text = std::str::from_utf8(bytes).map_err(|_| Unreadable::Form)?;
        let text = text.trim_start_matches('\u{feff}');
        let (first, rest) = text.split_once('\n').ok_or(Unreadable::Form)?;
        Ok(Self { heads: first.trim_end().split(',').collect(), text: rest })
    }

    fn column(&self, name: &'static str) -> Result<usize, Unreadable> {
        self.heads.iter().position(|head| *head == name).ok_or(Unreadable::Column(name))
    }

    /// The lines before the sums, numbered from 1, with as many cells as there are columns.
    fn lines(&self) -> impl Iterator<Item = Result<(i64, Vec<&'a str>), Unreadable>> {
        let columns = self.heads.len();
        let details = self.text.lines().take_while(|line| line.starts_with('`'));
        (1..PAYOUTS_FROM).zip(details).map(move |(no, line)| {
            let cells: Vec<&str> = line.trim_end_matches('\r')[1..].split(",`").collect();
            if cells.len() == columns { Ok((no, cells)) } else { Err(Unreadable::Line(no)) }
        })
    }
}

/// Payments and refunds of a day.
fn trade(day: i64, bytes: &[u8]) -> Result<Vec<BookEntry>, Unreadable> {
    let bill = Bill::read(bytes)?;
    let [time, order, refund] =
        [bill.column("交易时间")?, bill.column("商户订单号")?, bill.column("商户退款单号")?];
    let [paid, back, own_order, own_refund] = [
        bill.column("订单金额")?,
        bill.column("申请退款金额")?,
        bill.column("微信订单号")?,
        bill.column("微信退款单号")?,
    ];
    let mut entries = vec![];
    for line in bill.lines() {
        let (no, cells) = line?;
        // A payment has no refund's number, which is written 0.
        let is_payment = matches!(cells[own_refund], "" | "0");
        let (way, names, amount) = if is_payment {
            (Way::In, [cells[order], cells[own_order]], cells[paid])
        } else {
            (Way::Back, [cells[refund], cells[own_refund]], cells[back])
        };
        let entry = entry(place(day, no), way, names, amount, cells[time]).ok_or(Unreadable::Line(no))?;
        entries.extend(Some(entry).filter(|entry| entry.amount_minor > 0));
    }
    Ok(entries)
}

/// Payouts of a day, and what came back of such.
fn flow(day: i64, bytes: &[u8]) -> Result<Flow, Unreadable> {
    let bill = Bill::read(bytes)?;
    let [time, name, direction] =
        [bill.column("记账时间")?, bill.column("业务名称")?, bill.column("收支类型")?];
    let [amount, own, voucher] =
        [bill.column("收支金额(元)")?, bill.column("微信支付业务单号")?, bill.column("业务凭证号")?];
    let mut found = Flow::default();
    for line in bill.lines() {
        let (no, cells) = line?;
        if !cells[name].starts_with(TRANSFER) {
            continue;
        }
        let names = [cells[voucher], cells[own]];
        let at = place(day, PAYOUTS_FROM + no);
        let entry = entry(at, Way::Out, names, cells[amount], cells[time]).ok_or(Unreadable::Line(no))?;
        match cells[direction] {
            "支出" if entry.amount_minor > 0 => found.out.push(entry),
            "支出" => {}
            "收入" => {
                found.back.insert(entry.number);
            }
            _ => return Err(Unreadable::Line(no)),
        }
    }
    Ok(found)
}

/// A line of the books, under the first of the names that can be one.
fn entry(no: i64, way: Way, names: [&str; 2], amount: &str, time: &str) -> Option<BookEntry> {
    let fits = |name: &&str| {
        (1..=MOST_NUMBER_BYTES).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let (date, clock) = time.split_once(' ')?;
    Some(BookEntry {
        no,
        way,
        number: (*names.iter().find(|name| fits(name))?).to_owned(),
        amount_minor: Money::parse_major(amount, Currency::Cny).ok()?.minor(),
        at_ms: Timestamp::parse_rfc3339(&format!("{date}T{clock}+08:00"))?.0,
    })
}

/// `2026-11-24`, as bills are asked for.
pub(super) fn date(day: i64) -> String {
    let t = Timestamp::of_china_day(day).china();
    format!("{:04}-{:02}-{:02}", t.year, t.month, t.day)
}

impl WeChat {
    /// The lines of a day, in the order of their places, and what the day after has of payouts. `known` is what the day itself has of
    /// them if that was read already. `None` if a bill is not there or cannot be read.
    pub(super) async fn day_of_books(
        &self,
        day: i64,
        known: Option<Flow>,
    ) -> Option<(Vec<BookEntry>, Option<Flow>)> {
        let mut entries = match self.bill(day, false).await? {
            Some(bytes) => self.parsed(day, bytes, trade).await?,
            None => vec![],
        };
        if self.settings.payouts.is_none() {
            return Some((entries, None));
        }
        let today = match known {
            Some(flow) => flow,
            None => self.flow(day).await?,
        };
        let tomorrow = self.flow(day + 1).await?;
        let received = today.out.into_iter();
        entries.extend(
            received.filter(|entry| {
                !today.back.contains(&entry.number) && !tomorrow.back.contains(&entry.number)
            }),
        );
        Some((entries, Some(tomorrow)))
    }

    async fn flow(&self, day: i64) -> Option<Flow> {
        match self.bill(day, true).await? {
            Some(bytes) => self.parsed(day, bytes, flow).await,
            None => Some(Flow::default()),
        }
    }

    /// Reads a bill beside everything else: it may be long.
    async fn parsed<T: Send + 'static>(
        &self,
        day: i64,
        bytes: Vec<u8>,
        read: fn(i64, &[u8]) -> Result<T, Unreadable>,
    ) -> Option<T> {
        let read = tokio::task::spawn_blocking(move || read(day, &bytes)).await.ok()?;
        read.inspect_err(|why| tracing::error!(%why, day = date(day), "a bill of WeChat Pay's")).ok()
    }

    /// A day's bill; `Some(None)` if nothing stands on it.
    async fn bill(&self, day: i64, payouts: bool) -> Option<Option<Vec<u8>>> {
        let call = if payouts { "fund_flow_bill" } else { "trade_bill" };
        let reply = match self.applied(day, payouts).await {
            Ok(reply) => reply,
            Err(ClientError::Refused { body, .. }) if same_code(&body.code, "NO_STATEMENT_EXIST") => {
                return Some(None);
            }
            Err(error) => {
                note::<()>(call, &date(day), &Err(error));
                return None;
            }
        };
        let mut bytes = vec![];
        match self.client.download_bill(&self.at_home(reply)?, MOST_BYTES, &mut bytes).await {
            Ok(_) => Some(Some(bytes)),
            Err(error) => {
                let error: &dyn std::error::Error = match &error {
                    BillError::Client(error) => error,
                    error => error,
                };
                tracing::error!(%error, day = date(day), "a bill of WeChat Pay's was not downloaded");
                None
            }
        }
    }

    async fn applied(&self, day: i64, payouts: bool) -> Result<BillReply, ClientError> {
        let date = date(day);
        let mut tries = 1;
        loop {
            let applied = match &self.settings.payouts {
                Some(terms) if payouts => self.client.fund_flow_bill(&date, &terms.account, true).await,
                _ => self.client.trade_bill(&date, &BillType::All, true).await,
            };
            match applied {
                Err(ClientError::Unknown(Unknown::Status { status: 429, .. })) if tries < TRIES => {
                    tries += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                applied => return applied,
            }
        }
    }

    /// The same download where our calls go. The platform may name another of its hosts; the signature covers the path alone, and
    /// nothing is sent anywhere but where the contract says.
    fn at_home(&self, reply: BillReply) -> Option<BillReply> {
        let there: reqwest::Url = reply.download_url.parse().ok()?;
        let query = there.query()?;
        let download_url = format!("{}{}?{query}", self.settings.api, there.path());
        Some(BillReply { download_url, ..reply })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRADE: &str = "\u{feff}交易时间,公众账号ID,商户号,特约商户号,设备号,微信订单号,商户订单号,用户标识,交易类型,交易状态,付款银行,货币种类,应结订单金额,代金券金额,微信退款单号,商户退款单号,退款金额,充值券退款金额,退款类型,退款状态,商品名称,商户数据包,手续费,费率,订单金额,申请退款金额,费率备注\r\n`2026-11-24 00:00:00,`wx1,`1900000001,`0,`,`4200000000,`order-1,`o,`NATIVE,`SUCCESS,`OTHERS,`CNY,`88.00,`0.00,`0,`0,`0.00,`0.00,`,`,`a\\ b,`,`0.53000,`0.60%,`88.00,`0.00,`\r\n`2026-11-24 10:00:00,`wx1,`1900000001,`0,`,`4200000000,`order-1,`o,`NATIVE,`REFUND,`OTHERS,`CNY,`0.00,`0.00,`5030000000,`back-1,`30.00,`0.00,`ORIGINAL,`SUCCESS,`a,`,`-0.18000,`0.60%,`0.00,`30.00,`\r\n总交易单数,应结订单总金额,退款总金额,充值券退款总金额,手续费总金额,订单总金额,申请退款总金额\r\n`2,`88.00,`30.00,`0.00,`0.35000,`88.00,`30.00\r\n";
    const FLOW: &str = "\u{feff}记账时间,微信支付业务单号,资金流水单号,业务名称,业务类型,收支类型,收支金额(元),账户结余(元),资金变更提交申请人,备注,业务凭证号\r\n`2026-11-24 09:00:00,`1330000001,`01,`商家转账,`商家转账,`支出,`3.00,`97.00,`system,`,`out-1\r\n`2026-11-24 09:01:00,`4200000000,`02,`交易,`交易,`收入,`88.00,`185.00,`system,`,`order-1\r\n`2026-11-24 09:02:00,`1330000002,`03,`商家转账退回,`商家转账退回,`收入,`4.00,`189.00,`system,`,`out-2\r\n资金流水总笔数,收入笔数,收入金额,支出笔数,支出金额\r\n`3,`2,`92.00,`1,`3.00\r\n";

    fn at(text: &str) -> i64 {
        Timestamp::parse_rfc3339(text).unwrap().0
    }

    #[test]
    fn payments_and_refunds_are_read_by_the_names_of_their_columns() {
        let found = trade(20_000, TRADE.as_bytes()).unwrap();
        let line = |no, way, number: &str, amount_minor, time| BookEntry {
            no: place(20_000, no),
            way,
            number: number.to_owned(),
            amount_minor,
            at_ms: at(time),
        };
        assert_eq!(
            found,
            [
                line(1, Way::In, "order-1", 8_800, "2026-11-24T00:00:00+08:00"),
                line(2, Way::Back, "back-1", 3_000, "2026-11-24T10:00:00+08:00"),
            ]
        );
        let unnamed = TRADE.replace("`order-1", "`订单").replace("`back-1", "`");
        let numbers: Vec<String> =
            trade(1, unnamed.as_bytes()).unwrap().into_iter().map(|entry| entry.number).collect();
        assert_eq!(numbers, ["4200000000", "5030000000"], "the platform's own where ours is none");
    }

    #[test]
    fn payouts_and_what_came_back_are_told_from_everything_else() {
        let found = flow(20_000, FLOW.as_bytes()).unwrap();
        let [out] = &found.out[..] else { panic!("{found:?}") };
        assert_eq!((out.no, out.way, out.amount_minor), (place(20_000, PAYOUTS_FROM + 1), Way::Out, 300));
        assert_eq!(out.number, "out-1");
        assert!(found.back.iter().eq(["out-2"]));
        assert_eq!(day_and_line(out.no), (20_000, PAYOUTS_FROM + 1));
    }

    #[test]
    fn what_is_no_bill_is_refused_and_never_half_read() {
        assert_eq!(trade(1, b""), Err(Unreadable::Form));
        assert_eq!(trade(1, &[0xff, b'\n']), Err(Unreadable::Form));
        assert_eq!(trade(1, FLOW.as_bytes()), Err(Unreadable::Column("交易时间")));
        assert_eq!(flow(1, TRADE.as_bytes()), Err(Unreadable::Column("记账时间")));
        for (from, to) in [
            ("`88.00,`0.00,`\r\n", "`88.001,`0.00,`\r\n"),
            ("`88.00,`0.00,`\r\n", "`-1.00,`0.00,`\r\n"),
            ("`88.00,`0.00,`\r\n", "`88.00,`0.00\r\n"),
            ("2026-11-24 00:00:00", "2026-11-31 00:00:00"),
        ] {
            assert_eq!(trade(1, TRADE.replacen(from, to, 1).as_bytes()), Err(Unreadable::Line(1)), "{to}");
        }
        assert_eq!(flow(1, FLOW.replace("`支出", "`其他").as_bytes()), Err(Unreadable::Line(1)));
        let last_is_cut = &TRADE[..TRADE.find("`5030000000").unwrap()];
        assert_eq!(trade(1, last_is_cut.as_bytes()), Err(Unreadable::Line(2)));
    }
}
