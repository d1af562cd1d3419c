//! The operator's contract with WeChat Pay, as a file of settings beside its keys.

use std::collections::BTreeMap;
use std::path::Path;

use koudai_core::secret::Secret;
use koudai_core::time::Timestamp;
use koudai_networks::network::Place;
use koudai_networks::wechat::{
    AccountType, DEFAULT_TIMEOUT, Identity, Payouts, Settings, TransferReport, WeChat,
};
use koudai_wechatpay::aead::ApiV3Key;
use koudai_wechatpay::keys::{PrivateKey, PublicKey};

use crate::failure::Failure;
use crate::sandbox::text;
use crate::serve::{https, secret_file_problem, settings_of};

/// Every setting of the file.
const NAMES: [&str; 19] = [
    "api",
    "authorize",
    "sns",
    "appid",
    "mchid",
    "certificate",
    "key",
    "next-certificate",
    "next-key",
    "next-from",
    "apiv3-key",
    "public-keys",
    "certificates",
    "app-secret",
    "pay",
    "payout-scene",
    "payout-report",
    "payout-reason",
    "payout-account",
];
/// Where WeChat Pay is, unless the file says otherwise.
const API: &str = "https://api.mch.weixin.qq.com";
const AUTHORIZE: &str = "https://open.weixin.qq.com";
const SNS: &str = "https://api.weixin.qq.com";
/// The longest parts of a report, in characters.
const MOST_INFO_TYPE: usize = 15;
const MOST_INFO_CONTENT: usize = 32;

/// A contract that was read.
#[derive(Clone, Debug)]
pub(crate) struct Contract {
    pub(crate) api: String,
    pub(crate) authorize: String,
    pub(crate) sns: String,
    pub(crate) appid: String,
    pub(crate) mchid: String,
    pub(crate) identities: Vec<Identity>,
    pub(crate) api_v3_key: ApiV3Key,
    pub(crate) public_keys: Vec<(String, PublicKey)>,
    pub(crate) certificates: bool,
    pub(crate) app_secret: Option<Secret<String>>,
    pub(crate) places: Vec<Place>,
    pub(crate) payouts: Option<Payouts>,
}

impl Contract {
    /// What the network's client is made of, for a wallet at `origin` that hears notices at `notices_at`; `clock` gives Unix
    /// seconds.
    pub(crate) fn settings(
        self,
        origin: &str,
        notices_at: &str,
        network: i64,
        clock: fn() -> i64,
    ) -> Settings {
        Settings {
            api: self.api,
            authorize: self.authorize,
            sns: self.sns,
            notices: format!("{notices_at}/networks/{network}/notice"),
            back: format!("{origin}/elsewhere/"),
            appid: self.appid,
            mchid: self.mchid,
            identities: self.identities,
            api_v3_key: self.api_v3_key,
            public_keys: self.public_keys,
            certificates: self.certificates,
            app_secret: self.app_secret,
            places: self.places,
            payouts: self.payouts,
            timeout: DEFAULT_TIMEOUT,
            clock,
        }
    }
}

/// Reads a contract. Files are named from its folder.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn read(path: &Path) -> Result<Contract, Vec<String>> {
    read_with(path, https)
}

/// The same of a platform that may be on this machine, by the file that `--wechat` names.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn read_of_this_machine(path: &Path) -> Result<Contract, Failure> {
    // Whether the address is really here, the client looks at itself.
    read_with(path, |_, text| Ok(text.to_owned())).map_err(|wrong| {
        let wrong = wrong.join("\n  - ");
        Failure::usage(format!("--wechat {}:\n  - {wrong}", path.display()))
    })
}

/// Judges an address by its setting's name.
type Judge = fn(&str, &str) -> Result<String, String>;

fn read_with(path: &Path, judge: Judge) -> Result<Contract, Vec<String>> {
    let (settings, wrong) = settings_of(path, &NAMES);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut reading = Reading { settings: &settings, folder, judge, wrong };
    let contract = reading.contract();
    let mut wrong = reading.wrong;
    if let Some(contract) = &contract
        && wrong.is_empty()
    {
        // What only shows once all of it is put together.
        let settings = contract.clone().settings("https://localhost", "https://localhost", 0, || 0);
        wrong.extend(WeChat::new(settings).err().map(|error| error.to_string()));
    }
    match contract {
        Some(contract) if wrong.is_empty() => Ok(contract),
        _ => Err(wrong),
    }
}

/// A file that is being read, and what is wrong with it so far.
struct Reading<'a> {
    settings: &'a BTreeMap<String, String>,
    folder: &'a Path,
    judge: Judge,
    wrong: Vec<String>,
}

impl Reading<'_> {
    fn contract(&mut self) -> Option<Contract> {
        let address = |name: &str, usual: &str| {
            self.settings.get(name).map_or_else(|| Ok(usual.to_owned()), |text| (self.judge)(name, text))
        };
        let (api, authorize, sns) =
            (address("api", API), address("authorize", AUTHORIZE), address("sns", SNS));
        let (api, authorize, sns) = (self.noted(api), self.noted(authorize), self.noted(sns));
        let (appid, mchid) = (self.need("appid"), self.need("mchid"));
        let identities = self.identities();
        let api_v3_key = self.secret("apiv3-key").and_then(|text| {
            let key = ApiV3Key::new(text.expose().trim());
            self.noted(key.map_err(|error| format!("apiv3-key: {error}")))
        });
        let public_keys = self.public_keys();
        let certificates = match self.settings.get("certificates").map(String::as_str) {
            None => Some(!self.settings.contains_key("public-keys")),
            Some("yes") => Some(true),
            Some("no") => Some(false),
            Some(other) => self.noted(Err(format!("certificates {other:?} is neither yes nor no"))),
        };
        let named = self.settings.contains_key("app-secret");
        let app_secret = if named { self.secret("app-secret") } else { None };
        let app_secret = app_secret.map(|text| Secret::new(text.expose().trim().to_owned()));
        let (places, payouts) = (self.places(), self.payouts());
        Some(Contract {
            api: api?,
            authorize: authorize?,
            sns: sns?,
            appid: appid?,
            mchid: mchid?,
            identities: identities?,
            api_v3_key: api_v3_key?,
            public_keys: public_keys?,
            certificates: certificates?,
            app_secret,
            places: places?,
            payouts,
        })
    }

    /// What was checked, or its problem among what is wrong.
    fn noted<T>(&mut self, checked: Result<T, String>) -> Option<T> {
        checked.map_err(|problem| self.wrong.push(problem)).ok()
    }

    fn need(&mut self, name: &str) -> Option<String> {
        self.noted(self.settings.get(name).cloned().ok_or_else(|| format!("{name} is missing")))
    }

    fn file(&mut self, name: &str) -> Option<String> {
        let path = self.folder.join(self.need(name)?);
        let read = text(&path).map(|text| text.to_string());
        self.noted(read.map_err(|failure: Failure| format!("{name}: {failure}")))
    }

    /// A file that nobody but its owner may read.
    fn secret(&mut self, name: &str) -> Option<Secret<String>> {
        let path = self.folder.join(self.need(name)?);
        match secret_file_problem(name, &path.to_string_lossy()) {
            None => self.file(name).map(Secret::new),
            Some(problem) => self.noted(Err(problem)),
        }
    }

    /// Our certificate, and the one that follows it.
    fn identities(&mut self) -> Option<Vec<Identity>> {
        let first = self.identity("certificate", "key", 0);
        let next = ["next-certificate", "next-key", "next-from"];
        if !next.iter().any(|name| self.settings.contains_key(*name)) {
            return Some(vec![first?]);
        }
        let from = self.need("next-from").and_then(|text| {
            let at = Timestamp::parse_rfc3339(&text);
            let problem = || format!("next-from {text:?} is no moment such as 2026-12-01T00:00:00+08:00");
            self.noted(at.ok_or_else(problem))
        });
        let next = self.identity("next-certificate", "next-key", from.map_or(0, |at| at.0 / 1_000));
        from.and(Some(vec![first?, next?]))
    }

    fn identity(&mut self, certificate: &str, key: &str, from_s: i64) -> Option<Identity> {
        let (pem, text) = (self.file(certificate), self.secret(key));
        let read = PrivateKey::from_pem(text?.expose()).map_err(|error| format!("{key}: {error}"));
        let read = self.noted(read)?;
        self.noted(Identity::new(read, &pem?, from_s).map_err(|error| format!("{certificate}: {error}")))
    }

    /// `ID FILE, ID FILE`.
    fn public_keys(&mut self) -> Option<Vec<(String, PublicKey)>> {
        let Some(list) = self.settings.get("public-keys") else { return Some(vec![]) };
        let keys = list.split(',').map(|item| {
            let named = item.split_whitespace().collect::<Vec<_>>();
            let [id, file] = named[..] else {
                return Err(format!(
                    "public-keys {item:?}: write an id and a file, such as PUB_KEY_ID_01… pub_key.pem"
                ));
            };
            let pem =
                text(&self.folder.join(file)).map_err(|failure| format!("public-keys {id}: {failure}"))?;
            let key = PublicKey::from_pem(&pem).map_err(|error| format!("public-keys {id}: {error}"))?;
            Ok((id.to_owned(), key))
        });
        let keys: Vec<_> = keys.collect();
        let keys: Vec<_> = keys.into_iter().map(|key| self.noted(key)).collect();
        keys.into_iter().collect()
    }

    /// `native, h5, jsapi`: the products of the contract.
    fn places(&mut self) -> Option<Vec<Place>> {
        let Some(list) = self.settings.get("pay") else { return Some(vec![]) };
        let places: Vec<_> = list
            .split(',')
            .map(|word| match word.trim() {
                "native" => Ok(Place::Computer),
                "h5" => Ok(Place::Phone),
                "jsapi" => Ok(Place::Inside),
                other => Err(format!("pay {other:?} is none of native, h5, jsapi")),
            })
            .collect();
        let places: Vec<_> = places.into_iter().map(|place| self.noted(place)).collect();
        places.into_iter().collect()
    }

    /// What payouts are made under; `None` if there are none, or if something is wrong with it.
    fn payouts(&mut self) -> Option<Payouts> {
        const PARTS: [&str; 4] = ["payout-scene", "payout-report", "payout-reason", "payout-account"];
        if !PARTS.iter().any(|name| self.settings.contains_key(*name)) {
            return None;
        }
        let (scene, report) = (self.need("payout-scene"), self.need("payout-report"));
        let report = report.and_then(|text| self.noted(reports(&text)));
        let account = match self.settings.get("payout-account").map(String::as_str) {
            None | Some("operation") => Some(AccountType::Operation),
            Some("basic") => Some(AccountType::Basic),
            Some(other) => {
                self.noted(Err(format!("payout-account {other:?} is neither operation nor basic")))
            }
        };
        let perception = self.settings.get("payout-reason").cloned();
        Some(Payouts { scene: scene?, report: report?, perception, account: account? })
    }
}

/// `岗位类型=…, 报酬说明=…`: what a scene has reported.
fn reports(text: &str) -> Result<Vec<TransferReport>, String> {
    let fits = |text: &str, most: usize| (1..=most).contains(&text.chars().count());
    let read = |part: &str| match part.split_once('=').map(|(kind, says)| (kind.trim(), says.trim())) {
        Some((kind, says)) if fits(kind, MOST_INFO_TYPE) && fits(says, MOST_INFO_CONTENT) => {
            Ok(TransferReport { info_type: kind.to_owned(), info_content: says.to_owned() })
        }
        _ => Err(format!(
            "payout-report {part:?}: write a kind of at most {MOST_INFO_TYPE} characters, `=`, and at most \
             {MOST_INFO_CONTENT} characters"
        )),
    };
    text.split(',').map(read).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use koudai_wechatpay::certificate::Authority;

    use super::*;

    const NOW_MS: i64 = 1_795_000_000_000;
    const WHOLE: &str = "appid = wx1234567890\nmchid = 1900000001\ncertificate = cert.pem\nkey = key.pem\n\
        next-certificate = next.pem\nnext-key = next_key.pem\nnext-from = 2026-12-01T00:00:00+08:00\n\
        apiv3-key = apiv3.txt\npublic-keys = PUB_KEY_ID_01 pub.pem, PUB_KEY_ID_02 pub2.pem\ncertificates = yes\n\
        app-secret = secret.txt\npay = native, h5,jsapi\npayout-scene = 1005\n\
        payout-report = 岗位类型=会员, 报酬说明=提现\npayout-account = basic\n";

    /// A folder with every file that `WHOLE` names.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::generate("test", NOW_MS).unwrap();
        let secret = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        };
        for (key, certificate, public) in
            [("key.pem", "cert.pem", "pub.pem"), ("next_key.pem", "next.pem", "pub2.pem")]
        {
            let made = PrivateKey::generate();
            let issued = authority.issue("1900000001", &made.public_key(), NOW_MS, 5).unwrap();
            secret(key, &made.to_pem());
            fs::write(folder.path().join(certificate), issued.pem).unwrap();
            fs::write(folder.path().join(public), made.public_key().to_pem()).unwrap();
        }
        secret("apiv3.txt", &format!("{}\n", "a".repeat(32)));
        secret("secret.txt", "0123456789abcdef\n");
        folder
    }

    fn written(folder: &Path, text: &str) -> Result<Contract, Vec<String>> {
        let path = folder.join("wechat.conf");
        fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn a_contract_is_read_and_shows_none_of_its_secrets() {
        let folder = folder();
        let contract = written(folder.path(), WHOLE).unwrap();
        assert_eq!((contract.api.as_str(), contract.sns.as_str()), (API, SNS));
        assert_eq!(contract.places, [Place::Computer, Place::Phone, Place::Inside]);
        assert_eq!(contract.identities[1].from_s, 1_796_054_400);
        assert_ne!(contract.identities[0].serial, contract.identities[1].serial);
        assert_eq!(contract.public_keys.len(), 2);
        assert!(contract.certificates);
        let payouts = contract.payouts.as_ref().unwrap();
        assert_eq!((payouts.report.len(), &payouts.account), (2, &AccountType::Basic));
        assert_eq!(payouts.report[1].info_content, "提现");
        let shown = format!("{contract:?}");
        for secret in ["PRIVATE", "aaaa", "0123456789abcdef"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        let settings = contract.settings("https://wallet.example", "https://wallet.example", 1_002, || 0);
        assert_eq!(settings.notices, "https://wallet.example/networks/1002/notice");
    }

    #[test]
    fn certificates_are_believed_where_no_public_key_is_named() {
        let folder = folder();
        let less = |text: &str, name: &str| {
            text.lines().filter(|line| !line.starts_with(name)).collect::<Vec<_>>().join("\n")
        };
        let without = less(WHOLE, "certificates");
        assert!(!written(folder.path(), &without).unwrap().certificates);
        let neither = less(&without, "public-keys");
        assert!(written(folder.path(), &neither).unwrap().certificates);
    }

    #[test]
    fn everything_wrong_with_a_contract_is_said_at_once() {
        let folder = folder();
        let wrong = written(
            folder.path(),
            "api = http://a.org\ncolour = red\ncertificate = none.pem\nnext-from = tomorrow\ncertificates = maybe\n\
             public-keys = PUB_KEY_ID_01, PUB_KEY_ID_02 none.pem\npay = native, cash\npayout-report = 岗位类型\n\
             payout-account = both\n",
        )
        .unwrap_err();
        for part in [
            "no setting `colour`",
            "api \"http://a.org\" is not https",
            "appid is missing",
            "mchid is missing",
            "certificate: ",
            "key is missing",
            "next-from \"tomorrow\"",
            "next-certificate is missing",
            "next-key is missing",
            "apiv3-key is missing",
            "public-keys \"PUB_KEY_ID_01\"",
            "public-keys PUB_KEY_ID_02",
            "certificates \"maybe\"",
            "pay \"cash\"",
            "payout-scene is missing",
            "payout-report \"岗位类型\"",
            "payout-account \"both\"",
        ] {
            assert!(wrong.iter().any(|problem| problem.contains(part)), "{part}: {wrong:?}");
        }
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let folder = folder();
        for (from, to, problem) in [
            ("certificate = cert.pem", "certificate = next.pem", "not the certificate of this key"),
            ("appid = wx1234567890", "appid = wx_1", "the appid is not"),
            ("mchid = 1900000001", "mchid = 19x", "the mchid cannot be used"),
            ("PUB_KEY_ID_02", "KEY_02", "does not begin with PUB_KEY_ID_"),
            ("PUB_KEY_ID_02", "PUB_KEY_ID_01", "is there twice"),
            ("app-secret = secret.txt\n", "", "need the app's secret"),
            ("apiv3-key = apiv3.txt", "apiv3-key = secret.txt", "apiv3-key: "),
        ] {
            let problems = written(folder.path(), &WHOLE.replacen(from, to, 1)).unwrap_err();
            assert!(problems.iter().any(|found| found.contains(problem)), "{problem}: {problems:?}");
        }
        for secret in ["key.pem", "next_key.pem", "apiv3.txt", "secret.txt"] {
            let path = folder.path().join(secret);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            let problems = written(folder.path(), WHOLE).unwrap_err();
            assert!(problems[0].contains("can be read by others"), "{secret}: {problems:?}");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}
