//! Back to the merchant: where the payer of an order came from, and how the way back says what became of it.
//!
//! The browser remembers it, in a cookie of the order's own page. It is judged by the merchant's registered domains whenever
//! it is shown, so nothing depends on who wrote the cookie.

use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use koudai_core::rows::Merchant;
use koudai_networks::{Reach, return_address, with_parameters};

use super::sign_in::{cookie_text, set_cookie};
use super::visit::CAME_FROM;

/// How long the browser remembers it, in seconds: as long as a code lives.
const KEPT_S: i64 = 2 * 60 * 60;

/// By which way the payer came, which decides how the result is put into the address. It is a hint for the page and no
/// proof of anything: the merchant believes a notification or a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// A page of the merchant's, by the script of ours.
    Jsapi,
    /// The merchant's app.
    App,
    /// A browser, by an `h5_url`.
    H5,
}

/// What the merchant's page is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Paid,
    Cancelled,
    Failed,
}

impl Way {
    const ALL: [Self; 3] = [Self::Jsapi, Self::App, Self::H5];

    const fn word(self) -> &'static str {
        match self {
            Self::Jsapi => "jsapi",
            Self::App => "app",
            Self::H5 => "h5",
        }
    }

    /// Lets the browser remember the address while the page at `path` is of use. `None` forgets one from before.
    pub(super) fn remember(self, response: &mut Response, path: &str, address: Option<&str>, secure: bool) {
        let (value, life) = match address {
            Some(address) => (format!("{}.{}", self.word(), URL_SAFE_NO_PAD.encode(address)), KEPT_S),
            None => (String::new(), 0),
        };
        set_cookie(response, &cookie_text(CAME_FROM, &value, path, life, secure));
    }
}

/// The way back for an order's payer, if they came from a page of this merchant's that may be returned to.
pub(super) fn way_back(
    came_from: Option<&str>,
    reach: Reach,
    merchant: &Merchant,
    outcome: Outcome,
) -> Option<String> {
    let (word, address) = came_from?.split_once('.')?;
    let way = Way::ALL.into_iter().find(|way| way.word() == word)?;
    let address = String::from_utf8(URL_SAFE_NO_PAD.decode(address).ok()?).ok()?;
    let url = return_address(reach, &merchant.h5_domains, &address)?;
    let parameter = match (way, outcome) {
        (Way::H5, _) => return Some(url.to_string()),
        (Way::Jsapi, Outcome::Paid) => ("get_brand_wcpay_request", "ok"),
        (Way::Jsapi, Outcome::Cancelled) => ("get_brand_wcpay_request", "cancel"),
        (Way::Jsapi, Outcome::Failed) => ("get_brand_wcpay_request", "fail"),
        (Way::App, Outcome::Paid) => ("errCode", "0"),
        (Way::App, Outcome::Cancelled) => ("errCode", "-2"),
        (Way::App, Outcome::Failed) => ("errCode", "-1"),
    };
    Some(with_parameters(url, &[parameter]).to_string())
}
