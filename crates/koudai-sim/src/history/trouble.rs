//! What goes wrong, and how the process and the machine come back from it.

use std::sync::Arc;

use koudai_core::planted::{self, Bug};
use koudai_engine::by_hand::Gone;

use super::books::{self, Finding};
use super::faulty::{Lie, lock};
use super::{History, database, house};
use crate::vfs::{Call, Failure, Fault};

impl History {
    /// Something goes wrong, now or soon.
    pub(super) fn trouble(&mut self) -> Result<(), Finding> {
        let lies = [Lie::Full, Lie::UnknownNotDone, Lie::UnknownDone, Lie::UnknownLate];
        match self.dice.below(12) {
            0..6 => lock(&self.plan).next = Some(lies[self.dice.below(lies.len())]),
            6 => self.thief_comes(),
            7 => return self.die(),
            8 | 9 => self.plan_a_stop(),
            10 => {
                let calls = [Call::Read, Call::Write, Call::Sync, Call::Truncate, Call::Open, Call::ShmMap];
                let hows = [Failure::Error, Failure::Short, Failure::Forgotten];
                let (on, how) = (Some(calls[self.dice.below(6)]), hows[self.dice.below(3)]);
                let nth = self.soon(20);
                self.plan_a_fault(Fault { on, nth, how, lasting: false });
            }
            _ => {
                let full =
                    Fault { on: Some(Call::Write), nth: self.soon(20), how: Failure::Full, lasting: true };
                self.plan_a_fault(full);
            }
        }
        Ok(())
    }

    fn soon(&mut self, within: usize) -> u64 {
        1 + self.dice.below(within) as u64
    }

    fn plan_a_fault(&mut self, fault: Fault) {
        // What was planned before has had its chance; a disk that was full has room again.
        self.world.mend();
        self.brittle = true;
        self.world.plan(fault);
    }

    fn plan_a_stop(&mut self) {
        let how = if self.dice.coin() { Failure::StopBefore } else { Failure::StopAfter };
        let fault = Fault { on: None, nth: self.soon(120), how, lasting: false };
        self.plan_a_fault(fault);
    }

    /// Another owner takes the ledger over, and the first has not noticed yet.
    fn thief_comes(&mut self) {
        if self.thief.is_none()
            && !self.brittle
            && let Ok(thief) = self.database.open(self.tuning)
        {
            self.thief = Some(thief);
        }
    }

    /// The engine has lost its ledger.
    pub(super) fn lose(&mut self, gone: Gone) -> Result<(), Finding> {
        if std::mem::take(&mut lock(&self.plan).lied) { self.fall(gone) } else { self.die() }
    }

    /// The process lives on and opens its ledger anew, as on a server.
    fn fall(&mut self, gone: Gone) -> Result<(), Finding> {
        self.report.falls += 1;
        let Some(engine) = self.engine.take() else { return Ok(()) };
        let mut fallen = engine.fall(gone);
        self.thief = None;
        let mut late = lock(&self.plan).late.take();
        if planted::is(Bug::ReadBackBeforeFence)
            && let Some(reader) = self.open_reader()?
        {
            books::read(self.house.read_back(&reader, &mut fallen))?;
        }
        if self.dice.coin()
            && let Some(late) = late.take()
        {
            late.arrive();
        }
        let Ok(opened) = self.database.open(self.tuning) else { return self.die() };
        if let Some(late) = late {
            books::check(!late.arrive(), || {
                "a commit was taken from an owner who was fenced off".to_owned()
            })?;
        }
        match self.house.look_back(&opened, &mut fallen) {
            Ok(()) => {}
            Err(_) if self.brittle => return self.die(),
            Err(error) => return Err(format!("looking back: {error:?}")),
        }
        self.enter(opened);
        self.hear()
    }

    /// The process dies, and perhaps the machine with it; both come back.
    pub(super) fn die(&mut self) -> Result<(), Finding> {
        self.report.deaths += 1;
        for attempt in 0..10 {
            (self.engine, self.thief, self.reader) = (None, None, None);
            *lock(&self.plan) = super::faulty::Plan::default();
            if self.world.stopped().is_some() || self.dice.coin() {
                self.world.cut_power(self.dice.roll());
            } else {
                self.world.kill();
            }
            self.world.mend();
            (self.brittle, self.database) = (false, database(&self.world));
            self.house = house(self.cache_bytes, &self.clock);
            self.outside.forget();
            // It may happen again before it is up.
            if !self.calm && attempt < 5 && self.dice.below(4) == 0 {
                self.plan_a_stop();
            }
            match self.database.open(self.tuning) {
                Ok(opened) => {
                    self.enter(opened);
                    let Some(reader) = self.open_reader()? else { continue };
                    let compared = self.books.compare(&reader);
                    self.reader = Some(reader);
                    match compared {
                        Err(_) if self.brittle => continue,
                        compared => compared?,
                    }
                    return self.hear();
                }
                Err(_) if self.brittle => {}
                Err(error) => return Err(format!("the ledger does not open again: {error:?}")),
            }
        }
        Err("the process does not come up in ten tries".to_owned())
    }

    /// Nothing more goes wrong.
    pub(super) fn calm_down(&mut self) -> Result<(), Finding> {
        self.world.mend();
        *lock(&self.plan) = super::faulty::Plan::default();
        let stopped = self.world.stopped().is_some();
        self.brittle = false;
        if stopped || self.engine.is_none() || self.thief.is_some() {
            self.die()?;
        }
        debug_assert_eq!(Arc::strong_count(&self.plan), 2, "the history's and the committer's");
        Ok(())
    }
}
