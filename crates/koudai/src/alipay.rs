//! The operator's contract with Alipay, as a file of settings beside its keys or certificates.

use std::collections::BTreeMap;
use std::path::Path;

use koudai_networks::alipay::sandbox::{APP_ID, Papers, SELLER};
use koudai_networks::alipay::{AUTHORISE, DEFAULT_TIMEOUT, GATEWAY, Identity, Settings, Trust};
use koudai_networks::network::Place;
use koudai_wechatpay::keys::PrivateKey;

use crate::failure::Failure;
use crate::sandbox::text;
use crate::serve::{https, secret_file_problem, settings_of};

/// Every setting of the file.
const NAMES: [&str; 11] = [
    "gateway",
    "authorise",
    "app",
    "seller",
    "key",
    "alipay-key",
    "certificate",
    "alipay-certificate",
    "alipay-root",
    "places",
    "pays-out",
];

/// A contract that was read.
#[derive(Debug)]
pub(crate) struct Contract {
    pub(crate) gateway: String,
    pub(crate) authorise: String,
    pub(crate) app_id: String,
    pub(crate) seller: String,
    pub(crate) identity: Identity,
    pub(crate) trust: Trust,
    pub(crate) places: Vec<Place>,
    pub(crate) pays_out: bool,
}

impl Contract {
    /// That of a demo with its sandbox at `url`, whose papers are these.
    ///
    /// # Errors
    /// If the papers cannot be used.
    pub(crate) fn with_sandbox(url: &str, papers: &Papers) -> Result<Self, Failure> {
        let (identity, trust) = papers
            .in_certificate_mode()
            .map_err(|error| Failure::because("the sandbox's certificates", &error))?;
        Ok(Self {
            gateway: format!("{url}/gateway.do"),
            authorise: format!("{url}/oauth2/publicAppAuthorize.htm"),
            app_id: APP_ID.to_owned(),
            seller: SELLER.to_owned(),
            identity,
            trust,
            places: ALL_PLACES.map(|(_, place)| place).to_vec(),
            pays_out: true,
        })
    }

    /// What the network's client is made of, for a wallet at `origin` that hears notices at `notices_at`.
    pub(crate) fn settings(
        self,
        origin: &str,
        notices_at: &str,
        network: i64,
        clock: fn() -> i64,
    ) -> Settings {
        Settings {
            gateway: self.gateway,
            authorise: self.authorise,
            notices: format!("{notices_at}/networks/{network}/notice"),
            back: format!("{origin}/elsewhere/"),
            app_id: self.app_id,
            seller: self.seller,
            identity: self.identity,
            trust: self.trust,
            places: self.places,
            pays_out: self.pays_out,
            timeout: DEFAULT_TIMEOUT,
            clock,
        }
    }
}

/// Where people may pay, as the file names it.
const ALL_PLACES: [(&str, Place); 3] =
    [("computer", Place::Computer), ("phone", Place::Phone), ("inside", Place::Inside)];

/// Reads a contract. Files are named from its folder.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn read(path: &Path) -> Result<Contract, Vec<String>> {
    let (settings, mut wrong) = settings_of(path, &NAMES);
    let folder = path.parent().unwrap_or(Path::new("."));
    let contract = contract(&settings, folder, &mut wrong);
    match contract {
        Some(contract) if wrong.is_empty() => Ok(contract),
        _ => Err(wrong),
    }
}

fn contract(settings: &BTreeMap<String, String>, folder: &Path, wrong: &mut Vec<String>) -> Option<Contract> {
    let need = |name: &str| settings.get(name).cloned().ok_or_else(|| format!("{name} is missing"));
    let address = |name: &str, usual: &str| https(name, settings.get(name).map_or(usual, String::as_str));
    let file = |name: &str| {
        let path = folder.join(need(name)?);
        text(&path).map_err(|failure| format!("{name}: {failure}"))
    };
    let secret = |name: &str| {
        let path = folder.join(need(name)?);
        secret_file_problem(name, &path.to_string_lossy()).map_or_else(|| file(name), Err)
    };
    let gateway = noted(address("gateway", GATEWAY), wrong);
    let authorise = noted(address("authorise", AUTHORISE), wrong);
    let (app_id, seller) = (noted(need("app"), wrong), noted(need("seller"), wrong));
    let places = noted(places(settings.get("places").map(String::as_str)), wrong);
    let pays_out = noted(yes_or_no("pays-out", settings.get("pays-out").map(String::as_str)), wrong);
    let key = noted(secret("key"), wrong);
    let key =
        key.and_then(|key| noted(PrivateKey::from_pem(&key).map_err(|error| format!("key: {error}")), wrong));
    let of_certificates = ["certificate", "alipay-certificate", "alipay-root"];
    let certified = of_certificates.iter().any(|name| settings.contains_key(*name));
    let (identity, trust) = if certified {
        if settings.contains_key("alipay-key") {
            wrong.push(
                "alipay-key does not go with certificates: it is either keys or certificates".to_owned(),
            );
        }
        let [own, alipay, root] = of_certificates.map(|name| noted(file(name), wrong));
        let identity = key.zip(own).and_then(|(key, own)| {
            let identity = Identity::of_certificate(key, &own);
            noted(identity.map_err(|error| format!("certificate: {error}")), wrong)
        });
        let trust = root.zip(alipay).and_then(|(root, alipay)| {
            let trust = Trust::of_certificates(&root, &alipay);
            noted(trust.map_err(|error| format!("alipay-certificate: {error}")), wrong)
        });
        (identity, trust)
    } else {
        if pays_out == Some(true) {
            wrong.push("pays-out: Alipay pays out to people in certificate mode only".to_owned());
        }
        let keys = noted(file("alipay-key"), wrong);
        let trust = keys.and_then(|keys| {
            noted(Trust::of_keys(&keys).map_err(|error| format!("alipay-key: {error}")), wrong)
        });
        (key.map(Identity::of_key), trust)
    };
    Some(Contract {
        gateway: gateway?,
        authorise: authorise?,
        app_id: app_id?,
        seller: seller?,
        identity: identity?,
        trust: trust?,
        places: places?,
        pays_out: pays_out?,
    })
}

/// What was checked, or its problem among what is wrong.
fn noted<T>(checked: Result<T, String>, wrong: &mut Vec<String>) -> Option<T> {
    checked.map_err(|problem| wrong.push(problem)).ok()
}

/// `computer,phone`, or all places if nothing is said.
fn places(given: Option<&str>) -> Result<Vec<Place>, String> {
    let Some(text) = given else { return Ok(ALL_PLACES.map(|(_, place)| place).to_vec()) };
    let read = text.split(',').map(|word| {
        let known = ALL_PLACES.iter().find(|(name, _)| *name == word.trim());
        known
            .map(|(_, place)| *place)
            .ok_or_else(|| format!("places {:?} is none of computer, phone and inside", word.trim()))
    });
    read.collect()
}

fn yes_or_no(name: &str, given: Option<&str>) -> Result<bool, String> {
    match given {
        None | Some("no") => Ok(false),
        Some("yes") => Ok(true),
        Some(other) => Err(format!("{name} {other:?} is neither yes nor no")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_795_000_000_000;

    #[test]
    fn a_contract_is_read_in_both_modes_and_everything_wrong_with_one_is_said_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let papers = Papers::open(folder.path(), NOW_MS).unwrap();
        let path = folder.path().join("alipay.conf");
        let written = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(&path)
        };
        let head = format!("app = {APP_ID}\nseller = {SELLER}\nkey = app_key.pem\n");
        let keys = format!("{head}alipay-key = alipay_1_public_key.pem\nplaces = computer, phone\n");
        let contract = written(&keys).unwrap();
        assert_eq!((contract.gateway.as_str(), contract.authorise.as_str()), (GATEWAY, AUTHORISE));
        assert_eq!(contract.places, [Place::Computer, Place::Phone]);
        assert!(!contract.pays_out && matches!(contract.trust, Trust::Keys(_)));
        assert!(!format!("{contract:?}").contains("PRIVATE"));

        let certificates = format!(
            "{head}certificate = app.pem\nalipay-certificate = alipay_1.pem\nalipay-root = root.pem\npays-out = yes\n"
        );
        let contract = written(&certificates).unwrap();
        assert!(contract.pays_out && matches!(contract.trust, Trust::Certificates(_)));
        assert_eq!(contract.places.len(), 3);
        let settings =
            contract.settings("https://pay.example.org", "https://pay.example.org", 1_003, || NOW_MS);
        assert_eq!(settings.notices, "https://pay.example.org/networks/1003/notice");
        assert!(koudai_networks::alipay::Alipay::new(settings).is_ok());
        // A demo's is that of its sandbox.
        let demo = Contract::with_sandbox("http://127.0.0.1:8086", &papers).unwrap();
        let settings = demo.settings("http://localhost:8080", "http://127.0.0.1:8080", 1_003, || NOW_MS);
        assert!(koudai_networks::alipay::Alipay::new(settings).is_ok());

        let wrong =
            written("gateway = http://a.org\ncolour = red\nplaces = moon\npays-out = maybe\n").unwrap_err();
        for part in [
            "no setting `colour`",
            "gateway \"http://a.org\" is not https",
            "app is missing",
            "seller is missing",
            "key is missing",
            "alipay-key is missing",
            "places \"moon\"",
            "pays-out \"maybe\"",
        ] {
            assert!(wrong.iter().any(|problem| problem.contains(part)), "{part}: {wrong:?}");
        }
        let both = format!("{certificates}alipay-key = alipay_1_public_key.pem\n");
        assert!(written(&both).unwrap_err()[0].contains("either keys or certificates"));
        assert!(
            written(&format!("{keys}pays-out = yes\n")).unwrap_err()[0].contains("certificate mode only")
        );
        let other = certificates.replace("certificate = app.pem", "certificate = alipay_1.pem");
        assert!(written(&other).unwrap_err()[0].contains("not the certificate"));
        let rootless = certificates.replace("alipay-root = root.pem", "alipay-root = app.pem");
        assert!(written(&rootless).unwrap_err()[0].contains("no RSA root"));
    }
}
