//! Short messages to a message centre.

use std::time::Duration;

use koudai_core::secret::Secret;
use koudai_networks::relay::Relay;
use koudai_networks::sms::{Sender, Smpp, Sms, SmsError, Timing};
use smpp34::SmppError;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::centre::{Centre, Mood, NAME, PASSWORD, client};
use crate::{Log, certificate, whole};

const PHONE: &str = "13800138000";
const CODE: &str = "【口袋】验证码 012345，用于登录，5 分钟内有效。";

fn short(deadline: Duration) -> Timing {
    Timing { deadline, ..Timing::default() }
}

#[tokio::test]
async fn a_message_arrives_with_its_number_its_sender_and_its_alphabet() {
    let mut centre = Centre::open().await;
    let sms = Sms::from(centre.client());
    sms.send(PHONE, "Code 012345, valid 5 min.").await.unwrap();
    assert_eq!(centre.binds.recv().await, Some(0x34));
    let message = centre.messages.recv().await.unwrap();
    assert_eq!(message.destination_addr, "8613800138000");
    assert_eq!((message.dest_addr_ton, message.dest_addr_npi), (1, 1));
    assert_eq!(message.source_addr, "106900001234");
    assert_eq!((message.source_addr_ton, message.source_addr_npi), (3, 0));
    assert_eq!((message.esm_class, message.data_coding, message.registered_delivery), (0, 0, 0));
    assert_eq!(message.short_message, b"Code 012345, valid 5 min.");
    assert!(message.tlvs.is_empty());
}

#[tokio::test]
async fn chinese_and_long_texts_arrive_whole_and_in_order() {
    let mut centre = Centre::open().await;
    let sms = centre.client();
    for text in [
        CODE.to_owned(),
        format!(
            "{CODE}任何人索要都是诈骗。 / Code 012345 for sign-in, valid 5 min. Anyone asking for it is a fraudster."
        ),
        "Code 012345. ".repeat(20),
        format!("a{}", "💰".repeat(100)),
    ] {
        sms.send(PHONE, &text).await.unwrap();
        assert_eq!(centre.text().await, text);
    }
}

#[tokio::test]
async fn more_messages_than_may_wait_at_once_share_one_connection() {
    let mut centre = Centre::open().await;
    let sms = centre.client();
    let sending: Vec<_> = (0..50)
        .map(|n| {
            let sms = sms.clone();
            tokio::spawn(async move { sms.send(PHONE, &format!("Code {n:06}")).await })
        })
        .collect();
    for sent in sending {
        sent.await.unwrap().unwrap();
    }
    let mut texts = vec![];
    for _ in 0..50 {
        texts.push(centre.text().await);
    }
    texts.sort();
    assert_eq!(texts, (0..50).map(|n| format!("Code {n:06}")).collect::<Vec<_>>());
    assert!(centre.binds.recv().await.is_some() && centre.binds.try_recv().is_err(), "one bind");
}

#[tokio::test]
async fn a_wrong_password_is_told_apart_and_the_centre_is_left_alone_then() {
    let mut centre = Centre::open().await;
    let at = Relay::smpp(&format!("smpp://{NAME}@{}", centre.address)).unwrap();
    let wrong = Secret::new("wrong".to_owned());
    let sms = Smpp::new(at, wrong, Sender::default(), None, Timing::default()).unwrap();
    let refused = sms.send(PHONE, CODE).await.unwrap_err();
    assert!(matches!(refused, SmsError::NotLetIn(0x0E)), "{refused}");
    let refused = sms.send(PHONE, CODE).await.unwrap_err();
    assert!(matches!(refused, SmsError::LeftAlone), "{refused}");
    assert!(centre.binds.recv().await.is_some() && centre.binds.try_recv().is_err(), "asked once");
}

#[tokio::test]
async fn a_centre_that_was_left_alone_is_tried_again() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    drop(silent);
    let timing = Timing { leave_alone: Duration::ZERO, ..Timing::default() };
    let sms = client(address, timing);
    for _ in 0..2 {
        let refused = sms.send(PHONE, CODE).await.unwrap_err();
        assert!(matches!(refused, SmsError::Unreachable(_)), "{refused}");
    }
}

#[tokio::test]
async fn what_is_not_taken_says_why_and_the_connection_goes_on() {
    let mut centre = Centre::open().await;
    let sms = centre.client();
    for (error, status) in [(SmppError::ESME_RTHROTTLED, 0x58), (SmppError::ESME_RMSGQFUL, 0x14)] {
        centre.will(Mood::Refuse(error));
        let refused = sms.send(PHONE, CODE).await.unwrap_err();
        assert!(matches!(refused, SmsError::Throttled(found) if found == status), "{refused}");
    }
    centre.will(Mood::Refuse(SmppError::ESME_RINVDSTADR));
    let refused = sms.send(PHONE, CODE).await.unwrap_err();
    assert!(matches!(refused, SmsError::NotTaken(0x0B)), "{refused}");
    centre.will(Mood::Take);
    sms.send(PHONE, CODE).await.unwrap();
    assert!(centre.binds.recv().await.is_some() && centre.binds.try_recv().is_err(), "one bind");
}

#[tokio::test]
async fn a_connection_that_is_cut_in_the_middle_fails_its_message_and_not_the_next() {
    let mut centre = Centre::open().await;
    let sms = centre.client();
    centre.will(Mood::Cut);
    let lost = sms.send(PHONE, CODE).await.unwrap_err();
    assert!(matches!(lost, SmsError::Lost), "{lost}");
    assert_eq!(centre.text().await, CODE);
    centre.will(Mood::Take);
    sms.send(PHONE, CODE).await.unwrap();
    assert_eq!(centre.text().await, CODE);
    assert!(centre.binds.recv().await.is_some() && centre.binds.recv().await.is_some(), "two binds");
}

#[tokio::test]
async fn who_never_answers_is_waited_for_until_the_deadline() {
    let centre = Centre::open().await;
    centre.will(Mood::Silent);
    let late = client(centre.address, short(Duration::from_millis(300))).send(PHONE, CODE).await.unwrap_err();
    assert!(matches!(late, SmsError::Late), "{late}");
    // The same where not even the bind is answered.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sms = client(silent.local_addr().unwrap(), short(Duration::from_millis(50)));
    let late = sms.send(PHONE, CODE).await.unwrap_err();
    assert!(matches!(late, SmsError::Late), "{late}");
}

/// One packet: its command and its number.
async fn packet(stream: &mut TcpStream) -> Option<(u32, u32)> {
    let length = stream.read_u32().await.ok()?;
    let mut rest = vec![0; usize::try_from(length).unwrap() - 4];
    stream.read_exact(&mut rest).await.ok()?;
    let word = |at: usize| u32::from_be_bytes(rest[at..at + 4].try_into().unwrap());
    Some((word(0), word(8)))
}

/// A packet that is all well and has a body of zeros.
async fn say(stream: &mut TcpStream, command: u32, number: u32, zeros: u32) {
    for word in [16 + zeros, command, 0, number] {
        stream.write_u32(word).await.unwrap();
    }
    stream.write_all(&vec![0; usize::try_from(zeros).unwrap()]).await.unwrap();
}

/// The next connection, let in, and the number of its first message, `submit_sm`.
async fn first_message(listener: &TcpListener) -> (TcpStream, u32) {
    let (mut stream, _) = listener.accept().await.unwrap();
    let (command, number) = packet(&mut stream).await.unwrap();
    assert_eq!(command, 0x02, "bind_transmitter");
    say(&mut stream, 0x8000_0002, number, 1).await;
    let (command, number) = packet(&mut stream).await.unwrap();
    assert_eq!(command, 0x04, "submit_sm");
    (stream, number)
}

#[tokio::test]
async fn a_silent_connection_is_asked_whether_it_is_there_and_given_up_if_it_is_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let timing = Timing {
        deadline: Duration::from_secs(30),
        enquire_after: Duration::from_millis(50),
        enquire_within: Duration::from_millis(200),
        ..Timing::default()
    };
    let sms = client(listener.local_addr().unwrap(), timing);
    let sent = tokio::spawn(async move { sms.send(PHONE, "Code 012345").await });
    let (mut stream, _) = first_message(&listener).await;
    for _ in 0..2 {
        let (command, number) = packet(&mut stream).await.unwrap();
        assert_eq!(command, 0x15, "enquire_link");
        say(&mut stream, 0x8000_0015, number, 0).await;
    }
    assert_eq!(packet(&mut stream).await.unwrap().0, 0x15, "enquire_link");
    assert_eq!(packet(&mut stream).await, None, "the connection ends");
    let lost = sent.await.unwrap().unwrap_err();
    assert!(matches!(lost, SmsError::Lost), "{lost}");
}

#[tokio::test]
async fn what_a_centre_asks_is_answered_and_one_that_takes_its_leave_is_connected_to_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sms = client(listener.local_addr().unwrap(), Timing::default());
    let send = || {
        let sms = sms.clone();
        tokio::spawn(async move { sms.send(PHONE, "Code 012345").await })
    };
    let sent = send();
    let (mut stream, number) = first_message(&listener).await;
    say(&mut stream, 0x15, 7, 0).await;
    assert_eq!(packet(&mut stream).await, Some((0x8000_0015, 7)), "enquire_link_resp");
    // An answer to what nobody asked is nobody's.
    say(&mut stream, 0x8000_0004, number + 1_000, 1).await;
    say(&mut stream, 0x8000_0004, number, 1).await;
    sent.await.unwrap().unwrap();
    let sent = send();
    assert_eq!(packet(&mut stream).await.unwrap().0, 0x04, "submit_sm, over the same connection");
    say(&mut stream, 0x06, 8, 0).await;
    assert_eq!(packet(&mut stream).await, Some((0x8000_0006, 8)), "unbind_resp");
    assert_eq!(packet(&mut stream).await, None, "the connection ends");
    assert!(matches!(sent.await.unwrap(), Err(SmsError::Lost)));
    let sent = send();
    let (mut stream, number) = first_message(&listener).await;
    say(&mut stream, 0x8000_0004, number, 1).await;
    sent.await.unwrap().unwrap();
    drop(sms);
    assert_eq!(packet(&mut stream).await.unwrap().0, 0x06, "unbind, when nobody sends any more");
}

#[tokio::test]
async fn what_is_no_smpp_ends_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let sms = client(listener.local_addr().unwrap(), Timing::default());
    let sent = tokio::spawn(async move { sms.send(PHONE, CODE).await });
    let (mut stream, _) = listener.accept().await.unwrap();
    stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
    let lost = sent.await.unwrap().unwrap_err();
    assert!(matches!(lost, SmsError::Lost), "{lost}");
}

#[tokio::test]
async fn tls_is_spoken_with_a_centre_whose_certificate_is_trusted_and_with_no_other() {
    let trusted = certificate();
    let mut centre = Centre::with_tls(&trusted).await;
    let url = format!("smpps://{NAME}@{}", centre.address);
    let password = Secret::new(PASSWORD.to_owned());
    let sms = Sms::new(&url, &password, Some("Koudai"), Some(&trusted.pem)).unwrap();
    sms.send(PHONE, CODE).await.unwrap();
    assert_eq!(centre.text().await, CODE);
    let other = certificate();
    let sms = Sms::new(&url, &password, None, Some(&other.pem)).unwrap();
    let refused = sms.send(PHONE, CODE).await.unwrap_err();
    assert!(matches!(refused, SmsError::Unreachable(_)), "{refused}");
    assert!(whole(&refused).contains("certificate"), "the log says what is wrong: {}", whole(&refused));
}

#[tokio::test]
async fn neither_number_nor_text_nor_password_is_logged_or_in_an_error() {
    let log = Log::default();
    let listening = log.listen();
    let mut centre = Centre::open().await;
    let sms = centre.client();
    sms.send(PHONE, "Code 012345").await.unwrap();
    assert_eq!(centre.text().await, "Code 012345");
    centre.will(Mood::Refuse(SmppError::ESME_RINVDSTADR));
    let mut said = whole(&sms.send(PHONE, "Code 012345").await.unwrap_err());
    said += &whole(&sms.send("no number", "Code 012345").await.unwrap_err());
    drop(listening);
    said = format!("{said} {sms:?} {:?} {}", Sms::from(sms.clone()), log.text());
    for secret in [PHONE, "012345", PASSWORD, "no number"] {
        assert!(!said.contains(secret), "{secret}: {said}");
    }
}
