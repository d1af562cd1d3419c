//! From a code to the order behind it: typed, pasted, photographed, or opened by another scanner.

use std::io::Cursor;
use std::time::Duration;

use axum::extract::{FromRequest, Multipart, Path, Request};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use image::{ImageReader, Limits};
use koudai_core::refusal::Refusal;
use koudai_core::rows::{Merchant, Order, OrderCode, Product, StaticCode};
use koudai_networks::platform::parse_token;
use serde_json::json;
use tokio::sync::Semaphore;

use super::answer;
use super::fields::Sent;
use super::pages::{LandingPage, ScanPage};
use super::visit::Visit;
use crate::App;

/// The largest picture taken.
pub(super) const PICTURE_BYTES: usize = 8 << 20;
/// The longest side of a picture, in pixels; a phone's camera makes about 4,000.
const PICTURE_SIDE: u32 = 8_192;
/// Memory one picture may take when it is unpacked.
const PICTURE_MEMORY: u64 = 256 << 20;
/// Pictures unpacked at once: each takes memory and a core, and pages need both.
static DECODERS: Semaphore = Semaphore::const_new(2);
/// How long a picture may take to arrive, which on a bad network it does.
const UPLOAD_WITHIN: Duration = Duration::from_mins(1);
/// How long a picture may wait for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(10);
/// The longest text a code of ours carries is below 200 characters.
const TEXT_BYTES: usize = 1_024;

pub(super) async fn page(visit: Visit) -> Response {
    let result = visit.person().map(|_| answer::ok(&ScanPage { l: visit.l, refused: None }));
    visit.settle(result)
}

/// A code as it was sent: its text, or a picture of it.
enum Code {
    Text(String),
    Picture(Vec<u8>),
}

pub(super) async fn scan(axum::extract::State(app): axum::extract::State<App>, request: Request) -> Response {
    let (visit, code) = match tokio::time::timeout(UPLOAD_WITHIN, read_code(request, &app)).await {
        Ok(Ok(read)) => read,
        Ok(Err(response)) => return response,
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let result = async {
        visit.person()?;
        let text = match code? {
            Code::Text(text) => text,
            Code::Picture(bytes) => decode(bytes).await?,
        };
        find(&visit, text.trim()).await
    };
    match result.await {
        Ok(path) if visit.json => answer::data(json!({ "pay": path })),
        Ok(path) => answer::go(&path),
        Err(refusal) if visit.json || refusal == Refusal::SignedOut => visit.refuse(refusal),
        Err(refusal) => {
            let refused = Some(answer::refused(&visit, refusal));
            answer::page(answer::status(refusal), &ScanPage { l: visit.l, refused })
        }
    }
}

async fn read_code(request: Request, app: &App) -> Result<(Visit, Result<Code, Refusal>), Response> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("multipart/form-data") {
        let Sent(visit, fields) = Sent::from_request(request, app).await?;
        let text = fields.text("text").to_owned();
        return Ok((visit, Ok(Code::Text(text))));
    }
    let (mut parts, body) = request.into_parts();
    let visit = <Visit as axum::extract::FromRequestParts<App>>::from_request_parts(&mut parts, app).await?;
    // A stranger's picture is not even read.
    if let Err(refusal) = visit.person() {
        return Err(visit.refuse(refusal));
    }
    let code = match Multipart::from_request(Request::from_parts(parts, body), app).await {
        Ok(form) => read_form(form).await,
        Err(_) => Err(Refusal::RequestMalformed),
    };
    Ok((visit, code))
}

/// A picture if there is one, the text otherwise.
async fn read_form(mut form: Multipart) -> Result<Code, Refusal> {
    let mut text = None;
    while let Some(field) = form.next_field().await.map_err(|_| Refusal::RequestMalformed)? {
        let name = field.name().unwrap_or_default().to_owned();
        let bytes = field.bytes().await.map_err(|_| Refusal::RequestTooLarge)?;
        match name.as_str() {
            "picture" if !bytes.is_empty() => return Ok(Code::Picture(bytes.to_vec())),
            "text" if !bytes.is_empty() => text = String::from_utf8(bytes.to_vec()).ok(),
            _ => {}
        }
    }
    text.map(Code::Text).ok_or(Refusal::CodeUnreadable)
}

/// Reads the code in a picture. Decoding is work for a thread of its own, and the picture is a stranger's.
async fn decode(bytes: Vec<u8>) -> Result<String, Refusal> {
    let turn = tokio::time::timeout(TURN_WITHIN, DECODERS.acquire()).await;
    let Ok(Ok(_turn)) = turn else { return Err(Refusal::Busy) };
    let task = tokio::task::spawn_blocking(move || {
        let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
        let mut limits = Limits::default();
        limits.max_image_width = Some(PICTURE_SIDE);
        limits.max_image_height = Some(PICTURE_SIDE);
        limits.max_alloc = Some(PICTURE_MEMORY);
        reader.limits(limits);
        let picture = reader.decode().ok()?;
        // A photograph is often read better when it is smaller than it was taken.
        [1_600, 800, 4_000].into_iter().find_map(|side| {
            let picture = if picture.width().max(picture.height()) > side {
                picture.thumbnail(side, side).to_luma8()
            } else {
                picture.to_luma8()
            };
            let (width, height) = (picture.width() as usize, picture.height() as usize);
            let pixels = picture.into_raw();
            let mut prepared =
                rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| pixels[y * width + x]);
            let codes = prepared.detect_grids();
            codes.into_iter().find_map(|code| code.decode().ok()).map(|(_, text)| text)
        })
    });
    task.await.ok().flatten().ok_or(Refusal::CodeUnreadable)
}

/// The page of the order behind a code's text.
async fn find(visit: &Visit, text: &str) -> Result<String, Refusal> {
    if text.is_empty() || text.len() > TEXT_BYTES {
        return Err(Refusal::CodeUnreadable);
    }
    let origin = &*visit.app.origin;
    // Our own landing page sends the path alone when the browser kept the signature to itself.
    let (path, whole) = match text.strip_prefix(origin) {
        Some(path) => (path, true),
        None => (text, false),
    };
    if let Some(rest) = path.strip_prefix("/s/") {
        return printed(visit, rest, whole).await;
    }
    let rest = path.strip_prefix("/q/").ok_or(Refusal::CodeNotOurs)?;
    let (name, signature) = rest.split_once('#').unwrap_or((rest, ""));
    let token = parse_token(name).ok_or(Refusal::CodeNotOurs)?;
    let (code, order) = visit
        .read(move |r| {
            let Some(code) = r.get::<OrderCode>(&token)? else { return Ok(None) };
            let order = r.get::<Order>(&code.order)?.expect("a code has its order");
            Ok(Some((code, order)))
        })
        .await?
        .ok_or(Refusal::CodeStale)?;
    // Only a code that is shown is scanned; what a page or an app calls up has no code.
    if order.product != Product::Native {
        return Err(Refusal::CodeNotOurs);
    }
    let signed = visit.app.networks.platform.code_is_ours(signature, &token, order.mchid, code.expires_at);
    if !signed && (whole || !signature.is_empty()) {
        return Err(Refusal::CodeSwapped);
    }
    Ok(format!("/pay/{name}"))
}

/// The page of a merchant's printed code.
async fn printed(visit: &Visit, rest: &str, whole: bool) -> Result<String, Refusal> {
    let (name, signature) = rest.split_once('#').unwrap_or((rest, ""));
    let token = parse_token(name).ok_or(Refusal::CodeNotOurs)?;
    let code = visit.read(move |r| r.get::<StaticCode>(&token)).await?.ok_or(Refusal::CodeNotOurs)?;
    let signed = visit.app.networks.platform.static_code_is_ours(signature, &token, code.mchid);
    if !signed && (whole || !signature.is_empty()) {
        return Err(Refusal::CodeSwapped);
    }
    if code.revoked_at.is_some() { Err(Refusal::CodeRevoked) } else { Ok(format!("/s/{name}")) }
}

pub(super) async fn landing(visit: Visit, Path(name): Path<String>) -> Response {
    let result = async {
        let token = parse_token(&name).ok_or(Refusal::CodeNotOurs)?;
        let (merchant, product) = visit
            .read(move |r| {
                let Some(code) = r.get::<OrderCode>(&token)? else { return Ok(None) };
                let order = r.get::<Order>(&code.order)?.expect("a code has its order");
                Ok(r.get::<Merchant>(&order.mchid)?.map(|merchant| (merchant, order.product)))
            })
            .await?
            .ok_or(Refusal::CodeStale)?;
        if product != Product::Native {
            return Err(Refusal::CodeNotOurs);
        }
        Ok(answer::ok(&LandingPage {
            l: visit.l,
            token: name.clone(),
            merchant: merchant.name,
            verified: true,
            signed_in: visit.person().is_ok(),
        }))
    };
    let result = result.await;
    visit.settle(result)
}
