//! The program as its users meet it: what it refuses to start on and how it says so, and the commands beside the server.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

fn koudai(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_koudai"));
    command.args(args).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// Runs a command that ends by itself.
fn run(args: &[&str]) -> Output {
    koudai(args).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn path(directory: &TempDir) -> &str {
    directory.path().to_str().unwrap()
}

/// A data directory with keys, of a real server or of a demo.
fn made(demo: bool) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut args = vec!["keys", "create", "--data", path(&directory)];
    if demo {
        args.push("--demo");
    }
    json(&run(&args));
    directory
}

/// A demo that is ended politely, or killed when a test fails.
struct Demo {
    child: Child,
    addresses: Value,
}

impl Demo {
    fn start(data: &Path) -> Self {
        let data = data.to_str().unwrap();
        let mut child = koudai(&["demo", "--json", "--listen", "127.0.0.1:0", "--data", data])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let addresses = serde_json::from_str(&line).unwrap_or_else(|_| {
            let mut said = String::new();
            child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
            panic!("{line:?} {said}")
        });
        Self { child, addresses }
    }

    /// Ends it; what it said meanwhile.
    fn stop(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let began = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(began.elapsed() < Duration::from_secs(15), "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(self.child.wait().unwrap().success());
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _ended_already = self.child.wait();
    }
}

#[test]
fn a_typing_mistake_ends_with_2() {
    assert_eq!(run(&["dmeo"]).status.code(), Some(2));
    assert_eq!(run(&["demo", "--listen", "8080"]).status.code(), Some(2));
    let output = run(&["merchant", "create", "--data", "/nowhere", "--name", "店", "--products", "gold"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("native"), "it says what there is: {}", said(&output));
}

#[test]
fn serve_names_every_setting_that_is_missing_or_unsafe() {
    let directory = made(false);
    let key = directory.path().join("keys/data.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let token = directory.path().join("token");
    std::fs::write(&token, "secret").unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
    let output = run(&[
        "serve",
        "--data",
        path(&directory),
        "--listen",
        "0.0.0.0:8443",
        "--origin",
        "http://pay.example.org",
        "--issuer-url",
        "http://bank.example.org",
        "--sms-token-file",
        token.to_str().unwrap(),
        "--sms-sender",
        "口袋",
        "--mail-url",
        "smtp://wallet:secret@smtp.example.org",
        "--mail-password-file",
        token.to_str().unwrap(),
        "--mail-root",
        "/nowhere/root.pem",
        "--gateway-limits",
        "orders=1000,gold=1",
        "--money-rules",
        "withdraw-fee=2000000,silver=1",
        "--network-deadline",
        "9",
        "--account-bin",
        "622588",
    ]);
    assert_eq!(output.status.code(), Some(2));
    let said = said(&output);
    for part in [
        "data.key can be reached by others",
        "listen 0.0.0.0:8443",
        "origin \"http://pay.example.org\" is not https",
        "operator is missing",
        "issuer-url \"http://bank.example.org\" is not https",
        "issuer-key is missing",
        "issuer-app-id is missing",
        "sms-url is missing",
        "sms-sender \"口袋\": a sender is",
        "mail-url: a password does not stand in an address",
        "mail-from is missing beside mail-url",
        "mail-root: reading /nowhere/root.pem",
        "mail-password-file",
        "gateway-limits: \"gold\" is none of orders",
        "money-rules: withdraw-fee \"2000000\" is not a rate",
        "money-rules: \"silver\" is none of top-up-least",
        "account-bin \"622588\" is not six digits of which the first is a 9",
        "network-deadline \"9\" is not a number of seconds from 10 to 3600",
        "can be read by others than its owner",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("secret"), "{said}");
}

#[test]
fn serve_speaks_in_the_clear_with_a_message_centre_near_by_only_and_trusts_certificates_only() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("root.pem");
    std::fs::write(&root, "nothing").unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "hushhush").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let [root, secret] = [&root, &secret].map(|path| path.to_str().unwrap());
    for (sms, problem) in [
        ("smpp://koudai@smsc.example.org:2775", "without TLS only to this machine or a private network"),
        ("smpps://koudai:hushhush@smsc.example.org:2775", "a password does not stand in an address"),
        ("smpps://smsc.example.org", "sms-url: write smpps://NAME@HOST:PORT"),
        ("smpps://koudai@smsc.example.org:3550", "sms-root: there is no certificate in it"),
        ("http://sms.example.org", "sms-url \"http://sms.example.org\" is not https"),
    ] {
        let output = run(&["serve", "--sms-url", sms, "--sms-token-file", secret, "--sms-root", root]);
        let said = said(&output);
        assert!(output.status.code() == Some(2) && said.contains(problem), "{problem}: {said}");
        assert!(!said.contains("hushhush"), "{said}");
    }
    let mail = ["serve", "--mail-url", "smtps://smtp.example.org", "--mail-from", "a@example.org"];
    let said = said(&run(&[&mail[..], &["--mail-password-file", secret]].concat()));
    assert!(said.contains("mail-url with mail-password-file: a user in the address"), "{said}");
}

#[test]
fn serve_takes_settings_from_a_file_and_refuses_names_it_does_not_know() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("koudai.conf");
    std::fs::write(&config, "# ours\norigin = https://pay.example.org\ndata = /nowhere\nport = 80\n")
        .unwrap();
    let said = said(&run(&["serve", "--config", config.to_str().unwrap()]));
    assert!(
        said.contains("no setting `port`") && said.contains("/nowhere is not a data directory"),
        "{said}"
    );
    assert!(!said.contains("origin is missing"), "{said}");
}

#[test]
fn serve_refuses_a_demo_directory_and_a_demo_a_real_one() {
    let (demo, real) = (made(true), made(false));
    let output = run(&["serve", "--data", path(&demo)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("is a demo's data directory"), "{}", said(&output));
    let output = run(&["demo", "--listen", "127.0.0.1:0", "--data", path(&real)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("of a real server"), "{}", said(&output));
}

#[test]
fn a_demo_keeps_away_from_directories_that_are_not_its_own() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("thesis.txt"), "mine").unwrap();
    let output = run(&["demo", "--listen", "127.0.0.1:0", "--data", path(&directory)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("not empty"), "{}", said(&output));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn other_machines_are_refused_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let output = run(&["demo", "--listen", "0.0.0.0:8080", "--data", path(&directory)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("no TLS"), "{}", said(&output));
    let output = run(&["sandbox", "bank", "--data", path(&directory), "--listen", "0.0.0.0:8082"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("no TLS"), "{}", said(&output));
}

#[test]
fn keys_are_their_owners_alone_and_are_not_made_twice() {
    let directory = made(true);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(directory.path()), 0o700);
    for below in ["keys", "bank"] {
        let below = directory.path().join(below);
        assert_eq!(mode(&below), 0o700, "{}", below.display());
        for file in std::fs::read_dir(&below).unwrap() {
            let file = file.unwrap().path();
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }
    let output = run(&["keys", "create", "--demo", "--data", path(&directory)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("already"), "{}", said(&output));
}

/// What a merchant's engineers are given fits together.
fn assert_credentials(made: &Value) {
    let text = |name: &str| made[name].as_str().unwrap_or_else(|| panic!("{name}: {made}"));
    assert_eq!(text("mchid").len(), 10);
    assert!(text("appid").starts_with("wx") && text("appid").len() == 18);
    assert_eq!(text("apiv3_key").len(), 32);
    assert!(text("platform_public_key_id").starts_with("PUB_KEY_ID_"));
    assert!(text("platform_public_key_pem").contains("PUBLIC KEY"));
    let certificate = koudai_wechatpay::certificate::Certificate::from_pem(text("certificate_pem")).unwrap();
    assert_eq!(certificate.serial, text("serial_no"));
    let key = koudai_wechatpay::keys::PrivateKey::from_pem(text("private_key_pem")).unwrap();
    assert_eq!(key.public_key(), certificate.public_key);
    let platform =
        koudai_wechatpay::certificate::Certificate::from_pem(text("platform_certificate_pem")).unwrap();
    assert_eq!(platform.serial, text("platform_certificate_serial"));
}

#[test]
fn a_merchant_is_made_and_changed_while_no_server_runs() {
    let directory = made(false);
    let create = |name| json(&run(&["merchant", "create", "--data", path(&directory), "--name", name]));
    let (one, two) = (create("一号店"), create("二号店"));
    assert_credentials(&one);
    assert_credentials(&two);
    assert_ne!(one["mchid"], two["mchid"]);

    let mchid = one["mchid"].as_str().unwrap();
    let set = |args: &[&str]| run(&[&["merchant", "set", "--data", path(&directory), mchid], args].concat());
    let changed = json(&set(&["--products", "native,jsapi", "--h5-domain", "a.example.org", "--suspend"]));
    assert_eq!(changed["products"], serde_json::json!(["jsapi", "native"]));
    assert_eq!(changed["suspended"], true);
    let changed = json(&set(&["--resume", "--key-mode", "public-key"]));
    assert_eq!(changed["products"], serde_json::json!(["jsapi", "native"]), "what is not named stays");
    assert_eq!((&changed["suspended"], &changed["key_mode"]), (&Value::from(false), &"public-key".into()));
    assert_eq!(changed["h5_domains"], serde_json::json!(["a.example.org"]));
    assert!(said(&set(&["--h5-domain", "https://a.example.org"])).contains("not a domain"));
    let secret = || run(&["merchant", "app-secret", "--data", path(&directory), mchid]);
    let (first, second) = (json(&secret()), json(&secret()));
    assert_eq!(first["appid"], one["appid"]);
    let shown = first["app_secret"].as_str().unwrap();
    assert!(shown.len() == 32 && shown.bytes().all(|byte| byte.is_ascii_hexdigit()), "{shown}");
    assert_ne!(first["app_secret"], second["app_secret"], "each is fresh");
    let nobody = run(&["merchant", "app-secret", "--data", path(&directory), "1999999999"]);
    assert!(said(&nobody).contains("no merchant"), "{}", said(&nobody));
    let unknown = run(&["merchant", "set", "--data", path(&directory), "1999999999", "--suspend"]);
    assert!(said(&unknown).contains("no merchant"), "{}", said(&unknown));
    assert_eq!(unknown.status.code(), Some(1));
}

#[test]
fn what_a_merchant_was_told_is_listed_told_again_and_probed_by_command() {
    let directory = made(true);
    let data = ["--data", path(&directory)];
    let made = json(&run(&[&["merchant", "create", "--name", "店"], &data[..]].concat()));
    let mchid = made["mchid"].as_str().unwrap();
    let ask = |what: &[&str]| run(&[&["merchant"], what, &[mchid], &data[..]].concat());
    assert_eq!(json(&ask(&["notices", "--failed"]))["data"], serde_json::json!([]));
    let id = "koudai-1-00000000000000000001";
    for (what, why) in [
        (vec!["replay", "--notice", id], "no such notice"),
        (vec!["replay", "--notice", "1"], "not the id of a notice"),
        (vec!["replay", "--order", "order-1"], "no such order"),
        (vec!["replay", "--failed-since", "yesterday"], "not a moment"),
        (vec!["probe"], "none runs"),
    ] {
        let output = ask(&what);
        assert_eq!(output.status.code(), Some(1), "{what:?}: {}", said(&output));
        assert!(said(&output).contains(why), "{what:?}: {}", said(&output));
    }
    assert_eq!(ask(&["replay"]).status.code(), Some(2), "it has to say which");
    let since = json(&ask(&["replay", "--failed-since", "2026-11-25T08:00:00+08:00"]));
    assert_eq!((since["replayed"].as_i64(), since["more"].as_bool()), (Some(0), Some(false)));

    let demo = Demo::start(directory.path());
    let output = ask(&["probe"]);
    assert!(said(&output).contains("--url"), "{}", said(&output));
    let nobody = ask(&["probe", "--url", "http://localhost:1/n"]);
    assert_eq!(nobody.status.code(), Some(1), "{}", said(&nobody));
    let found: Value = serde_json::from_slice(&nobody.stdout).unwrap();
    assert_eq!(
        (found["verdict"].as_str(), found["wrong_signature"]["outcome"].as_str()),
        (Some("no_answer"), Some("connect"))
    );
    demo.stop();
}

#[test]
fn a_merchant_may_keep_its_key_to_itself() {
    let directory = made(false);
    let key = koudai_wechatpay::keys::PrivateKey::generate();
    let csr = directory.path().join("merchant.csr");
    std::fs::write(&csr, koudai_wechatpay::certificate::request_pem(&key, "ours").unwrap()).unwrap();
    let csr = csr.to_str().unwrap();
    let made = json(&run(&["merchant", "create", "--data", path(&directory), "--name", "店", "--csr", csr]));
    assert_eq!(made["private_key_pem"], Value::Null);
    let certificate =
        koudai_wechatpay::certificate::Certificate::from_pem(made["certificate_pem"].as_str().unwrap());
    assert_eq!(certificate.unwrap().public_key, key.public_key());
    std::fs::write(csr, "nonsense").unwrap();
    let output = run(&["merchant", "create", "--data", path(&directory), "--name", "店", "--csr", csr]);
    assert!(said(&output).contains("signing request"), "{}", said(&output));
}

#[test]
fn a_merchant_renews_its_certificate_and_its_apiv3_key() {
    let directory = made(false);
    let merchant = json(&run(&["merchant", "create", "--data", path(&directory), "--name", "店"]));
    let mchid = merchant["mchid"].as_str().unwrap();
    let certificate = |args: &[&str]| {
        let (command, rest) = args.split_first().unwrap();
        run(&[&["merchant", "certificate", command, "--data", path(&directory)], rest].concat())
    };
    let added = json(&certificate(&["add", mchid]));
    let serial = added["serial_no"].as_str().unwrap();
    assert_ne!(serial, merchant["serial_no"].as_str().unwrap());
    assert!(added["private_key_pem"].as_str().unwrap().contains("PRIVATE KEY"));
    let states = |list: &Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect()
    };
    let list = json(&certificate(&["list", mchid]));
    assert_eq!(states(&list), ["active", "active"]);
    assert!(!list.to_string().contains("PRIVATE"));
    let old = merchant["serial_no"].as_str().unwrap().to_lowercase();
    assert_eq!(json(&certificate(&["revoke", mchid, &old]))["state"], "revoked");
    assert_eq!(json(&certificate(&["revoke", mchid, &old]))["state"], "revoked");
    let mut left = states(&json(&certificate(&["list", mchid])));
    left.sort();
    assert_eq!(left, ["active", "revoked"]);
    assert!(said(&certificate(&["revoke", mchid, "ABCD"])).contains("no certificate of that serial"));
    assert!(said(&certificate(&["list", "1999999999"])).contains("no merchant"));
    assert!(said(&certificate(&["add", "shop"])).contains("ten digits"));

    let key = json(&run(&["merchant", "apiv3-key", "--data", path(&directory), mchid]));
    assert_eq!(key["apiv3_key"].as_str().unwrap().len(), 32);
    assert_ne!(key["apiv3_key"], merchant["apiv3_key"]);
}

#[test]
fn the_platforms_keys_are_rotated_shown_and_retired_while_a_server_runs() {
    let directory = tempfile::tempdir().unwrap();
    let demo = Demo::start(directory.path());
    let keys = |args: &[&str]| {
        let (command, rest) = args.split_first().unwrap();
        run(&[&["keys", command, "--data", path(&directory)], rest].concat())
    };
    let states = |output: &Output| -> Vec<(String, String)> {
        let shown = json(output);
        assert!(!shown.to_string().contains("PRIVATE"));
        let text = |key: &Value, name: &str| key[name].as_str().unwrap().to_owned();
        let of = |key: &Value| (text(key, "kind"), text(key, "state"));
        shown["platform"].as_array().unwrap().iter().map(of).collect()
    };
    let pair = |kind: &str, state: &str| (kind.to_owned(), state.to_owned());
    let first = [pair("certificate", "signs"), pair("public-key", "signs")];
    assert_eq!(states(&keys(&["show"])), first);
    let serving = |kind: &str| {
        let made = json(&run(&["merchant", "create", "--data", path(&directory), "--name", "店"]));
        made[kind].as_str().unwrap().to_owned()
    };
    let old = serving("platform_certificate_serial");

    let rotated = keys(&["rotate", "--key", "certificate,public-key"]);
    let waiting = [pair("certificate", "waits"), pair("public-key", "waits")];
    assert_eq!(states(&rotated), [first.clone(), waiting].concat());
    assert!(said(&keys(&["rotate"])).contains("waits for its turn"));
    assert_eq!(serving("platform_certificate_serial"), old, "the running server goes on with the old one");
    let next = json(&keys(&["show"]))["platform"][2]["name"].as_str().unwrap().to_owned();
    let retired = states(&keys(&["retire", &next]));
    assert_eq!(retired[2], pair("certificate", "retired"));

    let now = json(&keys(&["rotate", "--from", "now"]));
    let signs = now["platform"].as_array().unwrap().iter();
    let signs = signs.filter(|key| key["kind"] == "certificate").find(|key| key["state"] == "signs").unwrap();
    assert_eq!(serving("platform_certificate_serial"), signs["name"], "the running server knows it at once");
    assert!(keys(&["retire", &old]).status.success());
    assert_eq!(keys(&["retire", signs["name"].as_str().unwrap()]).status.code(), Some(2));
    let folder = directory.path().join("keys/platform");
    for file in std::fs::read_dir(&folder).unwrap() {
        let mode = std::fs::metadata(file.unwrap().path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    demo.stop();
    let again = Demo::start(directory.path());
    assert_eq!(serving("platform_certificate_serial"), signs["name"], "and after a restart");
    again.stop();
}

#[test]
fn staff_have_names_of_their_own_and_a_token_shown_once() {
    let directory = made(false);
    let create =
        |name| run(&["staff", "create", "--data", path(&directory), "--name", name, "--role", "finance"]);
    let made = json(&create("li.ming"));
    assert_eq!(made["role"], "finance");
    assert_eq!(made["enrolment_token"].as_str().unwrap().len(), 43);
    assert!(said(&create("li.ming")).contains("already"));
    assert!(said(&create("Li Ming")).contains("sign-in name"));
}

#[test]
fn commands_go_through_the_running_server_and_a_second_demo_says_why_it_cannot_start() {
    let directory = tempfile::tempdir().unwrap();
    let demo = Demo::start(directory.path());
    for face in ["wallet", "gateway", "shop", "bank", "inbox"] {
        let address = demo.addresses[face].as_str().unwrap();
        assert!(address.starts_with("http://localhost:"), "{face}: {address}");
    }
    let socket = directory.path().join("control.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    assert_credentials(&json(&run(&["merchant", "create", "--data", path(&directory), "--name", "店"])));

    let second = run(&["demo", "--listen", "127.0.0.1:0", "--data", path(&directory)]);
    assert_eq!(second.status.code(), Some(1));
    assert!(said(&second).contains("another koudai is running"), "{}", said(&second));
    let ended = demo.stop();
    assert!(ended.contains("Stopped") && ended.contains(path(&directory)), "{ended}");
    let verified = run(&["verify", "--data", path(&directory)]);
    assert!(json(&verified).is_object());
    assert!(said(&verified).contains("every invariant holds"), "{}", said(&verified));

    // The socket of a server that has ended is no server.
    assert_credentials(&json(&run(&["merchant", "create", "--data", path(&directory), "--name", "店"])));
    let again = Demo::start(directory.path());
    again.stop();
}

#[test]
fn a_sandbox_that_goes_by_its_standard_input_still_ends_at_a_signal() {
    let directory = tempfile::tempdir().unwrap();
    let args = ["--log", "info", "sandbox", "alipay", "--while-stdin", "--listen", "127.0.0.1:0"];
    let mut child = koudai(&args)
        .args(["--data", path(&directory)])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("the sandbox Alipay is open")));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    // Its standard input is still open, and it ends all the same: there is no more to read of it.
    assert_eq!(lines.count(), 0);
    assert_eq!(child.wait().unwrap().signal(), Some(15));
}
