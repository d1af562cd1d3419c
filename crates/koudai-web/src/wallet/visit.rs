//! One request as the wallet sees it: who, in which language, and in which form the answer is wanted.

use std::net::IpAddr;

use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::http::header::{ACCEPT, ACCEPT_LANGUAGE, AUTHORIZATION, COOKIE, HOST, ORIGIN, REFERER, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use koudai_core::id::PersonId;
use koudai_core::refusal::Refusal;
use koudai_core::rows::{Language, Person, Session};
use koudai_core::sign_in::{AddressBlock, Asker};
use koudai_core::time::Timestamp;
use koudai_engine::Failed;
use koudai_store::{Reader, StoreError};

use super::answer;
use super::sign_in::{cookie_text, own_path};
use crate::say::Lang;
use crate::{App, peer};

/// The wallet's session cookie. Each face has a name of its own, since a browser shares cookies between ports.
pub(super) const fn session_name(secure: bool) -> &'static str {
    // A neighbour under the same domain cannot set a cookie of the second name.
    if secure { "__Host-koudai_wallet" } else { "koudai_wallet" }
}
/// Where a one-time code was sent to, while its page is open, and what has to be shown with it.
pub(super) const CODE_SENT: &str = "koudai_code";
/// What a device is known by; it stays when its holder signs out.
pub(super) const fn device_name(secure: bool) -> &'static str {
    if secure { "__Host-koudai_device" } else { "koudai_device" }
}
/// Where a merchant's page or app wants the payer of an order back, while the order's page is open.
pub(super) const CAME_FROM: &str = "koudai_came_from";
/// Who the person is at another wallet, once it said so.
pub(super) const PAYER: &str = "koudai_payer";
/// What a person went to another wallet's page for.
pub(super) const ERRAND: &str = "koudai_errand";
/// What was paid by last.
pub(super) const LAST_METHOD: &str = "koudai_method";
/// How much of a browser's name is looked at, in characters.
const MOST_AGENT: usize = 512;
/// The language a person chose.
pub(super) const LANGUAGE: &str = "koudai_lang";

/// The number a person can give to staff, and the log has a request under.
#[derive(Clone, Debug)]
pub(super) struct Reference(pub(super) String);

/// One request.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) app: App,
    pub(super) l: Lang,
    pub(super) json: bool,
    pub(super) reference: String,
    /// Where the request came to, without its query.
    pub(super) path: String,
    /// The page of ours that a form was sent from, or that was asked for.
    sent_from: Option<String>,
    /// The hash of the session token that came along.
    token_hash: Option<[u8; 32]>,
    session: Option<(PersonId, [u8; 32])>,
    /// Where the payer of this page's order came from, as the browser remembers it.
    pub(super) came_from: Option<String>,
    /// What the browser says it is; not more than is looked at.
    pub(super) agent: String,
    /// Where the request came from.
    pub(super) address: Option<IpAddr>,
    /// Who the person is at another wallet, as it said a while ago, sealed.
    pub(super) payer: Option<String>,
    /// What was paid by last on this device.
    pub(super) last_method: Option<String>,
    /// SHA-256 of what the device is known by.
    device: Option<[u8; 32]>,
}

/// A request of which nobody has looked up yet who sent it: until `recognise` did, its `person` knows of nobody. For a
/// command that looks at the session itself.
pub(super) struct Unrecognised(pub(super) Visit);

impl FromRequestParts<App> for Unrecognised {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let headers = &parts.headers;
        let text = |name| headers.get(name).and_then(|v: &axum::http::HeaderValue| v.to_str().ok());
        let chosen = cookie(headers, LANGUAGE).and_then(Lang::from_code);
        let asked = || Lang::from_accept_language(text(ACCEPT_LANGUAGE).unwrap_or_default());
        let reference = parts.extensions.get::<Reference>().map(|r| r.0.clone()).unwrap_or_default();
        let mut visit = Visit {
            app: app.clone(),
            l: chosen.unwrap_or_else(asked),
            json: text(ACCEPT).is_some_and(|a| a.contains("application/json")),
            reference,
            path: parts.uri.path().to_owned(),
            sent_from: None,
            token_hash: None,
            session: None,
            came_from: cookie(headers, CAME_FROM).map(str::to_owned),
            agent: text(USER_AGENT).unwrap_or_default().chars().take(MOST_AGENT).collect(),
            address: peer::address(&parts.extensions, headers),
            payer: cookie(headers, PAYER).map(str::to_owned),
            last_method: cookie(headers, LAST_METHOD).map(str::to_owned),
            device: cookie(headers, device_name(app.secure)).map(token_hash),
        };
        let bearer = text(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        let changes = parts.method != Method::GET && parts.method != Method::HEAD;
        if bearer.is_none() && changes && from_elsewhere(headers) {
            return Err(visit.refuse(Refusal::ForeignOrigin));
        }
        visit.sent_from = if changes {
            text(REFERER).and_then(|url| page_here(url, text(HOST)?))
        } else {
            own_path(parts.uri.path_and_query().map(axum::http::uri::PathAndQuery::as_str))
        };
        visit.token_hash = bearer.or_else(|| cookie(headers, session_name(app.secure))).map(token_hash);
        Ok(Self(visit))
    }
}

impl FromRequestParts<App> for Visit {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let Unrecognised(mut visit) = Unrecognised::from_request_parts(parts, app).await?;
        match visit.recognise().await {
            Ok(()) => Ok(visit),
            Err(refusal) => Err(visit.refuse(refusal)),
        }
    }
}

/// A token that nobody can guess, of 256 bits.
pub(super) fn fresh_token() -> String {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).expect("the operating system has random bytes");
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What a person would call the device that a browser runs on.
pub(super) fn device_word(agent: &str, l: Lang) -> &'static str {
    // In this order: a tablet of Apple's says that it is a Mac, and phones of Android that they are Linux.
    let known = [
        ("iPhone", "iPhone", "iPhone"),
        ("iPad", "iPad", "iPad"),
        ("HarmonyOS", "鸿蒙设备", "HarmonyOS device"),
        ("OpenHarmony", "鸿蒙设备", "HarmonyOS device"),
        ("Android", "安卓设备", "Android device"),
        ("Windows", "Windows 电脑", "Windows computer"),
        ("Macintosh", "Mac", "Mac"),
        ("Linux", "Linux 电脑", "Linux computer"),
    ];
    let found = known.into_iter().find(|(part, _, _)| agent.contains(part));
    found.map_or_else(|| l.say("这台设备", "This device"), |(_, zh, en)| l.say(zh, en))
}

/// What a session token, or another that its holder shows, is found by.
pub(super) fn token_hash(token: &str) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token.as_bytes());
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Whether a browser says that a page of another origin made the request. Browsers name the origin of every request
/// that could change something, so one that names none comes from a program, which nobody can trick with a link.
fn from_elsewhere(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap_or_default());
    if let Some(site) = text("sec-fetch-site") {
        return site != "same-origin";
    }
    let authority = |origin: &'_ str| origin.split_once("://").map(|(_, authority)| authority.to_owned());
    text(ORIGIN.as_str()).is_some_and(|origin| authority(origin).as_deref() != text(HOST.as_str()))
}

/// The path of an address, if it is one of this host's.
fn page_here(url: &str, host: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    own_path(Some(rest.strip_prefix(host)?))
}

/// A cookie by its name.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(COOKIE).iter().filter_map(|v| v.to_str().ok());
    all.flat_map(|v| v.split(';')).find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

impl Visit {
    /// Finds out who holds the session that came along.
    ///
    /// # Errors
    /// `OutOfOrder`.
    pub(super) async fn recognise(&mut self) -> Result<(), Refusal> {
        if let Some(hash) = self.token_hash {
            let session = self.read(move |r| r.get::<Session>(&hash)).await?;
            let now = self.now();
            self.session = session.and_then(|s| s.holder(now)).map(|person| (person, hash));
        }
        Ok(())
    }

    /// What the session's row is found by, if a token came along; whether there is such a row is not said.
    pub(super) const fn token_hash(&self) -> Option<[u8; 32]> {
        self.token_hash
    }

    /// The page that the visitor looks at: that of the form they sent, or the one they asked for.
    pub(super) fn page(&self) -> &str {
        self.sent_from.as_deref().unwrap_or(&self.path)
    }

    /// Who asks, for what may be done only so often.
    pub(super) fn asker(&self) -> Asker {
        Asker {
            block: self.address.map(AddressBlock::of),
            device: self.device,
            fresh: None,
            language: Some(self.language()),
        }
    }

    /// The same, and what the device is to be known by from now on, should it be new to whoever signs in. A program is known by
    /// nothing.
    pub(super) fn asker_at(&self, fresh: &str) -> Asker {
        Asker { fresh: (!self.json).then(|| token_hash(fresh)), ..self.asker() }
    }

    /// The cookie that a device is known by.
    pub(super) fn device_cookie(&self, token: &str) -> String {
        /// As long as browsers keep a cookie at most.
        const FOR_S: i64 = 400 * 24 * 3_600;
        cookie_text(device_name(self.app.secure), token, "/", FOR_S, self.app.secure)
    }

    /// Who asks, and the cookie by which a browser that had none is known from now on. A program that names no device stays
    /// without one.
    pub(super) fn asker_known(&mut self) -> (Asker, Option<String>) {
        let new = (self.device.is_none() && !self.json).then(fresh_token);
        let cookie = new.map(|token| {
            self.device = Some(token_hash(&token));
            self.device_cookie(&token)
        });
        (self.asker(), cookie)
    }

    /// The language that messages to this visitor are written in.
    pub(super) const fn language(&self) -> Language {
        match self.l {
            Lang::Zh => Language::Zh,
            Lang::En => Language::En,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.app.engine.now()
    }

    /// Who is signed in.
    ///
    /// # Errors
    /// `SignedOut`.
    pub(super) fn person(&self) -> Result<PersonId, Refusal> {
        self.session.map(|(person, _)| person).ok_or(Refusal::SignedOut)
    }

    pub(super) fn session_hash(&self) -> Option<[u8; 32]> {
        self.session.map(|(_, hash)| hash)
    }

    /// The session that the command of somebody who is signed in names.
    ///
    /// # Errors
    /// `SignedOut`.
    pub(super) fn session(&self) -> Result<[u8; 32], Refusal> {
        self.session_hash().ok_or(Refusal::SignedOut)
    }

    /// The row of who is signed in.
    ///
    /// # Errors
    /// `SignedOut`.
    pub(super) async fn person_row(&self) -> Result<Person, Refusal> {
        let person = self.person()?;
        self.read(move |r| r.get::<Person>(&person)).await?.ok_or(Refusal::SignedOut)
    }

    /// Reads what is committed.
    ///
    /// # Errors
    /// `Busy` while another process owns the ledger or the database's server is away; else `OutOfOrder`. The cause is in the
    /// log.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    {
        self.app.engine.read(work).await.map_err(|error| {
            if matches!(error, StoreError::Elsewhere) {
                return Refusal::Busy;
            }
            tracing::error!(%error, reference = self.reference, "a page could not be read");
            if error.is_the_servers() { Refusal::Busy } else { Refusal::OutOfOrder }
        })
    }

    /// Has a command decided and committed.
    ///
    /// # Errors
    /// Its refusal, or `Busy`.
    pub(super) async fn submit<C>(&self, command: C) -> Result<C::Reply, Refusal>
    where
        C: koudai_core::state::Command<Refusal = Refusal>,
    {
        match self.app.engine.submit(command).await {
            Ok(reply) => Ok(reply),
            Err(Failed::Refused(refusal)) => Err(refusal),
            Err(Failed::Busy) => Err(Refusal::Busy),
            // The process is ending and whether the command was committed is not known: saying nothing is the truth,
            // and the person's page asks again.
            Err(Failed::Stopped) => std::future::pending().await,
        }
    }

    /// A refusal on a page of its own, or as JSON.
    pub(super) fn refuse(&self, refusal: Refusal) -> Response {
        answer::refusal(self, refusal)
    }

    /// The answer, or the refusal in its place.
    pub(super) fn settle(&self, result: Result<Response, Refusal>) -> Response {
        result.unwrap_or_else(|refusal| self.refuse(refusal))
    }
}

/// Gives the request its reference and logs how it went. Paths are logged as patterns, since real ones carry tokens.
pub(super) async fn name_and_log(mut request: Request, next: Next) -> Response {
    let reference = koudai_wechatpay::nonce12();
    request.extensions_mut().insert(Reference(reference.clone()));
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("-", MatchedPath::as_str).to_owned();
    let began = std::time::Instant::now();
    let response = next.run(request).await;
    let (status, ms) = (response.status().as_u16(), began.elapsed().as_millis());
    tracing::info!(%method, route, status, ms, reference, "wallet");
    response
}
