//! Mail, handed in at the operator's relay by SMTP (RFC 5321, RFC 6409), over TLS unless the relay is this machine.

use std::fmt;
use std::time::Duration;

use koudai_core::secret::Secret;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use tokio::time::timeout;

use crate::outward;
use crate::relay::{Relay, Unusable};

/// How long one mail may take to be handed over. Relays look a mail over before they answer, which takes some of them seconds.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// What a relay says of a name, a password and the right to hand mail in (RFC 4954, section 6).
const CREDENTIALS: [u16; 4] = [530, 534, 535, 538];

/// Why a mail was not handed over. Holds neither the address, the text nor a secret, and nothing of what a relay said but its code,
/// for relays repeat addresses.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// No mail goes to such an address, or has such a subject.
    #[error("the address or the subject cannot stand in a mail")]
    Unusable,
    /// Not reached, cut, or its certificate is not trusted. The mail may have gone out.
    #[error("the mail relay cannot be reached")]
    Unreachable(#[source] lettre::transport::smtp::Error),
    /// It offers no TLS or no way to say who we are, or speaks something else.
    #[error("the mail relay offers no TLS, knows no way to sign in, or speaks something else")]
    Unfit,
    /// It does not know this wallet by that name and password. Holds its code.
    #[error("the mail relay did not let the wallet in: {0}")]
    NotLetIn(u16),
    /// Not now (4xx). Holds its code.
    #[error("the mail relay does not take the mail now: {0}")]
    NotNow(u16),
    /// Never (5xx): there is no such mailbox, or it wants none of ours. Holds its code.
    #[error("the mail relay refused the mail: {0}")]
    Refused(u16),
    /// No answer within the deadline. The mail may have gone out.
    #[error("the mail relay did not answer in time")]
    Late,
}

impl MailError {
    /// Whether the same mail will never be taken, however often it is sent.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Unusable | Self::Refused(_))
    }

    fn of(error: lettre::transport::smtp::Error) -> Self {
        match error.status().map(u16::from) {
            Some(code) if CREDENTIALS.contains(&code) => Self::NotLetIn(code),
            Some(code) if error.is_permanent() => Self::Refused(code),
            Some(code) => Self::NotNow(code),
            None if error.is_timeout() => Self::Late,
            None if error.is_client() || error.is_response() => Self::Unfit,
            None => Self::Unreachable(error),
        }
    }
}

/// The operator's mail relay. Each mail has a connection of its own: one that is kept is closed by the other side at some time, which
/// only the next mail finds out.
#[derive(Clone)]
pub struct Mailer {
    at: Relay,
    relay: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    deadline: Duration,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailer").field("at", &self.at).field("from", &self.from).finish_non_exhaustive()
    }
}

impl Mailer {
    /// A relay that is given mail `from` somebody, as `wallet@example.org` or `Name <wallet@example.org>`; `root` is a certificate to
    /// trust beside the machine's own, PEM. Nothing is connected yet.
    ///
    /// # Errors
    /// If one of them cannot be used.
    pub fn new(
        at: Relay,
        password: Option<&Secret<String>>,
        from: &str,
        root: Option<&str>,
        deadline: Duration,
    ) -> Result<Self, Unusable> {
        let from: Mailbox = from.parse().map_err(|_| Unusable::From)?;
        let credentials = match (&at.user, password) {
            (Some(user), Some(password)) => Some(Credentials::new(user.clone(), password.expose().clone())),
            (None, None) => None,
            _ => return Err(Unusable::HalfACredential),
        };
        // Whoever says which certificate to trust wants TLS on this machine too.
        let tls = match (at.tls, at.is_here() && root.is_none()) {
            (true, _) => Tls::Wrapper(tls(&at, root)?),
            (false, false) => Tls::Required(tls(&at, root)?),
            (false, true) => Tls::None,
        };
        // The wallet goes by the name its mail comes from: relays dislike clients that call themselves by an address, and the
        // machine's own name is nobody's business.
        let ours = ClientId::Domain(from.email.domain().to_owned());
        let relay = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(at.host.clone())
            .port(at.port)
            .tls(tls)
            .hello_name(ours)
            .timeout(Some(deadline));
        let relay = match credentials {
            Some(credentials) => relay.credentials(credentials),
            None => relay,
        };
        Ok(Self { at, relay: relay.build(), from, deadline })
    }

    /// Hands over one mail of plain text. `to` is an address without a name; neither it nor subject and text is ever logged.
    ///
    /// # Errors
    /// If it was not handed over, or nobody knows; the caller decides whether to send again unless the error is final, and the mail
    /// may then arrive twice.
    pub async fn send(&self, to: &str, subject: &str, text: &str) -> Result<(), MailError> {
        let (envelope, mail) = self.mail(to, subject, text)?;
        match timeout(self.deadline, self.relay.send_raw(&envelope, &mail)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(MailError::of(error)),
            Err(_) => Err(MailError::Late),
        }
    }

    fn mail(&self, to: &str, subject: &str, text: &str) -> Result<(Envelope, Vec<u8>), MailError> {
        let to: Address = to.parse().map_err(|_| MailError::Unusable)?;
        if subject.chars().any(char::is_control) {
            return Err(MailError::Unusable);
        }
        let random = koudai_engine::random_bytes();
        let number = u128::from_be_bytes(random.expose()[..16].try_into().expect("half of 32 bytes is 16"));
        let id = format!("<{number:032x}@{}>", self.from.email.domain());
        let mut mail = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject)
            .date_now()
            .message_id(Some(id))
            .header(ContentType::TEXT_PLAIN)
            .body(text.to_owned())
            .map_err(|_| MailError::Unusable)?;
        // Nobody's absence is to be answered to us (RFC 3834, section 5).
        let name = HeaderName::new_from_ascii_str("Auto-Submitted");
        mail.headers_mut().insert_raw(HeaderValue::new(name, "auto-generated".to_owned()));
        Ok((mail.envelope().clone(), mail.formatted()))
    }
}

fn tls(at: &Relay, root: Option<&str>) -> Result<TlsParameters, Unusable> {
    let mut tls = TlsParameters::builder(at.host.clone());
    if let Some(root) = root {
        for certificate in outward::certificates(root)? {
            let certificate = Certificate::from_der(certificate.to_vec()).map_err(|_| Unusable::Root)?;
            tls = tls.add_root_certificate(certificate);
        }
    }
    tls.build_rustls().map_err(|_| Unusable::Tls)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailer(url: &str, password: Option<&str>, from: &str) -> Result<Mailer, Unusable> {
        let password = password.map(|password| Secret::new(password.to_owned()));
        Mailer::new(Relay::smtp(url)?, password.as_ref(), from, None, DEADLINE)
    }

    fn headers(mail: &[u8]) -> Vec<String> {
        let mail = String::from_utf8(mail.to_vec()).expect("a mail of ours is ASCII");
        let (headers, _) = mail.split_once("\r\n\r\n").expect("headers and a body");
        headers.replace("\r\n ", " ").split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn a_mail_says_when_it_was_made_that_nobody_wrote_it_and_which_it_is() {
        let mailer = mailer("smtp://127.0.0.1:25", None, "口袋 <wallet@example.org>").unwrap();
        let (envelope, mail) = mailer.mail("a@example.com", "验证码", "您的验证码 012345").unwrap();
        assert_eq!(envelope.to().iter().map(ToString::to_string).collect::<Vec<_>>(), ["a@example.com"]);
        let headers = headers(&mail);
        let one = |name: &str| {
            let found: Vec<_> = headers.iter().filter(|header| header.starts_with(name)).collect();
            assert_eq!(found.len(), 1, "{name}: {headers:?}");
            found[0].clone()
        };
        one("Date: ");
        assert!(one("Message-ID: <").ends_with("@example.org>"));
        assert_eq!(one("Auto-Submitted: "), "Auto-Submitted: auto-generated");
        assert_eq!(one("To: "), "To: a@example.com");
        assert!(one("From: =?utf-8?b?").ends_with("<wallet@example.org>"));
        assert!(one("Content-Type: ").contains("charset=utf-8"));
        let (_, another) = mailer.mail("a@example.com", "验证码", "").unwrap();
        assert!(!String::from_utf8(another).unwrap().contains(&one("Message-ID: ")));
    }

    #[test]
    fn no_line_of_another_gets_into_the_headers() {
        let mailer = mailer("smtp://127.0.0.1:25", None, "wallet@example.org").unwrap();
        for to in [
            "a@example.com\r\nBcc: b@example.com",
            "a@example.com, b@example.com",
            "A <a@example.com>",
            "a@b>\nX: y",
            "",
        ] {
            assert!(matches!(mailer.mail(to, "s", "t"), Err(MailError::Unusable)), "{to:?}");
        }
        for subject in ["s\r\nBcc: b@example.com", "s\nX: y", "s\rX: y", "\0"] {
            assert!(
                matches!(mailer.mail("a@example.com", subject, "t"), Err(MailError::Unusable)),
                "{subject:?}"
            );
        }
        let (_, mail) =
            mailer.mail("a@example.com", "s", "t\r\n.\r\nMAIL FROM:<x@y>\r\nBcc: b@example.com").unwrap();
        assert!(headers(&mail).iter().all(|header| !header.starts_with("Bcc")));
    }

    #[test]
    fn a_user_needs_a_password_and_a_password_a_user() {
        assert!(mailer("smtps://a@smtp.example.org", Some("secret"), "a@example.org").is_ok());
        assert!(mailer("smtp://127.0.0.1:25", None, "a@example.org").is_ok());
        for (url, password) in
            [("smtps://a@smtp.example.org", None), ("smtps://smtp.example.org", Some("secret"))]
        {
            assert_eq!(mailer(url, password, "a@example.org").unwrap_err(), Unusable::HalfACredential);
        }
        assert_eq!(mailer("smtp://127.0.0.1:25", None, "nobody").unwrap_err(), Unusable::From);
    }

    #[test]
    fn its_debug_output_has_no_password() {
        let mailer = mailer("smtps://a@smtp.example.org", Some("hushhush"), "a@example.org").unwrap();
        assert!(!format!("{mailer:?}").contains("hush"));
    }
}
