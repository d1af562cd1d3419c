//! The consumers' face: pages for browsers, the same routes as JSON for programs.
//!
//! A route is one handler with one permission check and one set of errors; `visit` reads the request and `answer`
//! writes the reply in the form that was asked for.

mod answer;
mod apps;
pub mod barcode;
mod bills;
mod call_up;
mod cards;
mod codes;
mod confirming;
mod connect;
mod elsewhere;
mod fields;
mod freeze;
mod home;
pub mod months;
pub mod pages;
mod passkeys;
mod pay;
mod payment_password;
mod purse;
mod records;
mod recover;
mod return_to;
mod scan;
mod security;
mod sign_in;
mod slow_hash;
mod static_code;
mod top_up;
mod transfers;
mod two_steps;
mod visit;
mod withdraw;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{Method, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use koudai_core::refusal::Refusal;

use crate::{App, assets};
use visit::Visit;

/// The wallet's routes. `app` also serves the layer that names and logs requests.
pub fn router() -> Router<App> {
    Router::new()
        .merge(guarding())
        .merge(recovering())
        .route("/", get(home::home))
        .route("/lang/{lang}", get(home::language))
        .route("/terms", get(home::terms))
        .route("/status", get(home::status))
        .route("/cards", get(cards::list).post(cards::bind))
        .route("/cards/new", get(cards::form))
        .route("/cards/bank", get(cards::bank))
        .route("/cards/bindings/{id}", get(cards::binding))
        .route("/cards/bindings/{id}/confirm", post(cards::confirm))
        .route("/cards/bindings/{id}/resend", post(cards::resend))
        .route("/cards/{id}", get(cards::card))
        .route("/cards/{id}/remove", post(cards::remove))
        .route("/apps", get(apps::list))
        .route("/apps/{id}", get(apps::page).post(apps::set_limits))
        .route("/apps/{id}/end", get(apps::end_page).post(apps::end))
        .route("/top-up", get(top_up::form).post(top_up::start))
        .route("/top-up/passkey", post(top_up::passkey))
        .route("/top-up/{id}", get(top_up::result))
        .route("/withdraw", get(withdraw::form).post(withdraw::start))
        .route("/withdraw/passkey", post(withdraw::passkey))
        .route("/withdraw/{id}", get(withdraw::result))
        .route("/withdraw/{id}/cancel", post(withdraw::cancel))
        .route("/scan", get(scan::page).post(scan::scan).layer(DefaultBodyLimit::max(scan::PICTURE_BYTES)))
        .route("/q/{token}", get(scan::landing))
        .route("/s/{token}", get(static_code::open).post(static_code::place))
        .route("/s/{token}/sheet", get(static_code::sheet))
        .route("/guest/{token}", get(pay::guest))
        .route("/pay/{token}", get(pay::page).post(pay::pay))
        .route("/pay/{token}/passkey", post(pay::passkey))
        .route("/pay/jsapi", get(call_up::jsapi))
        .route("/pay/app", get(call_up::app))
        .route("/pay/h5", get(call_up::h5))
        .route("/js/koudai-pay.js", get(call_up::script))
        .route("/connect/oauth2/authorize", get(connect::authorize))
        .route("/code", get(codes::page))
        .route("/code/on", post(codes::switch_on))
        .route("/code/off", post(codes::switch_off))
        .route("/code/method", post(codes::choose))
        .route("/code/news", get(codes::news))
        .route("/code/{order}", get(codes::order).post(codes::confirm))
        .route("/code/{order}/passkey", post(codes::passkey))
        .route("/code/{order}/decline", post(codes::decline))
        .route("/transfers", get(transfers::list))
        .route("/transfers/{id}", get(transfers::page).post(transfers::receive))
        .route("/wallets/{network}", get(elsewhere::page))
        .route("/wallets/{network}/link", post(elsewhere::link))
        .route("/wallets/{network}/unlink", post(elsewhere::unlink))
        .route("/elsewhere/{network}/who", get(elsewhere::ask_who))
        .route("/elsewhere/{network}/back", get(elsewhere::back))
        .route("/elsewhere/{id}/give-up", post(elsewhere::give_up))
        .route("/elsewhere/{id}", get(elsewhere::returned))
        .route("/records", get(bills::list))
        .route("/records/{id}", get(records::record))
        .route("/static/{file}", get(asset))
        .fallback(nothing_here)
        .method_not_allowed_fallback(form_only)
        .layer(middleware::from_fn(answer::protect))
        .layer(middleware::from_fn(visit::name_and_log))
}

/// Signing in, and what guards an account.
fn guarding() -> Router<App> {
    Router::new()
        .route("/login", get(sign_in::page).post(sign_in::sign_in))
        .route("/login/code", get(sign_in::code_page).post(sign_in::send_code))
        .route("/login/password", post(sign_in::by_password))
        .route("/login/passkey", get(passkeys::sign_in_options).post(passkeys::sign_in))
        .route("/login/second", get(two_steps::login_page).post(two_steps::finish))
        .route("/login/second/code", post(two_steps::send_login_code))
        .route("/logout", post(sign_in::sign_out))
        .route("/payment-password", get(payment_password::first).post(payment_password::set))
        .route("/payment-password/new", get(payment_password::new).post(payment_password::renew))
        .route(
            "/payment-password/change",
            get(payment_password::change).post(payment_password::prove_for_change),
        )
        .route(
            "/payment-password/forgot",
            get(payment_password::forgot).post(payment_password::prove_for_reset),
        )
        .route("/payment-password/forgot/code", post(payment_password::send_code))
        .route("/security", get(security::home))
        .route("/security/proof", get(security::proof).post(security::prove))
        .route("/security/proof/code", post(security::send_proof))
        .route("/security/proof/passkey", get(passkeys::proof_options).post(passkeys::prove))
        .route("/security/proof/second", get(two_steps::proof_page).post(two_steps::prove))
        .route("/security/proof/second/code", post(two_steps::send_proof_code))
        .route("/security/two-steps", get(two_steps::home))
        .route("/security/two-steps/app", get(two_steps::app).post(two_steps::offer_app))
        .route("/security/two-steps/app/confirm", post(two_steps::confirm_app))
        .route("/security/two-steps/app/remove", post(two_steps::remove_app))
        .route("/security/two-steps/codes", post(two_steps::set_by_code))
        .route("/security/two-steps/recovery", post(two_steps::renew_recovery))
        .route("/security/phone", get(security::phone).post(security::set_phone))
        .route("/security/phone/code", post(security::send_phone_code))
        .route("/security/email", get(security::email).post(security::set_email))
        .route("/security/email/code", post(security::send_email_code))
        .route("/security/email/remove", post(security::remove_email))
        .route("/security/password", get(security::password).post(security::set_password))
        .route("/security/password/remove", post(security::remove_password))
        .route("/security/passkeys", get(passkeys::list).post(passkeys::add))
        .route("/security/passkeys/new", get(passkeys::new_options))
        .route("/security/passkeys/{id}", get(passkeys::page))
        .route("/security/passkeys/{id}/pay", post(passkeys::let_pay))
        .route("/security/passkeys/{id}/pay/off", post(passkeys::let_pay_no_more))
        .route("/security/passkeys/{id}/remove", post(passkeys::remove))
}

/// Getting back what was lost, and freezing an account.
fn recovering() -> Router<App> {
    Router::new()
        .route("/recover", get(recover::home))
        .route("/recover/password", get(recover::password).post(recover::begin))
        .route("/recover/password/code", post(recover::send_code))
        .route("/recover/password/new", get(recover::new_password).post(recover::set_password))
        .route("/recover/phone", get(recover::phone).post(recover::begin_phone))
        .route("/recover/phone/new", get(recover::new_phone).post(recover::set_phone))
        .route("/recover/phone/new/code", post(recover::send_phone_code))
        .route("/recover/proof", get(recover::proof).post(recover::prove))
        .route("/recover/proof/passkey", get(recover::passkey_options).post(recover::prove_by_passkey))
        .route("/recover/done", get(recover::done_page))
        .route("/freeze", get(freeze::form).post(freeze::by_code))
        .route("/freeze/{word}", get(freeze::link).post(freeze::by_link))
}

async fn asset(Path(file): Path<String>) -> Response {
    match assets::find(&format!("/static/{file}")) {
        // The name carries the content's hash, so it may be kept for ever.
        Some((bytes, kind)) => {
            ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "public, max-age=31536000, immutable")], bytes)
                .into_response()
        }
        None => axum::http::StatusCode::NOT_FOUND.into_response(),
    }
}

/// An address that only a form is sent to, opened as a page, as after signing in or going back: the page above it has the form.
async fn form_only(visit: Visit, method: Method) -> Response {
    let above =
        visit.path.rsplit_once('/').map_or("/", |(above, _)| if above.is_empty() { "/" } else { above });
    if visit.json || method != Method::GET {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    answer::go(above)
}

async fn nothing_here(visit: Visit) -> Response {
    visit.refuse(Refusal::RecordUnknown)
}
