//! What pages, the courier and the checks ask for: in order, within limits, and only what is committed.

use koudai_core::card::CardKind;
use koudai_core::id::{AttemptId, CardId, MchId, MessageId, OrderId, PersonId, RefundId, Seq};
use koudai_core::identity::Contact;
use koudai_core::ledger::{AccountId, ISSUER_NETWORK, NetworkId};
use koudai_core::money::Money;
use koudai_core::rows::{
    Attempt, AttemptKind, AttemptState, Card, CertificateKey, CodePurpose, MerchantCertificate, Message,
    NoticeCursor, NoticeKey, NoticeRetry, OpenAttempt, OrderCode, Refund, RefundState, RefundWay,
    StatementKey, StatementLine, UsedLoginCode, Way,
};
use koudai_store::StoreError;

use crate::books::{Books, MERCHANT, PERSON, Receive, START};

fn numbers(journals: &[koudai_core::ledger::Journal]) -> Vec<i64> {
    journals.iter().map(|j| j.seq.0).collect()
}

#[test]
fn a_history_is_newest_first_and_turns_its_pages_by_number() {
    let mut books = Books::new();
    books.receive(4);
    let page = |account, before, limit| numbers(&books.read(|r| r.history(account, before, limit)).unwrap());
    let account = AccountId::person(PERSON);
    assert_eq!(page(account, None, 3), [7, 5, 3]);
    assert_eq!(page(account, Some(Seq(3)), 3), [1]);
    assert_eq!(page(account, Some(Seq(6)), 2), [5, 3], "from another account's journal");
    assert_eq!(page(account, Some(Seq(1)), 3), []);
    assert_eq!(page(account, Some(Seq(1_000)), 1), [7], "from beyond the newest");
    assert_eq!(page(AccountId::clearing(ISSUER_NETWORK), None, 2), [8, 7]);
    let stranger = AccountId::person(PersonId(PERSON.0 + 16));
    assert_eq!(page(stranger, None, 3), []);
}

#[test]
fn a_merchants_journals_come_oldest_first() {
    let mut books = Books::new();
    books.receive(4);
    let reader = books.reader();
    assert_eq!(numbers(&books.read(|r| r.merchant_journals(MERCHANT, Seq(2), 2)).unwrap()), [4, 6]);
    assert_eq!(numbers(&books.read(|r| r.merchant_journals(MERCHANT, Seq(8), 2)).unwrap()), []);
    assert_eq!(numbers(&reader.journals_after(Seq(5), 10).unwrap()), [6, 7, 8]);
    assert_eq!(reader.journal(Seq(9)).unwrap(), None);
}

#[test]
fn a_merchant_is_behind_until_its_cursor_reaches_its_newest_journal() {
    let mut books = Books::new();
    books.meddle("INSERT INTO merchant VALUES (1900000001, 'm', 'wx', '', 0, 0, zeroblob(0), 0, '', 0, '')");
    assert_eq!(books.read(koudai_store::Reader::merchants_behind).unwrap(), []);
    books.receive(1);
    assert_eq!(books.read(koudai_store::Reader::merchants_behind).unwrap(), [MERCHANT]);
    books.state.rows.notice_cursor.insert(NoticeCursor { mchid: MERCHANT, told: Seq(2) });
    books.commit().unwrap();
    assert_eq!(books.read(koudai_store::Reader::merchants_behind).unwrap(), []);
}

#[test]
fn what_is_due_comes_longest_due_first_and_nothing_before_its_time() {
    let mut books = Books::new();
    let rows = &mut books.state.rows;
    for (n, ms) in [(16, 30), (32, 10), (48, 20), (64, 40)] {
        let at = START.plus(ms);
        rows.open_attempt.insert(OpenAttempt {
            attempt: AttemptId(n),
            next_at: at,
            tries: 0,
            send_until: at,
            scene: None,
            payer_sealed: None,
        });
        rows.message.insert(Message {
            id: MessageId(n),
            contact: Contact::parse("13800138000").unwrap(),
            language: None,
            purpose: CodePurpose::SignIn,
            nonce: [0; 16],
            next_at: at,
            tries: 0,
            expires_at: at,
            agreement: None,
            about: None,
        });
        let key = NoticeKey { mchid: MERCHANT, seq: Seq(n) };
        rows.notice_retry.insert(NoticeRetry { key, tries: 1, next_at: Some(at) });
        let token = [u8::try_from(n).unwrap(); 16];
        rows.order_code.insert(OrderCode { token, order: OrderId(n), expires_at: at });
        rows.used_login_code.insert(UsedLoginCode { token, expires_at: at });
    }
    let key = NoticeKey { mchid: MERCHANT, seq: Seq(80) };
    rows.notice_retry.insert(NoticeRetry { key, tries: 16, next_at: None });
    books.commit().unwrap();
    let (reader, now) = (books.reader(), START.plus(30));
    let attempts = reader.due_attempts(now, 10).unwrap();
    assert_eq!(attempts.iter().map(|a| a.attempt.0).collect::<Vec<_>>(), [32, 48, 16]);
    let messages = reader.due_messages(now, 10).unwrap();
    assert_eq!(messages.iter().map(|m| m.id.0).collect::<Vec<_>>(), [32, 48, 16]);
    let retries = reader.due_retries(START.plus(100), 10).unwrap();
    assert_eq!(
        retries.iter().map(|r| r.key.seq.0).collect::<Vec<_>>(),
        [32, 48, 16, 64],
        "not what was given up"
    );
    let mut codes = reader.expired_codes(now, 10).unwrap();
    codes.sort_by_key(|code| code.order);
    assert_eq!(codes.iter().map(|c| c.order.0).collect::<Vec<_>>(), [16, 32, 48]);
    let used = reader.expired_login_codes(now, 10).unwrap();
    assert_eq!(used.iter().map(|c| c.token[0]).collect::<Vec<_>>(), [32, 48, 16]);
    assert_eq!(reader.due_attempts(now, 2).unwrap().len(), 2);
    assert_eq!(reader.due_attempts(START, 10).unwrap(), []);
}

#[test]
fn a_merchants_certificates_are_all_found_and_nobody_elses() {
    let books = &mut Books::new();
    let certificate = |mchid, serial: &str, revoked_at| MerchantCertificate {
        key: CertificateKey { mchid, serial: serial.to_owned() },
        pem: "pem".to_owned(),
        not_before: START,
        not_after: START.plus(1),
        revoked_at,
    };
    for row in [
        certificate(MERCHANT, "B", None),
        certificate(MERCHANT, "A", Some(START)),
        certificate(MchId(MERCHANT.0 + 1), "C", None),
    ] {
        books.state.rows.merchant_certificate.insert(row);
    }
    books.commit().unwrap();
    let found = books.reader().certificates_of(MERCHANT).unwrap();
    assert_eq!(found.iter().map(|c| c.key.serial.as_str()).collect::<Vec<_>>(), ["A", "B"]);
}

fn card(n: i64, person: i64) -> Card {
    Card {
        id: CardId(n),
        person: PersonId(person),
        network: ISSUER_NETWORK,
        number_mac: [0; 32],
        bank_zh: "海港银行".to_owned(),
        bank_en: "Harbour Bank".to_owned(),
        kind: CardKind::Credit,
        bin: "621626".to_owned(),
        last4: "0018".to_owned(),
        token_sealed: vec![],
        bound_at: START,
        removed_at: (n == 48).then_some(START),
        withdrawals: 0,
    }
}

fn attempt(n: i64, person: i64) -> Attempt {
    Attempt {
        id: AttemptId(n),
        kind: AttemptKind::TopUp,
        person: PersonId(person),
        card: CardId(16),
        network: ISSUER_NETWORK,
        amount: Money::fen(1).expect("it is there"),
        order: None,
        refund: None,
        original: None,
        state: AttemptState::Open,
        refusal: None,
        network_ref: None,
        created_at: START,
        ended_at: None,
        epoch: 1,
        withdrawal: None,
        fee: Money::fen(0).expect("it is there"),
    }
}

fn refund(n: i64, order: i64) -> Refund {
    Refund {
        id: RefundId(n),
        mchid: MERCHANT,
        out_refund_no: format!("refund-{n}"),
        order: OrderId(order),
        amount: Money::fen(1).expect("it is there"),
        reason: None,
        notify_url: None,
        state: RefundState::Success,
        payer: PERSON,
        card: None,
        attempt: None,
        fee_returned: Money::fen(0).expect("it is there"),
        created_at: START,
        success_at: Some(START),
        way: RefundWay::Original,
    }
}

#[test]
fn a_person_sees_their_own_cards_and_attempts_and_an_order_its_own_refunds() {
    let mut books = Books::new();
    let rows = &mut books.state.rows;
    for (n, owner) in [(16, 1), (32, 2), (48, 1), (64, 1)] {
        rows.card.insert(card(n, owner));
        rows.attempt.insert(attempt(n, owner));
        rows.refund.insert(refund(n, owner));
    }
    books.commit().unwrap();
    let reader = books.reader();
    let cards = reader.cards_of(PersonId(1)).unwrap();
    assert_eq!(
        cards.iter().map(|c| c.id.0).collect::<Vec<_>>(),
        [16, 64],
        "without the one that was removed"
    );
    let attempts = reader.attempts_of(PersonId(1), 2).unwrap();
    assert_eq!(attempts.iter().map(|a| a.id.0).collect::<Vec<_>>(), [64, 48], "newest first");
    let refunds = reader.refunds_of(OrderId(1)).unwrap();
    assert_eq!(refunds.iter().map(|r| r.id.0).collect::<Vec<_>>(), [16, 48, 64], "oldest first");
}

#[test]
fn a_snapshot_does_not_move_while_commits_go_on() {
    let mut books = Books::new();
    books.receive(1);
    let reader = books.reader();
    let seen = reader.snapshot(|view| {
        let before = numbers(&view.journals_after(Seq(0), 10)?);
        books.receive(1);
        Ok::<_, StoreError>((before, numbers(&view.journals_after(Seq(0), 10)?)))
    });
    let (before, after) = seen.unwrap();
    assert_eq!(before, after);
    assert_eq!(
        numbers(&reader.journals_after(Seq(0), 10).unwrap()),
        [1, 2, 3, 4],
        "and afterwards it is all there"
    );
}

#[test]
fn lent_readers_see_each_commit_and_outnumber_the_pool() {
    let mut books = Books::new();
    let readers = books.opened.readers.clone();
    let count = |r: &koudai_store::Reader| Ok(r.journals_after(Seq(0), 100)?.len());
    assert_eq!(readers.with(count).unwrap(), 0);
    books.decide(&Receive(AccountId::person(PERSON))).unwrap();
    books.commit().unwrap();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..20).map(|_| scope.spawn(|| readers.with(count).unwrap())).collect();
        assert!(all.into_iter().all(|thread| thread.join().unwrap() == 1));
    });
}

#[test]
fn retries_are_found_from_where_the_last_page_ended_however_many_are_due_at_one_moment() {
    let mut books = Books::new();
    let rows = &mut books.state.rows;
    let other = MchId(MERCHANT.0 + 1);
    let mut all = vec![];
    for (n, ms) in [(1, 10), (2, 10), (3, 10), (4, 20), (5, 30), (6, 99)] {
        for mchid in [MERCHANT, other] {
            let key = NoticeKey { mchid, seq: Seq(n) };
            rows.notice_retry.insert(NoticeRetry {
                key: key.clone(),
                tries: 1,
                next_at: Some(START.plus(ms)),
            });
            all.push((START.plus(ms), key));
        }
    }
    let given_up = NoticeKey { mchid: MERCHANT, seq: Seq(7) };
    rows.notice_retry.insert(NoticeRetry { key: given_up.clone(), tries: 16, next_at: None });
    books.commit().unwrap();
    all.retain(|(at, _)| *at <= START.plus(50));
    all.sort();
    let reader = books.reader();
    let (mut found, mut mark) = (vec![], (START, NoticeKey { mchid: MchId(0), seq: Seq(0) }));
    loop {
        let page = reader.due_retries_after(&mark.1, mark.0, START.plus(50), 3).unwrap();
        let Some(last) = page.last() else { break };
        mark = (last.next_at.unwrap(), last.key.clone());
        found.extend(page.into_iter().map(|row| (row.next_at.unwrap(), row.key)));
    }
    assert_eq!(found, all);
    let its = reader.retries_of(MERCHANT, Seq(5), 10).unwrap();
    assert_eq!(its.iter().map(|row| row.key.seq.0).collect::<Vec<_>>(), [5, 6, 7], "what was given up too");
}

#[test]
fn lines_of_a_networks_books_are_found_by_day_and_by_number_and_attempts_by_their_end() {
    let mut books = Books::new();
    let rows = &mut books.state.rows;
    let (network, day) = (ISSUER_NETWORK, START.china_day());
    for no in 1..=200 {
        for network in [network, NetworkId(2)] {
            rows.statement_line.insert(StatementLine {
                key: StatementKey { network, no },
                way: Way::In,
                number: format!("n{}", no % 150),
                amount_minor: no,
                at: START,
                day: day + i64::from(no > 190),
            });
        }
        rows.attempt.insert(Attempt {
            id: AttemptId(no * 16),
            kind: AttemptKind::TopUp,
            person: PERSON,
            card: CardId(16),
            network: NetworkId(1 + i64::from(no > 100)),
            withdrawal: None,
            fee: Money::fen(0).unwrap(),
            amount: Money::fen(1).unwrap(),
            order: None,
            refund: None,
            original: None,
            state: if no % 10 == 0 { AttemptState::Failed } else { AttemptState::Succeeded },
            refusal: None,
            network_ref: None,
            created_at: START,
            ended_at: Some(START.plus(no / 4)),
            epoch: 1,
        });
    }
    books.commit().unwrap();
    let reader = books.reader();
    let numbers = |lines: Vec<StatementLine>| lines.iter().map(|line| line.key.no).collect::<Vec<_>>();
    assert_eq!(numbers(reader.lines_of_day(network, day, 187, 10).unwrap()), [188, 189, 190]);
    assert_eq!(numbers(reader.lines_of_day(network, day + 1, 0, 2).unwrap()), [191, 192]);
    let asked: Vec<String> = (0..150).map(|n| format!("n{n}")).collect();
    assert_eq!(reader.lines_numbered(network, &asked).unwrap().len(), 200, "in several statements");
    assert_eq!(numbers(reader.lines_numbered(network, &asked[7..8]).unwrap()), [7, 157]);
    assert_eq!(reader.lines_numbered(network, &[]).unwrap(), []);
    assert_eq!(reader.lines_counted(network).unwrap(), (200, 200));
    assert_eq!(reader.first_day(network).unwrap(), Some(day));
    assert_eq!(reader.first_day(NetworkId(3)).unwrap(), None);
    // Several end in one millisecond, and a page may end between them.
    let (mut found, mut after) = (vec![], (START, AttemptId(0)));
    loop {
        let page = reader.attempts_ended(network, after, START.plus(20), 3).unwrap();
        let Some(last) = page.last() else { break };
        after = (last.ended_at.unwrap(), last.id);
        found.extend(page.iter().map(|attempt| attempt.id.0 / 16));
    }
    let due: Vec<i64> = (1..80).filter(|no| no % 10 != 0).collect();
    assert_eq!(found, due);
}
