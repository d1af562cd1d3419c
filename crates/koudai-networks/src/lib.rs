//! What speaks to the world outside: banks, phones, and the servers beside which we test them.

pub mod issuer;
pub mod sms;
