//! What happened, of every refusal.

use koudai_core::refusal::Refusal;

use crate::say::{Lang, figure};

/// What happened, in one sentence.
#[expect(clippy::too_many_lines, reason = "one table, one line or two for each refusal")]
pub(super) fn title(refusal: Refusal, l: Lang) -> String {
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
        Refusal::EmailInvalid => plain("邮箱格式不正确", "That is not an e-mail address"),
        Refusal::EmailUnbound => plain("没有账户绑定这个邮箱", "No wallet has this e-mail address"),
        Refusal::EmailTaken => plain("这个邮箱已绑定另一个账户", "Another wallet has this e-mail address"),
        Refusal::EmailNotOffered => plain("本钱包暂不支持邮箱", "This wallet does not send e-mail"),
        Refusal::SignInWrong => plain("账号或密码不正确", "Wrong account or password"),
        Refusal::SignInPaused { wait_s }
        | Refusal::SecondStepPaused { wait_s }
        | Refusal::FreezePaused { wait_s } => {
            let wait = l.wait(wait_s);
            match l {
                Lang::Zh => format!("尝试次数过多，请 {wait}后再试"),
                Lang::En => format!("Too many wrong tries, try again in {wait}"),
            }
        }
        Refusal::LoginPasswordLength => {
            plain("登录密码须为 8 至 128 个字符", "A password has 8 to 128 characters")
        }
        Refusal::LoginPasswordCommon => {
            plain("该密码太常见，容易被猜到，请换一个", "This password is easily guessed, choose another")
        }
        Refusal::LoginPasswordReused => {
            plain("不能使用最近 5 次用过的密码", "You have used this password before, choose another")
        }
        Refusal::PasskeyUnknown => plain("没有账户使用这个通行密钥", "No wallet has this passkey"),
        Refusal::PasskeyRefused => plain("通行密钥验证未通过", "The passkey could not be checked"),
        Refusal::PasskeyMayNotPay => {
            plain("这个通行密钥还不能用于付款", "This passkey may not confirm payments yet")
        }
        Refusal::TooManyPasskeys => {
            plain("通行密钥数量已达上限", "You have as many passkeys as an account may have")
        }
        Refusal::SecondStepWrong => plain("两步验证未通过", "The second step is not right"),
        Refusal::SecondStepOver => plain("已超时", "That took too long"),
        Refusal::SecondStepNeedsEmail => plain("请先绑定邮箱", "Add an e-mail address first"),
        Refusal::EmailIsSecondStep => {
            plain("这个邮箱正用于两步验证", "This address is one of your two steps")
        }
        Refusal::PhoneTaken => plain("这个手机号已绑定账户", "This number is on an account already"),
        Refusal::LoginPasswordWrong => plain("当前密码不正确", "That is not your present password"),
        Refusal::RecoveryOver => plain("找回已超时", "That took too long"),
        Refusal::RecoveryTakesPhone => {
            plain("这个账户不能只用邮箱找回", "An address alone is not enough for this account")
        }
        Refusal::RecoveryTakesStaff => plain("需要人工核实身份", "Our staff have to confirm that it is you"),
        Refusal::FreezeWordWrong => plain(
            "手机号或冻结码不正确，或冻结码已使用、已过期",
            "Wrong number or code, or it was used or is past its day",
        ),
        Refusal::CoolingDown { until } => match l {
            Lang::Zh => format!("安全保护中，{} 前暂不能这样操作", l.moment(until)),
            Lang::En => format!("Your account is protected until {}: this has to wait", l.moment(until)),
        },
        Refusal::CoolSpendingReached { most, left, until } => match l {
            Lang::Zh => format!(
                "安全保护中，{} 前每天最多消费 {}，今天还可消费 {}",
                l.moment(until),
                figure(most),
                figure(left)
            ),
            Lang::En => format!(
                "Your account is protected until {}: at most {} a day, {} left today",
                l.moment(until),
                figure(most),
                figure(left)
            ),
        },
        Refusal::CoolWithdrawalsReached { most, left, until } => match l {
            Lang::Zh => format!(
                "安全保护中，{} 前每天最多向新卡提现 {}，今天还可提现 {}",
                l.moment(until),
                figure(most),
                figure(left)
            ),
            Lang::En => format!(
                "Your account is protected until {}: at most {} a day to new cards, {} left today",
                l.moment(until),
                figure(most),
                figure(left)
            ),
        },
        Refusal::ProofNeeded => plain("请先验证是你本人", "Confirm that it is you first"),
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
        Refusal::PaymentPasswordReused => {
            plain("不能使用最近 5 次用过的支付密码", "You have used this one before, choose another")
        }
        Refusal::CardNumberNotYours => {
            plain("这不是你已绑定的银行卡", "That is not the number of a card you have added")
        }
        Refusal::ResetPaused { wait_s } => {
            let wait = l.wait(wait_s);
            match l {
                Lang::Zh => format!("卡号错误次数过多，请 {wait}后再试"),
                Lang::En => format!("Too many wrong card numbers, try again in {wait}"),
            }
        }
        Refusal::RenewalExpired => plain("验证已过期", "It has been too long since you confirmed"),
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
