//! Many commands under way at once, driven from one thread.

use std::cell::{Cell, RefCell};
use std::future::Future;

use tokio::task::LocalSet;

use crate::failure::Failure;

/// Runs a set of tasks to its end, so many at once, and returns what each gave, in order of number.
pub(super) fn run_all<T, F, W>(at_once: usize, count: usize, work: W) -> Result<Vec<T>, Failure>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Failure>>,
    W: Fn(usize) -> F + Send + Sync,
{
    let all = || {
        let next = Cell::new(0_usize);
        let done: RefCell<Vec<Option<T>>> = RefCell::new((0..count).map(|_| None).collect());
        let failure = RefCell::new(None);
        let worker = || async {
            while failure.borrow().is_none() {
                let number = next.get();
                if number >= count {
                    break;
                }
                next.set(number + 1);
                match work(number).await {
                    Ok(value) => done.borrow_mut()[number] = Some(value),
                    Err(error) => *failure.borrow_mut() = Some(error),
                }
            }
        };
        let workers: Vec<_> = (0..at_once.min(count)).map(|_| worker()).collect();
        block_on_local(futures_util::future::join_all(workers));
        match failure.into_inner() {
            Some(failure) => Err(failure),
            None => Ok(done.into_inner().into_iter().flatten().collect()),
        }
    };
    std::thread::scope(|scope| {
        let thread = scope.spawn(all);
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Runs tasks that stay on this thread.
pub(super) fn block_on_local<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    LocalSet::new().block_on(&runtime.expect("a runtime starts"), work)
}

/// Runs work on a thread of its own, so that the tasks it drives share a core with nothing of ours.
pub(super) fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().name("load".to_owned()).spawn(work).expect("a thread starts");
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
