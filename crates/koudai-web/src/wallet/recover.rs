//! Getting back what was lost without being signed in. What it takes is said before anything is asked for, and whether an account
//! is there is told to nobody who has not proved that it is theirs. Nobody is signed in by it.

use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use koudai_core::binding::card_mac;
use koudai_core::card::CardNumber;
use koudai_core::identity::{Email, Phone};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{LoginPassword, Person, Recovery, RecoveryOf, SecondStep};
use koudai_core::secret::Secret;
use koudai_core::sign_in::{
    BeginPhoneRecovery, BeginRecovery, ProveRecovery, RECOVERY_LIFE_MS, RecoverLoginPassword, RecoverPhone,
    RecoveryAnswer, RecoveryProof, RequestRecoveredPhone, RequestRecovery,
};
use koudai_core::time::{HOUR, SECOND};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer;
use super::fields::{Fields, Sent};
use super::pages::{
    ProofWay, RecoverContactPage, RecoverDonePage, RecoverPage, RecoverPhonePage, RecoverProofPage,
    RecoveredPasswordPage,
};
use super::passkeys::{self, CHALLENGE_LIFE_MS, Purpose};
use super::security::{NEW_PHONE, check_password, fresh_salt, new_phone_of, new_phone_page};
use super::sign_in::{
    Asked, CodeSent, contact, cookie_text, judged, read_code_cookie, resend_in_s, set_cookie, with_cookie,
};
use super::slow_hash::slow_hash;
use super::two_steps::given;
use super::visit::{CODE_SENT, Visit, cookie, fresh_token, token_hash};

/// What whoever gave the first proof holds until they have what they lost.
const HELD: &str = "koudai_recovery";
const HOME: &str = "/recover";
const PASSWORD: &str = "/recover/password";
const PROOF: &str = "/recover/proof";
const NEW_PASSWORD: &str = "/recover/password/new";
const RECOVERED_PHONE: &str = "/recover/phone/new";

fn held_cookie(visit: &Visit, value: &str, life_s: i64) -> String {
    cookie_text(HELD, value, HOME, life_s, visit.app.secure)
}

/// What they show: a browser by a cookie, a program by `recovery`.
fn held(headers: &HeaderMap, fields: Option<&Fields>) -> Option<[u8; 32]> {
    let sent = fields.and_then(|fields| fields.get("recovery"));
    sent.or_else(|| cookie(headers, HELD)).map(token_hash)
}

/// `GET /recover`.
pub(super) async fn home(visit: Visit) -> Response {
    answer::ok(&RecoverPage { l: visit.l, email_offered: visit.app.networks.mail.is_some() })
}

fn contact_page(
    visit: &Visit,
    by_email: bool,
    typed: &str,
    sent: Option<u32>,
    refusal: Option<Refusal>,
) -> Response {
    let page = RecoverContactPage {
        l: visit.l,
        by_email,
        email_offered: visit.app.networks.mail.is_some(),
        contact: typed.chars().take(254).collect(),
        code_sent: sent.is_some(),
        resend_in_s: sent.unwrap_or(0),
        refused: refusal.map(|r| answer::refused(visit, r)),
    };
    answer::page(refusal.map_or(StatusCode::OK, answer::status), &page)
}

/// Whether an address was typed, or a number, and which.
fn typed(fields: &Fields) -> (bool, &str) {
    fields.get("email").map_or_else(|| (false, fields.text("phone")), |email| (true, email))
}

/// `GET /recover/password`.
pub(super) async fn password(visit: Visit, headers: HeaderMap, Query(query): Query<Asked>) -> Response {
    let by_email = query.by.as_deref() == Some("email");
    match (query.by, cookie(&headers, CODE_SENT).and_then(read_code_cookie)) {
        (None, Some((contact, resend_at, _))) => {
            let by_email = Email::parse(contact.text()).is_some();
            contact_page(&visit, by_email, contact.text(), Some(resend_in_s(&visit, resend_at)), None)
        }
        _ => contact_page(&visit, by_email && visit.app.networks.mail.is_some(), "", None, None),
    }
}

/// `POST /recover/password/code`.
pub(super) async fn send_code(Sent(mut visit, fields): Sent) -> Response {
    let (asker, device) = visit.asker_known();
    let request = fresh_token();
    let result = async {
        let contact = contact(&visit, &fields)?;
        let (request, language) = (token_hash(&request), Some(visit.language()));
        let wait_s =
            visit.submit(RequestRecovery { contact: contact.clone(), request, asker, language }).await?;
        Ok((contact, wait_s))
    };
    let response = match result.await {
        Ok((_, wait_s)) if visit.json => answer::data(json!({"resend_in_s": wait_s, "request": request})),
        Ok((contact, wait_s)) => {
            let mut response = answer::go(PASSWORD);
            set_cookie(&mut response, &CodeSent { contact, request, wait_s }.cookie(&visit, HOME));
            response
        }
        Err(refusal) if visit.json => visit.refuse(refusal),
        Err(refusal) => {
            let (by_email, typed) = typed(&fields);
            contact_page(&visit, by_email, typed, None, Some(refusal))
        }
    };
    with_cookie(response, device)
}

/// `POST /recover/password`: the code that was sent.
pub(super) async fn begin(headers: HeaderMap, Sent(visit, fields): Sent) -> Response {
    let token = fresh_token();
    let result = async {
        let contact = contact(&visit, &fields)?;
        let kept = cookie(&headers, CODE_SENT).and_then(read_code_cookie).map(|(_, _, request)| request);
        let request = token_hash(fields.get("request").or(kept).unwrap_or_default());
        let code = Secret::new(fields.text("code").trim().to_owned());
        visit.submit(BeginRecovery { contact, code, request, token_hash: token_hash(&token) }).await
    };
    match result.await {
        Ok(recovery) => begun(&visit, &token, &recovery).await,
        Err(refusal) if visit.json || is_over(refusal) => visit.refuse(refusal),
        Err(refusal) => {
            let (by_email, typed) = typed(&fields);
            contact_page(&visit, by_email, typed, Some(0), Some(refusal))
        }
    }
}

/// Whether a refusal ends the recovery, so that there is nothing to correct on its page.
const fn is_over(refusal: Refusal) -> bool {
    use Refusal::{AccountFrozen, RecoveryOver, RecoveryTakesPhone, RecoveryTakesStaff};
    matches!(refusal, AccountFrozen | RecoveryOver | RecoveryTakesPhone | RecoveryTakesStaff)
}

fn phone_page(visit: &Visit, account: &str, refusal: Option<Refusal>) -> Response {
    let page = RecoverPhonePage {
        l: visit.l,
        email_offered: visit.app.networks.mail.is_some(),
        account: account.chars().take(254).collect(),
        refused: refusal.map(|r| answer::refused(visit, r)),
    };
    answer::page(refusal.map_or(StatusCode::OK, answer::status), &page)
}

/// `GET /recover/phone`.
pub(super) async fn phone(visit: Visit) -> Response {
    phone_page(&visit, "", None)
}

/// `POST /recover/phone`: the account and its log-in password.
pub(super) async fn begin_phone(Sent(visit, fields): Sent) -> Response {
    let token = fresh_token();
    let (asker, hash) = (visit.asker(), token_hash(&token));
    let tried = judged(&visit, &fields, move |contact, tried| BeginPhoneRecovery {
        contact,
        tried,
        asker,
        token_hash: hash,
    });
    match tried.await {
        Ok((_, recovery)) => begun(&visit, &token, &recovery).await,
        Err(refusal) if visit.json || is_over(refusal) => visit.refuse(refusal),
        Err(refusal) => phone_page(&visit, fields.text("account"), Some(refusal)),
    }
}

/// What is under way, and what it takes.
struct UnderWay {
    recovery: Recovery,
    person: Person,
    proofs: Vec<RecoveryProof>,
    /// Whether there is an app, or recovery codes only.
    has_app: bool,
}

impl UnderWay {
    async fn read(visit: &Visit, token: Option<[u8; 32]>) -> Result<Self, Refusal> {
        let (token, now) = (token.ok_or(Refusal::RecoveryOver)?, visit.now());
        let read = visit.read(move |r| {
            let row = r.get::<Recovery>(&token)?.filter(|row| now < row.expires_at);
            let Some(recovery) = row else { return Ok(None) };
            let person = r.get::<Person>(&recovery.person)?.expect("whoever gets something back is there");
            let second = r.get::<SecondStep>(&person.id)?.filter(SecondStep::is_on);
            let proofs = recovery.kind.proofs(&person, second.is_some());
            let has_app = second.is_some_and(|row| row.app.is_some());
            Ok(Some(Self { recovery, person, proofs, has_app }))
        });
        read.await?.ok_or(Refusal::RecoveryOver)
    }

    /// The same, with all the proof that it takes.
    async fn read_proven(visit: &Visit, token: Option<[u8; 32]>, kind: RecoveryOf) -> Result<Self, Refusal> {
        let under_way = Self::read(visit, token).await?;
        let is_proven = under_way.recovery.proven && under_way.recovery.kind == kind;
        if is_proven { Ok(under_way) } else { Err(Refusal::RecoveryOver) }
    }

    /// The ways there are to give the proof by typing it.
    fn ways(&self) -> Vec<ProofWay> {
        let takes = |proof| self.proofs.contains(&proof);
        let ways = [
            (takes(RecoveryProof::SecondStep) && self.has_app, ProofWay::App),
            (takes(RecoveryProof::Card), ProofWay::Card),
            (takes(RecoveryProof::SecondStep), ProofWay::Recovery),
        ];
        ways.into_iter().filter_map(|(there, way)| there.then_some(way)).collect()
    }

    fn words(&self, visit: &Visit) -> Vec<&'static str> {
        let passkey = self.takes_passkey(visit).then_some("passkey");
        self.ways().into_iter().map(ProofWay::word).chain(passkey).collect()
    }

    fn takes_passkey(&self, visit: &Visit) -> bool {
        self.proofs.contains(&RecoveryProof::Passkey) && passkeys::are_offered(visit)
    }

    fn page(&self, visit: &Visit, by: Option<&str>, refusal: Option<Refusal>) -> Response {
        let ways = self.ways();
        let chosen = ways.iter().copied().find(|way| Some(way.word()) == by);
        let page = RecoverProofPage {
            l: visit.l,
            way: chosen.or(ways.first().copied()),
            ways,
            passkey: self.takes_passkey(visit),
            refused: refusal.map(|r| answer::refused(visit, r)),
        };
        answer::page(refusal.map_or(StatusCode::OK, answer::status), &page)
    }
}

/// Where a recovery goes on.
const fn next(recovery: &Recovery) -> &'static str {
    match (recovery.proven, recovery.kind) {
        (false, _) => PROOF,
        (true, RecoveryOf::LoginPassword) => NEW_PASSWORD,
        (true, RecoveryOf::Phone) => RECOVERED_PHONE,
    }
}

async fn begun(visit: &Visit, token: &str, recovery: &Recovery) -> Response {
    if visit.json {
        let under_way = UnderWay::read(visit, Some(token_hash(token))).await;
        return visit.settle(under_way.map(|under_way| {
            let needs = if recovery.proven { vec![] } else { under_way.words(visit) };
            answer::data(json!({"recovery": token, "needs_one_of": needs}))
        }));
    }
    let mut response = answer::go(next(recovery));
    set_cookie(&mut response, &held_cookie(visit, token, RECOVERY_LIFE_MS / SECOND));
    set_cookie(&mut response, &cookie_text(CODE_SENT, "", HOME, 0, visit.app.secure));
    response
}

/// `GET /recover/proof`.
pub(super) async fn proof(visit: Visit, headers: HeaderMap, Query(query): Query<Asked>) -> Response {
    match UnderWay::read(&visit, held(&headers, None)).await {
        Ok(under_way) if under_way.recovery.proven => answer::go(next(&under_way.recovery)),
        Ok(under_way) => under_way.page(&visit, query.by.as_deref(), None),
        Err(refusal) => visit.refuse(refusal),
    }
}

/// `POST /recover/proof`.
pub(super) async fn prove(headers: HeaderMap, Sent(visit, fields): Sent) -> Response {
    let token = held(&headers, Some(&fields));
    let result = async {
        let token = token.ok_or(Refusal::RecoveryOver)?;
        let answer = if fields.text("by") == ProofWay::Card.word() {
            let number = CardNumber::parse(fields.text("number")).ok_or(Refusal::CardNumberInvalid)?;
            RecoveryAnswer::Card(card_mac(visit.app.networks.vault.compare_key(), &number))
        } else {
            RecoveryAnswer::Second(given(&fields))
        };
        visit.submit(ProveRecovery { token, answer }).await
    };
    let result = result.await;
    proved(&visit, token, fields.get("by"), result).await
}

async fn proved(
    visit: &Visit,
    token: Option<[u8; 32]>,
    by: Option<&str>,
    result: Result<Recovery, Refusal>,
) -> Response {
    match result {
        Ok(_) if visit.json => answer::data(json!({})),
        Ok(recovery) => answer::go(next(&recovery)),
        Err(refusal) if visit.json || is_over(refusal) => visit.refuse(refusal),
        Err(refusal) => match UnderWay::read(visit, token).await {
            Ok(under_way) => under_way.page(visit, by, Some(refusal)),
            Err(_) => visit.refuse(refusal),
        },
    }
}

/// `GET /recover/proof/passkey`: what to have a passkey prove with whose it is.
pub(super) async fn passkey_options(visit: Visit, headers: HeaderMap) -> Response {
    let result = async {
        let token = held(&headers, None);
        let person = UnderWay::read(&visit, token).await?.person.id;
        let own = visit.read(move |r| r.passkeys_of(person)).await?;
        let purpose = Purpose::Recovering(token.ok_or(Refusal::RecoveryOver)?);
        passkeys::options(&visit, purpose, &[], CHALLENGE_LIFE_MS, &own).map(answer::data)
    };
    let result = result.await;
    visit.settle(result)
}

/// `POST /recover/proof/passkey`.
pub(super) async fn prove_by_passkey(headers: HeaderMap, Sent(visit, fields): Sent) -> Response {
    let token = held(&headers, Some(&fields));
    let result = async {
        let token = token.ok_or(Refusal::RecoveryOver)?;
        let (answer, _) = passkeys::check(&visit, fields.text("answer"), Purpose::Recovering(token)).await?;
        visit.submit(ProveRecovery { token, answer: RecoveryAnswer::Passkey(answer) }).await
    };
    let result = result.await;
    proved(&visit, token, None, result).await
}

fn new_password_page(visit: &Visit, refusal: Option<Refusal>) -> Response {
    let page = RecoveredPasswordPage { l: visit.l, refused: refusal.map(|r| answer::refused(visit, r)) };
    answer::page(refusal.map_or(StatusCode::OK, answer::status), &page)
}

/// `GET /recover/password/new`.
pub(super) async fn new_password(visit: Visit, headers: HeaderMap) -> Response {
    match UnderWay::read_proven(&visit, held(&headers, None), RecoveryOf::LoginPassword).await {
        Ok(_) => new_password_page(&visit, None),
        Err(refusal) => visit.refuse(refusal),
    }
}

/// `POST /recover/password/new`.
pub(super) async fn set_password(headers: HeaderMap, Sent(visit, fields): Sent) -> Response {
    let token = held(&headers, Some(&fields));
    let result = async {
        let person = UnderWay::read_proven(&visit, token, RecoveryOf::LoginPassword).await?.person;
        let password = fields.text("password");
        check_password(password, &[person.phone.digits(), person.email.as_ref().map_or("", Email::address)])?;
        let old = visit.read(move |r| r.get::<LoginPassword>(&person.id)).await?;
        let salt = old.map_or_else(fresh_salt, |row| row.salt);
        let new = slow_hash(Secret::new(password.to_owned()), salt).await?;
        let token = token.ok_or(Refusal::RecoveryOver)?;
        visit.submit(RecoverLoginPassword { token, new }).await
    };
    match result.await {
        Ok(until) if visit.json => answer::data(json!({"protected_until_ms": until.0})),
        Ok(_) => done(&visit, RecoveryOf::LoginPassword),
        Err(refusal) if visit.json || is_over(refusal) => visit.refuse(refusal),
        Err(refusal) => new_password_page(&visit, Some(refusal)),
    }
}

async fn phone_page_again(
    visit: &Visit,
    token: Option<[u8; 32]>,
    sent_to: Option<Phone>,
    refusal: Option<Refusal>,
) -> Response {
    let page = async {
        let token = token.ok_or(Refusal::RecoveryOver)?;
        new_phone_page(visit, RECOVERED_PHONE, None, token, sent_to, refusal).await
    };
    let page = page.await;
    visit.settle(page)
}

/// `GET /recover/phone/new`.
pub(super) async fn new_phone(visit: Visit, headers: HeaderMap) -> Response {
    let token = held(&headers, None);
    match UnderWay::read_proven(&visit, token, RecoveryOf::Phone).await {
        Ok(_) => phone_page_again(&visit, token, new_phone_of(&headers), None).await,
        Err(refusal) => visit.refuse(refusal),
    }
}

/// `POST /recover/phone/new/code`.
pub(super) async fn send_phone_code(headers: HeaderMap, Sent(visit, fields): Sent) -> Response {
    let token = held(&headers, Some(&fields));
    let result = async {
        let token = token.ok_or(Refusal::RecoveryOver)?;
        let phone = Phone::parse(fields.text("phone")).ok_or(Refusal::PhoneInvalid)?;
        let (asker, language) = (visit.asker(), Some(visit.language()));
        let command = RequestRecoveredPhone { token, phone: phone.clone(), asker, language };
        Ok((phone, visit.submit(command).await?))
    };
    match result.await {
        Ok((_, wait_s)) if visit.json => answer::data(json!({"resend_in_s": wait_s})),
        Ok((phone, _)) => {
            let mut response = answer::go(RECOVERED_PHONE);
            let life_s = RECOVERY_LIFE_MS / SECOND;
            let cookie = cookie_text(NEW_PHONE, phone.digits(), RECOVERED_PHONE, life_s, visit.app.secure);
            set_cookie(&mut response, &cookie);
            response
        }
        Err(refusal) if visit.json || is_over(refusal) => visit.refuse(refusal),
        Err(refusal) => phone_page_again(&visit, token, new_phone_of(&headers), Some(refusal)).await,
    }
}

/// `POST /recover/phone/new`.
pub(super) async fn set_phone(headers: HeaderMap, Sent(visit, fields): Sent) -> Response {
    let token = held(&headers, Some(&fields));
    let phone = Phone::parse(fields.text("phone"));
    let result = async {
        let token = token.ok_or(Refusal::RecoveryOver)?;
        let phone = phone.clone().ok_or(Refusal::PhoneInvalid)?;
        let code = Secret::new(fields.text("code").trim().to_owned());
        visit.submit(RecoverPhone { token, phone, code }).await
    };
    match result.await {
        Ok(()) if visit.json => answer::data(json!({})),
        Ok(()) => done(&visit, RecoveryOf::Phone),
        Err(refusal) if visit.json || is_over(refusal) => visit.refuse(refusal),
        Err(refusal) => phone_page_again(&visit, token, phone, Some(refusal)).await,
    }
}

fn done(visit: &Visit, kind: RecoveryOf) -> Response {
    let mut response = answer::go(&format!("/recover/done?of={}", kind.word()));
    set_cookie(&mut response, &held_cookie(visit, "", 0));
    response
}

#[derive(Deserialize)]
pub(super) struct Done {
    of: Option<String>,
}

/// `GET /recover/done`.
pub(super) async fn done_page(visit: Visit, Query(query): Query<Done>) -> Response {
    let safety = visit.app.engine.policy().safety;
    let kind = query.of.as_deref().and_then(RecoveryOf::from_word).unwrap_or(RecoveryOf::LoginPassword);
    let page = RecoverDonePage {
        l: visit.l,
        is_phone: kind == RecoveryOf::Phone,
        hours: safety.cool_down_ms / HOUR,
        spend_most: safety.cool_spend_most,
    };
    if visit.json { answer::data(Value::Null) } else { answer::ok(&page) }
}
