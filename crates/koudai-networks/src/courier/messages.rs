//! One-time codes on their way to phones. A code is derived when it is sent and stands nowhere before.

use koudai_core::id::AgreementId;
use koudai_core::issuing::account_number;
use koudai_core::rows::{Agreement, CodeKey, CodePurpose, IssuingApp, Message};
use koudai_core::sign_in::{CODE_LIFE_MS, MessageDone, MessageFailed, code_of};
use koudai_core::time::MINUTE;
use koudai_store::StoreError;
use zeroize::Zeroizing;

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
        if self.engine.now() >= message.expires_at {
            drop(self.engine.submit(MessageDone { message: id }).await);
            return;
        }
        let key = CodeKey { phone: message.phone, purpose: message.purpose };
        let code = code_of(self.engine.keys(), &key, &message.nonce);
        let number = account_number(self.engine.policy().account_bin, &key.phone);
        let tail = &number[number.len() - 4..];
        let app = match message.agreement {
            Some(agreement) => self.app_of(agreement).await,
            None => None,
        };
        let (zh, en) = match (key.purpose, &app) {
            (CodePurpose::SignIn, _) => ("登录".to_owned(), "sign-in".to_owned()),
            (CodePurpose::Agreement, Some(app)) => (
                format!("授权{}从你尾号 {tail} 的账户扣款", app.name_zh),
                format!("letting {} charge your account ending {tail}", app.name_en),
            ),
            // The database could not be read; the next look tries again.
            (CodePurpose::Agreement, None) => {
                drop(self.engine.submit(MessageFailed { message: id }).await);
                return;
            }
        };
        let (operator, minutes) = (&self.operator, CODE_LIFE_MS / MINUTE);
        let text = Zeroizing::new(format!(
            "【{operator}】验证码 {code}，用于{zh}，{minutes} 分钟内有效。任何人索要都是诈骗。 / \
             Code {code} for {en}, valid {minutes} min. Anyone asking for it is a fraudster.",
            code = code.expose()
        ));
        let sent = self.networks.sms.send(key.phone.digits(), &text).await;
        self.networks.health.messages_answered(sent.is_ok());
        tracing::info!(message = %id.wire(), purpose = key.purpose.word(), sent = sent.is_ok(), "message");
        // A busy engine leaves the message due; at worst the code arrives twice.
        match sent {
            Ok(()) => drop(self.engine.submit(MessageDone { message: id }).await),
            Err(_) => drop(self.engine.submit(MessageFailed { message: id }).await),
        }
    }
}
