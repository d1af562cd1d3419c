//! `koudai demo`: everything on this machine. The wallet and the gateway, a bank, a UnionPay and an Alipay as processes of their
//! own, a shop that orders through the gateway like any merchant, and an inbox where the codes arrive.

mod face;
mod inbox;
mod mail;
mod ports;
mod sandboxes;
mod shop;
mod welcome;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use koudai_core::secret::Secret;
use koudai_core::sign_in::Safety;
use koudai_core::state::Policy;
use koudai_core::time::SECOND;
use koudai_engine::{Clock, Standing};
use koudai_networks::Reach;
use koudai_networks::alipay::sandbox as alipay_sandbox;
use koudai_networks::issuer::sandbox::BIN;
use koudai_networks::mail::{DEADLINE, Mailer};
use koudai_networks::relay::Relay;
use koudai_networks::sms::Sms;
use koudai_networks::unionpay::sandbox::Papers;
use koudai_store::Tuning;
use koudai_web::gateway::limits::Limits;
use koudai_wechatpay::keys::PublicKey;

use crate::cli::{DemoArgs, DemoMessages};
use crate::directory::{self, Kind};
use crate::failure::Failure;
use crate::house::{self, Plan, Server};
use crate::issuers::{self, Issuer};
use crate::keys::{self, Keys, Progress};
use crate::messages::{MailWords, SmsWords};
use crate::unionpay::Contract;
use crate::{alipay, durable, sandbox, sign_in_rules, wechat};
use inbox::Inbox;
use ports::Ports;
use sandboxes::Sandbox;

/// The sandboxes, and their directories.
const UNIONPAY: &str = "unionpay";
const ALIPAY: &str = "alipay";
/// What the bank knows the demo's wallet as.
const APP_ID: &str = "koudai-demo";
/// Everybody here is at one address, and tries things out; nobody waits until a card is a day old, nor for having opened another
/// browser.
const SAFETY: Safety = Safety {
    codes_from_block_a_day: 100_000,
    codes_from_device_a_day: 1_000,
    wrong_from_block_most: 10_000,
    reset_card_age_ms: SECOND,
    cool_new_device_ms: 0,
    ..Safety::DEFAULT
};
/// Who the demo's mail comes from.
const MAIL_FROM: &str = "wallet@koudai.example";
/// How long everything may take to answer.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// Where everything can be opened.
#[derive(Clone, Debug, serde::Serialize)]
struct Addresses {
    wallet: String,
    gateway: String,
    shop: String,
    bank: String,
    inbox: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    unionpay: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alipay: Option<String>,
}

/// `koudai demo`: runs until it is told to end. `log` is the filter the sandboxes log by.
///
/// # Errors
/// If a port, the data directory or one of the servers cannot be used.
pub(crate) async fn run(args: DemoArgs, log: String) -> Result<(), Failure> {
    let mut stop = pin!(house::stop_signal());
    let safety = safety(args.sign_in_rules.as_deref())?;
    let ports = Ports::take(args.listen)?;
    let data = args.data.as_path();
    directory::prepare(data, Kind::Demo)?;
    {
        // Another demo on this directory is found out here, before anything of the other is touched.
        let _lock = directory::lock(data)?;
        if !keys::exist(data) {
            create_keys(data, &Clock::wall())?;
        }
    }
    let keys = keys::load(data)?;
    prepare_bank(data, &keys)?;
    let token = inbox_token(data)?;

    let ip = ports.wallet.local_addr().map_err(|error| port_failure(&error))?.ip();
    let inbox = ports::address(&ports.inbox)?;
    let post_to = format!("{}/messages", ports::internal(&ports.inbox)?);
    let (sms, mailer) = ways(args.messages.clone(), &post_to, &token, &ports.mail)?;
    let messages = Inbox::new(token, Clock::wall());
    let mail_server = mail::MailServer::start(ports.mail, messages.clone())?;
    let inbox_server = start(ports.inbox, inbox::router(messages))?;
    let with = sandboxes::Shared {
        data,
        ip,
        sms_url: post_to,
        sms_token_file: data.join(INBOX_TOKEN),
        inbox_url: inbox.clone(),
        log,
    };
    let mut outside = Outsiders::start(&args, &with, [ports.bank, ports.unionpay, ports.alipay]).await?;
    let wallet = ports::address(&ports.wallet)?;
    let shop = ports::address(&ports.shop)?;
    let gateway = ports::internal(&ports.wallet)?;
    let notify = format!("{}/notify", ports::internal(&ports.shop)?);
    let plan = Plan {
        data,
        origin: wallet.clone(),
        notices_at: gateway.clone(),
        operator: args.operator,
        contact: None,
        issuer_url: outside.bank.internal().to_owned(),
        issuer_app_id: APP_ID.to_owned(),
        issuer_key: PublicKey::from_pem(&sandbox::text(&data.join("bank").join(sandbox::PUBLIC_KEY))?)
            .map_err(|error| Failure::because("the bank's public key", &error))?,
        more_issuers: more_issuers(args.more_issuers.as_deref())?,
        issuer_bins: vec![BIN.to_owned()],
        unionpay: outside.unionpay_contract(data)?,
        wechat: args.wechat.as_deref().map(wechat::read_of_this_machine).transpose()?,
        alipay: outside.alipay_contract(data)?,
        sms,
        mail: Some(mailer),
        reach: Reach::Local,
        limits: Limits::default(),
        policy: Policy { safety, ..Policy::default() },
        tuning: args.generation.map_or_else(Tuning::default, |generation| Tuning { generation }),
    };
    let house = house::open(plan, keys)?;
    let (engine, networks) = (house.app.engine.clone(), Arc::clone(&house.app.networks));
    let wallet_server = start(ports.wallet, koudai_web::router(house.app.clone()))?;
    // The shop needs a wallet that works; one that stands by answers for itself until its turn.
    let mut standing = engine.standing();
    tokio::select! {
        _ = standing.wait_for(|standing| *standing == Standing::Owner) => {}
        () = &mut stop => {
            tokio::join!(wallet_server.stop(), inbox_server.stop());
            mail_server.stop();
            outside.stop().await;
            return Ok(());
        }
    }
    let shop_server =
        start(ports.shop, shop::open(data, &engine, &networks, [&wallet, &gateway], notify).await?)?;

    let addresses = Addresses {
        gateway: wallet.clone(),
        wallet,
        shop,
        bank: outside.bank.address().to_owned(),
        inbox,
        unionpay: outside.unionpay.as_ref().map(|at| at.address().to_owned()),
        alipay: outside.alipay.as_ref().map(|at| at.address().to_owned()),
    };
    wait_for_answers(&addresses, outside.bank.internal()).await?;
    welcome(&addresses, data, args.json)?;

    stop.await;
    tokio::join!(shop_server.stop(), wallet_server.stop(), inbox_server.stop());
    mail_server.stop();
    outside.stop().await;
    say_goodbye(data);
    Ok(())
}

/// Says where the data is. Whoever closed the terminal does not read it.
fn say_goodbye(data: &Path) {
    let said =
        writeln!(std::io::stderr(), "\n  已停止，数据在 {0} · Stopped; the data is in {0}", data.display());
    drop(said);
}

/// What people may try here, and how often.
fn safety(rules: Option<&str>) -> Result<Safety, Failure> {
    let Some(text) = rules else { return Ok(SAFETY) };
    sign_in_rules::parse_over(SAFETY, text)
        .map_err(|wrong| Failure::usage(format!("--sign-in-rules: {}", wrong.join("; "))))
}

/// The networks outside, each a sandbox.
struct Outsiders {
    bank: Sandbox,
    unionpay: Option<Sandbox>,
    alipay: Option<Sandbox>,
}

impl Outsiders {
    /// Starts those that nobody else runs, on the first free ports from these on.
    async fn start(
        args: &DemoArgs,
        with: &sandboxes::Shared<'_>,
        [bank_port, unionpay_port, alipay_port]: [u16; 3],
    ) -> Result<Self, Failure> {
        let bank = match &args.bank_url {
            Some(url) => Sandbox::running(url),
            None => {
                let app = ["--app-id", APP_ID, "--app-name", &args.operator].map(str::to_owned);
                Sandbox::start(with.of_one_that_writes("bank", app.into()), with.ip, bank_port).await?
            }
        };
        // Whoever runs the bank by themselves runs the others by themselves too, or has none.
        let unionpay = match (&args.unionpay_url, &args.bank_url) {
            (Some(url), _) => Some(Sandbox::running(url)),
            (None, Some(_)) => None,
            (None, None) => {
                let settings = with.of_one_that_writes(UNIONPAY, vec![]);
                Some(Sandbox::start(settings, with.ip, unionpay_port).await?)
            }
        };
        let alipay = match (&args.alipay_url, &args.bank_url) {
            (Some(url), _) => Some(Sandbox::running(url)),
            (None, Some(_)) => None,
            (None, None) => Some(Sandbox::start(with.of(ALIPAY, vec![]), with.ip, alipay_port).await?),
        };
        Ok(Self { bank, unionpay, alipay })
    }

    /// The contract with UnionPay, by the papers it made when it started.
    fn unionpay_contract(&self, data: &Path) -> Result<Option<Contract>, Failure> {
        let Some(unionpay) = &self.unionpay else { return Ok(None) };
        let directory = data.join(UNIONPAY);
        let papers = Papers::open(&directory, Clock::wall().now().0)
            .map_err(|error| Failure::because(format!("opening {}", directory.display()), &error))?;
        Contract::with_sandbox(unionpay.internal(), &papers).map(Some)
    }

    /// The contract with Alipay, the same.
    fn alipay_contract(&self, data: &Path) -> Result<Option<alipay::Contract>, Failure> {
        let Some(sandbox) = &self.alipay else { return Ok(None) };
        let directory = data.join(ALIPAY);
        let papers = alipay_sandbox::Papers::open(&directory, Clock::wall().now().0)
            .map_err(|error| Failure::because(format!("opening {}", directory.display()), &error))?;
        alipay::Contract::with_sandbox(sandbox.internal(), &papers).map(Some)
    }

    async fn stop(&mut self) {
        self.bank.stop().await;
        for other in [&mut self.unionpay, &mut self.alipay].into_iter().flatten() {
            other.stop().await;
        }
    }
}

/// The ways messages leave by: to the inbox, but for what the demo was told of another way. Banks' messages come to the inbox anyway.
fn ways(
    told: DemoMessages,
    post_to: &str,
    token: &Secret<String>,
    mail: &TcpListener,
) -> Result<(Sms, Mailer), Failure> {
    let wrong = |problems: Vec<String>| Failure::usage(format!("--{}", problems.join("\n  --")));
    let sms = match told.sms_url {
        None => {
            Sms::new(post_to, token, None, None).map_err(|error| Failure::because("the inbox", &error))?
        }
        url => {
            let words = SmsWords {
                url,
                token_file: told.sms_token_file,
                sender: told.sms_sender,
                root: told.sms_root,
            };
            words.read(|_, url| Ok(url.to_owned())).map_err(wrong)?
        }
    };
    let words = MailWords {
        url: told.mail_url,
        password_file: told.mail_password_file,
        from: told.mail_from,
        root: told.mail_root,
    };
    if let Some(mailer) = words.read().map_err(wrong)? {
        return Ok((sms, mailer));
    }
    let at = mail.local_addr().map_err(|error| port_failure(&error))?;
    let mailer = Relay::smtp(&format!("smtp://{at}"))
        .and_then(|at| Mailer::new(at, None, MAIL_FROM, None, DEADLINE))
        .map_err(|error| Failure::because("the inbox's mail", &error))?;
    Ok((sms, mailer))
}

fn start(listener: TcpListener, router: axum::Router) -> Result<Server, Failure> {
    Server::start(listener, router, None).map_err(|error| Failure::because("starting a server", &error))
}

fn port_failure(error: &std::io::Error) -> Failure {
    Failure::because("asking for a port", error)
}

/// Issuers beside the sandbox bank, on this machine.
fn more_issuers(file: Option<&Path>) -> Result<Vec<Issuer>, Failure> {
    let Some(file) = file else { return Ok(vec![]) };
    issuers::read(file).map_err(|wrong| {
        let wrong = wrong.join("\n  - ");
        Failure::usage(format!("--more-issuers {}:\n  - {wrong}", file.display()))
    })
}

/// The inbox's token, which whoever posts a message has to show; beside the bank's files, for the bank posts too.
const INBOX_TOKEN: &str = "bank/inbox_token";

/// All keys of a demo's directory: the operator's and the bank's.
///
/// # Errors
/// As the file system's.
pub(crate) fn create_keys(data: &Path, clock: &Clock) -> Result<(), Failure> {
    let mut progress = Progress::of(keys::SLOW_KEYS + 1);
    keys::create(data, clock, &mut progress)?;
    sandbox::create_key(&data.join("bank"), &progress.generate("sandbox bank"))?;
    let keys = keys::load(data)?;
    prepare_bank(data, &keys)?;
    inbox_token(data).map(drop)
}

/// Tells the bank whom it serves, and makes its key if a first start was cut short before it.
fn prepare_bank(data: &Path, keys: &Keys) -> Result<(), Failure> {
    let directory = data.join("bank");
    if !directory.join(sandbox::PUBLIC_KEY).exists() {
        sandbox::create_key(&directory, &Progress::of(1).generate("sandbox bank"))?;
    }
    let app_key = keys.issuer_app.public_key().to_pem();
    durable::write(&directory.join(sandbox::APP_KEY), app_key.as_bytes())
        .map_err(|error| Failure::because("writing to the bank's directory", &error))
}

/// The inbox's token; made at the first start, and the same ever after, so that a bank that lives on can still post.
fn inbox_token(data: &Path) -> Result<Secret<String>, Failure> {
    let path = data.join(INBOX_TOKEN);
    if !path.exists() {
        let token = URL_SAFE_NO_PAD.encode(koudai_engine::random_bytes().expose());
        durable::write(&path, token.as_bytes())
            .map_err(|error| Failure::because(format!("writing {}", path.display()), &error))?;
    }
    Ok(Secret::new(sandbox::text(&path)?.trim().to_owned()))
}

/// Waits until every server answers, whatever it answers.
async fn wait_for_answers(addresses: &Addresses, bank: &str) -> Result<(), Failure> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .timeout(Duration::from_secs(5))
        .build()
        .map_err(|error| Failure::because("starting a client", &error))?;
    let all = [
        ("wallet", format!("{}/status", addresses.wallet)),
        ("shop", addresses.shop.clone()),
        ("bank", bank.to_owned()),
        ("inbox", addresses.inbox.clone()),
    ];
    for (name, url) in all {
        let answers = async {
            while let Err(error) = http.get(&url).send().await {
                tracing::debug!(name, %error, "does not answer yet");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(READY_WITHIN, answers).await.is_err() {
            return Err(Failure::new(format!("the {name} does not answer at {url}")));
        }
    }
    Ok(())
}

/// Prints what to open: one line of JSON for a script, a table for a person.
fn welcome(addresses: &Addresses, data: &Path, json: bool) -> Result<(), Failure> {
    let text = if json {
        serde_json::to_string(addresses).expect("addresses are plain JSON") + "\n"
    } else {
        welcome::table(addresses, data)
    };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::because("writing to standard output", &error))
}

/// The public form of a listening address: `localhost` where it leads there, so that passkeys and the camera work.
fn host(address: SocketAddr) -> String {
    let ip = address.ip();
    let localhost =
        [std::net::IpAddr::from([127, 0, 0, 1]), std::net::Ipv6Addr::LOCALHOST.into()].contains(&ip);
    if localhost { format!("localhost:{}", address.port()) } else { address.to_string() }
}
