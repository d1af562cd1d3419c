//! The pure heart of the wallet: money, ids, rows, commands and the decisions about them.
//!
//! What it must never do: read a clock, draw a random number, await, open a file or a socket, or know that SQL, HTTP
//! or WeChat exist. The same commands on the same rows give the same result, always; a test keeps it so.

pub mod attempt;
pub mod bill;
pub mod binding;
pub mod cache;
pub mod card;
pub mod code_payment;
pub mod column;
pub mod confirmation;
pub mod cool_down;
mod declaring;
pub mod id;
pub mod identity;
pub mod issuing;
pub mod ledger;
pub mod login_code;
pub mod luhn;
pub mod merchant;
pub mod money;
pub mod money_tally;
pub mod notice;
pub mod order;
pub mod other_wallet;
pub mod payer_code;
pub mod payment;
pub mod payment_password;
pub mod planted;
pub mod reconcile;
pub mod refund;
pub mod refusal;
pub mod reversal;
mod row_values;
pub mod rows;
pub mod secret;
pub mod sign_in;
pub mod split;
pub mod state;
pub mod static_code;
pub mod time;
pub mod top_up;
pub mod transfer;
pub mod withdrawal;
