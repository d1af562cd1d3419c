//! Callers of the wallet over HTTP, on one thread: each keeps a connection open and has one payment under way on it.
//!
//! They share the machine with the server, so a request is put together from bytes made beforehand and of an answer only
//! the status, the length and the words that matter are read. What is sent is what the wallet's own page sends: the
//! session's cookie, the origin the page came from, and the payment password, as JSON.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use koudai_networks::platform::token_text;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::accounts::PIN;
use super::measure::{Figures, Latency};
use super::together::{block_on_local, on_a_thread};
use super::wire::read_answer;
use crate::failure::Failure;

/// An order to pay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bill {
    /// The code that stands for it.
    pub(super) code: [u8; 16],
    /// Who pays it.
    pub(super) payer: u32,
    /// How much it is, in fen.
    pub(super) minor: i64,
}

/// What callers were told is paid.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Acknowledged {
    /// So many times.
    pub(super) payments: i64,
    /// So much, in fen.
    pub(super) minor: i64,
}

/// What the callers share.
struct Run {
    address: SocketAddr,
    /// Everything of a request after its token, for each payer.
    rests: Vec<Vec<u8>>,
    bills: Vec<Bill>,
    next: Cell<usize>,
    acknowledged: Cell<Acknowledged>,
    latency: RefCell<Latency>,
    began: Instant,
    until: Instant,
    failure: RefCell<Option<Failure>>,
}

/// Has so many callers pay until the orders or the time are used up. An answer that does not say paid ends the run.
pub(super) fn run(
    address: SocketAddr,
    tokens: &[String],
    bills: Vec<Bill>,
    connections: usize,
    limit: Duration,
) -> Result<(Figures, Acknowledged), Failure> {
    let rests = tokens.iter().map(|token| rest(address, token, "balance")).collect();
    on_a_thread(move || {
        let began = Instant::now();
        let run = Rc::new(Run {
            address,
            rests,
            bills,
            next: Cell::new(0),
            acknowledged: Cell::default(),
            latency: RefCell::default(),
            began,
            until: began + limit,
            failure: RefCell::default(),
        });
        block_on_local(async {
            let callers: Vec<_> =
                (0..connections).map(|_| tokio::task::spawn_local(Rc::clone(&run).call())).collect();
            for caller in callers {
                caller.await.expect("a caller does not panic");
            }
        });
        let elapsed = began.elapsed();
        let run = Rc::into_inner(run).expect("every caller has ended");
        if let Some(failure) = run.failure.into_inner() {
            return Err(failure);
        }
        let acknowledged = run.acknowledged.get();
        let payments = acknowledged.payments.unsigned_abs();
        Ok((Figures { payments, refused: 0, elapsed, latency: run.latency.into_inner() }, acknowledged))
    })
}

/// A request from the end of its token on; `method` is how it is paid.
pub(super) fn rest(address: SocketAddr, token: &str, method: &str) -> Vec<u8> {
    let body = format!(r#"{{"method":"{method}","payment_password":"{PIN}"}}"#);
    format!(
        " HTTP/1.1\r\nHost: {address}\r\nUser-Agent: Mozilla/5.0 (koudai bench)\r\nAccept: application/json\r\n\
         Accept-Language: zh-CN,zh;q=0.9,en;q=0.8\r\nOrigin: http://{address}\r\nSec-Fetch-Site: same-origin\r\n\
         Cookie: koudai_wallet={token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

impl Run {
    async fn call(self: Rc<Self>) {
        if let Err(failure) = self.pay_all().await {
            *self.failure.borrow_mut() = Some(failure);
        }
    }

    async fn pay_all(&self) -> Result<(), Failure> {
        let broken = |error| Failure::because("a connection to the server", &error);
        let mut stream = TcpStream::connect(self.address).await.map_err(broken)?;
        stream.set_nodelay(true).map_err(broken)?;
        let (mut request, mut answer) = (Vec::new(), Vec::new());
        while let Some(bill) = self.next() {
            request.clear();
            request.extend_from_slice(b"POST /pay/");
            request.extend_from_slice(token_text(&bill.code).as_bytes());
            request.extend_from_slice(&self.rests[bill.payer as usize]);
            let at = Instant::now();
            stream.write_all(&request).await.map_err(broken)?;
            let body = read_answer(&mut stream, &mut answer).await.map_err(broken)?;
            if !says_paid(&answer, body) {
                let answer = String::from_utf8_lossy(&answer);
                return Err(Failure::new(format!("a payment was answered: {answer}")));
            }
            self.latency.borrow_mut().record(self.began, at.elapsed());
            let Acknowledged { payments, minor } = self.acknowledged.get();
            self.acknowledged.set(Acknowledged { payments: payments + 1, minor: minor + bill.minor });
        }
        Ok(())
    }

    /// What to pay next; `None` at the end of the run.
    fn next(&self) -> Option<Bill> {
        if Instant::now() >= self.until || self.failure.borrow().is_some() {
            return None;
        }
        let bill = self.bills.get(self.next.get())?;
        self.next.set(self.next.get() + 1);
        Some(*bill)
    }
}

/// Whether an answer says that its reader has paid.
pub(super) fn says_paid(answer: &[u8], body: usize) -> bool {
    let Ok(text) = std::str::from_utf8(&answer[body..]) else { return false };
    answer.starts_with(b"HTTP/1.1 200 ")
        && text.contains(r#""state":"paid""#)
        && text.contains(r#""paid_by_you":true"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::wire::body_of;

    #[test]
    fn an_answer_is_taken_for_paid_only_if_it_says_so() {
        let paid = r#"{"paid_by_you":true,"state":"paid"}"#;
        let answer =
            |status, body: &str| format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let judge = |answer: String| {
            let body = body_of(answer.as_bytes()).unwrap();
            says_paid(answer.as_bytes(), body)
        };
        assert!(judge(answer("200 OK", paid)));
        assert!(!judge(answer("403 Forbidden", paid)));
        assert!(!judge(answer("200 OK", &paid.replace("paid\"}", "pending\"}"))));
        assert!(!judge(answer("200 OK", &paid.replace("true", "false"))));
    }
}
