//! Money between holders and apps: the rows against each other, and against what their journals moved.

use koudai_core::id::{AppMoveId, IssuingAppId, PersonId};
use koudai_core::identity::{Contact, Phone};
use koudai_core::issuing::{
    ByToken, CloseAppMove, ConfirmAgreement, GiveBackToHolder, MoveByToken, RequestAgreement, SetIssuingApp,
    token_of,
};
use koudai_core::ledger::{AccountId, JournalKind, Posting};
use koudai_core::rows::{Agreement, AppMove, CodeKey, CodePurpose};
use koudai_core::sign_in::code_of;
use koudai_core::time::SECOND;

use crate::books::the;
use crate::house::{Hand, House, done, fen};

/// What an app moved of a holder's.
pub(crate) struct Moves {
    pub(crate) app: IssuingAppId,
    /// Of 700 fen, of which 300 came back.
    pub(crate) debit: AppMoveId,
    /// Of 300 fen.
    pub(crate) refund: AppMoveId,
    /// Of 100 fen.
    pub(crate) payout: AppMoveId,
    /// Of more than the holder allows.
    pub(crate) declined: AppMoveId,
    /// A debit that never came.
    pub(crate) closed: AppMoveId,
}

impl Hand {
    /// Has an app bind the account of the first person, and move money of every kind.
    pub(crate) async fn moves(&self, holder: PersonId) -> Moves {
        let names = ("校园通".to_owned(), "Campus".to_owned());
        let set = SetIssuingApp {
            app: "campus".to_owned(),
            name_zh: Some(names.0),
            name_en: Some(names.1),
            key_pem: Some(String::new()),
            suspended: None,
        };
        let app = done!(self, set).id;
        let phone = Phone::parse("13800000001").unwrap();
        let request = RequestAgreement {
            app,
            binding: "b1".to_owned(),
            content_mac: [1; 32],
            account: Some(phone.clone()),
            phone: phone.digits().to_owned(),
            identity_mac: Some(holder.0.to_be_bytes().repeat(4).try_into().unwrap()),
        };
        let asked = done!(self, request);
        let id = asked.id;
        let row = self.engine.read(move |reader| reader.get::<Agreement>(&id)).await.unwrap().unwrap();
        let key = CodeKey { contact: Contact::Phone(phone), purpose: CodePurpose::Agreement };
        let code = code_of(self.engine.keys(), &key, &row.nonce);
        done!(self, ConfirmAgreement { app, binding: "b1".to_owned(), code });
        let token = token_of(self.engine.keys(), id);
        let take = |number: &str, minor: i64| MoveByToken {
            app,
            way: ByToken::Debit,
            number: number.to_owned(),
            content_mac: [2; 32],
            token: token.clone(),
            amount: fen(minor),
            description: "学一食堂".to_owned(),
        };
        let debit: AppMove = done!(self, take("d1", 700));
        let back = |number: &str, minor: i64| GiveBackToHolder {
            app,
            number: number.to_owned(),
            debit: "d1".to_owned(),
            amount: fen(minor),
        };
        let refund = done!(self, back("r1", 300));
        done!(self, back("r2", 401));
        let out = MoveByToken {
            app,
            way: ByToken::Payout,
            number: "p1".to_owned(),
            content_mac: [3; 32],
            token: token.clone(),
            amount: fen(100),
            description: "提现".to_owned(),
        };
        let payout = done!(self, out);
        let declined = done!(self, take("d2", 100_001));
        let closed = done!(self, CloseAppMove { app, way: ByToken::Debit, number: "d3".to_owned() });
        let [debit, refund, payout, declined, closed] =
            [debit, refund, payout, declined, closed].map(|done| done.id);
        Moves { app, debit, refund, payout, declined, closed }
    }
}

#[test]
fn movements_of_apps_that_do_not_fit_are_found() {
    let house = House::built();
    let moves = &house.moves;
    let set = |id: AppMoveId, set: &str| format!("UPDATE app_move SET {set} WHERE id = {}", id.0);
    let finds = |invariant: &str, sql: String| house.finds_sql(invariant, &sql);

    let consent = "an app moves money only by an agreement of its own with the holder";
    let somebody = "money moves to or from somebody";
    finds(somebody, set(moves.debit, "person = NULL"));
    finds(somebody, set(moves.payout, "person = 16"));
    finds(somebody, set(moves.closed, "refusal = NULL"));
    let only = "only of what was taken anything comes back";
    finds(only, set(moves.declined, "returned_minor = 1"));
    finds(only, set(moves.payout, "returned_minor = 1"));
    let whom = "an app gives back what it took, to whom it took it from";
    finds(whom, set(moves.refund, "original = NULL"));
    finds(whom, set(moves.refund, &format!("original = {}", moves.payout.0)));
    finds(consent, set(moves.refund, &format!("person = {}", house.other.0)));
    let brought = "what came back of an app's debit is what its refunds brought";
    finds(brought, set(moves.debit, "returned_minor = 301"));
    finds(brought, set(moves.debit, "returned_minor = 299"));
    finds(brought, set(moves.debit, "returned_minor = 0"));
    finds(brought, set(moves.refund, "refusal = 'limit'"));

    finds(consent, set(moves.debit, "agreement = NULL"));
    finds(consent, set(moves.payout, "app = app + 16"));
    finds(consent, "UPDATE agreement SET state = 'code_sent'".to_owned());
    finds(consent, format!("UPDATE agreement SET person = {}", house.other.0));
    let made = "an agreement that was made has its holder and no refusal";
    finds(made, "UPDATE agreement SET person = NULL".to_owned());
    finds(made, "UPDATE agreement SET refusal = 'frozen'".to_owned());
    let agreed = "an agreement with an app has one number";
    finds(agreed, "DELETE FROM agreement_number".to_owned());
    finds(agreed, "UPDATE agreement SET binding = 'b2'".to_owned());
    let more = "INSERT INTO agreement_number SELECT app, 'more', agreement FROM agreement_number";
    finds(agreed, more.to_owned());

    let number = "a movement of an app's has one number";
    let (id, app) = (moves.debit.0, moves.app.0);
    finds(number, format!("DELETE FROM app_move_number WHERE id = {id}"));
    finds(number, format!("INSERT INTO app_move_number VALUES ({app}, 'debit', 'more', {id})"));
    finds(number, format!("UPDATE app_move_number SET kind = 'payout' WHERE id = {id}"));
    finds(number, set(moves.declined, "number = 'other'"));
}

#[test]
fn money_that_moved_otherwise_than_apps_movements_say_is_found() {
    let house = House::built();
    let moves = &house.moves;
    let other = AccountId::person(house.other);
    let posts =
        |invariant: &str, (kind, subject): (JournalKind, AppMoveId), change: &dyn Fn(&mut Vec<Posting>)| {
            house.finds_booked(invariant, |all| change(&mut the(all, kind, subject.0).postings));
        };
    let once = "a movement of an app's moves its money once, if it was not declined";
    posts(once, (JournalKind::AppDebit, moves.debit), &|all| all[0].amount = fen(701));
    posts(once, (JournalKind::AppDebit, moves.debit), &|all| all[0].debit = other);
    posts(once, (JournalKind::AppRefund, moves.refund), &|all| all[0].credit = other);
    posts(once, (JournalKind::AppPayout, moves.payout), &|all| all[0].amount = fen(99));
    posts(once, (JournalKind::AppPayout, moves.payout), &|all| all.clear());
    house.finds_booked("every journal is what one row says", |all| {
        let model = the(all, JournalKind::AppDebit, moves.debit.0).clone();
        let at = all.last().unwrap().at;
        let subject = moves.declined.0;
        all.push(koudai_core::ledger::Journal { subject, at, ..model });
    });
    house.finds_sql(once, &format!("UPDATE app_move SET amount_minor = 701 WHERE id = {}", moves.debit.0));
    house.finds(once, |books| {
        books.sql(&format!("UPDATE app_move SET kind = 'payout' WHERE id = {}", moves.declined.0));
        books.sql(&format!("UPDATE app_move SET refusal = NULL WHERE id = {}", moves.declined.0));
        books.sql(&format!("UPDATE app_move_number SET kind = 'payout' WHERE id = {}", moves.declined.0));
    });
}
