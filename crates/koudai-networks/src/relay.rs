//! Where messages are handed over by protocols other than HTTP: a message centre or a mail relay, written as one address.

use std::net::IpAddr;

use percent_encoding::percent_decode_str;
use reqwest::Url;

use crate::reach::is_inner;

/// The port mail is handed in at over TLS (RFC 8314, section 3.3), and the one where TLS is agreed on first (RFC 6409, section 3.1).
const SMTPS_PORT: u16 = 465;
const SMTP_PORT: u16 = 587;

/// Why a setting of messages cannot be used. Holds no part of an address, for somebody may have written a password into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The address is none, or of another protocol.
    #[error("write {0}, with nothing behind the port")]
    Shape(&'static str),
    /// A password stands in the address.
    #[error("a password does not stand in an address but in a file of its own")]
    PasswordInside,
    /// Without TLS, to a place where others listen.
    #[error("{0}")]
    InTheClear(&'static str),
    /// A user without a password, or a password without a user.
    #[error("a user in the address and a file with the password are only of use together")]
    HalfACredential,
    /// The name or password of a message centre is too long for SMPP.
    #[error("SMPP takes a name of at most 15 letters, digits and signs, and a password of at most 8")]
    TooLong,
    /// The sender of short messages is none.
    #[error(
        "a sender is +8613800138000, up to 20 digits, or up to 11 letters, digits and blanks with a letter; /TON/NPI may follow, \
         each 0 to 255"
    )]
    Sender,
    /// The sender of mail is none.
    #[error("write wallet@example.org, or Name <wallet@example.org>")]
    From,
    /// The certificate that is to be trusted is none.
    #[error("there is no certificate in it, PEM")]
    Root,
    /// TLS does not work on this machine.
    #[error("this machine has no root certificates to check others by")]
    Tls,
    /// The gateway's address or token.
    #[error("the message gateway's address or token is not usable")]
    Gateway,
}

/// A message centre or a mail relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relay {
    /// Whether TLS comes before anything else.
    pub(crate) tls: bool,
    /// Who we are there.
    pub(crate) user: Option<String>,
    /// A name or an address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Relay {
    /// A message centre. Without TLS it has to stand on this machine or in a network of one's own, and be written as an address:
    /// what a name leads to is for others to say. Many providers offer SMPP in the clear, over a VPN.
    ///
    /// # Errors
    /// If it is anything but `smpp://NAME@HOST:PORT` or `smpps://…`, or unsafe.
    pub fn smpp(text: &str) -> Result<Self, Unusable> {
        let shape = Unusable::Shape("smpps://NAME@HOST:PORT or smpp://NAME@ADDRESS:PORT");
        let relay = Self::parse(text, ["smpp", "smpps"], [None, None]).ok_or(shape)??;
        if relay.user.is_none() {
            return Err(shape);
        }
        if !relay.tls && !relay.ip().is_some_and(|ip| ip.is_loopback() || is_inner(ip)) {
            return Err(Unusable::InTheClear(
                "without TLS only to this machine or a private network, written as an address and not as a name: codes and the \
                 password would cross networks of others in the clear; write smpps://",
            ));
        }
        Ok(relay)
    }

    /// A mail relay. `smtps` is TLS from the first byte on; `smtp` has to agree on TLS before anything is said, but on this machine.
    ///
    /// # Errors
    /// If it is anything but `smtps://USER@HOST` or `smtp://USER@HOST`, a port behind them or not.
    pub fn smtp(text: &str) -> Result<Self, Unusable> {
        let shape = Unusable::Shape("smtps://USER@HOST:PORT or smtp://USER@HOST:PORT");
        Self::parse(text, ["smtp", "smtps"], [Some(SMTP_PORT), Some(SMTPS_PORT)]).ok_or(shape)?
    }

    /// `None` if it is no address of these schemes, the first of which is the one without TLS.
    fn parse(text: &str, schemes: [&str; 2], ports: [Option<u16>; 2]) -> Option<Result<Self, Unusable>> {
        let url: Url = text.parse().ok()?;
        let tls = schemes.iter().position(|scheme| *scheme == url.scheme())?;
        if url.password().is_some() {
            return Some(Err(Unusable::PasswordInside));
        }
        let plain = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
        let host = url.host_str()?.trim_matches(['[', ']']);
        let fine = host.parse::<IpAddr>().is_ok()
            || host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        if !plain || !fine || host.is_empty() {
            return None;
        }
        let user = percent_decode_str(url.username()).decode_utf8().ok()?;
        if user.chars().any(char::is_control) {
            return None;
        }
        let port = url.port().or(ports[tls]).filter(|port| *port != 0)?;
        let user = Some(user.into_owned()).filter(|user| !user.is_empty());
        Some(Ok(Self { tls: tls == 1, user, host: host.to_owned(), port }))
    }

    fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Whether it leads to this machine.
    pub(crate) fn is_here(&self) -> bool {
        self.host == "localhost" || self.ip().is_some_and(|ip| ip.is_loopback())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_their_user_and_their_usual_port() {
        let relay = |tls, user: Option<&str>, host: &str, port| Relay {
            tls,
            user: user.map(str::to_owned),
            host: host.to_owned(),
            port,
        };
        for (text, read) in [
            ("smtps://noreply@smtp.example.org", relay(true, Some("noreply"), "smtp.example.org", 465)),
            ("smtp://smtp.example.org/", relay(false, None, "smtp.example.org", 587)),
            ("smtp://a%40b.org@127.0.0.1:2525", relay(false, Some("a@b.org"), "127.0.0.1", 2525)),
            ("smtp://a@b.org@h:2525", relay(false, Some("a@b.org"), "h", 2525)),
            ("smtps://[::1]", relay(true, None, "::1", 465)),
        ] {
            assert_eq!(Relay::smtp(text), Ok(read), "{text}");
        }
        assert_eq!(
            Relay::smpp("smpps://wallet@smsc.example.org:3550"),
            Ok(relay(true, Some("wallet"), "smsc.example.org", 3550))
        );
    }

    #[test]
    fn what_is_no_address_is_refused_without_being_repeated() {
        for text in [
            "",
            "smtp.example.org:25",
            "http://a@b:1",
            "smtp://",
            "smtp://h/x",
            "smtp://h?a=b",
            "smtp://a%0ab@h",
            "smtp://h:0",
        ] {
            assert!(matches!(Relay::smtp(text), Err(Unusable::Shape(_))), "{text}");
        }
        for text in ["smpps://smsc.example.org:1", "smpps://a@h", "smtp://a@h:1"] {
            assert!(matches!(Relay::smpp(text), Err(Unusable::Shape(_))), "{text}");
        }
        assert_eq!(Relay::smtp("smtp://a:secret@h"), Err(Unusable::PasswordInside));
        assert_eq!(Relay::smpp("smpp://a:secret@h:1"), Err(Unusable::PasswordInside));
    }

    #[test]
    fn smpp_in_the_clear_goes_to_private_addresses_only() {
        for here in ["127.0.0.1", "10.1.2.3", "192.168.0.9", "172.16.0.1", "100.64.0.1", "[::1]", "[fd00::1]"]
        {
            assert!(Relay::smpp(&format!("smpp://a@{here}:2775")).is_ok(), "{here}");
        }
        for elsewhere in [
            "localhost",
            "smsc.example.org",
            "203.0.113.1",
            "169.254.1.1",
            "100.100.100.200",
            "[2001:db8::1]",
        ] {
            let refused = Relay::smpp(&format!("smpp://a@{elsewhere}:2775"));
            assert!(matches!(refused, Err(Unusable::InTheClear(_))), "{elsewhere}");
        }
    }
}
