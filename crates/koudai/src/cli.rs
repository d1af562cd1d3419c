//! The command line.

mod merchants;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::reconcile;

pub(crate) use merchants::{
    CertificateCommand, CodeCommand, KeyMode, MerchantArgs, MerchantCommand, MerchantCreateArgs,
    MerchantNoticesArgs, MerchantProbeArgs, MerchantReplayArgs, MerchantSetArgs, ProductName,
};

/// A digital wallet that an organisation runs itself.
#[derive(Debug, Parser)]
#[command(name = "koudai", version, after_help = "Without a command, koudai starts the demo.")]
pub(crate) struct Cli {
    /// What to log to standard error: error, warn, info, debug, or as in `RUST_LOG`
    #[arg(long, global = true, value_name = "FILTER")]
    pub(crate) log: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Everything on this machine to try it: wallet, gateway, a shop, a bank and an inbox for codes
    Demo(Box<DemoArgs>),
    /// The wallet and the gateway for real, without sandbox
    Serve(Box<ServeArgs>),
    /// Servers that stand in for the outside world
    #[command(subcommand)]
    Sandbox(SandboxCommand),
    /// The operator's keys
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Merchants
    #[command(subcommand)]
    Merchant(MerchantCommand),
    /// The operator's staff
    #[command(subcommand)]
    Staff(StaffCommand),
    /// People's accounts
    #[command(subcommand)]
    Person(PersonCommand),
    /// Other apps that may take money from accounts here, by the issuer protocol
    #[command(subcommand)]
    IssuingApp(IssuingAppCommand),
    /// Compares networks' books with ours, day by day, and shows what differs
    Reconcile(reconcile::Args),
    /// Checks every invariant of a data directory, and names the rows of the first that fails
    Verify(VerifyArgs),
    /// Copies the ledger beside a server that may be running, and checks the copy.
    ///
    /// The copy is a directory with a SQLite file, whichever database the ledger is kept in. The operator's keys are not in
    /// it: keep `keys` of the data directory apart; without them a copy opens nothing.
    Backup(BackupArgs),
    /// Brings a copy back, or moves a ledger to another database: into a directory that has its keys and no ledger.
    ///
    /// The directory needs `keys`, and a file `database` if a PostgreSQL database that holds nothing is to keep the ledger. So a
    /// ledger is moved between SQLite and PostgreSQL, either way: stop the server, back up, restore, start. Copy and ledger
    /// are checked before and after. A restored ledger sends nothing to banks, phones and merchants until --reconciled.
    Restore(RestoreArgs),
    /// Puts a contract with a network to that network, and says what is wrong with it
    #[command(subcommand)]
    Doctor(DoctorCommand),
    /// Measures this machine; each command prints one JSON object
    #[command(subcommand)]
    Bench(BenchCommand),
}

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// The engine under load, on a ledger made for the purpose
    Engine(BenchEngineArgs),
    /// The wallet's own payment route over HTTP, with the callers on this machine too
    Http(BenchHttpArgs),
    /// Merchants' orders over HTTP, from placing to notification, beside the rate at which this machine signs
    Gateway(BenchGatewayArgs),
    /// The bills of a merchant's very busy day, and what they take of the server
    Bill(BenchBillArgs),
    /// Payments from balance beside a card network that does not answer
    Networks(BenchNetworksArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BenchEngineArgs {
    /// Where the ledger is made: an empty or absent directory, removed afterwards
    #[arg(long, value_name = "DIR", default_value = "./.koudai-bench")]
    pub(crate) data: PathBuf,
    /// What keeps the ledger: `sqlite`, in that directory, or the URL of a PostgreSQL database on this machine that holds
    /// nothing yet
    #[arg(long, value_name = "STORE", default_value = "sqlite")]
    pub(crate) store: String,
    /// Leave the ledger there
    #[arg(long)]
    pub(crate) keep: bool,
    /// People who pay, each equally often
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    pub(crate) accounts: usize,
    /// Merchants who are paid in turn; 1 is a hot one
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) merchants: usize,
    /// How long the run takes
    #[arg(long, value_name = "S", default_value_t = 60)]
    pub(crate) seconds: u64,
    /// Commands under way at once
    #[arg(long, value_name = "N", default_value_t = 16_384, conflicts_with = "rate")]
    pub(crate) in_flight: usize,
    /// Begin so many a second instead, whether or not those before are done
    #[arg(long, value_name = "N")]
    pub(crate) rate: Option<u64>,
    /// What is done
    #[arg(long, value_name = "MIX", default_value = "pay")]
    pub(crate) mix: BenchMix,
    /// In which order the orders are paid
    #[arg(long, value_name = "AGE", default_value = "as-placed")]
    pub(crate) order_age: OrderAge,
    /// Orders placed for the run [default: more than can be paid in it]
    #[arg(long, value_name = "N")]
    pub(crate) orders: Option<usize>,
    /// Payments made before the run
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) after: usize,
    /// Memory for rows, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    pub(crate) cache_mib: usize,
    /// Journals between two turns of what is written behind; for tests, which make too few to wait for the usual
    #[arg(long, value_name = "N", hide = true, value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) generation: Option<i64>,
    /// Draw throughput and latency over time into this file (SVG)
    #[arg(long, value_name = "FILE")]
    pub(crate) chart: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BenchHttpArgs {
    /// Where keys and ledger are made: an empty or absent directory, removed afterwards
    #[arg(long, value_name = "DIR", default_value = "./.koudai-bench")]
    pub(crate) data: PathBuf,
    /// What keeps the ledger: `sqlite`, in that directory, or the URL of a PostgreSQL database on this machine that holds
    /// nothing yet
    #[arg(long, value_name = "STORE", default_value = "sqlite")]
    pub(crate) store: String,
    /// Leave the directory there
    #[arg(long)]
    pub(crate) keep: bool,
    /// People who pay, each equally often
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(crate) accounts: usize,
    /// Connections that are kept open, each with one payment under way
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) connections: usize,
    /// How long the run takes
    #[arg(long, value_name = "S", default_value_t = 30)]
    pub(crate) seconds: u64,
    /// Orders placed for the run [default: more than can be paid in it]
    #[arg(long, value_name = "N")]
    pub(crate) orders: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct BenchGatewayArgs {
    /// Where keys and ledger are made: an empty or absent directory, removed afterwards
    #[arg(long, value_name = "DIR", default_value = "./.koudai-bench")]
    pub(crate) data: PathBuf,
    /// What keeps the ledger: `sqlite`, in that directory, or the URL of a PostgreSQL database on this machine that holds
    /// nothing yet
    #[arg(long, value_name = "STORE", default_value = "sqlite")]
    pub(crate) store: String,
    /// Leave the directory there
    #[arg(long)]
    pub(crate) keep: bool,
    /// People who pay, each equally often
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = at_least_one)]
    pub(crate) accounts: usize,
    /// Merchants who sell in turn, each with a key of its own
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_one)]
    pub(crate) merchants: usize,
    /// Tills, each with one order under way on two connections: the merchant's and the payer's
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_one)]
    pub(crate) tills: usize,
    /// How long the run takes; orders are signed before it and good for five minutes
    #[arg(long, value_name = "S", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=120))]
    pub(crate) seconds: u64,
    /// Orders signed for the run [default: as many as this machine could sign for in it]
    #[arg(long, value_name = "N")]
    pub(crate) orders: Option<usize>,
}

/// A number of something of which there has to be one.
fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|number| *number > 0).ok_or_else(|| "must be a number above zero".to_owned())
}

#[derive(Debug, Args)]
pub(crate) struct BenchBillArgs {
    /// Where keys and ledger are made: an empty or absent directory, removed afterwards
    #[arg(long, value_name = "DIR", default_value = "./.koudai-bench")]
    pub(crate) data: PathBuf,
    /// What keeps the ledger: `sqlite`, in that directory, or the URL of a PostgreSQL database on this machine that holds
    /// nothing yet
    #[arg(long, value_name = "STORE", default_value = "sqlite")]
    pub(crate) store: String,
    /// Leave the directory there
    #[arg(long)]
    pub(crate) keep: bool,
    /// People who pay, each equally often
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) accounts: u32,
    /// Orders of the day
    #[arg(long, value_name = "N", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=4_000_000))]
    pub(crate) orders: u32,
    /// Write what the merchant's SDK needs, and the day, into this file (JSON, with a private key)
    #[arg(long, value_name = "FILE")]
    pub(crate) credentials: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BenchNetworksArgs {
    /// Where keys, ledger and bank are made: an empty or absent directory, removed afterwards
    #[arg(long, value_name = "DIR", default_value = "./.koudai-bench")]
    pub(crate) data: PathBuf,
    /// Leave the directory there
    #[arg(long)]
    pub(crate) keep: bool,
    /// People who pay, each equally often
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = at_least_one)]
    pub(crate) accounts: usize,
    /// Connections that are kept open, each with one payment from balance under way
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = at_least_one)]
    pub(crate) connections: usize,
    /// People who pay by card in every other round, each once a second
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = at_least_one)]
    pub(crate) card_payers: usize,
    /// When the bank answers a debit
    #[arg(long, value_name = "S", default_value_t = 30)]
    pub(crate) answers_after_s: u64,
    /// How long each round takes
    #[arg(long, value_name = "S", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=120))]
    pub(crate) seconds: u64,
    /// Pairs of rounds, one with card payments and one without
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pairs: u32,
}

/// What a load is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchMix {
    /// Payments of orders placed beforehand
    Pay,
    /// Each order is placed and paid
    #[value(name = "pay+order")]
    PayOrder,
    /// As pay+order, and every tenth payment is refunded in part
    Mixed,
}

impl BenchMix {
    /// The word on the command line.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Pay => "pay",
            Self::PayOrder => "pay+order",
            Self::Mixed => "mixed",
        }
    }
}

/// In which order a benchmark pays its orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrderAge {
    /// As they were placed
    AsPlaced,
    /// In no order
    Random,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The data directory; a server may run on it
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The data directory; a server may run on it
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The directory to make for the copy; nothing may be there yet
    #[arg(long, value_name = "COPY")]
    pub(crate) to: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The copy that `koudai backup` made
    #[arg(long, value_name = "COPY", required_unless_present = "reconciled", conflicts_with = "reconciled")]
    pub(crate) from: Option<PathBuf>,
    /// Instead: the restored ledger was compared with banks and merchants, and from its next start on speaks to them again
    #[arg(long)]
    pub(crate) reconciled: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Where the wallet and the gateway listen; shop, bank, inbox, UnionPay and Alipay take the next free ports
    /// [default: 127.0.0.1:8080, or the next free port]
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen_address)]
    pub(crate) listen: Option<SocketAddr>,
    /// The data directory
    #[arg(long, value_name = "DIR", default_value = "./.koudai")]
    pub(crate) data: PathBuf,
    /// Print the addresses as one JSON object once all of them answer
    #[arg(long)]
    pub(crate) json: bool,
    /// Who runs this wallet, as people read it
    #[arg(long, value_name = "NAME", default_value = "口袋", value_parser = name)]
    pub(crate) operator: String,
    /// A file with further issuers on this machine, a line for each: `NUMBER BIN[,BIN…] URL KEY-FILE APP-ID`
    #[arg(long, value_name = "FILE")]
    pub(crate) more_issuers: Option<PathBuf>,
    /// A file with a contract with a WeChat Pay on this machine, such as another demo's gateway, see docs/operating-wechat-pay.md
    #[arg(long, value_name = "FILE")]
    pub(crate) wechat: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) messages: DemoMessages,
    /// A sandbox bank that runs already, on this demo's `bank` directory; for crash tests
    #[arg(long, value_name = "URL", hide = true)]
    pub(crate) bank_url: Option<String>,
    /// A sandbox UnionPay that runs already, on this demo's `unionpay` directory; for crash tests
    #[arg(long, value_name = "URL", hide = true)]
    pub(crate) unionpay_url: Option<String>,
    /// A sandbox Alipay that runs already, on this demo's `alipay` directory; for crash tests
    #[arg(long, value_name = "URL", hide = true)]
    pub(crate) alipay_url: Option<String>,
    /// Journals between two turns of what is written behind; for crash tests, which see too few to wait for the usual
    #[arg(long, value_name = "N", hide = true, value_parser = clap::value_parser!(i64).range(1..))]
    pub(crate) generation: Option<i64>,
    /// How many codes people are sent and how often they may be wrong, such as `code-gap=10`; much, if absent
    #[arg(long, value_name = "NAME=VALUE,…")]
    pub(crate) sign_in_rules: Option<String>,
}

impl Default for DemoArgs {
    fn default() -> Self {
        Self {
            listen: None,
            data: "./.koudai".into(),
            json: false,
            operator: "口袋".to_owned(),
            more_issuers: None,
            wechat: None,
            messages: DemoMessages::default(),
            bank_url: None,
            unionpay_url: None,
            alipay_url: None,
            generation: None,
            sign_in_rules: None,
        }
    }
}

/// Where a demo's wallet sends messages, if not to its inbox; as of `serve`.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct DemoMessages {
    /// Send the wallet's messages to phones there instead of to the inbox: http, https, smpp or smpps, as of `serve`
    #[arg(long, value_name = "URL", requires = "sms_token_file")]
    pub(crate) sms_url: Option<String>,
    /// The file with the bearer token for it, or the message centre's password
    #[arg(long, value_name = "FILE", requires = "sms_url")]
    pub(crate) sms_token_file: Option<String>,
    /// Who messages come from, for a message centre
    #[arg(long, value_name = "SENDER", requires = "sms_url")]
    pub(crate) sms_sender: Option<String>,
    /// A certificate to trust beside the machine's own, for a message centre over TLS, PEM
    #[arg(long, value_name = "FILE", requires = "sms_url")]
    pub(crate) sms_root: Option<String>,
    /// Hand the wallet's mail in there instead of at the inbox: smtp or smtps, as of `serve`
    #[arg(long, value_name = "URL", requires = "mail_from")]
    pub(crate) mail_url: Option<String>,
    /// The file with the user's password there
    #[arg(long, value_name = "FILE", requires = "mail_url")]
    pub(crate) mail_password_file: Option<String>,
    /// Who mail comes from
    #[arg(long, value_name = "MAILBOX", requires = "mail_url")]
    pub(crate) mail_from: Option<String>,
    /// A certificate to trust beside the machine's own, for the mail relay, PEM
    #[arg(long, value_name = "FILE", requires = "mail_url")]
    pub(crate) mail_root: Option<String>,
}

/// Settings may stand on the command line, in the environment, or in a file of lines `name = value` with the names of
/// the options; the first of them that has a setting wins.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ServeArgs {
    /// A file of settings, one `name = value` a line; names are those of the options below
    #[arg(long, value_name = "FILE", env = "KOUDAI_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The data directory, made by `koudai keys create`
    #[arg(long, value_name = "DIR", env = "KOUDAI_DATA")]
    pub(crate) data: Option<String>,
    /// Where to listen; an address other than this machine's own needs TLS
    #[arg(long, value_name = "ADDR:PORT", env = "KOUDAI_LISTEN")]
    pub(crate) listen: Option<String>,
    /// The address people and merchants use, such as `https://pay.example.org`
    #[arg(long, value_name = "URL", env = "KOUDAI_ORIGIN")]
    pub(crate) origin: Option<String>,
    /// Who runs this wallet, as people read it
    #[arg(long, value_name = "NAME", env = "KOUDAI_OPERATOR")]
    pub(crate) operator: Option<String>,
    /// How people reach them, as people read it: a telephone number, a desk and its hours
    #[arg(long, value_name = "TEXT", env = "KOUDAI_CONTACT")]
    pub(crate) contact: Option<String>,
    /// The certificate chain for TLS, PEM; without it a proxy on this machine has to bring TLS
    #[arg(long, value_name = "FILE", env = "KOUDAI_TLS_CERT")]
    pub(crate) tls_cert: Option<String>,
    /// The private key of the certificate, PEM
    #[arg(long, value_name = "FILE", env = "KOUDAI_TLS_KEY")]
    pub(crate) tls_key: Option<String>,
    /// The card issuer's address, https
    #[arg(long, value_name = "URL", env = "KOUDAI_ISSUER_URL")]
    pub(crate) issuer_url: Option<String>,
    /// The issuer's public key, PEM
    #[arg(long, value_name = "FILE", env = "KOUDAI_ISSUER_KEY")]
    pub(crate) issuer_key: Option<String>,
    /// What the issuer knows this wallet as
    #[arg(long, value_name = "ID", env = "KOUDAI_ISSUER_APP_ID")]
    pub(crate) issuer_app_id: Option<String>,
    /// Where messages to phones are posted as {"to","text"}, https; or a message centre that speaks SMPP 3.4, such as
    /// `smpps://NAME@smsc.example.org:3550`, or `smpp://NAME@ADDRESS:PORT` in a private network
    #[arg(long, value_name = "URL", env = "KOUDAI_SMS_URL")]
    pub(crate) sms_url: Option<String>,
    /// The file with the bearer token for it, or the message centre's password
    #[arg(long, value_name = "FILE", env = "KOUDAI_SMS_TOKEN_FILE")]
    pub(crate) sms_token_file: Option<String>,
    /// Who messages come from, for a message centre: `+8613800138000`, a short number or a name; `/TON/NPI` may follow
    #[arg(long, value_name = "SENDER", env = "KOUDAI_SMS_SENDER")]
    pub(crate) sms_sender: Option<String>,
    /// A certificate to trust beside the machine's own, for a message centre over TLS, PEM
    #[arg(long, value_name = "FILE", env = "KOUDAI_SMS_ROOT")]
    pub(crate) sms_root: Option<String>,
    /// The mail relay, `smtps://USER@smtp.example.org:465` or `smtp://USER@smtp.example.org:587`, which then has to offer TLS;
    /// without it no mail is sent
    #[arg(long, value_name = "URL", env = "KOUDAI_MAIL_URL")]
    pub(crate) mail_url: Option<String>,
    /// The file with the user's password there
    #[arg(long, value_name = "FILE", env = "KOUDAI_MAIL_PASSWORD_FILE")]
    pub(crate) mail_password_file: Option<String>,
    /// Who mail comes from, such as `Name <wallet@example.org>`
    #[arg(long, value_name = "MAILBOX", env = "KOUDAI_MAIL_FROM")]
    pub(crate) mail_from: Option<String>,
    /// A certificate to trust beside the machine's own, for the mail relay, PEM
    #[arg(long, value_name = "FILE", env = "KOUDAI_MAIL_ROOT")]
    pub(crate) mail_root: Option<String>,
    /// A private network whose merchants are notified too, such as `10.20.0.0/16`; may be repeated
    #[arg(long, value_name = "NETWORK,…", value_delimiter = ',', env = "KOUDAI_ALLOW_NETWORK")]
    pub(crate) allow_network: Vec<String>,
    /// How many calls each merchant may make a second, such as `orders=1000,refunds=150`; 0 for no limit
    #[arg(long, value_name = "CLASS=N,…", env = "KOUDAI_GATEWAY_LIMITS")]
    pub(crate) gateway_limits: Option<String>,
    /// What topping up and withdrawing cost and how much of them is allowed, such as `withdraw-fee=1000,withdraw-most=5000`
    #[arg(long, value_name = "NAME=VALUE,…", env = "KOUDAI_MONEY_RULES")]
    pub(crate) money_rules: Option<String>,
    /// How many codes people are sent and how often they may be wrong, such as `codes-from-addresses-a-day=5000,pause=900`
    #[arg(long, value_name = "NAME=VALUE,…", env = "KOUDAI_SIGN_IN_RULES")]
    pub(crate) sign_in_rules: Option<String>,
    /// Six digits, the first one a 9, that account numbers begin with, by which other apps bind accounts; 998801 if absent
    #[arg(long, value_name = "DIGITS", env = "KOUDAI_ACCOUNT_BIN")]
    pub(crate) account_bin: Option<String>,
    /// A file with further issuers, a line for each: `NUMBER BIN[,BIN…] URL KEY-FILE APP-ID`
    #[arg(long, value_name = "FILE", env = "KOUDAI_MORE_ISSUERS")]
    pub(crate) more_issuers: Option<String>,
    /// What the first issuer's card numbers begin with, such as `629999,62888`: needed beside UnionPay, which takes what begins
    /// with 62 otherwise
    #[arg(long, value_name = "DIGITS,…", env = "KOUDAI_ISSUER_BINS")]
    pub(crate) issuer_bins: Option<String>,
    /// A file with the contract with UnionPay, see docs/unionpay.md
    #[arg(long, value_name = "FILE", env = "KOUDAI_UNIONPAY")]
    pub(crate) unionpay: Option<String>,
    /// A file with the contract with WeChat Pay, see docs/operating-wechat-pay.md
    #[arg(long, value_name = "FILE", env = "KOUDAI_WECHAT")]
    pub(crate) wechat: Option<String>,
    /// A file with the contract with Alipay, see docs/alipay.md
    #[arg(long, value_name = "FILE", env = "KOUDAI_ALIPAY")]
    pub(crate) alipay: Option<String>,
    /// For how many seconds a card's bank is sent a payment before the payment is withdrawn there: 10 to 3600; 90 if absent
    #[arg(long, value_name = "SECONDS", env = "KOUDAI_NETWORK_DEADLINE")]
    pub(crate) network_deadline: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DoctorCommand {
    /// WeChat Pay. Moves no money: places an order over ¥0.01 and closes it again
    #[command(name = "wechat")]
    WeChat(DoctorWeChatArgs),
}

#[derive(Debug, Args)]
pub(crate) struct DoctorWeChatArgs {
    /// The file with the contract, see docs/operating-wechat-pay.md
    #[arg(long, value_name = "FILE", env = "KOUDAI_WECHAT")]
    pub(crate) wechat: PathBuf,
    /// The address people and merchants use, such as `https://pay.example.org`
    #[arg(long, value_name = "URL", env = "KOUDAI_ORIGIN")]
    pub(crate) origin: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SandboxCommand {
    /// A bank with numbered test customers and cards
    Bank(BankArgs),
    /// A UnionPay with test cards, its codes, its notices and its daily file
    #[command(name = "unionpay")]
    UnionPay(SandboxArgs),
    /// An Alipay with made-up people, the pages where they pay, its notices and its daily bills
    Alipay(AlipayArgs),
    /// Stands in front of a platform that speaks WeChat Pay's APIv3, another Koudai's gateway, and fails as it is told at /faults
    #[command(name = "wechat")]
    WeChat(WeChatArgs),
}

#[derive(Debug, Args)]
pub(crate) struct WeChatArgs {
    /// The platform behind it; `origin` there is to be this sandbox's address
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: String,
    /// Where to listen; this machine only
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen_address)]
    pub(crate) listen: SocketAddr,
    /// End when standard input ends, which is how the demo's goes with the demo
    #[arg(long, hide = true)]
    pub(crate) while_stdin: bool,
}

/// What every sandbox is told.
#[derive(Debug, Args)]
pub(crate) struct SandboxArgs {
    /// Its own directory, which it makes what it needs in
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Where to listen; this machine only
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen_address)]
    pub(crate) listen: SocketAddr,
    /// Where its messages are posted; without it nobody can confirm a card
    #[arg(long, value_name = "URL", requires = "sms_token_file")]
    pub(crate) sms_url: Option<String>,
    /// The file with the bearer token for it
    #[arg(long, value_name = "FILE")]
    pub(crate) sms_token_file: Option<PathBuf>,
    /// Where people read those messages
    #[arg(long, value_name = "URL")]
    pub(crate) inbox_url: Option<String>,
    /// End when standard input ends, which is how the demo's goes with the demo
    #[arg(long, hide = true)]
    pub(crate) while_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AlipayArgs {
    /// Its own directory, which it makes its keys, certificates and people in
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Where to listen; this machine only
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen_address)]
    pub(crate) listen: SocketAddr,
    /// Where browsers reach it [default: http:// and where it listens]
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// End when standard input ends, which is how the demo's goes with the demo
    #[arg(long, hide = true)]
    pub(crate) while_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BankArgs {
    #[command(flatten)]
    pub(crate) sandbox: SandboxArgs,
    /// The public key of the app it serves, PEM [default: `app_public_key.pem` in its directory]
    #[arg(long, value_name = "FILE")]
    pub(crate) app_key: Option<PathBuf>,
    /// What that app calls itself
    #[arg(long, value_name = "ID", default_value = "koudai-demo")]
    pub(crate) app_id: String,
    /// The app's name as card holders read it
    #[arg(long, value_name = "NAME", default_value = "口袋", value_parser = name)]
    pub(crate) app_name: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Makes a data directory with fresh keys
    Create(KeysCreateArgs),
    /// Makes the next generation of the platform's certificate or public key.
    ///
    /// Merchants get a new certificate at once (`/v3/certificates`); it signs after an overlap, by itself and without a restart.
    /// The old one serves on until it ends or is retired.
    Rotate(KeysRotateArgs),
    /// Takes a key of the platform's out of use: it is neither listed nor accepted any more
    Retire(KeysRetireArgs),
    /// Shows the platform's keys as others may know them, and which of them sign now
    Show(KeysShowArgs),
}

#[derive(Debug, Args)]
pub(crate) struct KeysRotateArgs {
    /// The data directory; a server may run on it
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Which keys
    #[arg(long, value_name = "KEY,…", value_delimiter = ',', default_value = "certificate")]
    pub(crate) key: Vec<KeyMode>,
    /// From when the new ones sign: `now`, or a time such as 2026-12-01T03:00:00+08:00 [default: a certificate after 24
    /// hours, a public key after 7 days]
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct KeysRetireArgs {
    /// The data directory; a server may run on it
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The serial of a certificate or the id of a public key
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct KeysShowArgs {
    /// The data directory; a server may run on it
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct KeysCreateArgs {
    /// The data directory to make; absent or empty
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Make a demo's directory, which `serve` will never take
    #[arg(long)]
    pub(crate) demo: bool,
    /// Keep the ledger in this PostgreSQL database on this machine instead of in the directory; the URL is written to the
    /// directory's file `database`. One with a password is better given in the environment
    #[arg(long, value_name = "URL", env = "KOUDAI_DATABASE", hide_env_values = true)]
    pub(crate) database: Option<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum PersonCommand {
    /// Freezes an account at once: nobody pays from it, withdraws or changes it, and all its sessions end
    Freeze(PersonArgs),
    /// Opens an account again whose holder the staff have identified
    Unfreeze(PersonArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PersonArgs {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Their phone number, 11 digits
    #[arg(long, value_name = "NUMBER")]
    pub(crate) phone: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StaffCommand {
    /// Makes one of the operator's staff and prints the token they enrol with
    Create(StaffCreateArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum IssuingAppCommand {
    /// Makes an app, or changes one, and prints as JSON what its engineers need
    Set(IssuingAppSetArgs),
}

#[derive(Debug, Args)]
pub(crate) struct IssuingAppSetArgs {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// What it signs its requests as: 1 to 32 of letters, digits, `-` and `_`
    #[arg(long, value_name = "NAME")]
    pub(crate) app: String,
    /// Its name as holders read it, in Chinese
    #[arg(long, value_name = "NAME")]
    pub(crate) name_zh: Option<String>,
    /// Its name as holders read it, in English
    #[arg(long, value_name = "NAME")]
    pub(crate) name_en: Option<String>,
    /// A file with the public key that checks its requests, PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// Whether it is kept from binding and from taking money; what it owes it may still give
    #[arg(long, value_name = "YES_OR_NO", value_parser = clap::builder::BoolishValueParser::new())]
    pub(crate) suspended: Option<bool>,
}

#[derive(Debug, Args)]
pub(crate) struct StaffCreateArgs {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Their sign-in name: 2 to 32 of a-z, 0-9, `.`, `-` and `_`
    #[arg(long, value_name = "NAME")]
    pub(crate) name: String,
    /// What they may do
    #[arg(long)]
    pub(crate) role: Role,
}

/// What one of the staff may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Everything, the staff included
    Owner,
    /// Settlement and reconciliation
    Finance,
    /// Customers' cases
    Service,
    /// Merchants' set-up
    Merchants,
    /// Looks, changes nothing
    Auditor,
}

/// `ADDR:PORT`, where `localhost` is a way to write 127.0.0.1.
pub(crate) fn listen_address(text: &str) -> Result<SocketAddr, String> {
    if let Some(port) = text.strip_prefix("localhost:") {
        let port = port.parse().map_err(|_| format!("{port:?} is not a port"))?;
        return Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
    }
    text.parse().map_err(|_| "write an address and a port, such as 127.0.0.1:8080".to_owned())
}

/// A name that people will read: 1 to 64 characters, none of them a control character, no blanks around it.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let length = text.chars().count();
    if !(1..=64).contains(&length) || text.chars().any(char::is_control) || text.trim() != text {
        return Err("a name has 1 to 64 characters, no blanks around it and no control characters".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn localhost_is_a_way_to_write_the_address() {
        assert_eq!(listen_address("localhost:80"), Ok(SocketAddr::from(([127, 0, 0, 1], 80))));
        assert_eq!(listen_address("[::1]:80").unwrap().port(), 80);
        for wrong in ["", "localhost", "localhost:http", "127.0.0.1", "8080", "example.org:80"] {
            assert!(listen_address(wrong).is_err(), "{wrong}");
        }
    }
}
