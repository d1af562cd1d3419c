//! How a value stands in a table: which columns it takes, how it is written and how it is read back.
//!
//! A row type is declared once (`rows.rs`); loading and writing it are derived from these two traits for every database.

use std::fmt::Debug;
use std::hash::Hash;

use crate::id::{AttemptId, BindingId, CardId, MchId, MessageId, OrderId, PersonId, RefundId, Seq, StaffId};
use crate::identity::Phone;
use crate::ledger::{AccountId, NetworkId};
use crate::money::{Currency, Money};
use crate::time::Timestamp;

/// One cell of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// SQL NULL.
    Null,
    /// A 64-bit integer.
    Int(i64),
    /// UTF-8 text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// The cells of one row, read from left to right.
#[derive(Debug)]
pub struct Cells<'a>(std::slice::Iter<'a, Value>);

impl<'a> Cells<'a> {
    /// The cells of `values`, in the order of the row's columns.
    pub fn new(values: &'a [Value]) -> Self {
        Self(values.iter())
    }

    /// The next cell.
    pub fn next_cell(&mut self) -> Option<&'a Value> {
        self.0.next()
    }
}

/// A value that takes one column or more.
pub trait Column: Sized {
    /// The columns' names: a part that is empty or begins with `_` is put behind the field's name, any other stands alone.
    const PARTS: &'static [&'static str];

    /// Appends the cells.
    fn write(&self, out: &mut Vec<Value>);

    /// Reads the cells back; `None` if the value is not one the type allows, which is corruption.
    fn read(cells: &mut Cells<'_>) -> Option<Self>;
}

/// A row of a table, declared once with `rows!`.
pub trait Row: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// What the row is found by; the table's primary key.
    type Key: Column + Clone + Debug + Eq + Ord + Hash + Send + Sync;
    /// The table's name.
    const TABLE: &'static str;
    /// The row's fields, in column order, the key first.
    const FIELDS: &'static [(&'static str, &'static [&'static str])];
    /// Whether a CRC32C stands beside the row and is checked on load (rows that hold money).
    const CHECKED: bool;

    /// What this row is found by.
    fn key(&self) -> Self::Key;
    /// Appends the cells of all columns.
    fn write(&self, out: &mut Vec<Value>);
    /// Reads a row back.
    ///
    /// # Errors
    /// The field that holds a value its type forbids.
    fn read(cells: &mut Cells<'_>) -> Result<Self, &'static str>;

    /// The names of all columns, the key's first.
    fn columns() -> Vec<String> {
        let name = |field: &str, part: &str| match part {
            part if part.is_empty() || part.starts_with('_') => format!("{field}{part}"),
            part => part.to_owned(),
        };
        let of = |(field, parts): &(&str, &[&str])| parts.iter().map(|p| name(field, p)).collect::<Vec<_>>();
        Self::FIELDS.iter().flat_map(of).collect()
    }

    /// How many of the columns are the key.
    fn key_columns() -> usize {
        <Self::Key as Column>::PARTS.len()
    }
}

impl Column for i64 {
    const PARTS: &'static [&'static str] = &[""];
    fn write(&self, out: &mut Vec<Value>) {
        out.push(Value::Int(*self));
    }
    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        if let Value::Int(n) = cells.next_cell()? { Some(*n) } else { None }
    }
}

macro_rules! integers {
    ($($type:ty)*) => {$(
        impl Column for $type {
            const PARTS: &'static [&'static str] = &[""];
            fn write(&self, out: &mut Vec<Value>) {
                out.push(Value::Int(i64::from(*self)));
            }
            fn read(cells: &mut Cells<'_>) -> Option<Self> {
                i64::read(cells)?.try_into().ok()
            }
        }
    )*};
}
integers!(u8 u16 u32);

macro_rules! numbers {
    ($($type:ident)*) => {$(
        impl Column for $type {
            const PARTS: &'static [&'static str] = &[""];
            fn write(&self, out: &mut Vec<Value>) {
                out.push(Value::Int(self.0));
            }
            fn read(cells: &mut Cells<'_>) -> Option<Self> {
                i64::read(cells).map(Self)
            }
        }
    )*};
}
numbers!(PersonId OrderId RefundId CardId AttemptId BindingId MessageId StaffId MchId Seq AccountId NetworkId Timestamp);

impl Column for bool {
    const PARTS: &'static [&'static str] = &[""];
    fn write(&self, out: &mut Vec<Value>) {
        out.push(Value::Int(i64::from(*self)));
    }
    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        match i64::read(cells)? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
}

impl Column for String {
    const PARTS: &'static [&'static str] = &[""];
    fn write(&self, out: &mut Vec<Value>) {
        out.push(Value::Text(self.clone()));
    }
    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        if let Value::Text(text) = cells.next_cell()? { Some(text.clone()) } else { None }
    }
}

impl Column for Vec<u8> {
    const PARTS: &'static [&'static str] = &[""];
    fn write(&self, out: &mut Vec<Value>) {
        out.push(Value::Bytes(self.clone()));
    }
    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        if let Value::Bytes(bytes) = cells.next_cell()? { Some(bytes.clone()) } else { None }
    }
}

impl<const N: usize> Column for [u8; N] {
    const PARTS: &'static [&'static str] = &[""];
    fn write(&self, out: &mut Vec<Value>) {
        out.push(Value::Bytes(self.to_vec()));
    }
    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        if let Value::Bytes(bytes) = cells.next_cell()? { bytes.as_slice().try_into().ok() } else { None }
    }
}

impl<T: Column> Column for Option<T> {
    const PARTS: &'static [&'static str] = T::PARTS;
    fn write(&self, out: &mut Vec<Value>) {
        match self {
            Some(value) => value.write(out),
            None => out.extend(T::PARTS.iter().map(|_| Value::Null)),
        }
    }
    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        let mut ahead = Cells(cells.0.clone());
        if ahead.next_cell()? == &Value::Null {
            for _ in T::PARTS {
                (cells.next_cell()? == &Value::Null).then_some(())?;
            }
            return Some(None);
        }
        T::read(cells).map(Some)
    }
}

impl Column for Currency {
    const PARTS: &'static [&'static str] = &[""];
    fn write(&self, out: &mut Vec<Value>) {
        out.push(Value::Text(self.code().to_owned()));
    }
    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        Self::from_code(&String::read(cells)?)
    }
}

impl Column for Money {
    const PARTS: &'static [&'static str] = &["_minor", "_currency"];
    fn write(&self, out: &mut Vec<Value>) {
        out.push(Value::Int(self.minor()));
        self.currency().write(out);
    }
    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        let minor = i64::read(cells)?;
        Self::new(minor, Currency::read(cells)?).ok()
    }
}

impl Column for Phone {
    const PARTS: &'static [&'static str] = &[""];
    fn write(&self, out: &mut Vec<Value>) {
        out.push(Value::Text(self.digits().to_owned()));
    }
    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        Self::parse(&String::read(cells)?)
    }
}

/// A key of several columns: a plain struct whose fields keep their names as columns.
macro_rules! compound_key {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type),+ }

        impl $crate::column::Column for $name {
            const PARTS: &'static [&'static str] = &[$(stringify!($field)),+];
            fn write(&self, out: &mut Vec<$crate::column::Value>) {
                $($crate::column::Column::write(&self.$field, out);)+
            }
            fn read(cells: &mut $crate::column::Cells<'_>) -> Option<Self> {
                Some(Self { $($field: <$type as $crate::column::Column>::read(cells)?),+ })
            }
        }
    };
}
pub(crate) use compound_key;

/// An enum that stands in a table as a word. Words are never given another meaning.
macro_rules! worded {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every variant.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word it is stored and shown to programs as.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The variant of a word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl $crate::column::Column for $name {
            const PARTS: &'static [&'static str] = &[""];
            fn write(&self, out: &mut Vec<$crate::column::Value>) {
                out.push($crate::column::Value::Text(self.word().to_owned()));
            }
            fn read(cells: &mut $crate::column::Cells<'_>) -> Option<Self> {
                Self::from_word(&<String as $crate::column::Column>::read(cells)?)
            }
        }
    };
}
pub(crate) use worded;
