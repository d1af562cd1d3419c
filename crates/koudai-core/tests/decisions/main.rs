//! Every decision of the core, through one fixture: each refusal alone, each happy path, and the properties that hold for
//! any stream of commands.

mod binding;
mod code_payment;
mod confirming;
mod fixture;
mod guarding;
mod issuing;
mod login_code;
mod merchant;
mod notice;
mod order;
mod other_wallet;
mod payer_code;
mod payment;
mod payment_password;
mod properties;
mod reconcile;
mod recovering;
mod refund;
mod reversal;
mod rows;
mod secrets;
mod sign_in;
mod split;
mod static_code;
mod top_up;
mod transfer;
mod two_steps;
mod withdrawal;
