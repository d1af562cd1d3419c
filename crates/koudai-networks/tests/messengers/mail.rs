//! Mail to a relay.

use std::time::Duration;

use koudai_core::secret::Secret;
use koudai_networks::mail::{DEADLINE, MailError, Mailer};
use koudai_networks::relay::Relay;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use crate::mail_server::{MailServer, PASSWORD, USER};
use crate::{Certificate, Log, certificate, whole};

const TO: &str = "someone@example.com";
const SUBJECT: &str = "口袋的验证码，请在五分钟之内使用，不要告诉任何人：这一行比一个编码词更长";
const TEXT: &str = "验证码 012345，用于登录，5 分钟内有效。\n\n.\n.. 任何人索要都是诈骗。\n";

fn mailer(scheme: &str, server: &MailServer, password: &str, root: &Certificate) -> Mailer {
    let at = Relay::smtp(&format!("{scheme}://{USER}@127.0.0.1:{}", server.port)).unwrap();
    let password = Secret::new(password.to_owned());
    Mailer::new(at, Some(&password), "口袋 <wallet@example.org>", Some(&root.pem), DEADLINE).unwrap()
}

/// A mailer without a user and without TLS.
fn plain(port: u16, deadline: Duration) -> Mailer {
    let at = Relay::smtp(&format!("smtp://127.0.0.1:{port}")).unwrap();
    Mailer::new(at, None, "wallet@example.org", None, deadline).unwrap()
}

#[tokio::test]
async fn a_mail_arrives_whole_over_tls_of_either_kind() {
    let trusted = certificate();
    for (mode, scheme) in [("implicit", "smtps"), ("starttls", "smtp")] {
        let mut server = MailServer::open(mode, &trusted).await;
        let mailer = mailer(scheme, &server, PASSWORD, &trusted);
        mailer.send(TO, SUBJECT, TEXT).await.unwrap();
        let mail = server.mail().await;
        assert_eq!((mail.from.as_str(), &mail.to[..]), ("wallet@example.org", &[TO.to_owned()][..]));
        assert_eq!(mail.user.as_deref(), Some("wallet@example.org"));
        assert_eq!(mail.hello, "example.org");
        assert_eq!(mail.header("Subject"), SUBJECT);
        assert_eq!(mail.text.replace("\r\n", "\n"), TEXT);
        assert_eq!(mail.header("From"), "口袋 <wallet@example.org>");
        assert_eq!(mail.header("To"), TO);
        assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
        assert!(mail.header("Message-ID").ends_with("@example.org>"));
        assert!(mail.has("Date"));
        mailer.send(TO, "Code", "Code 654321").await.unwrap();
        assert_eq!(server.mail().await.text.trim_end(), "Code 654321");
    }
}

#[tokio::test]
async fn a_relay_on_this_machine_needs_neither_tls_nor_a_user() {
    let mut server = MailServer::open("none", &certificate()).await;
    plain(server.port, DEADLINE).send(TO, SUBJECT, TEXT).await.unwrap();
    let mail = server.mail().await;
    assert_eq!((mail.header("Subject"), mail.user.as_deref()), (SUBJECT, None));
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_refused_before_anything_is_said() {
    let trusted = certificate();
    for (mode, scheme) in [("implicit", "smtps"), ("starttls", "smtp")] {
        let server = MailServer::open(mode, &certificate()).await;
        let refused = mailer(scheme, &server, PASSWORD, &trusted).send(TO, SUBJECT, TEXT).await.unwrap_err();
        assert!(matches!(refused, MailError::Unreachable(_)), "{refused}");
        assert!(!refused.is_final() && whole(&refused).contains("certificate"), "{}", whole(&refused));
    }
}

#[tokio::test]
async fn a_relay_that_offers_no_tls_is_not_told_the_password() {
    let trusted = certificate();
    let server = MailServer::open("none", &trusted).await;
    let refused = mailer("smtp", &server, PASSWORD, &trusted).send(TO, SUBJECT, TEXT).await.unwrap_err();
    assert!(matches!(refused, MailError::Unfit) && !refused.is_final(), "{refused}");
}

#[tokio::test]
async fn a_mailbox_that_is_gone_is_told_apart_from_one_that_is_full_and_from_a_wrong_password() {
    let trusted = certificate();
    let server = MailServer::open("implicit", &trusted).await;
    let sender = mailer("smtps", &server, PASSWORD, &trusted);
    let gone = sender.send("gone@example.com", SUBJECT, TEXT).await.unwrap_err();
    assert!(matches!(gone, MailError::Refused(550)) && gone.is_final(), "{gone}");
    let full = sender.send("full@example.com", SUBJECT, TEXT).await.unwrap_err();
    assert!(matches!(full, MailError::NotNow(452)) && !full.is_final(), "{full}");
    let stranger = mailer("smtps", &server, "wrong", &trusted);
    let refused = stranger.send(TO, SUBJECT, TEXT).await.unwrap_err();
    assert!(matches!(refused, MailError::NotLetIn(535)) && !refused.is_final(), "{refused}");
    sender.send(TO, SUBJECT, TEXT).await.unwrap();
}

#[tokio::test]
async fn no_header_and_no_command_gets_in_by_address_subject_or_text() {
    let mut server = MailServer::open("none", &certificate()).await;
    let mailer = plain(server.port, DEADLINE);
    for (to, subject) in [
        ("someone@example.com\r\nBcc: b@example.com", "s"),
        ("someone@example.com>\r\nRCPT TO:<b@example.com", "s"),
        (TO, "s\r\nBcc: b@example.com"),
        (TO, "s\n\nbody"),
    ] {
        let refused = mailer.send(to, subject, "t").await.unwrap_err();
        assert!(matches!(refused, MailError::Unusable) && refused.is_final(), "{refused}");
    }
    let text = "Bcc: b@example.com\r\n.\r\nMAIL FROM:<x@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n";
    mailer.send(TO, "s", text).await.unwrap();
    let mail = server.mail().await;
    assert_eq!((&mail.to[..], mail.has("Bcc")), (&[TO.to_owned()][..], false));
    assert_eq!(mail.text.replace("\r\n", "\n").trim_end(), text.replace("\r\n", "\n").trim_end());
}

#[tokio::test]
async fn who_never_answers_is_waited_for_until_the_deadline_and_who_is_not_there_is_not() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let late = plain(port, Duration::from_millis(50)).send(TO, SUBJECT, TEXT).await.unwrap_err();
    assert!(matches!(late, MailError::Late) && !late.is_final(), "{late}");
    drop(silent);
    let nobody = plain(port, DEADLINE).send(TO, SUBJECT, TEXT).await.unwrap_err();
    assert!(matches!(nobody, MailError::Unreachable(_)), "{nobody}");
}

#[tokio::test]
async fn what_is_no_smtp_and_what_is_cut_is_no_refusal() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        stream.read_to_end(&mut vec![]).await.ok();
        // The second is cut once it has said hello.
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 relay\r\n").await.unwrap();
        stream.read_line(&mut String::new()).await.unwrap();
    });
    let unfit = plain(port, DEADLINE).send(TO, SUBJECT, TEXT).await.unwrap_err();
    assert!(matches!(unfit, MailError::Unfit), "{unfit}");
    let cut = plain(port, DEADLINE).send(TO, SUBJECT, TEXT).await.unwrap_err();
    assert!(!cut.is_final(), "{cut}");
    serving.await.unwrap();
}

#[tokio::test]
async fn neither_address_nor_text_nor_password_is_logged_or_in_an_error() {
    let log = Log::default();
    let listening = log.listen();
    let trusted = certificate();
    let mut server = MailServer::open("implicit", &trusted).await;
    let sender = mailer("smtps", &server, PASSWORD, &trusted);
    sender.send(TO, SUBJECT, TEXT).await.unwrap();
    assert_eq!(server.mail().await.header("Subject"), SUBJECT);
    let mut said = whole(&sender.send("gone@example.com", SUBJECT, TEXT).await.unwrap_err());
    said += &whole(&sender.send("not an address", SUBJECT, TEXT).await.unwrap_err());
    drop(listening);
    said = format!("{said} {sender:?} {}", log.text());
    for secret in [TO, "gone@", "not an address", "012345", "验证码", PASSWORD] {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
}
