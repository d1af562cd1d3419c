//! Where commands wait for the engine. Whoever is at work takes all of them at once, or waits for the first.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Commands that may wait. Past it the caller is told to come back: a bounded queue is what keeps answers quick.
const LENGTH: usize = 65_536;

/// A bounded queue with many senders and one receiver, who can also be told that the committer is free.
pub(crate) struct Queue<T> {
    inner: Mutex<Inner<T>>,
    changed: Condvar,
}

impl<T> std::fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

struct Inner<T> {
    waiting: Vec<T>,
    /// The committer takes the next batch.
    free: bool,
    senders: usize,
    receiver: bool,
    /// The receiver sleeps until one of these comes up.
    asleep: Option<For>,
}

/// What the receiver waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum For {
    Work,
    Free,
    Either,
}

/// Why a command was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is more work than can wait.
    Full,
    /// Nobody is at work any more.
    Gone,
}

impl<T> Queue<T> {
    /// An empty queue with one sender. The committer begins free.
    pub(crate) fn new() -> Self {
        let inner = Inner { waiting: vec![], free: true, senders: 1, receiver: true, asleep: None };
        Self { inner: Mutex::new(inner), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, mut inner: MutexGuard<'_, Inner<T>>, up: For) {
        let wake = inner.asleep.is_some_and(|asleep| asleep == up || asleep == For::Either);
        if wake {
            inner.asleep = None;
        }
        drop(inner);
        if wake {
            self.changed.notify_one();
        }
    }

    /// Adds a command.
    pub(crate) fn send(&self, item: T) -> Result<(), Refused> {
        let mut inner = self.lock();
        if !inner.receiver {
            return Err(Refused::Gone);
        }
        if inner.waiting.len() >= LENGTH {
            return Err(Refused::Full);
        }
        inner.waiting.push(item);
        self.wake(inner, For::Work);
        Ok(())
    }

    /// Says that the committer takes the next batch.
    pub(crate) fn set_free(&self) {
        let mut inner = self.lock();
        inner.free = true;
        self.wake(inner, For::Free);
    }

    /// Another sender.
    pub(crate) fn add_sender(&self) {
        self.lock().senders += 1;
    }

    /// A sender has gone.
    pub(crate) fn remove_sender(&self) {
        let mut inner = self.lock();
        inner.senders -= 1;
        if inner.senders == 0 {
            inner.asleep = None;
            drop(inner);
            self.changed.notify_one();
        }
    }

    /// Nobody takes commands any more; what waits is dropped.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.receiver = false;
        drop(std::mem::take(&mut inner.waiting));
    }

    /// The first commands that wait, at most `room` of them. Waits if there are none; `None` once all senders are gone.
    pub(crate) fn take(&self, room: usize) -> Option<Vec<T>> {
        let inner = self.sleep(For::Work, |inner| !inner.waiting.is_empty() || inner.senders == 0);
        Some(take(inner, room)).filter(|items| !items.is_empty())
    }

    /// Waits until the committer is free, which it then is no longer, or until there is more work and room for it: what
    /// comes in meanwhile joins the batch. `None` when the committer is free.
    pub(crate) fn take_until_free(&self, room: usize) -> Option<Vec<T>> {
        let wait = if room == 0 { For::Free } else { For::Either };
        let mut inner = self.sleep(wait, |inner| inner.free || room > 0 && !inner.waiting.is_empty());
        if inner.free {
            inner.free = false;
            return None;
        }
        Some(take(inner, room))
    }

    fn sleep(&self, wait: For, until: impl Fn(&Inner<T>) -> bool) -> MutexGuard<'_, Inner<T>> {
        let mut inner = self.lock();
        while !until(&inner) {
            inner.asleep = Some(wait);
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
        inner.asleep = None;
        inner
    }
}

fn take<T>(mut inner: MutexGuard<'_, Inner<T>>, room: usize) -> Vec<T> {
    if inner.waiting.len() <= room {
        return std::mem::take(&mut inner.waiting);
    }
    let rest = inner.waiting.split_off(room);
    std::mem::replace(&mut inner.waiting, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_first_is_taken_first_and_no_more_than_there_is_room_for() {
        let queue = Queue::new();
        for n in 0..5 {
            queue.send(n).unwrap();
        }
        assert_eq!(queue.take(3), Some(vec![0, 1, 2]));
        assert_eq!(queue.take(3), Some(vec![3, 4]));
    }

    #[test]
    fn work_joins_the_batch_until_the_committer_is_free() {
        let queue = Queue::new();
        assert_eq!(queue.take_until_free(1), None, "it begins free");
        queue.send(1).unwrap();
        assert_eq!(queue.take_until_free(1), Some(vec![1]));
        queue.send(2).unwrap();
        queue.set_free();
        assert_eq!(queue.take_until_free(0), None, "a full batch waits for the committer alone");
        assert_eq!(queue.take(1), Some(vec![2]));
    }

    #[test]
    fn a_full_queue_says_so_and_so_does_one_that_nobody_reads() {
        let queue = Queue::new();
        for n in 0..LENGTH {
            queue.send(n).unwrap();
        }
        assert_eq!(queue.send(0), Err(Refused::Full));
        queue.close();
        assert_eq!(queue.send(0), Err(Refused::Gone));
    }

    #[test]
    fn the_receiver_ends_with_the_last_sender_and_finishes_its_work_first() {
        let queue = std::sync::Arc::new(Queue::new());
        queue.add_sender();
        queue.send(1).unwrap();
        queue.remove_sender();
        let other = std::sync::Arc::clone(&queue);
        let receiver = std::thread::spawn(move || (other.take(9), other.take(9)));
        queue.remove_sender();
        assert_eq!(receiver.join().unwrap(), (Some(vec![1]), None));
    }
}
