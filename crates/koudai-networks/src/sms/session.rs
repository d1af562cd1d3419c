//! One connection to a message centre, from the moment it has let us in (SMPP 3.4, sections 2.2 and 4).

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use rusmpp::pdus::{BindTransmitter, DeliverSmResp, SubmitSm};
use rusmpp::tokio_codec::CommandCodec;
use rusmpp::{Command, CommandId, CommandStatus, Pdu};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::codec::Framed;

use super::SmsError;
use super::smpp::Timing;

/// How many messages may wait for their answers at once. Message centres allow ten or more, as is the example of SMPP 3.4, section 2.9.
const WINDOW: usize = 10;
/// The longest of what a message centre may say; an answer has fewer than a hundred octets.
const LONGEST_BYTES: usize = 4_096;
/// Sequence numbers end here (section 3.2).
const LAST_NUMBER: u32 = 0x7FFF_FFFF;

/// What a connection is made of.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

type Link = Framed<Box<dyn Stream>, CommandCodec>;

/// A connection that the message centre has let in; it lives for as long as somebody holds this.
pub(super) struct Session {
    asks: mpsc::Sender<Ask>,
    places: Semaphore,
}

/// A message on its way to the connection, and where its answer goes.
struct Ask {
    message: SubmitSm,
    answer: oneshot::Sender<CommandStatus>,
}

impl Session {
    /// Asks to be let in, as one who only sends.
    ///
    /// # Errors
    /// `NotLetIn`, or `Lost`. The caller bounds the time.
    pub(super) async fn open(
        stream: Box<dyn Stream>,
        bind: BindTransmitter,
        timing: Timing,
    ) -> Result<Self, SmsError> {
        let mut link = Framed::new(stream, CommandCodec::new().with_max_length(LONGEST_BYTES));
        link.send(Command::new(CommandStatus::EsmeRok, 1, bind)).await.map_err(|_| SmsError::Lost)?;
        let status = loop {
            let said = link.next().await.and_then(Result::ok).ok_or(SmsError::Lost)?;
            if matches!(said.id(), CommandId::BindTransmitterResp | CommandId::GenericNack) {
                break said.status();
            }
        };
        if status != CommandStatus::EsmeRok {
            return Err(SmsError::NotLetIn(status.into()));
        }
        let (asks, asked) = mpsc::channel(WINDOW);
        tokio::spawn(keep(link, asked, timing));
        Ok(Self { asks, places: Semaphore::new(WINDOW) })
    }

    /// Whether it is there still, by what is known of it.
    pub(super) fn is_open(&self) -> bool {
        !self.asks.is_closed()
    }

    /// Hands over one message and waits for the answer. Whoever gives up leaves their place to another: a message centre that
    /// answers some messages never would keep all places otherwise.
    ///
    /// # Errors
    /// `Throttled`, `NotTaken`, or `Lost`.
    pub(super) async fn submit(&self, message: SubmitSm) -> Result<(), SmsError> {
        let _place = self.places.acquire().await.map_err(|_| SmsError::Lost)?;
        let (answer, answered) = oneshot::channel();
        self.asks.send(Ask { message, answer }).await.map_err(|_| SmsError::Lost)?;
        match answered.await.map_err(|_| SmsError::Lost)? {
            CommandStatus::EsmeRok => Ok(()),
            status @ (CommandStatus::EsmeRthrottled | CommandStatus::EsmeRmsgqful) => {
                Err(SmsError::Throttled(status.into()))
            }
            status => Err(SmsError::NotTaken(status.into())),
        }
    }
}

/// Answers that are waited for, by the number of what was asked.
type Waiting = HashMap<u32, oneshot::Sender<CommandStatus>>;

/// Keeps the connection until nobody needs it, or it is of no use: whoever waits then hears of it by the end of their channel.
async fn keep(mut link: Link, mut asked: mpsc::Receiver<Ask>, timing: Timing) {
    let mut waiting = Waiting::new();
    let mut number = 1;
    let mut heard = Instant::now();
    let mut enquired = false;
    loop {
        let patience = timing.enquire_after + if enquired { timing.enquire_within } else { Duration::ZERO };
        let (say, last) = tokio::select! {
            ask = asked.recv() => {
                number = following(number);
                match ask {
                    Some(Ask { message, answer }) => {
                        waiting.retain(|_, answer| !answer.is_closed());
                        waiting.insert(number, answer);
                        (Some(Command::new(CommandStatus::EsmeRok, number, message)), false)
                    }
                    None => (Some(Command::new(CommandStatus::EsmeRok, number, Pdu::Unbind)), true),
                }
            }
            said = link.next() => {
                let Some(Ok(said)) = said else { return };
                (heard, enquired) = (Instant::now(), false);
                (answer_to(&said, &mut waiting), said.id() == CommandId::Unbind)
            }
            () = sleep_until(heard + patience) => {
                if enquired {
                    return;
                }
                enquired = true;
                number = following(number);
                (Some(Command::new(CommandStatus::EsmeRok, number, Pdu::EnquireLink)), false)
            }
        };
        if let Some(command) = say {
            // What takes no more has stopped reading, and would not hear an enquiry either.
            let said = timeout(timing.enquire_within, link.send(command)).await;
            if !matches!(said, Ok(Ok(()))) {
                return;
            }
        }
        if last {
            return;
        }
    }
}

/// Hands an answer to whoever waits for it; else what is to be answered.
fn answer_to(said: &Command, waiting: &mut Waiting) -> Option<Command> {
    let answer = |pdu: Pdu| Some(Command::new(CommandStatus::EsmeRok, said.sequence_number(), pdu));
    match said.id() {
        CommandId::SubmitSmResp | CommandId::GenericNack => {
            // A nack is a refusal whatever status it carries.
            let status = match said.status() {
                CommandStatus::EsmeRok if said.id() == CommandId::GenericNack => {
                    CommandStatus::EsmeRunknownerr
                }
                status => status,
            };
            if let Some(waits) = waiting.remove(&said.sequence_number()) {
                // Whoever has given up does not hear it.
                waits.send(status).ok();
            }
            None
        }
        CommandId::EnquireLink => answer(Pdu::EnquireLinkResp),
        CommandId::Unbind => answer(Pdu::UnbindResp),
        // Nobody who only sends is sent anything; one that is told so all the same is not told again.
        CommandId::DeliverSm => answer(Pdu::DeliverSmResp(DeliverSmResp::default())),
        _ => None,
    }
}

fn following(number: u32) -> u32 {
    if number == LAST_NUMBER { 1 } else { number + 1 }
}
