//! `koudai bench bill`: a merchant's day of very many orders, and its bills from a server over HTTP.
//!
//! The ledger is made by the wallet's own commands, two days ago by a clock set by hand. Then the server that `koudai demo`
//! runs is started on it as a process of its own, whose memory can be told from that of the making, and a merchant's client
//! applies for the bills and downloads them. Every line is added up and compared with what the commands had answered, and
//! with how the merchant's account stood when the day began and when it ended.

use std::io::{self, BufRead as _, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use koudai_core::id::{MchId, Seq};
use koudai_core::ledger::AccountId;
use koudai_core::notice::RecordTold;
use koudai_core::payment::{Means, Pay};
use koudai_core::refund::{OrderName, RequestRefund};
use koudai_core::secret::Secret;
use koudai_core::state::Policy;
use koudai_core::time::{HOUR, MINUTE};
use koudai_engine::{Clock, Engine, Settings};
use koudai_web::bills::Day;
use koudai_wechatpay::aead::ApiV3Key;
use koudai_wechatpay::client::{Client, ClientConfig, ClientError};
use koudai_wechatpay::headers::PlatformKeys;
use koudai_wechatpay::keys::{PrivateKey, PublicKey};
use koudai_wechatpay::types::{AccountType, BillReply, BillType};
use serde_json::{Value, json};

use super::accounts::{House, not_done, pin};
use super::load::half_back;
use super::together::run_all;
use super::{SQLITE, claim, is_fresh, leave, ledger, measure, say, store_word};
use crate::cli::BenchBillArgs;
use crate::failure::Failure;
use crate::{demo, directory, durable, house, keys, merchant, process};

/// Orders under way at once while the day is made.
const AT_ONCE: usize = 8_192;
/// Orders that share a moment.
const CHUNK: usize = 20_000;
/// One order in so many is refunded in part.
const REFUNDED: usize = 50;
/// Orders of the day before and of the day after.
const BESIDE: usize = 10;
/// The most memory that making and sending a bill may take.
const MOST_OVER_IDLE: u64 = 300 << 20;
/// How long a bill may take to be there.
const MADE_WITHIN: Duration = Duration::from_mins(10);
/// How long the server is left alone before its memory counts as idle.
const SETTLE: Duration = Duration::from_secs(2);

/// What came of some orders, in fen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Totals {
    lines: u64,
    orders: i64,
    refunds: i64,
    fees: i64,
}

impl Totals {
    const fn and(self, other: Self) -> Self {
        Self {
            lines: self.lines + other.lines,
            orders: self.orders + other.orders,
            refunds: self.refunds + other.refunds,
            fees: self.fees + other.fees,
        }
    }

    /// What they brought the merchant.
    const fn net(self) -> i64 {
        self.orders - self.refunds - self.fees
    }
}

/// A merchant whose day was made.
struct Made {
    day: Day,
    totals: Totals,
    /// How its account stood when the day began and when it ended.
    standing: (i64, i64),
    key: PrivateKey,
    credentials: merchant::Credentials,
}

/// `koudai bench bill`.
///
/// # Errors
/// If the ledger cannot be made, the server does not come up, or a bill does not add up or takes too much memory.
pub(crate) async fn run_bill(args: &BenchBillArgs) -> Result<(), Failure> {
    claim(&args.data)?;
    let done = measured(args).await;
    leave(&args.data, args.keep);
    done
}

async fn measured(args: &BenchBillArgs) -> Result<(), Failure> {
    let began = Instant::now();
    let made = make(args).await?;
    say(&format!("the day took {} s to make", began.elapsed().as_secs()));
    if let Some(path) = &args.credentials {
        let mut text = serde_json::to_value(&made.credentials).expect("credentials are plain JSON");
        text["private_key_pem"] = made.key.to_pem().as_str().into();
        text["bill_date"] = made.day.to_string().into();
        durable::write(path, text.to_string().as_bytes())
            .map_err(|error| Failure::because(format!("writing {}", path.display()), &error))?;
    }
    let (mut server, gateway) = Server::start(&args.data)?;
    let report = ask(args, &made, &gateway, &server).await;
    server.stop();
    println!("{}", report?);
    Ok(())
}

/// Makes the ledger: people with money, one merchant, and its day.
async fn make(args: &BenchBillArgs) -> Result<Made, Failure> {
    let data = &args.data;
    if args.store != SQLITE {
        directory::keep_ledger_at(data, &Secret::new(args.store.clone()))?;
    }
    demo::create_keys(data, &Clock::wall())?;
    let keys = keys::load(data)?;
    let day = Day::of(Clock::wall().now().plus(-48 * HOUR));
    let clock = Clock::by_hand(day.begins().plus(-10 * MINUTE));
    let settings = Settings::of(directory::database(data)?);
    let engine = Engine::start(&settings, keys.decisions, Policy::default(), clock.clone())
        .map_err(|error| ledger(&error))?;
    is_fresh(&engine)?;
    say(&format!("opening {} accounts", args.accounts));
    let mut house = House::build(&engine, args.accounts as usize, 0)?;
    let (key, csr_pem) = merchant::key_and_request();
    let create =
        merchant::Create { name: "口袋食堂".to_owned(), products: vec!["native".to_owned()], csr_pem };
    let credentials = merchant::create(&engine, &keys.vault, &keys.platform, create).await;
    let credentials = credentials.map_err(Failure::new)?;
    let mchid = MchId::parse(&credentials.mchid).expect("a merchant's number");
    house.merchants.push(mchid);
    let house = Arc::new(house);

    trade(&engine, &house, &credentials.appid, BESIDE)?;
    let before = standing(&engine, mchid).await?;
    clock.advance(day.begins().since(clock.now()));
    say(&format!("placing and paying {} orders", args.orders));
    let orders = args.orders as usize;
    let (mut totals, mut done) = (Totals::default(), 0);
    while done < orders {
        let count = CHUNK.min(orders - done);
        totals = totals.and(trade(&engine, &house, &credentials.appid, count)?);
        done += count;
        let chunks = i64::try_from(orders.div_ceil(CHUNK)).expect("a count");
        clock.advance(23 * HOUR / chunks);
    }
    let after = standing(&engine, mchid).await?;
    clock.advance(day.ends().since(clock.now()));
    trade(&engine, &house, &credentials.appid, BESIDE)?;
    // Nobody is to be told of all this: it would be measured too.
    let told = engine.read(koudai_store::Reader::newest_journal).await.map_err(|error| ledger(&error))?;
    let tell = RecordTold { mchid, told: told.max(Seq(0)), failed: vec![], parked: vec![], log: vec![] };
    engine.submit(tell).await.map_err(not_done("passing over the notices"))?;
    if after - before != totals.net() {
        return Err(Failure::new("the merchant's account did not come to what its orders did"));
    }
    drop(engine);
    measure::wait_until_free(data);
    Ok(Made { day, totals, standing: (before, after), key, credentials })
}

async fn standing(engine: &Engine, mchid: MchId) -> Result<i64, Failure> {
    let account = AccountId::merchant(mchid);
    let balance = engine.read(move |reader| reader.balance(account)).await.map_err(|error| ledger(&error))?;
    Ok(balance.map_or(0, |balance| balance.credits_minor - balance.debits_minor))
}

/// Places and pays orders, and refunds a few in part.
fn trade(engine: &Engine, house: &Arc<House>, appid: &str, count: usize) -> Result<Totals, Failure> {
    let all = run_all(AT_ONCE, count, |number| {
        let (engine, house) = (engine.clone(), Arc::clone(house));
        let place = koudai_core::order::PlaceOrder { appid: appid.to_owned(), ..house.order(number) };
        async move {
            let order = engine.submit(place).await.map_err(not_done("placing an order"))?;
            let person = house.people[house.payer(number) as usize];
            let pay = Pay { person, order: order.id, means: Means::Balance, confirmed: pin().into() };
            let order = engine.submit(pay).await.map_err(not_done("paying"))?;
            let (orders, fees) = (order.amount.minor(), order.fee.minor());
            let mut totals = Totals { lines: 1, orders, refunds: 0, fees };
            if number % REFUNDED == 1 {
                let half = RequestRefund { order: OrderName::Id(order.id), ..half_back(&order) };
                let (refund, _) = engine.submit(half).await.map_err(not_done("refunding"))?;
                totals.lines += 1;
                totals.refunds = refund.amount.minor();
                totals.fees -= refund.fee_returned.minor();
            }
            Ok(totals)
        }
    })?;
    Ok(all.into_iter().fold(Totals::default(), Totals::and))
}

/// The server, as a process of its own.
struct Server(Child);

impl Server {
    /// Starts it on a directory; where its gateway is.
    fn start(data: &Path) -> Result<(Self, String), Failure> {
        let failed = |error| Failure::because("starting a server", &error);
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        command.args(["--log", "warn", "demo", "--json", "--data"]).arg(data);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().map_err(failed)?;
        let mut server = Self(child);
        let out = server.0.stdout.take().expect("it is piped");
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).map_err(failed)?;
        let addresses: Option<Value> = serde_json::from_str(&line).ok();
        match addresses.as_ref().and_then(|addresses| addresses["gateway"].as_str()) {
            Some(gateway) => Ok((server, gateway.to_owned())),
            None => {
                server.stop();
                Err(Failure::new("the server did not come up"))
            }
        }
    }

    fn stop(&mut self) {
        let asked = Command::new("kill").arg(self.0.id().to_string()).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _gone = self.0.kill();
        }
        let _status = self.0.wait();
    }
}

/// The merchant's client.
fn client(made: &Made, gateway: &str) -> Result<Client, Failure> {
    let credentials = &made.credentials;
    let public_key = PublicKey::from_pem(&credentials.platform_public_key_pem)
        .map_err(|error| Failure::because("the platform's key", &error))?;
    let platform_keys: PlatformKeys =
        [(credentials.platform_public_key_id.as_str(), public_key)].into_iter().collect();
    Client::new(ClientConfig {
        base_url: gateway.to_owned(),
        mchid: credentials.mchid.clone(),
        serial_no: credentials.serial_no.clone(),
        key: made.key.clone(),
        api_v3_key: ApiV3Key::new(&credentials.apiv3_key)
            .map_err(|error| Failure::because("a key", &error))?,
        platform_keys,
        platform_serial: Some(credentials.platform_public_key_id.clone()),
        clock: house::unix_seconds,
    })
    .map_err(|error| Failure::because("the merchant's client", &error))
}

/// Asks the server for the bills, and what that took.
async fn ask(args: &BenchBillArgs, made: &Made, gateway: &str, server: &Server) -> Result<Value, Failure> {
    let client = client(made, gateway)?;
    let asking = |error| Failure::because("asking the server", &error);
    client.query_by_out_trade_no("nobody-placed-it").await.expect_err("there is no such order");
    tokio::time::sleep(SETTLE).await;
    let id = server.0.id();
    let idle = process::resident_bytes_of(id);

    let day = made.day.to_string();
    let began = Instant::now();
    let trade = until_made(|| client.trade_bill(&day, &BillType::All, false)).await.map_err(asking)?;
    let trade_made = began.elapsed();
    let mut sums = Adding::of(&["订单金额", "退款金额", "手续费"]);
    let (trade_bytes, trade_sent) = fetch(&client, &trade, &mut sums).await?;
    let [orders, refunds, fees] = sums.columns();
    let found = Totals { lines: sums.lines, orders, refunds, fees };
    if found != made.totals {
        return Err(Failure::new(format!("the trade bill says {found:?}, the orders {:?}", made.totals)));
    }

    let began = Instant::now();
    let flow = until_made(|| client.fund_flow_bill(&day, &AccountType::Basic, true)).await.map_err(asking)?;
    let flow_made = began.elapsed();
    let mut sums = Adding::of(&["收支金额(元)", "账户结余(元)"]);
    let (flow_bytes, flow_sent) = fetch(&client, &flow, &mut sums).await?;
    let (ins, outs) = sums.ways;
    if ins - outs != made.totals.net() || (sums.first, sums.last) != made.standing {
        return Err(Failure::new(format!(
            "the fund-flow bill goes from {} to {}, in {ins}, out {outs}; the account went from {} to {}",
            sums.first, sums.last, made.standing.0, made.standing.1
        )));
    }
    let peak = process::most_memory_bytes_of(id);
    let over = peak.saturating_sub(idle);
    if over > MOST_OVER_IDLE {
        return Err(Failure::new(format!("the server took {over} bytes over its idle {idle}")));
    }
    let seconds = |time: Duration| measure::decimal(time.as_millis(), 1_000);
    Ok(json!({
        "store": store_word(&args.store),
        "bill_date": day,
        "orders": args.orders,
        "lines": made.totals.lines,
        "order_fen": made.totals.orders,
        "refund_fen": made.totals.refunds,
        "fee_fen": made.totals.fees,
        "trade_bill": { "bytes": trade_bytes, "made_s": seconds(trade_made), "downloaded_s": seconds(trade_sent) },
        "fund_flow_bill": {
            "lines": sums.lines,
            "bytes": flow_bytes,
            "made_s": seconds(flow_made),
            "downloaded_s": seconds(flow_sent),
        },
        "rss_idle_bytes": idle,
        "rss_peak_bytes": peak,
        "rss_over_idle_bytes": over,
        "commit": option_env!("KOUDAI_COMMIT").unwrap_or(""),
        "version": env!("CARGO_PKG_VERSION"),
        "machine": measure::machine(),
    }))
}

/// Applies until the bill is there.
async fn until_made<F>(apply: impl Fn() -> F) -> Result<BillReply, ClientError>
where
    F: Future<Output = Result<BillReply, ClientError>>,
{
    let began = Instant::now();
    loop {
        match apply().await {
            Err(ClientError::Refused { body, .. })
                if body.code == "STATEMENT_CREATING" && began.elapsed() < MADE_WITHIN =>
            {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            known => return known,
        }
    }
}

/// Downloads a bill and adds it up; how many bytes it has, and how long that took.
async fn fetch(client: &Client, bill: &BillReply, sums: &mut Adding) -> Result<(u64, Duration), Failure> {
    let began = Instant::now();
    let bytes = client.download_bill(bill, u64::MAX, sums).await;
    let bytes = bytes.map_err(|error| Failure::because("downloading a bill", &error))?;
    Ok((bytes, began.elapsed()))
}

/// Adds up columns of a bill as it comes, line by line.
struct Adding {
    wanted: &'static [&'static str],
    /// Where they stand, once the first line has come.
    places: Vec<usize>,
    rest: Vec<u8>,
    sums: Vec<i64>,
    lines: u64,
    /// Whether the sums have begun.
    over: bool,
    /// What came in and what went out, of a fund-flow bill.
    ways: (i64, i64),
    /// Its balance before the first line and after the last.
    first: i64,
    last: i64,
}

impl Adding {
    fn of(wanted: &'static [&'static str]) -> Self {
        let sums = vec![0; wanted.len()];
        let (places, rest) = (vec![], vec![]);
        Self { wanted, places, rest, sums, lines: 0, over: false, ways: (0, 0), first: 0, last: 0 }
    }

    fn columns(&self) -> [i64; 3] {
        [0, 1, 2].map(|at| self.sums[at])
    }

    fn line(&mut self, line: &str) {
        let Some(values) = line.strip_prefix('`') else {
            self.over = !self.places.is_empty();
            let names: Vec<&str> = line.trim_start_matches('\u{feff}').split(',').collect();
            if !self.over {
                let place = |wanted: &&str| names.iter().position(|name| name == wanted);
                self.places = self.wanted.iter().filter_map(place).collect();
            }
            return;
        };
        if self.over {
            return;
        }
        let values: Vec<&str> = values.split(",`").collect();
        let amounts: Vec<i64> = self.places.iter().map(|place| fen(values[*place])).collect();
        for (sum, amount) in self.sums.iter_mut().zip(&amounts) {
            *sum += amount;
        }
        if let [amount, balance] = amounts[..] {
            let comes_in = values.contains(&"收入");
            if comes_in {
                self.ways.0 += amount;
            } else {
                self.ways.1 += amount;
            }
            if self.lines == 0 {
                self.first = if comes_in { balance - amount } else { balance + amount };
            }
            self.last = balance;
        }
        self.lines += 1;
    }
}

/// An amount of a bill; what a fee has behind the fen is nothing.
fn fen(text: &str) -> i64 {
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |text| (-1, text));
    let (yuan, rest) = text.split_once('.').unwrap_or((text, "00"));
    let number = |text: &str| text.parse::<i64>().unwrap_or(i64::MIN / 1_000);
    sign * (number(yuan) * 100 + number(&rest[..2]))
}

impl Write for Adding {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.rest.extend_from_slice(bytes);
        let rest = std::mem::take(&mut self.rest);
        let mut from = 0;
        while let Some(end) = rest[from..].windows(2).position(|two| two == b"\r\n") {
            let line = std::str::from_utf8(&rest[from..from + end]).map_err(io::Error::other)?;
            self.line(line);
            from += end + 2;
        }
        self.rest.extend_from_slice(&rest[from..]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
