//! `koudai merchant`: makes merchants and changes their rights, through the running server or without one.
//!
//! The merchant's private key is made where the command runs: the server only ever sees a signing request.

pub(crate) mod codes;
pub(crate) mod credentials;

use std::path::Path;

use koudai_core::bill::SetMerchantBills;
use koudai_core::id::MchId;
use koudai_core::login_code::SetAppSecret;
use koudai_core::merchant::{CreateMerchant, NextMerchant, SetMerchant};
use koudai_core::refusal::MerchantRefusal;
use koudai_core::rows::{Merchant, MerchantBills, Product};
use koudai_core::time::Timestamp;
use koudai_engine::{Engine, Failed};
use koudai_networks::platform::{Platform, SigningMode};
use koudai_networks::vault::{Sealed, Vault};
use koudai_wechatpay::aead::ApiV3Key;
use koudai_wechatpay::certificate::request_pem;
use koudai_wechatpay::keys::PrivateKey;
use serde::{Deserialize, Serialize};

use crate::backup::hex;
use crate::cli::{KeyMode, MerchantArgs, MerchantCreateArgs, MerchantSetArgs, ProductName};
use crate::control::{self, Request};
use crate::durable;
use crate::failure::Failure;

/// How long a merchant's certificate is valid, as in the original.
const CERTIFICATE_YEARS: u32 = 5;
/// The most domains of one merchant, as in the original.
const MAX_DOMAINS: usize = 10;
/// More scenes than the protocol has.
const MAX_SCENES: usize = 20;

/// A merchant to be made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Create {
    /// As payers read it.
    pub(crate) name: String,
    /// What it may use, words of `Product`.
    pub(crate) products: Vec<String>,
    /// Signed by the merchant's key (PKCS#10, PEM).
    pub(crate) csr_pem: String,
}

/// A change of a merchant's rights; what is `None` stays.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Set {
    mchid: String,
    products: Option<Vec<String>>,
    h5_domains: Option<Vec<String>>,
    suspended: Option<bool>,
    public_key_mode: Option<bool>,
    #[serde(default)]
    transfer_scenes: Option<Vec<String>>,
    #[serde(default)]
    empty_bills: Option<bool>,
}

/// An app whose secret is to be another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AppSecret {
    mchid: String,
}

/// What a merchant's engineers need. It is shown once: of the APIv3 key only a sealed copy is kept.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Credentials {
    pub(crate) mchid: String,
    pub(crate) appid: String,
    pub(crate) serial_no: String,
    pub(crate) certificate_pem: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) private_key_pem: Option<String>,
    pub(crate) apiv3_key: String,
    pub(crate) platform_certificate_pem: String,
    pub(crate) platform_certificate_serial: String,
    pub(crate) platform_public_key_pem: String,
    pub(crate) platform_public_key_id: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("mchid", &self.mchid).finish_non_exhaustive()
    }
}

/// Makes a merchant.
///
/// # Errors
/// In words for whoever asked.
pub(crate) async fn create(
    engine: &Engine,
    vault: &Vault,
    platform: &Platform,
    request: Create,
) -> Result<Credentials, String> {
    let name = crate::cli::name(&request.name)?;
    let products = products(&request.products)?;
    let mchid = engine.submit(NextMerchant).await.map_err(|failed| in_words(&failed))?;
    let now_ms = engine.clock().now().0;
    let certificate = platform
        .authority
        .issue_csr(&request.csr_pem, &mchid.wire(), now_ms, CERTIFICATE_YEARS)
        .map_err(|error| format!("the signing request: {error}"))?;
    let key = ApiV3Key::generate();
    let command = CreateMerchant {
        mchid,
        name,
        appid: appid(),
        products,
        apiv3_key_sealed: vault.seal(Sealed::ApiV3Key, key.expose().as_bytes()),
        certificate: credentials::as_rows_have_it(&certificate),
    };
    let merchant = engine.submit(command).await.map_err(|failed| in_words(&failed))?;
    let now = Timestamp(now_ms);
    let (signs, public_key) =
        (platform.signer(SigningMode::Certificate, now), platform.signer(SigningMode::PublicKey, now));
    Ok(Credentials {
        mchid: merchant.mchid.wire(),
        appid: merchant.appid,
        serial_no: certificate.serial,
        certificate_pem: certificate.pem,
        private_key_pem: None,
        apiv3_key: key.expose().to_owned(),
        platform_certificate_pem: signs.certificate.as_ref().map_or_else(String::new, |c| c.pem.clone()),
        platform_certificate_serial: signs.name.clone(),
        platform_public_key_pem: public_key.key.public_key().to_pem(),
        platform_public_key_id: public_key.name.clone(),
    })
}

/// Changes a merchant's rights and returns how it stands then.
///
/// # Errors
/// In words for whoever asked.
pub(crate) async fn set(engine: &Engine, request: Set) -> Result<serde_json::Value, String> {
    let domains = request.h5_domains.unwrap_or_default();
    if domains.len() > MAX_DOMAINS {
        return Err(format!("a merchant has at most {MAX_DOMAINS} domains"));
    }
    if let Some(wrong) = domains.iter().find(|domain| !is_domain(domain)) {
        return Err(format!("{wrong:?} is not a domain such as shop.example.org"));
    }
    let scenes = request.transfer_scenes.unwrap_or_default();
    if scenes.len() > MAX_SCENES {
        return Err(format!("a merchant has at most {MAX_SCENES} scenes"));
    }
    if let Some(wrong) = scenes.iter().find(|scene| !is_scene(scene)) {
        return Err(format!("{wrong:?} is not the number of a scene such as 1000"));
    }
    let command = SetMerchant {
        mchid: number(&request.mchid)?,
        products: request.products.map(|words| products(&words)).transpose()?,
        h5_domains: (!domains.is_empty()).then_some(domains),
        suspended: request.suspended,
        public_key_mode: request.public_key_mode,
        transfer_scenes: (!scenes.is_empty()).then_some(scenes),
    };
    let mchid = command.mchid;
    let Merchant { name, appid, products, suspended, public_key_mode, h5_domains, transfer_scenes, .. } =
        engine.submit(command).await.map_err(|failed| in_words(&failed))?;
    if let Some(empty) = request.empty_bills {
        let bills = SetMerchantBills { mchid, empty };
        engine.submit(bills).await.map_err(|failed| in_words(&failed))?;
    }
    let bills = engine.read(move |reader| reader.get::<MerchantBills>(&mchid)).await;
    let bills = bills.map_err(|error| error.to_string())?;
    Ok(serde_json::json!({
        "mchid": mchid.wire(),
        "name": name,
        "appid": appid,
        "products": products.split_whitespace().collect::<Vec<_>>(),
        "h5_domains": h5_domains.split_whitespace().collect::<Vec<_>>(),
        "transfer_scenes": transfer_scenes.split_whitespace().collect::<Vec<_>>(),
        "suspended": suspended,
        "empty_bills": bills.is_some_and(|bills| bills.empty),
        "key_mode": if public_key_mode { "public-key" } else { "certificate" },
    }))
}

/// Gives a merchant's app a fresh secret, of which only a keyed hash is kept.
///
/// # Errors
/// In words for whoever asked.
pub(crate) async fn app_secret(
    engine: &Engine,
    vault: &Vault,
    request: AppSecret,
) -> Result<serde_json::Value, String> {
    let mchid = number(&request.mchid)?;
    let found = engine.read(move |reader| reader.get::<Merchant>(&mchid)).await;
    let found = found.map_err(|_| "the ledger cannot be read".to_owned())?;
    let appid = found.ok_or_else(|| in_words(&Failed::Refused(MerchantRefusal::MerchantUnknown)))?.appid;
    let random = koudai_engine::random_bytes();
    let secret = hex(&random.expose()[..16]);
    let command = SetAppSecret { mchid, secret_mac: vault.app_secret_mac(&appid, &secret) };
    let app = engine.submit(command).await.map_err(|failed| in_words(&failed))?;
    Ok(serde_json::json!({ "mchid": mchid.wire(), "appid": app.appid, "app_secret": secret }))
}

/// A merchant's number as it was typed.
pub(crate) fn number(text: &str) -> Result<MchId, String> {
    MchId::parse(text).ok_or_else(|| format!("{text:?} is not a merchant's number of ten digits"))
}

/// A fresh appid: `wx` and 16 hexadecimal digits.
fn appid() -> String {
    let random = koudai_engine::random_bytes();
    format!("wx{}", hex(&random.expose()[..8]))
}

fn products(words: &[String]) -> Result<Vec<Product>, String> {
    let read = |word: &String| Product::from_word(word).ok_or_else(|| format!("{word:?} is not a product"));
    words.iter().map(read).collect()
}

/// A name of letters, digits and hyphens with at least one dot, in lower case.
fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(label)
}

/// The number of a scene: digits, at most 36 of them.
fn is_scene(text: &str) -> bool {
    (1..=36).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Why an engine did not do what was asked, for whoever asked.
pub(crate) fn in_words(failed: &Failed<MerchantRefusal>) -> String {
    match failed {
        Failed::Refused(MerchantRefusal::MerchantUnknown) => "there is no merchant of this number".to_owned(),
        Failed::Refused(other) => format!("refused: {other:?}"),
        Failed::Busy => {
            "the server has more work than it can take, or its disk is full; nothing was done".to_owned()
        }
        Failed::Stopped => "the server is stopping".to_owned(),
    }
}

/// `koudai merchant create`.
///
/// # Errors
/// See [`Failure`].
pub(crate) async fn run_create(args: MerchantCreateArgs) -> Result<(), Failure> {
    let (key, csr_pem) = key_or_request(args.csr.as_deref())?;
    let products = args.products.iter().map(|product| word(*product)).collect();
    let request = Request::MerchantCreate(Create { name: args.name, products, csr_pem });
    let mut made = control::ask(&args.data, request).await?;
    if let (Some(key), Some(made)) = (key, made.as_object_mut()) {
        made.insert("private_key_pem".to_owned(), key.to_pem().as_str().into());
    }
    println!("{made:#}");
    Ok(())
}

/// The signing request in a file, or that of a key which is made here.
fn key_or_request(csr: Option<&Path>) -> Result<(Option<PrivateKey>, String), Failure> {
    let Some(path) = csr else {
        let (key, csr_pem) = key_and_request();
        return Ok((Some(key), csr_pem));
    };
    let bytes = durable::read(path)
        .map_err(|error| Failure::because(format!("reading {}", path.display()), &error))?;
    let text = String::from_utf8(bytes.to_vec());
    Ok((None, text.map_err(|_| Failure::usage(format!("{} is not PEM", path.display())))?))
}

/// A merchant's key, and the request that stands for it.
pub(crate) fn key_and_request() -> (PrivateKey, String) {
    let key = PrivateKey::generate();
    let request = request_pem(&key, "merchant").expect("a plain name is in range");
    (key, request)
}

/// `koudai merchant set`.
///
/// # Errors
/// See [`Failure`].
pub(crate) async fn run_set(args: MerchantSetArgs) -> Result<(), Failure> {
    let request = Set {
        mchid: args.merchant.mchid,
        products: args.products.map(|products| products.into_iter().map(word).collect()),
        h5_domains: args.h5_domain,
        suspended: match (args.suspend, args.resume) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        },
        public_key_mode: args.key_mode.map(|mode| mode == KeyMode::PublicKey),
        empty_bills: args.empty_bills,
        transfer_scenes: args.transfer_scene,
    };
    println!("{:#}", control::ask(&args.merchant.data, Request::MerchantSet(request)).await?);
    Ok(())
}

/// `koudai merchant app-secret`.
///
/// # Errors
/// See [`Failure`].
pub(crate) async fn run_app_secret(args: MerchantArgs) -> Result<(), Failure> {
    let request = Request::MerchantAppSecret(AppSecret { mchid: args.mchid });
    println!("{:#}", control::ask(&args.data, request).await?);
    Ok(())
}

fn word(product: ProductName) -> String {
    let product = match product {
        ProductName::Native => Product::Native,
        ProductName::Jsapi => Product::Jsapi,
        ProductName::App => Product::App,
        ProductName::H5 => Product::H5,
        ProductName::CodePay => Product::CodePay,
        ProductName::Static => Product::Static,
        ProductName::Transfer => Product::Transfer,
    };
    product.word().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_are_names_and_nothing_else() {
        for good in ["shop.example.org", "a-b.cn", "xn--fiq228c.example"] {
            assert!(is_domain(good), "{good}");
        }
        for bad in ["", "localhost", "https://a.cn", "a.cn/x", "A.cn", "-a.cn", "a..cn", "a.cn:80", "店.cn"]
        {
            assert!(!is_domain(bad), "{bad}");
        }
    }

    #[test]
    fn a_scene_is_a_number() {
        assert!(is_scene("1000"));
        for bad in ["", "1000 1005", "１０００", "a", &"1".repeat(37)] {
            assert!(!is_scene(bad), "{bad}");
        }
    }

    #[test]
    fn an_appid_is_wx_and_sixteen_hexadecimal_digits() {
        let appid = appid();
        assert_eq!(appid.len(), 18);
        assert!(appid[2..].bytes().all(|byte| byte.is_ascii_hexdigit()) && appid.starts_with("wx"));
    }
}
