//! Passkeys over HTTP: challenges that are stored nowhere until they are answered, and what browsers post for them.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use koudai_core::confirmation::LetPasskeyPay;
use koudai_core::refusal::Refusal;
use koudai_core::rows::{Passkey, PasskeyAlgorithm, PaymentPassword};
use koudai_core::sign_in::{
    AddPasskey, Answered, NewPasskey, PasskeyAnswer, ProveByPasskey, RemovePasskey, SignInByPasskey,
    user_handle,
};
use koudai_core::state::{Keys, keyed_mac, keyed_mac_matches};
use koudai_core::time::{MINUTE, Timestamp};
use koudai_passkeys::{Algorithm, Assertion, PasskeyError, Registration, RelyingParty, challenge_text};
use serde_json::{Value, json};

use super::answer;
use super::fields::{Sent, SentTo};
use super::pages::{PasskeyLine, PasskeyPage, PasskeysPage};
use super::security::{is_elsewhere, proven};
use super::sign_in::{Opening, own_path, signed_in_now};
use super::visit::{Visit, token_hash};

/// How long a challenge may be answered, ms.
pub(super) const CHALLENGE_LIFE_MS: i64 = 5 * MINUTE;
const TOKEN_BYTES: usize = 16;
const MAC_BYTES: usize = 32;
/// The longest name of a passkey, in characters.
const NAME_MOST: usize = 40;

/// What a challenge is for. One that was asked for one thing answers no other.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    /// Signing in.
    SignIn,
    /// Proving who holds this session.
    Proof([u8; 32]),
    /// Adding a passkey, in this session.
    Adding([u8; 32]),
    /// Confirming a payment, in this session.
    Paying([u8; 32]),
    /// Getting something back that was lost, by what is held since the first proof.
    Recovering([u8; 32]),
}

impl Purpose {
    fn parts(&self) -> [&[u8]; 2] {
        match self {
            Self::SignIn => [b"sign in", b""],
            Self::Proof(session) => [b"proof", session],
            Self::Adding(session) => [b"adding", session],
            Self::Paying(session) => [b"paying", session],
            Self::Recovering(token) => [b"recovering", token],
        }
    }

    fn mac_parts<'a>(&'a self, token: &'a [u8], covers: &'a [u8]) -> [&'a [u8]; 5] {
        let [word, session] = self.parts();
        [b"passkey challenge", word, session, token, covers]
    }

    /// A challenge: the moment it expires, 80 random bits, what it covers beside its purpose, and a MAC that says it is ours and
    /// what for.
    fn challenge(self, keys: &Keys, covers: &[u8], until: Timestamp) -> Vec<u8> {
        let mut token = [0; TOKEN_BYTES];
        aws_lc_rs::rand::fill(&mut token[6..]).expect("the operating system has random bytes");
        token[..6].copy_from_slice(&until.0.to_be_bytes()[2..]);
        let mac = keyed_mac(keys.one_time_code.expose(), &self.mac_parts(&token, covers));
        [token.as_slice(), covers, &mac].concat()
    }

    /// What there is of a challenge to answer, and what it covers, if it is one of ours for this purpose. Whether it expired or
    /// was answered before is for the decision.
    fn read(self, keys: &Keys, challenge: &[u8]) -> Option<(Answered, Vec<u8>)> {
        let (token, rest) = challenge.split_first_chunk::<TOKEN_BYTES>()?;
        let (covers, mac) = rest.split_last_chunk::<MAC_BYTES>()?;
        if !keyed_mac_matches(keys.one_time_code.expose(), &self.mac_parts(token, covers), mac) {
            return None;
        }
        let mut at = [0; 8];
        at[2..].copy_from_slice(&token[..6]);
        let expires_at = Timestamp(i64::from_be_bytes(at));
        Some((Answered { token: *token, expires_at }, covers.to_vec()))
    }
}

/// This wallet as browsers know it; `None` at an address without a name, for which there are no passkeys.
fn relying_party(origin: &str) -> Option<RelyingParty> {
    let authority = origin.split_once("://")?.1;
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let named = host.parse::<std::net::IpAddr>().is_err() && !host.starts_with('[');
    named.then(|| RelyingParty { id: host.to_owned(), origin: origin.to_owned() })
}

/// Whether passkeys can be had at this address.
pub(super) fn are_offered(visit: &Visit) -> bool {
    relying_party(&visit.app.origin).is_some()
}

fn party(visit: &Visit) -> Result<RelyingParty, Refusal> {
    relying_party(&visit.app.origin).ok_or(Refusal::PasskeyRefused)
}

/// What the log is told of an answer that does not hold. None of its words comes from the answer.
fn refused(visit: &Visit, error: PasskeyError) -> Refusal {
    tracing::info!(%error, reference = visit.reference, "passkey refused");
    Refusal::PasskeyRefused
}

const fn stored(algorithm: Algorithm) -> PasskeyAlgorithm {
    match algorithm {
        Algorithm::Es256 => PasskeyAlgorithm::Es256,
        Algorithm::EdDsa => PasskeyAlgorithm::EdDsa,
        Algorithm::Rs256 => PasskeyAlgorithm::Rs256,
    }
}

const fn checked_by(algorithm: PasskeyAlgorithm) -> Algorithm {
    match algorithm {
        PasskeyAlgorithm::Es256 => Algorithm::Es256,
        PasskeyAlgorithm::EdDsa => Algorithm::EdDsa,
        PasskeyAlgorithm::Rs256 => Algorithm::Rs256,
    }
}

fn id_of(credential: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, credential);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Checks an answer to a challenge of ours under the key of the passkey it names, and says what the challenge covered beside its
/// purpose.
///
/// # Errors
/// `PasskeyUnknown`, `PasskeyRefused`, or what stood in the way of reading.
pub(super) async fn check(
    visit: &Visit,
    body: &str,
    purpose: Purpose,
) -> Result<(PasskeyAnswer, Vec<u8>), Refusal> {
    let party = party(visit)?;
    let posted = Assertion::from_json(body.as_bytes()).map_err(|error| refused(visit, error))?;
    let challenge = posted.claimed_challenge().map_err(|error| refused(visit, error))?;
    let keys = visit.app.engine.keys();
    let (answered, covers) = purpose.read(keys, &challenge).ok_or(Refusal::PasskeyRefused)?;
    let id = id_of(posted.credential_id());
    let passkey = visit.read(move |r| r.get::<Passkey>(&id)).await?.ok_or(Refusal::PasskeyUnknown)?;
    if posted.user_handle().is_some_and(|handle| handle != user_handle(keys, passkey.person)) {
        return Err(Refusal::PasskeyUnknown);
    }
    let verified = party
        .verify(&posted, &challenge, &passkey.public_key, checked_by(passkey.algorithm))
        .map_err(|error| refused(visit, error))?;
    let (public_key, sign_count) = (passkey.public_key, verified.sign_count);
    Ok((PasskeyAnswer { id, public_key, sign_count, challenge: answered }, covers))
}

/// What a browser is asked for an answer with, to a challenge that is good so long and covers this beside its purpose. `allowed`
/// names the passkeys that will do; without any, whoever is there chooses.
pub(super) fn options(
    visit: &Visit,
    purpose: Purpose,
    covers: &[u8],
    life_ms: i64,
    allowed: &[Passkey],
) -> Result<Value, Refusal> {
    let challenge = purpose.challenge(visit.app.engine.keys(), covers, visit.now().plus(life_ms));
    Ok(json!({
        "challenge": challenge_text(&challenge),
        "rpId": party(visit)?.id,
        "timeout": life_ms,
        "allowCredentials": named(allowed),
    }))
}

fn named(passkeys: &[Passkey]) -> Vec<Value> {
    passkeys.iter().map(|passkey| json!({"id": URL_SAFE_NO_PAD.encode(&passkey.credential)})).collect()
}

/// `GET /login/passkey`: what to have a passkey sign in with.
pub(super) async fn sign_in_options(visit: Visit) -> Response {
    let result = options(&visit, Purpose::SignIn, &[], CHALLENGE_LIFE_MS, &[]).map(answer::data);
    visit.settle(result)
}

/// `POST /login/passkey`.
pub(super) async fn sign_in(Sent(visit, fields): Sent) -> Response {
    let opening = Opening::new();
    let asker = visit.asker_at(&opening.device);
    let result = async {
        let (answer, _) = check(&visit, fields.text("answer"), Purpose::SignIn).await?;
        visit.submit(SignInByPasskey { answer, asker, token_hash: token_hash(&opening.token) }).await
    };
    match result.await {
        Ok(signed_in) => signed_in_now(&visit, signed_in, &opening, fields.get("next")).await,
        Err(refusal) => visit.refuse(refusal),
    }
}

/// `GET /security/proof/passkey`: what to have a passkey prove with who it is.
pub(super) async fn proof_options(visit: Visit) -> Response {
    let result = async {
        let (person, session) = (visit.person()?, visit.session()?);
        let own = visit.read(move |r| r.passkeys_of(person)).await?;
        options(&visit, Purpose::Proof(session), &[], CHALLENGE_LIFE_MS, &own).map(answer::data)
    };
    let result = result.await;
    visit.settle(result)
}

/// `POST /security/proof/passkey`.
pub(super) async fn prove(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let session = visit.session()?;
        let (answer, _) = check(&visit, fields.text("answer"), Purpose::Proof(session)).await?;
        visit.submit(ProveByPasskey { session, answer }).await
    };
    let result = result.await.map(|()| {
        let next = own_path(fields.get("next"));
        if visit.json { answer::data(json!({})) } else { answer::go(next.as_deref().unwrap_or("/security")) }
    });
    visit.settle(result)
}

/// `GET /security/passkeys`.
pub(super) async fn list(visit: Visit) -> Response {
    let result = async {
        let person = visit.person()?;
        let passkeys = visit.read(move |r| r.passkeys_of(person)).await?;
        let lines: Vec<PasskeyLine> = passkeys.iter().map(line).collect();
        if visit.json {
            let lines: Vec<_> = lines.iter().map(line_json).collect();
            return Ok(answer::data(json!({"passkeys": lines})));
        }
        Ok(answer::ok(&PasskeysPage { l: visit.l, lines, offered: are_offered(&visit) }))
    };
    let result = result.await;
    visit.settle(result)
}

fn line(passkey: &Passkey) -> PasskeyLine {
    PasskeyLine {
        id: URL_SAFE_NO_PAD.encode(passkey.id),
        name: passkey.name.clone(),
        added_at: passkey.added_at,
        used_at: passkey.used_at,
        pays: passkey.pays,
    }
}

fn line_json(line: &PasskeyLine) -> Value {
    json!({
        "passkey_id": line.id,
        "name": line.name,
        "added_ms": line.added_at.0,
        "used_ms": line.used_at.map(|at| at.0),
        "pays": line.pays,
    })
}

/// `GET /security/passkeys/new`: what to have a passkey made with.
pub(super) async fn new_options(visit: Visit) -> Response {
    let result = async {
        let session = visit.session()?;
        let person = visit.person_row().await?;
        // Nobody gives a finger for what would be refused.
        proven(&visit).await?;
        let id = person.id;
        let own = visit.read(move |r| r.passkeys_of(id)).await?;
        let party = party(&visit)?;
        let keys = visit.app.engine.keys();
        let challenge = Purpose::Adding(session).challenge(keys, &[], visit.now().plus(CHALLENGE_LIFE_MS));
        let kinds: Vec<Value> =
            Algorithm::ALL.iter().map(|kind| json!({"type": "public-key", "alg": kind.cose()})).collect();
        let masked = person.phone.masked();
        Ok(answer::data(json!({
            "challenge": challenge_text(&challenge),
            "rp": {"id": party.id, "name": visit.l.operator(&visit.app.operator)},
            "user": {"id": challenge_text(&user_handle(keys, id)), "name": masked, "displayName": masked},
            "pubKeyCredParams": kinds,
            "timeout": CHALLENGE_LIFE_MS,
            "excludeCredentials": named(&own),
        })))
    };
    let result = result.await;
    visit.settle(result)
}

/// `POST /security/passkeys`.
pub(super) async fn add(Sent(visit, fields): Sent) -> Response {
    let result = async {
        let session = visit.session()?;
        let party = party(&visit)?;
        let posted = Registration::from_json(fields.text("answer").as_bytes())
            .map_err(|error| refused(&visit, error))?;
        let challenge = posted.claimed_challenge().map_err(|error| refused(&visit, error))?;
        let purpose = Purpose::Adding(session);
        let read = purpose.read(visit.app.engine.keys(), &challenge);
        let (answered, _) = read.ok_or(Refusal::PasskeyRefused)?;
        let made = party.register(&posted, &challenge).map_err(|error| refused(&visit, error))?;
        let passkey = NewPasskey {
            id: id_of(&made.credential_id),
            credential: made.credential_id,
            public_key: made.public_key,
            algorithm: stored(made.algorithm),
            sign_count: made.sign_count,
        };
        let name = name(&visit, fields.text("name"));
        visit.submit(AddPasskey { session, passkey, name, challenge: answered }).await
    };
    let result = result.await.map(|()| done(&visit));
    visit.settle(result)
}

/// What a passkey is called: as its holder says, else by the device it was made on.
fn name(visit: &Visit, typed: &str) -> String {
    let typed: String = typed.trim().chars().filter(|c| !c.is_control()).take(NAME_MOST).collect();
    if typed.is_empty() { super::visit::device_word(&visit.agent, visit.l).to_owned() } else { typed }
}

fn done(visit: &Visit) -> Response {
    if visit.json { answer::data(json!({})) } else { answer::go("/security/passkeys") }
}

/// A passkey's id as paths have it.
fn parse_id(text: &str) -> Result<[u8; 32], Refusal> {
    let id = URL_SAFE_NO_PAD.decode(text).ok().and_then(|id| id.try_into().ok());
    id.ok_or(Refusal::RecordUnknown)
}

async fn one_page(visit: &Visit, id: &str, refusal: Option<Refusal>) -> Result<Response, Refusal> {
    let (person, id) = (visit.person()?, parse_id(id)?);
    let read =
        visit.read(move |r| Ok((r.get::<Passkey>(&id)?, r.get::<PaymentPassword>(&person)?.is_some())));
    let (passkey, has_payment_password) = read.await?;
    let passkey = passkey.filter(|passkey| passkey.person == person).ok_or(Refusal::RecordUnknown)?;
    let line = line(&passkey);
    if visit.json {
        return Ok(answer::data(line_json(&line)));
    }
    let refused = refusal.map(|r| answer::refused(visit, r));
    let page = PasskeyPage { l: visit.l, line, has_payment_password, refused };
    Ok(answer::page(refusal.map_or(StatusCode::OK, answer::status), &page))
}

/// `GET /security/passkeys/{id}`.
pub(super) async fn page(visit: Visit, Path(id): Path<String>) -> Response {
    let result = one_page(&visit, &id, None).await;
    visit.settle(result)
}

/// `POST /security/passkeys/{id}/pay`: lets it confirm payments, which takes the payment password.
pub(super) async fn let_pay(SentTo(visit, fields, id): SentTo) -> Response {
    let result = async {
        let (person, passkey) = (visit.person()?, parse_id(&id)?);
        let pin = Some(fields.pin("payment_password")?);
        visit.submit(LetPasskeyPay { person, passkey, pin }).await
    };
    match result.await {
        Ok(()) if visit.json => answer::data(json!({})),
        Ok(()) => answer::go(&format!("/security/passkeys/{id}")),
        Err(refusal) if visit.json || is_elsewhere(refusal) => visit.refuse(refusal),
        Err(refusal) => {
            let again = one_page(&visit, &id, Some(refusal)).await;
            visit.settle(again)
        }
    }
}

/// `POST /security/passkeys/{id}/pay/off`.
pub(super) async fn let_pay_no_more(SentTo(visit, _, id): SentTo) -> Response {
    let result = async {
        let (person, passkey) = (visit.person()?, parse_id(&id)?);
        visit.submit(LetPasskeyPay { person, passkey, pin: None }).await?;
        let page = format!("/security/passkeys/{id}");
        Ok(if visit.json { answer::data(json!({})) } else { answer::go(&page) })
    };
    let result = result.await;
    visit.settle(result)
}

/// `POST /security/passkeys/{id}/remove`.
pub(super) async fn remove(SentTo(visit, _, id): SentTo) -> Response {
    let result = async {
        let (session, id) = (visit.session()?, parse_id(&id)?);
        visit.submit(RemovePasskey { session, id }).await
    };
    let result = result.await.map(|()| done(&visit));
    visit.settle(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use koudai_core::secret::Secret;

    #[test]
    fn a_challenge_is_ours_for_one_purpose_and_one_session() {
        let keys = Keys { payment_password: Secret::new([1; 32]), one_time_code: Secret::new([2; 32]) };
        let now = Timestamp(1_795_000_000_000);
        let purpose = Purpose::Proof([7; 32]);
        let challenge = purpose.challenge(&keys, b"this", now);
        let (answered, covers) = purpose.read(&keys, &challenge).unwrap();
        assert_eq!((answered.expires_at, covers.as_slice()), (now, b"this".as_slice()));
        let (adding, paying) = (Purpose::Adding([7; 32]), Purpose::Paying([7; 32]));
        for other in [Purpose::SignIn, adding, paying, Purpose::Proof([8; 32])] {
            assert_eq!(other.read(&keys, &challenge), None);
        }
        for bit in 0..challenge.len() * 8 {
            let mut flipped = challenge.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(purpose.read(&keys, &flipped), None, "{bit}");
        }
        assert_eq!(purpose.read(&keys, &[]), None);
        assert_ne!(challenge, purpose.challenge(&keys, b"this", now), "no two are the same");
    }

    #[test]
    fn passkeys_are_for_hosts_with_a_name() {
        let party = |origin| relying_party(origin).map(|party| party.id);
        assert_eq!(party("https://pay.example.org").as_deref(), Some("pay.example.org"));
        assert_eq!(party("http://localhost:8080").as_deref(), Some("localhost"));
        for none in ["http://127.0.0.1:8080", "http://127.0.0.1", "http://[::1]:8080", "http://[::1]"] {
            assert_eq!(party(none), None, "{none}");
        }
    }
}
