//! Bills: applied for, and downloaded with their hash checked.

use std::{
    fmt::Write as _,
    io::{self, Write},
    time::Duration,
};

use aws_lc_rs::digest;
use flate2::write::GzDecoder;
use reqwest::{Method, Url};

use super::{Client, ClientError, Unknown, broken, settled, whole};
use crate::types::{AccountType, BillReply, BillType};

/// How long a download may take, from connecting to the last byte.
pub const DOWNLOAD_TIMEOUT: Duration = Duration::from_mins(10);
/// What a gzip file begins with. A plain bill begins with a byte order mark.
const GZIP: [u8; 2] = [0x1F, 0x8B];

/// Why a bill was not downloaded. What was written of it by then is to be thrown away.
#[derive(Debug, thiserror::Error)]
pub enum BillError {
    /// The platform refused, or did not answer; a bill can be asked for again at any time.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// What came does not have the hash that was promised.
    #[error("the bill does not have its hash")]
    Hash,
    /// It is larger than the caller takes.
    #[error("the bill is too large")]
    TooLarge,
    /// It is not whole, or could not be written where the caller wants it.
    #[error("the bill cannot be read or written")]
    Write(#[source] io::Error),
}

/// Hashes what goes through, and stops at a limit.
struct Hashed<'a, W> {
    out: &'a mut W,
    hash: digest::Context,
    written: u64,
    most: u64,
}

impl<W: Write> Write for Hashed<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written + bytes.len() as u64 > self.most {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.out.write_all(bytes)?;
        self.hash.update(bytes);
        self.written += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What comes, as it comes: the first bytes say whether it is compressed.
enum Coming<'a, W: Write> {
    Unknown(Hashed<'a, W>, Vec<u8>),
    Plain(Hashed<'a, W>),
    Gzip(GzDecoder<Hashed<'a, W>>),
}

impl<'a, W: Write> Coming<'a, W> {
    fn take(self, bytes: &[u8]) -> io::Result<Self> {
        Ok(match self {
            Self::Unknown(out, mut first) => {
                first.extend_from_slice(bytes);
                if first.len() < GZIP.len() {
                    return Ok(Self::Unknown(out, first));
                }
                let known =
                    if first.starts_with(&GZIP) { Self::Gzip(GzDecoder::new(out)) } else { Self::Plain(out) };
                return known.take(&first);
            }
            Self::Plain(mut out) => {
                out.write_all(bytes)?;
                Self::Plain(out)
            }
            Self::Gzip(mut out) => {
                out.write_all(bytes)?;
                Self::Gzip(out)
            }
        })
    }

    fn end(self) -> io::Result<Hashed<'a, W>> {
        match self {
            Self::Unknown(mut out, first) => out.write_all(&first).map(|()| out),
            Self::Plain(out) => Ok(out),
            Self::Gzip(out) => out.finish(),
        }
    }
}

fn written(error: io::Error) -> BillError {
    if error.kind() == io::ErrorKind::FileTooLarge { BillError::TooLarge } else { BillError::Write(error) }
}

impl Client {
    /// Applies for the bill of what was paid and refunded on a day, `2026-11-24`, in China.
    ///
    /// # Errors
    /// See [`ClientError`]; a day on which nothing happened is `Refused` with `NO_STATEMENT_EXIST`, a bill that is not ready
    /// with `STATEMENT_CREATING`: ask again later.
    pub async fn trade_bill(
        &self,
        date: &str,
        kind: &BillType,
        compressed: bool,
    ) -> Result<BillReply, ClientError> {
        self.apply(&format!("/v3/bill/tradebill?bill_type={}", kind.as_str()), date, compressed).await
    }

    /// Applies for the bill of what moved on an account on a day, `2026-11-24`, in China.
    ///
    /// # Errors
    /// As [`trade_bill`](Self::trade_bill).
    pub async fn fund_flow_bill(
        &self,
        date: &str,
        account: &AccountType,
        compressed: bool,
    ) -> Result<BillReply, ClientError> {
        self.apply(&format!("/v3/bill/fundflowbill?account_type={}", account.as_str()), date, compressed)
            .await
    }

    async fn apply(&self, path: &str, date: &str, compressed: bool) -> Result<BillReply, ClientError> {
        let dated = date.len() == 10 && date.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        if !dated {
            return Err(ClientError::Invalid("bill_date"));
        }
        let word = |byte: u8| byte.is_ascii_alphanumeric() || b"/?=_".contains(&byte);
        if !path.bytes().all(word) {
            return Err(ClientError::Invalid("kind"));
        }
        let tar = if compressed { "&tar_type=GZIP" } else { "" };
        self.json(Method::GET, &format!("{path}&bill_date={date}{tar}"), &[]).await
    }

    /// Downloads a bill that was applied for, writes it to `out` as it comes, uncompressed, and says how many bytes that were;
    /// at most `most_bytes`. The reply is not signed: what vouches for it is the hash in `bill`, which is checked last. So
    /// nothing of it may be believed before this returns.
    ///
    /// # Errors
    /// See [`BillError`]; `Invalid` for an address elsewhere than the platform's, to which nothing is sent.
    pub async fn download_bill<W: Write + Send>(
        &self,
        bill: &BillReply,
        most_bytes: u64,
        out: &mut W,
    ) -> Result<u64, BillError> {
        if bill.hash_type != "SHA1" {
            return Err(ClientError::Invalid("hash_type").into());
        }
        let url = Url::parse(&bill.download_url).map_err(|_| ClientError::Invalid("download_url"))?;
        let home = Url::parse(&self.config.base_url).map_err(|_| ClientError::Invalid("base_url"))?;
        if url.origin() != home.origin() || !url.username().is_empty() || url.password().is_some() {
            return Err(ClientError::Invalid("download_url").into());
        }
        let mut response = self.send(Method::GET, url, &[], DOWNLOAD_TIMEOUT).await?;
        let status = response.status().as_u16();
        if status != 200 {
            settled(whole(response).await?)?;
            return Err(ClientError::from(Unknown::Status { status, body: None }).into());
        }
        let gone = |error| BillError::Client(broken(error).into());
        let hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        let mut coming = Coming::Unknown(Hashed { out, hash, written: 0, most: most_bytes }, vec![]);
        while let Some(chunk) = response.chunk().await.map_err(gone)? {
            coming = coming.take(&chunk).map_err(written)?;
        }
        let Hashed { hash, written: bytes, .. } = coming.end().map_err(written)?;
        let mut found = String::with_capacity(40);
        for byte in hash.finish().as_ref() {
            write!(found, "{byte:02x}").expect("writing to a string cannot fail");
        }
        if found.eq_ignore_ascii_case(&bill.hash_value) { Ok(bytes) } else { Err(BillError::Hash) }
    }
}
