//! A command on its way: decided once its rows are there, answered once its batch is committed.

use koudai_core::state::{Batch, Command, State, Stop};
use tokio::sync::oneshot;

use crate::Failed;

/// Commands with their outcome.
pub(crate) type Jobs = Vec<Box<dyn Job>>;

/// A command that waits for its decision and its commit.
pub(crate) trait Job: Send {
    /// Decides it; false if rows are missing.
    fn decide(&mut self, state: &mut State, batch: &Batch<'_>) -> bool;
    /// Whether it was decided, and refused.
    fn is_refused(&self) -> bool;
    /// Answers it, once its batch is committed; one that was not decided is told that nothing was done.
    fn answer(self: Box<Self>);
    /// Tells its sender that nothing was done.
    fn give_up(self: Box<Self>);
}

type Answer<C> = Result<<C as Command>::Reply, Failed<<C as Command>::Refusal>>;

struct Pending<C: Command> {
    command: C,
    outcome: Option<Result<C::Reply, C::Refusal>>,
    sender: oneshot::Sender<Answer<C>>,
}

/// A command, and where its answer will come.
pub(crate) fn pending<C: Command>(command: C) -> (Box<dyn Job>, oneshot::Receiver<Answer<C>>) {
    let (sender, answer) = oneshot::channel();
    (Box::new(Pending { command, outcome: None, sender }), answer)
}

impl<C: Command> Job for Pending<C> {
    fn decide(&mut self, state: &mut State, batch: &Batch<'_>) -> bool {
        self.outcome = match state.decide(batch, &self.command) {
            Ok(reply) => Some(Ok(reply)),
            Err(Stop::Refused(refusal)) => Some(Err(refusal)),
            Err(Stop::Absent) => None,
        };
        self.outcome.is_some()
    }

    fn is_refused(&self) -> bool {
        matches!(self.outcome, Some(Err(_)))
    }

    fn answer(self: Box<Self>) {
        let Some(outcome) = self.outcome else { return self.give_up() };
        // A sender that has gone away does not need its answer; the work is done all the same.
        let _gone = self.sender.send(outcome.map_err(Failed::Refused));
    }

    fn give_up(self: Box<Self>) {
        let _gone = self.sender.send(Err(Failed::Busy));
    }
}
