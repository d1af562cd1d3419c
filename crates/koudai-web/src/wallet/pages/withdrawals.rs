//! Withdrawing.

use askama::Template;
use koudai_core::money::{Money, RatePpm};
use koudai_core::rows::Speed;
use koudai_core::time::Timestamp;

use super::payments::Way;
use super::pieces::{CardLine, Icon, Refused};
use crate::assets;
use crate::say::Lang;

/// `GET /withdraw`, and a refused `POST /withdraw`.
#[derive(Template)]
#[template(path = "withdraw.html")]
pub struct WithdrawPage {
    /// The reader's language.
    pub l: Lang,
    /// The number this withdrawal goes by, made with the page, so that sending it twice withdraws once.
    pub number: String,
    /// The cards to choose from; none shows how to add one.
    pub cards: Vec<CardLine>,
    /// The card chosen before; the first usable one otherwise.
    pub chosen: Option<String>,
    /// The amount as typed before, or empty.
    pub amount: String,
    /// The speed chosen.
    pub speed: Speed,
    /// The speeds to choose from, and what each costs.
    pub speeds: Vec<SpeedLine>,
    /// The balance now.
    pub balance: Money,
    /// The least one withdrawal may be.
    pub least: Money,
    /// The most one withdrawal may be.
    pub most: Money,
    /// What may still be withdrawn today.
    pub day_left: Money,
    /// How many withdrawals may still be asked for today.
    pub times_left: u8,
    /// Whether a payment password is set; the button leads there if not.
    pub has_payment_password: bool,
    /// Whether a passkey may confirm it.
    pub by_passkey: bool,
    /// What was refused.
    pub refused: Option<Refused>,
}

impl WithdrawPage {
    fn is_chosen(&self, card: &CardLine) -> bool {
        CardLine::is_chosen_of(&self.cards, self.chosen.as_deref(), card)
    }

    fn can_withdraw(&self) -> bool {
        self.cards.iter().any(CardLine::is_usable)
    }
}

/// A speed and what it costs.
pub struct SpeedLine {
    /// Which.
    pub speed: Speed,
    /// Its rate, on top of the amount.
    pub rate: RatePpm,
    /// The least that it costs, if it costs anything.
    pub least_fee: Money,
    /// The most that may be withdrawn at it now; `None` if that is less than one withdrawal may be.
    pub most: Option<Money>,
    /// What the amount that was asked about costs.
    pub fee: Option<Money>,
}

impl SpeedLine {
    const fn name(&self, l: Lang) -> &'static str {
        match self.speed {
            Speed::RealTime => l.say("实时到账", "At once"),
            Speed::NextDay => l.say("次日到账", "Next day"),
        }
    }

    const fn when(&self, l: Lang) -> &'static str {
        match self.speed {
            Speed::RealTime => l.say("提交后立即汇出", "Sent as soon as you confirm"),
            Speed::NextDay => {
                l.say("24 小时后汇出，汇出前可取消", "Sent after 24 hours, you can cancel until then")
            }
        }
    }

    /// The rule of its fee: `手续费 0.1%，最低 ¥0.10`.
    fn rule(&self, l: Lang) -> String {
        if self.rate.ppm() == 0 {
            return l.say("免手续费", "No fee").to_owned();
        }
        let (percent, least) = (percent(self.rate), self.least_fee);
        let sign = least.currency().sign();
        match (l, least.is_zero()) {
            (Lang::Zh, true) => format!("手续费 {percent}%，四舍五入到分"),
            (Lang::Zh, false) => format!("手续费 {percent}%，四舍五入到分，最低 {sign}{least}"),
            (Lang::En, true) => format!("Fee {percent}%, rounded half up to the fen"),
            (Lang::En, false) => {
                format!("Fee {percent}%, rounded half up to the fen, at least {sign}{least}")
            }
        }
    }

    /// What the amount that was asked about costs, as people read it.
    pub fn cost(&self, l: Lang) -> Option<String> {
        let fee = self.fee?;
        Some(if fee.is_zero() {
            l.say("免手续费", "No fee").to_owned()
        } else {
            format!("{} {}{fee}", l.say("手续费", "Fee"), fee.currency().sign())
        })
    }
}

/// A rate in percent, as people write it: 1,000 ppm is `0.1`.
pub(super) fn percent(rate: RatePpm) -> String {
    let text = format!("{}.{:04}", rate.ppm() / 10_000, rate.ppm() % 10_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `GET /withdraw/{number}`, and a refused `POST …/cancel`.
#[derive(Template)]
#[template(path = "withdraw_result.html")]
pub struct WithdrawResultPage {
    /// The reader's language.
    pub l: Lang,
    /// The withdrawal's number.
    pub number: String,
    /// How it stands.
    pub state: WithdrawState,
    /// What arrives.
    pub amount: Money,
    /// What it costs.
    pub fee: Money,
    /// The card it goes to, as [`CardLine::name`] says it.
    pub card: String,
    /// When it was asked for.
    pub at: Timestamp,
}

/// How a withdrawal stands.
pub enum WithdrawState {
    /// It has not left yet, and may be taken back.
    Waiting {
        /// When it is sent.
        due: Timestamp,
        /// What was refused.
        refused: Option<Refused>,
    },
    /// The bank was asked at this moment and has not answered; the page asks again by itself.
    Sending {
        /// Since when.
        since: Timestamp,
    },
    /// This person is to receive it at another wallet.
    Elsewhere(Way),
    /// It is at the card.
    Paid {
        /// The record's id.
        record_id: String,
        /// The balance now.
        balance: Money,
    },
    /// It was taken back.
    Cancelled {
        /// The record's id.
        record_id: String,
        /// The balance now.
        balance: Money,
    },
    /// It was refused, and all of it came back.
    Failed(Refused),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_reads_as_people_write_percents() {
        let cases = [
            (1_000, "0.1"),
            (6_000, "0.6"),
            (10_000, "1"),
            (12_500, "1.25"),
            (1, "0.0001"),
            (1_000_000, "100"),
        ];
        for (ppm, text) in cases {
            assert_eq!(percent(RatePpm::new(ppm).unwrap()), text);
        }
    }
}
