//! Who may open, who may commit, and what a commit leaves: a chain of seals over journals without gaps.

use koudai_core::id::Seq;
use koudai_core::ledger::{AccountId, Journal, Seal, merkle_root};
use koudai_store::{CommitError, DirectoryLock, StoreError, Tuning};

use crate::books::{Books, MERCHANT, Number, PERSON, Receive, START};
use crate::place::Place;

fn receive() -> Receive {
    Receive(AccountId::person(PERSON))
}

#[test]
fn a_directory_has_one_owner_at_a_time() {
    let books = Books::on_files();
    let second = books.place.database().open(Tuning::default());
    let Place::Directory(taken) = &books.place else { panic!("it is on files") };
    assert!(matches!(second, Err(StoreError::Taken { directory }) if directory == taken.path()));
    assert!(matches!(DirectoryLock::take(taken.path()), Err(StoreError::Taken { .. })));
    assert!(books.reopen("").is_ok(), "and is free once the owner has gone");
}

#[test]
fn a_database_of_a_newer_program_is_left_alone() {
    let books = Books::new();
    let newer = match books.place {
        Place::Directory(_) => "PRAGMA user_version = 999",
        Place::Server { .. } => "INSERT INTO version VALUES (999)",
    };
    let refused = books.reopen(newer);
    assert!(matches!(refused, Err(StoreError::TooNew { found: 999, known }) if known < 999));
}

#[test]
fn a_database_of_a_draft_is_left_alone() {
    assert!(matches!(Books::on_files().reopen("PRAGMA user_version = 1"), Err(StoreError::Draft)));
}

#[test]
fn every_owner_has_an_epoch_of_its_own() {
    let mut books = Books::new();
    for epoch in 1..4 {
        assert_eq!(books.opened.epoch, epoch);
        books = books.reopen("").unwrap();
    }
}

#[test]
fn each_commit_is_sealed_over_the_one_before() {
    let mut books = Books::new();
    books.receive(2);
    books.decide(&receive()).unwrap();
    books.decide(&receive()).unwrap();
    books.commit().unwrap();
    books.commit().unwrap();
    let reader = books.reader();
    let seals = reader.seals_after(0, 100).unwrap();
    assert_eq!(seals.len(), 6);
    let mut before = Seal::genesis();
    for (seal, hash) in seals {
        assert_eq!((seal.no, seal.previous), (before.no + 1, before.hash()));
        assert_eq!((seal.first, hash), (Seq(before.last.0 + 1), seal.hash()));
        let count = seal.last.0 - before.last.0;
        let bodies: Vec<_> =
            reader.journals_after(before.last, count).unwrap().iter().map(Journal::encode).collect();
        assert_eq!(seal.root, merkle_root(&bodies));
        before = seal;
    }
    assert_eq!(before.last, Seq(6));
    assert_eq!(&before, &books.seal);
    assert_eq!((before.first, before.last), (Seq(7), Seq(6)), "the last commit had no journal");
}

#[test]
fn what_was_decided_together_is_committed_together() {
    let mut books = Books::new();
    books.decide(&receive()).unwrap();
    books.decide(&Receive(AccountId::merchant(MERCHANT))).unwrap();
    let reader = books.reader();
    assert_eq!(reader.journals_after(Seq(0), 10).unwrap(), [], "nothing is there before the commit");
    books.commit().unwrap();
    assert_eq!(reader.journals_after(Seq(0), 10).unwrap().len(), 2);
    assert_eq!(books.state.journals, []);
    let both = [AccountId::person(PERSON), AccountId::merchant(MERCHANT)];
    for account in both {
        assert_eq!(books.read(|r| r.balance(account)).unwrap().unwrap().credits_minor, 100);
    }
}

#[test]
fn reopening_goes_on_where_the_last_owner_stopped() {
    let mut books = Books::new();
    books.receive(1);
    let seal = books.seal.clone();
    let mut books = books.reopen("").unwrap();
    assert_eq!(books.opened.seal, seal);
    assert_eq!((books.state.head, books.opened.last_at), (Seq(2), START));
    assert_eq!(books.decide(&receive()).unwrap(), Seq(3));
    books.commit().unwrap();
    let next = &books.seal;
    assert_eq!((next.no, next.previous, next.epoch), (seal.no + 1, seal.hash(), 2));
    let person = AccountId::person(PERSON);
    let history = books.read(|r| r.history(person, None, 10)).unwrap();
    assert_eq!(history.iter().map(|j| j.seq.0).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(history[0].line(person).unwrap().previous, Seq(1));
}

#[test]
fn no_id_is_given_out_again_though_the_clock_stood_still() {
    // The first owner gave out an id in a commit without any journal; the second opens at the very same moment.
    let mut books = Books::new();
    let first = books.decide(&Number).unwrap();
    books.commit().unwrap();
    let mut books = books.reopen("").unwrap();
    assert_eq!(books.opened.last_at, START);
    assert!(books.decide(&Number).unwrap() > first);
}

/// Expects a commit to fail for certain and to leave nothing.
fn nothing_is_committed(books: &mut Books) {
    let reader = books.reader();
    let person = AccountId::person(PERSON);
    let stand = |books: &Books| {
        let balance = books.read(|r| r.balance(person)).expect("it is there");
        (balance, reader.seals_after(0, 10).expect("it is there").len())
    };
    let before = stand(books);
    books.decide(&receive()).expect("it is there");
    assert!(matches!(books.commit(), Err(CommitError::NotCommitted(_))));
    assert_eq!(stand(books), before);
    assert_eq!(reader.journals_after(Seq(2), 10).expect("it is there"), []);
}

#[test]
fn an_owner_whose_epoch_is_over_commits_nothing() {
    let mut books = Books::new();
    books.receive(1);
    books.meddle("UPDATE lease SET epoch = epoch + 1");
    nothing_is_committed(&mut books);
}

#[test]
fn nothing_is_committed_on_a_chain_that_is_not_ours() {
    let mut books = Books::new();
    books.receive(1);
    books.meddle("UPDATE seal SET hash = zeroblob(32) WHERE no = 2");
    nothing_is_committed(&mut books);
}

#[test]
fn nothing_is_committed_over_another_owners_seal() {
    let mut books = Books::new();
    books.receive(1);
    books.meddle(
        "INSERT INTO seal SELECT partition, no + 1, previous, epoch, last_seq + 1, last_seq, root, hash
         FROM seal WHERE no = 2",
    );
    nothing_is_committed(&mut books);
}

#[test]
fn readers_never_turn_the_writer_away() {
    // A reader that meets a header of the log being written looks again under the writer's own lock, for a moment.
    let mut books = Books::new();
    let (readers, done) = (books.opened.readers.clone(), std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    readers.with(koudai_store::Reader::newest_seal).expect("it is read");
                }
            });
        }
        let failed = (0..1_500).find_map(|_| {
            books.decide(&receive()).expect("rows load");
            books.commit().err()
        });
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(failed.is_none(), "{failed:?}");
    });
}
