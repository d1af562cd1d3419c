//! One call of an app's after another: the request read, the command given, the answer worded.

use koudai_core::binding::identity_mac;
use koudai_core::id::{AppMoveId, PersonId, Seq};
use koudai_core::identity::{IdNumber, PersonName};
use koudai_core::issuing::{
    AccountBin, ByToken, CloseAppMove, ConfirmAgreement, EndAgreement, GiveBackToHolder, MoveByToken,
    RequestAgreement, ResendAgreementCode, account_number, phone_of_account, token_of,
};
use koudai_core::ledger::{AccountId, JournalKind};
use koudai_core::money::{Currency, Money};
use koudai_core::rows::{
    Agreement, AgreementKey, AgreementNumber, AgreementState, AppMove, AppMoveKey, AppMoveKind,
    AppMoveNumber, IssuingApp, Person,
};
use koudai_core::secret::Secret;
use koudai_core::state::keyed_mac;
use koudai_networks::issuer::calls::Call;
use koudai_networks::issuer::wire::{
    BOOK_PAGE_LINES, BindRequest, BindingReply, BindingState, BookKind, BookLine, CardFace, CardKind,
    ConfirmRequest, DebitReply, DebitRequest, IssuerCode, Outcome, PayoutReply, PayoutRequest, RefundReply,
    RefundRequest, UnbindReply, UnbindRequest, id_ok,
};
use koudai_store::{Reader, StoreError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Trouble, declined};
use crate::App;
use crate::say::Lang;

/// The one currency of accounts here.
const CURRENCY: Currency = Currency::Cny;

/// Answers a call of an app that has proven who it is; the body of a 200.
pub(super) async fn answer(
    app: &App,
    theirs: &IssuingApp,
    call: Option<Call<'_>>,
    body: &[u8],
) -> Result<Vec<u8>, Trouble> {
    let here = Here { app, theirs };
    match call.ok_or(Trouble::because(IssuerCode::NotFound))? {
        Call::Bind => here.bind(read(body)?).await,
        Call::Resend(id) => here.resend(id).await,
        Call::Confirm(id) => here.confirm(id, read(body)?).await,
        Call::Binding(id) => here.binding(id).await,
        Call::Unbind => here.unbind(read(body)?).await,
        Call::Debit => here.debit(read(body)?).await,
        Call::CloseDebit(id) => here.close(ByToken::Debit, id).await,
        Call::QueryDebit(id) => here.query(AppMoveKind::Debit, id).await,
        Call::Refund => here.refund(read(body)?).await,
        Call::QueryRefund(id) => here.query(AppMoveKind::Refund, id).await,
        Call::PayOut => here.pay_out(read(body)?).await,
        Call::ClosePayOut(id) => here.close(ByToken::Payout, id).await,
        Call::QueryPayOut(id) => here.query(AppMoveKind::Payout, id).await,
        Call::Books(query) => here.books(query).await,
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Trouble> {
    serde_json::from_slice(body).map_err(|_| malformed())
}

const fn malformed() -> Trouble {
    Trouble::because(IssuerCode::BadRequest)
}

fn said(reply: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(reply).expect("the wire types are plain JSON")
}

/// An id that names nothing is refused before anybody looks for it.
fn checked(id: &str) -> Result<String, Trouble> {
    if id_ok(id) { Ok(id.to_owned()) } else { Err(Trouble::because(IssuerCode::NotFound)) }
}

/// The wallet, and the app that asks.
struct Here<'a> {
    app: &'a App,
    theirs: &'a IssuingApp,
}

impl Here<'_> {
    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        keyed_mac(self.app.networks.vault.compare_key().expose(), parts)
    }

    fn bin(&self) -> AccountBin {
        self.app.engine.policy().account_bin
    }

    async fn bind(&self, request: BindRequest) -> Result<Vec<u8>, Trouble> {
        // Accounts have neither expiry nor CVV, and whoever sends them is not refused for it.
        if !request.is_sound() {
            return Err(malformed());
        }
        let BindRequest { binding_id, card_number, name, id_number, phone, .. } = &request;
        let given = [card_number, name, id_number, phone].map(|text| text.expose().as_bytes());
        let content_mac = self.mac(&[b"app binding", given[0], given[1], given[2], given[3]]);
        let now = self.app.engine.clock().now();
        let identity = PersonName::parse(name.expose()).zip(IdNumber::parse(id_number.expose(), now));
        let command = RequestAgreement {
            app: self.theirs.id,
            binding: binding_id.clone(),
            content_mac,
            account: phone_of_account(self.bin(), card_number.expose()),
            phone: phone.expose().clone(),
            identity_mac: identity
                .map(|(name, id)| identity_mac(self.app.networks.vault.compare_key(), &name, &id)),
        };
        let agreement = self.app.engine.submit(command).await?;
        self.binding_reply(agreement).await
    }

    async fn resend(&self, id: &str) -> Result<Vec<u8>, Trouble> {
        let command = ResendAgreementCode { app: self.theirs.id, binding: checked(id)? };
        let agreement = self.app.engine.submit(command).await?;
        self.binding_reply(agreement).await
    }

    async fn confirm(&self, id: &str, ConfirmRequest { code }: ConfirmRequest) -> Result<Vec<u8>, Trouble> {
        if code.expose().len() > 16 {
            return Err(malformed());
        }
        let command = ConfirmAgreement { app: self.theirs.id, binding: checked(id)?, code };
        let agreement = self.app.engine.submit(command).await?;
        self.binding_reply(agreement).await
    }

    async fn binding(&self, id: &str) -> Result<Vec<u8>, Trouble> {
        let key = AgreementKey { app: self.theirs.id, binding: checked(id)? };
        let found = self.app.engine.read(move |r| match r.get::<AgreementNumber>(&key)? {
            Some(number) => r.get::<Agreement>(&number.agreement),
            None => Ok(None),
        });
        let agreement = found.await?.ok_or(Trouble::because(IssuerCode::NotFound))?;
        self.binding_reply(agreement).await
    }

    async fn binding_reply(&self, agreement: Agreement) -> Result<Vec<u8>, Trouble> {
        let state = match (agreement.state, agreement.refusal) {
            (_, Some(why)) => BindingState::Failed { code: declined(why) },
            (AgreementState::Refused | AgreementState::Ended, None) => {
                BindingState::Failed { code: IssuerCode::TokenUnknown }
            }
            (AgreementState::CodeSent, None) => BindingState::CodeSent(self.face(agreement.person).await?),
            (AgreementState::Bound, None) => BindingState::Bound {
                token: token_of(self.app.engine.keys(), agreement.id),
                card: self.face(agreement.person).await?,
            },
        };
        Ok(said(&BindingReply { binding_id: agreement.binding, state }))
    }

    /// What may be shown of a holder's account.
    async fn face(&self, holder: Option<PersonId>) -> Result<CardFace, Trouble> {
        let person = match holder {
            Some(holder) => self.app.engine.read(move |r| r.get::<Person>(&holder)).await?,
            None => None,
        };
        let phone = person.ok_or(Trouble::Unknown)?.phone;
        let number = account_number(self.bin(), &phone);
        Ok(CardFace {
            phone_masked: phone.masked(),
            bank_name_zh: Lang::Zh.operator(&self.app.operator).to_owned(),
            bank_name_en: Lang::En.operator(&self.app.operator).to_owned(),
            kind: CardKind::Debit,
            last4: number[number.len() - 4..].to_owned(),
        })
    }

    async fn unbind(&self, UnbindRequest { token }: UnbindRequest) -> Result<Vec<u8>, Trouble> {
        self.app.engine.submit(EndAgreement { app: self.theirs.id, token }).await?;
        Ok(said(&UnbindReply::Unbound))
    }

    async fn debit(&self, request: DebitRequest) -> Result<Vec<u8>, Trouble> {
        let sound = request.is_sound(CURRENCY.code());
        let DebitRequest { debit_id, token, amount_minor, description, .. } = request;
        self.by_token(ByToken::Debit, sound, debit_id, token, amount_minor, description).await
    }

    async fn pay_out(&self, request: PayoutRequest) -> Result<Vec<u8>, Trouble> {
        let sound = request.is_sound(CURRENCY.code());
        let PayoutRequest { payout_id, token, amount_minor, description, .. } = request;
        self.by_token(ByToken::Payout, sound, payout_id, token, amount_minor, description).await
    }

    async fn by_token(
        &self,
        way: ByToken,
        sound: bool,
        number: String,
        token: Secret<String>,
        amount_minor: i64,
        description: String,
    ) -> Result<Vec<u8>, Trouble> {
        if !sound {
            return Err(malformed());
        }
        let parts: [&[u8]; 5] = [
            b"app move",
            way.kind().word().as_bytes(),
            token.expose().as_bytes(),
            &amount_minor.to_be_bytes(),
            description.as_bytes(),
        ];
        let (content_mac, amount) = (self.mac(&parts), money(amount_minor)?);
        let app = self.theirs.id;
        let command = MoveByToken { app, way, number, content_mac, token, amount, description };
        let done = self.app.engine.submit(command).await?;
        self.move_reply(done).await
    }

    async fn refund(&self, request: RefundRequest) -> Result<Vec<u8>, Trouble> {
        if !request.is_sound(CURRENCY.code()) {
            return Err(malformed());
        }
        let command = GiveBackToHolder {
            app: self.theirs.id,
            number: request.refund_id,
            debit: request.debit_id,
            amount: money(request.amount_minor)?,
        };
        let done = self.app.engine.submit(command).await?;
        self.move_reply(done).await
    }

    async fn close(&self, way: ByToken, id: &str) -> Result<Vec<u8>, Trouble> {
        // A number that cannot be anything's is not made final, either.
        let number = if id_ok(id) { id.to_owned() } else { return Err(malformed()) };
        let command = CloseAppMove { app: self.theirs.id, way, number };
        let done = self.app.engine.submit(command).await?;
        self.move_reply(done).await
    }

    async fn query(&self, kind: AppMoveKind, id: &str) -> Result<Vec<u8>, Trouble> {
        let key = AppMoveKey { app: self.theirs.id, kind, number: checked(id)? };
        let found = self.app.engine.read(move |r| match r.get::<AppMoveNumber>(&key)? {
            Some(number) => r.get::<AppMove>(&number.id),
            None => Ok(None),
        });
        let done = found.await?.ok_or(Trouble::because(IssuerCode::NotFound))?;
        self.move_reply(done).await
    }

    async fn move_reply(&self, done: AppMove) -> Result<Vec<u8>, Trouble> {
        let outcome = match done.refusal {
            None => Outcome::Succeeded,
            Some(why) => Outcome::Refused { code: declined(why) },
        };
        let (bank_ref, at_ms) = (done.id.wire(), done.at.0);
        Ok(match done.kind {
            AppMoveKind::Debit => said(&DebitReply { debit_id: done.number, outcome, bank_ref, at_ms }),
            AppMoveKind::Payout => said(&PayoutReply { payout_id: done.number, outcome, bank_ref, at_ms }),
            AppMoveKind::Refund => {
                let original = done.original.ok_or(Trouble::Unknown)?;
                let debit = self.app.engine.read(move |r| r.get::<AppMove>(&original)).await?;
                let debit_id = debit.ok_or(Trouble::Unknown)?.number;
                said(&RefundReply { refund_id: done.number, debit_id, outcome, bank_ref, at_ms })
            }
        })
    }

    async fn books(&self, query: &str) -> Result<Vec<u8>, Trouble> {
        let after = query.strip_prefix("after=").and_then(|text| text.parse().ok());
        let after = after.filter(|after| (0..i64::MAX).contains(after)).ok_or_else(malformed)?;
        let account = AccountId::app(self.theirs.id);
        Ok(said(&self.app.engine.read(move |r| lines(r, account, Seq(after))).await?))
    }
}

/// The lines of an app's books behind a journal.
fn lines(reader: &Reader, account: AccountId, after: Seq) -> Result<Vec<BookLine>, StoreError> {
    let journals = reader.account_journals(account, after, BOOK_PAGE_LINES.into())?;
    let line = |journal: koudai_core::ledger::Journal| {
        let kind = match journal.kind {
            JournalKind::AppDebit => BookKind::Debit,
            JournalKind::AppRefund => BookKind::Refund,
            _ => BookKind::Payout,
        };
        let done = reader.get::<AppMove>(&AppMoveId(journal.subject))?.expect("a journal has its movement");
        Ok(BookLine {
            no: journal.seq.0,
            kind,
            id: done.number,
            amount_minor: done.amount.minor(),
            at_ms: journal.at.0,
        })
    };
    journals.into_iter().map(line).collect()
}

/// An amount that was checked before.
fn money(minor: i64) -> Result<Money, Trouble> {
    Money::new(minor, CURRENCY).map_err(|_| malformed())
}
