//! What a person reads when something was refused: what happened, whether money moved, and what to do next.
//!
//! This is the only place that words a [`Refusal`] for people. There is no `_` arm: a new refusal does not compile
//! until someone has worded it, said what became of the money, given it a status and a next step.

use koudai_core::money::Money;
use koudai_core::refusal::Refusal;

use crate::say::Lang;

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

#[expect(clippy::too_many_lines, reason = "one table, one line or two for each refusal")]
fn title(refusal: Refusal, l: Lang) -> String {
    let plain = |zh: &'static str, en: &'static str| l.say(zh, en).to_owned();
    match refusal {
        Refusal::PhoneInvalid => plain("手机号格式不正确", "That is not a mobile number we serve"),
        Refusal::CodeTooSoon { wait_s } => {
            let wait = l.wait(wait_s);
            match l {
                Lang::Zh => format!("验证码刚刚发送过，请 {wait}后再获取"),
                Lang::En => format!("A code was just sent. Ask again in {wait}"),
            }
        }
        Refusal::TooManyCodes { wait_s } => {
            let wait = l.wait(wait_s);
            match l {
                Lang::Zh => format!("操作过于频繁，请 {wait}后再试"),
                Lang::En => format!("Too many attempts, try in {wait}"),
            }
        }
        Refusal::CodeWrong { tries_left } => tries(
            l,
            tries_left,
            ("验证码不正确", "Wrong code"),
            "还可尝试",
            ("请重新获取", "ask for a new one"),
        ),
        Refusal::CodeExpired => plain("验证码已过期，请重新获取", "Code expired, ask for a new one"),
        Refusal::SignedOut => plain("登录已过期", "You have been signed out"),
        Refusal::AccountFrozen => {
            plain("为保护你的资金，账户已冻结", "Your account is frozen to protect your money")
        }
        Refusal::PaymentPasswordNotSet => plain("还没有设置支付密码", "No payment password set yet"),
        Refusal::PaymentPasswordAlreadySet => {
            plain("支付密码已经设置过了", "A payment password is already set")
        }
        Refusal::PaymentPasswordMalformed => {
            plain("支付密码须为 6 位数字", "A payment password is six digits")
        }
        Refusal::PaymentPasswordWeak => {
            plain("不能使用手机号、生日、连号或重复数字", "No phone number, birthdays, runs or repeats")
        }
        Refusal::PaymentPasswordsDiffer => plain("两次输入的密码不一致", "The two entries differ"),
        Refusal::PaymentPasswordWrong { tries_left } => tries(
            l,
            tries_left,
            ("支付密码错误", "Wrong payment password"),
            "还可输入",
            ("已被锁定", "now locked"),
        ),
        Refusal::PaymentPasswordLocked { until } => match l {
            Lang::Zh => format!("支付密码已锁定，{} 后可重试", l.moment(until)),
            Lang::En => format!("Payment password locked until {}", l.moment(until)),
        },
        Refusal::PaymentPasswordResetNeeded => {
            plain("支付密码已锁定，需要重置", "Payment password locked, it has to be reset")
        }
        Refusal::NameInvalid => plain("姓名格式不正确", "That is not a person's name"),
        Refusal::IdNumberInvalid => {
            plain("身份证号码校验不通过，请检查", "ID number fails its check, look again")
        }
        Refusal::HolderTooYoung => {
            plain("持卡人未达到使用本钱包的最低年龄", "The card's holder is too young for this wallet")
        }
        Refusal::NotTheSamePerson => {
            plain("姓名或证件号与本账户已认证的不一致", "Name or ID number is not the one on this account")
        }
        Refusal::CardNumberInvalid => plain("卡号有误，请核对", "Check the card number"),
        Refusal::CardUnsupported => {
            plain("暂不支持该银行或卡种", "This bank or card type is not supported yet")
        }
        Refusal::CardExpiryInvalid => plain("有效期有误或卡片已过期", "Expiry date is wrong or has passed"),
        Refusal::CardCvvInvalid => plain("安全码应为卡背面的 3 位数字", "The security code is three digits"),
        Refusal::CardAlreadyBound => plain("你已经添加过这张卡", "You have already added this card"),
        Refusal::CardBoundElsewhere => plain("该卡已绑定在其他账号", "Card belongs to another account"),
        Refusal::TooManyCards => plain("最多添加 10 张银行卡", "Ten cards are the most"),
        Refusal::TooManyBindings => plain("今日绑卡次数已用完", "No more attempts today"),
        Refusal::CardDetailsMismatch => {
            plain("银行预留信息不符，请核对姓名、证件号、手机号", "Details do not match your bank's record")
        }
        Refusal::CardNotUsable => plain("卡片状态异常（挂失、冻结或过期）", "Card lost, frozen or expired"),
        Refusal::CardNotOpened => plain("该卡未开通无卡支付", "This card is not set up for online payment"),
        Refusal::BankCodeWrong => plain("验证码错误或已失效", "Wrong or expired code"),
        Refusal::BindingExpired => plain("本次绑卡已超时", "This took too long and has ended"),
        Refusal::BindingUnknown => plain("没有找到这次绑卡", "We cannot find this card request"),
        Refusal::CardAwaitsMoney => {
            plain("有提现正在到这张卡的途中", "A withdrawal is on its way to this card")
        }
        Refusal::CardUnknown => plain("没有找到这张银行卡", "We cannot find this card"),
        Refusal::AmountInvalid => plain("金额格式不正确", "That is not an amount"),
        Refusal::AmountOutOfRange { least, most } => match l {
            Lang::Zh => format!("单笔金额须在 {} 至 {} 之间", figure(least), figure(most)),
            Lang::En => format!("The amount has to be {} to {}", figure(least), figure(most)),
        },
        Refusal::DayTopUpsReached { most, left } => match l {
            Lang::Zh => format!("每天最多充值 {}，今天还可充值 {}", figure(most), figure(left)),
            Lang::En => format!("Top-ups are {} a day at most, {} left today", figure(most), figure(left)),
        },
        Refusal::DayWithdrawalsReached { most, left } => match l {
            Lang::Zh => format!("每天最多提现 {}，今天还可提现 {}", figure(most), figure(left)),
            Lang::En => {
                format!("Withdrawals are {} a day at most, {} left today", figure(most), figure(left))
            }
        },
        Refusal::TooManyWithdrawals { most } => match l {
            Lang::Zh => format!("每天最多提现 {most} 次，今天已用完"),
            Lang::En => format!("You have had today's {most} withdrawals"),
        },
        Refusal::DebitCardsOnly => plain("只能提现到储蓄卡", "Withdrawals go to debit cards only"),
        Refusal::WithdrawalSent => plain(
            "这笔提现已发出或已结束，不能取消",
            "It has been sent or is over, so it cannot be cancelled",
        ),
        Refusal::WithdrawalNotCovered => plain("暂时无法提现", "Withdrawals are not possible just now"),
        Refusal::InsufficientBalance { short_by } => match l {
            Lang::Zh => format!("零钱不足，差 {}", figure(short_by)),
            Lang::En => format!("Not enough balance, short by {}", figure(short_by)),
        },
        Refusal::CardInsufficientFunds => plain("银行卡余额不足", "Not enough on card"),
        Refusal::CardOverLimit => plain("超过这张卡的付款限额", "Over this card's limit"),
        Refusal::BankRefused => plain("发卡行拒绝了这笔交易", "Your bank refused"),
        Refusal::BankUnavailable => plain("银行暂时无法连接", "The bank cannot be reached"),
        Refusal::NotCompleted => plain("未完成，已取消", "Not completed, so it was cancelled"),
        Refusal::WalletUnavailable => plain("该钱包暂时无法连接", "That wallet cannot be reached"),
        Refusal::WalletNotHere => plain("当前环境不能使用该支付方式", "That way to pay does not work here"),
        Refusal::WalletAsksWho => {
            plain("需要先在该钱包中确认你的身份", "That wallet has to know first who you are")
        }
        Refusal::WalletDidNotSay => plain("该钱包没有确认你的身份", "That wallet did not say who you are"),
        Refusal::WalletInsufficientFunds => plain("该钱包余额不足", "Not enough money in that wallet"),
        Refusal::WalletOverLimit => plain("超过该钱包的付款限额", "Over that wallet's limit"),
        Refusal::WalletRefused => plain("该钱包拒绝了这笔交易", "That wallet refused"),
        Refusal::WalletNotLinked => plain("还没有关联该钱包", "That wallet is not linked yet"),
        Refusal::CodeUnreadable => plain("没有识别到二维码", "No QR code found"),
        Refusal::CodeNotOurs => plain("这不是本钱包的收款码，已阻止", "Not a code of this wallet, blocked"),
        Refusal::CodeSwapped => plain("二维码可能被调换", "This code may have been swapped"),
        Refusal::CodeStale => plain("二维码已过期", "Code expired"),
        Refusal::CodeRevoked => plain("该收款码已停用", "This code is no longer in use"),
        Refusal::DayStaticCodesReached { most, left } if left.is_zero() => match l {
            Lang::Zh => format!("静态码今日限额 {} 已用完", figure(most)),
            Lang::En => format!("Daily static-code limit of {} used", figure(most)),
        },
        // More than is ever allowed, whatever is left.
        Refusal::DayStaticCodesReached { most, left } if left == most => match l {
            Lang::Zh => format!("静态码每日限额 {}", figure(most)),
            Lang::En => format!("Static codes take {} a day at most", figure(most)),
        },
        Refusal::DayStaticCodesReached { most, left } => match l {
            Lang::Zh => format!("静态码每日限额 {}，今日剩余 {}", figure(most), figure(left)),
            Lang::En => format!("Static codes take {} a day, {} left today", figure(most), figure(left)),
        },
        Refusal::TooManyStaticOrders { .. } => plain("今天操作过于频繁", "Too many attempts today"),
        Refusal::OrderUnknown => plain("没有找到这个订单", "We cannot find this order"),
        Refusal::OrderClosed => plain("订单已关闭", "Order closed"),
        Refusal::OrderExpired => plain("订单已超过付款时间", "This order is past its time to pay"),
        Refusal::OrderAlreadyPaid => plain("该订单已支付", "Already paid"),
        Refusal::OrderForAnother => {
            plain("该订单只能由指定的用户支付", "This order is for another person to pay")
        }
        Refusal::OrderBeingPaid => {
            plain("正在确认支付结果，请勿重复付款", "Checking the result, do not pay again")
        }
        Refusal::ProductNotEnabled => {
            plain("商户尚未开通该收款方式", "Merchant has not enabled this way of paying")
        }
        Refusal::MerchantSuspended => plain("商户暂时无法收款", "Merchant cannot take payments now"),
        Refusal::OrderReversed => plain("收银员已取消", "Cancelled by cashier"),
        Refusal::PayerCodeOff => plain("付款码尚未开启", "Your pay code is not switched on"),
        Refusal::CallUpInvalid => {
            plain("商家的支付请求有误，签名校验未通过", "The merchant's payment request failed its check")
        }
        Refusal::CallUpStale => plain("支付链接已过期", "This payment link has expired"),
        Refusal::AppUnknown => plain("没有找到这个应用", "We do not know this app"),
        Refusal::DomainNotRegistered => {
            plain("该网站未在本钱包登记，已阻止跳转", "That site is not registered with this wallet, blocked")
        }
        Refusal::TransferUnknown => plain("没有找到这笔转账", "We cannot find this transfer"),
        Refusal::TransferOverdue => {
            plain("超过收款时间，已退回商家", "Not received in time, it went back to the merchant")
        }
        Refusal::TransferWithdrawn => plain("商家已撤回这笔转账", "The merchant took this transfer back"),
        Refusal::NumberReused => {
            plain("这个请求已经用其他内容提交过", "This request was already sent with other content")
        }
        Refusal::RecordUnknown => plain("没有找到这条记录", "We cannot find this record"),
        Refusal::RequestMalformed => plain("有内容没有填写或格式不正确", "Something is missing or malformed"),
        Refusal::RequestTooLarge => plain("图片或内容太大", "That picture or text is too large"),
        Refusal::ForeignOrigin => {
            plain("请求不是从本钱包页面发出的，已阻止", "Not sent from a page of this wallet, blocked")
        }
        Refusal::Busy => plain("系统繁忙", "The system is busy"),
        Refusal::OutOfOrder => plain("系统出了点问题", "Something went wrong on our side"),
    }
}

/// Whether money moved. It never did; the words depend on what the person was doing.
fn money(refusal: Refusal, l: Lang) -> &'static str {
    match refusal {
        Refusal::PhoneInvalid
        | Refusal::CodeTooSoon { .. }
        | Refusal::TooManyCodes { .. }
        | Refusal::CodeWrong { .. }
        | Refusal::CodeExpired
        | Refusal::SignedOut
        | Refusal::AccountFrozen
        | Refusal::PaymentPasswordAlreadySet
        | Refusal::PaymentPasswordMalformed
        | Refusal::PaymentPasswordWeak
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
        Refusal::CodeTooSoon { .. } => l.say("请稍等，先查看短信", "Wait a moment and look at your messages"),
        Refusal::TooManyCodes { .. } | Refusal::WithdrawalNotCovered | Refusal::Busy => {
            l.say("请稍后再试", "Try again later")
        }
        Refusal::CodeWrong { tries_left: 0 } | Refusal::CodeExpired => {
            l.say("请重新获取验证码", "Ask for a new code")
        }
        Refusal::CodeWrong { .. } => l.say("请核对最新一条短信", "Check the latest message"),
        Refusal::SignedOut => l.say("请重新登录后继续", "Sign in to go on"),
        Refusal::AccountFrozen => l.say("请联系客服核实身份", "Contact support to confirm that it is you"),
        Refusal::PaymentPasswordNotSet => {
            l.say("请先设置 6 位支付密码", "Set a payment password of six digits first")
        }
        Refusal::PaymentPasswordAlreadySet => l.say("可以直接用它付款", "You can pay with it right away"),
        Refusal::PaymentPasswordMalformed | Refusal::PaymentPasswordWeak => {
            l.say("请换一个 6 位数字密码", "Choose six other digits")
        }
        Refusal::PaymentPasswordsDiffer => l.say("请重新设置", "Set it again"),
        Refusal::PaymentPasswordWrong { .. } => {
            l.say("请重新输入支付密码", "Enter your payment password again")
        }
        Refusal::PaymentPasswordLocked { .. } => {
            l.say("到时间后可以再试", "You can try again after that time")
        }
        Refusal::PaymentPasswordResetNeeded => l.say("请联系客服重置支付密码", "Contact support to reset it"),
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
pub fn step(refusal: Refusal) -> Step {
    match refusal {
        Refusal::SignedOut => Step::LogIn,
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
        | Refusal::PaymentPasswordAlreadySet
        | Refusal::PaymentPasswordLocked { .. }
        | Refusal::PaymentPasswordResetNeeded
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
        | Refusal::CodeTooSoon { .. }
        | Refusal::TooManyCodes { .. }
        | Refusal::CodeWrong { .. }
        | Refusal::CodeExpired
        | Refusal::PaymentPasswordMalformed
        | Refusal::PaymentPasswordWeak
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
pub fn status(refusal: Refusal) -> u16 {
    match refusal {
        Refusal::RequestMalformed => 400,
        Refusal::SignedOut => 401,
        Refusal::CodeWrong { .. }
        | Refusal::CodeExpired
        | Refusal::AccountFrozen
        | Refusal::PaymentPasswordNotSet
        | Refusal::PaymentPasswordWrong { .. }
        | Refusal::PaymentPasswordLocked { .. }
        | Refusal::PaymentPasswordResetNeeded
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
        | Refusal::ForeignOrigin => 403,
        Refusal::BindingUnknown
        | Refusal::CardUnknown
        | Refusal::OrderUnknown
        | Refusal::AppUnknown
        | Refusal::TransferUnknown
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
        | Refusal::NumberReused => 409,
        Refusal::RequestTooLarge => 413,
        Refusal::PhoneInvalid
        | Refusal::PaymentPasswordMalformed
        | Refusal::PaymentPasswordWeak
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
        | Refusal::DebitCardsOnly
        | Refusal::CodeUnreadable => 422,
        Refusal::CodeTooSoon { .. }
        | Refusal::TooManyCodes { .. }
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

/// How many tries are left; with none, what that means instead.
fn tries(
    l: Lang,
    left: u8,
    (zh, en): (&str, &str),
    may_zh: &str,
    (none_zh, none_en): (&str, &str),
) -> String {
    match (l, left) {
        (Lang::Zh, 0) => format!("{zh}，{none_zh}"),
        (Lang::En, 0) => format!("{en}, {none_en}"),
        (Lang::Zh, _) => format!("{zh}，{may_zh} {left} 次"),
        (Lang::En, 1) => format!("{en}, 1 try left"),
        (Lang::En, _) => format!("{en}, {left} tries left"),
    }
}

/// An amount inside a sentence: `¥12.40`.
fn figure(money: Money) -> String {
    format!("{}{money}", money.currency().sign())
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
    PhoneInvalid, CodeExpired, SignedOut, AccountFrozen, PaymentPasswordNotSet, PaymentPasswordAlreadySet,
    PaymentPasswordMalformed, PaymentPasswordWeak, PaymentPasswordsDiffer, PaymentPasswordResetNeeded, NameInvalid,
    IdNumberInvalid, HolderTooYoung, NotTheSamePerson, CardNumberInvalid, CardUnsupported, CardExpiryInvalid,
    CardCvvInvalid, CardAlreadyBound, CardBoundElsewhere, TooManyCards, TooManyBindings, CardDetailsMismatch,
    CardNotUsable, CardNotOpened, BankCodeWrong, BindingExpired, BindingUnknown, CardUnknown, AmountInvalid, CardInsufficientFunds, CardOverLimit,
    BankRefused, BankUnavailable, CodeUnreadable, CodeNotOurs, CodeSwapped, CodeStale, OrderUnknown, OrderClosed,
    OrderExpired, OrderAlreadyPaid, OrderBeingPaid, ProductNotEnabled, MerchantSuspended, NumberReused, RecordUnknown,
    RequestMalformed, RequestTooLarge, ForeignOrigin, Busy, OutOfOrder, OrderForAnother, CallUpInvalid, CallUpStale,
    AppUnknown, DomainNotRegistered, OrderReversed, PayerCodeOff, TransferUnknown, TransferOverdue, TransferWithdrawn, CardAwaitsMoney, DebitCardsOnly,
    WithdrawalSent, WithdrawalNotCovered, NotCompleted, WalletUnavailable, WalletNotHere, WalletAsksWho, WalletDidNotSay,
    WalletNotLinked, WalletInsufficientFunds, WalletOverLimit, WalletRefused, CodeRevoked;
    Refusal::CodeTooSoon { .. } => Refusal::CodeTooSoon { wait_s: 42 },
    Refusal::TooManyCodes { .. } => Refusal::TooManyCodes { wait_s: 900 },
    Refusal::CodeWrong { .. } => Refusal::CodeWrong { tries_left: 3 },
    Refusal::PaymentPasswordWrong { .. } => Refusal::PaymentPasswordWrong { tries_left: 2 },
    Refusal::PaymentPasswordLocked { .. } => Refusal::PaymentPasswordLocked {
        until: koudai_core::time::Timestamp(1_795_426_200_000),
    },
    Refusal::AmountOutOfRange { .. } => Refusal::AmountOutOfRange { least: yuan(1), most: yuan(50_000) },
    Refusal::InsufficientBalance { .. } => Refusal::InsufficientBalance { short_by: yuan(12) },
    Refusal::DayTopUpsReached { .. } => Refusal::DayTopUpsReached { most: yuan(100_000), left: yuan(20) },
    Refusal::DayWithdrawalsReached { .. } => Refusal::DayWithdrawalsReached { most: yuan(10_000), left: yuan(20) },
    Refusal::TooManyWithdrawals { .. } => Refusal::TooManyWithdrawals { most: 5 },
    Refusal::DayStaticCodesReached { .. } => Refusal::DayStaticCodesReached { most: yuan(500), left: yuan(0) },
    Refusal::TooManyStaticOrders { .. } => Refusal::TooManyStaticOrders { most: 200 },
}

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
