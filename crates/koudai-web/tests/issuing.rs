//! The issuer's side of the issuer protocol over HTTP, asked by the client that any app of ours uses: who may bind which
//! account, what may be taken from it, and what travels.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod rig;

use std::time::Duration;

use koudai_core::binding::identity_mac;
use koudai_core::id::{AgreementId, IssuingAppId, PersonId};
use koudai_core::identity::{Contact, IdNumber, PersonName, Phone};
use koudai_core::issuing::{AccountBin, RevokeAgreement, SetAgreementLimits, SetIssuingApp, account_number};
use koudai_core::ledger::AccountId;
use koudai_core::money::Money;
use koudai_core::payment_password::Pin;
use koudai_core::rows::{Agreement, AgreementKey, AgreementNumber, CodeKey, CodePurpose, Identity, Person};
use koudai_core::secret::Secret;
use koudai_core::sign_in::code_of;
use koudai_core::state::{Command, OrStop, Stop, Tx};
use koudai_networks::issuer::{
    Answer, BindRequest, BindingReply, BindingState, BookKind, IssuerClient, IssuerCode, Outcome,
};
use koudai_networks::platform::SigningMode;
use koudai_wechatpay::keys::PrivateKey;
use rig::{PIN, Rig, now_s};

const NAME: &str = "王小明";
const ID_NUMBER: &str = "11010519491231002X";

/// Lets a person have proven who they are to the operator's own keys, as binding a card at a real bank does.
struct Prove(PersonId, [u8; 32]);

impl Command for Prove {
    type Reply = ();
    type Refusal = ();

    fn decide(&self, tx: &mut Tx<'_>) -> Result<(), Stop<()>> {
        let row: Option<Identity> = tx.rows().identity.get(&self.0).or_stop()?.cloned();
        let mut row = row.expect("a bound card proves one");
        row.mac = self.1;
        tx.rows().identity.put(row);
        Ok(())
    }
}

/// A wallet that is an issuer, a holder with money, and an app.
struct Issuer {
    rig: Rig,
    holder: PersonId,
    phone: Phone,
    app: IssuingAppId,
    client: IssuerClient,
}

fn fen(minor: i64) -> Money {
    Money::fen(minor).unwrap()
}

fn secret(text: &str) -> Secret<String> {
    Secret::new(text.to_owned())
}

fn client(rig: &Rig, url: &str, name: &str, key: &PrivateKey) -> IssuerClient {
    let now = rig.app.engine.clock().now();
    let issuer_key = rig.app.networks.platform.signer(SigningMode::PublicKey, now).key.public_key();
    IssuerClient::new(url, name, key.clone(), issuer_key, now_s, Duration::from_secs(5)).unwrap()
}

impl Issuer {
    async fn new() -> Self {
        let rig = Rig::start().await;
        let holder = rig.person(1_000_000).await;
        let compare = rig.app.networks.vault.compare_key();
        let name = PersonName::parse(NAME).unwrap();
        let id_number = IdNumber::parse(ID_NUMBER, rig.app.engine.now()).unwrap();
        let mac = identity_mac(compare, &name, &id_number);
        rig.app.engine.submit(Prove(holder, mac)).await.unwrap();
        let phone = rig.app.engine.read(move |r| r.get::<Person>(&holder)).await.unwrap().unwrap().phone;
        let key = PrivateKey::generate();
        let set = SetIssuingApp {
            app: "campus".to_owned(),
            name_zh: Some("校园通".to_owned()),
            name_en: Some("Campus".to_owned()),
            key_pem: Some(key.public_key().to_pem()),
            suspended: None,
        };
        let app = rig.app.engine.submit(set).await.unwrap().id;
        let url = format!("http://{}", rig.wallet().await);
        let client = client(&rig, &url, "campus", &key);
        Self { rig, holder, phone, app, client }
    }

    fn number(&self) -> String {
        account_number(self.rig.app.engine.policy().account_bin, &self.phone)
    }

    fn request(&self, binding: &str) -> BindRequest {
        BindRequest {
            binding_id: binding.to_owned(),
            card_number: secret(&self.number()),
            name: secret(NAME),
            id_number: secret(ID_NUMBER),
            phone: secret(self.phone.digits()),
            expiry: None,
            cvv: None,
        }
    }

    async fn agreement(&self, binding: &str) -> AgreementId {
        let key = AgreementKey { app: self.app, binding: binding.to_owned() };
        self.rig.app.engine.read(move |r| r.get::<AgreementNumber>(&key)).await.unwrap().unwrap().agreement
    }

    /// The code last sent to the holder.
    async fn code(&self, binding: &str) -> Secret<String> {
        let id = self.agreement(binding).await;
        let row = self.rig.app.engine.read(move |r| r.get::<Agreement>(&id)).await.unwrap().unwrap();
        let key = CodeKey { contact: Contact::Phone(self.phone.clone()), purpose: CodePurpose::Agreement };
        code_of(self.rig.app.engine.keys(), &key, &row.nonce)
    }

    async fn bound(&self, binding: &str) -> String {
        self.client.bind(&self.request(binding)).await.done();
        let code = self.code(binding).await;
        token(&self.client.confirm(binding, code).await.done())
    }

    async fn stands(&self) -> (i64, i64) {
        let app = self.rig.standing(AccountId::app(self.app)).await;
        (self.rig.standing(AccountId::person(self.holder)).await, app)
    }
}

fn token(reply: &BindingReply) -> String {
    match &reply.state {
        BindingState::Bound { token, .. } => token.expose().clone(),
        other => panic!("not bound: {other:?}"),
    }
}

/// What a test says when an answer is not the one it counts on.
trait Expect<T> {
    fn done(self) -> T;
    fn code(self) -> IssuerCode;
}

impl<T: std::fmt::Debug> Expect<T> for Answer<T> {
    fn done(self) -> T {
        match self {
            Self::Done(reply) => reply,
            other => panic!("not done: {other:?}"),
        }
    }

    fn code(self) -> IssuerCode {
        match self {
            Self::Refused { code, .. } => code,
            other => panic!("not refused: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_account_is_bound_debited_refunded_paid_out_to_and_unbound() {
    let i = Issuer::new().await;
    let reply = i.client.bind(&i.request("b1")).await.done();
    let BindingState::CodeSent(face) = &reply.state else { panic!("{reply:?}") };
    assert_eq!(face.phone_masked, i.phone.masked());
    assert!(i.number().ends_with(&face.last4) && face.bank_name_en == "Koudai");
    let wrong = i.client.confirm("b1", secret("wrong")).await;
    assert_eq!(wrong, Answer::Refused { code: IssuerCode::CodeWrong, tries_left: Some(4) });
    let code = i.code("b1").await;
    let bound = i.client.confirm("b1", code).await.done();
    assert_eq!(i.client.binding("b1").await.done(), bound);
    assert_eq!(i.client.bind(&i.request("b1")).await.done(), bound, "asked again");
    let token = token(&bound);

    let debit = i.client.debit("d1", secret(&token), fen(8_800), "学一食堂").await.done();
    assert_eq!(debit.outcome, Outcome::Succeeded);
    assert_eq!(i.client.query_debit("d1").await.done(), debit);
    assert_eq!(i.client.debit("d1", secret(&token), fen(8_800), "学一食堂").await.done(), debit);
    let other = i.client.debit("d1", secret(&token), fen(8_801), "学一食堂").await;
    assert_eq!(other.code(), IssuerCode::IdReused);
    let refund = i.client.refund("r1", "d1", fen(3_000)).await.done();
    assert_eq!((&refund.outcome, &*refund.debit_id), (&Outcome::Succeeded, "d1"));
    assert_eq!(i.client.query_refund("r1").await.done(), refund);
    let payout = i.client.pay_out("p1", secret(&token), fen(1_000), "提现").await.done();
    assert_eq!(payout.outcome, Outcome::Succeeded);
    assert_eq!(i.client.query_pay_out("p1").await.done(), payout);
    assert_eq!(i.stands().await, (1_000_000 - 8_800 + 3_000 + 1_000, 8_800 - 3_000 - 1_000));

    i.client.unbind(secret(&token)).await.done();
    i.client.unbind(secret(&token)).await.done();
    let over = BindingState::Failed { code: IssuerCode::TokenUnknown };
    assert_eq!(i.client.binding("b1").await.done().state, over);
    let refused = i.client.debit("d2", secret(&token), fen(1), "x").await.done();
    assert_eq!(refused.outcome, Outcome::Refused { code: IssuerCode::TokenUnknown });
    assert_eq!(i.client.refund("r2", "d1", fen(100)).await.done().outcome, Outcome::Succeeded);

    let mut lines = vec![];
    while let Some(more) =
        Some(i.client.books(lines.last().map_or(0, |line: &(i64, _, _, _)| line.0)).await.done())
            .filter(|more| !more.is_empty())
    {
        lines.extend(more.into_iter().map(|line| (line.no, line.kind, line.id, line.amount_minor)));
    }
    let said: Vec<_> = lines.iter().map(|(_, kind, id, minor)| (*kind, id.as_str(), *minor)).collect();
    assert_eq!(
        said,
        [
            (BookKind::Debit, "d1", 8_800),
            (BookKind::Refund, "r1", 3_000),
            (BookKind::Payout, "p1", 1_000),
            (BookKind::Refund, "r2", 100)
        ]
    );
}

#[tokio::test]
async fn what_is_wrong_unknown_or_malformed_is_said_to_be_so() {
    let i = Issuer::new().await;
    let mismatch = BindRequest { name: secret("李四"), ..i.request("b1") };
    assert_eq!(i.client.bind(&mismatch).await.code(), IssuerCode::DetailsMismatch);
    let failed = BindingState::Failed { code: IssuerCode::DetailsMismatch };
    assert_eq!(i.client.binding("b1").await.done().state, failed);
    let unknown = BindRequest { card_number: secret("6299990000000000012"), ..i.request("b2") };
    assert_eq!(i.client.bind(&unknown).await.code(), IssuerCode::CardUnknown);
    let letters = BindRequest { card_number: secret("99880113912340001x"), ..i.request("b3") };
    assert_eq!(i.client.bind(&letters).await.code(), IssuerCode::BadRequest);
    assert_eq!(i.client.binding("nobody").await.code(), IssuerCode::NotFound);
    assert_eq!(i.client.resend("nobody").await.code(), IssuerCode::NotFound);
    assert_eq!(i.client.query_debit("nobody").await.code(), IssuerCode::NotFound);
    assert_eq!(i.client.refund("r1", "nobody", fen(1)).await.code(), IssuerCode::NotFound);
    assert_eq!(i.client.unbind(secret("nothing")).await.code(), IssuerCode::TokenUnknown);
    let nobodys = account_number(AccountBin::default(), &Phone::parse("13900139000").unwrap());
    let nobodys = BindRequest { card_number: secret(&nobodys), ..i.request("b5") };
    assert_eq!(i.client.bind(&nobodys).await.code(), IssuerCode::DetailsMismatch, "as for anybody else's");
    assert_eq!(i.client.books(-1).await.code(), IssuerCode::BadRequest);
    let token = i.bound("b4").await;
    assert_eq!(i.client.resend("b4").await.done().binding_id, "b4");
    assert_eq!(i.client.debit("zero", secret(&token), fen(0), "x").await.code(), IssuerCode::BadRequest);
    let long = "长".repeat(129);
    assert_eq!(i.client.debit("long", secret(&token), fen(1), &long).await.code(), IssuerCode::BadRequest);
    let dollars = Money::new(100, koudai_core::money::Currency::from_code("USD").unwrap()).unwrap();
    assert_eq!(i.client.debit("usd", secret(&token), dollars, "x").await.code(), IssuerCode::BadRequest);
    let closed = i.client.close_debit("late").await.done();
    assert_eq!(closed.outcome, Outcome::Refused { code: IssuerCode::Closed });
    assert_eq!(i.client.debit("late", secret(&token), fen(1), "x").await.done(), closed);
    let closed = i.client.close_pay_out("late").await.done();
    assert_eq!(i.client.pay_out("late", secret(&token), fen(1), "x").await.done(), closed);
    let uncovered = i.client.pay_out("p1", secret(&token), fen(1), "x").await.done();
    assert_eq!(uncovered.outcome, Outcome::Refused { code: IssuerCode::NotCovered });
    assert_eq!(i.stands().await, (1_000_000, 0));
}

#[tokio::test]
async fn the_holder_sets_limits_and_ends_it() {
    let i = Issuer::new().await;
    let token = i.bound("b1").await;
    let (person, agreement) = (i.holder, i.agreement("b1").await);
    let pin = || Pin::parse(PIN).unwrap();
    let limits =
        SetAgreementLimits { person, agreement, per_payment: fen(500), per_day: fen(700), pin: pin() };
    i.rig.app.engine.submit(limits).await.unwrap();
    let over = Outcome::Refused { code: IssuerCode::Limit };
    assert_eq!(i.client.debit("d1", secret(&token), fen(501), "x").await.done().outcome, over);
    assert_eq!(i.client.debit("d2", secret(&token), fen(500), "x").await.done().outcome, Outcome::Succeeded);
    assert_eq!(i.client.debit("d3", secret(&token), fen(201), "x").await.done().outcome, over);
    i.rig.app.engine.submit(RevokeAgreement { person, agreement }).await.unwrap();
    let gone = Outcome::Refused { code: IssuerCode::TokenUnknown };
    assert_eq!(i.client.debit("d4", secret(&token), fen(1), "x").await.done().outcome, gone);
    assert_eq!(i.stands().await, (999_500, 500));
}

#[tokio::test]
async fn only_an_app_of_the_operators_is_answered_and_only_about_its_own() {
    let i = Issuer::new().await;
    let token = i.bound("b1").await;
    i.client.debit("d1", secret(&token), fen(100), "x").await.done();
    let url = format!("http://{}", i.rig.wallet().await);
    let (theirs, others) = (PrivateKey::generate(), PrivateKey::generate());
    let stranger = client(&i.rig, &url, "campus", &theirs);
    assert_eq!(
        stranger.query_debit("d1").await,
        Answer::Unknown,
        "another key: not even a refusal is signed"
    );
    let nobody = client(&i.rig, &url, "nobody", &theirs);
    assert_eq!(nobody.query_debit("d1").await, Answer::Unknown, "no such app");
    let mut set = SetIssuingApp {
        app: "other".to_owned(),
        name_zh: Some("别的".to_owned()),
        name_en: Some("Other".to_owned()),
        key_pem: Some(others.public_key().to_pem()),
        suspended: None,
    };
    i.rig.app.engine.submit(set.clone()).await.unwrap();
    let other = client(&i.rig, &url, "other", &others);
    assert_eq!(other.query_debit("d1").await.code(), IssuerCode::NotFound);
    assert_eq!(other.binding("b1").await.code(), IssuerCode::NotFound);
    let taken = other.debit("d1", secret(&token), fen(100), "x").await.done();
    assert_eq!(taken.outcome, Outcome::Refused { code: IssuerCode::TokenUnknown });
    assert!(other.books(0).await.done().is_empty());
    set.suspended = Some(true);
    i.rig.app.engine.submit(set).await.unwrap();
    assert_eq!(other.bind(&i.request("b9")).await.code(), IssuerCode::AppSuspended);
    assert_eq!(other.query_debit("d1").await.done(), taken, "it may still ask");
}
