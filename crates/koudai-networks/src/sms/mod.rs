//! Short messages, by one of two ways: a gateway that takes them as JSON, which is the operator's adapter or the demo's inbox, or a
//! message centre that speaks SMPP 3.4, as most providers do.

mod http;
mod segments;
mod session;
mod smpp;

use koudai_core::secret::Secret;

use crate::relay::{Relay, Unusable};

pub use http::SmsGateway;
pub use smpp::{Sender, Smpp, Timing};

/// Why a message was not handed over. Holds neither the number, the text nor a secret.
#[derive(Debug, thiserror::Error)]
pub enum SmsError {
    /// The gateway's address or token cannot be used at all, or a number or text cannot be sent.
    #[error("the message gateway's address or token is not usable")]
    Unusable,
    /// No answer: refused, cut, or later than five seconds. The message may have gone out.
    #[error("the message gateway did not answer")]
    NoAnswer(#[source] reqwest::Error),
    /// Answered with another status than 2xx.
    #[error("the message gateway answered {0}")]
    Refused(u16),
    /// The message centre was not reached, or its certificate is not trusted.
    #[error("the message centre cannot be reached")]
    Unreachable(#[source] std::io::Error),
    /// The message centre does not know this wallet by that name and password, or has no place for it. Holds its status.
    #[error("the message centre did not let the wallet in: status {0:#010x}")]
    NotLetIn(u32),
    /// The message centre was not reached just before, and is left alone for a while.
    #[error("the message centre was not reached just before")]
    LeftAlone,
    /// The connection was lost before the answer. The message may have gone out.
    #[error("the connection to the message centre was lost")]
    Lost,
    /// No answer within the deadline. The message may have gone out.
    #[error("the message centre did not answer in time")]
    Late,
    /// More than the message centre takes now. Holds its status.
    #[error("the message centre takes no more now: status {0:#010x}")]
    Throttled(u32),
    /// Not taken, for another reason. Holds the message centre's status.
    #[error("the message centre did not take the message: status {0:#010x}")]
    NotTaken(u32),
}

impl SmsError {
    /// Whether the other side works, and only this message was not to its liking.
    pub const fn is_of_the_message(&self) -> bool {
        match self {
            Self::Refused(status) => *status < 500,
            Self::Throttled(_) | Self::NotTaken(_) => true,
            _ => false,
        }
    }

    /// Whether the message may have gone out all the same.
    pub fn may_have_gone_out(&self) -> bool {
        match self {
            Self::NoAnswer(error) => !error.is_connect(),
            Self::Lost | Self::Late => true,
            _ => false,
        }
    }
}

/// The way short messages leave by.
#[derive(Clone, Debug)]
pub enum Sms {
    /// `POST {"to","text"}`.
    Http(SmsGateway),
    /// SMPP 3.4.
    Smpp(Smpp),
}

impl Sms {
    /// The way that `url` names: `http` and `https`, or `smpp` and `smpps`. `secret` is the gateway's token or the message centre's
    /// password. The others are a message centre's only: who messages come from, and a certificate to trust beside the
    /// machine's own, PEM.
    ///
    /// # Errors
    /// If one of them cannot be used.
    pub fn new(
        url: &str,
        secret: &Secret<String>,
        sender: Option<&str>,
        root: Option<&str>,
    ) -> Result<Self, Unusable> {
        if !Self::is_smpp(url) {
            return SmsGateway::new(url, secret).map(Self::Http).map_err(|_| Unusable::Gateway);
        }
        let sender = sender.map(Sender::parse).transpose()?.unwrap_or_default();
        Smpp::new(Relay::smpp(url)?, secret.clone(), sender, root, Timing::default()).map(Self::Smpp)
    }

    /// Whether an address is a message centre's.
    pub fn is_smpp(url: &str) -> bool {
        url.starts_with("smpp:") || url.starts_with("smpps:")
    }

    /// Hands over one message within a few seconds. `to` is a number of eleven digits; neither it nor `text` is ever logged.
    ///
    /// # Errors
    /// If it was not handed over, or nobody knows; the caller decides whether to send again, and the message may then arrive twice.
    pub async fn send(&self, to: &str, text: &str) -> Result<(), SmsError> {
        match self {
            Self::Http(gateway) => gateway.send(to, text).await,
            Self::Smpp(centre) => centre.send(to, text).await,
        }
    }
}

impl From<SmsGateway> for Sms {
    fn from(gateway: SmsGateway) -> Self {
        Self::Http(gateway)
    }
}

impl From<Smpp> for Sms {
    fn from(centre: Smpp) -> Self {
        Self::Smpp(centre)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_that_was_refused_says_nothing_of_the_way_it_went() {
        for (error, of_the_message, may_have_gone_out) in [
            (SmsError::Refused(400), true, false),
            (SmsError::Refused(503), false, false),
            (SmsError::NotTaken(0x0B), true, false),
            (SmsError::Throttled(0x58), true, false),
            (SmsError::LeftAlone, false, false),
            (SmsError::NotLetIn(0x0E), false, false),
            (SmsError::Lost, false, true),
            (SmsError::Late, false, true),
        ] {
            assert_eq!(error.is_of_the_message(), of_the_message, "{error}");
            assert_eq!(error.may_have_gone_out(), may_have_gone_out, "{error}");
        }
    }

    #[tokio::test]
    async fn a_gateway_that_cannot_be_connected_to_was_handed_nothing() {
        let gateway = SmsGateway::new("http://127.0.0.1:1/messages", &Secret::new("token".to_owned()));
        let error = gateway.expect("an address and a token").send("13800138000", "text").await;
        let error = error.expect_err("nobody listens there");
        assert!(matches!(error, SmsError::NoAnswer(_)) && !error.may_have_gone_out(), "{error}");
    }
}
