//! The shop's own records, in a small file of its own: what was ordered, what was paid, what went back.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, Row, params};

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS shop_order (
    order_no   TEXT    NOT NULL PRIMARY KEY,
    goods      TEXT    NOT NULL,
    fen        INTEGER NOT NULL CHECK (fen > 0),
    progress   TEXT    NOT NULL CHECK (progress IN ('unpaid', 'paid', 'closed')),
    code_url   TEXT,                               -- NULL until the gateway gave one
    code_at_ms INTEGER NOT NULL,                   -- when it gave it; 0 before
    placed_ms  INTEGER NOT NULL,
    paid_ms    INTEGER
) STRICT;

CREATE TABLE IF NOT EXISTS shop_scan (             -- orders paid by a code that the till scanned
    order_no TEXT NOT NULL PRIMARY KEY REFERENCES shop_order
) STRICT;

CREATE TABLE IF NOT EXISTS shop_refund (
    refund_no TEXT    NOT NULL PRIMARY KEY,
    order_no  TEXT    NOT NULL REFERENCES shop_order,
    number    INTEGER NOT NULL,                    -- 1, 2, 3 … within the order
    fen       INTEGER NOT NULL CHECK (fen > 0),
    state     TEXT    NOT NULL CHECK (state IN ('asked', 'processing', 'success', 'abnormal', 'refused')),
    at_ms     INTEGER NOT NULL,
    UNIQUE (order_no, number)
) STRICT;
";

const ORDERS: &str = "SELECT shop_order.*, EXISTS (SELECT 1 FROM shop_scan
                      WHERE shop_scan.order_no = shop_order.order_no) AS scanned FROM shop_order";

/// What is known of an order's payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Unpaid,
    Paid,
    Closed,
}

impl Progress {
    const fn word(self) -> &'static str {
        match self {
            Self::Unpaid => "unpaid",
            Self::Paid => "paid",
            Self::Closed => "closed",
        }
    }
}

/// How a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefundState {
    /// Written down; whether the gateway took it is not known, so it is asked again under the same number.
    Asked,
    /// Taken by the gateway, on its way.
    Processing,
    /// Arrived.
    Success,
    /// Stuck at the payer's bank.
    Abnormal,
    /// The gateway said no; nothing went back.
    Refused,
}

impl RefundState {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Processing => "processing",
            Self::Success => "success",
            Self::Abnormal => "abnormal",
            Self::Refused => "refused",
        }
    }
}

/// A line of `shop_order`.
#[derive(Clone, Debug)]
pub(super) struct OrderRow {
    pub(super) order_no: String,
    pub(super) goods: String,
    pub(super) fen: i64,
    pub(super) progress: Progress,
    /// Whether the till scans the payer's code, instead of the payer the till's.
    pub(super) scanned: bool,
    pub(super) code_url: Option<String>,
    pub(super) code_at_ms: i64,
    pub(super) placed_ms: i64,
    pub(super) paid_ms: Option<i64>,
}

/// A line of `shop_refund`.
#[expect(clippy::struct_field_names, reason = "the merchant's number is called so on the wire")]
#[derive(Clone, Debug)]
pub(super) struct Refund {
    pub(super) refund_no: String,
    pub(super) number: u32,
    pub(super) fen: i64,
    pub(super) state: RefundState,
    pub(super) at_ms: i64,
}

/// The shop's file.
#[derive(Debug)]
pub(super) struct Books(Mutex<Connection>);

impl Books {
    /// Opens the file, making it at the first time.
    ///
    /// # Errors
    /// As the database's.
    pub(super) fn open(path: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self(Mutex::new(connection)))
    }

    /// Runs `work` on the connection; the work is short, and other tasks go on meanwhile.
    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        tokio::task::block_in_place(|| work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    pub(super) fn add(&self, order: &OrderRow) -> rusqlite::Result<()> {
        let sql = "INSERT INTO shop_order (order_no, goods, fen, progress, code_at_ms, placed_ms)
                   VALUES (?1, ?2, ?3, 'unpaid', 0, ?4)";
        self.with(|c| {
            let tx = c.transaction()?;
            tx.execute(sql, params![order.order_no, order.goods, order.fen, order.placed_ms])?;
            if order.scanned {
                tx.execute("INSERT INTO shop_scan (order_no) VALUES (?1)", [&order.order_no])?;
            }
            tx.commit()
        })
    }

    pub(super) fn set_code(&self, order_no: &str, code_url: &str, at_ms: i64) -> rusqlite::Result<()> {
        let sql = "UPDATE shop_order SET code_url = ?2, code_at_ms = ?3 WHERE order_no = ?1";
        self.with(|c| c.execute(sql, params![order_no, code_url, at_ms])).map(drop)
    }

    /// Ends an unpaid order; one that has ended stays as it is.
    pub(super) fn set_progress(&self, order_no: &str, to: Progress, at_ms: i64) -> rusqlite::Result<()> {
        let sql = "UPDATE shop_order SET progress = ?2, paid_ms = CASE ?2 WHEN 'paid' THEN ?3 END
                   WHERE order_no = ?1 AND progress = 'unpaid'";
        self.with(|c| c.execute(sql, params![order_no, to.word(), at_ms])).map(drop)
    }

    pub(super) fn order(&self, order_no: &str) -> rusqlite::Result<Option<(OrderRow, Vec<Refund>)>> {
        self.with(|c| {
            let order = c
                .prepare_cached(&format!("{ORDERS} WHERE order_no = ?1"))?
                .query_row([order_no], order)
                .optional()?;
            let Some(order) = order else { return Ok(None) };
            let refunds = refunds(c, order_no)?;
            Ok(Some((order, refunds)))
        })
    }

    pub(super) fn newest(&self, limit: u32) -> rusqlite::Result<Vec<(OrderRow, Vec<Refund>)>> {
        self.with(|c| {
            let sql = format!("{ORDERS} ORDER BY placed_ms DESC, order_no DESC LIMIT ?1");
            let orders: Vec<OrderRow> =
                c.prepare_cached(&sql)?.query_map([limit], order)?.collect::<rusqlite::Result<_>>()?;
            let with_refunds = |order: OrderRow| refunds(c, &order.order_no).map(|refunds| (order, refunds));
            orders.into_iter().map(with_refunds).collect()
        })
    }

    /// Writes down a refund that will be asked for; false if there is one of this number in the order already.
    pub(super) fn add_refund(&self, order_no: &str, refund: &Refund) -> rusqlite::Result<bool> {
        let sql = "INSERT INTO shop_refund (refund_no, order_no, number, fen, state, at_ms)
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
        let state = refund.state.word();
        let values = params![refund.refund_no, order_no, refund.number, refund.fen, state, refund.at_ms];
        self.with(|c| c.execute(sql, values)).map(|written| written > 0)
    }

    /// Moves a refund on; one that arrived or was refused stays so, and one that was taken is not refused any more.
    pub(super) fn set_refund(&self, refund_no: &str, state: RefundState) -> rusqlite::Result<()> {
        let sql = "UPDATE shop_refund SET state = ?2
                   WHERE refund_no = ?1 AND state NOT IN ('success', 'refused') AND (?2 <> 'refused' OR state = 'asked')";
        self.with(|c| c.execute(sql, params![refund_no, state.word()])).map(drop)
    }
}

fn order(row: &Row<'_>) -> rusqlite::Result<OrderRow> {
    Ok(OrderRow {
        order_no: row.get("order_no")?,
        goods: row.get("goods")?,
        fen: row.get("fen")?,
        progress: match row.get::<_, String>("progress")?.as_str() {
            "paid" => Progress::Paid,
            "closed" => Progress::Closed,
            _ => Progress::Unpaid,
        },
        scanned: row.get("scanned")?,
        code_url: row.get("code_url")?,
        code_at_ms: row.get("code_at_ms")?,
        placed_ms: row.get("placed_ms")?,
        paid_ms: row.get("paid_ms")?,
    })
}

fn refunds(connection: &Connection, order_no: &str) -> rusqlite::Result<Vec<Refund>> {
    let sql = "SELECT * FROM shop_refund WHERE order_no = ?1 ORDER BY number";
    let read = |row: &Row<'_>| {
        Ok(Refund {
            refund_no: row.get("refund_no")?,
            number: row.get("number")?,
            fen: row.get("fen")?,
            state: match row.get::<_, String>("state")?.as_str() {
                "processing" => RefundState::Processing,
                "success" => RefundState::Success,
                "abnormal" => RefundState::Abnormal,
                "refused" => RefundState::Refused,
                _ => RefundState::Asked,
            },
            at_ms: row.get("at_ms")?,
        })
    };
    connection.prepare_cached(sql)?.query_map([order_no], read)?.collect()
}
