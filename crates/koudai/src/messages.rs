//! The ways messages leave by, as settings name them: checked whole, so that every one that is wrong is named at once.

use std::path::Path;

use koudai_core::secret::Secret;
use koudai_networks::mail::{DEADLINE, Mailer};
use koudai_networks::relay::{Relay, Unusable};
use koudai_networks::sms::{Sender, Sms};

use crate::sandbox::text;
use crate::serve::{secret_file_problem, token};

/// What is said of the way to phones.
#[derive(Debug, Default)]
pub(crate) struct SmsWords {
    pub(crate) url: Option<String>,
    pub(crate) token_file: Option<String>,
    pub(crate) sender: Option<String>,
    pub(crate) root: Option<String>,
}

/// What is said of the way mail goes.
#[derive(Debug, Default)]
pub(crate) struct MailWords {
    pub(crate) url: Option<String>,
    pub(crate) password_file: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) root: Option<String>,
}

impl SmsWords {
    /// The way to phones, or what is wrong. `web` judges an address that is no message centre's, by its name and itself.
    ///
    /// # Errors
    /// With all that is wrong.
    pub(crate) fn read(self, web: fn(&str, &str) -> Result<String, String>) -> Result<Sms, Vec<String>> {
        let mut wrong = vec![];
        let is_smpp = self.url.as_deref().is_some_and(Sms::is_smpp);
        let url = match self.url {
            None => Err("sms-url is missing".to_owned()),
            Some(url) if is_smpp => {
                Relay::smpp(&url).map(|_| url).map_err(|problem| format!("sms-url: {problem}"))
            }
            Some(url) => web("sms-url", &url),
        };
        let url = url.map_err(|problem| wrong.push(problem)).ok();
        let secret = match self.token_file {
            None => Err("sms-token-file is missing".to_owned()),
            Some(file) => token("sms-token-file", &file),
        };
        let secret = secret.map_err(|problem| wrong.push(problem)).ok();
        if let Some(sender) = self.sender.as_deref() {
            let read = Sender::parse(sender).map_err(|problem| format!("sms-sender {sender:?}: {problem}"));
            wrong.extend(read.err());
        }
        let root = root("sms-root", self.root, &mut wrong);
        if let Some(url) = &url {
            if self.sender.is_some() && !is_smpp {
                wrong.push("sms-sender is a message centre's only, and sms-url is none".to_owned());
            }
            if root.is_some() && !url.starts_with("smpps:") {
                wrong.push("sms-root is for a message centre over TLS only, and sms-url is none".to_owned());
            }
        }
        let (Some(url), Some(secret), true) = (url, secret, wrong.is_empty()) else { return Err(wrong) };
        Sms::new(&url, &secret, self.sender.as_deref(), root.as_deref()).map_err(|problem| {
            let name = match problem {
                Unusable::Root => "sms-root",
                Unusable::TooLong => "sms-url with sms-token-file",
                _ => "sms-url",
            };
            vec![format!("{name}: {problem}")]
        })
    }
}

impl MailWords {
    /// The way mail goes, or nothing if there is none, or what is wrong.
    ///
    /// # Errors
    /// With all that is wrong.
    pub(crate) fn read(self) -> Result<Option<Mailer>, Vec<String>> {
        let given = [
            ("mail-password-file", self.password_file.is_some()),
            ("mail-from", self.from.is_some()),
            ("mail-root", self.root.is_some()),
        ];
        let Some(url) = self.url else {
            let alone = given.into_iter().filter(|(_, given)| *given);
            let wrong: Vec<_> = alone.map(|(name, _)| format!("mail-url is missing beside {name}")).collect();
            return if wrong.is_empty() { Ok(None) } else { Err(wrong) };
        };
        let mut wrong = vec![];
        let relay = Relay::smtp(&url).map_err(|problem| wrong.push(format!("mail-url: {problem}"))).ok();
        if self.from.is_none() {
            wrong.push("mail-from is missing beside mail-url".to_owned());
        }
        let password = self.password_file.map(|file| password("mail-password-file", &file)).transpose();
        let password = password.map_err(|problem| wrong.push(problem)).ok().flatten();
        let root = root("mail-root", self.root, &mut wrong);
        let (Some(relay), Some(from), true) = (relay, self.from, wrong.is_empty()) else { return Err(wrong) };
        let mailer = Mailer::new(relay, password.as_ref(), &from, root.as_deref(), DEADLINE);
        mailer.map(Some).map_err(|problem| {
            let name = match problem {
                Unusable::From => "mail-from",
                Unusable::HalfACredential => "mail-url with mail-password-file",
                Unusable::Root => "mail-root",
                _ => "mail-url",
            };
            vec![format!("{name}: {problem}")]
        })
    }
}

/// The text of a certificate that is to be trusted.
fn root(name: &str, file: Option<String>, wrong: &mut Vec<String>) -> Option<String> {
    let read = text(Path::new(&file?)).map(|text| text.to_string());
    read.map_err(|failure| wrong.push(format!("{name}: {failure}"))).ok()
}

/// A password: one line, in which blanks may stand, as providers print them.
fn password(name: &str, path: &str) -> Result<Secret<String>, String> {
    if let Some(problem) = secret_file_problem(name, path) {
        return Err(problem);
    }
    let text = text(path.as_ref()).map_err(|failure| format!("{name}: {failure}"))?;
    let password = text.trim();
    if password.is_empty() || password.chars().any(char::is_control) {
        return Err(format!("{name} {path}: a password is one line"));
    }
    Ok(Secret::new(password.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::serve::https;

    /// A file that is its owner's alone.
    fn file(directory: &tempfile::TempDir, name: &str, text: &str) -> String {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_gateway_is_https_and_a_message_centre_smpps_or_near() {
        let directory = tempfile::tempdir().unwrap();
        let read = |url: &str, sender: Option<&str>, root: Option<String>| {
            let words = SmsWords {
                url: Some(url.to_owned()),
                token_file: Some(file(&directory, "token", "hushhush\n")),
                sender: sender.map(str::to_owned),
                root,
            };
            words.read(https).map(drop).map_err(|wrong| wrong.join(" "))
        };
        assert_eq!(read("https://sms.example.org/send", None, None), Ok(()));
        assert_eq!(read("smpp://koudai@10.0.0.9:2775", Some("+8613800138000"), None), Ok(()));
        for (url, sender, problem) in [
            ("http://sms.example.org/send", None, "sms-url \"http://sms.example.org/send\" is not https"),
            ("smpp://koudai@smsc.example.org:2775", None, "write smpps://"),
            ("smpps://smsc.example.org:2775", None, "sms-url: write smpps://NAME@HOST:PORT"),
            ("smpps://koudai:hushhush@smsc.example.org:2775", None, "sms-url: a password does not stand"),
            ("smpp://koudai@10.0.0.9:2775", Some("口袋"), "sms-sender"),
            ("https://sms.example.org/send", Some("Koudai"), "sms-sender is a message centre's only"),
            ("smpp://a-name-too-long-for-it@10.0.0.9:2775", None, "sms-url with sms-token-file: SMPP takes"),
        ] {
            let wrong = read(url, sender, None).unwrap_err();
            assert!(wrong.contains(problem) && !wrong.contains("hushhush"), "{url}: {wrong}");
        }
        let wrong =
            read("smpps://koudai@smsc.example.org:2775", None, Some(file(&directory, "root", "nothing")));
        assert!(wrong.unwrap_err().contains("sms-root: there is no certificate"));
        let wrong = read("smpp://koudai@10.0.0.9:2775", None, Some(file(&directory, "root", "nothing")));
        assert!(wrong.unwrap_err().contains("sms-root is for a message centre over TLS only"));
    }

    #[test]
    fn mail_is_all_there_or_not_there_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let words = |url: &str, user: bool, from: &str| MailWords {
            url: Some(url.to_owned()).filter(|url| !url.is_empty()),
            password_file: user.then(|| file(&directory, "password", "hush hush\n")),
            from: Some(from.to_owned()).filter(|from| !from.is_empty()),
            root: None,
        };
        assert!(MailWords::default().read().unwrap().is_none());
        let whole = words("smtps://a%40example.org@smtp.example.org", true, "口袋 <a@example.org>");
        assert!(whole.read().unwrap().is_some());
        assert!(words("smtp://127.0.0.1:25", false, "a@example.org").read().unwrap().is_some());
        for (words, problem) in [
            (words("", true, "a@example.org"), "mail-url is missing beside mail-from"),
            (words("smtps://smtp.example.org", false, ""), "mail-from is missing beside mail-url"),
            (words("https://smtp.example.org", false, "a@example.org"), "mail-url: write smtps://"),
            (
                words("smtps://a:hush@smtp.example.org", false, "a@b.org"),
                "mail-url: a password does not stand",
            ),
            (words("smtps://smtp.example.org", true, "a@b.org"), "mail-url with mail-password-file"),
            (words("smtps://smtp.example.org", false, "nobody"), "mail-from: write"),
        ] {
            let wrong = words.read().unwrap_err().join(" ");
            assert!(wrong.contains(problem) && !wrong.contains("hush"), "{wrong}");
        }
    }
}
