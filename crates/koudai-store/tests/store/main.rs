//! The store on a real database: every table as it was declared, every commit sealed and fenced, every damage named.

mod books;
mod chain;
mod copies;
mod damage;
mod place;
mod queries;
mod server;
mod tables;
mod written_behind;
