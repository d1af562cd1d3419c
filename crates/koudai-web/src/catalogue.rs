//! What a person reads when something was refused: what happened, whether money moved, and what to do next.
//!
//! This is the only place that words a [`Refusal`] for people. There is no `_` arm: a new refusal does not compile
//! until someone has worded it, said what became of the money, given it a status and a next step.

use koudai_core::money::Money;
use koudai_core::refusal::Refusal;

use crate::say::Lang;

mod title;

use title::title;

/// A refusal in one language. No refusal moves money, so `money` says so in the words that fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    /// The stable code, for programs and staff. Never shown to a person on its own.
    pub code: &'static str,
    /// What happened.
    pub title: String,
    /// What became of the money.
    pub money: &'static str,
    /// What to do next.
    pub next: &'static str,
}

/// Where the button under a refusal leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Back to the page that was refused, to correct or repeat it.
    Again,
    /// To the first page.
    Home,
    /// To signing in.
    LogIn,
    /// To setting the payment password.
    SetPaymentPassword,
    /// To the list of cards.
    Cards,
    /// To adding a card.
    AddCard,
    /// To topping up.
    TopUp,
    /// To scanning another code.
    Scan,
    /// To the list of records.
    Records,
    /// To the person's own pay code.
    PayCode,
    /// To what guards the account.
    Security,
    /// To proving once more who it is.
    Prove,
    /// To setting a new payment password in the place of one that was forgotten.
    ResetPaymentPassword,
    /// To getting back what was lost without being signed in.
    Recover,
}

impl Step {
    /// The path the button leads to; `None` for the page itself.
    pub const fn path(self) -> Option<&'static str> {
        match self {
            Self::Again => None,
            Self::Home => Some("/"),
            Self::LogIn => Some("/login"),
            Self::SetPaymentPassword => Some("/payment-password"),
            Self::Cards => Some("/cards"),
            Self::AddCard => Some("/cards/new"),
            Self::TopUp => Some("/top-up"),
            Self::Scan => Some("/scan"),
            Self::Records => Some("/records"),
            Self::PayCode => Some("/code"),
            Self::Security => Some("/security"),
            Self::Prove => Some("/security/proof"),
            Self::ResetPaymentPassword => Some("/payment-password/forgot"),
            Self::Recover => Some("/recover"),
        }
    }

    /// What stands on the button.
    pub const fn label(self, l: Lang) -> &'static str {
        match self {
            Self::Again => l.say("重试", "Try again"),
            Self::Home => l.say("返回首页", "Back to home"),
            Self::LogIn => l.say("重新登录", "Sign in"),
            Self::SetPaymentPassword => l.say("设置支付密码", "Set payment password"),
            Self::Cards => l.say("查看银行卡", "See your cards"),
            Self::AddCard => l.say("添加银行卡", "Add a card"),
            Self::TopUp => l.say("去充值", "Top up"),
            Self::Scan => l.say("重新扫码", "Scan again"),
            Self::Records => l.say("查看账单", "See your bills"),
            Self::PayCode => l.say("打开付款码", "Open your pay code"),
            Self::Security => l.say("打开安全中心", "Open the security centre"),
            Self::Prove => l.say("去验证身份", "Confirm that it is you"),
            Self::ResetPaymentPassword => l.say("找回支付密码", "Reset your payment password"),
            Self::Recover => l.say("重新找回", "Begin again"),
        }
    }
}

/// The refusal in the language.
pub fn wording(refusal: Refusal, l: Lang) -> Wording {
    Wording {
        code: refusal.code(),
        title: title(refusal, l),
        money: money(refusal, l),
        next: next(refusal, l),
    }
}

/// Whether money moved. It never did; the words depend on what the person was doing.
#[expect(clippy::too_many_lines, reason = "one table, one line for each refusal")]
fn money(refusal: Refusal, l: Lang) -> &'static str {
    match refusal {
        Refusal::PhoneInvalid
        | Refusal::EmailInvalid
        | Refusal::EmailUnbound
        | Refusal::EmailTaken
        | Refusal::EmailNotOffered
        | Refusal::SignInWrong
        | Refusal::SignInPaused { .. }
        | Refusal::LoginPasswordLength
        | Refusal::LoginPasswordCommon
        | Refusal::LoginPasswordReused
        | Refusal::PasskeyUnknown
        | Refusal::PasskeyRefused
        | Refusal::PasskeyMayNotPay
        | Refusal::SecondStepWrong
        | Refusal::SecondStepPaused { .. }
        | Refusal::SecondStepOver
        | Refusal::SecondStepNeedsEmail
        | Refusal::EmailIsSecondStep
        | Refusal::PhoneTaken
        | Refusal::LoginPasswordWrong
        | Refusal::RecoveryOver
        | Refusal::RecoveryTakesPhone
        | Refusal::RecoveryTakesStaff
        | Refusal::FreezeWordWrong
        | Refusal::FreezePaused { .. }
        | Refusal::CoolingDown { .. }
        | Refusal::CoolWithdrawalsReached { .. }
        | Refusal::TooManyPasskeys
        | Refusal::ProofNeeded
        | Refusal::CodeTooSoon { .. }
        | Refusal::TooManyCodes { .. }
        | Refusal::CodeWrong { .. }
        | Refusal::CodeExpired
        | Refusal::SignedOut
        | Refusal::AccountFrozen
        | Refusal::PaymentPasswordAlreadySet
        | Refusal::PaymentPasswordMalformed
        | Refusal::PaymentPasswordWeak
        | Refusal::PaymentPasswordReused
        | Refusal::CardNumberNotYours
        | Refusal::ResetPaused { .. }
        | Refusal::RenewalExpired
        | Refusal::PaymentPasswordsDiffer
        | Refusal::NameInvalid
        | Refusal::IdNumberInvalid
        | Refusal::HolderTooYoung
        | Refusal::NotTheSamePerson
        | Refusal::CardNumberInvalid
        | Refusal::CardUnsupported
        | Refusal::CardExpiryInvalid
        | Refusal::CardCvvInvalid
        | Refusal::CardAlreadyBound
        | Refusal::CardBoundElsewhere
        | Refusal::TooManyCards
        | Refusal::TooManyBindings
        | Refusal::CardDetailsMismatch
        | Refusal::BankCodeWrong
        | Refusal::BindingExpired
        | Refusal::BindingUnknown
        | Refusal::PayerCodeOff
        | Refusal::TransferUnknown
        | Refusal::TransferOverdue
        | Refusal::TransferWithdrawn
        | Refusal::CardAwaitsMoney
        | Refusal::DayTopUpsReached { .. }
        | Refusal::DayWithdrawalsReached { .. }
        | Refusal::TooManyWithdrawals { .. }
        | Refusal::DebitCardsOnly
        | Refusal::WithdrawalSent
        | Refusal::RecordUnknown
        | Refusal::RequestMalformed
        | Refusal::RequestTooLarge
        | Refusal::AppUnknown
        | Refusal::DomainNotRegistered
        | Refusal::WalletDidNotSay
        | Refusal::ForeignOrigin => l.say("没有发生资金变动", "No money moved"),
        Refusal::PaymentPasswordNotSet
        | Refusal::PaymentPasswordWrong { .. }
        | Refusal::PaymentPasswordLocked { .. }
        | Refusal::PaymentPasswordResetNeeded
        | Refusal::CardNotUsable
        | Refusal::CardNotOpened
        | Refusal::CardUnknown
        | Refusal::AmountInvalid
        | Refusal::AmountOutOfRange { .. }
        | Refusal::CodeRevoked
        | Refusal::DayStaticCodesReached { .. }
        | Refusal::TooManyStaticOrders { .. }
        | Refusal::CoolSpendingReached { .. }
        | Refusal::InsufficientBalance { .. }
        | Refusal::CardInsufficientFunds
        | Refusal::CardOverLimit
        | Refusal::BankRefused
        | Refusal::BankUnavailable
        | Refusal::NotCompleted
        | Refusal::WalletUnavailable
        | Refusal::WalletNotHere
        | Refusal::WalletAsksWho
        | Refusal::WalletInsufficientFunds
        | Refusal::WalletOverLimit
        | Refusal::WalletRefused
        | Refusal::WalletNotLinked
        | Refusal::WithdrawalNotCovered
        | Refusal::CodeUnreadable
        | Refusal::CodeNotOurs
        | Refusal::CodeSwapped
        | Refusal::CodeStale
        | Refusal::OrderUnknown
        | Refusal::OrderClosed
        | Refusal::OrderExpired
        | Refusal::OrderForAnother
        | Refusal::CallUpInvalid
        | Refusal::CallUpStale
        | Refusal::ProductNotEnabled
        | Refusal::MerchantSuspended
        | Refusal::OrderReversed
        | Refusal::NumberReused
        | Refusal::Busy
        | Refusal::OutOfOrder => l.say("未扣款", "Not charged"),
        Refusal::OrderAlreadyPaid => l.say("本次未扣款", "Not charged this time"),
        Refusal::OrderBeingPaid => l.say("不会重复扣款", "You will not be charged twice"),
    }
}

#[expect(clippy::too_many_lines, reason = "one table, one line or two for each refusal")]
fn next(refusal: Refusal, l: Lang) -> &'static str {
    match refusal {
        Refusal::PhoneInvalid => {
            l.say("请输入 11 位中国大陆手机号", "Enter a mainland China number of 11 digits")
        }
        Refusal::CodeTooSoon { .. } => {
            l.say("请稍等，先查看收到的消息", "Wait a moment and look at your messages")
        }
        Refusal::TooManyCodes { .. } | Refusal::WithdrawalNotCovered | Refusal::Busy => {
            l.say("请稍后再试", "Try again later")
        }
        Refusal::CodeWrong { tries_left: 0 } | Refusal::CodeExpired => {
            l.say("请重新获取验证码", "Ask for a new code")
        }
        Refusal::CodeWrong { .. } => l.say("请核对最新收到的验证码", "Check the latest message"),
        Refusal::EmailInvalid => l.say("请核对邮箱地址", "Check the address"),
        Refusal::EmailUnbound => l.say(
            "请用手机号登录，再到安全中心绑定邮箱",
            "Sign in by phone, then add the address in the security centre",
        ),
        Refusal::EmailTaken => l.say("请换一个邮箱", "Use another address"),
        Refusal::EmailNotOffered => l.say("请使用手机号", "Use your phone number"),
        Refusal::SignInWrong => l.say("请核对后再试，或用验证码登录", "Check both, or sign in by a code"),
        Refusal::SignInPaused { .. } => {
            l.say("到时间后再试，或换一种方式登录", "Wait, or sign in another way")
        }
        Refusal::LoginPasswordLength | Refusal::LoginPasswordCommon | Refusal::LoginPasswordReused => {
            l.say("可以用几个不相关的词组成密码", "A few unrelated words make a good one")
        }
        Refusal::PasskeyUnknown => {
            l.say("请用验证码登录，再到安全中心添加", "Sign in by a code, then add it in the security centre")
        }
        Refusal::PasskeyRefused => l.say("请重试，或换一种方式验证", "Try again, or confirm another way"),
        Refusal::PasskeyMayNotPay => l.say(
            "请用支付密码，或到安全中心开通",
            "Use your payment password, or allow it in the security centre",
        ),
        Refusal::TooManyPasskeys => l.say("请先移除一个不用的", "Remove one you no longer use"),
        Refusal::ProofNeeded => l.say("验证后继续", "Confirm to go on"),
        Refusal::SecondStepWrong => l.say("请核对后重试，或换一种方式", "Try again, or another way"),
        Refusal::SecondStepPaused { .. } => l.say("到时间后再试，或用通行密钥", "Wait, or use a passkey"),
        Refusal::SecondStepOver | Refusal::RecoveryOver => l.say("请重新开始", "Begin again"),
        Refusal::SecondStepNeedsEmail => l.say("绑定邮箱后即可开启", "Add one, then you can turn it on"),
        Refusal::EmailIsSecondStep => l.say(
            "请先关闭验证码两步验证，或换绑另一个邮箱",
            "Turn that off first, or change to another address",
        ),
        Refusal::PhoneTaken => l.say("请换一个手机号", "Use another number"),
        Refusal::LoginPasswordWrong => {
            l.say("忘记了可以在登录页找回", "If you have forgotten it, reset it from the sign-in page")
        }
        Refusal::RecoveryTakesPhone => l.say("请用手机号找回", "Reset it by your phone number"),
        Refusal::RecoveryTakesStaff => l.say(
            "请带上证件联系客服，由工作人员核实后办理",
            "Contact support with your ID, so that the staff can confirm that it is you",
        ),
        Refusal::FreezeWordWrong => l.say(
            "请核对手机号和冻结码；急需冻结请联系客服",
            "Check the number and the code, or call support to have it frozen",
        ),
        Refusal::FreezePaused { .. } => l.say("急需冻结请联系客服", "Call support to have it frozen now"),
        Refusal::CoolingDown { .. } => l.say(
            "这是为了你的资金安全，到时间后自动恢复",
            "This protects your money and ends by itself at that time",
        ),
        Refusal::CoolSpendingReached { .. } | Refusal::CoolWithdrawalsReached { .. } => l.say(
            "这是为了你的资金安全，可以减少金额，或等保护期结束",
            "This protects your money: take less, or wait until then",
        ),
        Refusal::SignedOut => l.say("请重新登录后继续", "Sign in to go on"),
        Refusal::AccountFrozen => l.say("请联系客服核实身份", "Contact support to confirm that it is you"),
        Refusal::PaymentPasswordNotSet => {
            l.say("请先设置 6 位支付密码", "Set a payment password of six digits first")
        }
        Refusal::PaymentPasswordAlreadySet => l.say("可以直接用它付款", "You can pay with it right away"),
        Refusal::PaymentPasswordMalformed | Refusal::PaymentPasswordWeak | Refusal::PaymentPasswordReused => {
            l.say("请换一个 6 位数字密码", "Choose six other digits")
        }
        Refusal::PaymentPasswordsDiffer => l.say("请重新设置", "Set it again"),
        Refusal::PaymentPasswordWrong { .. } => {
            l.say("请重新输入支付密码", "Enter your payment password again")
        }
        Refusal::PaymentPasswordLocked { .. } => {
            l.say("到时间后可以再试，或立即找回支付密码", "Try again after that time, or reset it now")
        }
        Refusal::PaymentPasswordResetNeeded => l.say("请找回支付密码", "Reset it to go on"),
        Refusal::CardNumberNotYours => {
            l.say("请输入一张已绑定银行卡的完整卡号", "Write the whole number of a card you have added")
        }
        Refusal::ResetPaused { .. } => {
            l.say("请核对卡号，到时间后再试", "Look the number up, and try again after that time")
        }
        Refusal::RenewalExpired => l.say("请重新验证", "Confirm once more that it is you"),
        Refusal::NameInvalid => l.say("请填写与证件一致的姓名", "Write the name as on the ID"),
        Refusal::IdNumberInvalid => {
            l.say("请核对 18 位身份证号码", "Check the 18 characters of the ID number")
        }
        Refusal::HolderTooYoung => l.say("请使用其他持卡人的账户", "Ask an adult to use their own account"),
        Refusal::NotTheSamePerson => l.say("只能添加你本人的银行卡", "Only your own cards can be added"),
        Refusal::CardNumberInvalid => l.say("请对照卡面重新输入", "Type it again from the card"),
        Refusal::CardUnsupported
        | Refusal::CardNotUsable
        | Refusal::CardInsufficientFunds
        | Refusal::BankRefused => l.say("请换一张卡，或联系发卡行", "Use another card, or ask your bank"),
        Refusal::CardNotOpened => l.say(
            "请先在发卡行 App 或云闪付开通银联无卡支付，再添加此卡",
            "Set it up in your bank's app or UnionPay's, then add the card",
        ),
        Refusal::CardOverLimit => l.say(
            "请向发卡方申请调整限额，或换一种方式付款",
            "Raise the limit with the card's issuer, or pay another way",
        ),
        Refusal::CardExpiryInvalid => {
            l.say("请按卡面填写，月在前，年在后", "Write it as on the card, month before year")
        }
        Refusal::CardCvvInvalid => l.say("请对照卡背面重新输入", "Type it again from the back of the card"),
        Refusal::CardAlreadyBound => l.say("可以直接使用", "You can use it right away"),
        Refusal::CardBoundElsewhere => {
            l.say("请先在原账号解除绑定，或换一张卡", "Remove it there first, or use another card")
        }
        Refusal::TooManyCards => l.say("请先解除一张不用的卡", "Remove one you do not use first"),
        Refusal::TooManyBindings => l.say("请明天再试", "Try again tomorrow"),
        Refusal::CardDetailsMismatch => l.say(
            "以银行预留的信息为准，更改请联系银行",
            "What your bank has on file counts; ask it to change that",
        ),
        Refusal::BankCodeWrong => {
            l.say("请核对银行发来的短信，或重新获取", "Check your bank's message, or ask for a new code")
        }
        Refusal::BindingExpired | Refusal::BindingUnknown => l.say("请重新添加银行卡", "Add the card again"),
        Refusal::CardUnknown => l.say("请换一张卡", "Choose another card"),
        Refusal::AmountInvalid => l.say("请输入金额，最多两位小数", "Enter an amount, at most two decimals"),
        Refusal::AmountOutOfRange { .. } => l.say("请修改金额", "Change the amount"),
        Refusal::DayTopUpsReached { .. } | Refusal::DayWithdrawalsReached { .. } => {
            l.say("请修改金额，或明天再来", "Change the amount, or come back tomorrow")
        }
        Refusal::TooManyWithdrawals { .. } => l.say("请明天再来", "Come back tomorrow"),
        Refusal::DebitCardsOnly => l.say("请选择一张储蓄卡", "Choose a debit card"),
        Refusal::WithdrawalSent => l.say("请在账单中查看结果", "See your bills for how it went"),
        Refusal::CardAwaitsMoney => {
            l.say("请等它到账，或先取消提现", "Wait until it has arrived, or cancel it first")
        }
        Refusal::InsufficientBalance { .. } => {
            l.say("请用银行卡付款，或先充值", "Pay by card, or top up first")
        }
        Refusal::BankUnavailable | Refusal::WalletUnavailable => {
            l.say("请稍后再试，或换一种方式", "Try later, or another way")
        }
        Refusal::NotCompleted => l.say("可以重试，或换一种方式", "Try again, or another way"),
        Refusal::WalletNotHere => {
            l.say("请换一种方式，或换个浏览器打开", "Use another way, or another browser")
        }
        Refusal::WalletAsksWho => l.say("请重新打开本页", "Open this page again"),
        Refusal::WalletDidNotSay => l.say("请重试，并在对方页面同意", "Try again, and agree on its page"),
        Refusal::WalletInsufficientFunds => {
            l.say("请在该钱包中充值，或换一种方式", "Top up there, or use another way")
        }
        Refusal::WalletOverLimit => {
            l.say("请在该钱包中查看限额，或换一种方式", "See the limit there, or use another way")
        }
        Refusal::WalletRefused => {
            l.say("请在该钱包中查看原因，或换一种方式", "See why in its app, or use another way")
        }
        Refusal::WalletNotLinked => l.say("请先在卡包中关联", "Link it among your cards first"),
        Refusal::CodeUnreadable => {
            l.say("请对准二维码，或换一张清晰的图片", "Aim at the code, or use a sharper picture")
        }
        Refusal::CodeNotOurs => l.say("请确认收款方后再扫", "Make sure whose code it is"),
        Refusal::CodeSwapped => l.say("请向商家核实，不要付款", "Ask the merchant and do not pay"),
        Refusal::CodeStale => l.say("请商家刷新二维码", "Ask the merchant for a new one"),
        Refusal::CodeRevoked => l.say("请向商家核实，扫新的收款码", "Ask the merchant and scan the new one"),
        Refusal::DayStaticCodesReached { .. } => l.say(
            "请出示付款码，或请商家出示订单码；也可以换一种方式付款",
            "Show your pay code or ask for an order code, or pay another way",
        ),
        Refusal::TooManyStaticOrders { .. } => {
            l.say("请出示付款码，或请商家出示订单码", "Show your pay code, or ask for an order code")
        }
        Refusal::OrderUnknown => l.say("请商家重新出示二维码", "Ask the merchant to show the code again"),
        Refusal::OrderClosed | Refusal::OrderExpired => {
            l.say("请商家重新下单", "Ask the merchant for a new order")
        }
        Refusal::OrderAlreadyPaid => l.say("无需再付", "There is nothing left to pay"),
        Refusal::OrderForAnother => l.say(
            "请用下单时的账户登录，或请商家重新下单",
            "Sign in with the account it was ordered by, or ask for a new order",
        ),
        Refusal::CallUpInvalid => {
            l.say("请返回商家重试，或联系商家", "Go back and try again, or tell the merchant")
        }
        Refusal::CallUpStale => l.say("请返回商家重新支付", "Go back to the merchant and pay from there"),
        Refusal::AppUnknown | Refusal::DomainNotRegistered => {
            l.say("请联系网站的经营者", "Tell whoever runs that site")
        }
        Refusal::OrderBeingPaid => {
            l.say("请稍候，结果会自动显示", "Wait a moment, the result will show by itself")
        }
        Refusal::ProductNotEnabled => {
            l.say("请告知商户，或换一种方式", "Tell the merchant, or pay another way")
        }
        Refusal::MerchantSuspended => l.say("请联系商户", "Ask the merchant"),
        Refusal::OrderReversed => {
            l.say("如仍要付款，请重新出示付款码", "To pay after all, show your pay code again")
        }
        Refusal::PayerCodeOff => l.say("请先开启付款码", "Switch it on first"),
        Refusal::TransferUnknown => {
            l.say("请用收款的账户登录，或联系商家", "Sign in as the payee, or ask the merchant")
        }
        Refusal::TransferOverdue => l.say("请联系商家重新转账", "Ask the merchant to send it again"),
        Refusal::TransferWithdrawn => l.say("如有疑问请联系商家", "Ask the merchant why"),
        Refusal::NumberReused => l.say("请返回重新开始", "Go back and start again"),
        Refusal::RecordUnknown => l.say("请从账单中重新选择", "Choose it from your bills"),
        Refusal::RequestMalformed => l.say("请检查后重新提交", "Check what you entered and send it again"),
        Refusal::RequestTooLarge => l.say("请换一张 8 MB 以内的图片", "Use a picture under 8 MB"),
        Refusal::ForeignOrigin => l.say("请在本钱包中操作", "Do this inside the wallet"),
        Refusal::OutOfOrder => l.say(
            "请稍后再试；如需帮助，请提供参考号",
            "Try again later; if you need help, give the reference",
        ),
    }
}

/// Whether the bank refused for a reason of the card's, so that trying the same card again leads nowhere.
pub const fn is_of_the_card(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::CardInsufficientFunds
            | Refusal::CardOverLimit
            | Refusal::CardNotUsable
            | Refusal::BankRefused
            | Refusal::CardUnknown
    )
}

/// What to do next when a card was refused at an order that the balance covers.
pub const fn next_by_balance(l: Lang) -> &'static str {
    l.say("可以改用零钱付款，或换一张卡", "Pay from your balance instead, or use another card")
}

/// The step the button under the refusal offers.
#[expect(clippy::too_many_lines, reason = "one table, one line for each refusal")]
pub fn step(refusal: Refusal) -> Step {
    match refusal {
        Refusal::TooManyPasskeys
        | Refusal::RenewalExpired
        | Refusal::SecondStepNeedsEmail
        | Refusal::EmailIsSecondStep => Step::Security,
        Refusal::PaymentPasswordLocked { .. } | Refusal::PaymentPasswordResetNeeded => {
            Step::ResetPaymentPassword
        }
        Refusal::ProofNeeded => Step::Prove,
        Refusal::RecoveryOver | Refusal::RecoveryTakesPhone | Refusal::RecoveryTakesStaff => Step::Recover,
        Refusal::EmailUnbound
        | Refusal::EmailNotOffered
        | Refusal::PasskeyUnknown
        | Refusal::SecondStepOver
        | Refusal::SignedOut => Step::LogIn,
        Refusal::OrderReversed
        | Refusal::PayerCodeOff
        | Refusal::DayStaticCodesReached { .. }
        | Refusal::TooManyStaticOrders { .. } => Step::PayCode,
        Refusal::PaymentPasswordNotSet => Step::SetPaymentPassword,
        Refusal::CardAlreadyBound
        | Refusal::TooManyCards
        | Refusal::CardUnknown
        | Refusal::WalletNotLinked => Step::Cards,
        Refusal::CardBoundElsewhere | Refusal::BindingExpired | Refusal::BindingUnknown => Step::AddCard,
        Refusal::InsufficientBalance { .. } => Step::TopUp,
        Refusal::CodeUnreadable | Refusal::CodeStale | Refusal::CodeRevoked | Refusal::OrderUnknown => {
            Step::Scan
        }
        Refusal::OrderAlreadyPaid
        | Refusal::RecordUnknown
        | Refusal::WithdrawalSent
        | Refusal::CardAwaitsMoney => Step::Records,
        Refusal::AccountFrozen
        | Refusal::CoolingDown { .. }
        | Refusal::PaymentPasswordAlreadySet
        | Refusal::HolderTooYoung
        | Refusal::TooManyBindings
        | Refusal::CodeNotOurs
        | Refusal::CodeSwapped
        | Refusal::OrderClosed
        | Refusal::OrderExpired
        | Refusal::OrderForAnother
        | Refusal::CallUpInvalid
        | Refusal::CallUpStale
        | Refusal::AppUnknown
        | Refusal::DomainNotRegistered
        | Refusal::MerchantSuspended
        | Refusal::TransferUnknown
        | Refusal::TransferOverdue
        | Refusal::TransferWithdrawn
        | Refusal::NumberReused
        | Refusal::ForeignOrigin => Step::Home,
        Refusal::PhoneInvalid
        | Refusal::EmailInvalid
        | Refusal::EmailTaken
        | Refusal::PhoneTaken
        | Refusal::LoginPasswordWrong
        | Refusal::FreezeWordWrong
        | Refusal::FreezePaused { .. }
        | Refusal::CoolSpendingReached { .. }
        | Refusal::CoolWithdrawalsReached { .. }
        | Refusal::SignInWrong
        | Refusal::SignInPaused { .. }
        | Refusal::LoginPasswordLength
        | Refusal::LoginPasswordCommon
        | Refusal::LoginPasswordReused
        | Refusal::PasskeyRefused
        | Refusal::PasskeyMayNotPay
        | Refusal::SecondStepWrong
        | Refusal::SecondStepPaused { .. }
        | Refusal::CodeTooSoon { .. }
        | Refusal::TooManyCodes { .. }
        | Refusal::CodeWrong { .. }
        | Refusal::CodeExpired
        | Refusal::PaymentPasswordMalformed
        | Refusal::PaymentPasswordWeak
        | Refusal::PaymentPasswordReused
        | Refusal::CardNumberNotYours
        | Refusal::ResetPaused { .. }
        | Refusal::PaymentPasswordsDiffer
        | Refusal::PaymentPasswordWrong { .. }
        | Refusal::NameInvalid
        | Refusal::IdNumberInvalid
        | Refusal::NotTheSamePerson
        | Refusal::CardNumberInvalid
        | Refusal::CardUnsupported
        | Refusal::CardExpiryInvalid
        | Refusal::CardCvvInvalid
        | Refusal::CardDetailsMismatch
        | Refusal::CardNotUsable
        | Refusal::CardNotOpened
        | Refusal::BankCodeWrong
        | Refusal::AmountInvalid
        | Refusal::AmountOutOfRange { .. }
        | Refusal::DayTopUpsReached { .. }
        | Refusal::DayWithdrawalsReached { .. }
        | Refusal::TooManyWithdrawals { .. }
        | Refusal::DebitCardsOnly
        | Refusal::WithdrawalNotCovered
        | Refusal::CardInsufficientFunds
        | Refusal::CardOverLimit
        | Refusal::BankRefused
        | Refusal::BankUnavailable
        | Refusal::NotCompleted
        | Refusal::WalletUnavailable
        | Refusal::WalletNotHere
        | Refusal::WalletAsksWho
        | Refusal::WalletDidNotSay
        | Refusal::WalletInsufficientFunds
        | Refusal::WalletOverLimit
        | Refusal::WalletRefused
        | Refusal::OrderBeingPaid
        | Refusal::ProductNotEnabled
        | Refusal::RequestMalformed
        | Refusal::RequestTooLarge
        | Refusal::Busy
        | Refusal::OutOfOrder => Step::Again,
    }
}

/// The HTTP status of the refusal (RFC 9110, section 15.5 and 15.6; 429 is RFC 6585).
#[expect(clippy::too_many_lines, reason = "one table, one line for each refusal")]
pub fn status(refusal: Refusal) -> u16 {
    match refusal {
        Refusal::RequestMalformed => 400,
        Refusal::SignedOut | Refusal::SignInWrong | Refusal::PasskeyUnknown | Refusal::PasskeyRefused => 401,
        Refusal::CodeWrong { .. }
        | Refusal::CodeExpired
        | Refusal::AccountFrozen
        | Refusal::PaymentPasswordNotSet
        | Refusal::PaymentPasswordWrong { .. }
        | Refusal::PaymentPasswordLocked { .. }
        | Refusal::PaymentPasswordResetNeeded
        | Refusal::CardNumberNotYours
        | Refusal::RenewalExpired
        | Refusal::PasskeyMayNotPay
        | Refusal::HolderTooYoung
        | Refusal::NotTheSamePerson
        | Refusal::CardDetailsMismatch
        | Refusal::CardNotUsable
        | Refusal::CardNotOpened
        | Refusal::BankCodeWrong
        | Refusal::InsufficientBalance { .. }
        | Refusal::CardInsufficientFunds
        | Refusal::CardOverLimit
        | Refusal::BankRefused
        | Refusal::WalletNotHere
        | Refusal::WalletAsksWho
        | Refusal::WalletDidNotSay
        | Refusal::WalletInsufficientFunds
        | Refusal::WalletOverLimit
        | Refusal::WalletRefused
        | Refusal::CodeNotOurs
        | Refusal::CodeSwapped
        | Refusal::ProductNotEnabled
        | Refusal::MerchantSuspended
        | Refusal::OrderForAnother
        | Refusal::CallUpInvalid
        | Refusal::DomainNotRegistered
        | Refusal::ProofNeeded
        | Refusal::SecondStepWrong
        | Refusal::SecondStepOver
        | Refusal::LoginPasswordWrong
        | Refusal::RecoveryOver
        | Refusal::RecoveryTakesPhone
        | Refusal::RecoveryTakesStaff
        | Refusal::FreezeWordWrong
        | Refusal::CoolingDown { .. }
        | Refusal::EmailUnbound
        | Refusal::ForeignOrigin => 403,
        Refusal::BindingUnknown
        | Refusal::CardUnknown
        | Refusal::OrderUnknown
        | Refusal::AppUnknown
        | Refusal::TransferUnknown
        | Refusal::EmailNotOffered
        | Refusal::RecordUnknown => 404,
        Refusal::PaymentPasswordAlreadySet
        | Refusal::CardAlreadyBound
        | Refusal::CardBoundElsewhere
        | Refusal::TooManyCards
        | Refusal::BindingExpired
        | Refusal::CodeStale
        | Refusal::CodeRevoked
        | Refusal::CallUpStale
        | Refusal::OrderClosed
        | Refusal::OrderExpired
        | Refusal::OrderAlreadyPaid
        | Refusal::OrderBeingPaid
        | Refusal::OrderReversed
        | Refusal::PayerCodeOff
        | Refusal::TransferOverdue
        | Refusal::TransferWithdrawn
        | Refusal::WithdrawalSent
        | Refusal::CardAwaitsMoney
        | Refusal::NotCompleted
        | Refusal::WalletNotLinked
        | Refusal::EmailTaken
        | Refusal::PhoneTaken
        | Refusal::TooManyPasskeys
        | Refusal::SecondStepNeedsEmail
        | Refusal::EmailIsSecondStep
        | Refusal::NumberReused => 409,
        Refusal::RequestTooLarge => 413,
        Refusal::PhoneInvalid
        | Refusal::EmailInvalid
        | Refusal::LoginPasswordLength
        | Refusal::LoginPasswordCommon
        | Refusal::LoginPasswordReused
        | Refusal::PaymentPasswordMalformed
        | Refusal::PaymentPasswordWeak
        | Refusal::PaymentPasswordReused
        | Refusal::PaymentPasswordsDiffer
        | Refusal::NameInvalid
        | Refusal::IdNumberInvalid
        | Refusal::CardNumberInvalid
        | Refusal::CardUnsupported
        | Refusal::CardExpiryInvalid
        | Refusal::CardCvvInvalid
        | Refusal::AmountInvalid
        | Refusal::AmountOutOfRange { .. }
        | Refusal::DayTopUpsReached { .. }
        | Refusal::DayWithdrawalsReached { .. }
        | Refusal::DayStaticCodesReached { .. }
        | Refusal::CoolSpendingReached { .. }
        | Refusal::CoolWithdrawalsReached { .. }
        | Refusal::DebitCardsOnly
        | Refusal::CodeUnreadable => 422,
        Refusal::CodeTooSoon { .. }
        | Refusal::TooManyCodes { .. }
        | Refusal::SignInPaused { .. }
        | Refusal::ResetPaused { .. }
        | Refusal::SecondStepPaused { .. }
        | Refusal::FreezePaused { .. }
        | Refusal::TooManyBindings
        | Refusal::TooManyStaticOrders { .. }
        | Refusal::TooManyWithdrawals { .. } => 429,
        Refusal::OutOfOrder => 500,
        Refusal::BankUnavailable
        | Refusal::WalletUnavailable
        | Refusal::WithdrawalNotCovered
        | Refusal::Busy => 503,
    }
}

/// Writes `every` from one list, and a `match` over the same list that does not compile if a variant is missing.
macro_rules! every {
    ($($pattern:pat => $example:expr,)+) => {
        /// One of each refusal, for tests and for showing them all.
        pub fn every() -> Vec<Refusal> {
            // Never called: it exists so that a refusal left out of the list is a compile error.
            let _ = |refusal: Refusal| match refusal { $($pattern => (),)+ };
            vec![$($example,)+]
        }
    };
    ($($name:ident),+ ; $($pattern:pat => $example:expr,)+) => {
        every! { $(Refusal::$name => Refusal::$name,)+ $($pattern => $example,)+ }
    };
}

every! {
    PhoneInvalid, EmailInvalid, EmailUnbound, EmailTaken, EmailNotOffered, SignInWrong, LoginPasswordLength, LoginPasswordCommon,
    LoginPasswordReused, PasskeyUnknown, PasskeyRefused, PasskeyMayNotPay, TooManyPasskeys, ProofNeeded, SecondStepWrong, SecondStepOver, SecondStepNeedsEmail, EmailIsSecondStep, CodeExpired, SignedOut, AccountFrozen, PaymentPasswordNotSet, PaymentPasswordAlreadySet,
    PaymentPasswordMalformed, PaymentPasswordWeak, PaymentPasswordReused, PaymentPasswordsDiffer, PaymentPasswordResetNeeded, CardNumberNotYours, RenewalExpired, NameInvalid,
    IdNumberInvalid, HolderTooYoung, NotTheSamePerson, CardNumberInvalid, CardUnsupported, CardExpiryInvalid,
    CardCvvInvalid, CardAlreadyBound, CardBoundElsewhere, TooManyCards, TooManyBindings, CardDetailsMismatch,
    CardNotUsable, CardNotOpened, BankCodeWrong, BindingExpired, BindingUnknown, CardUnknown, AmountInvalid, CardInsufficientFunds, CardOverLimit,
    BankRefused, BankUnavailable, CodeUnreadable, CodeNotOurs, CodeSwapped, CodeStale, OrderUnknown, OrderClosed,
    OrderExpired, OrderAlreadyPaid, OrderBeingPaid, ProductNotEnabled, MerchantSuspended, NumberReused, RecordUnknown,
    RequestMalformed, RequestTooLarge, ForeignOrigin, Busy, OutOfOrder, OrderForAnother, CallUpInvalid, CallUpStale,
    AppUnknown, DomainNotRegistered, OrderReversed, PayerCodeOff, TransferUnknown, TransferOverdue, TransferWithdrawn, CardAwaitsMoney, DebitCardsOnly,
    WithdrawalSent, WithdrawalNotCovered, NotCompleted, WalletUnavailable, WalletNotHere, WalletAsksWho, WalletDidNotSay,
    WalletNotLinked, WalletInsufficientFunds, WalletOverLimit, WalletRefused, CodeRevoked, PhoneTaken, LoginPasswordWrong,
    RecoveryOver, RecoveryTakesPhone, RecoveryTakesStaff, FreezeWordWrong;
    Refusal::CodeTooSoon { .. } => Refusal::CodeTooSoon { wait_s: 42 },
    Refusal::TooManyCodes { .. } => Refusal::TooManyCodes { wait_s: 900 },
    Refusal::CodeWrong { .. } => Refusal::CodeWrong { tries_left: 3 },
    Refusal::SignInPaused { .. } => Refusal::SignInPaused { wait_s: 900 },
    Refusal::ResetPaused { .. } => Refusal::ResetPaused { wait_s: 900 },
    Refusal::SecondStepPaused { .. } => Refusal::SecondStepPaused { wait_s: 900 },
    Refusal::PaymentPasswordWrong { .. } => Refusal::PaymentPasswordWrong { tries_left: 2 },
    Refusal::PaymentPasswordLocked { .. } => Refusal::PaymentPasswordLocked { until: UNTIL },
    Refusal::FreezePaused { .. } => Refusal::FreezePaused { wait_s: 900 },
    Refusal::CoolingDown { .. } => Refusal::CoolingDown { until: UNTIL },
    Refusal::CoolSpendingReached { .. } => {
        Refusal::CoolSpendingReached { most: yuan(500), left: yuan(20), until: UNTIL }
    },
    Refusal::CoolWithdrawalsReached { .. } => {
        Refusal::CoolWithdrawalsReached { most: yuan(1_000), left: yuan(0), until: UNTIL }
    },
    Refusal::AmountOutOfRange { .. } => Refusal::AmountOutOfRange { least: yuan(1), most: yuan(50_000) },
    Refusal::InsufficientBalance { .. } => Refusal::InsufficientBalance { short_by: yuan(12) },
    Refusal::DayTopUpsReached { .. } => Refusal::DayTopUpsReached { most: yuan(100_000), left: yuan(20) },
    Refusal::DayWithdrawalsReached { .. } => Refusal::DayWithdrawalsReached { most: yuan(10_000), left: yuan(20) },
    Refusal::TooManyWithdrawals { .. } => Refusal::TooManyWithdrawals { most: 5 },
    Refusal::DayStaticCodesReached { .. } => Refusal::DayStaticCodesReached { most: yuan(500), left: yuan(0) },
    Refusal::TooManyStaticOrders { .. } => Refusal::TooManyStaticOrders { most: 200 },
}

/// A moment for the examples.
const UNTIL: koudai_core::time::Timestamp = koudai_core::time::Timestamp(1_795_426_200_000);

fn yuan(yuan: i64) -> Money {
    Money::fen(yuan * 100).expect("the examples are not negative")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const LANGS: [Lang; 2] = [Lang::Zh, Lang::En];

    #[test]
    fn every_refusal_has_a_code_of_its_own() {
        let all = every();
        let codes: BTreeSet<_> = all.iter().map(|refusal| refusal.code()).collect();
        assert_eq!(codes.len(), all.len());
    }

    #[test]
    fn every_refusal_is_worded_in_the_language_it_is_read_in() {
        let chinese = |text: &str| text.chars().any(|c| ('\u{4e00}'..='\u{9fff}').contains(&c));
        for refusal in every() {
            for l in LANGS {
                let wording = wording(refusal, l);
                for text in [wording.title.as_str(), wording.money, wording.next, step(refusal).label(l)] {
                    assert!(!text.trim().is_empty(), "{refusal:?} {l:?}");
                    assert_eq!(chinese(text), l == Lang::Zh, "{refusal:?} {l:?}: {text}");
                    assert!(!text.contains("undefined"), "{refusal:?}: {text}");
                    assert!(!text.contains(wording.code), "{refusal:?}: {text}");
                    assert!(!text.contains('_'), "{refusal:?}: {text}");
                }
            }
        }
    }

    #[test]
    fn every_refusal_is_an_error_to_a_program() {
        for refusal in every() {
            assert!((400..600).contains(&status(refusal)), "{refusal:?}");
        }
    }

    #[test]
    fn what_a_person_must_know_is_in_the_sentence() {
        let say = |refusal, l| wording(refusal, l).title;
        let short = Refusal::InsufficientBalance { short_by: Money::fen(1_240).unwrap() };
        assert_eq!(say(short, Lang::Zh), "零钱不足，差 ¥12.40");
        assert_eq!(say(short, Lang::En), "Not enough balance, short by ¥12.40");
        let wrong = |tries_left| Refusal::PaymentPasswordWrong { tries_left };
        assert_eq!(say(wrong(2), Lang::Zh), "支付密码错误，还可输入 2 次");
        assert_eq!(say(wrong(1), Lang::En), "Wrong payment password, 1 try left");
        assert_eq!(say(wrong(0), Lang::Zh), "支付密码错误，已被锁定");
        assert_eq!(say(Refusal::CodeWrong { tries_left: 0 }, Lang::En), "Wrong code, ask for a new one");
    }
}
