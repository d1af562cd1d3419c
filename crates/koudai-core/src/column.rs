//! How a value stands in a table: which columns it takes, how it is written and how it is read back.
//!
//! A row type is declared once (`rows.rs`); loading and writing it are derived from these two traits for every database.

use std::borrow::Cow;
use std::fmt::Debug;
use std::hash::Hash;
use std::sync::Arc;

use crate::id::{
    AgreementId, AppMoveId, AttemptId, BindingId, CardId, DifferenceId, IssuingAppId, MchId, MessageId,
    OrderId, PersonId, RefundId, Seq, StaffId, TransferId, WithdrawalId,
};
use crate::identity::{Contact, Email, Phone};
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
    /// UTF-8 text; a word of ours costs no allocation.
    Text(Cow<'static, str>),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// The cells of one row, taken from left to right. A text that was read is moved out of its cell.
#[derive(Debug)]
pub struct Cells<'a>(&'a mut [Value]);

impl<'a> Cells<'a> {
    /// The cells of `values`, in the order of the row's columns.
    pub const fn new(values: &'a mut [Value]) -> Self {
        Self(values)
    }

    /// The next cell.
    pub fn next_cell(&mut self) -> Option<&'a mut Value> {
        let (first, rest) = std::mem::take(&mut self.0).split_first_mut()?;
        self.0 = rest;
        Some(first)
    }

    fn next_is_null(&self) -> Option<bool> {
        self.0.first().map(|cell| *cell == Value::Null)
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

    /// The bytes it keeps outside of itself, for the bound on memory.
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// What an allocation takes beyond its bytes, about, in bytes: it is rounded up to one of a few sizes, and some lie free.
const ALLOCATION: usize = 16;

/// Where the columns of a row stand: a table, its columns, and how many of them are the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The table's name.
    pub table: &'static str,
    /// Its columns, the key's first.
    pub columns: Vec<String>,
    /// How many of the columns are the key.
    pub key_columns: usize,
    /// Whether a CRC32C of the row stands behind its columns, as in every derived table.
    pub checked: bool,
}

/// Fields and the parts of their columns.
pub type Fields = &'static [(&'static str, &'static [&'static str])];

/// A row of a table, declared once with `rows!`.
///
/// A row may stand in two tables under one key: what is said once and is wide in `TABLE`, what changes and is narrow in
/// the second, so that a change rewrites few bytes.
pub trait Row: Clone + Debug + PartialEq + Send + Sync + 'static {
    /// What the row is found by; the table's primary key.
    type Key: Column + Clone + Debug + Eq + Ord + Hash + Send + Sync;
    /// The table's name.
    const TABLE: &'static str;
    /// The fields in `TABLE`, in column order, the key first.
    const FIELDS: Fields;
    /// The second table, and the fields that stand there behind the key.
    const MOVING: Option<(&'static str, Fields)>;
    /// Whether it is used again and again, as what belongs to a person or a merchant is, and not for a while only, as an
    /// order is. When room is needed it stays longer.
    const KEPT: bool;
    /// Whether it follows from the journals: it is written behind, and a CRC32C stands beside it and is checked on load.
    const DERIVED: bool;

    /// What this row is found by.
    fn key(&self) -> Self::Key;
    /// Appends the cells of `TABLE`.
    fn write(&self, out: &mut Vec<Value>);
    /// Appends the key's cells and those of the second table.
    fn write_moving(&self, out: &mut Vec<Value>);
    /// Whether another row under this key has the same cells in `TABLE`.
    fn is_fixed_as(&self, other: &Self) -> bool;
    /// Reads a row back: the cells of `TABLE`, then those of the second table without the key.
    ///
    /// # Errors
    /// The field that holds a value its type forbids.
    fn read(cells: &mut Cells<'_>) -> Result<Self, &'static str>;
    /// The bytes it keeps outside of itself.
    fn heap_bytes(&self) -> usize;

    /// All cells, as `read` takes them.
    fn cells(&self) -> Vec<Value> {
        let mut cells = vec![];
        self.write(&mut cells);
        if Self::MOVING.is_some() {
            let mut moving = vec![];
            self.write_moving(&mut moving);
            cells.extend(moving.drain(Self::key_columns()..));
        }
        cells
    }

    /// The names of the columns of `TABLE`, the key's first.
    fn columns() -> Vec<String> {
        column_names(Self::FIELDS)
    }

    /// How many of the columns are the key.
    fn key_columns() -> usize {
        <Self::Key as Column>::PARTS.len()
    }

    /// The tables the row stands in: one, or two.
    fn shapes() -> Vec<Shape> {
        let key_columns = Self::key_columns();
        let columns = Self::columns();
        let moving = Self::MOVING.map(|(table, fields)| {
            let columns = columns[..key_columns].iter().cloned().chain(column_names(fields)).collect();
            Shape { table, columns, key_columns, checked: false }
        });
        let main = Shape { table: Self::TABLE, columns, key_columns, checked: Self::DERIVED };
        std::iter::once(main).chain(moving).collect()
    }
}

fn column_names(fields: Fields) -> Vec<String> {
    let name = |field: &str, part: &str| match part {
        part if part.is_empty() || part.starts_with('_') => format!("{field}{part}"),
        part => part.to_owned(),
    };
    let of = |(field, parts): &(&str, &[&str])| parts.iter().map(|p| name(field, p)).collect::<Vec<_>>();
    fields.iter().flat_map(of).collect()
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
numbers!(PersonId OrderId RefundId TransferId WithdrawalId CardId DifferenceId AttemptId BindingId IssuingAppId AgreementId AppMoveId MessageId StaffId MchId Seq AccountId NetworkId Timestamp);

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
        out.push(Value::Text(Cow::Owned(self.clone())));
    }
    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        if let Value::Text(text) = cells.next_cell()? {
            Some(std::mem::take(text).into_owned())
        } else {
            None
        }
    }
    fn heap_bytes(&self) -> usize {
        if self.capacity() == 0 { 0 } else { self.capacity() + ALLOCATION }
    }
}

/// A text that is shared by every copy of its row.
impl Column for Arc<str> {
    const PARTS: &'static [&'static str] = &[""];
    fn write(&self, out: &mut Vec<Value>) {
        out.push(Value::Text(Cow::Owned(self.to_string())));
    }
    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        if let Value::Text(text) = cells.next_cell()? { Some(Self::from(&**text)) } else { None }
    }
    fn heap_bytes(&self) -> usize {
        // Two counts stand before the text.
        self.len() + 16 + ALLOCATION
    }
}

impl Column for Vec<u8> {
    const PARTS: &'static [&'static str] = &[""];
    fn write(&self, out: &mut Vec<Value>) {
        out.push(Value::Bytes(self.clone()));
    }
    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        if let Value::Bytes(bytes) = cells.next_cell()? { Some(std::mem::take(bytes)) } else { None }
    }
    fn heap_bytes(&self) -> usize {
        if self.capacity() == 0 { 0 } else { self.capacity() + ALLOCATION }
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
        if cells.next_is_null()? {
            for _ in T::PARTS {
                (*cells.next_cell()? == Value::Null).then_some(())?;
            }
            return Some(None);
        }
        T::read(cells).map(Some)
    }
    fn heap_bytes(&self) -> usize {
        self.as_ref().map_or(0, T::heap_bytes)
    }
}

impl Column for Currency {
    const PARTS: &'static [&'static str] = &[""];
    fn write(&self, out: &mut Vec<Value>) {
        out.push(Value::Text(Cow::Borrowed(self.code())));
    }
    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        if let Value::Text(code) = cells.next_cell()? { Self::from_code(code) } else { None }
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
        out.push(Value::Text(Cow::Owned(self.digits().to_owned())));
    }
    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        if let Value::Text(digits) = cells.next_cell()? { Self::parse(digits) } else { None }
    }
}

impl Column for Email {
    const PARTS: &'static [&'static str] = &[""];
    fn write(&self, out: &mut Vec<Value>) {
        out.push(Value::Text(Cow::Owned(self.address().to_owned())));
    }
    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        if let Value::Text(address) = cells.next_cell()? { Self::parse(address) } else { None }
    }
    fn heap_bytes(&self) -> usize {
        self.address().len()
    }
}

impl Column for Contact {
    const PARTS: &'static [&'static str] = &[""];
    fn write(&self, out: &mut Vec<Value>) {
        out.push(Value::Text(Cow::Owned(self.text().to_owned())));
    }
    fn read(cells: &mut Cells<'_>) -> Option<Self> {
        if let Value::Text(text) = cells.next_cell()? { Self::parse(text) } else { None }
    }
    fn heap_bytes(&self) -> usize {
        self.text().len()
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
            fn heap_bytes(&self) -> usize {
                0 $(+ $crate::column::Column::heap_bytes(&self.$field))+
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
                out.push($crate::column::Value::Text(std::borrow::Cow::Borrowed(self.word())));
            }
            fn read(cells: &mut $crate::column::Cells<'_>) -> Option<Self> {
                match cells.next_cell()? {
                    $crate::column::Value::Text(word) => Self::from_word(word),
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use worded;
