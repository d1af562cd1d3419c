//! Writes every page with sample data, in both languages, to the directory given as argument, with its stylesheet and
//! scripts beside, so that the look can be judged without a running wallet:
//!
//! ```sh
//! cargo run -p koudai-web --example gallery -- /tmp/gallery && python3 -m http.server -d /tmp/gallery 8000
//! ```
//!
//! The pages are then at `http://localhost:8000/zh/home.html` and so on. `tests/pages.rs` reads the same samples.

#![allow(dead_code, reason = "tests/pages.rs includes this file for its samples and leaves `main` alone")]

use std::path::{Path, PathBuf};

use koudai_core::cool_down::CoolDown;
use koudai_core::money::{Money, RatePpm};
use koudai_core::refusal::Refusal;
use koudai_core::rows::Speed;
use koudai_core::time::{DAY, HOUR, MINUTE, SECOND, Timestamp};
use koudai_web::assets;
use koudai_web::say::Lang;
use koudai_web::wallet::barcode;
use koudai_web::wallet::months::Month;
use koudai_web::wallet::pages::{
    AppEndPage, AppLine, AppPage, AppThatWorks, AppsPage, AuthenticatorPage, BindingPage, BindingState,
    CardKind, CardLine, CardNewPage, CardPage, CardsPage, ChangePaymentPasswordPage, CodeOffPage, CodePage,
    CodeRequestPage, CodeResultPage, CodeState, Confirming, Direction, EmailPage, Event,
    ForgotPaymentPasswordPage, FreezeBy, FreezePage, Holder, HomePage, How, LandingPage, LastCodePayment,
    LeavingPage, Link, LoginPage, LoginPasswordPage, LoginWay, Method, MonthOfRecords, NewPhonePage,
    PageOfRecords, PasskeyLine, PasskeyPage, PasskeysPage, PayPage, PayResultPage, PayState,
    PaymentPasswordPage, ProofPage, ProofWay, Protected, RecordKind, RecordLine, RecordPage, RecordState,
    RecordsPage, RecoverContactPage, RecoverDonePage, RecoverPage, RecoverPhonePage, RecoverProofPage,
    RecoveredPasswordPage, RecoveryCodesPage, RefundNotice, RefusalPage, Refused, ReturningPage, ScanPage,
    SecondStepPage, SecondWay, SecurityPage, SpeedLine, StaticAppsPage, StaticCodePage, StatusPage,
    TermsPage, TopUpPage, TopUpResultPage, TopUpState, TransferLine, TransferPage, TransferStanding,
    TransfersPage, TwoStepsPage, Unusable, WalletLine, WalletPage, Way, WithdrawPage, WithdrawResultPage,
    WithdrawState,
};

fn main() -> std::io::Result<()> {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: gallery DIRECTORY");
        std::process::exit(2);
    };
    for l in [Lang::Zh, Lang::En] {
        for (name, html) in pages(l) {
            write(&directory.join(l.to_string()).join(format!("{name}.html")), html.as_bytes())?;
        }
    }
    for path in assets::paths() {
        let (bytes, _) = assets::find(path).expect("a listed path is found");
        write(&directory.join(path.trim_start_matches('/')), bytes)?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    std::fs::create_dir_all(path.parent().expect("a file stands in a directory"))?;
    std::fs::write(path, bytes)
}

/// 23 November 2026, 12:05:09 in China.
const NOW: Timestamp = Timestamp(1_795_406_709_000);
const TOKEN: &str = "7Qm2vXr9TzKp4bNd";
const REFERENCE: &str = "2026112304050912345678901234";

/// Every page there is, by name.
pub fn pages(l: Lang) -> Vec<(&'static str, String)> {
    let mut pages = Vec::new();
    let mut add = |name, page: &dyn askama::DynTemplate| {
        pages.push((name, page.dyn_render().expect("a page of plain data renders")));
    };
    accounts(l, &mut add);
    security(l, &mut add);
    recovery(l, &mut add);
    two_steps(l, &mut add);
    payment_passwords(l, &mut add);
    cards(l, &mut add);
    top_ups(l, &mut add);
    withdrawals(l, &mut add);
    payments(l, &mut add);
    static_codes(l, &mut add);
    transfers(l, &mut add);
    codes(l, &mut add);
    records(l, &mut add);
    apps(l, &mut add);
    info(l, &mut add);
    pages
}

fn recovery(l: Lang, add: &mut Add) {
    add("recover", &RecoverPage { l, email_offered: true });
    let contact = |by_email, code_sent| RecoverContactPage {
        l,
        by_email,
        email_offered: true,
        contact: if code_sent { "13800138000".into() } else { String::new() },
        code_sent,
        resend_in_s: 42,
        refused: None,
    };
    add("recover-password", &contact(true, false));
    add("recover-password-code", &contact(false, true));
    let account = String::new();
    add("recover-phone", &RecoverPhonePage { l, email_offered: true, account, refused: None });
    let proof = |way, ways: &[ProofWay], passkey| RecoverProofPage {
        l,
        way,
        ways: ways.to_vec(),
        passkey,
        refused: None,
    };
    add("recover-proof-card", &proof(Some(ProofWay::Card), &[ProofWay::Card], true));
    let steps = [ProofWay::App, ProofWay::Recovery];
    add("recover-proof-app", &proof(Some(ProofWay::App), &steps, false));
    add("recover-proof-recovery", &proof(Some(ProofWay::Recovery), &steps, false));
    add("recover-new-password", &RecoveredPasswordPage { l, refused: None });
    let phone = |action, present: Option<&str>, sent_to: Option<&str>| NewPhonePage {
        l,
        action,
        present: present.map(str::to_owned),
        sent_to: sent_to.map(str::to_owned),
        resend_in_s: 42,
        refused: None,
    };
    add("security-phone", &phone("/security/phone", Some("138****8000"), None));
    add("recover-new-phone", &phone("/recover/phone/new", None, Some("13900139000")));
    for (name, is_phone) in [("recover-done-password", false), ("recover-done-phone", true)] {
        add(name, &RecoverDonePage { l, is_phone, hours: 24, spend_most: fen(50_000) });
    }
    let freeze = |by, refused| FreezePage { l, by, refused };
    add("freeze-code", &freeze(FreezeBy::Code { phone: String::new() }, None));
    let wrong = Some(refused(l, Refusal::FreezeWordWrong));
    add("freeze-code-wrong", &freeze(FreezeBy::Code { phone: "13800138000".into() }, wrong));
    add("freeze-link", &freeze(FreezeBy::Link { word: "ABCDEFGHJK".into() }, None));
    add("freeze-done", &freeze(FreezeBy::Done, None));
}

fn security(l: Lang, add: &mut Add) {
    let at = Some(NOW);
    let security = |email: Option<&str>, set_at, passkeys| SecurityPage {
        l,
        protected: None,
        phone: "138****8000".into(),
        email: email.map(str::to_owned),
        email_offered: true,
        password_set_at: set_at,
        passkeys,
        passkeys_offered: true,
        payment_password_set_at: set_at,
        two_steps: passkeys > 0,
    };
    add("security-new", &security(None, None, 0));
    add("security", &security(Some("a***@mail.example"), at, 2));
    let proof = |code_sent, passkey| ProofPage {
        l,
        next: "/security/email".into(),
        phone: "138****8000".into(),
        code_sent,
        resend_in_s: 42,
        passkey,
        refused: None,
    };
    add("security-proof", &proof(false, true));
    add("security-proof-code", &proof(true, false));
    let email = |present: Option<&str>, sent_to: Option<&str>| EmailPage {
        l,
        present: present.map(str::to_owned),
        sent_to: sent_to.map(str::to_owned),
        refused: None,
    };
    add("security-email", &email(None, None));
    add("security-email-code", &email(Some("a***@mail.example"), Some("bob@mail.example")));
    add("security-password", &LoginPasswordPage { l, set_at: None, refused: None });
    let common = Some(refused(l, Refusal::LoginPasswordCommon));
    add("security-password-refused", &LoginPasswordPage { l, set_at: at, refused: common });
    let line = |name: &str, used_at, pays| PasskeyLine {
        id: "AAAA".into(),
        name: name.into(),
        added_at: NOW,
        used_at,
        pays,
    };
    add("security-passkeys-new", &PasskeysPage { l, lines: vec![], offered: true });
    let lines = vec![line("iPhone", at, true), line("YubiKey", None, false)];
    add("security-passkeys", &PasskeysPage { l, lines, offered: true });
    let one = |line, has_payment_password| PasskeyPage { l, line, has_payment_password, refused: None };
    add("security-passkey", &one(line("YubiKey", None, false), true));
    add("security-passkey-pays", &one(line("iPhone", at, true), true));
}

fn two_steps(l: Lang, add: &mut Add) {
    let at = Some(NOW);
    let two = |app_since, by_code, email: Option<&str>, recovery_left| TwoStepsPage {
        l,
        app_since,
        by_code,
        email: email.map(str::to_owned),
        email_offered: true,
        phone: "138****8000".into(),
        recovery_left,
        refused: None,
    };
    add("two-steps-off", &two(None, false, None, None));
    add("two-steps", &two(at, true, Some("a***@mail.example"), Some(8)));
    let app = |since, drawn: Option<String>| AuthenticatorPage {
        l,
        since,
        secret: "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP".into(),
        link: "otpauth://totp/Koudai".into(),
        drawn,
        refused: None,
    };
    add("authenticator-off", &app(None, None));
    add("authenticator-on", &app(at, None));
    add(
        "authenticator-new",
        &app(
            None,
            barcode::squares(
                "otpauth://totp/Koudai:138****8000?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Koudai",
            ),
        ),
    );
    let codes = (0..10).map(|n| format!("ABCD{n}-EFGH{n}")).collect();
    add("recovery-codes", &RecoveryCodesPage { l, codes });
    let second = |signs_in, way, code_sent, refused| SecondStepPage {
        l,
        signs_in,
        path: if signs_in { "/login/second" } else { "/security/proof/second" },
        way,
        ways: vec![SecondWay::App, SecondWay::Code, SecondWay::Recovery],
        sent_to: "a***@mail.example".into(),
        code_sent,
        resend_in_s: 42,
        passkey: true,
        next: None,
        refused,
    };
    add("second-step", &second(true, SecondWay::App, false, None));
    add("second-step-code", &second(true, SecondWay::Code, true, None));
    let wrong = Some(refused(l, Refusal::SecondStepWrong));
    add("second-step-refused", &second(true, SecondWay::Recovery, false, wrong));
    add("proof-second-step", &second(false, SecondWay::Code, false, None));
}

fn payment_passwords(l: Lang, add: &mut Add) {
    add("payment-password-change", &ChangePaymentPasswordPage { l, refused: None });
    let forgot = |code_sent, cards| ForgotPaymentPasswordPage {
        l,
        phone: "138****8000".into(),
        code_sent,
        resend_in_s: 42,
        cards,
        refused: None,
    };
    add("payment-password-forgot", &forgot(false, card_lines(l)));
    add("payment-password-forgot-code", &forgot(true, card_lines(l)));
    add("payment-password-forgot-no-card", &forgot(false, vec![]));
}

type Add<'a> = dyn FnMut(&'static str, &dyn askama::DynTemplate) + 'a;

fn accounts(l: Lang, add: &mut Add) {
    let login = |way, refused| LoginPage {
        l,
        next: Some(format!("/q/{TOKEN}")),
        way,
        contact: match way {
            LoginWay::CodeToPhone => "13800138000".into(),
            LoginWay::CodeToEmail => "anna@mail.example".into(),
            _ => String::new(),
        },
        email_offered: true,
        passkeys: true,
        resend_in_s: 60,
        refused,
    };
    add("login", &login(LoginWay::Phone, None));
    add("login-email", &login(LoginWay::Email, None));
    add("login-password", &login(LoginWay::Password, None));
    add("login-code", &login(LoginWay::CodeToPhone, None));
    add("login-code-email", &login(LoginWay::CodeToEmail, None));
    let wrong = Some(refused(l, Refusal::CodeWrong { tries_left: 3 }));
    add("login-refused", &login(LoginWay::CodeToPhone, wrong));
    add("login-password-refused", &login(LoginWay::Password, Some(refused(l, Refusal::SignInWrong))));
    add(
        "payment-password",
        &PaymentPasswordPage {
            l,
            action: "/payment-password",
            next: None,
            phone_end: "138000".into(),
            refused: None,
        },
    );
    add(
        "payment-password-refused",
        &PaymentPasswordPage {
            l,
            action: "/payment-password",
            next: Some("/".into()),
            phone_end: "138000".into(),
            refused: Some(refused(l, Refusal::PaymentPasswordWeak)),
        },
    );
    add(
        "home-new",
        &HomePage {
            l,
            protected: None,
            phone: "138****8000".into(),
            balance: fen(0),
            cards: 0,
            has_payment_password: false,
            transfers: Vec::new(),
            more_transfers: false,
            refund: None,
            recent: Vec::new(),
        },
    );
    add(
        "home",
        &HomePage {
            l,
            protected: Some(Protected { cool_down: CoolDown::Closed { until: NOW }, most: fen(50_000) }),
            phone: "138****8000".into(),
            balance: fen(123_456),
            cards: 2,
            has_payment_password: true,
            transfers: transfer_lines(l),
            more_transfers: true,
            refund: Some(RefundNotice {
                amount: fen(2_999),
                merchant: l.say("校园书店", "Campus Books").into(),
                record_id: REFERENCE.into(),
            }),
            recent: lines(l).into_iter().take(3).collect(),
        },
    );
}

fn transfer_lines(l: Lang) -> Vec<TransferLine> {
    let line = |merchant: (&str, &str), remark: (&str, &str), amount| TransferLine {
        id: REFERENCE.into(),
        merchant: l.say(merchant.0, merchant.1).into(),
        remark: l.say(remark.0, remark.1).into(),
        amount: fen(amount),
        until: NOW.plus(DAY),
    };
    vec![
        line(("校园书店", "Campus Books"), ("十一月稿费", "Fee for November"), 123_456),
        line(("学一食堂", "Canteen One"), ("新会员奖励", "Welcome gift"), 500),
    ]
}

fn transfers(l: Lang, add: &mut Add) {
    let page = |state, perception: Option<(&str, &str)>| TransferPage {
        l,
        line: transfer_lines(l).remove(0),
        perception: perception.map(|(zh, en)| l.say(zh, en).into()),
        bill_no: "plfk2020042013".into(),
        state,
    };
    let frozen = Refused::new(Refusal::AccountFrozen, l, REFERENCE);
    let overdue = Refused::new(Refusal::TransferOverdue, l, REFERENCE);
    add("transfers", &TransfersPage { l, lines: transfer_lines(l) });
    add("transfers-empty", &TransfersPage { l, lines: vec![] });
    add("transfer", &page(TransferStanding::Waiting(None), Some(("劳务报酬", "Pay for work"))));
    add("transfer-refused", &page(TransferStanding::Waiting(Some(frozen)), None));
    add("transfer-received", &page(TransferStanding::Received(NOW), None));
    add("transfer-over", &page(TransferStanding::Over(overdue), None));
}

fn cards(l: Lang, add: &mut Add) {
    let wallets = || {
        let line = |network, zh, en, linked| WalletLine { network, name: l.say(zh, en).into(), linked };
        vec![line(1_002, "微信支付", "WeChat Pay", true), line(1_003, "支付宝", "Alipay", false)]
    };
    add("cards-empty", &CardsPage { l, cards: Vec::new(), wallets: Vec::new() });
    add("cards", &CardsPage { l, cards: card_lines(l), wallets: wallets() });
    let wallet = |link, refused| WalletPage {
        l,
        network: 1_002,
        wallet: l.say("微信支付", "WeChat Pay").into(),
        app: l.say("微信", "WeChat").into(),
        up: true,
        link,
        has_payment_password: true,
        refused,
    };
    add("wallet", &wallet(Link::Possible, None));
    add("wallet-only-there", &wallet(Link::OnlyThere, None));
    add("wallet-just-linked", &wallet(Link::JustNow, None));
    add("wallet-refused", &wallet(Link::Possible, Some(refused(l, Refusal::WalletDidNotSay))));
    let url = "https://elsewhere.example/who".to_owned();
    add("leaving", &LeavingPage { l, app: l.say("微信", "WeChat").into(), url });
    let new = |kind, holder, refused: Option<Refused>| CardNewPage {
        l,
        asks_pin: true,
        binding_id: REFERENCE.into(),
        holder,
        number: if refused.is_some() { "6225 7500 0000 0001".into() } else { String::new() },
        name: String::new(),
        id_number: String::new(),
        phone: String::new(),
        kind,
        refused,
    };
    add("card-new", &new(CardKind::Debit, None, None));
    let holder = Holder { name: l.say("**明", "J*** S***").into(), id_number: "3****************X".into() };
    add(
        "card-new-credit",
        &new(CardKind::Credit, Some(holder), Some(refused(l, Refusal::CardNumberInvalid))),
    );
    let binding = |state, refused| BindingPage {
        l,
        binding_id: REFERENCE.into(),
        bank: l.say("招商银行", "China Merchants Bank").into(),
        kind: CardKind::Debit,
        last4: "1234".into(),
        phone: "138****5678".into(),
        state,
        resend_in_s: 60,
        refused,
    };
    add("binding", &binding(BindingState::CodeSent, None));
    add("binding-wrong-code", &binding(BindingState::CodeSent, Some(refused(l, Refusal::BankCodeWrong))));
    add("binding-verifying", &binding(BindingState::Verifying, None));
    add("binding-bound", &binding(BindingState::Bound("1".into()), None));
    add("binding-failed", &binding(BindingState::Failed(refused(l, Refusal::CardDetailsMismatch)), None));
    let card = |just_bound, has_payment_password| CardPage {
        l,
        card: card_lines(l).remove(0),
        just_bound,
        has_payment_password,
        refused: None,
    };
    add("card", &card(false, true));
    add("card-just-bound", &card(true, false));
}

const ELSEWHERE: &str = "https://elsewhere.example/pay";

fn way(l: Lang, how: How, pays: bool) -> Way {
    Way {
        id: REFERENCE.into(),
        app: l.say("微信", "WeChat").into(),
        how,
        pays,
        here: format!("/pay/{TOKEN}"),
        until: NOW.plus(5 * MINUTE),
    }
}

fn top_ups(l: Lang, add: &mut Add) {
    let form = |cards, amount: &str, refused| TopUpPage {
        l,
        attempt_id: REFERENCE.into(),
        cards,
        chosen: None,
        amount: amount.into(),
        balance: fen(123_456),
        least: fen(100),
        most: fen(5_000_000),
        day_left: fen(9_800_000),
        fee: RatePpm::new(0).expect("below one million"),
        has_payment_password: true,
        by_passkey: false,
        refused,
    };
    add("top-up", &form(card_lines(l), "200.00", None));
    add("top-up-no-card", &form(Vec::new(), "", None));
    let range = Refusal::AmountOutOfRange { least: fen(100), most: fen(5_000_000) };
    add("top-up-refused", &form(card_lines(l), "80000", Some(refused(l, range))));
    let result = |state| TopUpResultPage {
        l,
        attempt_id: REFERENCE.into(),
        state,
        amount: fen(20_000),
        fee: fen(0),
        card: card_lines(l)[0].name(l),
        at: NOW,
    };
    let done = TopUpState::Succeeded { record_id: REFERENCE.into(), balance: fen(143_456) };
    add("top-up-succeeded", &result(done));
    add("top-up-pending", &result(TopUpState::Pending { since: NOW }));
    add("top-up-elsewhere", &result(TopUpState::Elsewhere(way(l, How::Visit(ELSEWHERE.into()), true))));
    add("top-up-failed", &result(TopUpState::Failed(refused(l, Refusal::CardInsufficientFunds))));
}

fn withdrawals(l: Lang, add: &mut Add) {
    let speed = |speed, ppm, most: Option<i64>, fee: Option<i64>| SpeedLine {
        speed,
        rate: RatePpm::new(ppm).expect("below one million"),
        least_fee: fen(10),
        most: most.map(fen),
        fee: fee.map(fen),
    };
    let form = |cards, amount: &str, fees: [Option<i64>; 2], refused| WithdrawPage {
        l,
        number: REFERENCE.into(),
        cards,
        chosen: None,
        amount: amount.into(),
        speed: Speed::RealTime,
        speeds: vec![
            speed(Speed::RealTime, 1_000, Some(123_332), fees[0]),
            speed(Speed::NextDay, 0, Some(123_456), fees[1]),
        ],
        balance: fen(123_456),
        least: fen(100),
        most: fen(500_000),
        day_left: fen(980_000),
        times_left: 4,
        has_payment_password: true,
        by_passkey: false,
        refused,
    };
    add("withdraw", &form(card_lines(l), "200.00", [Some(20), Some(0)], None));
    add("withdraw-no-card", &form(Vec::new(), "", [None, None], None));
    let day = Refusal::DayWithdrawalsReached { most: fen(1_000_000), left: fen(980_000) };
    add("withdraw-refused", &form(card_lines(l), "80000", [None, None], Some(refused(l, day))));
    let result = |state| WithdrawResultPage {
        l,
        number: REFERENCE.into(),
        state,
        amount: fen(20_000),
        fee: fen(20),
        card: card_lines(l)[0].name(l),
        at: NOW,
    };
    add("withdraw-waiting", &result(WithdrawState::Waiting { due: NOW.plus(86_400_000), refused: None }));
    let receive = How::CallUp { call: "wechat-receive", parameters: "{}".into() };
    add("withdraw-elsewhere", &result(WithdrawState::Elsewhere(way(l, receive, false))));
    add("withdraw-open-there", &result(WithdrawState::Elsewhere(way(l, How::OpenThere, false))));
    add("withdraw-sending", &result(WithdrawState::Sending { since: NOW }));
    let (record_id, balance) = (REFERENCE.to_owned(), fen(103_436));
    add("withdraw-paid", &result(WithdrawState::Paid { record_id: record_id.clone(), balance }));
    add("withdraw-cancelled", &result(WithdrawState::Cancelled { record_id, balance }));
    add("withdraw-failed", &result(WithdrawState::Failed(refused(l, Refusal::CardNotUsable))));
}

fn payments(l: Lang, add: &mut Add) {
    let merchant = || l.say("学一食堂", "First Canteen").to_owned();
    add("scan", &ScanPage { l, refused: None });
    add("scan-refused", &ScanPage { l, refused: Some(refused(l, Refusal::CodeSwapped)) });
    for (name, signed_in) in [("landing", true), ("landing-signed-out", false)] {
        add(name, &LandingPage { l, token: TOKEN.into(), merchant: merchant(), verified: true, signed_in });
    }
    let pay = |balance: i64, has_payment_password, refused: Option<Refused>| PayPage {
        l,
        token: TOKEN.into(),
        merchant: merchant(),
        verified: true,
        first_time: refused.is_none(),
        description: l.say("午餐套餐两份", "Two set lunches").into(),
        amount: fen(8_800),
        order_no: "CT20261123120500017".into(),
        methods: methods(l, balance),
        chosen: None,
        failed: None,
        confirming: Confirming::of(has_payment_password, true),
        refused,
        back: None,
    };
    add("pay", &pay(123_456, true, None));
    let shop = || Some("https://shop.example/orders/17".to_owned());
    add("pay-from-shop", &PayPage { back: shop(), ..pay(123_456, true, None) });
    add("returning", &ReturningPage { l, merchant: merchant(), url: shop().unwrap_or_default() });
    add("pay-no-password", &pay(3_510, false, None));
    let wrong = Refusal::PaymentPasswordWrong { tries_left: 2 };
    add("pay-refused", &pay(3_510, true, Some(refused(l, wrong))));
    let result = |state| PayResultPage {
        l,
        here: format!("/pay/{TOKEN}"),
        again: None,
        merchant: merchant(),
        amount: fen(8_800),
        order_no: "CT20261123120500017".into(),
        state,
        back: None,
    };
    let paid = |merchant_url| PayState::Paid {
        method: card_lines(l)[0].name(l),
        at: NOW,
        record_id: REFERENCE.into(),
        merchant_url,
    };
    add("pay-paid", &result(paid(None)));
    add("pay-paid-from-shop", &result(paid(shop())));
    let over = Some(NOW.plus(10 * MINUTE));
    add("pay-given-up", &result(PayState::Pending { since: NOW, over }));
    add("pay-pending", &result(PayState::Pending { since: NOW, over: None }));
    let code = "weixin://wxpay/bizpayurl?pr=q1wK2mNzz".to_owned();
    let drawn = barcode::squares(&code).expect("a short text fits a code");
    let scan = How::Scan { code, drawn };
    add("pay-elsewhere-scan", &result(PayState::Elsewhere(way(l, scan, true))));
    add("pay-elsewhere-visit", &result(PayState::Elsewhere(way(l, How::Visit(ELSEWHERE.into()), true))));
    add("pay-elsewhere-opening", &result(PayState::Elsewhere(way(l, How::Opening, true))));
    add("pay-bank-refused", &result(PayState::Refused(refused(l, Refusal::CardInsufficientFunds))));
    add("pay-closed", &result(PayState::Closed(refused(l, Refusal::OrderClosed))));
    let expired = PayState::Expired(refused(l, Refusal::OrderExpired));
    add("pay-expired-from-shop", &PayResultPage { back: shop(), ..result(expired) });
    add("pay-expired", &result(PayState::Expired(refused(l, Refusal::OrderExpired))));
    let guests = |state| PayResultPage { again: Some(format!("/s/{TOKEN}")), ..result(state) };
    add("guest-paid", &guests(paid(None)));
    add("guest-given-up", &guests(PayState::Refused(refused(l, Refusal::NotCompleted))));
    add("pay-paid-by-another", &result(PayState::PaidByAnother(refused(l, Refusal::OrderAlreadyPaid))));
}

fn static_codes(l: Lang, add: &mut Add) {
    let merchant = l.say("学一食堂", "First Canteen").to_owned();
    let at_code = |guest: Option<&str>, refused| StaticCodePage {
        l,
        code: TOKEN.into(),
        merchant: merchant.clone(),
        label: l.say("1号窗口", "Counter 1").into(),
        verified: true,
        first_time: guest.is_some(),
        number: REFERENCE.into(),
        amount: String::new(),
        note: String::new(),
        left: fen(32_000),
        from: Some(l.say("零钱", "Balance").into()),
        guest: guest.map(str::to_owned),
        refused,
    };
    add("static-code", &at_code(None, None));
    add("static-code-guest", &at_code(Some(l.say("微信", "WeChat")), None));
    let reached = Refusal::DayStaticCodesReached { most: fen(50_000), left: fen(0) };
    add("static-code-refused", &at_code(None, Some(refused(l, reached))));
    let drawn = barcode::squares(ELSEWHERE).expect("a short text fits a code");
    let app = |name: &str, unusable| AppThatWorks { name: name.to_owned(), unusable, ask: None };
    let apps =
        vec![app(l.say("微信", "WeChat"), None), app(l.say("支付宝", "Alipay"), Some(Unusable::WalletDown))];
    let (code, label) = (TOKEN.to_owned(), l.say("1号窗口", "Counter 1").to_owned());
    let merchant = merchant.clone();
    add("static-apps", &StaticAppsPage { l, code, merchant, label, verified: true, apps, drawn });
}

fn codes(l: Lang, add: &mut Add) {
    const DIGITS: &str = "700123456789012341";
    let merchant = || l.say("学一食堂", "First Canteen").to_owned();
    let off = |has_payment_password, refused| CodeOffPage {
        l,
        has_payment_password,
        unasked_most: fen(100_000),
        unasked_a_day: 5,
        refused,
    };
    add("code-off", &off(true, None));
    add("code-off-no-password", &off(false, None));
    let wrong = Refusal::PaymentPasswordWrong { tries_left: 2 };
    add("code-off-refused", &off(true, Some(refused(l, wrong))));
    let code = |last| CodePage {
        l,
        digits: "7001 2345 6789 0123 41".into(),
        bars: barcode::bars(DIGITS).unwrap_or_default(),
        squares: barcode::squares(DIGITS).unwrap_or_default(),
        fresh_ms: 45_000,
        methods: methods(l, 123_456),
        chosen: "balance".into(),
        after: String::new(),
        last,
    };
    add("code", &code(None));
    let last = LastCodePayment { id: REFERENCE.into(), merchant: merchant(), amount: fen(8_800), paid: true };
    add("code-after-a-payment", &code(Some(last)));
    let request = |balance, refused| CodeRequestPage {
        l,
        id: REFERENCE.into(),
        merchant: merchant(),
        description: l.say("午餐套餐两份", "Two set lunches").into(),
        amount: fen(8_800),
        order_no: "CT20261123120500017".into(),
        methods: methods(l, balance),
        chosen: None,
        left_s: 42,
        by_passkey: false,
        refused,
    };
    add("code-request", &request(123_456, None));
    add("code-request-refused", &request(3_510, Some(refused(l, wrong))));
    let result = |state| CodeResultPage {
        l,
        id: REFERENCE.into(),
        merchant: merchant(),
        amount: fen(8_800),
        order_no: "CT20261123120500017".into(),
        state,
    };
    add("code-paid", &result(CodeState::Paid { method: card_lines(l)[0].name(l), at: NOW }));
    add("code-pending", &result(CodeState::Pending { since: NOW }));
}

fn records(l: Lang, add: &mut Add) {
    let (since, now) = (Month { year: 2025, month: 3 }, Month { year: 2026, month: 11 });
    let page = |place, chosen, months, older: Option<&str>| RecordsPage {
        l,
        place,
        choice: since..=now,
        chosen,
        months,
        older: older.map(str::to_owned),
    };
    add("records-empty", &page(PageOfRecords::Newest, now, vec![], None));
    let (this, last) = lines(l).into_iter().partition(|line| line.at >= NOW.plus(-20 * DAY));
    let november = month(now, fen(7_850), fen(2_999), this);
    let october = month(now.before(), fen(1_258_850), fen(0), last);
    add("records", &page(PageOfRecords::Newest, now, vec![november, october], Some(REFERENCE)));
    let old = || lines(l).into_iter().filter(|line| line.at < NOW.plus(-20 * DAY)).collect();
    let october = || month(now.before(), fen(1_258_850), fen(0), old());
    let jump = |place, chosen, months| page(place, chosen, months, None);
    add("records-month", &jump(PageOfRecords::Month(now.before()), now.before(), vec![october()]));
    add("records-empty-month", &jump(PageOfRecords::EmptyMonth(now), now, vec![october()]));
    add("records-before-the-first", &jump(PageOfRecords::NothingTill(since), since, vec![]));
    let next = now.after();
    add("records-month-to-come", &jump(PageOfRecords::MonthToCome(next), now, vec![october()]));
    add("records-no-such-month", &jump(PageOfRecords::NoSuchMonth, now, vec![october()]));
    add("records-older", &jump(PageOfRecords::Older, now.before(), vec![october()]));
    add(
        "record",
        &RecordPage {
            l,
            under_way: None,
            line: lines(l).remove(1),
            description: Some(l.say("《数据密集型应用系统设计》等两本", "Two books on databases").into()),
            next_refund: None,
            breakdown: vec![
                (l.say("银行卡", "Card").into(), fen(2_999)),
                (l.say("零钱", "Balance").into(), fen(2_001)),
            ],
            refunded: Some(fen(2_999)),
            order_no: Some("BK20261122093011002".into()),
            bank_reference: Some("CMB88012026112200012".into()),
            at_wallet: false,
            timeline: vec![
                (NOW.plus(-DAY - 4 * MINUTE), Event::Ordered),
                (NOW.plus(-DAY - MINUTE), Event::Submitted),
                (NOW.plus(-DAY - 59 * SECOND), Event::SentToBank),
                (NOW.plus(-DAY - 58 * SECOND), Event::BankAgreed),
                (NOW.plus(-DAY - 58 * SECOND), Event::Paid),
                (NOW.plus(-2 * HOUR), Event::RefundArrived),
            ],
        },
    );
}

fn apps(l: Lang, add: &mut Add) {
    let line = |id: &str, name: &str, lasts: bool| AppLine {
        id: id.into(),
        name: name.into(),
        lasts,
        per_payment: fen(100_000),
        per_day: fen(500_000),
        used_today: fen(8_800),
        since: NOW.plus(-3 * DAY),
        ended: (!lasts).then(|| NOW.plus(-DAY)),
    };
    let lines = vec![
        line("1", l.say("校园通", "Campus"), true),
        line(
            "2",
            l.say(
                "一家名字特别特别长的自助洗衣与干洗连锁店",
                "The Very Long Named Laundry and Dry Cleaning Company",
            ),
            false,
        ),
    ];
    let number = "998801139123400014".to_owned();
    add("apps-none", &AppsPage { l, number: number.clone(), proven: false, lines: vec![] });
    add("apps", &AppsPage { l, number, proven: true, lines: lines.clone() });
    let page = |line: &AppLine, refused| AppPage {
        l,
        line: line.clone(),
        per_payment: "1000.00".into(),
        per_day: "5000.00".into(),
        most: fen(5_000_000),
        refused,
    };
    add("app", &page(&lines[0], None));
    add("app-ended", &page(&lines[1], None));
    let wrong = Refusal::PaymentPasswordWrong { tries_left: 2 };
    add("app-refused", &page(&lines[0], Some(refused(l, wrong))));
    add("app-end", &AppEndPage { l, line: lines[0].clone() });
}

fn info(l: Lang, add: &mut Add) {
    let status = |wallet_up, up, about| StatusPage {
        l,
        operator: l.say("示例大学后勤集团", "Example University Services").into(),
        contact: Some("400-000-0000".into()),
        about,
        wallet_up,
        bank_up: up,
        messages_up: up,
        at: NOW,
    };
    add("status", &status(true, true, None));
    add("status-about-a-record", &status(true, true, Some(lines(l).remove(1))));
    add("status-degraded", &status(true, false, None));
    add("status-standby", &status(false, true, None));
    add("refusal", &RefusalPage::new(Refusal::CodeStale, l, REFERENCE, "/"));
    let locked = Refusal::PaymentPasswordLocked { until: NOW.plus(3 * HOUR) };
    add("refusal-locked", &RefusalPage::new(locked, l, REFERENCE, "/"));
    add("terms", &TermsPage { l, operator: l.say("示例大学后勤集团", "Example University Services").into() });
}

fn refused(l: Lang, refusal: Refusal) -> Refused {
    Refused::new(refusal, l, REFERENCE)
}

fn fen(fen: i64) -> Money {
    Money::fen(fen).expect("the samples are not negative")
}

fn card_lines(l: Lang) -> Vec<CardLine> {
    vec![
        CardLine {
            card_id: "1".into(),
            bank: l.say("招商银行", "China Merchants Bank").into(),
            kind: CardKind::Debit,
            last4: "1234".into(),
            unusable: None,
        },
        CardLine {
            card_id: "2".into(),
            bank: l.say("中国工商银行", "ICBC").into(),
            kind: CardKind::Credit,
            last4: "5678".into(),
            unusable: Some(Unusable::BankDown),
        },
    ]
}

fn methods(l: Lang, balance: i64) -> Vec<Method> {
    let mut methods = vec![Method {
        method: "balance".into(),
        label: l.say("零钱", "Balance").into(),
        balance: Some(fen(balance)),
        unusable: (balance < 8_800).then_some(Unusable::NotEnough),
    }];
    methods.extend(card_lines(l).into_iter().map(|card| Method {
        method: card.card_id.clone(),
        label: card.name(l),
        balance: None,
        unusable: (card.kind == CardKind::Credit).then_some(Unusable::NoCreditCards),
    }));
    methods
}

fn month(month: Month, total_out: Money, total_back: Money, lines: Vec<RecordLine>) -> MonthOfRecords {
    MonthOfRecords { month, total_out, total_back, lines }
}

fn lines(l: Lang) -> Vec<RecordLine> {
    use Direction::{In, Out};
    use RecordKind::{Payment, Refund, TopUp};
    use RecordState::{Failed, PartlyRefunded, Pending, Refunded, Succeeded};
    let canteen = l.say("学一食堂", "First Canteen");
    let books = l.say("校园书店", "Campus Books");
    let bank = l.say("招商银行", "China Merchants Bank");
    let item = l.say("《数据密集型应用系统设计》等两本", "Two books on databases");
    let laundry = l.say(
        "一家名字特别特别长的自助洗衣与干洗连锁店",
        "The Very Long Named Laundry and Dry Cleaning Company",
    );
    [
        (Refund, books, In, 2_999, -2 * HOUR, Succeeded),
        (Payment, books, Out, 5_000, -DAY, PartlyRefunded),
        (Payment, canteen, Out, 1_250, -DAY - 5 * HOUR, Succeeded),
        (TopUp, bank, In, 20_000, -2 * DAY, Pending),
        (TopUp, bank, In, 1_000_000, -3 * DAY, Succeeded),
        (Payment, laundry, Out, 1_600, -4 * DAY, Succeeded),
        (Payment, canteen, Out, 38_830, -30 * DAY, Refunded),
        (TopUp, bank, In, 50_000, -31 * DAY, Failed),
        (Payment, books, Out, 1_220_020, -33 * DAY, Succeeded),
    ]
    .into_iter()
    .enumerate()
    .map(|(i, (kind, name, direction, minor, ago, state))| RecordLine {
        id: format!("20261123040509123456789012{i:02}"),
        kind,
        name: name.into(),
        item: (kind != TopUp).then(|| item.into()),
        method: if kind == TopUp { card_lines(l)[0].name(l) } else { l.say("零钱", "Balance").into() },
        direction,
        amount: fen(minor),
        at: NOW.plus(ago),
        state,
    })
    .collect()
}
