//! A message centre that speaks SMPP 3.4: one connection that all messages share, made when the first is sent and made again when
//! it is lost.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use koudai_core::secret::Secret;
use rusmpp::pdus::{BindTransmitter, SubmitSm};
use rusmpp::types::{COctetString, OctetString};
use rusmpp::values::{
    Ansi41Specific, DataCoding, EsmClass, GsmFeatures, InterfaceVersion, MessageType, MessagingMode, Npi, Ton,
};
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use super::SmsError;
use super::segments;
use super::session::{Session, Stream};
use crate::outward;
use crate::relay::{Relay, Unusable};

/// What the wallet's numbers, which have none, begin with elsewhere: mainland China.
const COUNTRY: &str = "86";
/// The longest sender in letters (GSM 03.40, section 9.1.2.5) and in digits (SMPP 3.4, section 5.2.8).
const LETTERS: usize = 11;
const DIGITS: usize = 20;

/// How long a message centre is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long one message may take to be handed over, the connection included.
    pub deadline: Duration,
    /// After how much silence the message centre is asked whether it is there.
    pub enquire_after: Duration,
    /// How long it may take to answer that.
    pub enquire_within: Duration,
    /// For how long it is left alone once it could not be reached; twice as long after each further time,
    pub leave_alone: Duration,
    /// and no longer than this.
    pub leave_alone_most: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(5),
            // Firewalls forget what is silent for a minute.
            enquire_after: Duration::from_secs(20),
            enquire_within: Duration::from_secs(5),
            leave_alone: Duration::from_secs(1),
            leave_alone_most: Duration::from_secs(30),
        }
    }
}

/// Who messages come from, with the kind of its number and its plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    address: COctetString<1, 21>,
    ton: Ton,
    npi: Npi,
}

impl Default for Sender {
    /// Whoever the message centre has on file for us.
    fn default() -> Self {
        Self { address: COctetString::empty(), ton: Ton::Unknown, npi: Npi::Unknown }
    }
}

impl Sender {
    /// A number with its country behind a `+`, a short number, or a name. `/TON/NPI` behind it says what kind it is to a message
    /// centre that wants it otherwise: `10690000/3/0`.
    ///
    /// # Errors
    /// `Sender`.
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        let mut parts = text.split('/');
        let address = parts.next().unwrap_or_default();
        let (number, kind) = match address.strip_prefix('+') {
            Some(number) => (number, (Ton::International, Npi::Isdn)),
            None if address.bytes().all(|byte| byte.is_ascii_digit()) => (address, (Ton::Unknown, Npi::Isdn)),
            None => (address, (Ton::Alphanumeric, Npi::Unknown)),
        };
        let named = kind.0 == Ton::Alphanumeric;
        let fine = |byte: u8| byte.is_ascii_digit() || named && (byte.is_ascii_alphabetic() || byte == b' ');
        let most = if named { LETTERS } else { DIGITS };
        if number.is_empty() || number.len() > most || !number.bytes().all(fine) {
            return Err(Unusable::Sender);
        }
        let given = |part: &str| part.parse::<u8>().map_err(|_| Unusable::Sender);
        let (ton, npi) = match (parts.next(), parts.next(), parts.next()) {
            (None, ..) => kind,
            (Some(ton), Some(npi), None) => (Ton::from(given(ton)?), Npi::from(given(npi)?)),
            _ => return Err(Unusable::Sender),
        };
        let address = terminated(number).ok_or(Unusable::Sender)?;
        Ok(Self { address, ton, npi })
    }
}

/// A message centre.
#[derive(Clone)]
pub struct Smpp(Arc<Centre>);

impl fmt::Debug for Smpp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smpp").field("at", &self.0.at).field("sender", &self.0.sender).finish_non_exhaustive()
    }
}

struct Centre {
    at: Relay,
    tls: Option<(TlsConnector, ServerName<'static>)>,
    name: COctetString<1, 16>,
    password: Secret<String>,
    sender: Sender,
    timing: Timing,
    /// Tells the pieces of one text from those of others.
    reference: AtomicU8,
    door: Mutex<Door>,
}

/// The way in, which one message at a time goes through; past it they share the connection.
#[derive(Default)]
struct Door {
    session: Option<Arc<Session>>,
    /// How often it could not be opened since it was open.
    failures: u32,
    shut_until: Option<Instant>,
}

impl Smpp {
    /// A message centre; `root` is a certificate to trust beside the machine's own, PEM. Nothing is connected yet.
    ///
    /// # Errors
    /// If name, password or certificate cannot be used.
    pub fn new(
        at: Relay,
        password: Secret<String>,
        sender: Sender,
        root: Option<&str>,
        timing: Timing,
    ) -> Result<Self, Unusable> {
        let name = at.user.as_deref().unwrap_or_default();
        let name = terminated(name).ok_or(Unusable::TooLong)?;
        terminated::<9>(password.expose()).ok_or(Unusable::TooLong)?;
        let tls = if at.tls {
            let server = ServerName::try_from(at.host.clone()).map_err(|_| Unusable::Tls)?;
            Some((TlsConnector::from(outward::tls(root)?), server))
        } else {
            None
        };
        // One that starts elsewhere each time does not repeat what a process before used just now.
        let reference = AtomicU8::new(koudai_engine::random_bytes().expose()[0]);
        let door = Mutex::default();
        Ok(Self(Arc::new(Centre { at, tls, name, password, sender, timing, reference, door })))
    }

    /// Hands over one message. `to` is a number of eleven digits; neither it nor `text` is ever logged.
    ///
    /// # Errors
    /// Any but those of a gateway. Of a text in several pieces some may have gone out.
    pub async fn send(&self, to: &str, text: &str) -> Result<(), SmsError> {
        let until = Instant::now() + self.0.timing.deadline;
        let pieces = self.0.pieces(to, text).ok_or(SmsError::Unusable)?;
        let session = self.0.session(until).await?;
        // One after the other: phones that show pieces as they come show them in their order.
        for piece in pieces {
            timeout_at(until, session.submit(piece)).await.map_err(|_| SmsError::Late)??;
        }
        Ok(())
    }
}

impl Centre {
    /// A text as messages to a number.
    fn pieces(&self, to: &str, text: &str) -> Option<Vec<SubmitSm>> {
        let number = Some(to).filter(|to| !to.is_empty() && to.bytes().all(|byte| byte.is_ascii_digit()))?;
        let number = terminated(&format!("{COUNTRY}{number}"))?;
        let segments = segments::cut(text, self.reference.fetch_add(1, Ordering::Relaxed))?;
        let coding = if segments.wide { DataCoding::Ucs2 } else { DataCoding::McSpecific };
        let features = if segments.headed { GsmFeatures::UdhiIndicator } else { GsmFeatures::NotSelected };
        // What `rusmpp` takes for the default here says that the message acknowledges another.
        let nothing = Ansi41Specific::Other(0);
        let class = EsmClass::new(MessagingMode::Default, MessageType::Default, nothing, features);
        let message = |piece: Vec<u8>| {
            let message = SubmitSm::builder()
                .source_addr_ton(self.sender.ton)
                .source_addr_npi(self.sender.npi)
                .source_addr(self.sender.address.clone())
                .dest_addr_ton(Ton::International)
                .dest_addr_npi(Npi::Isdn)
                .destination_addr(number.clone())
                .esm_class(class)
                .data_coding(coding)
                .short_message(OctetString::from_vec(piece).ok()?);
            Some(message.build())
        };
        segments.pieces.into_iter().map(message).collect()
    }

    /// The connection that is there, or a new one.
    async fn session(&self, until: Instant) -> Result<Arc<Session>, SmsError> {
        let mut door = timeout_at(until, self.door.lock()).await.map_err(|_| SmsError::Late)?;
        if let Some(session) = door.session.as_ref().filter(|session| session.is_open()) {
            return Ok(Arc::clone(session));
        }
        door.session = None;
        if door.shut_until.is_some_and(|shut| Instant::now() < shut) {
            return Err(SmsError::LeftAlone);
        }
        match timeout_at(until, self.connect()).await.unwrap_or(Err(SmsError::Late)) {
            Ok(session) => {
                let session = Arc::new(session);
                *door = Door { session: Some(Arc::clone(&session)), ..Door::default() };
                Ok(session)
            }
            Err(error) => {
                let Timing { leave_alone, leave_alone_most, .. } = self.timing;
                let wait = leave_alone.saturating_mul(1 << door.failures.min(16)).min(leave_alone_most);
                door.shut_until = Some(Instant::now() + wait);
                door.failures += 1;
                Err(error)
            }
        }
    }

    async fn connect(&self) -> Result<Session, SmsError> {
        let place = (self.at.host.as_str(), self.at.port);
        let stream = TcpStream::connect(place).await.map_err(SmsError::Unreachable)?;
        stream.set_nodelay(true).map_err(SmsError::Unreachable)?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some((connector, server)) => {
                let secured = connector.connect(server.clone(), stream).await;
                Box::new(secured.map_err(SmsError::Unreachable)?)
            }
        };
        let password = terminated(self.password.expose()).ok_or(SmsError::Unusable)?;
        let bind = BindTransmitter::builder()
            .system_id(self.name.clone())
            .password(password)
            .interface_version(InterfaceVersion::Smpp3_4)
            .build();
        Session::open(stream, bind, self.timing).await
    }
}

/// A text with its end behind it, if it fits and is ASCII.
fn terminated<const MOST: usize>(text: &str) -> Option<COctetString<1, MOST>> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_says_what_kind_it_is_or_is_told() {
        let sender = |address: &str, ton, npi| Sender { address: terminated(address).unwrap(), ton, npi };
        for (text, read) in [
            ("+8613800138000", sender("8613800138000", Ton::International, Npi::Isdn)),
            ("106900001234", sender("106900001234", Ton::Unknown, Npi::Isdn)),
            ("Koudai 1", sender("Koudai 1", Ton::Alphanumeric, Npi::Unknown)),
            ("106900001234/3/0", sender("106900001234", Ton::NetworkSpecific, Npi::Unknown)),
            ("1069/6/9", sender("1069", Ton::Abbreviated, Npi::Private)),
        ] {
            assert_eq!(Sender::parse(text), Ok(read), "{text}");
        }
        for wrong in [
            "",
            "+",
            "+86a",
            "口袋",
            "twelve letters",
            "123456789012345678901",
            "1/2",
            "1/2/3/4",
            "1/2/256",
            "a\nb",
        ] {
            assert_eq!(Sender::parse(wrong), Err(Unusable::Sender), "{wrong}");
        }
    }

    #[test]
    fn a_name_or_a_password_that_smpp_has_no_room_for_is_refused_before_anything_is_sent() {
        let centre = |name: &str, password: &str| {
            let at = Relay::smpp(&format!("smpp://{name}@127.0.0.1:2775"))?;
            Smpp::new(at, Secret::new(password.to_owned()), Sender::default(), None, Timing::default())
        };
        assert!(centre("fifteen-letters", "8letters").is_ok());
        for (name, password) in
            [("sixteen-letters-", "8letters"), ("koudai", "9-letters"), ("koudai", "密码")]
        {
            assert_eq!(centre(name, password).unwrap_err(), Unusable::TooLong, "{name}");
        }
    }

    #[test]
    fn its_debug_output_has_no_password() {
        let at = Relay::smpp("smpp://koudai@127.0.0.1:2775").unwrap();
        let password = Secret::new("hushhush".to_owned());
        let centre = Smpp::new(at, password, Sender::default(), None, Timing::default()).unwrap();
        assert!(!format!("{centre:?}").contains("hush"));
    }
}
