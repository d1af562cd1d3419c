//! The simulated file system under SQLite alone: what is committed survives a power cut at every call and every fault, and
//! a database that does not sync is found out.

mod faults;
mod ledger;
mod power;
mod sharing;
