//! The operator's contract with UnionPay, as a file of settings beside its certificates.

use std::collections::BTreeMap;
use std::path::Path;

use koudai_core::time::MINUTE;
use koudai_networks::unionpay::certificates::UNIONPAY;
use koudai_networks::unionpay::sandbox::{MERCHANT, Papers, REQUESTOR};
use koudai_networks::unionpay::{CLEARING_CUT_MS, DEFAULT_TIMEOUT, Identity, Settings, Trust};
use koudai_wechatpay::keys::PrivateKey;

use crate::failure::Failure;
use crate::sandbox::text;
use crate::serve::{https, secret_file_problem, settings_of};

/// Every setting of the file.
const NAMES: [&str; 9] = [
    "gateway",
    "files",
    "merchant",
    "requestor",
    "key",
    "certificate",
    "authorities",
    "name",
    "clearing-cut",
];

/// A contract that was read.
#[derive(Debug)]
pub(crate) struct Contract {
    pub(crate) gateway: String,
    pub(crate) files: String,
    pub(crate) merchant: String,
    pub(crate) requestor: String,
    pub(crate) identity: Identity,
    pub(crate) trust: Trust,
    pub(crate) clearing_cut_ms: i64,
}

impl Contract {
    /// That of a demo with its sandbox at `url`, whose papers are these.
    ///
    /// # Errors
    /// If the papers cannot be used.
    pub(crate) fn with_sandbox(url: &str, papers: &Papers) -> Result<Self, Failure> {
        let trust = papers.trust().map_err(|error| Failure::because("the sandbox's root", &error))?;
        Ok(Self {
            gateway: format!("{url}/gateway/api/"),
            files: url.to_owned(),
            merchant: MERCHANT.to_owned(),
            requestor: REQUESTOR.to_owned(),
            identity: papers.merchant.clone(),
            trust,
            clearing_cut_ms: CLEARING_CUT_MS,
        })
    }

    /// What the network's client is made of, for a wallet at `origin`.
    pub(crate) fn settings(self, origin: &str, network: i64, clock: fn() -> i64) -> Settings {
        Settings {
            gateway: self.gateway,
            files: self.files,
            notices: format!("{origin}/networks/{network}/notice"),
            merchant: self.merchant,
            requestor: self.requestor,
            identity: self.identity,
            trust: self.trust,
            clearing_cut_ms: self.clearing_cut_ms,
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
    let address = |name: &str| need(name).and_then(|text| https(name, &text));
    let file = |name: &str| {
        let path = folder.join(need(name)?);
        text(&path).map_err(|failure| format!("{name}: {failure}"))
    };
    let secret = |name: &str| {
        let path = folder.join(need(name)?);
        secret_file_problem(name, &path.to_string_lossy()).map_or_else(|| file(name), Err)
    };
    let (gateway, files) = (noted(address("gateway"), wrong), noted(address("files"), wrong));
    let (merchant, requestor) = (noted(need("merchant"), wrong), noted(need("requestor"), wrong));
    let (key, certificate) = (noted(secret("key"), wrong), noted(file("certificate"), wrong));
    let authorities = noted(file("authorities"), wrong);
    let name = settings.get("name").map_or(UNIONPAY, String::as_str);
    let cut =
        noted(settings.get("clearing-cut").map_or(Ok(CLEARING_CUT_MS), |text| time_of_day(text)), wrong);

    let key = noted(PrivateKey::from_pem(&key?).map_err(|error| format!("key: {error}")), wrong)?;
    let identity = Identity::new(key, &certificate?).map_err(|error| format!("certificate: {error}"));
    let trust = Trust::new(&authorities?, name).map_err(|error| format!("authorities: {error}"));
    let (identity, trust) = (noted(identity, wrong), noted(trust, wrong));
    Some(Contract {
        gateway: gateway?,
        files: files?,
        merchant: merchant?,
        requestor: requestor?,
        identity: identity?,
        trust: trust?,
        clearing_cut_ms: cut?,
    })
}

/// What was checked, or its problem among what is wrong.
fn noted<T>(checked: Result<T, String>, wrong: &mut Vec<String>) -> Option<T> {
    checked.map_err(|problem| wrong.push(problem)).ok()
}

/// `23:00`, as milliseconds after midnight.
fn time_of_day(text: &str) -> Result<i64, String> {
    let read = || {
        let (hour, minute) = text.split_once(':')?;
        let number = |part: &str, most: i64| {
            let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse::<i64>().ok())?.filter(|n| *n <= most)
        };
        Some((number(hour, 23)? * 60 + number(minute, 59)?) * MINUTE)
    };
    read().ok_or_else(|| format!("clearing-cut {text:?} is not a time of day such as 23:00"))
}

#[cfg(test)]
mod tests {
    use koudai_networks::unionpay::sandbox::NAME;

    use super::*;

    #[test]
    fn a_contract_is_read_and_everything_wrong_with_one_is_said_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let papers = Papers::open(folder.path(), 1_795_000_000_000).unwrap();
        let path = folder.path().join("unionpay.conf");
        let written = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(&path)
        };
        let whole = format!(
            "gateway = https://gateway.example.org/gateway/api/\nfiles = https://files.example.org/\n\
             merchant = {MERCHANT}\nrequestor = {REQUESTOR}\nkey = merchant_key.pem\ncertificate = merchant.pem\n\
             authorities = root.pem\nname = {NAME}\nclearing-cut = 13:30\n"
        );
        let contract = written(&whole).unwrap();
        assert_eq!(contract.clearing_cut_ms, 48_600_000);
        assert!(!format!("{contract:?}").contains("PRIVATE"));
        assert!(papers.trust().is_ok());

        let wrong = written("gateway = http://a.org\ncolour = red\nclearing-cut = 25:00\n").unwrap_err();
        for part in [
            "no setting `colour`",
            "gateway \"http://a.org\" is not https",
            "files is missing",
            "merchant is missing",
            "requestor is missing",
            "key is missing",
            "certificate is missing",
            "authorities is missing",
            "clearing-cut \"25:00\"",
        ] {
            assert!(wrong.iter().any(|problem| problem.contains(part)), "{part}: {wrong:?}");
        }
        let other = whole.replace("certificate = merchant.pem", "certificate = sign.pem");
        assert!(written(&other).unwrap_err()[0].contains("not the certificate"));
        let rootless = whole.replace("authorities = root.pem", "authorities = sign.pem");
        assert!(written(&rootless).unwrap_err()[0].contains("no root"));
    }
}
