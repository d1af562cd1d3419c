//! What the sandboxes have in common: a file that is durable before they answer, codes nobody can guess, people who do not
//! exist, and a way to hang up. A sandbox shares nothing else with the wallet but plain types.

pub(crate) mod file;
pub(crate) mod page;
pub(crate) mod people;

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use aws_lc_rs::rand;
use axum::body::{Bytes, HttpBody};
use axum::http::{HeaderMap, header};
use koudai_core::secret::Secret;
use rusqlite::{Connection, Transaction, TransactionBehavior};

/// Why a sandbox could not do its work. The other side learns nothing but a 500, which is an unknown outcome.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The directory or a file in it.
    #[error("the sandbox's directory: {0}")]
    Io(#[from] std::io::Error),
    /// The database.
    #[error("the sandbox's database: {0}")]
    Store(#[from] rusqlite::Error),
    /// The file was written by another version of the sandbox.
    #[error("the sandbox's file has version {0}, which this program does not know")]
    Version(i64),
    /// A value the sandbox never writes.
    #[error("the sandbox's file is damaged: {0}")]
    Corrupt(&'static str),
    /// The sandbox is stopping.
    #[error("the sandbox is stopping")]
    Stopped,
}

/// Does `work` in a transaction of its own and commits it before returning, whatever happens to the caller.
pub(crate) async fn run<T: Send + 'static>(
    store: &Arc<Mutex<Connection>>,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, SandboxError> + Send + 'static,
) -> Result<T, SandboxError> {
    let store = Arc::clone(store);
    let task = tokio::task::spawn_blocking(move || {
        // A panic rolled its transaction back, so the connection behind a poisoned lock is sound.
        let mut connection = store.lock().unwrap_or_else(PoisonError::into_inner);
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = work(&tx)?;
        tx.commit()?;
        Ok(done)
    });
    task.await.map_err(|_| SandboxError::Stopped)?
}

/// Six digits nobody can guess.
pub(crate) fn fresh_code() -> Secret<String> {
    // Bytes that would favour low numbers are drawn again.
    let number = loop {
        let mut bytes = [0; 4];
        rand::fill(&mut bytes).expect("the system's random source works");
        let drawn = u32::from_be_bytes(bytes);
        if drawn < 4_294_000_000 {
            break drawn % 1_000_000;
        }
    };
    Secret::new(format!("{number:06}"))
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "a sandbox is a program of its own with a clock of its own"
    )]
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A body that ends the connection instead of itself: what was done stays done, and nobody hears of it.
pub(crate) struct HangUp;

impl HttpBody for HangUp {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Self::Data>, Self::Error>>> {
        Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionAborted.into())))
    }
}

/// Whether Chinese is the first of the two languages that a browser names; it is if it names neither.
pub(crate) fn chinese(headers: &HeaderMap) -> bool {
    chinese_first(headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or(""))
}

fn chinese_first(accept_language: &str) -> bool {
    let tags = accept_language.split(',').map(|part| part.trim().get(..2).unwrap_or("").to_ascii_lowercase());
    tags.into_iter().find(|tag| tag == "zh" || tag == "en").is_none_or(|tag| tag == "zh")
}

#[cfg(test)]
mod tests {
    use super::chinese_first;

    #[test]
    fn the_first_language_we_have_is_taken() {
        for (header, zh) in [
            ("zh-CN,zh;q=0.9,en;q=0.8", true),
            ("en-GB,en;q=0.9,zh;q=0.5", false),
            ("fr, EN", false),
            ("", true),
            ("é", true),
        ] {
            assert_eq!(chinese_first(header), zh, "{header}");
        }
    }
}
