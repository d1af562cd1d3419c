//! The store on real files: every table as it was declared, every commit sealed and fenced, every damage named.

mod books;
mod chain;
mod damage;
mod queries;
mod tables;
mod written_behind;
