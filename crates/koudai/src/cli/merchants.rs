//! What the command line says of merchants.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::name;

#[derive(Debug, Subcommand)]
pub(crate) enum MerchantCommand {
    /// Makes a merchant and prints as JSON what its engineers need
    Create(MerchantCreateArgs),
    /// Changes a merchant's rights
    Set(MerchantSetArgs),
    /// The certificates a merchant signs with
    #[command(subcommand)]
    Certificate(CertificateCommand),
    /// The codes a merchant prints and puts up, for any amount
    #[command(subcommand)]
    Code(CodeCommand),
    /// Gives a merchant another APIv3 key and prints it once; from then on notifications and certificates are sealed with it
    #[command(name = "apiv3-key")]
    ApiV3Key(MerchantArgs),
    /// Gives a merchant's app a fresh secret and prints it, once; the one before is good no longer
    AppSecret(MerchantArgs),
    /// Prints as JSON how a merchant was told of its events
    Notices(MerchantNoticesArgs),
    /// Tells a merchant of events again, under the same numbers
    Replay(MerchantReplayArgs),
    /// Sends a merchant a notification with a wrong signature, and says whether it was refused, as it should be
    Probe(MerchantProbeArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum CertificateCommand {
    /// Certifies another key of a merchant's; those it has go on
    Add(CertificateAddArgs),
    /// Shows a merchant's certificates
    List(MerchantArgs),
    /// Takes a certificate back: what it signs is refused from now on
    Revoke(CertificateRevokeArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum CodeCommand {
    /// Makes a code, and prints its link and where a sheet of it is printed
    Add(CodeAddArgs),
    /// Shows a merchant's codes
    List(MerchantArgs),
    /// Ends a code: nothing is paid by it any more
    Revoke(CodeRevokeArgs),
}

/// A merchant.
#[derive(Debug, Args)]
pub(crate) struct MerchantArgs {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The merchant's number, ten digits
    #[arg(value_name = "MCHID")]
    pub(crate) mchid: String,
}

#[derive(Debug, Args)]
pub(crate) struct CertificateAddArgs {
    #[command(flatten)]
    pub(crate) merchant: MerchantArgs,
    /// A signing request (PEM) of the merchant's own key; without it a key is made and printed
    #[arg(long, value_name = "FILE")]
    pub(crate) csr: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CodeAddArgs {
    #[command(flatten)]
    pub(crate) merchant: MerchantArgs,
    /// What it says beside the merchant's name, such as a counter
    #[arg(long, value_name = "TEXT")]
    pub(crate) label: String,
    /// Where the merchant is told of what is paid by it
    #[arg(long, value_name = "URL")]
    pub(crate) notify_url: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct CodeRevokeArgs {
    #[command(flatten)]
    pub(crate) merchant: MerchantArgs,
    /// The code, as `koudai merchant code list` shows it
    #[arg(value_name = "CODE", allow_hyphen_values = true)]
    pub(crate) code: String,
}

#[derive(Debug, Args)]
pub(crate) struct CertificateRevokeArgs {
    #[command(flatten)]
    pub(crate) merchant: MerchantArgs,
    /// The certificate's serial
    #[arg(value_name = "SERIAL")]
    pub(crate) serial: String,
}

#[derive(Debug, Args)]
pub(crate) struct MerchantNoticesArgs {
    #[command(flatten)]
    pub(crate) merchant: MerchantArgs,
    /// Only what was not answered 200 or 204
    #[arg(long)]
    pub(crate) failed: bool,
    /// Only this notice
    #[arg(long, value_name = "ID")]
    pub(crate) notice: Option<String>,
    /// Only what came before: what the page before called `next`
    #[arg(long, value_name = "NEXT")]
    pub(crate) before: Option<String>,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) limit: u16,
}

#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["notice", "order", "failed_since"])))]
pub(crate) struct MerchantReplayArgs {
    #[command(flatten)]
    pub(crate) merchant: MerchantArgs,
    /// This notice
    #[arg(long, value_name = "ID")]
    pub(crate) notice: Option<String>,
    /// What happened to this order, its refunds too: its `out_trade_no`
    #[arg(long, value_name = "OUT_TRADE_NO")]
    pub(crate) order: Option<String>,
    /// What has happened since and was not answered, at most 1,000 events: a moment such as 2026-11-25T08:00:00+08:00
    #[arg(long, value_name = "TIME")]
    pub(crate) failed_since: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct MerchantProbeArgs {
    /// The data directory of a running server
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The merchant's number, ten digits
    #[arg(value_name = "MCHID")]
    pub(crate) mchid: String,
    /// Where it listens [default: where its newest notification goes]
    #[arg(long, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Send one with a right signature too, to see that it is read at all
    #[arg(long)]
    pub(crate) good: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MerchantCreateArgs {
    /// The data directory
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The merchant's name as payers read it, at most 64 characters
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) name: String,
    /// A signing request (PEM) of the merchant's own key, which then never leaves the merchant
    #[arg(long, value_name = "FILE")]
    pub(crate) csr: Option<PathBuf>,
    /// What it may use
    #[arg(long, value_name = "PRODUCT,…", value_delimiter = ',', default_value = "native")]
    pub(crate) products: Vec<ProductName>,
}

#[derive(Debug, Args)]
pub(crate) struct MerchantSetArgs {
    #[command(flatten)]
    pub(crate) merchant: MerchantArgs,
    /// What it may use from now on; nothing else stays
    #[arg(long, value_name = "PRODUCT,…", value_delimiter = ',')]
    pub(crate) products: Option<Vec<ProductName>>,
    /// A domain of the merchant's own: payers and people who sign in are sent back to its pages and to no others; may be
    /// repeated, and replaces those before
    #[arg(long, value_name = "DOMAIN")]
    pub(crate) h5_domain: Option<Vec<String>>,
    /// A scene it may send people money for, such as 1000; may be repeated, and replaces those before
    #[arg(long, value_name = "SCENE")]
    pub(crate) transfer_scene: Option<Vec<String>>,
    /// Take no payments for it
    #[arg(long, conflicts_with = "resume")]
    pub(crate) suspend: bool,
    /// Take payments for it again
    #[arg(long)]
    pub(crate) resume: bool,
    /// Which of the platform's keys signs for it when it does not say
    #[arg(long, value_name = "MODE")]
    pub(crate) key_mode: Option<KeyMode>,
    /// Whether a day on which nothing happened has a bill, of headers and sums alone
    #[arg(long, value_name = "true|false")]
    pub(crate) empty_bills: Option<bool>,
}

/// How an order is brought to the payer, and transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum ProductName {
    /// The merchant shows a code
    Native,
    /// Inside the wallet's browser
    Jsapi,
    /// From a merchant's app
    App,
    /// From a phone's browser
    H5,
    /// The payer shows a code
    CodePay,
    /// The merchant has put up a printed code
    Static,
    /// Money to people
    Transfer,
}

/// Which of the platform's keys signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyMode {
    /// The platform certificate's
    Certificate,
    /// The platform public key
    PublicKey,
}
