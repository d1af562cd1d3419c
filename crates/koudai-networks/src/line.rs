//! The line to a network: who may be on it, and whether it is worth calling at all.
//!
//! A network that stopped answering is not called for a while: nobody waits for it, and nothing becomes unknown that
//! could have been refused. What was under way when it stopped stays open until it answers again.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use koudai_core::money::Money;
use koudai_core::rows::NetworkRefusal;
use koudai_core::secret::Secret;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::network::{
    BindingIs, BookEntry, CardDetails, GiveBack, Invitations, Move, Moved, Network, NoticeIn, WalletFace, Who,
};

/// Calls about money under way at once: a network that hangs takes no more of this machine's sockets, and none of the
/// other networks'.
const PLACES: usize = 128;
/// Calls in a row without an answer after which it counts as down. One may be the fault of one card's bank.
const SILENT: u32 = 3;
/// How long it is left alone at first, and at most.
const PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// A network behind its circuit breaker. Its calls do nothing while it is down, and say so.
#[derive(Debug)]
pub struct Line {
    network: Box<dyn Network>,
    places: Semaphore,
    breaker: Mutex<Breaker>,
    /// It is called again, and nobody has asked yet about what was open when it went.
    back: AtomicBool,
}

impl Line {
    pub(crate) fn to(network: impl Network + 'static) -> Self {
        Self {
            network: Box::new(network),
            places: Semaphore::new(PLACES),
            breaker: Mutex::new(Breaker::new(now())),
            back: AtomicBool::new(false),
        }
    }

    /// Whether it is called.
    pub fn is_up(&self) -> bool {
        self.breaker().is_up()
    }

    /// Leaves it alone for good, for as long as this process runs.
    pub fn hold(&self) {
        self.breaker().state = State::Held;
    }

    /// A place among those who call about money, once one is free.
    pub(crate) async fn place(&self) -> SemaphorePermit<'_> {
        self.places.acquire().await.expect("it is never closed")
    }

    /// Asks whether it answers, twice before it says no.
    pub(crate) async fn probe(&self) {
        let began = now();
        let answers = self.network.answers().await || self.network.answers().await;
        self.note(|breaker| breaker.probed(answers, began, now()));
    }

    /// Whether it came back since this was last asked.
    pub(crate) fn came_back(&self) -> bool {
        self.back.swap(false, Ordering::Relaxed)
    }

    /// `call`, unless the network is down: then `without` it. What comes of the call counts.
    async fn call<T>(&self, call: impl Future<Output = T>, answered: fn(&T) -> bool, without: T) -> T {
        if !self.note(|breaker| breaker.admits(now())) {
            return without;
        }
        let answer = call.await;
        let answered = answered(&answer);
        self.note(|breaker| if answered { breaker.answered(now()) } else { breaker.unanswered(now()) });
        answer
    }

    async fn about_money(&self, call: impl Future<Output = Moved>) -> Moved {
        // That no connection was made is said in the same words as below.
        let answered = |moved: &Moved| !matches!(*moved, Moved::Unknown | NOT_CALLED);
        self.call(call, answered, NOT_CALLED).await
    }

    async fn about_a_binding(&self, call: impl Future<Output = BindingIs>) -> BindingIs {
        let answered = |is: &BindingIs| !matches!(is, BindingIs::NotSent | BindingIs::Unknown);
        self.call(call, answered, BindingIs::NotSent).await
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note<T>(&self, change: impl FnOnce(&mut Breaker) -> T) -> T {
        let mut breaker = self.breaker();
        let before = breaker.is_up();
        let result = change(&mut breaker);
        match (before, breaker.is_up()) {
            (true, false) => tracing::warn!(network = self.network.name(), "a network is down"),
            (false, true) => {
                tracing::info!(network = self.network.name(), "a network is called again");
                self.back.store(true, Ordering::Relaxed);
            }
            _ => {}
        }
        result
    }
}

const NOT_CALLED: Moved = Moved::NothingDone(NetworkRefusal::Unavailable);

#[async_trait]
impl Network for Line {
    fn name(&self) -> &str {
        self.network.name()
    }

    async fn bind(&self, number: &str, card: CardDetails) -> BindingIs {
        self.about_a_binding(self.network.bind(number, card)).await
    }

    async fn resend(&self, number: &str) -> BindingIs {
        self.about_a_binding(self.network.resend(number)).await
    }

    async fn confirm(&self, number: &str, code: Secret<String>) -> BindingIs {
        self.about_a_binding(self.network.confirm(number, code)).await
    }

    async fn binding(&self, number: &str) -> BindingIs {
        self.about_a_binding(self.network.binding(number)).await
    }

    async fn unbind(&self, token: Secret<String>) {
        if self.is_up() {
            self.network.unbind(token).await;
        }
    }

    async fn debit(&self, debit: Move<'_>) -> Moved {
        self.about_money(self.network.debit(debit)).await
    }

    fn expects(&self, number: &str, amount: Money) {
        self.network.expects(number, amount);
    }

    async fn query_debit(&self, number: &str) -> Moved {
        self.about_money(self.network.query_debit(number)).await
    }

    async fn close_debit(&self, number: &str) -> Moved {
        self.about_money(self.network.close_debit(number)).await
    }

    async fn refund(&self, back: GiveBack<'_>) -> Moved {
        self.about_money(self.network.refund(back)).await
    }

    async fn query_refund(&self, back: GiveBack<'_>) -> Moved {
        self.about_money(self.network.query_refund(back)).await
    }

    async fn pay_out(&self, payout: Move<'_>) -> Moved {
        self.about_money(self.network.pay_out(payout)).await
    }

    async fn query_pay_out(&self, number: &str) -> Moved {
        self.about_money(self.network.query_pay_out(number)).await
    }

    async fn close_pay_out(&self, number: &str) -> Moved {
        self.about_money(self.network.close_pay_out(number)).await
    }

    async fn books(&self, after: i64) -> Option<Vec<BookEntry>> {
        self.network.books(after).await
    }

    fn books_after_ms(&self) -> i64 {
        self.network.books_after_ms()
    }

    async fn answers(&self) -> bool {
        self.network.answers().await
    }

    async fn read_notice(&self, notice: NoticeIn<'_>) -> Option<String> {
        self.network.read_notice(notice).await
    }

    fn notice_reply(&self) -> &'static str {
        self.network.notice_reply()
    }

    fn wallet(&self) -> Option<WalletFace> {
        self.network.wallet()
    }

    fn invitations(&self) -> Option<&Invitations> {
        self.network.invitations()
    }

    fn ask_who_at(&self, back: &str, state: &str) -> Option<String> {
        self.network.ask_who_at(back, state)
    }

    async fn who(&self, code: Secret<String>) -> Who {
        self.network.who(code).await
    }
}

/// How a network did of late.
#[derive(Debug)]
struct Breaker {
    state: State,
    /// How long it is left alone when it goes down next.
    pause: Duration,
    /// When a call was answered last.
    answered_at: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is called; so many calls in a row had no answer.
    Up { unanswered: u32 },
    /// It is called again after a pause. Whether it does what it is asked the next call will show.
    Trial,
    /// It is not called before this.
    Down { until: Instant },
    /// It is not called whatever it says.
    Held,
}

impl Breaker {
    const fn new(now: Instant) -> Self {
        Self { state: State::Up { unanswered: 0 }, pause: PAUSE, answered_at: now }
    }

    const fn is_up(&self) -> bool {
        matches!(self.state, State::Up { .. } | State::Trial)
    }

    /// Whether a call may be made. The first after the pause is the trial.
    fn admits(&mut self, now: Instant) -> bool {
        if let State::Down { until } = self.state
            && until <= now
        {
            self.state = State::Trial;
        }
        self.is_up()
    }

    /// A call was answered. An answer to one from before it went down shows that it is there as well.
    fn answered(&mut self, now: Instant) {
        if self.state != State::Held {
            *self = Self::new(now);
        }
    }

    /// A call was not.
    fn unanswered(&mut self, now: Instant) {
        match self.state {
            State::Up { unanswered } if unanswered + 1 < SILENT => {
                self.state = State::Up { unanswered: unanswered + 1 };
            }
            State::Up { .. } | State::Trial => self.goes_down(now),
            State::Down { .. } | State::Held => {}
        }
    }

    /// It was asked, from `began` on, whether it is there. Whatever was answered meanwhile says more than a silence.
    fn probed(&mut self, answers: bool, began: Instant, now: Instant) {
        match (self.state, answers) {
            (State::Down { until }, true) if until <= now => self.state = State::Trial,
            (State::Up { .. } | State::Trial, false) if self.answered_at <= began => self.goes_down(now),
            _ => {}
        }
    }

    fn goes_down(&mut self, now: Instant) {
        self.state = State::Down { until: now + self.pause };
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}

fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn three_silences_in_a_row_are_too_many_and_an_answer_begins_the_row_again() {
        let now = now();
        let mut breaker = Breaker::new(now);
        for _ in 0..10 {
            breaker.unanswered(now);
            breaker.unanswered(now);
            assert!(breaker.admits(now));
            breaker.answered(now);
        }
        for _ in 0..3 {
            breaker.unanswered(now);
        }
        assert!(!breaker.admits(now));
    }

    #[test]
    fn it_is_tried_again_after_its_pause_and_left_alone_longer_each_time_it_fails() {
        let mut now = now();
        let mut breaker = Breaker::new(now);
        breaker.probed(false, now, now);
        for pause in [5, 10, 20, 40, 60, 60] {
            let pause = Duration::from_secs(pause);
            breaker.probed(true, now, now + pause.mul_f32(0.99));
            assert!(!breaker.admits(now + pause.mul_f32(0.99)), "not before its time, whatever it says");
            now += pause;
            breaker.probed(false, now, now);
            assert!(!breaker.is_up(), "no answer changes nothing");
            breaker.probed(true, now, now);
            assert!(breaker.is_up());
            breaker.unanswered(now);
            assert!(!breaker.is_up(), "one silence is enough while it is on trial");
        }
        now += LONGEST_PAUSE;
        assert!(
            breaker.admits(now),
            "a call is a trial too, for a network that never says whether it is there"
        );
        breaker.answered(now);
        breaker.probed(false, now + MS, now + MS);
        assert!(breaker.admits(now + MS + PAUSE), "what it did well begins the pauses again");
    }

    #[test]
    fn what_was_answered_meanwhile_says_more_than_a_silence() {
        let now = now();
        let mut breaker = Breaker::new(now);
        breaker.answered(now + 2 * MS);
        breaker.probed(false, now + MS, now + 3 * MS);
        assert!(breaker.is_up());
        breaker.probed(false, now + 4 * MS, now + 5 * MS);
        assert!(!breaker.is_up());
    }

    #[test]
    fn a_late_answer_shows_that_it_is_there_unless_it_is_held() {
        let now = now();
        let mut breaker = Breaker::new(now);
        breaker.probed(false, now, now);
        breaker.answered(now);
        assert!(breaker.is_up());
        breaker.state = State::Held;
        breaker.answered(now);
        breaker.probed(true, now, now + LONGEST_PAUSE);
        assert!(!breaker.admits(now + LONGEST_PAUSE));
    }
}
