//! A bill's file: written once, compressed, with the hash of what it says; read back compressed or plain.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_lc_rs::digest;
use axum::body::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http_body::{Body, Frame, SizeHint};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::hex;

/// Bills repeat themselves so much that a low level takes a fifth of their size, and others hardly less for more time.
const LEVEL: u32 = 2;
/// What is handed to a connection at once.
const CHUNK: usize = 64 * 1024;

/// A file that is whole.
#[derive(Debug)]
pub struct Written {
    path: PathBuf,
    /// SHA-1 of what it says, uncompressed, in lower-case hex.
    pub hash: String,
    /// How many lines it has besides headers and sums.
    pub lines: u64,
    plain_bytes: u64,
    /// Its size on the disk.
    pub(super) bytes: u64,
}

/// Whoever has opened it reads on.
impl Drop for Written {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

fn remove(path: &Path) {
    if let Err(error) = std::fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(%error, path = %path.display(), "a bill's file could not be removed");
    }
}

/// A file that is being written, under a name of its own. One that is given up goes away.
pub(super) struct Writer {
    gzip: Option<GzEncoder<BufWriter<File>>>,
    hash: digest::Context,
    plain_bytes: u64,
    path: PathBuf,
}

impl Writer {
    /// A file for its owner alone. There is none of this name.
    pub(super) fn create(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let gzip = GzEncoder::new(BufWriter::with_capacity(CHUNK, file), Compression::new(LEVEL));
        let hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        Ok(Self { gzip: Some(gzip), hash, plain_bytes: 0, path })
    }

    pub(super) fn write(&mut self, text: &str) -> io::Result<()> {
        self.hash.update(text.as_bytes());
        self.plain_bytes += text.len() as u64;
        self.gzip.as_mut().expect("it is not finished").write_all(text.as_bytes())
    }

    /// Ends the file. It need not outlive a crash: whoever starts makes bills anew.
    pub(super) fn finish(mut self, lines: u64) -> io::Result<Written> {
        let gzip = self.gzip.take().expect("it is finished once");
        let file = gzip.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
        let bytes = file.metadata()?.len();
        let hash = hex(self.hash.clone().finish().as_ref());
        let (path, plain_bytes) = (std::mem::take(&mut self.path), self.plain_bytes);
        Ok(Written { path, hash, lines, plain_bytes, bytes })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            remove(&self.path);
        }
    }
}

type Source = Box<dyn Read + Send>;

/// The file on its way to a client, a chunk at a time: a slow client holds a file and no thread.
pub struct Reading {
    left: u64,
    step: Step,
}

enum Step {
    Idle(Source),
    Reading(JoinHandle<io::Result<(Source, Bytes)>>),
    Over,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").field("left", &self.left).finish_non_exhaustive()
    }
}

impl Written {
    /// Opens the file to be read, compressed or plain.
    ///
    /// # Errors
    /// As the file system's.
    pub fn read(&self, compressed: bool) -> io::Result<Reading> {
        let file = File::open(&self.path)?;
        Ok(if compressed {
            Reading { left: self.bytes, step: Step::Idle(Box::new(file)) }
        } else {
            Reading { left: self.plain_bytes, step: Step::Idle(Box::new(GzDecoder::new(file))) }
        })
    }
}

fn next_chunk(mut source: Source, wanted: usize) -> io::Result<(Source, Bytes)> {
    let mut chunk = vec![0; wanted];
    source.read_exact(&mut chunk)?;
    Ok((source, Bytes::from(chunk)))
}

impl Body for Reading {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            match std::mem::replace(&mut self.step, Step::Over) {
                Step::Idle(_) if self.left == 0 => return Poll::Ready(None),
                Step::Over => return Poll::Ready(None),
                Step::Idle(source) => {
                    let wanted = usize::try_from(self.left).unwrap_or(CHUNK).min(CHUNK);
                    self.step = Step::Reading(spawn_blocking(move || next_chunk(source, wanted)));
                }
                Step::Reading(mut task) => {
                    let polled = Pin::new(&mut task).poll(context);
                    if polled.is_pending() {
                        self.step = Step::Reading(task);
                    }
                    let (source, chunk) = match ready!(polled) {
                        Ok(Ok(read)) => read,
                        Ok(Err(error)) => return Poll::Ready(Some(Err(error))),
                        Err(error) => return Poll::Ready(Some(Err(io::Error::other(error)))),
                    };
                    self.left -= chunk.len() as u64;
                    self.step = Step::Idle(source);
                    return Poll::Ready(Some(Ok(Frame::data(chunk))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
