//! `koudai serve`: the wallet and the gateway for real. It starts with every setting present and safe, or says of all
//! of them at once what is wrong.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use axum_server::tls_rustls::RustlsConfig;
use koudai_core::issuing::AccountBin;
use koudai_core::secret::Secret;
use koudai_core::sign_in::Safety;
use koudai_core::state::Policy;
use koudai_core::time::SECOND;
use koudai_networks::mail::Mailer;
use koudai_networks::sms::Sms;
use koudai_networks::{NetworkError, Reach};
use koudai_store::Tuning;
use koudai_web::gateway::limits::Limits;
use koudai_wechatpay::keys::PublicKey;

use crate::cli::{self, ServeArgs};
use crate::directory::{self, Kind};
use crate::durable;
use crate::failure::Failure;
use crate::house::{self, Plan, Server};
use crate::issuers::{self, Issuer};
use crate::keys;
use crate::messages::{MailWords, SmsWords};
use crate::money_rules;
use crate::sandbox::text;
use crate::unionpay::{self, Contract};
use crate::{alipay, sign_in_rules, wechat};

/// Every setting that `--config` may hold, by the name of its option.
const NAMES: [&str; 29] = [
    "data",
    "listen",
    "origin",
    "operator",
    "contact",
    "tls-cert",
    "tls-key",
    "issuer-url",
    "issuer-key",
    "issuer-app-id",
    "sms-url",
    "sms-token-file",
    "sms-sender",
    "sms-root",
    "mail-url",
    "mail-password-file",
    "mail-from",
    "mail-root",
    "allow-network",
    "gateway-limits",
    "money-rules",
    "sign-in-rules",
    "account-bin",
    "more-issuers",
    "issuer-bins",
    "unionpay",
    "wechat",
    "alipay",
    "network-deadline",
];
const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

/// Settings that were checked.
#[derive(Debug)]
struct Settings {
    data: PathBuf,
    listen: SocketAddr,
    origin: String,
    operator: String,
    contact: Option<String>,
    tls: Option<(PathBuf, PathBuf)>,
    issuer_url: String,
    issuer_key: PublicKey,
    issuer_app_id: String,
    sms: Sms,
    mail: Option<Mailer>,
    reach: Reach,
    limits: Limits,
    rules: Policy,
    safety: Safety,
    network_deadline_ms: i64,
    account_bin: AccountBin,
    more_issuers: Vec<Issuer>,
    issuer_bins: Vec<String>,
    unionpay: Option<Contract>,
    wechat: Option<wechat::Contract>,
    alipay: Option<alipay::Contract>,
}

/// `koudai serve`: serves until it is told to end.
///
/// # Errors
/// With a list of every setting that is missing or unsafe; else what went wrong.
pub(crate) async fn run(args: ServeArgs) -> Result<(), Failure> {
    let settings = check(args).map_err(|problems| {
        Failure::usage(format!(
            "not started, for {} reason(s):\n  - {}",
            problems.len(),
            problems.join("\n  - ")
        ))
    })?;
    let tls = match &settings.tls {
        None => None,
        Some((certificate, key)) => {
            Some(RustlsConfig::from_pem_file(certificate, key).await.map_err(|error| {
                Failure::because(format!("tls-cert {} with its tls-key", certificate.display()), &error)
            })?)
        }
    };
    let listener = TcpListener::bind(settings.listen)
        .map_err(|error| Failure::because(format!("listening on {}", settings.listen), &error))?;
    let keys = keys::load(&settings.data)?;
    let plan = Plan {
        data: &settings.data,
        origin: settings.origin.clone(),
        notices_at: settings.origin.clone(),
        operator: settings.operator,
        contact: settings.contact,
        issuer_url: settings.issuer_url,
        issuer_app_id: settings.issuer_app_id,
        issuer_key: settings.issuer_key,
        more_issuers: settings.more_issuers,
        issuer_bins: settings.issuer_bins,
        unionpay: settings.unionpay,
        wechat: settings.wechat,
        alipay: settings.alipay,
        sms: settings.sms,
        mail: settings.mail,
        reach: settings.reach,
        limits: settings.limits,
        policy: Policy {
            send_window_ms: settings.network_deadline_ms,
            account_bin: settings.account_bin,
            safety: settings.safety,
            ..settings.rules
        },
        tuning: Tuning::default(),
    };
    let house = house::open(plan, keys)?;
    let server = Server::start(listener, koudai_web::router(house.app.clone()), tls)
        .map_err(|error| Failure::because("starting the server", &error))?;
    let stop = house::stop_signal();
    tracing::info!(listen = %settings.listen, origin = settings.origin, "serving");
    stop.await;
    tracing::info!("stopping");
    server.stop().await;
    Ok(())
}

/// Collects what is wrong, so that nobody has to mend one setting to hear of the next.
#[derive(Debug, Default)]
struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }

    /// The value, or `None` with its problem noted.
    fn note<T>(&mut self, checked: Result<T, String>) -> Option<T> {
        checked.map_err(|problem| self.add(problem)).ok()
    }

    /// The same of what may be wrong in several ways.
    fn note_all<T>(&mut self, checked: Result<T, Vec<String>>) -> Option<T> {
        checked.map_err(|problems| self.0.extend(problems)).ok()
    }
}

/// Checks every setting, and hands them over only if all are there and safe.
fn check(args: ServeArgs) -> Result<Settings, Vec<String>> {
    let mut problems = Problems::default();
    let file = args.config.as_deref().map(|path| read_config(path, &mut problems)).unwrap_or_default();
    let get = |name: &str, given: Option<String>| {
        given.filter(|value| !value.is_empty()).or_else(|| file.get(name).cloned())
    };
    let need =
        |name: &str, given: Option<String>| get(name, given).ok_or_else(|| format!("{name} is missing"));

    let data = need("data", args.data).map(PathBuf::from);
    let data = problems.note(data).inspect(|data| problems.0.extend(data_problems(data)));
    let tls = tls(get("tls-cert", args.tls_cert), get("tls-key", args.tls_key), &mut problems);
    let listen = get("listen", args.listen).unwrap_or_else(|| DEFAULT_LISTEN.to_owned());
    let listen = problems.note(listen_address(&listen, tls.is_some()));
    let origin = need("origin", args.origin).and_then(|text| origin(&text));
    let origin = problems.note(origin);
    let operator = need("operator", args.operator)
        .and_then(|text| cli::name(&text).map_err(|problem| format!("operator: {problem}")));
    let operator = problems.note(operator);
    let contact = get("contact", args.contact)
        .and_then(|text| problems.note(cli::name(&text).map_err(|problem| format!("contact: {problem}"))));
    let issuer_url = need("issuer-url", args.issuer_url).and_then(|text| https("issuer-url", &text));
    let issuer_url = problems.note(issuer_url);
    let issuer_key = need("issuer-key", args.issuer_key).and_then(|path| public_key("issuer-key", &path));
    let issuer_key = problems.note(issuer_key);
    let issuer_app_id = problems.note(need("issuer-app-id", args.issuer_app_id));
    let sms = SmsWords {
        url: get("sms-url", args.sms_url),
        token_file: get("sms-token-file", args.sms_token_file),
        sender: get("sms-sender", args.sms_sender),
        root: get("sms-root", args.sms_root),
    };
    let sms = problems.note_all(sms.read(https));
    let mail = MailWords {
        url: get("mail-url", args.mail_url),
        password_file: get("mail-password-file", args.mail_password_file),
        from: get("mail-from", args.mail_from),
        root: get("mail-root", args.mail_root),
    };
    let mail = problems.note_all(mail.read());
    let reach = reach(args.allow_network, file.get("allow-network"), &mut problems);

    let limits = get("gateway-limits", args.gateway_limits)
        .map_or_else(|| Ok(Limits::default()), |text| Limits::parse(&text))
        .map_err(|problem| format!("gateway-limits: {problem}"));
    let limits = problems.note(limits);
    let money = rules("money-rules", get("money-rules", args.money_rules), money_rules::parse, &mut problems);
    let safety = get("sign-in-rules", args.sign_in_rules);
    let safety = rules("sign-in-rules", safety, sign_in_rules::parse, &mut problems);
    let account_bin = problems.note(account_bin(get("account-bin", args.account_bin)));
    let more_issuers = more_issuers(get("more-issuers", args.more_issuers), &mut problems);
    let issuer_bins = issuer_bins(get("issuer-bins", args.issuer_bins), &mut problems);
    let unionpay = contract("unionpay", get("unionpay", args.unionpay), unionpay::read, &mut problems);
    let wechat = contract("wechat", get("wechat", args.wechat), wechat::read, &mut problems);
    let alipay = contract("alipay", get("alipay", args.alipay), alipay::read, &mut problems);
    let network_deadline_ms =
        problems.note(network_deadline_ms(get("network-deadline", args.network_deadline)));

    let settings = || {
        Some(Settings {
            data: data?,
            listen: listen?,
            origin: origin?,
            operator: operator?,
            contact,
            tls,
            issuer_url: issuer_url?,
            issuer_key: issuer_key?,
            issuer_app_id: issuer_app_id?,
            sms: sms?,
            mail: mail?,
            reach,
            limits: limits?,
            rules: money?,
            safety: safety?,
            network_deadline_ms: network_deadline_ms?,
            account_bin: account_bin?,
            more_issuers,
            issuer_bins,
            unionpay,
            wechat,
            alipay,
        })
    };
    match settings() {
        Some(settings) if problems.0.is_empty() => Ok(settings),
        _ => Err(problems.0),
    }
}

fn read_config(path: &Path, problems: &mut Problems) -> BTreeMap<String, String> {
    let (settings, wrong) = settings_of(path, &NAMES);
    problems.0.extend(wrong.into_iter().map(|problem| format!("config {problem}")));
    settings
}

/// The settings of a file: `name = value` a line, `#` before a remark. And what is wrong with it.
pub(crate) fn settings_of(path: &Path, names: &[&str]) -> (BTreeMap<String, String>, Vec<String>) {
    let (mut settings, mut wrong) = (BTreeMap::new(), vec![]);
    let text = match text(path) {
        Ok(text) => text,
        Err(failure) => return (settings, vec![failure.to_string()]),
    };
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let at = format!("{}, line {number}", path.display());
        match line.split_once('=').map(|(name, value)| (name.trim(), value.trim())) {
            None => wrong.push(format!("{at}: write `name = value`")),
            Some((name, _)) if !names.contains(&name) => {
                wrong.push(format!("{at}: there is no setting `{name}`; there are {}", names.join(", ")));
            }
            Some((name, value)) => {
                if settings.insert(name.to_owned(), value.to_owned()).is_some() {
                    wrong.push(format!("{at}: `{name}` stands here twice"));
                }
            }
        }
    }
    (settings, wrong)
}

/// The contract with a network that stands in a file.
fn contract<T>(
    name: &str,
    file: Option<String>,
    read: impl FnOnce(&Path) -> Result<T, Vec<String>>,
    problems: &mut Problems,
) -> Option<T> {
    let file = file?;
    let wrong = match read(Path::new(&file)) {
        Ok(contract) => return Some(contract),
        Err(wrong) => wrong,
    };
    problems.0.extend(wrong.into_iter().map(|problem| format!("{name} {file}: {problem}")));
    None
}

/// What the numbers of the first issuer's cards begin with, for whom other networks would take them otherwise.
fn issuer_bins(given: Option<String>, problems: &mut Problems) -> Vec<String> {
    let Some(text) = given else { return vec![] };
    let bins: Vec<String> = text.split(',').map(|bin| bin.trim().to_owned()).collect();
    for wrong in bins.iter().filter(|bin| !issuers::is_bin(bin)) {
        problems.add(format!("issuer-bins: {wrong:?} is not 4 to 9 digits that card numbers begin with"));
    }
    bins
}

/// Many settings in one, or what is so by default.
fn rules<T: Default>(
    name: &str,
    given: Option<String>,
    parse: impl FnOnce(&str) -> Result<T, Vec<String>>,
    problems: &mut Problems,
) -> Option<T> {
    let Some(text) = given else { return Some(T::default()) };
    let wrong = match parse(&text) {
        Ok(rules) => return Some(rules),
        Err(wrong) => wrong,
    };
    problems.0.extend(wrong.into_iter().map(|problem| format!("{name}: {problem}")));
    None
}

fn more_issuers(file: Option<String>, problems: &mut Problems) -> Vec<Issuer> {
    let Some(file) = file else { return vec![] };
    match issuers::read(Path::new(&file)) {
        Ok(issuers) => {
            for issuer in &issuers {
                problems.note(https("more-issuers", &issuer.url));
            }
            issuers
        }
        Err(wrong) => {
            problems.0.extend(wrong.into_iter().map(|problem| format!("more-issuers {file}: {problem}")));
            vec![]
        }
    }
}

fn account_bin(given: Option<String>) -> Result<AccountBin, String> {
    let Some(text) = given else { return Ok(AccountBin::default()) };
    let wrong = || format!("account-bin {text:?} is not six digits of which the first is a 9");
    AccountBin::parse(&text).ok_or_else(wrong)
}

fn network_deadline_ms(given: Option<String>) -> Result<i64, String> {
    let Some(text) = given else { return Ok(Policy::default().send_window_ms) };
    match text.parse::<i64>() {
        Ok(seconds @ 10..=3_600) => Ok(seconds * SECOND),
        _ => Err(format!("network-deadline {text:?} is not a number of seconds from 10 to 3600")),
    }
}

fn data_problems(data: &Path) -> Vec<String> {
    match directory::kind(data) {
        Err(failure) => vec![format!("data: {failure}")],
        Ok(Some(found @ Kind::Demo)) => vec![format!("data: {}", directory::wrong_kind(data, found))],
        Ok(None) => vec![format!(
            "data: {0} is not a data directory: make it with `koudai keys create --data {0}`",
            data.display()
        )],
        Ok(Some(Kind::Serve)) => {
            let mut problems: Vec<String> =
                keys::problems(data).into_iter().map(|problem| format!("data: {problem}")).collect();
            if durable::is_open_to_others(data).unwrap_or(true) {
                let data = data.display();
                problems
                    .push(format!("data: {data} can be reached by others than its owner: chmod 700 {data}"));
            }
            problems
        }
    }
}

fn tls(
    certificate: Option<String>,
    key: Option<String>,
    problems: &mut Problems,
) -> Option<(PathBuf, PathBuf)> {
    match (certificate, key) {
        (None, None) => None,
        (Some(_), None) => {
            problems.add("tls-key is missing beside tls-cert");
            None
        }
        (None, Some(_)) => {
            problems.add("tls-cert is missing beside tls-key");
            None
        }
        (Some(certificate), Some(key)) => {
            if let Err(error) = durable::read(certificate.as_ref()) {
                problems.add(format!("tls-cert {certificate}: {error}"));
            }
            problems.0.extend(secret_file_problem("tls-key", &key));
            Some((certificate.into(), key.into()))
        }
    }
}

fn listen_address(text: &str, tls: bool) -> Result<SocketAddr, String> {
    let listen = cli::listen_address(text).map_err(|problem| format!("listen {text:?}: {problem}"))?;
    if listen.ip().is_loopback() || tls {
        return Ok(listen);
    }
    Err(format!(
        "listen {listen}: passwords and codes would cross the network in the clear; give tls-cert and tls-key, \
         or listen on 127.0.0.1 behind a proxy that has TLS"
    ))
}

/// An https origin, without a slash at its end.
fn origin(text: &str) -> Result<String, String> {
    let text = https("origin", text.trim_end_matches('/'))?;
    let host = &text["https://".len()..];
    if host.contains(['/', '?', '#', '@']) {
        return Err(format!(
            "origin {text:?}: only a host, with a port if need be, such as https://pay.example.org"
        ));
    }
    Ok(text)
}

pub(crate) fn https(name: &str, text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").ok_or_else(|| format!("{name} {text:?} is not https"))?;
    let plain = !host.is_empty() && !host.starts_with(['/', ':', '?', '#']);
    if !plain || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("{name} {text:?} is not an address"));
    }
    Ok(text.to_owned())
}

/// Where notifications may go, by the networks that are allowed beside public addresses.
fn reach(given: Vec<String>, file: Option<&String>, problems: &mut Problems) -> Reach {
    let listed = match file {
        Some(text) if given.is_empty() => text.split(',').map(str::to_owned).collect(),
        _ => given,
    };
    let read = |text: &String| {
        let text = text.trim();
        text.parse().map_err(|error: NetworkError| format!("allow-network {text:?}: {error}"))
    };
    Reach::listed(listed.iter().filter_map(|text| problems.note(read(text))).collect())
}

fn public_key(name: &str, path: &str) -> Result<PublicKey, String> {
    let text = text(path.as_ref()).map_err(|failure| format!("{name}: {failure}"))?;
    PublicKey::from_pem(&text).map_err(|error| format!("{name} {path}: {error}"))
}

pub(crate) fn token(name: &str, path: &str) -> Result<Secret<String>, String> {
    if let Some(problem) = secret_file_problem(name, path) {
        return Err(problem);
    }
    let text = text(path.as_ref()).map_err(|failure| format!("{name}: {failure}"))?;
    let token = text.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{name} {path}: a token is one line of letters, digits and signs"));
    }
    Ok(Secret::new(token.to_owned()))
}

pub(crate) fn secret_file_problem(name: &str, path: &str) -> Option<String> {
    match durable::is_open_to_others(path.as_ref()) {
        Ok(false) => None,
        Ok(true) => Some(format!("{name} {path} can be read by others than its owner: chmod 600 {path}")),
        Err(error) => Some(format!("{name} {path}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_missing_is_said_at_once() {
        let problems = check(ServeArgs::default()).unwrap_err();
        for name in [
            "data",
            "origin",
            "operator",
            "issuer-url",
            "issuer-key",
            "issuer-app-id",
            "sms-url",
            "sms-token-file",
        ] {
            assert!(problems.contains(&format!("{name} is missing")), "{name}: {problems:?}");
        }
        assert_eq!(problems.len(), 8);
    }

    #[test]
    fn only_https_origins_without_a_path_will_do() {
        assert_eq!(origin("https://pay.example.org/").as_deref(), Ok("https://pay.example.org"));
        assert!(origin("https://pay.example.org:8443").is_ok());
        for wrong in [
            "http://pay.example.org",
            "https://",
            "https:///x",
            "https://a.org/x",
            "https://u@a.org",
            "a.org",
        ] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn other_machines_are_served_over_tls_only() {
        assert!(listen_address("127.0.0.1:80", false).is_ok() && listen_address("0.0.0.0:443", true).is_ok());
        assert!(listen_address("0.0.0.0:80", false).unwrap_err().contains("in the clear"));
    }

    #[test]
    fn networks_are_allowed_on_the_command_line_or_in_the_file_and_never_this_machine() {
        let mut problems = Problems::default();
        let file = "10.20.0.0/16, 192.168.7.0/24".to_owned();
        let Reach::Listed(both) = reach(vec![], Some(&file), &mut problems) else { panic!("two are listed") };
        assert_eq!(
            both.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["10.20.0.0/16", "192.168.7.0/24"]
        );
        let Reach::Listed([one]) = reach(vec!["10.0.0.0/8".to_owned()], Some(&file), &mut problems) else {
            panic!("what is given wins")
        };
        assert_eq!((one.to_string(), problems.0.len()), ("10.0.0.0/8".to_owned(), 0));
        for wrong in ["127.0.0.0/8", "169.254.0.0/16", "0.0.0.0/0", "10.20.0.0", ""] {
            assert_eq!(reach(vec![wrong.to_owned()], None, &mut problems), Reach::Public);
            assert!(problems.0.pop().is_some_and(|problem| problem.contains("allow-network")), "{wrong}");
        }
        assert_eq!(reach(vec![], None, &mut problems), Reach::Public);
    }

    #[test]
    fn a_file_of_settings_is_read_strictly() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("koudai.conf");
        std::fs::write(&path, "# ours\n origin = https://a.org \n\nport = 80\norigin = x\nnonsense\n")
            .unwrap();
        let mut problems = Problems::default();
        let settings = read_config(&path, &mut problems);
        assert_eq!(settings.keys().collect::<Vec<_>>(), ["origin"]);
        let [unknown, twice, shape] = problems.0.as_slice() else { panic!("{problems:?}") };
        assert!(unknown.contains("`port`") && twice.contains("line 5") && shape.contains("line 6"));
    }
}
