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
    stage: Stage,
    /// What the receiver sleeps for.
    asleep: Option<Want>,
}

/// How far it has come; it goes on in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Open,
    /// Nobody sends any more.
    Sealed,
    /// The receiver is to end at once.
    Ended,
    /// Nobody takes what is sent.
    Closed,
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
    /// Rows are being loaded, or commands wait for some: it is not done even if nobody sends any more.
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
    /// An empty one. The committer begins free.
    pub(crate) fn new() -> Self {
        let inner = Inner { waiting: vec![], loaded: None, free: true, stage: Stage::Open, asleep: None };
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
        if inner.stage == Stage::Closed {
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

    /// Nobody sends any more: the receiver ends once all is done.
    pub(crate) fn seal(&self) {
        let mut inner = self.lock();
        inner.stage = inner.stage.max(Stage::Sealed);
        self.wake(inner, |_| true);
    }

    /// Has the receiver end at once.
    pub(crate) fn end(&self) {
        let mut inner = self.lock();
        inner.stage = inner.stage.max(Stage::Ended);
        self.wake(inner, |_| true);
    }

    /// Nobody takes commands any more; those that wait come back.
    pub(crate) fn close(&self) -> Vec<T> {
        let mut inner = self.lock();
        inner.stage = Stage::Closed;
        std::mem::take(&mut inner.waiting)
    }

    /// What the receiver can use now, if there is anything.
    pub(crate) fn look(&self, want: Want) -> Option<Post<T, L>> {
        match self.lock().look(want) {
            Look::Post(post) => Some(post),
            Look::Nothing | Look::Done => None,
        }
    }

    /// Waits until there is something the receiver can use. `None` once nobody sends any more and all is done, or at the end.
    pub(crate) fn next(&self, want: Want) -> Option<Post<T, L>> {
        let mut inner = self.lock();
        loop {
            match inner.look(want) {
                Look::Post(post) => return Some(post),
                Look::Done => return None,
                Look::Nothing => {}
            }
            inner.asleep = Some(want);
            inner = self.changed.wait(inner).unwrap_or_else(PoisonError::into_inner);
            inner.asleep = None;
        }
    }
}

/// What a look at the mailbox found.
enum Look<T, L> {
    Post(Post<T, L>),
    Nothing,
    Done,
}

impl<T, L> Inner<T, L> {
    fn look(&mut self, want: Want) -> Look<T, L> {
        if self.stage >= Stage::Ended {
            return Look::Done;
        }
        let commands = want.room > 0 && !self.waiting.is_empty();
        let free = want.free && self.free;
        if commands || free || want.ready || self.loaded.is_some() {
            let commands = if commands { take(&mut self.waiting, want.room) } else { vec![] };
            self.free &= !free;
            return Look::Post(Post { commands, loaded: self.loaded.take(), free });
        }
        if self.stage == Stage::Open || want.free || want.unfinished { Look::Nothing } else { Look::Done }
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
        assert_eq!(mailbox.close().len(), LENGTH);
        assert_eq!(mailbox.send(0), Err(Refused::Gone));
    }

    #[test]
    fn the_receiver_ends_when_nobody_sends_any_more_and_finishes_its_work_first() {
        let mailbox = Mailbox::new();
        mailbox.send(1).unwrap();
        mailbox.seal();
        assert_eq!(mailbox.next(IDLE).unwrap(), commands(&[1]));
        mailbox.bring("rows");
        assert_eq!(mailbox.next(Want { unfinished: true, ..IDLE }).unwrap().loaded, Some("rows"));
        assert!(mailbox.next(BATCH).unwrap().free, "a batch is still handed over");
        assert_eq!(mailbox.next(IDLE), None);
    }

    #[test]
    fn at_the_end_nothing_is_taken_and_what_waits_comes_back() {
        let mailbox = Mailbox::new();
        mailbox.send(1).unwrap();
        mailbox.bring("rows");
        mailbox.end();
        assert_eq!(mailbox.next(Want { unfinished: true, ..BATCH }), None);
        assert_eq!(mailbox.close(), [1]);
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
        mailbox.seal();
        assert_eq!(receiver.join().unwrap(), (0..100).collect::<Vec<_>>());
    }
}
