//! Long reads by COPY, in its binary form: the server sends each row as one message, and its cells are shown where they lie.

use std::borrow::Cow;
use std::future::poll_fn;
use std::pin::pin;

use futures_util::Stream as _;
use tokio_postgres::types::Type;

use super::cells::unescaped;
use super::session::Session;
use super::waiting::wait;
use crate::error::StoreError;
use crate::scan::{CellRef, Each, WIDEST};

/// What the first message begins with: a signature, and after it flags and the length of an extension, both of four bytes
/// and nothing to us.
const SIGNATURE: &[u8] = b"PGCOPY\n\xFF\r\n\0";

/// Shows the rows a statement selects. `select` is prepared once, for the types of its columns.
pub(super) fn scan(
    session: &Session,
    select: &str,
    rest: &str,
    each: &mut Each<'_>,
) -> Result<(), StoreError> {
    let reading = || StoreError::postgres("reading rows");
    let statement = session.prepared(select).map_err(reading())?;
    let types: Vec<Type> = statement.columns().iter().map(|column| column.type_().clone()).collect();
    let copy = format!("COPY ({select} {rest}) TO STDOUT (FORMAT binary)");
    let rows = wait(session.client().copy_out(copy.as_str())).map_err(reading())?;
    let mut rows = pin!(rows);
    let mut begun = false;
    while let Some(message) = wait(poll_fn(|context| rows.as_mut().poll_next(context))) {
        let message = message.map_err(reading())?;
        let mut bytes = &message[..];
        if !begun {
            bytes = after_header(bytes).ok_or_else(garbled)?;
            begun = true;
        }
        while !bytes.is_empty() {
            if bytes == (-1_i16).to_be_bytes() {
                break;
            }
            if !show(&mut bytes, &types, each)? {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn garbled() -> StoreError {
    StoreError::Corrupt {
        table: "(rows)",
        what: "the server's answer to COPY is not in its binary form".to_owned(),
    }
}

fn after_header(bytes: &[u8]) -> Option<&[u8]> {
    let rest = bytes.strip_prefix(SIGNATURE)?;
    let (_flags, rest) = rest.split_first_chunk::<4>()?;
    let (extension, rest) = rest.split_first_chunk::<4>()?;
    rest.get(usize::try_from(u32::from_be_bytes(*extension)).ok()?..)
}

/// Takes one row off the bytes and shows it; whether the next one is wanted.
fn show(bytes: &mut &[u8], types: &[Type], each: &mut Each<'_>) -> Result<bool, StoreError> {
    let mut fields = [None; WIDEST];
    let fields = fields.get_mut(..types.len()).ok_or_else(garbled)?;
    let count = take(bytes, 2).ok_or_else(garbled)?;
    if Ok(count) != u16::try_from(types.len()).map(u16::to_be_bytes).as_ref().map(|n| &n[..]) {
        return Err(garbled());
    }
    let mut escapes = false;
    for (field, ty) in fields.iter_mut().zip(types) {
        // NULL has the length -1.
        let length = take(bytes, 4).and_then(|n| n.try_into().ok()).map(i32::from_be_bytes);
        *field = match length.ok_or_else(garbled)? {
            -1 => None,
            length => {
                let length = usize::try_from(length).map_err(|_| garbled())?;
                Some(take(bytes, length).ok_or_else(garbled)?)
            }
        };
        // The first byte of the character that begins an escape, which hardly a text has.
        escapes |= *ty == Type::TEXT && field.is_some_and(|text| text.contains(&0xF4));
    }
    // Texts that had to be put together lie here while the row is shown.
    let texts: Vec<Option<Cow<'_, str>>> = if escapes {
        let text = |field: &Option<_>| unescaped(std::str::from_utf8((*field)?).ok()?);
        fields.iter().map(text).collect()
    } else {
        vec![]
    };
    let mut cells = [CellRef::Null; WIDEST];
    for (i, (cell, (field, ty))) in cells.iter_mut().zip(fields.iter().zip(types)).enumerate() {
        let Some(field) = *field else { continue };
        *cell = match *ty {
            Type::INT8 => CellRef::Int(i64::from_be_bytes(field.try_into().map_err(|_| garbled())?)),
            // As in `take_cells`: a text that is none of ours stays bytes.
            Type::TEXT if escapes => texts[i].as_deref().map_or(CellRef::Bytes(field), CellRef::Text),
            Type::TEXT => std::str::from_utf8(field).map_or(CellRef::Bytes(field), CellRef::Text),
            Type::BYTEA => CellRef::Bytes(field),
            ref other => {
                let what = format!("a column has the type {other}");
                return Err(StoreError::Corrupt { table: "(columns)", what });
            }
        };
    }
    Ok(each(&cells[..types.len()]))
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(count)?;
    *bytes = tail;
    Some(head)
}
