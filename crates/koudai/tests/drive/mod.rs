//! Drives the real program from outside: starts it, registers people, pays. Shared by the tests that need the whole house.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test uses the part it needs")]

pub mod books;
pub mod elsewhere;
pub mod server;
pub mod till;

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use koudai_wechatpay::aead::ApiV3Key;
use koudai_wechatpay::client::{Client, ClientConfig};
use koudai_wechatpay::headers::PlatformKeys;
use koudai_wechatpay::keys::{PrivateKey, PublicKey};
use koudai_wechatpay::types::{NativeOrder, OrderAmount};
use serde_json::{Value, json};

/// The payment password of everybody in these tests.
pub const PIN: &str = "738214";

/// A command of the program under test.
pub fn koudai() -> Command {
    Command::new(env!("CARGO_BIN_EXE_koudai"))
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Output {
    command.output().expect("the program starts")
}

/// What a command printed as JSON.
pub fn json_of(command: &mut Command) -> Value {
    let output = run(command);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {complaint}");
    serde_json::from_slice(&output.stdout).expect("JSON on standard output")
}

/// Seven ports in a row that are free now and that no other test takes; the demo takes its own from the first on. They lie below those that the system gives to
/// outgoing connections, one of which could have a port when its program is started again; processes begin at different ones.
pub fn free_ports() -> u16 {
    const FIRST: u16 = 10_000;
    const ROWS: u32 = 1_250;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    for _ in 0..ROWS {
        let row =
            std::process::id().wrapping_mul(61).wrapping_add(TAKEN.fetch_add(1, Ordering::SeqCst)) % ROWS;
        let first = FIRST + 8 * u16::try_from(row).expect("few rows");
        // The last of a row stays taken as long as this process lives: no other test finds the row free while its demo starts.
        let Ok(claim) = TcpListener::bind(("127.0.0.1", first + 7)) else { continue };
        if (0..7).all(|n| TcpListener::bind(("127.0.0.1", first + n)).is_ok()) {
            std::mem::forget(claim);
            return first;
        }
    }
    panic!("no eight free ports in a row");
}

/// Sends a process a signal by its name.
pub fn signal(process: u32, name: &str) {
    let sent = run(Command::new("kill").args([&format!("-{name}"), &process.to_string()]));
    assert!(sent.status.success(), "{name} to {process}");
}

/// The first ports of several rows as `free_ports` finds them, none of which reaches into another.
pub fn rows_of_ports<const N: usize>() -> [u16; N] {
    let mut found: Vec<u16> = Vec::new();
    while found.len() < N {
        let next = free_ports();
        if found.iter().all(|port| port.abs_diff(next) >= 8) {
            found.push(next);
        }
    }
    found.try_into().expect("as many as asked for")
}

/// A program that is running and is killed when this goes.
pub struct Running(pub Child);

impl Running {
    /// Sends it a signal by its name.
    pub fn signal(&self, name: &str) {
        signal(self.0.id(), name);
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        self.0.kill().expect("it can be killed");
        self.0.wait().expect("it ends");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _over = self.0.kill();
        let _over = self.0.wait();
    }
}

/// A demo that answers.
pub struct Demo {
    pub process: Running,
    pub addresses: Value,
}

impl Demo {
    /// Starts a demo and waits for its addresses. Its log goes to `log`.
    pub fn start(data: &Path, port: u16, bank_url: Option<&str>, log: &Path) -> Self {
        Self::once_it_answers(Self::spawn(data, port, bank_url, log), log)
    }

    /// The same, of a command of the test's own.
    pub fn of(mut command: Command, log: &Path) -> Self {
        let file = std::fs::File::options().create(true).append(true).open(log).expect("a log file");
        command.stdout(Stdio::piped()).stderr(file).stdin(Stdio::null());
        Self::once_it_answers(Running(command.spawn().expect("the demo starts")), log)
    }

    fn once_it_answers(mut process: Running, log: &Path) -> Self {
        let mut line = String::new();
        let out = process.0.stdout.take().expect("its standard output");
        BufReader::new(out).read_line(&mut line).expect("its first line");
        let addresses = serde_json::from_str(&line).unwrap_or_else(|_| {
            let log = std::fs::read_to_string(log).unwrap_or_default();
            let last: Vec<&str> = log.lines().rev().take(10).collect();
            panic!("the demo said {line:?}, and last in its log, the newest first: {last:#?}");
        });
        Self { process, addresses }
    }

    /// Starts a demo and waits for nothing. It prints its addresses once it is the owner of its ledger.
    pub fn spawn(data: &Path, port: u16, bank_url: Option<&str>, log: &Path) -> Running {
        Running(Self::command(data, port, bank_url, log).spawn().expect("the demo starts"))
    }

    /// The command that starts one.
    pub fn command(data: &Path, port: u16, bank_url: Option<&str>, log: &Path) -> Command {
        let log = std::fs::File::options().create(true).append(true).open(log).expect("a log file");
        let mut command = koudai();
        command.args([
            "--log",
            "debug",
            "demo",
            "--json",
            "--listen",
            &format!("127.0.0.1:{port}"),
            "--data",
        ]);
        command.arg(data).stdout(Stdio::piped()).stderr(log).stdin(Stdio::null());
        if let Some(url) = bank_url {
            // Some journals are written behind in each round, and some are not.
            command.args(["--bank-url", url, "--generation", "40"]);
        }
        command
    }

    pub fn address(&self, face: &str) -> String {
        self.addresses[face].as_str().expect("an address").to_owned()
    }
}

/// Starts the sandbox bank on its own, so that it lives on when the demo is killed.
pub fn start_bank(data: &Path, port: u16, inbox: &str, log: &Path) -> (Running, String) {
    start_sandbox("bank", data, port, inbox, log)
}

/// A demo's directory under `root`, with keys, and its bank beside it.
pub struct Ground {
    pub data: PathBuf,
    /// The inbox of the demo that is to come, where the bank posts.
    pub inbox: String,
    pub bank: Running,
    pub bank_url: String,
}

impl Ground {
    /// Makes the keys and starts the bank; the demo is to have `port`.
    pub fn prepare(root: &Path, port: u16, bank_port: u16) -> Self {
        let data = root.join("data");
        assert!(run(koudai().args(["keys", "create", "--demo", "--data"]).arg(&data)).status.success());
        // The demo's own faces take the ports after its first.
        let inbox = format!("http://127.0.0.1:{}", port + 3);
        let (bank, bank_url) = start_bank(&data, bank_port, &inbox, &root.join("bank.log"));
        Self { data, inbox, bank, bank_url }
    }
}

/// Starts a sandbox on its own, `bank` or `unionpay`.
pub fn start_sandbox(name: &str, data: &Path, port: u16, inbox: &str, log: &Path) -> (Running, String) {
    let mut command = koudai();
    command
        .args(["--log", "debug", "sandbox", name, "--listen", &format!("127.0.0.1:{port}"), "--data"])
        .arg(data.join(name))
        .args(["--sms-url", &format!("{inbox}/messages"), "--sms-token-file"])
        .arg(data.join("bank").join("inbox_token"));
    (open_sandbox(command, port, log), format!("http://127.0.0.1:{port}"))
}

/// Starts what listens on a port of this machine, and waits until it does.
pub fn open_sandbox(mut command: Command, port: u16, log: &Path) -> Running {
    let log = std::fs::File::options().create(true).append(true).open(log).expect("a log file");
    command.stdout(Stdio::null()).stderr(log).stdin(Stdio::null());
    let child = Running(command.spawn().expect("the sandbox starts"));
    let began = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed() < Duration::from_secs(20), "the sandbox does not answer");
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

/// Waits until `look` has seen what it waits for.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(40), "{what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until a network is up as the wallet says. One that was down is called again after a while; until then there is nothing
/// to cut off.
pub async fn until_up(phone: &Phone, network: &str) {
    let up = async || {
        let (_, status) = phone.get("/status").await.ok()?;
        (status["networks"][network] == "up").then_some(())
    };
    until(network, up).await;
}

/// A merchant's engineer with their own client.
pub fn merchant(data: &Path, gateway: &str) -> (Client, Value) {
    let created = json_of(koudai().args(["merchant", "create", "--name", "测试食堂", "--data"]).arg(data));
    (client(&created, gateway), created)
}

/// A client with what `koudai merchant create` printed.
pub fn client(created: &Value, gateway: &str) -> Client {
    let text = |name: &str| created[name].as_str().expect("a text").to_owned();
    let key = PublicKey::from_pem(&text("platform_certificate_pem")).expect("the platform's certificate");
    let platform_keys: PlatformKeys = [(text("platform_certificate_serial"), key)].into_iter().collect();
    Client::new(ClientConfig {
        base_url: gateway.to_owned(),
        mchid: text("mchid"),
        serial_no: text("serial_no"),
        key: PrivateKey::from_pem(&text("private_key_pem")).expect("the merchant's key"),
        api_v3_key: ApiV3Key::new(&text("apiv3_key")).expect("the merchant's APIv3 key"),
        platform_keys,
        platform_serial: None,
        clock: || koudai_engine::Clock::wall().now().0 / 1_000,
    })
    .expect("a client")
}

/// An order of the merchant's.
pub fn order(created: &Value, out_trade_no: &str, total: i64) -> NativeOrder {
    let text = |name: &str| created[name].as_str().expect("a text").to_owned();
    NativeOrder {
        appid: text("appid"),
        mchid: text("mchid"),
        description: "午餐 Lunch".to_owned(),
        out_trade_no: out_trade_no.to_owned(),
        notify_url: "http://127.0.0.1:9/notify".to_owned(),
        amount: OrderAmount { total, currency: Some("CNY".to_owned()) },
        ..NativeOrder::default()
    }
}

/// What a holder types of a card.
pub struct Typed {
    pub number: String,
    pub name: String,
    pub id_number: String,
    pub phone: String,
    pub expiry: Option<&'static str>,
    pub cvv: Option<&'static str>,
}

impl From<&koudai_networks::issuer::sandbox::TestCard> for Typed {
    fn from(card: &koudai_networks::issuer::sandbox::TestCard) -> Self {
        let [number, name, id_number, phone] =
            [&card.number, &card.name, &card.id_number, &card.phone].map(String::clone);
        Self { number, name, id_number, phone, expiry: card.expiry, cvv: card.cvv }
    }
}

impl From<&koudai_networks::unionpay::sandbox::TestCard> for Typed {
    fn from(card: &koudai_networks::unionpay::sandbox::TestCard) -> Self {
        let [number, name, id_number, phone] =
            [&card.number, &card.name, &card.id_number, &card.phone].map(String::clone);
        Self { number, name, id_number, phone, expiry: card.expiry, cvv: card.cvv }
    }
}

/// Why a request to the wallet brought nothing certain.
#[derive(Debug)]
pub struct NoAnswer;

/// A person with a phone, speaking JSON.
#[derive(Clone)]
pub struct Phone {
    http: reqwest::Client,
    wallet: String,
    inbox: String,
    pub number: String,
    token: String,
    /// What its browser says of itself, and the cookies that it keeps.
    agent: &'static str,
    cookies: String,
}

impl Phone {
    /// Registers, or signs in, and sets the payment password.
    pub async fn register(demo: &Demo, number: &str) -> Self {
        let http = http();
        let mut phone = Self {
            http,
            wallet: demo.address("wallet"),
            inbox: demo.address("inbox"),
            number: number.to_owned(),
            token: String::new(),
            agent: "a program",
            cookies: String::new(),
        };
        let asked = phone.must("/login/code", json!({"phone": number})).await;
        let code = phone.code(0).await;
        let signed_in = phone
            .must(
                "/login",
                json!({"phone": number, "code": code, "request": asked["request"], "agree": "yes"}),
            )
            .await;
        phone.token = signed_in["token"].as_str().expect("a token").to_owned();
        phone
            .must("/payment-password", json!({"payment_password": PIN, "payment_password_again": PIN}))
            .await;
        phone
    }

    /// The newest code sent to this phone, once there are more than `seen` of them.
    pub async fn code(&self, seen: usize) -> String {
        for _ in 0..200 {
            let messages = self.codes().await;
            if messages.len() > seen {
                let newest = messages.last().expect("it is not empty");
                return newest["code"].as_str().expect("a code").to_owned();
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("no code came to {}", self.number);
    }

    /// Binds a test card of the sandbox bank; returns its id.
    pub async fn bind(&self, card: &koudai_networks::issuer::sandbox::TestCard) -> String {
        self.bind_card(&Typed::from(card)).await
    }

    /// Binds a card; returns its id.
    pub async fn bind_card(&self, card: &Typed) -> String {
        let seen = self.codes().await.len();
        let kind = if card.cvv.is_some() { "credit" } else { "debit" };
        let tail = &card.number[card.number.len() - 6..];
        let mut form = json!({
            "binding_id": format!("bind-{}-{tail}", self.number), "number": card.number, "kind": kind,
            "name": card.name, "id_number": card.id_number, "phone": card.phone, "payment_password": PIN,
        });
        if let (Some(expiry), Some(cvv)) = (card.expiry, card.cvv) {
            form["expiry"] = expiry.into();
            form["cvv"] = cvv.into();
        }
        let binding = self.must("/cards", form).await;
        let id = binding["binding_id"].as_str().expect("a binding").to_owned();
        let bank_phone = Self { number: card.phone.clone(), ..self.clone() };
        let code = bank_phone.code(if card.phone == self.number { seen } else { 0 }).await;
        let bound = self.must(&format!("/cards/bindings/{id}/confirm"), json!({"code": code})).await;
        bound["card_id"].as_str().expect("a card").to_owned()
    }

    /// Every message to this phone, the newest last.
    pub async fn codes(&self) -> Vec<Value> {
        let url = format!("{}/inbox?to={}", self.inbox, self.number);
        let messages = self.http.get(url).header("accept", "application/json").send().await;
        let messages: Value = read(messages.expect("the inbox answers")).await.expect("the inbox's list");
        messages.as_array().expect("a list").clone()
    }

    /// Tops up, in yuan.
    pub async fn top_up(&self, number: &str, card: &str, amount: &str) -> Value {
        let form = json!({"attempt_id": number, "card_id": card, "amount": amount, "payment_password": PIN});
        self.must("/top-up", form).await
    }

    /// The same phone, at another address of the wallet.
    pub fn at(&self, wallet: &str) -> Self {
        Self { wallet: wallet.to_owned(), ..self.clone() }
    }

    /// The same phone, in the browser inside an app.
    pub fn inside(&self, agent: &'static str) -> Self {
        Self { agent, ..self.clone() }
    }

    /// The same browser, with these cookies.
    pub fn with_cookies(&self, cookies: &str) -> Self {
        Self { cookies: cookies.to_owned(), ..self.clone() }
    }

    /// From a code's link to the path of its payment page; `None` if the wallet says that it is busy.
    pub async fn scan(&self, code_url: &str) -> Result<Option<String>, NoAnswer> {
        let (status, body) = self.post("/scan", json!({"text": code_url})).await?;
        if status == 503 {
            return Ok(None);
        }
        assert_eq!(status, 200, "{body}");
        Ok(Some(body["pay"].as_str().expect("a path").to_owned()))
    }

    /// Pays; the status and the body, or that there was no answer.
    pub async fn pay(&self, path: &str, method: &str) -> Result<(u16, Value), NoAnswer> {
        self.post(path, json!({"method": method, "payment_password": PIN})).await
    }

    pub async fn get(&self, path: &str) -> Result<(u16, Value), NoAnswer> {
        let reply = self.send(reqwest::Method::GET, path, None).await?;
        let status = reply.status().as_u16();
        Ok((status, read(reply).await?))
    }

    pub async fn post(&self, path: &str, body: Value) -> Result<(u16, Value), NoAnswer> {
        let reply = self.send(reqwest::Method::POST, path, Some(body)).await?;
        let status = reply.status().as_u16();
        Ok((status, read(reply).await?))
    }

    /// Goes somewhere, with a body if it is sent one, and stays there: the status, the cookies it was given, and the answer or
    /// where it leads.
    pub async fn errand(&self, path: &str, body: Option<Value>) -> (u16, String, Value) {
        let method = if body.is_some() { reqwest::Method::POST } else { reqwest::Method::GET };
        let reply = self.send(method, path, body).await.expect("the wallet answers");
        let status = reply.status().as_u16();
        let text = |value: &reqwest::header::HeaderValue| value.to_str().expect("a text").to_owned();
        let given = reply.headers().get_all("set-cookie").iter().map(text);
        let pairs: Vec<_> =
            given.map(|cookie| cookie.split(';').next().expect("a pair").to_owned()).collect();
        match reply.headers().get("location").map(text) {
            Some(location) => (status, pairs.join("; "), json!({ "location": location })),
            None => (status, pairs.join("; "), read(reply).await.expect("JSON")),
        }
    }

    async fn send(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<reqwest::Response, NoAnswer> {
        let mut request = self.http.request(method, format!("{}{path}", self.wallet));
        request = request.header("accept", "application/json").header("user-agent", self.agent);
        if !self.cookies.is_empty() {
            request = request.header("cookie", &self.cookies);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        request.bearer_auth(&self.token).send().await.map_err(|_| NoAnswer)
    }

    async fn must(&self, path: &str, body: Value) -> Value {
        let (status, answer) = self.post(path, body).await.expect("the wallet answers");
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }
}

/// A client for this machine only.
pub fn http() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(15));
    builder.redirect(reqwest::redirect::Policy::none()).build().expect("a client")
}

async fn read(reply: reqwest::Response) -> Result<Value, NoAnswer> {
    let bytes = reply.bytes().await.map_err(|_| NoAnswer)?;
    serde_json::from_slice(&bytes).map_err(|_| NoAnswer)
}

/// Where a test keeps what it makes.
pub fn scratch() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_owned();
    (directory, path)
}
