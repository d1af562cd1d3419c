//! What holds for every page, in both languages, whatever is in it.

#[path = "../examples/gallery.rs"]
#[expect(unreachable_pub, reason = "the file is also an example of its own")]
mod gallery;

use koudai_core::money::Money;
use koudai_web::assets;
use koudai_web::say::Lang;
use koudai_web::wallet::pages::{Confirming, LandingPage, LoginPage, LoginWay, Method, PayPage, Template};

const LANGS: [Lang; 2] = [Lang::Zh, Lang::En];

fn every_page() -> impl Iterator<Item = (Lang, &'static str, String)> {
    LANGS.into_iter().flat_map(|l| gallery::pages(l).into_iter().map(move |(name, html)| (l, name, html)))
}

/// The start tags of a page, from `<` to `>`; no attribute of ours holds a bare `>`.
fn tags(html: &str) -> Vec<&str> {
    html.split('<')
        .skip(1)
        .filter(|rest| rest.starts_with(|c: char| c.is_ascii_alphabetic()))
        .map(|rest| rest.split('>').next().unwrap_or(rest))
        .collect()
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    tag.split_once(&format!(" {name}=\""))?.1.split('"').next()
}

fn has_attribute(tag: &str, name: &str) -> bool {
    tag.split_ascii_whitespace().any(|part| part == name || part.starts_with(&format!("{name}=")))
}

#[test]
fn every_page_is_in_its_language_and_ends() {
    for (l, name, html) in every_page() {
        assert!(html.contains(&format!("<html lang=\"{}\">", l.tag())), "{name}");
        assert!(html.trim_end().ends_with("</html>"), "{name}");
        assert!(!html.contains("undefined") && !html.contains("None"), "{name}");
        let chinese = html
            .lines()
            // The way to the other language is written in the other language.
            .filter(|line| !line.contains("href=\"/lang/"))
            .any(|line| line.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c)));
        assert_eq!(chinese, l == Lang::Zh, "{name} in {l}");
    }
}

#[test]
fn no_page_needs_more_than_the_strict_content_policy_allows() {
    for (_, name, html) in every_page() {
        for tag in tags(&html) {
            let element = tag.split_ascii_whitespace().next().unwrap_or_default();
            assert_ne!(element, "style", "{name}");
            assert!(!has_attribute(tag, "style"), "{name}: <{tag}>");
            for part in tag.split_ascii_whitespace().skip(1) {
                assert!(!part.starts_with("on") || !part.contains('='), "{name}: <{tag}>");
                assert!(!part.contains("javascript:"), "{name}: <{tag}>");
            }
            if element == "script" {
                let src = attribute(tag, "src").unwrap_or_else(|| panic!("{name}: an inline script"));
                assert!(assets::find(src).is_some(), "{name}: {src} is not served");
            }
            if element == "link" {
                let href = attribute(tag, "href").unwrap();
                assert!(assets::find(href).is_some(), "{name}: {href} is not served");
            }
        }
    }
}

#[test]
fn every_field_has_a_label_and_every_button_a_name() {
    for (_, name, html) in every_page() {
        let tags = tags(&html);
        let ids: Vec<_> = tags.iter().filter_map(|tag| attribute(tag, "id")).collect();
        for tag in tags.iter().filter(|tag| tag.starts_with("input ")) {
            if attribute(tag, "type") == Some("hidden") {
                continue;
            }
            let id = attribute(tag, "id").unwrap_or_else(|| panic!("{name}: <{tag}> has no id"));
            assert!(html.contains(&format!("<label for=\"{id}\"")), "{name}: no label for {id}");
            assert_eq!(ids.iter().filter(|other| **other == id).count(), 1, "{name}: two of {id}");
        }
        for rest in html.split("<button").skip(1) {
            let (tag, rest) = rest.split_once('>').unwrap();
            let text = rest.split("</button>").next().unwrap();
            let words = text.split('<').filter_map(|part| part.split_once('>').map(|(_, t)| t));
            let named = has_attribute(tag, "aria-label")
                || !text.split('<').next().unwrap_or("").trim().is_empty()
                || words.into_iter().any(|t| !t.trim().is_empty());
            assert!(named, "{name}: <button{tag}> says nothing");
        }
    }
}

#[test]
fn every_figure_of_money_carries_its_minor_units_and_is_read_as_money() {
    let mut figures = 0;
    for (l, name, html) in every_page() {
        for tag in tags(&html)
            .into_iter()
            .filter(|tag| tag.starts_with("span class=\"amount") && tag.contains("data-"))
        {
            let minor = attribute(tag, "data-minor").unwrap_or_else(|| panic!("{name}: <{tag}>"));
            assert!(minor.parse::<i64>().is_ok_and(|minor| minor >= 0), "{name}: <{tag}>");
            let label = attribute(tag, "aria-label").unwrap_or_else(|| panic!("{name}: <{tag}>"));
            assert!(label.ends_with(l.say("元", " yuan")), "{name}: <{tag}>");
            figures += 1;
        }
    }
    assert!(figures > 50, "the samples show money");
}

#[test]
fn payment_passwords_and_security_codes_are_never_filled_in_or_shown() {
    for (_, name, html) in every_page() {
        for tag in tags(&html).into_iter().filter(|tag| tag.starts_with("input ")) {
            let field = attribute(tag, "name").unwrap_or_default();
            if field == "expiry" {
                assert_eq!(attribute(tag, "value"), None, "{name}: {field}");
            }
            if field.starts_with("payment_password") || field == "cvv" {
                assert_eq!(attribute(tag, "type"), Some("password"), "{name}: {field}");
                assert_eq!(attribute(tag, "autocomplete"), Some("off"), "{name}: {field}");
                assert_eq!(attribute(tag, "inputmode"), Some("numeric"), "{name}: {field}");
                assert_eq!(attribute(tag, "value"), None, "{name}: {field}");
            }
            if field == "agree" {
                assert!(!has_attribute(tag, "checked"), "{name}: agreed to for the person");
            }
        }
    }
}

const HOSTILE: &str = "<script>alert('x')</script>\" onload=\"y";

#[test]
fn what_others_wrote_is_shown_as_text_and_never_runs() {
    for l in LANGS {
        let pay = PayPage {
            l,
            token: "t".into(),
            merchant: HOSTILE.into(),
            verified: false,
            first_time: false,
            description: HOSTILE.into(),
            amount: Money::fen(1).unwrap(),
            order_no: HOSTILE.into(),
            methods: vec![Method {
                method: "balance".into(),
                label: HOSTILE.into(),
                balance: None,
                unusable: None,
            }],
            chosen: None,
            failed: None,
            confirming: Confirming::Password,
            refused: None,
            back: Some(format!("https://shop.example/?{HOSTILE}")),
        };
        let landing =
            LandingPage { l, token: "t".into(), merchant: HOSTILE.into(), verified: false, signed_in: false };
        let login = LoginPage {
            l,
            next: Some(HOSTILE.into()),
            way: LoginWay::CodeToPhone,
            contact: HOSTILE.into(),
            email_offered: true,
            passkeys: true,
            resend_in_s: 0,
            refused: None,
        };
        for html in [pay.render().unwrap(), landing.render().unwrap(), login.render().unwrap()] {
            assert!(!html.contains("<script>"), "{html}");
            assert!(!html.contains("\" onload"), "{html}");
            assert!(html.contains("&#60;script&#62;") || html.contains("&lt;script&gt;"), "{html}");
        }
    }
}

#[test]
fn a_bilingual_reader_finds_the_way_to_the_other_language_with_the_destination_kept() {
    let page = LoginPage {
        l: Lang::Zh,
        next: Some("/pay/a?b=c&d".into()),
        way: LoginWay::Phone,
        contact: String::new(),
        email_offered: true,
        passkeys: true,
        resend_in_s: 0,
        refused: None,
    };
    let html = page.render().unwrap();
    // `back` is /login?next=/pay/a?b=c&d, whose next is percent-encoded once for each of the two addresses it is in.
    assert!(
        html.contains("href=\"/lang/en?back=%2Flogin%3Fnext%3D%252Fpay%252Fa%253Fb%253Dc%2526d\""),
        "{html}"
    );
}

#[test]
fn a_weak_payment_password_is_told_once() {
    for (l, name, html) in
        every_page().filter(|(_, name, _)| ["payment-password", "payment-password-refused"].contains(name))
    {
        let rule = l.say("不能使用手机号", "No phone number");
        let told =
            html.split('<').filter_map(|part| part.split_once('>')).filter(|(_, text)| text.contains(rule));
        assert_eq!(told.count(), 1, "{name} in {l}");
    }
}

#[test]
fn a_first_view_is_light() {
    let served = |path: &str| assets::find(path).map_or(0, |(bytes, _)| bytes.len());
    assert!(served(assets::url("app.css")) < 15_000, "{}", served(assets::url("app.css")));
    for (_, name, html) in every_page() {
        let linked: usize = tags(&html)
            .into_iter()
            .filter_map(|tag| attribute(tag, "src").or_else(|| attribute(tag, "href")))
            .map(served)
            .sum();
        let total = html.len() + linked + served(assets::url("say.js"));
        assert!(total < 60_000, "{name} is {total} bytes");
    }
}
