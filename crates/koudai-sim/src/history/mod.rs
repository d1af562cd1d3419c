//! One simulated history: people, merchants, a bank and a courier use a real engine on a real store, on a disk of memory,
//! and everything that can go wrong does, as one seed says. The auditor compares his books after each batch.
//!
//! The engine is stepped by hand (`koudai_engine::by_hand`), so that a seed has exactly one history, and a finding can be
//! had again. The code that decides, loads, commits, writes behind, opens and reads back is the code that is released.

mod books;
mod cast;
mod closing;
mod faulty;
mod flight;
mod judge;
mod outside;
mod play;
mod transfers;
mod trouble;
mod withdrawals;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use koudai_core::id::{AttemptId, MchId, OrderId, RefundId};
use koudai_core::planted::{self, Bug};
use koudai_core::state::Policy;
use koudai_core::time::Timestamp;
use koudai_engine::Clock;
use koudai_engine::by_hand::{ByHand, House, Step};
use koudai_store::sqlite::FILE;
use koudai_store::{Database, Opened, Place, Reader, Tuning};

use crate::Dice;
use crate::vfs::{self, World};
use books::{Books, Finding};
use cast::Person;
use faulty::{Faulty, Shared};
use flight::Flight;
use outside::Outside;
use transfers::Slip;
use withdrawals::Request;

/// 2026-11-18, early in the morning in China.
const START: Timestamp = Timestamp(1_795_000_000_000);
const PIN: &str = "135790";
/// Payments each history has at least.
const PAYMENTS: usize = 500;
/// Turns after which a history that has not had its payments has run dry.
const TURNS: u32 = 60_000;

/// What a history had.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Orders that were paid.
    pub paid: u64,
    /// Commands that had an answer.
    pub answered: u64,
    /// Commands whose senders never heard of them.
    pub lost: u64,
    /// Commits.
    pub commits: u64,
    /// Processes that died.
    pub deaths: u64,
    /// Ledgers that were lost and opened again in the same process.
    pub falls: u64,
}

impl Report {
    /// Both together.
    pub const fn plus(self, other: Self) -> Self {
        Self {
            paid: self.paid + other.paid,
            answered: self.answered + other.answered,
            lost: self.lost + other.lost,
            commits: self.commits + other.commits,
            deaths: self.deaths + other.deaths,
            falls: self.falls + other.falls,
        }
    }
}

/// Plays the history of a seed, perhaps with a bug planted.
///
/// # Errors
/// What the auditor found, or the panic that ended it.
pub fn run(seed: u64, bug: Option<Bug>) -> Result<Report, String> {
    // Every history begins on a ledger of its own that was made once for all.
    static MADE: LazyLock<Result<World, String>> = LazyLock::new(|| {
        let world = World::new();
        let made = database(&world).open(Tuning::default()).map(drop);
        made.map(|()| world).map_err(|error| format!("a ledger cannot be made: {error:?}"))
    });
    let world = MADE.as_ref().map_err(Clone::clone)?.twin();
    planted::plant(bug);
    let played = catch_unwind(AssertUnwindSafe(|| History::begin(seed, world).and_then(History::play)));
    planted::plant(None);
    played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("a panic: {}", text.unwrap_or_default()))
    })
}

/// An order as its merchant knows it.
struct Order {
    mchid: MchId,
    number: String,
    minor: i64,
    id: Option<OrderId>,
    /// How many commands may have placed it.
    placed_by: u32,
    /// How many commands of each person may have paid it.
    paid_by: HashMap<usize, u32>,
}

/// A refund as its merchant knows it.
struct Refund {
    order: usize,
    number: String,
    minor: i64,
    id: Option<RefundId>,
    asked_by: u32,
}

/// A top-up as its person knows it.
struct TopUp {
    person: usize,
    number: String,
    minor: i64,
    id: Option<AttemptId>,
    asked_by: u32,
}

/// A history being played.
struct History {
    dice: Dice,
    world: World,
    clock: Clock,
    cache_bytes: usize,
    /// Rows that were loaded are long on their way, and others go on without them.
    slow_loads: bool,
    tuning: Tuning,
    house: House,
    database: Database,
    engine: Option<ByHand>,
    /// A second owner, who took the lease while the first was not looking.
    thief: Option<Opened>,
    plan: Shared,
    reader: Option<Reader>,
    /// A call to the disk is to fail: then a look of the auditor's may fail too.
    brittle: bool,
    /// Nothing goes wrong any more.
    calm: bool,
    merchants: Vec<MchId>,
    people: Vec<Person>,
    orders: Vec<Order>,
    refunds: Vec<Refund>,
    top_ups: Vec<TopUp>,
    transfers: Vec<Slip>,
    withdrawals: Vec<Request>,
    flights: Vec<Flight>,
    /// What ids stand for.
    ids: HashMap<i64, String>,
    books: Books,
    outside: Outside,
    report: Report,
}

impl History {
    fn begin(seed: u64, world: World) -> Result<Self, Finding> {
        let mut dice = Dice::new(seed);
        let clock = Clock::simulated(START, seed);
        // From one that keeps nothing to one that keeps everything.
        let cache_bytes = [0, 20_000, 100_000, 64 << 20][dice.below(4)];
        let generation = [1, 3, 7, 20, 60, 200][dice.below(6)];
        let slow_loads = dice.below(3) == 0;
        let house = house(cache_bytes, &clock);
        let database = database(&world);
        let mut history = Self {
            dice,
            world,
            clock,
            cache_bytes,
            slow_loads,
            tuning: Tuning { generation },
            house,
            database,
            engine: None,
            thief: None,
            plan: Shared::default(),
            reader: None,
            brittle: false,
            calm: true,
            merchants: vec![],
            people: vec![],
            orders: vec![],
            refunds: vec![],
            top_ups: vec![],
            transfers: vec![],
            withdrawals: vec![],
            flights: vec![],
            ids: HashMap::new(),
            books: Books::default(),
            outside: Outside::default(),
            report: Report::default(),
        };
        let opened = books::read(history.database.open(history.tuning))?;
        history.enter(opened);
        let engine = history.engine.as_mut().expect("it has just been begun");
        for _ in 0..2 {
            history.merchants.push(cast::merchant(engine));
        }
        for number in 0..4 {
            history.people.push(cast::person(engine, number, PIN, 40_000));
        }
        history.follow()?;
        history.calm = false;
        Ok(history)
    }

    /// Begins to work on a ledger that was opened.
    fn enter(&mut self, mut opened: Opened) {
        opened.committer = Box::new(Faulty::new(opened.committer, Shared::clone(&self.plan)));
        self.engine = Some(ByHand::begin(opened, &self.house));
    }

    fn play(mut self) -> Result<Report, Finding> {
        let mut turns = 0;
        while self.books.paid.len() < PAYMENTS {
            turns += 1;
            books::check(turns < TURNS, || {
                format!("no more is paid: {} orders in {turns} turns", self.books.paid.len())
            })?;
            self.turn()?;
        }
        self.calm = true;
        self.settle()?;
        self.close_the_books()?;
        // Once more from what is on the disk.
        self.die()?;
        self.close_the_books()?;
        self.report.paid = self.books.paid.len() as u64;
        Ok(self.report)
    }

    fn turn(&mut self) -> Result<(), Finding> {
        // A machine that has stopped does so for everybody, whether or not somebody has met it yet.
        if self.world.stopped().is_some() && self.dice.below(16) == 0 {
            return self.die();
        }
        match self.dice.below(200) {
            0..80 => self.act(),
            80..120 => self.step(Step::Decide),
            120..130 => self.step(Step::Commit),
            130..159 => self.step(Step::Load),
            159..188 if self.slow_loads && self.dice.below(6) > 0 => self.step(Step::Commit),
            159..188 => self.step(Step::Bring),
            188..192 => {
                let ms = [0, 1, 40, 1_000, 9_000][self.dice.below(5)];
                self.clock.advance(ms);
                Ok(())
            }
            192..197 => self.look_at_a_page(),
            _ if self.dice.below(16) == 0 => self.trouble(),
            _ => Ok(()),
        }
    }

    /// Has the engine do one step, and compares what came of it.
    fn step(&mut self, step: Step) -> Result<(), Finding> {
        let Some(engine) = &mut self.engine else { return Ok(()) };
        match engine.step(step) {
            Ok(true) if step == Step::Commit => {
                self.report.commits += 1;
                self.hear()
            }
            // Nothing was committed, and most often nobody was answered.
            Ok(true) if step == Step::Decide && self.is_answered() => self.hear(),
            Ok(_) => Ok(()),
            Err(gone) => self.lose(gone),
        }
    }

    /// Brings the auditor's books up to what is committed. False if the disk is in the way.
    fn follow(&mut self) -> Result<bool, Finding> {
        if let Some(taken_at) = self.thief.as_ref().map(|thief| thief.seal.no) {
            let newest = self.look(Reader::newest_seal);
            let newest = newest.map_or(0, |no| i64::try_from(no).expect("it fits"));
            books::check(newest <= taken_at, || {
                "an owner committed after another had taken the ledger over".to_owned()
            })?;
        }
        for _ in 0..2 {
            let Some(reader) = self.open_reader()? else { return Ok(false) };
            match self.books.follow(&reader) {
                // A look that failed because a call to the disk did is taken again.
                Err(_) if self.brittle => {}
                done => {
                    self.reader = Some(reader);
                    return done.map(|()| true);
                }
            }
        }
        Ok(false)
    }

    /// A look at what is committed, from outside. `None` if the disk is in the way.
    fn look<T>(&mut self, look: impl FnOnce(&Reader) -> Result<T, koudai_store::StoreError>) -> Option<T> {
        let reader = self.open_reader().ok().flatten()?;
        let seen = look(&reader).ok();
        self.reader = Some(reader);
        seen
    }

    fn open_reader(&mut self) -> Result<Option<Reader>, Finding> {
        if let Some(reader) = self.reader.take() {
            return Ok(Some(reader));
        }
        match self.database.reader() {
            Ok(reader) => Ok(Some(reader)),
            Err(_) if self.brittle => Ok(None),
            Err(error) => Err(format!("the ledger cannot be read: {error:?}")),
        }
    }
}

fn house(cache_bytes: usize, clock: &Clock) -> House {
    House::new(cache_bytes, cast::keys(), Policy::default(), clock.clone())
}

fn database(world: &World) -> Database {
    Database::Simulated(Place::simulated(world.path(FILE), vfs::NAME, vfs::write_again))
}
