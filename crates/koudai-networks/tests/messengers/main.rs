//! The ways messages leave by, each against an implementation that is not ours: short messages to a message centre of the crate
//! `smpp34`, mail to `aiosmtpd`.
#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod centre;
mod mail;
mod mail_server;
mod smpp;

use std::io::Write;
use std::sync::{Arc, Mutex};

use rcgen::CertifiedKey;

/// A certificate for this machine, which nobody trusts who is not told to.
pub(crate) struct Certificate {
    pub(crate) pem: String,
    pub(crate) key_pem: String,
}

pub(crate) fn certificate() -> Certificate {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    Certificate { pem: cert.pem(), key_pem: signing_key.serialize_pem() }
}

/// What this thread logs, at every level there is.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) fn listen(&self) -> tracing::subscriber::DefaultGuard {
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// An error with all that is behind it, as a log would have it.
pub(crate) fn whole(error: &dyn std::error::Error) -> String {
    let behind = error.source().map(whole).unwrap_or_default();
    format!("{error} {error:?} {behind}")
}
