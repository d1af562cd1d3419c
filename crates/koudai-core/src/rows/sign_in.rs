//! The rows of signing in: who holds which phone and address, sessions and devices, codes, passwords and passkeys, and what is
//! counted so that nobody can guess them.

use crate::column::{Cells, Column, Fields, Row, Value};
use crate::declaring::row_types;
use crate::id::{AgreementId, MessageId, PersonId};
use crate::identity::{Contact, Email, Phone};
use crate::money::Money;
use crate::row_values::{AccountChange, CodeKey, CodePurpose, Language, PasskeyAlgorithm, RecoveryOf};
use crate::time::Timestamp;

row_types! {
    /// Who holds a phone number. Source.
    PhoneOwner in phone_owner as phone_owner {
        /// The number.
        phone: Phone,
        /// Its holder.
        person: PersonId,
    }

    /// Who holds an e-mail address. Source.
    EmailOwner in email_owner as email_owner {
        /// The address.
        email: Email,
        /// Its holder.
        person: PersonId,
    }

    /// A signed-in device, found by the hash of its token. Source.
    Session in session as session {
        /// SHA-256 of the token, which itself is kept nowhere.
        token_hash: [u8; 32],
        /// Who is signed in.
        person: PersonId,
        /// Since when.
        created_at: Timestamp,
        /// Until when.
        expires_at: Timestamp,
        /// The device, as its row is found by; `None` of a program that names none.
        device: Option<[u8; 32]>,
        /// When its holder last proved who they are, by more than this session.
        proven_at: Timestamp,
        /// Until when a new payment password may be set in it: its holder has proved that they are to.
        may_renew_until: Timestamp,
    }

    /// A device that a person has signed in on. Source.
    Device in device as device {
        /// Keyed hash of the person and of what the device holds, which itself is kept nowhere.
        key: [u8; 32],
        /// The person.
        person: PersonId,
        /// When they first signed in on it.
        first_at: Timestamp,
        /// When they last did.
        last_at: Timestamp,
    }

    /// The one-time code last sent to a phone or an address for a purpose. The code is a MAC of the nonce and is kept nowhere. Source.
    OneTimeCode in sent_code as one_time_code {
        /// Where to and what for.
        key: CodeKey,
        /// What the code is derived from.
        nonce: [u8; 16],
        /// SHA-256 of what the browser or program that asked for it holds. Nobody else can use the code, though they know it.
        request: [u8; 32],
        /// When it was asked for.
        asked_at: Timestamp,
        /// Tries left; 0 once used or void.
        tries_left: u8,
        /// Start of the hour that `in_hour` counts.
        hour_from: Timestamp,
        /// Codes asked for in that hour.
        in_hour: u8,
        /// The day in China that `in_day` counts.
        day: i64,
        /// Codes asked for on that day.
        in_day: u8,
    }

    /// A message on its way to a phone; its code is derived when it is sent. Source; deleted once sent or stale.
    Message in outgoing_message as message {
        /// The message.
        id: MessageId,
        /// Where it goes.
        contact: Contact,
        /// What its code allows.
        purpose: CodePurpose,
        /// What its code is derived from.
        nonce: [u8; 16],
        /// When to try next.
        next_at: Timestamp,
        /// How often it was tried.
        tries: u32,
        /// From then on it is of no use.
        expires_at: Timestamp,
        /// In which language; `None` for both.
        language: Option<Language>,
        /// The agreement that its code allows.
        agreement: Option<AgreementId>,
        /// What its reader is told of, if that is what it is for.
        about: Option<AccountChange>,
    }

    /// A person's password for signing in. Source.
    LoginPassword in login_password as login_password {
        /// The person.
        person: PersonId,
        /// What the slow hash is salted with. It stays when the password changes, so that one that was used before is known by
        /// one slow hash.
        salt: [u8; 16],
        /// HMAC under the operator's key of the password's slow hash; `None` of somebody who does without one now.
        mac: Option<[u8; 32]>,
        /// When it was last set.
        set_at: Timestamp,
        /// The MACs of the ones before, 32 bytes each, the newest first.
        earlier: Vec<u8>,
    }

    /// A passkey. Source.
    Passkey in passkey as passkey {
        /// SHA-256 of its credential id.
        id: [u8; 32],
        /// Whose it is.
        person: PersonId,
        /// What authenticators know it by.
        credential: Vec<u8>,
        /// Its public key, as a `SubjectPublicKeyInfo`.
        public_key: Vec<u8>,
        /// How it signs.
        algorithm: PasskeyAlgorithm,
        /// How often it has signed, as it says; 0 if it does not count.
        sign_count: u32,
        /// What its holder calls it.
        name: String,
        /// When it was made.
        added_at: Timestamp,
        /// When it was last used.
        used_at: Option<Timestamp>,
        /// Whether its holder has allowed it, by the payment password, to confirm payments.
        pays: bool,
    }

    /// A challenge that a passkey has answered; deleted some time after it expired. Challenges that nobody answered are stored
    /// nowhere. Source.
    UsedChallenge in used_challenge as used_challenge {
        /// The moment it expires, and 80 random bits.
        token: [u8; 16],
        /// Until when it would have been good.
        expires_at: Timestamp,
    }

    /// A sign-in that waits for its second step; deleted once it had it, or some time after it expired. Source.
    HalfSession in half_session as half_session {
        /// SHA-256 of what whoever gave the first step holds.
        token_hash: [u8; 32],
        /// Who signs in.
        person: PersonId,
        /// What the first step was given by.
        first: Contact,
        /// Until when.
        expires_at: Timestamp,
    }

    /// A person's second step. The secrets of app and recovery codes are MACs of the nonces and are kept nowhere. Source.
    SecondStep in second_step as second_step {
        /// The person.
        person: PersonId,
        /// What the authenticator app's secret is derived from; `None` without an app.
        app: Option<[u8; 16]>,
        /// When it was set up.
        app_since: Option<Timestamp>,
        /// What the secret of an app is derived from that has not shown a code of it yet.
        app_offered: Option<[u8; 16]>,
        /// The session it was offered in.
        offered_by: Option<[u8; 32]>,
        /// When.
        offered_at: Timestamp,
        /// The last step of which a code was used: no earlier one counts.
        last_step: i64,
        /// Wrong codes of the app in a row.
        wrong: u8,
        /// Whether codes to phone and address do.
        by_code: bool,
        /// What the recovery codes are derived from.
        recovery: Option<[u8; 16]>,
        /// Those that were used, a bit each.
        recovery_used: u16,
        /// Since when there is a second step: devices signed in on before are new to it.
        since: Timestamp,
    }

    /// How a person is signed in. Source.
    SignIns in sign_ins as sign_ins {
        /// The person.
        person: PersonId,
        /// The hashes of the tokens of the sessions that may be open, 32 bytes each, the newest first.
        sessions: Vec<u8>,
        /// On how many devices they have signed in.
        devices: u32,
        /// In which language they are told of what changes: the one of a device of theirs.
        language: Option<Language>,
    }

    /// A right to freeze an account at once, which its holder was sent; deleted once used, or when it expires. Source.
    FreezeRight in freeze_right as freeze_right {
        /// Keyed hash of the word that shows it, which itself is kept nowhere.
        key: [u8; 32],
        /// Whose account.
        person: PersonId,
        /// Until when.
        expires_at: Timestamp,
    }

    /// Somebody getting back what they have lost, without being signed in; deleted once they have it, or some time after it
    /// expired. Source.
    Recovery in recovery as recovery {
        /// SHA-256 of what they hold since the first proof.
        token_hash: [u8; 32],
        /// Whose account.
        person: PersonId,
        /// What they get back.
        kind: RecoveryOf,
        /// Whether they have given all the proof that it takes.
        proven: bool,
        /// Until when.
        expires_at: Timestamp,
    }

    /// What a person spent and withdrew on a day of a cool-down. Source.
    CoolTally in cool_tally as cool_tally {
        /// The person.
        person: PersonId,
        /// The day in China that the rest counts.
        day: i64,
        /// What was paid, or is being.
        spent: Money,
        /// What was withdrawn to cards that are new, or is being.
        withdrawn: Money,
    }

    /// How often something was done of what may be done only so often; deleted some time after it ended. Source.
    Allowance in allowance as allowance {
        /// Keyed hash of what is counted and for whom: addresses and numbers are not kept.
        key: [u8; 32],
        /// How often.
        used: u32,
        /// From then on it counts anew.
        ends_at: Timestamp,
    }
}
