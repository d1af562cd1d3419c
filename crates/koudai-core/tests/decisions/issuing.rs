//! Apps of others that take money from accounts here: who may bind what, what they may take, and that each movement happens
//! once under its number.

use koudai_core::id::{AgreementId, AppMoveId, IssuingAppId, PersonId};
use koudai_core::identity::{Contact, Phone};
use koudai_core::issuing::{
    AppIncomplete, ByToken, CloseAppMove, ConfirmAgreement, EndAgreement, GiveBackToHolder, IssuingRefusal,
    MoveByToken, RequestAgreement, ResendAgreementCode, RevokeAgreement, SetAgreementLimits, SetIssuingApp,
    token_of,
};
use koudai_core::ledger::{AccountId, JournalKind};
use koudai_core::money::Money;
use koudai_core::refusal::Refusal;
use koudai_core::rows::{
    Agreement, AgreementState, AppMove, CodeKey, CodePurpose, Declined, Identity, Message,
};
use koudai_core::secret::Secret;
use koudai_core::sign_in::code_of;
use koudai_core::time::{DAY, MINUTE};

use crate::fixture::{Cool, Freeze, Habit, Ledger, PIN, WRONG, fen, pin};

const PHONE: &str = "13800138000";

/// A holder with money, and an app.
struct Issuer {
    ledger: Ledger,
    app: IssuingAppId,
    holder: PersonId,
    numbers: u32,
}

fn app(name: &str, suspended: bool) -> SetIssuingApp {
    SetIssuingApp {
        app: name.to_owned(),
        name_zh: Some("校园通".to_owned()),
        name_en: Some("Campus".to_owned()),
        key_pem: Some("a key".to_owned()),
        suspended: Some(suspended),
    }
}

impl Issuer {
    fn with(habit: Habit) -> Self {
        let mut ledger = Ledger::with(habit);
        let holder = ledger.person_with(PHONE, 1_000_000);
        let app = ledger.submit(&app("campus", false)).expect("an app").id;
        Self { ledger, app, holder, numbers: 0 }
    }

    fn new() -> Self {
        Self::with(Habit::Keep)
    }

    fn request(&mut self, binding: &str) -> RequestAgreement {
        let identity = self.ledger.get::<Identity>(&self.holder).expect("a bound card proves one");
        RequestAgreement {
            app: self.app,
            binding: binding.to_owned(),
            content_mac: [7; 32],
            account: Phone::parse(PHONE),
            phone: PHONE.to_owned(),
            identity_mac: Some(identity.mac),
        }
    }

    fn agreement(&mut self, id: AgreementId) -> Agreement {
        self.ledger.get::<Agreement>(&id).expect("it is there")
    }

    /// The code last sent for an agreement.
    fn code(&mut self, agreement: &Agreement) -> Secret<String> {
        let nonce = self.agreement(agreement.id).nonce;
        let key =
            CodeKey { contact: Contact::parse(PHONE).expect("a phone"), purpose: CodePurpose::Agreement };
        code_of(&self.ledger.keys, &key, &nonce)
    }

    fn confirm(&self, binding: &str, code: Secret<String>) -> ConfirmAgreement {
        ConfirmAgreement { app: self.app, binding: binding.to_owned(), code }
    }

    /// An agreement with its token.
    fn bound(&mut self, binding: &str) -> (Agreement, Secret<String>) {
        let request = self.request(binding);
        let asked = self.ledger.submit(&request).expect("a code is sent");
        let code = self.code(&asked);
        let confirm = self.confirm(binding, code);
        let bound = self.ledger.submit(&confirm).expect("it is bound");
        let token = token_of(&self.ledger.keys, bound.id);
        (bound, token)
    }

    fn debit(&self, number: &str, token: &Secret<String>, minor: i64) -> MoveByToken {
        MoveByToken {
            app: self.app,
            way: ByToken::Debit,
            number: number.to_owned(),
            content_mac: content(minor),
            token: token.clone(),
            amount: fen(minor),
            description: "学一食堂".to_owned(),
        }
    }

    fn refund(&self, number: &str, debit: &str, minor: i64) -> GiveBackToHolder {
        GiveBackToHolder {
            app: self.app,
            number: number.to_owned(),
            debit: debit.to_owned(),
            amount: fen(minor),
        }
    }

    fn payout(&self, number: &str, token: &Secret<String>, minor: i64) -> MoveByToken {
        MoveByToken {
            app: self.app,
            way: ByToken::Payout,
            number: number.to_owned(),
            content_mac: content(minor),
            token: token.clone(),
            amount: fen(minor),
            description: "提现".to_owned(),
        }
    }

    /// How a debit of this much ends, under a number of its own.
    fn taken(&mut self, token: &Secret<String>, minor: i64) -> Option<Declined> {
        self.numbers += 1;
        let debit = self.debit(&format!("n{}", self.numbers), token, minor);
        self.ledger.submit(&debit).expect("it ends").refusal
    }

    fn stands(&mut self) -> (i64, i64) {
        (self.ledger.balance_of(self.holder), self.ledger.balance(AccountId::app(self.app)))
    }
}

/// What stands for the content of a request over this much.
fn content(minor: i64) -> [u8; 32] {
    let mut content = [0; 32];
    content[..8].copy_from_slice(&minor.to_be_bytes());
    content
}

fn declined(why: Declined) -> IssuingRefusal {
    IssuingRefusal::Declined(why)
}

#[test]
fn an_app_binds_takes_gives_back_and_pays_out_and_the_books_say_so() {
    for habit in [Habit::Keep, Habit::Forget, Habit::Trickle] {
        let mut i = Issuer::with(habit);
        let (bound, token) = i.bound("b1");
        assert_eq!((bound.state, bound.person), (AgreementState::Bound, Some(i.holder)));
        assert_eq!((bound.per_payment, bound.per_day), (fen(100_000), fen(500_000)));
        let debit = i.debit("d1", &token, 8_800);
        let taken = i.ledger.submit(&debit).unwrap();
        assert_eq!((taken.refusal, taken.amount), (None, fen(8_800)));
        assert_eq!(i.stands(), (991_200, 8_800));
        let refund = i.refund("r1", "d1", 3_000);
        let back = i.ledger.submit(&refund).unwrap();
        assert_eq!((back.refusal, back.original), (None, Some(taken.id)));
        assert_eq!(i.ledger.get::<AppMove>(&taken.id).unwrap().returned, fen(3_000));
        let payout = i.payout("p1", &token, 5_800);
        assert_eq!(i.ledger.submit(&payout).unwrap().refusal, None);
        assert_eq!(i.stands(), (1_000_000, 0));
        let kinds: Vec<_> = i.ledger.journals().iter().map(|journal| journal.kind).skip(1).collect();
        assert_eq!(kinds, [JournalKind::AppDebit, JournalKind::AppRefund, JournalKind::AppPayout]);
        i.ledger.audit();
    }
}

#[test]
fn the_same_number_moves_money_once_and_another_content_is_refused() {
    let mut i = Issuer::new();
    let (_, token) = i.bound("b1");
    let (debit, other) = (i.debit("d1", &token, 500), i.debit("d1", &token, 501));
    let first = i.ledger.submit(&debit).unwrap();
    let (again, changed) = i.ledger.effect(&debit);
    assert_eq!((again.unwrap(), changed), (first, false));
    assert_eq!(i.ledger.refusal(&other), IssuingRefusal::NumberReused);

    let (refund, other) = (i.refund("r1", "d1", 200), i.refund("r1", "d1", 201));
    let first = i.ledger.submit(&refund).unwrap();
    let (again, changed) = i.ledger.effect(&refund);
    assert_eq!((again.unwrap(), changed), (first, false));
    assert_eq!(i.ledger.refusal(&other), IssuingRefusal::NumberReused);

    let (payout, other) = (i.payout("p1", &token, 100), i.payout("p1", &token, 101));
    let first = i.ledger.submit(&payout).unwrap();
    let (again, changed) = i.ledger.effect(&payout);
    assert_eq!((again.unwrap(), changed), (first, false));
    assert_eq!(i.ledger.refusal(&other), IssuingRefusal::NumberReused);

    let (request, mut other) = (i.request("b1"), i.request("b1"));
    other.content_mac = [8; 32];
    let (again, changed) = i.ledger.effect(&request);
    assert_eq!((again.unwrap().state, changed), (AgreementState::Bound, false));
    assert_eq!(i.ledger.refusal(&other), IssuingRefusal::NumberReused);
    // Each kind has numbers of its own.
    let same = i.debit("r1", &token, 100);
    assert_eq!(i.ledger.submit(&same).unwrap().refusal, None);
    assert_eq!(i.stands(), (1_000_000 - 500 + 200 + 100 - 100, 500 - 200 - 100 + 100));
}

#[test]
fn only_the_holders_own_details_bind_and_each_refusal_is_for_good() {
    type Change = fn(&mut RequestAgreement);
    let cases: [(Change, Declined); 5] = [
        (|r| r.account = None, Declined::AccountUnknown),
        (|r| r.account = Phone::parse("13900139000"), Declined::DetailsMismatch),
        (|r| r.identity_mac = Some([9; 32]), Declined::DetailsMismatch),
        (|r| r.identity_mac = None, Declined::DetailsMismatch),
        (|r| r.phone = "13800138001".to_owned(), Declined::DetailsMismatch),
    ];
    for (change, why) in cases {
        let mut i = Issuer::new();
        let mut request = i.request("b1");
        change(&mut request);
        assert_eq!(i.ledger.submit(&request).unwrap_err(), declined(why));
        assert_eq!(i.ledger.refusal(&request), declined(why), "again under the same number");
        let resend = ResendAgreementCode { app: i.app, binding: "b1".to_owned() };
        assert_eq!(i.ledger.refusal(&resend), declined(why));
        assert!(
            i.ledger.all::<Message>().iter().all(|m| m.purpose != CodePurpose::Agreement),
            "no code is sent"
        );
    }
    let mut i = Issuer::new();
    // Somebody whom no bank has vouched for has proven nothing.
    i.ledger.person_with_pin("13700137000");
    let mut request = i.request("b1");
    (request.account, request.phone) = (Phone::parse("13700137000"), "13700137000".to_owned());
    request.identity_mac = None;
    assert_eq!(i.ledger.submit(&request).unwrap_err(), declined(Declined::DetailsMismatch));
    i.ledger.submit(&Freeze(i.holder)).unwrap();
    let request = i.request("b2");
    assert_eq!(i.ledger.submit(&request).unwrap_err(), declined(Declined::Frozen));
}

#[test]
fn a_holder_is_sent_ten_codes_a_day_at_most_and_wrong_details_count() {
    let mut i = Issuer::new();
    for n in 0..8 {
        let mut request = i.request(&format!("b{n}"));
        request.identity_mac = Some([n; 32]);
        assert_eq!(i.ledger.submit(&request).unwrap_err(), declined(Declined::DetailsMismatch));
    }
    let request = i.request("b8");
    i.ledger.submit(&request).unwrap();
    let resend = ResendAgreementCode { app: i.app, binding: "b8".to_owned() };
    i.ledger.advance(MINUTE);
    i.ledger.submit(&resend).unwrap();
    i.ledger.advance(MINUTE);
    assert_eq!(i.ledger.refusal(&resend), IssuingRefusal::TooMany);
    let request = i.request("b9");
    assert_eq!(i.ledger.refusal(&request), IssuingRefusal::TooMany);
    i.ledger.advance(DAY);
    assert_eq!(i.ledger.submit(&request).unwrap().state, AgreementState::CodeSent);
}

#[test]
fn a_code_has_five_tries_and_five_minutes_and_another_voids_it() {
    let mut i = Issuer::new();
    let request = i.request("b1");
    let asked = i.ledger.submit(&request).unwrap();
    let right = i.code(&asked);
    let wrong = i.confirm("b1", Secret::new("nothing".to_owned()));
    for tries_left in (0..5).rev() {
        assert_eq!(i.ledger.submit(&wrong).unwrap_err(), IssuingRefusal::CodeWrong { tries_left });
    }
    let late = i.confirm("b1", right.clone());
    assert_eq!(i.ledger.refusal(&late), IssuingRefusal::CodeExpired, "the right one comes too late");

    let resend = ResendAgreementCode { app: i.app, binding: "b1".to_owned() };
    assert_eq!(i.ledger.refusal(&resend), IssuingRefusal::TooSoon);
    i.ledger.advance(MINUTE);
    i.ledger.submit(&resend).unwrap();
    let fresh = i.code(&asked);
    assert_ne!(fresh.expose(), right.expose());
    assert_eq!(i.ledger.submit(&late).unwrap_err(), IssuingRefusal::CodeWrong { tries_left: 4 });
    i.ledger.advance(5 * MINUTE);
    let expired = i.confirm("b1", fresh);
    assert_eq!(i.ledger.refusal(&expired), IssuingRefusal::CodeExpired);
    for _ in 0..4 {
        i.ledger.submit(&resend).unwrap();
        i.ledger.advance(MINUTE);
    }
    assert_eq!(i.ledger.refusal(&resend), IssuingRefusal::TooMany);
    let code = i.code(&asked);
    let confirm = i.confirm("b1", code);
    assert_eq!(i.ledger.submit(&confirm).unwrap().state, AgreementState::Bound);
    // Whatever else is asked of it then changes nothing.
    assert_eq!(i.ledger.submit(&resend).unwrap().state, AgreementState::Bound);
    assert_eq!(i.ledger.submit(&wrong).unwrap().state, AgreementState::Bound);
}

#[test]
fn the_holder_sets_what_an_app_may_take_at_once_and_in_a_day() {
    let mut i = Issuer::new();
    let (bound, token) = i.bound("b1");
    let limits = |i: &Issuer, per_payment: Money, per_day: Money, password: &str| SetAgreementLimits {
        person: i.holder,
        agreement: bound.id,
        per_payment,
        per_day,
        pin: pin(password),
    };
    let set = limits(&i, fen(1_000), fen(2_500), PIN);
    i.ledger.submit(&set).unwrap();
    assert_eq!(i.taken(&token, 1_001), Some(Declined::Limit));
    assert_eq!((i.taken(&token, 1_000), i.taken(&token, 1_000)), (None, None));
    assert_eq!(i.taken(&token, 501), Some(Declined::Limit));
    assert_eq!((i.taken(&token, 500), i.taken(&token, 1)), (None, Some(Declined::Limit)));
    i.ledger.advance(DAY);
    assert_eq!(i.taken(&token, 1_000), None, "another day");

    let wrong = limits(&i, fen(1), fen(1), WRONG);
    assert!(matches!(i.ledger.submit(&wrong), Err(Refusal::PaymentPasswordWrong { .. })));
    let nothing = limits(&i, fen(0), fen(1), PIN);
    assert!(matches!(i.ledger.refusal(&nothing), Refusal::AmountOutOfRange { .. }));
    let too_much = limits(&i, fen(1), fen(5_000_001), PIN);
    assert!(matches!(i.ledger.refusal(&too_much), Refusal::AmountOutOfRange { .. }));
    let stranger = SetAgreementLimits { person: PersonId(16), ..limits(&i, fen(1), fen(1), PIN) };
    assert_eq!(i.ledger.refusal(&stranger), Refusal::RecordUnknown);
    assert_eq!(i.agreement(bound.id).per_payment, fen(1_000));
}

#[test]
fn what_is_not_there_is_not_taken() {
    let mut i = Issuer::new();
    let (_, token) = i.bound("b1");
    let all = fen(5_000_000);
    let bound = i.ledger.all::<Agreement>()[0].id;
    let limits = SetAgreementLimits {
        person: i.holder,
        agreement: bound,
        per_payment: all,
        per_day: all,
        pin: pin(PIN),
    };
    i.ledger.submit(&limits).unwrap();
    assert_eq!(i.taken(&token, 1_000_001), Some(Declined::InsufficientFunds));
    assert_eq!(i.taken(&Secret::new("nothing".to_owned()), 1), Some(Declined::TokenUnknown));
    // Another app's token is no token.
    let other = i.ledger.submit(&app("other", false)).unwrap().id;
    let theirs = MoveByToken { app: other, ..i.debit("d1", &token, 1) };
    assert_eq!(i.ledger.submit(&theirs).unwrap().refusal, Some(Declined::TokenUnknown));
    i.ledger.submit(&Freeze(i.holder)).unwrap();
    assert_eq!(i.taken(&token, 1), Some(Declined::Frozen));
    assert_eq!(i.stands(), (1_000_000, 0));
}

#[test]
fn no_more_comes_back_than_was_taken_and_only_from_what_the_app_has() {
    let mut i = Issuer::new();
    let (_, token) = i.bound("b1");
    let early = i.refund("r0", "d1", 1);
    assert_eq!(i.ledger.refusal(&early), IssuingRefusal::NotFound);
    let debit = i.debit("d1", &token, 1_000);
    i.ledger.submit(&debit).unwrap();
    assert_eq!(i.ledger.submit(&early).unwrap().refusal, None, "the debit has arrived since");
    let rest = i.refund("r1", "d1", 1_000);
    assert_eq!(i.ledger.submit(&rest).unwrap().refusal, Some(Declined::Limit));
    let payout = i.payout("p1", &token, 500);
    i.ledger.submit(&payout).unwrap();
    let uncovered = i.refund("r2", "d1", 999);
    assert_eq!(i.ledger.refusal(&uncovered), IssuingRefusal::NotCovered);
    let more = i.debit("d2", &token, 500);
    i.ledger.submit(&more).unwrap();
    assert_eq!(i.ledger.submit(&uncovered).unwrap().refusal, None, "it is covered by now");
    let payout = i.payout("p2", &token, 1);
    assert_eq!(i.ledger.submit(&payout).unwrap().refusal, Some(Declined::NotCovered));
    assert_eq!(i.stands(), (1_000_000, 0));
    i.ledger.audit();
}

#[test]
fn an_agreement_that_ended_takes_nothing_and_gives_back_all_the_same() {
    let mut i = Issuer::new();
    let (bound, token) = i.bound("b1");
    let debit = i.debit("d1", &token, 1_000);
    i.ledger.submit(&debit).unwrap();
    let end = EndAgreement { app: i.app, token: token.clone() };
    i.ledger.submit(&end).unwrap();
    let (again, changed) = i.ledger.effect(&end);
    assert_eq!((again, changed), (Ok(()), false));
    assert_eq!(i.agreement(bound.id).state, AgreementState::Ended);
    assert_eq!(i.taken(&token, 1), Some(Declined::TokenUnknown));
    let payout = i.payout("p1", &token, 1);
    assert_eq!(i.ledger.submit(&payout).unwrap().refusal, Some(Declined::TokenUnknown));
    let refund = i.refund("r1", "d1", 1_000);
    assert_eq!(i.ledger.submit(&refund).unwrap().refusal, None);
    let confirm = i.confirm("b1", Secret::new("000000".to_owned()));
    assert_eq!(i.ledger.refusal(&confirm), IssuingRefusal::TokenUnknown);

    let (second, token) = i.bound("b2");
    let revoke = |person| RevokeAgreement { person, agreement: second.id };
    assert_eq!(i.ledger.refusal(&revoke(PersonId(16))), Refusal::RecordUnknown);
    i.ledger.submit(&revoke(i.holder)).unwrap();
    assert_eq!(i.taken(&token, 1), Some(Declined::TokenUnknown));
    assert_eq!(i.ledger.refusal(&revoke(i.holder)), Refusal::RecordUnknown, "it is over");
    let unknown = EndAgreement { app: i.app, token: Secret::new("nothing".to_owned()) };
    assert_eq!(i.ledger.refusal(&unknown), IssuingRefusal::TokenUnknown);
}

#[test]
fn a_closed_number_never_moves_money_and_a_done_one_stays_done() {
    let mut i = Issuer::new();
    let (_, token) = i.bound("b1");
    for way in [ByToken::Debit, ByToken::Payout] {
        let close = |i: &Issuer, number: &str| CloseAppMove { app: i.app, way, number: number.to_owned() };
        let first = close(&i, "late");
        let closed = i.ledger.submit(&first).unwrap();
        assert_eq!(closed.refusal, Some(Declined::Closed));
        assert_eq!(i.ledger.submit(&first).unwrap(), closed);
    }
    let (debit, payout) = (i.debit("late", &token, 5), i.payout("late", &token, 7));
    assert_eq!(i.ledger.submit(&debit).unwrap().refusal, Some(Declined::Closed));
    assert_eq!(i.ledger.submit(&payout).unwrap().refusal, Some(Declined::Closed));
    let paid = i.debit("paid", &token, 5);
    let paid = i.ledger.submit(&paid).unwrap();
    let close = CloseAppMove { app: i.app, way: ByToken::Debit, number: "paid".to_owned() };
    assert_eq!(i.ledger.submit(&close).unwrap(), paid);
    let refund = i.refund("r1", "late", 1);
    assert_eq!(i.ledger.refusal(&refund), IssuingRefusal::NotFound, "nothing was taken");
    assert_eq!(i.stands(), (999_995, 5));
}

#[test]
fn an_app_that_was_stopped_takes_nothing_new_and_may_give_back() {
    let mut i = Issuer::new();
    let (_, token) = i.bound("b1");
    let debit = i.debit("d1", &token, 1_000);
    i.ledger.submit(&debit).unwrap();
    let open = i.request("open");
    i.ledger.submit(&open).unwrap();
    i.ledger.submit(&app("campus", true)).unwrap();
    let (request, more, payout) = (i.request("b2"), i.debit("d2", &token, 1), i.payout("p1", &token, 1));
    assert_eq!(i.ledger.refusal(&request), IssuingRefusal::Suspended);
    let resend = ResendAgreementCode { app: i.app, binding: "open".to_owned() };
    assert_eq!(i.ledger.refusal(&resend), IssuingRefusal::Suspended);
    let confirm = i.confirm("open", Secret::new("000000".to_owned()));
    assert_eq!(i.ledger.refusal(&confirm), IssuingRefusal::Suspended);
    assert_eq!(i.ledger.refusal(&more), IssuingRefusal::Suspended);
    assert_eq!(i.ledger.refusal(&payout), IssuingRefusal::Suspended);
    assert_eq!(i.ledger.submit(&debit).unwrap().refusal, None, "what was done is told");
    let refund = i.refund("r1", "d1", 1_000);
    assert_eq!(i.ledger.submit(&refund).unwrap().refusal, None);
    let same = i.ledger.submit(&app("campus", false)).unwrap();
    assert_eq!(same.id, i.app, "an app keeps its number and its account");
    assert_eq!(i.ledger.submit(&more).unwrap().refusal, None);
    assert_eq!(i.ledger.all::<AppMove>().iter().map(|done| done.id).collect::<Vec<AppMoveId>>().len(), 3);
}

#[test]
fn an_app_has_one_agreement_with_a_holder_and_its_limits_go_on() {
    let mut i = Issuer::new();
    let (first, old) = i.bound("b1");
    let limits = SetAgreementLimits {
        person: i.holder,
        agreement: first.id,
        per_payment: fen(500),
        per_day: fen(700),
        pin: pin(PIN),
    };
    i.ledger.submit(&limits).unwrap();
    assert_eq!(i.taken(&old, 500), None);
    let (second, new) = i.bound("b2");
    assert_eq!(i.agreement(first.id).state, AgreementState::Ended);
    assert_eq!((second.per_payment, second.per_day, second.used), (fen(500), fen(700), fen(500)));
    assert_eq!(i.taken(&old, 1), Some(Declined::TokenUnknown));
    assert_eq!((i.taken(&new, 201), i.taken(&new, 200)), (Some(Declined::Limit), None));
    // Once it has ended, the next begins anew.
    i.ledger.submit(&RevokeAgreement { person: i.holder, agreement: second.id }).unwrap();
    let (third, _) = i.bound("b3");
    assert_eq!(third.per_payment, fen(100_000));
}

#[test]
fn an_app_needs_names_and_a_key_and_each_can_be_changed_alone() {
    let mut ledger = Ledger::new();
    let mut set = app("campus", false);
    set.key_pem = None;
    assert_eq!(ledger.refusal(&set), AppIncomplete);
    let made = ledger.submit(&app("campus", true)).unwrap();
    set.name_en = None;
    set.suspended = None;
    set.name_zh = Some("新名字".to_owned());
    let changed = ledger.submit(&set).unwrap();
    assert_eq!((changed.id, &*changed.name_zh, &*changed.name_en), (made.id, "新名字", "Campus"));
    assert!(changed.suspended && changed.key_pem == made.key_pem);
}

#[test]
fn in_a_cool_down_apps_take_little_and_no_other_is_let_in() {
    let mut i = Issuer::new();
    let (_, token) = i.bound("binding-1");
    i.ledger.submit(&Cool(i.holder)).expect("the holder is there");
    for (number, minor, refusal) in
        [("debit-1", 30_000, None), ("debit-2", 20_001, Some(Declined::Limit)), ("debit-3", 20_000, None)]
    {
        let debit = i.debit(number, &token, minor);
        assert_eq!(i.ledger.submit(&debit).expect("it is decided").refusal, refusal, "{number}");
    }
    let request = i.request("binding-2");
    assert_eq!(i.ledger.submit(&request), Err(IssuingRefusal::Declined(Declined::Limit)));
}
