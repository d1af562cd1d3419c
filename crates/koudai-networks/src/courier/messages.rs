//! One-time codes, and news of what has changed, on their way to phones and addresses. A code is derived when it is sent and stands
//! nowhere before.

use koudai_core::id::AgreementId;
use koudai_core::identity::Contact;
use koudai_core::issuing::account_number;
use koudai_core::rows::{Agreement, CodeKey, CodePurpose, EmailOwner, IssuingApp, Message, PhoneOwner};
use koudai_core::sign_in::{CODE_LIFE_MS, FREEZE_LIFE_MS, MessageDone, MessageFailed, code_of, freeze_word};
use koudai_core::time::MINUTE;
use koudai_store::StoreError;

use super::wording::{ChangeMessage, CodeMessage, For, Said};
use super::{Courier, TAKE};

impl Courier {
    pub(super) async fn look_for_messages(&self) -> Result<(), StoreError> {
        let now = self.engine.now();
        for message in self.engine.read(move |r| r.due_messages(now, TAKE)).await? {
            if self.under_way.messages.claim(&message.id) {
                let courier = self.clone();
                tokio::spawn(async move {
                    let id = message.id;
                    courier.send(message).await;
                    courier.under_way.messages.free(&id);
                });
            }
        }
        Ok(())
    }

    /// The app that an agreement is with.
    async fn app_of(&self, agreement: AgreementId) -> Option<IssuingApp> {
        let found = self.engine.read(move |r| {
            let app = r.get::<Agreement>(&agreement)?.map(|agreement| agreement.app);
            app.map_or(Ok(None), |app| r.get::<IssuingApp>(&app))
        });
        found.await.ok().flatten()
    }

    async fn send(&self, message: Message) {
        let id = message.id;
        let sent = self.hand_over(message).await;
        // A busy engine leaves the message due, and its code may arrive once more.
        match sent {
            Sent::Done => drop(self.engine.submit(MessageDone { message: id }).await),
            Sent::Failed => drop(self.engine.submit(MessageFailed { message: id }).await),
        }
    }

    async fn hand_over(&self, message: Message) -> Sent {
        if self.engine.now() >= message.expires_at {
            return Sent::Done;
        }
        let key = CodeKey { contact: message.contact.clone(), purpose: message.purpose };
        match self.has_reader(&key).await {
            // Nobody is written to who has no account, and whoever asked is not told (ASVS 6.3.8).
            Ok(false) => return Sent::Done,
            Ok(true) => {}
            Err(_) => return Sent::Failed,
        }
        let Some(said) = self.said(&key, &message).await else {
            // The database could not be read; the next look tries again.
            return Sent::Failed;
        };
        let sent = match &key.contact {
            Contact::Phone(phone) => match self.networks.sms.send(phone.digits(), &said.short()).await {
                Ok(()) => {
                    self.networks.health.messages_answered(true);
                    true
                }
                Err(error) => {
                    // A gateway that refuses one message works: anybody may type a number that nothing reaches.
                    self.networks.health.messages_answered(error.is_of_the_message());
                    tracing::info!(message = %message.id.wire(), %error, "message not taken");
                    // It may have arrived all the same: nobody is sent a code more than twice.
                    if error.may_have_gone_out() && message.tries > 0 {
                        return Sent::Done;
                    }
                    false
                }
            },
            Contact::Email(email) => {
                let Some(mail) = &self.networks.mail else { return Sent::Done };
                match mail.send(email.address(), &said.subject(), &said.letter()).await {
                    Ok(()) => true,
                    // To ask again would be answered the same.
                    Err(error) if error.is_final() => {
                        tracing::info!(message = %message.id.wire(), %error, "message refused");
                        return Sent::Done;
                    }
                    Err(error) => {
                        tracing::info!(message = %message.id.wire(), %error, "message not taken");
                        false
                    }
                }
            }
        };
        tracing::info!(message = %message.id.wire(), purpose = key.purpose.word(), sent, "message");
        if sent { Sent::Done } else { Sent::Failed }
    }

    /// What a message says; `None` if that could not be read.
    async fn said(&self, key: &CodeKey, message: &Message) -> Option<Said<'_>> {
        let (keys, operator, language) = (self.engine.keys(), &*self.operator, message.language);
        if let Some(about) = message.about {
            return Some(Said::Change(ChangeMessage {
                operator,
                origin: &self.origin,
                about,
                at: message.expires_at.plus(-FREEZE_LIFE_MS),
                word: freeze_word(keys, &key.contact, &message.nonce),
                language,
            }));
        }
        let purpose = self.purpose_of(key, message.agreement).await?;
        let code = code_of(keys, key, &message.nonce);
        Some(Said::Code(CodeMessage { operator, code, purpose, minutes: CODE_LIFE_MS / MINUTE, language }))
    }

    /// What a code is for; `None` if that could not be read.
    async fn purpose_of(&self, key: &CodeKey, agreement: Option<AgreementId>) -> Option<For> {
        let purpose = |zh: &str, en: &str| Some(For { zh: zh.to_owned(), en: en.to_owned() });
        match key.purpose {
            CodePurpose::SignIn => purpose("登录", "sign-in"),
            CodePurpose::Proof => purpose("验证身份", "confirming that it is you"),
            CodePurpose::NewEmail => purpose("绑定邮箱", "adding this e-mail address"),
            CodePurpose::SecondStep => purpose("两步验证", "the second of two steps"),
            CodePurpose::PaymentPassword => purpose("重设支付密码", "a new payment password"),
            CodePurpose::Recovery => purpose("找回登录密码", "a new log-in password"),
            CodePurpose::NewPhone => purpose("更换手机号", "changing to this phone number"),
            // Whoever is told of a change is sent no code of six digits.
            CodePurpose::Freeze => None,
            CodePurpose::Agreement => {
                let app = self.app_of(agreement?).await?;
                let Contact::Phone(phone) = &key.contact else { return None };
                let number = account_number(self.engine.policy().account_bin, phone);
                let tail = &number[number.len() - 4..];
                Some(For {
                    zh: format!("授权{}从你尾号 {tail} 的账户扣款", app.name_zh),
                    en: format!("letting {} charge your account ending {tail}", app.name_en),
                })
            }
        }
    }

    /// Whether a code is of use to anybody where it goes: only somebody who has an account can use one to an address, or one to get
    /// an account back.
    async fn has_reader(&self, key: &CodeKey) -> Result<bool, StoreError> {
        match (key.purpose, key.contact.clone()) {
            (CodePurpose::SignIn | CodePurpose::Recovery, Contact::Email(email)) => {
                self.engine.read(move |r| r.get::<EmailOwner>(&email)).await.map(|owner| owner.is_some())
            }
            (CodePurpose::Recovery, Contact::Phone(phone)) => {
                self.engine.read(move |r| r.get::<PhoneOwner>(&phone)).await.map(|owner| owner.is_some())
            }
            _ => Ok(true),
        }
    }
}

/// Whether a message is to be tried again.
enum Sent {
    Done,
    Failed,
}
