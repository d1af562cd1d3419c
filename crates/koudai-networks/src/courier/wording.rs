//! What messages say: for every purpose of a code, to a phone or an address, in the reader's language or in both.
//!
//! A message names what its code is for and warns of those who ask for it; no message that carries a code has a link.

use koudai_core::rows::Language;
use koudai_core::secret::Secret;
use zeroize::Zeroizing;

/// What a code is for, in both languages, as a message says it.
pub(super) struct For {
    pub(super) zh: String,
    pub(super) en: String,
}

/// A code with what is said about it.
pub(super) struct CodeMessage<'a> {
    /// Who runs the wallet.
    pub(super) operator: &'a str,
    pub(super) code: &'a Secret<String>,
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
        let code = Secret::new("012345".to_owned());
        let message = |language| CodeMessage {
            operator: "示范校园",
            code: &code,
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
}
