//! How cells pass between PostgreSQL and the rows.
//!
//! PostgreSQL keeps no zero character in a text, and a person or a merchant may send one. It is written as an escape that
//! gives every text of ours one text of the server's, so that keys stay keys.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use koudai_core::column::Value;
use tokio_postgres::Row;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::error::StoreError;

/// Begins an escape. It is a character that Unicode promises never to give a meaning.
const ESCAPE: char = '\u{10FFFF}';

fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', ESCAPE]) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 4);
    for c in text.chars() {
        match c {
            '\0' => out.extend([ESCAPE, '0']),
            ESCAPE => out.extend([ESCAPE, '1']),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// The text an escaped one stands for; `None` if nothing of ours is written like that.
pub(super) fn unescaped(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(ESCAPE) {
        return Some(Cow::Borrowed(text));
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            ESCAPE => match chars.next()? {
                '0' => '\0',
                '1' => ESCAPE,
                _ => return None,
            },
            c => c,
        });
    }
    Some(Cow::Owned(out))
}

type Written = Result<IsNull, Box<dyn Error + Sync + Send>>;

/// A cell as PostgreSQL takes it.
pub(super) struct Cell<'a>(pub(super) &'a Value);

impl ToSql for Cell<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Written {
        match self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Int(n) if *ty == Type::INT8 => n.to_sql(ty, out),
            Value::Text(text) if *ty == Type::TEXT => escaped(text).to_sql(ty, out),
            Value::Bytes(bytes) if *ty == Type::BYTEA => bytes.as_slice().to_sql(ty, out),
            _ => Err(format!("a cell is not of the type {ty}").into()),
        }
    }

    fn accepts(ty: &Type) -> bool {
        [Type::INT8, Type::TEXT, Type::BYTEA].contains(ty)
    }

    to_sql_checked!();
}

/// Cells of one column, as an array.
pub(super) struct Column<'a> {
    cells: &'a [Value],
    /// Which of a row's cells, and how many a row has.
    at: usize,
    width: usize,
}

impl<'a> Column<'a> {
    /// The columns of rows that lie one after the other.
    pub(super) fn all(cells: &'a [Value], width: usize) -> impl ExactSizeIterator<Item = Self> {
        (0..width).map(move |at| Self { cells, at, width })
    }
}

impl ToSql for Column<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Written {
        let column = self.cells.iter().skip(self.at).step_by(self.width);
        column.map(Cell).collect::<Vec<_>>().to_sql(ty, out)
    }

    fn accepts(ty: &Type) -> bool {
        Vec::<Cell<'_>>::accepts(ty)
    }

    to_sql_checked!();
}

// The client logs what it sends when it is asked to log everything, and a cell may be a phone or a token.
impl fmt::Debug for Cell<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Debug for Column<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// The cells of a row.
pub(super) fn take_cells(row: &Row) -> Result<Vec<Value>, StoreError> {
    let reading = || StoreError::postgres("reading a row's cells");
    let mut cells = Vec::with_capacity(row.len());
    for (i, column) in row.columns().iter().enumerate() {
        let cell = match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(i).map_err(reading())?.map(Value::Int),
            // A text that is none of ours stays bytes, which no text field reads: the row is then named as damaged.
            Type::TEXT => row.try_get::<_, Option<&str>>(i).map_err(reading())?.map(|text| {
                unescaped(text)
                    .map_or_else(|| Value::Bytes(text.into()), |text| Value::Text(text.into_owned().into()))
            }),
            Type::BYTEA => {
                row.try_get::<_, Option<&[u8]>>(i).map_err(reading())?.map(|b| Value::Bytes(b.into()))
            }
            ref other => {
                let what = format!("column {} has the type {other}", column.name());
                return Err(StoreError::Corrupt { table: "(columns)", what });
            }
        };
        cells.push(cell.unwrap_or(Value::Null));
    }
    Ok(cells)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_ever_printed() {
        let cells = [Value::Text("13800138000".into()), Value::Int(4711)];
        let printed = format!("{:?} {:?}", Column::all(&cells, 2).collect::<Vec<_>>(), Cell(&cells[0]));
        assert!(!printed.contains("138") && !printed.contains("4711"), "{printed}");
    }

    #[test]
    fn every_text_comes_back_and_none_is_written_like_another() {
        let texts = ["", "a", "\0", "\u{10FFFF}", "\u{10FFFF}0", "\0\0", "\u{10FFFF}1", "x\0\u{10FFFF}y"];
        let mut seen = std::collections::HashSet::new();
        for text in texts {
            let written = escaped(text).into_owned();
            assert!(!written.contains('\0'));
            assert_eq!(unescaped(&written).as_deref(), Some(text));
            assert!(seen.insert(written));
        }
        assert_eq!(unescaped("\u{10FFFF}2"), None);
        assert_eq!(unescaped("\u{10FFFF}"), None);
    }
}
