//! The demo's mail server: as much of SMTP (RFC 5321) as a client needs to hand a mail in, so that a demo's mail goes the way real mail
//! goes. What it takes is shown in the inbox and goes nowhere else.
//!
//! Whoever is on this machine may speak to it, so that all they may do is bounded: lines, mails, mistakes, connections, time.

use std::sync::Arc;
use std::time::Duration;

use mail_parser::MessageParser;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::inbox::{Inbox, MAX_ADDRESS_BYTES};
use super::port_failure;
use crate::failure::Failure;

/// The longest line with its end (RFC 5321, section 4.5.3.1.6).
const LINE_BYTES: u64 = 1_000;
/// The longest mail; those of a wallet are a hundredth of it.
const MAIL_BYTES: usize = 256 * 1024;
/// To how many a mail may go.
const RECIPIENTS: usize = 10;
/// How many mistakes are answered before the connection ends.
const MISTAKES: usize = 10;
/// How many may be connected at once.
const CONNECTIONS: usize = 16;
/// How long a connection may last.
const LASTS: Duration = Duration::from_mins(1);

/// A mail server that runs.
#[derive(Debug)]
pub(super) struct MailServer(JoinHandle<()>);

impl MailServer {
    /// Takes mail for an inbox.
    ///
    /// # Errors
    /// If the listener cannot be used.
    pub(super) fn start(listener: std::net::TcpListener, inbox: Inbox) -> Result<Self, Failure> {
        Self::lasting(listener, inbox, LASTS)
    }

    fn lasting(listener: std::net::TcpListener, inbox: Inbox, lasts: Duration) -> Result<Self, Failure> {
        listener.set_nonblocking(true).map_err(|error| port_failure(&error))?;
        let listener = TcpListener::from_std(listener).map_err(|error| port_failure(&error))?;
        Ok(Self(tokio::spawn(serve(listener, inbox, lasts))))
    }

    /// Ends it, and every connection.
    pub(super) fn stop(self) {
        self.0.abort();
    }
}

async fn serve(listener: TcpListener, inbox: Inbox, lasts: Duration) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut sessions = JoinSet::new();
    loop {
        // Whoever finds no place waits to be accepted.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        while sessions.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let session = Session { stream: BufReader::new(stream), inbox: inbox.clone(), mistakes: 0 };
                sessions.spawn(async move {
                    // Whether they left, were cut or took too long: what was taken is in the inbox.
                    drop(timeout(lasts, session.hold()).await);
                    drop(place);
                });
            }
            Err(error) => tracing::debug!(%error, "a connection to the demo's mail server"),
        }
    }
}

/// Why a session ends: nobody can be spoken to any more.
struct Gone;

impl From<std::io::Error> for Gone {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

struct Session {
    stream: BufReader<TcpStream>,
    inbox: Inbox,
    mistakes: usize,
}

/// Whom the mail that is being handed in goes to, once its sender was named.
type Recipients = Option<Vec<String>>;

impl Session {
    async fn hold(mut self) -> Result<(), Gone> {
        self.say("220 koudai.example demo inbox").await?;
        let mut recipients = Recipients::None;
        loop {
            let line = self.line().await?;
            let Some(line) = line.strip_suffix(b"\r\n").and_then(|line| std::str::from_utf8(line).ok())
            else {
                self.mistake("500 5.5.2 A line is text and ends in CR and LF").await?;
                continue;
            };
            let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
            match (verb.to_ascii_uppercase().as_str(), &mut recipients) {
                ("EHLO", _) => {
                    recipients = None;
                    let size = format!(
                        "250-koudai.example\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE {MAIL_BYTES}"
                    );
                    self.say(&size).await?;
                }
                ("HELO", _) => {
                    recipients = None;
                    self.say("250 koudai.example").await?;
                }
                ("MAIL", None) if address(rest, "FROM:").is_some() => {
                    recipients = Some(vec![]);
                    self.say("250 2.1.0 OK").await?;
                }
                ("RCPT", Some(so_far)) => match address(rest, "TO:").filter(|to| !to.is_empty()) {
                    Some(to) if so_far.len() < RECIPIENTS => {
                        so_far.push(to.to_owned());
                        self.say("250 2.1.5 OK").await?;
                    }
                    Some(_) => self.mistake("452 4.5.3 Too many recipients").await?,
                    None => self.mistake("501 5.1.3 Write TO:<somebody@example.org>").await?,
                },
                ("DATA", Some(to)) if !to.is_empty() => {
                    self.say("354 End with a line of one dot").await?;
                    self.take(to).await?;
                    recipients = None;
                }
                ("RSET", _) => {
                    recipients = None;
                    self.say("250 2.0.0 OK").await?;
                }
                ("NOOP", _) => self.say("250 2.0.0 OK").await?,
                ("QUIT", _) => return self.say("221 2.0.0 Bye").await,
                ("MAIL" | "RCPT" | "DATA", _) => {
                    self.mistake("503 5.5.1 First MAIL, then RCPT, then DATA").await?;
                }
                _ => self.mistake("500 5.5.1 Not known here").await?,
            }
        }
    }

    /// Takes the mail itself. One that is too long ends the connection: to read on would be work for nobody.
    async fn take(&mut self, to: &[String]) -> Result<(), Gone> {
        let mut mail = vec![];
        let mut begins = true;
        loop {
            let line = self.line().await?;
            // A line of one dot ends the mail, if it and the line before end in CR and LF. Whoever takes anything else for the end
            // has mail smuggled in.
            if begins && line == b".\r\n" {
                break;
            }
            begins = line.ends_with(b"\r\n");
            mail.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            if mail.len() > MAIL_BYTES {
                self.say("552 5.3.4 Too long").await?;
                return Err(Gone);
            }
        }
        let Some(read) = MessageParser::default().parse(&mail) else {
            return self.mistake("554 5.6.0 That is no mail").await;
        };
        let (subject, text) = (read.subject().unwrap_or_default(), read.body_text(0).unwrap_or_default());
        for to in to {
            self.inbox.keep_mail(to, subject, &text.replace("\r\n", "\n"));
        }
        self.say("250 2.0.0 OK").await
    }

    /// The next line with its end. One that is too long ends the connection, for nobody knows where it ends.
    async fn line(&mut self) -> Result<Vec<u8>, Gone> {
        let mut line = vec![];
        (&mut self.stream).take(LINE_BYTES).read_until(b'\n', &mut line).await?;
        if line.ends_with(b"\n") {
            return Ok(line);
        }
        if !line.is_empty() {
            self.say("500 5.5.2 Line too long").await?;
        }
        Err(Gone)
    }

    /// Answers a mistake, and the last one too many by an end.
    async fn mistake(&mut self, answer: &str) -> Result<(), Gone> {
        self.mistakes += 1;
        if self.mistakes > MISTAKES {
            self.say("421 4.7.0 Too many mistakes").await?;
            return Err(Gone);
        }
        self.say(answer).await
    }

    async fn say(&mut self, answer: &str) -> Result<(), Gone> {
        // In one piece: a second would wait until the first has been acknowledged, which takes its time.
        let line = format!("{answer}\r\n");
        Ok(self.stream.get_mut().write_all(line.as_bytes()).await?)
    }
}

/// What stands in the brackets behind `FROM:` or `TO:`; nothing, from whoever wants no answer. What follows them is not read.
fn address<'a>(rest: &'a str, word: &str) -> Option<&'a str> {
    let begins = rest.get(..word.len())?.eq_ignore_ascii_case(word);
    let (address, _) = rest.get(word.len()..)?.trim_start().strip_prefix('<')?.split_once('>')?;
    let fine = address.len() <= MAX_ADDRESS_BYTES && !address.chars().any(char::is_control);
    (begins && fine).then_some(address)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use koudai_core::secret::Secret;
    use koudai_core::time::Timestamp;
    use koudai_engine::Clock;
    use koudai_networks::mail::{DEADLINE, Mailer};
    use koudai_networks::relay::Relay;

    use super::*;

    struct Rig {
        at: SocketAddr,
        inbox: Inbox,
        server: MailServer,
    }

    impl Rig {
        fn open(lasts: Duration) -> Self {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let at = listener.local_addr().unwrap();
            let clock = Clock::by_hand(Timestamp(1_795_000_000_000));
            let inbox = Inbox::new(Secret::new("token".to_owned()), clock);
            let server = MailServer::lasting(listener, inbox.clone(), lasts).unwrap();
            Self { at, inbox, server }
        }

        fn mailer(&self) -> Mailer {
            let at = Relay::smtp(&format!("smtp://{}", self.at)).unwrap();
            Mailer::new(at, None, "口袋 <wallet@example.org>", None, DEADLINE).unwrap()
        }

        /// What arrived, as programs see it.
        fn mails(&self) -> serde_json::Value {
            serde_json::to_value(self.inbox.messages(None)).unwrap()
        }

        /// Everything that is answered to these bytes until the connection ends.
        async fn answers(&self, bytes: &[u8]) -> String {
            let mut stream = TcpStream::connect(self.at).await.unwrap();
            // Whoever is cut off while they still speak may lose the answer with the connection.
            stream.write_all(bytes).await.ok();
            let mut answers = vec![];
            stream.read_to_end(&mut answers).await.ok();
            String::from_utf8(answers).unwrap()
        }
    }

    #[tokio::test]
    async fn a_mail_of_the_wallets_is_shown_with_its_subject_its_text_and_its_code() {
        let rig = Rig::open(LASTS);
        let mailer = rig.mailer();
        let subject = "口袋的验证码，请在五分钟之内使用，不要告诉任何人：这一行比一个编码词更长";
        let text = "验证码 012345，用于登录。\n.\n..不要告诉任何人。";
        mailer.send("a@example.com", subject, text).await.unwrap();
        mailer.send("b@example.com", "Code", "Code 654321, a line much longer than what mail may have in one, to be cut into several and put together again.").await.unwrap();
        let mails = rig.mails();
        assert_eq!(mails[0]["to"], "a@example.com");
        assert_eq!((&mails[0]["subject"], &mails[0]["text"]), (&subject.into(), &text.into()));
        assert_eq!((&mails[0]["code"], &mails[1]["code"]), (&"012345".into(), &"654321".into()));
        assert!(mails[1]["text"].as_str().unwrap().ends_with("put together again."));
    }

    #[tokio::test]
    async fn every_command_is_answered_even_if_all_come_at_once() {
        let rig = Rig::open(LASTS);
        let answers = rig
            .answers(
                b"HELO me\r\nNOOP\r\nMAIL FROM:<>\r\nRSET\r\nmail from: <x@example.com> SIZE=100\r\n\
                  rcpt to:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nSubject: s\r\n\r\n..t\r\n.\r\nQUIT\r\n",
            )
            .await;
        let codes: Vec<_> = answers.lines().map(|line| &line[..3]).collect();
        assert_eq!(codes, ["220", "250", "250", "250", "250", "250", "250", "250", "354", "250", "221"]);
        let mails = rig.mails();
        assert_eq!((&mails[0]["to"], &mails[1]["to"]), (&"a@example.com".into(), &"b@example.com".into()));
        assert_eq!(mails[0]["text"], ".t");
    }

    #[tokio::test]
    async fn commands_out_of_order_and_garbage_are_refused_and_end_it_in_time() {
        let rig = Rig::open(LASTS);
        let answers = rig.answers(b"DATA\r\nRCPT TO:<a@b.c>\r\nMAIL a@b.c\r\nMAIL FROM:<a@b.c>\r\nDATA\r\nRCPT TO:<>\r\nQUIT\r\n").await;
        let codes: Vec<_> = answers.lines().map(|line| &line[..3]).collect();
        assert_eq!(codes, ["220", "503", "503", "503", "250", "503", "501", "221"]);
        let answers = rig.answers(&b"\xff\xfe garbage\nGET / HTTP/1.1\r\n".repeat(20)).await;
        assert!(answers.lines().count() <= MISTAKES + 2, "{answers}");
        assert_eq!(rig.mails(), serde_json::json!([]));
    }

    #[tokio::test]
    async fn a_line_without_end_a_mail_without_end_and_too_many_recipients_are_cut_off() {
        let rig = Rig::open(LASTS);
        let begin = b"MAIL FROM:<a@b.c>\r\nRCPT TO:<a@b.c>\r\nDATA\r\n".to_vec();
        rig.answers(&vec![b'a'; 1 << 20]).await;
        rig.answers(&[begin.clone(), vec![b'a'; 1 << 20]].concat()).await;
        rig.answers(&[begin.clone(), b"line\r\n".repeat(MAIL_BYTES)].concat()).await;
        let many = [&b"MAIL FROM:<a@b.c>\r\n"[..], &b"RCPT TO:<a@b.c>\r\n".repeat(50)].concat();
        assert!(rig.answers(&many).await.contains("421"));
        // What looks like an end to others is none here.
        for smuggled in ["\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r"] {
            let mail = [
                begin.clone(),
                format!("Subject: s\r\n\r\nt{smuggled}MAIL FROM:<x@b.c>\r\n.\r\nQUIT\r\n").into(),
            ];
            let answers = rig.answers(&mail.concat()).await;
            assert!(answers.ends_with("221 2.0.0 Bye\r\n"), "{smuggled:?}: {answers}");
        }
        let mails = rig.mails();
        assert_eq!(mails.as_array().unwrap().len(), 4, "the four that ended: {mails}");
        for mail in mails.as_array().unwrap() {
            assert!(mail["text"].as_str().unwrap().contains("MAIL FROM:<x@b.c>"), "{mail}");
        }
        rig.mailer().send("a@example.com", "s", "t").await.unwrap();
    }

    #[tokio::test]
    async fn who_says_nothing_is_cut_off() {
        let rig = Rig::open(Duration::from_millis(50));
        let mut silent = TcpStream::connect(rig.at).await.unwrap();
        let mut said = String::new();
        silent.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "220 koudai.example demo inbox\r\n");
    }

    #[tokio::test]
    async fn who_finds_no_place_gets_one_once_another_leaves_and_none_once_it_has_ended() {
        let rig = Rig::open(LASTS);
        let mut others = vec![];
        for _ in 0..CONNECTIONS {
            let mut other = TcpStream::connect(rig.at).await.unwrap();
            other.read_u8().await.unwrap();
            others.push(other);
        }
        let mailer = rig.mailer();
        let sent = tokio::spawn(async move { mailer.send("a@example.com", "s", "t").await });
        tokio::task::yield_now().await;
        assert_eq!(rig.mails(), serde_json::json!([]));
        others.pop();
        sent.await.unwrap().unwrap();
        assert_eq!(rig.mails().as_array().unwrap().len(), 1);
        rig.server.stop();
        for mut other in others {
            other.read_to_end(&mut vec![]).await.unwrap();
        }
    }
}
