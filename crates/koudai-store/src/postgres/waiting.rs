//! Threads that wait for a server. The engine's threads and those that read for pages block, as they do on SQLite; what
//! goes over the wire is done by one thread for all connections.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use tokio::runtime::{Builder, Handle, Runtime};

/// The thread that serves the wires, for as long as the process lives. Being nobody's, it is never ended from inside
/// another runtime, which would panic.
static WIRES: LazyLock<Result<Runtime, std::io::Error>> = LazyLock::new(|| {
    Builder::new_multi_thread().worker_threads(1).thread_name("postgres").enable_all().build()
});

/// The thread that serves the wires.
pub(super) fn wires() -> Result<&'static Handle, &'static std::io::Error> {
    WIRES.as_ref().map(Runtime::handle)
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks this thread until it is done. Unlike a runtime's own `block_on` it may be called wherever a read of a file may,
/// on a thread of another runtime too.
pub(super) fn wait<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        std::thread::park();
    }
}

/// Requests that are on their way together, answered in the order they were sent.
pub(super) struct Pipeline<'a, T, E> {
    sent: Vec<Sent<'a, T, E>>,
}

enum Sent<'a, T, E> {
    Waiting(Pin<Box<dyn Future<Output = Result<T, E>> + 'a>>),
    Done(Result<T, E>),
}

impl<'a, T, E> Pipeline<'a, T, E> {
    pub(super) const fn new() -> Self {
        Self { sent: vec![] }
    }

    /// Sends a request now: the client writes it out the first time it is polled. Whether it was sent; one that failed at
    /// once never left.
    pub(super) fn send(&mut self, request: impl Future<Output = Result<T, E>> + 'a) -> bool {
        let mut request: Pin<Box<dyn Future<Output = Result<T, E>> + 'a>> = Box::pin(request);
        let answer = request.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let sent = !matches!(answer, Poll::Ready(Err(_)));
        self.sent.push(match answer {
            Poll::Ready(answer) => Sent::Done(answer),
            Poll::Pending => Sent::Waiting(request),
        });
        sent
    }

    /// Waits for every answer.
    pub(super) fn answers(self) -> Vec<Result<T, E>> {
        let answer = |sent| match sent {
            Sent::Waiting(request) => wait(request),
            Sent::Done(answer) => answer,
        };
        self.sent.into_iter().map(answer).collect()
    }
}
