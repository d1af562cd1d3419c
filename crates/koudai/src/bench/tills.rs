//! Merchants' tills, on one thread: each places an order, its customer pays it in the wallet, and the next order follows
//! once the merchant's server was told. Of what the platform signs one in [`SAMPLE`] is checked, opened and compared.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use koudai_wechatpay::headers::{PlatformKeys, SignedHeaders, verify_body};
use koudai_wechatpay::notice::{self, Notice};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::callers::{rest, says_paid};
use super::measure::Latency;
use super::sales::Sales;
use super::together::{block_on_local, on_a_thread};
use super::wire::{body_of, header, read_answer, read_message};
use crate::failure::Failure;
use crate::house::unix_seconds;

/// One signature in so many is checked: checking is the merchants' work, and they have machines of their own.
const SAMPLE: usize = 64;
/// A notification that takes longer ends the run.
const TOLD_WITHIN: Duration = Duration::from_secs(30);
/// The path of notifications, up to the order's number.
pub(super) const NOTIFY_PATH: &str = "/paid/";

/// What a run is about.
pub(super) struct Plan {
    /// Where the server is.
    pub(super) address: SocketAddr,
    /// Where merchants are told.
    pub(super) sink: std::net::TcpListener,
    /// What is sold.
    pub(super) sales: Sales,
    /// Who pays, by their sessions.
    pub(super) tokens: Vec<String>,
    /// What the platform signs with.
    pub(super) keys: PlatformKeys,
    /// How many tills there are.
    pub(super) tills: usize,
    /// No order is begun later than this.
    pub(super) limit: Duration,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Done {
    /// Orders placed, paid and told.
    pub(super) orders: u64,
    /// What they come to, in fen.
    pub(super) minor: i64,
    pub(super) elapsed: Duration,
    /// From sending an order to its code.
    pub(super) place: Latency,
    /// From sending a payment to its answer.
    pub(super) pay: Latency,
    /// From the payment's answer to the notification; none if the notification was there first.
    pub(super) notice: Latency,
    /// Signatures checked.
    pub(super) checked: u64,
    /// Connections on which merchants were told.
    pub(super) notice_connections: u64,
}

/// What the tills and the merchants' server share.
struct Run {
    plan: Plan,
    host: String,
    /// Everything of a payment after its token, for each payer.
    rests: Vec<Vec<u8>>,
    next: Cell<usize>,
    began: Instant,
    /// Tills that wait to be told, by their order.
    waiting: RefCell<HashMap<usize, oneshot::Sender<Instant>>>,
    orders: Cell<u64>,
    minor: Cell<i64>,
    place: RefCell<Latency>,
    pay: RefCell<Latency>,
    notice: RefCell<Latency>,
    checked: Cell<u64>,
    connections: Cell<u64>,
    failure: RefCell<Option<Failure>>,
}

/// Sells until the orders or the time are used up. An answer or a notification that is not as it should be ends the run.
pub(super) fn run(plan: Plan) -> Result<Done, Failure> {
    let host = plan.address.to_string();
    let rests = plan.tokens.iter().map(|token| rest(plan.address, token, "balance")).collect();
    on_a_thread(move || {
        let run = Rc::new(Run {
            plan,
            host,
            rests,
            next: Cell::new(0),
            began: Instant::now(),
            waiting: RefCell::default(),
            orders: Cell::new(0),
            minor: Cell::new(0),
            place: RefCell::default(),
            pay: RefCell::default(),
            notice: RefCell::default(),
            checked: Cell::new(0),
            connections: Cell::new(0),
            failure: RefCell::default(),
        });
        let elapsed = block_on_local(async {
            let server = tokio::task::spawn_local(Rc::clone(&run).be_told());
            let tills: Vec<_> =
                (0..run.plan.tills).map(|_| tokio::task::spawn_local(Rc::clone(&run).till())).collect();
            for till in tills {
                till.await.expect("a till does not panic");
            }
            server.abort();
            run.began.elapsed()
        });
        if let Some(failure) = run.failure.take() {
            return Err(failure);
        }
        Ok(Done {
            orders: run.orders.get(),
            minor: run.minor.get(),
            elapsed,
            place: run.place.take(),
            pay: run.pay.take(),
            notice: run.notice.take(),
            checked: run.checked.get(),
            notice_connections: run.connections.get(),
        })
    })
}

fn broken(error: &std::io::Error) -> Failure {
    Failure::because("a connection of the load", error)
}

impl Run {
    fn fail(&self, failure: Failure) {
        self.failure.borrow_mut().get_or_insert(failure);
    }

    /// The next order; `None` at the end of the run.
    fn next(&self) -> Option<usize> {
        let number = self.next.get();
        let over = self.began.elapsed() >= self.plan.limit || number >= self.plan.sales.len();
        if over || self.failure.borrow().is_some() {
            return None;
        }
        self.next.set(number + 1);
        Some(number)
    }

    async fn till(self: Rc<Self>) {
        if let Err(failure) = self.sell().await {
            self.fail(failure);
        }
    }

    async fn sell(&self) -> Result<(), Failure> {
        let mut merchant = connect(self.plan.address).await?;
        let mut payer = connect(self.plan.address).await?;
        let (mut request, mut answer) = (Vec::new(), Vec::new());
        while let Some(number) = self.next() {
            self.plan.sales.write(number, &self.host, &mut request);
            let at = Instant::now();
            merchant.write_all(&request).await.map_err(|e| broken(&e))?;
            let body = read_answer(&mut merchant, &mut answer).await.map_err(|e| broken(&e))?;
            self.place.borrow_mut().record(self.began, at.elapsed());
            let code = self.code(number, &answer, body)?;

            let (sender, told) = oneshot::channel();
            self.waiting.borrow_mut().insert(number, sender);
            request.clear();
            request.extend_from_slice(b"POST /pay/");
            request.extend_from_slice(code.as_bytes());
            request.extend_from_slice(&self.rests[number % self.rests.len()]);
            let at = Instant::now();
            payer.write_all(&request).await.map_err(|e| broken(&e))?;
            let body = read_answer(&mut payer, &mut answer).await.map_err(|e| broken(&e))?;
            let paid = Instant::now();
            if !says_paid(&answer, body) {
                return Err(unexpected("a payment", &answer));
            }
            self.pay.borrow_mut().record(self.began, paid - at);

            let Ok(Ok(arrived)) = tokio::time::timeout(TOLD_WITHIN, told).await else {
                return Err(Failure::new(format!("the merchant was not told of order {number}")));
            };
            self.notice.borrow_mut().record(self.began, arrived.saturating_duration_since(paid));
            self.orders.set(self.orders.get() + 1);
            self.minor.set(self.minor.get() + Sales::minor(number));
        }
        Ok(())
    }

    /// The token of the code in an answer.
    fn code(&self, number: usize, answer: &[u8], body: usize) -> Result<String, Failure> {
        let (head, body) = answer.split_at(body);
        let text = std::str::from_utf8(body).unwrap_or_default();
        let token = text.split_once("/q/").and_then(|(_, rest)| rest.get(..22));
        let Some(token) = token.filter(|_| head.starts_with(b"HTTP/1.1 200 ")) else {
            return Err(unexpected("an order", answer));
        };
        if number.is_multiple_of(SAMPLE) {
            let signed = SignedHeaders::read(|name| header(head, name));
            signed
                .and_then(|signed| verify_body(&signed, &self.plan.keys, unix_seconds(), body))
                .map_err(|error| Failure::because("the signature of an order's answer", &error))?;
            self.checked.set(self.checked.get() + 1);
        }
        Ok(token.to_owned())
    }

    /// The merchants' server.
    async fn be_told(self: Rc<Self>) {
        let listen = async {
            self.plan.sink.set_nonblocking(true)?;
            let listener = TcpListener::from_std(self.plan.sink.try_clone()?)?;
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                self.connections.set(self.connections.get() + 1);
                tokio::task::spawn_local(Rc::clone(&self).answer_all(stream));
            }
        };
        let ended: std::io::Result<()> = listen.await;
        self.fail(broken(&ended.expect_err("a server goes on until it fails")));
    }

    async fn answer_all(self: Rc<Self>, mut stream: TcpStream) {
        let mut request = Vec::new();
        // A connection that the courier gives up is none of the run's failures.
        while let Ok(true) = read_message(&mut stream, &mut request).await {
            if let Err(failure) = self.take_notice(&request) {
                return self.fail(failure);
            }
            if stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.is_err() {
                return;
            }
            request.clear();
        }
    }

    /// Takes a notification in. The same one may come again.
    fn take_notice(&self, request: &[u8]) -> Result<(), Failure> {
        let arrived = Instant::now();
        let (head, body) = request.split_at(body_of(request).unwrap_or(request.len()));
        let line = std::str::from_utf8(head).ok().and_then(|head| head.lines().next()).unwrap_or_default();
        let number = line.split(' ').nth(1).and_then(|path| path.strip_prefix(NOTIFY_PATH)?.parse().ok());
        let Some(number) = number.filter(|number: &usize| *number < self.plan.sales.len()) else {
            return Err(unexpected("a notification", request));
        };
        if number.is_multiple_of(SAMPLE) {
            self.check_notice(number, head, body)?;
            self.checked.set(self.checked.get() + 1);
        }
        if let Some(till) = self.waiting.borrow_mut().remove(&number) {
            // A till that has given up has failed the run already.
            let _gone = till.send(arrived);
        }
        Ok(())
    }

    fn check_notice(&self, number: usize, head: &[u8], body: &[u8]) -> Result<(), Failure> {
        let shop = self.plan.sales.shop(number);
        let wrong = || Failure::new(format!("the notification of order {number} is about something else"));
        let signed = SignedHeaders::read(|name| header(head, name))
            .map_err(|error| Failure::because("the headers of a notification", &error))?;
        let (keys, now_s) = (&self.plan.keys, unix_seconds());
        let opened = notice::open(&signed, body, keys, &shop.api_v3_key, &shop.mchid, now_s)
            .map_err(|error| Failure::because("opening a notification", &error))?;
        let Notice::Paid(paid) = opened else { return Err(wrong()) };
        let total = paid.amount.map(|amount| amount.total);
        if paid.out_trade_no == Sales::out_trade_no(number) && total == Some(Sales::minor(number)) {
            Ok(())
        } else {
            Err(wrong())
        }
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, Failure> {
    let stream = TcpStream::connect(address).await.map_err(|e| broken(&e))?;
    stream.set_nodelay(true).map_err(|e| broken(&e))?;
    Ok(stream)
}

/// What came instead of what should have: a body holds no secret of the run's that outlives it.
fn unexpected(what: &str, message: &[u8]) -> Failure {
    Failure::new(format!("{what} was answered or sent: {}", String::from_utf8_lossy(message)))
}
