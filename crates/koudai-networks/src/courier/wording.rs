//! What messages say: for every purpose of a code and every change of an account, to a phone or an address, in the reader's language or
//! in both.
//!
//! A message names what its code is for and warns of those who ask for it; no message that carries a code has a link. What an
//! address is told of a change has one, to our own origin, and what a phone is told has none.

use koudai_core::rows::{AccountChange, Language};
use koudai_core::secret::Secret;
use koudai_core::time::Timestamp;
use zeroize::Zeroizing;

/// What a code is for, in both languages, as a message says it.
pub(super) struct For {
    pub(super) zh: String,
    pub(super) en: String,
}

/// What a message says.
pub(super) enum Said<'a> {
    Code(CodeMessage<'a>),
    Change(ChangeMessage<'a>),
}

impl Said<'_> {
    /// For a phone.
    pub(super) fn short(&self) -> Zeroizing<String> {
        match self {
            Self::Code(said) => said.short(),
            Self::Change(said) => said.short(),
        }
    }

    /// What an e-mail is about.
    pub(super) fn subject(&self) -> String {
        match self {
            Self::Code(said) => said.subject(),
            Self::Change(said) => said.subject(),
        }
    }

    /// For an address.
    pub(super) fn letter(&self) -> Zeroizing<String> {
        match self {
            Self::Code(said) => said.letter(),
            Self::Change(said) => said.letter(),
        }
    }
}

/// The same text in the reader's language, or both one after the other.
fn in_language(
    language: Option<Language>,
    between: &str,
    zh: impl FnOnce() -> Zeroizing<String>,
    en: impl FnOnce() -> Zeroizing<String>,
) -> Zeroizing<String> {
    match language {
        Some(Language::Zh) => zh(),
        Some(Language::En) => en(),
        None => Zeroizing::new(format!("{}{between}{}", zh().as_str(), en().as_str())),
    }
}

/// What has changed of an account, with a way to freeze it.
pub(super) struct ChangeMessage<'a> {
    /// Who runs the wallet.
    pub(super) operator: &'a str,
    /// What links begin with.
    pub(super) origin: &'a str,
    pub(super) about: AccountChange,
    pub(super) at: Timestamp,
    /// What shows the right to freeze the account.
    pub(super) word: Secret<String>,
    /// `None` for both languages.
    pub(super) language: Option<Language>,
}

impl ChangeMessage<'_> {
    /// What has happened, in Chinese and in English, said of an account.
    const fn happened(&self) -> (&'static str, &'static str) {
        match self.about {
            AccountChange::NewDevice => ("在一台新设备上登录", "was signed in to on a new device"),
            AccountChange::Phone => ("更换了手机号", "was given another phone number"),
            AccountChange::Email => ("绑定了新的邮箱", "was given a new e-mail address"),
            AccountChange::EmailRemoved => ("解绑了邮箱", "had its e-mail address removed"),
            AccountChange::LoginPassword => ("设置了新的登录密码", "got a new log-in password"),
            AccountChange::LoginPasswordRemoved => ("停用了登录密码", "had its log-in password removed"),
            AccountChange::LoginPasswordRecovered => {
                ("找回并重设了登录密码", "had its log-in password reset")
            }
            AccountChange::PaymentPassword => ("设置了新的支付密码", "got a new payment password"),
            AccountChange::PaymentPasswordForgotten => {
                ("通过了找回支付密码的验证", "was cleared for a new payment password")
            }
            AccountChange::SecondStep => ("设置了两步验证", "had two-step verification set up"),
            AccountChange::SecondStepRemoved => {
                ("关闭了一种两步验证", "had a way of two-step verification turned off")
            }
            AccountChange::RecoveryCodeUsed => ("使用了一个恢复码", "had one of its recovery codes used"),
            AccountChange::RecoveryCodes => ("生成了新的恢复码", "got new recovery codes"),
            AccountChange::Passkey => ("添加了通行密钥", "got a new passkey"),
            AccountChange::PasskeyRemoved => ("移除了一个通行密钥", "had a passkey removed"),
            AccountChange::PasskeyPays => ("开通了通行密钥付款", "had a passkey allowed to pay"),
        }
    }

    /// `11月23日 14:05`, and the same in English.
    fn moment(&self) -> (String, String) {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let t = self.at.china();
        let clock = format!("{:02}:{:02}", t.hour, t.minute);
        let month = MONTHS[usize::from(t.month - 1)];
        (format!("{}月{}日 {clock}", t.month, t.day), format!("{} {month}, {clock}", t.day))
    }

    fn short(&self) -> Zeroizing<String> {
        let (word, (zh, en), (at_zh, at_en)) = (self.word.expose(), self.happened(), self.moment());
        // In groups, as it is easily read and typed.
        let word = Zeroizing::new(format!("{}-{}", &word[..word.len() / 2], &word[word.len() / 2..]));
        let word = word.as_str();
        let said = in_language(
            self.language,
            " / ",
            || {
                Zeroizing::new(format!(
                    "你的账户于 {at_zh} {zh}。不是你？在登录页“无法登录”里用冻结码 {word} 冻结账户，24 小时内有效。"
                ))
            },
            || {
                Zeroizing::new(format!(
                    "Your account {en} on {at_en}. Not you? Freeze it under \"Can't sign in?\" on the sign-in page, by the \
                     code {word}, valid 24 h."
                ))
            },
        );
        Zeroizing::new(format!("【{}】{}", self.operator, said.as_str()))
    }

    fn subject(&self) -> String {
        match self.language {
            Some(Language::Zh) => format!("{} 账户安全提醒", self.operator),
            Some(Language::En) => format!("Your {} account has changed", self.operator),
            None => format!("{} 账户安全提醒 / Your account has changed", self.operator),
        }
    }

    fn letter(&self) -> Zeroizing<String> {
        let (operator, (zh, en), (at_zh, at_en)) = (self.operator, self.happened(), self.moment());
        let link = Zeroizing::new(format!("{}/freeze/{}", self.origin, self.word.expose()));
        let link = link.as_str();
        in_language(
            self.language,
            "\n",
            || {
                Zeroizing::new(format!(
                    "你好，\n\n你的账户于 {at_zh} {zh}。\n\n如果是你本人操作，无需处理。\n\n\
                     如果不是你，请打开下面的链接，点“立即冻结”（24 小时内有效，只能用一次）：\n{link}\n\n\
                     冻结后，谁也不能用这个账户付款、提现或修改设置，账户里的钱不受影响。\n\n\
                     {operator}的工作人员不会索要密码或验证码。\n"
                ))
            },
            || {
                Zeroizing::new(format!(
                    "Hello,\n\nYour account {en} on {at_en}.\n\nIf this was you, there is nothing to do.\n\n\
                     If it was not, open this link and press \"Freeze now\" (it works once, for 24 hours):\n{link}\n\n\
                     Once it is frozen, nobody can pay from the account, withdraw or change anything, and the money in it is \
                     untouched.\n\nNobody at {operator} will ever ask you for a password or a code.\n"
                ))
            },
        )
    }
}

/// A code with what is said about it.
pub(super) struct CodeMessage<'a> {
    /// Who runs the wallet.
    pub(super) operator: &'a str,
    pub(super) code: Secret<String>,
    pub(super) purpose: For,
    /// How long it is good.
    pub(super) minutes: i64,
    /// `None` for both languages.
    pub(super) language: Option<Language>,
}

impl CodeMessage<'_> {
    /// For a phone. Chinese carriers want the sender's name in these brackets in front.
    pub(super) fn short(&self) -> Zeroizing<String> {
        let (zh, en) = (self.short_zh(), self.short_en());
        Zeroizing::new(match self.language {
            Some(Language::Zh) => format!("【{}】{}", self.operator, zh.as_str()),
            Some(Language::En) => format!("【{}】{}", self.operator, en.as_str()),
            None => format!("【{}】{} / {}", self.operator, zh.as_str(), en.as_str()),
        })
    }

    fn short_zh(&self) -> Zeroizing<String> {
        let (code, minutes) = (self.code.expose(), self.minutes);
        let purpose = &self.purpose.zh;
        Zeroizing::new(format!("验证码 {code}，用于{purpose}，{minutes} 分钟内有效。任何人索要都是诈骗。"))
    }

    fn short_en(&self) -> Zeroizing<String> {
        let (code, minutes) = (self.code.expose(), self.minutes);
        let purpose = &self.purpose.en;
        Zeroizing::new(format!(
            "Code {code} for {purpose}, valid {minutes} min. Anyone asking for it is a fraudster."
        ))
    }

    /// What an e-mail is about. The code does not stand here: subjects are shown on locked screens.
    pub(super) fn subject(&self) -> String {
        match self.language {
            Some(Language::Zh) => format!("{} 验证码", self.operator),
            Some(Language::En) => format!("Your {} code", self.operator),
            None => format!("{} 验证码 / Your code", self.operator),
        }
    }

    /// For an address.
    pub(super) fn letter(&self) -> Zeroizing<String> {
        let (code, minutes) = (self.code.expose(), self.minutes);
        let operator = self.operator;
        let zh = || {
            let purpose = &self.purpose.zh;
            Zeroizing::new(format!(
                "你好，\n\n你的验证码是 {code}，用于{purpose}，{minutes} 分钟内有效。\n\n\
                 任何人索要验证码都是诈骗，{operator}的工作人员也不会索要。如果不是你本人操作，请忽略这封邮件。\n"
            ))
        };
        let en = || {
            let purpose = &self.purpose.en;
            Zeroizing::new(format!(
                "Hello,\n\nYour code is {code}. It is for {purpose} and valid for {minutes} minutes.\n\n\
                 Anyone asking you for it is a fraudster, and nobody at {operator} ever will. If this was not you, ignore this \
                 message.\n"
            ))
        };
        match self.language {
            Some(Language::Zh) => zh(),
            Some(Language::En) => en(),
            None => Zeroizing::new(format!("{}\n{}", zh().as_str(), en().as_str())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_its_purpose_once_in_the_readers_language_and_has_no_link() {
        let message = |language| CodeMessage {
            operator: "示范校园",
            code: Secret::new("012345".to_owned()),
            purpose: For { zh: "登录".to_owned(), en: "sign-in".to_owned() },
            minutes: 5,
            language,
        };
        let zh = message(Some(Language::Zh));
        assert_eq!(
            zh.short().as_str(),
            "【示范校园】验证码 012345，用于登录，5 分钟内有效。任何人索要都是诈骗。"
        );
        let en = message(Some(Language::En));
        assert_eq!(
            en.short().as_str(),
            "【示范校园】Code 012345 for sign-in, valid 5 min. Anyone asking for it is a fraudster."
        );
        for one in [message(None), zh, en] {
            assert!(!one.subject().contains("012345"));
            for text in [one.short(), one.letter()] {
                let times = if one.language.is_none() { 2 } else { 1 };
                assert_eq!(text.matches("012345").count(), times, "{}", text.as_str());
                assert!(!text.contains("http") && !text.contains("www"), "{}", text.as_str());
            }
        }
    }

    #[test]
    fn news_of_a_change_says_what_and_when_and_how_to_freeze_the_account() {
        for &about in AccountChange::ALL {
            let message = |word: &str, language| ChangeMessage {
                operator: "示范校园",
                origin: "https://pay.example.org",
                about,
                at: Timestamp::parse_rfc3339("2026-11-23T06:05:09Z").unwrap(),
                word: Secret::new(word.to_owned()),
                language,
            };
            let to_phone = message("ABCDEFGHJK", Some(Language::Zh)).short();
            assert!(to_phone.starts_with("【示范校园】你的账户于 11月23日 14:05 "), "{}", to_phone.as_str());
            assert!(to_phone.contains("冻结码 ABCDE-FGHJK"), "{}", to_phone.as_str());
            let to_phone = message("ABCDEFGHJK", Some(Language::En)).short();
            assert!(to_phone.contains(" on 23 Nov, 14:05. Not you?"), "{}", to_phone.as_str());
            // What a phone is told has no link: whoever wants to act opens the site they know.
            assert!(!to_phone.contains("http") && !to_phone.contains("pay.example"), "{}", to_phone.as_str());
            let both = message("ABCDEFGHJKLMNPQRSTUVWXYZ23", None);
            let link = "\nhttps://pay.example.org/freeze/ABCDEFGHJKLMNPQRSTUVWXYZ23\n";
            assert_eq!(both.letter().matches(link).count(), 2, "{}", both.letter().as_str());
            assert!(!both.subject().contains("ABCDE"));
        }
    }
}
