//! What the decider waits for, in one place: commands, rows that were loaded for it, and a committer that is free.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Commands that may wait. Past it the caller is told to come back: a bounded queue is what keeps answers quick.
const LENGTH: usize = 65_536;

/// A bounded queue of commands `T` with many senders and one receiver, who is also told of loaded rows `L` and of a
/// committer that takes the next batch.
pub(crate) struct Mailbox<T, L> {
    inner: Mutex<Inner<T, L>>,
    changed: Condvar,
}

impl<T, L> std::fmt::Debug for Mailbox<T, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox").finish_non_exhaustive()
    }
}

struct Inner<T, L> {
    waiting: Vec<T>,
    loaded: Option<L>,
    /// The committer takes the next batch.
    free: bool,
    senders: usize,
    receiver: bool,
    /// What the receiver sleeps for.
    asleep: Option<Want>,
}

/// What the receiver can use. Loaded rows it always can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Want {
    /// So many commands.
    pub(crate) room: usize,
    /// A free committer: there is a batch to hand over.
    pub(crate) free: bool,
    /// Nothing at all: there is work already, and what has come is only taken along.
    pub(crate) ready: bool,
    /// Rows are being loaded, or commands wait for some: it is not done even if all senders are gone.
    pub(crate) unfinished: bool,
}

/// What there was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Post<T, L> {
    /// Commands, the first sent first.
    pub(crate) commands: Vec<T>,
    /// Rows that were asked for.
    pub(crate) loaded: Option<L>,
    /// The committer was free, and is taken now.
    pub(crate) free: bool,
}

/// Why a command was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is more work than can wait.
    Full,
    /// Nobody is at work any more.
    Gone,
}

impl<T, L> Mailbox<T, L> {
    /// An empty one with one sender. The committer begins free.
    pub(crate) fn new() -> Self {
        let inner =
            Inner { waiting: vec![], loaded: None, free: true, senders: 1, receiver: true, asleep: None };
        Self { inner: Mutex::new(inner), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T, L>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the receiver if it sleeps for what has just come.
    fn wake(&self, mut inner: MutexGuard<'_, Inner<T, L>>, wanted: impl Fn(Want) -> bool) {
        if inner.asleep.take_if(|want| wanted(*want)).is_some() {
            drop(inner);
            self.changed.notify_one();
        }
    }

    /// Adds a command.
    pub(crate) fn send(&self, command: T) -> Result<(), Refused> {
        let mut inner = self.lock();
        if !inner.receiver {
            return Err(Refused::Gone);
        }
        if inner.waiting.len() >= LENGTH {
            return Err(Refused::Full);
        }
        inner.waiting.push(command);
        self.wake(inner, |want| want.room > 0);
        Ok(())
    }

    /// Says that the committer takes the next batch.
    pub(crate) fn set_free(&self) {
        let mut inner = self.lock();
        inner.free = true;
        self.wake(inner, |want| want.free);
    }

    /// Brings rows that were asked for.
    pub(crate) fn bring(&self, loaded: L) {
        let mut inner = self.lock();
        inner.loaded = Some(loaded);
        self.wake(inner, |_| true);
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
            self.wake(inner, |_| true);
        }
    }

    /// Nobody takes commands any more; what waits is dropped.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.receiver = false;
        let dropped = std::mem::take(&mut inner.waiting);
        drop(inner);
        drop(dropped);
    }

    /// Waits until there is something the receiver can use. `None` once all senders are gone and all is done.
    pub(crate) fn next(&self, want: Want) -> Option<Post<T, L>> {
        let mut inner = self.lock();
        loop {
            let commands = want.room > 0 && !inner.waiting.is_empty();
            let free = want.free && inner.free;
            if commands || free || want.ready || inner.loaded.is_some() {
                let commands = if commands { take(&mut inner.waiting, want.room) } else { vec![] };
                inner.free &= !free;
                return Some(Post { commands, loaded: inner.loaded.take(), free });
            }
            if inner.senders == 0 && !want.free && !want.unfinished {
                return None;
            }
            inner.asleep = Some(want);
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
            inner.asleep = None;
        }
    }
}

fn take<T>(waiting: &mut Vec<T>, room: usize) -> Vec<T> {
    if waiting.len() <= room {
        return std::mem::take(waiting);
    }
    let rest = waiting.split_off(room);
    std::mem::replace(waiting, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Want = Want { room: 3, free: false, ready: false, unfinished: false };
    const BATCH: Want = Want { free: true, ..IDLE };

    fn commands(list: &[i32]) -> Post<i32, &'static str> {
        Post { commands: list.to_vec(), loaded: None, free: false }
    }

    #[test]
    fn what_was_sent_first_is_taken_first_and_no_more_than_there_is_room_for() {
        let mailbox = Mailbox::new();
        for n in 0..5 {
            mailbox.send(n).unwrap();
        }
        assert_eq!(mailbox.next(IDLE).unwrap(), commands(&[0, 1, 2]));
        assert_eq!(mailbox.next(IDLE).unwrap(), commands(&[3, 4]));
    }

    #[test]
    fn a_batch_takes_what_comes_in_until_the_committer_is_free() {
        let mailbox = Mailbox::new();
        let handed_over = mailbox.next(BATCH).unwrap();
        assert!(handed_over.free, "it begins free");
        mailbox.send(1).unwrap();
        assert_eq!(mailbox.next(BATCH).unwrap(), commands(&[1]), "and is busy until it says otherwise");
        mailbox.send(2).unwrap();
        mailbox.set_free();
        let full = mailbox.next(Want { room: 0, ..BATCH }).unwrap();
        assert!(full.free && full.commands.is_empty(), "a full batch takes nothing more");
        assert_eq!(mailbox.next(IDLE).unwrap(), commands(&[2]));
    }

    #[test]
    fn loaded_rows_are_brought_whatever_else_is_wanted() {
        let mailbox = Mailbox::<i32, _>::new();
        mailbox.bring("rows");
        let post = mailbox.next(Want { room: 0, ..IDLE }).unwrap();
        assert_eq!((post.loaded, post.free), (Some("rows"), false));
    }

    #[test]
    fn a_full_mailbox_says_so_and_so_does_one_that_nobody_reads() {
        let mailbox = Mailbox::<_, ()>::new();
        for n in 0..LENGTH {
            mailbox.send(n).unwrap();
        }
        assert_eq!(mailbox.send(0), Err(Refused::Full));
        mailbox.close();
        assert_eq!(mailbox.send(0), Err(Refused::Gone));
    }

    #[test]
    fn the_receiver_ends_with_the_last_sender_and_finishes_its_work_first() {
        let mailbox = Mailbox::new();
        mailbox.add_sender();
        mailbox.remove_sender();
        mailbox.send(1).unwrap();
        mailbox.remove_sender();
        assert_eq!(mailbox.next(IDLE).unwrap(), commands(&[1]));
        mailbox.bring("rows");
        assert_eq!(mailbox.next(Want { unfinished: true, ..IDLE }).unwrap().loaded, Some("rows"));
        assert!(mailbox.next(BATCH).unwrap().free, "a batch is still handed over");
        assert_eq!(mailbox.next(IDLE), None);
    }

    #[test]
    fn a_sleeping_receiver_is_woken_by_what_it_waits_for() {
        let mailbox = std::sync::Arc::new(Mailbox::<i32, &str>::new());
        let other = std::sync::Arc::clone(&mailbox);
        let receiver = std::thread::spawn(move || {
            let mut seen = vec![];
            while let Some(post) = other.next(Want { room: 1, free: false, ready: false, unfinished: false })
            {
                seen.extend(post.commands);
            }
            seen
        });
        for n in 0..100 {
            mailbox.send(n).unwrap();
            std::thread::yield_now();
        }
        mailbox.remove_sender();
        assert_eq!(receiver.join().unwrap(), (0..100).collect::<Vec<_>>());
    }
}
