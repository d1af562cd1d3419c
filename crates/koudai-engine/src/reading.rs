//! Reading for pages, on threads that may wait for the disk: a few at once, each of which goes on until nobody waits.
//!
//! A thread for each page would open a connection for each, which costs more than most pages read; and waking a thread
//! for each costs as much as a small one.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use koudai_store::{Reader, Readers, StoreError};
use tokio::sync::oneshot;

/// Who waits to read, and how many threads are at it.
#[derive(Default)]
pub(crate) struct Reading {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Box<dyn FnOnce() + Send>>,
    threads: usize,
}

impl std::fmt::Debug for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reading").finish_non_exhaustive()
    }
}

impl Reading {
    /// Reads what is committed.
    ///
    /// # Errors
    /// What the database or `work` says.
    pub(crate) async fn read<T, F>(self: &Arc<Self>, readers: Readers, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    {
        let (sender, answer) = oneshot::channel();
        let task = move || {
            let read = catch_unwind(AssertUnwindSafe(|| readers.with(work)));
            // Who has gone away needs no answer.
            let _gone = sender.send(read);
        };
        if self.add(Box::new(task)) {
            let this = Arc::clone(self);
            tokio::task::spawn_blocking(move || this.work());
        }
        match answer.await {
            Ok(read) => read.unwrap_or_else(|panic| resume_unwind(panic)),
            // The process is ending.
            Err(_) => std::future::pending().await,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a task; true if another thread is to be started for it.
    fn add(&self, task: Box<dyn FnOnce() + Send>) -> bool {
        let mut inner = self.lock();
        inner.waiting.push_back(task);
        let more = inner.threads < Readers::KEPT;
        inner.threads += usize::from(more);
        more
    }

    /// Does what waits, the longest waiting first, until nothing does.
    fn work(&self) {
        loop {
            let mut inner = self.lock();
            let Some(task) = inner.waiting.pop_front() else {
                inner.threads -= 1;
                return;
            };
            drop(inner);
            task();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use koudai_store::{Database, Tuning};

    use super::*;

    fn readers() -> (tempfile::TempDir, Readers) {
        let directory = tempfile::tempdir().unwrap();
        let opened = Database::Directory(directory.path().to_owned()).open(Tuning::default()).unwrap();
        (directory, opened.readers)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_read_at_once_and_each_gets_its_own_answer_on_few_threads() {
        let (_directory, readers) = readers();
        let reading = Arc::new(Reading::default());
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..500)
            .map(|n| {
                let (reading, readers) = (Arc::clone(&reading), readers.clone());
                let (now, most) = (Arc::clone(&now), Arc::clone(&most));
                tokio::spawn(async move {
                    let work = move |reader: &Reader| {
                        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        let seals = reader.newest_seal();
                        now.fetch_sub(1, Ordering::SeqCst);
                        seals.map(|_| n)
                    };
                    reading.read(readers, work).await.unwrap()
                })
            })
            .collect();
        for (n, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), n);
        }
        assert!((1..=Readers::KEPT).contains(&most.load(Ordering::SeqCst)));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_panics_while_reading_takes_nobody_along() {
        let (_directory, readers) = readers();
        let reading = Arc::new(Reading::default());
        for _ in 0..2 * Readers::KEPT {
            let (reading, readers) = (Arc::clone(&reading), readers.clone());
            let task = tokio::spawn(async move {
                let bug = |_: &Reader| -> Result<(), StoreError> { panic!("a bug of a page's") };
                reading.read(readers, bug).await
            });
            assert!(task.await.unwrap_err().is_panic());
        }
        assert_eq!(reading.read(readers, |_| Ok(7)).await.unwrap(), 7);
    }
}
