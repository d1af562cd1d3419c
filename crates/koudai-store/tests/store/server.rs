//! What only a server can do to a ledger: hand it to a second owner, lose a connection, fail at COMMIT. These run when there
//! is a server to test on.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use koudai_core::id::Seq;
use koudai_core::ledger::AccountId;
use koudai_store::{CommitError, Reader, StoreError, Tuning};

use crate::books::{Books, PERSON, Receive};

fn receive() -> Receive {
    Receive(AccountId::person(PERSON))
}

fn journals(books: &Books) -> usize {
    books.reader().journals_after(Seq(0), 100).expect("it is read").len()
}

/// Makes every journal that is inserted run some PL/pgSQL, now or at COMMIT.
fn on_journals(books: &Books, when: &str, run: &str) {
    books.meddle(&format!(
        "CREATE OR REPLACE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {run}; RETURN NULL; END $$;
         DROP TRIGGER IF EXISTS meddle ON journal;
         CREATE CONSTRAINT TRIGGER meddle AFTER INSERT ON journal DEFERRABLE INITIALLY {when}
         FOR EACH ROW EXECUTE FUNCTION meddle()"
    ));
}

/// Ends the sessions of a name in this database; other tests have theirs beside it.
fn ending(name: &str) -> String {
    format!(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = '{name}'"
    )
}

#[test]
fn a_second_owner_takes_over_and_the_first_commits_nothing_more() {
    let Some(mut books) = Books::on_server() else { return };
    books.receive(1);
    books.decide(&receive()).unwrap();
    let second = books.place.database().open(Tuning::default()).unwrap();
    assert_eq!((second.epoch, &second.seal), (2, &books.seal));
    assert!(books.commit().is_err());
    assert_eq!(journals(&books), 2);
}

#[test]
fn of_two_who_saw_the_ledger_free_one_becomes_its_owner_and_stays_it() {
    let Some(books) = Books::on_server() else { return };
    let database = books.place.database();
    let watch = database.watch().unwrap().unwrap();
    books.meddle(&ending("koudai owner"));
    let seen = watch.look().unwrap().unwrap();
    assert!(!seen.present);
    let mut first = database.open_as_seen(seen.epoch, Tuning::default()).unwrap();
    let second = database.open_as_seen(seen.epoch, Tuning::default());
    assert!(matches!(second, Err(StoreError::Owned)), "{:?}", second.map(|opened| opened.epoch));
    first.committer.beat(first.epoch).expect("the first has its session and its lease");
    assert!(watch.look().unwrap().unwrap().present);
}

#[test]
fn nobody_takes_a_ledger_that_somebody_made_since_it_was_seen() {
    let Some(books) = Books::on_server() else { return };
    let database = books.place.database();
    assert!(matches!(database.open_as_seen(0, Tuning::default()), Err(StoreError::Owned)));
    assert_eq!(database.open_as_seen(1, Tuning::default()).unwrap().epoch, 2);
}

#[test]
fn an_owner_that_stopped_in_the_middle_of_a_transaction_is_ended() {
    let Some(books) = Books::on_server() else { return };
    let mut stopped = Command::new("psql")
        .args(["-X", "-q", "-A", "-t", "-d", &books.place.url()])
        .env("PGAPPNAME", "koudai owner")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("psql is installed");
    let mut input = stopped.stdin.take().unwrap();
    input.write_all(b"BEGIN; SELECT epoch FROM lease FOR SHARE;\n").unwrap();
    let mut line = String::new();
    BufReader::new(stopped.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "1\n", "it holds the lease");
    let began = Instant::now();
    assert_eq!(books.reopen("").unwrap().opened.epoch, 2);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(input);
    stopped.wait().unwrap();
}

#[test]
fn a_server_that_ends_the_session_before_a_batch_has_committed_none_of_it() {
    let Some(mut books) = Books::on_server() else { return };
    books.receive(1);
    books.meddle(&ending("koudai owner"));
    books.decide(&receive()).unwrap();
    match books.commit() {
        Err(CommitError::NotCommitted(error) | CommitError::Unknown(error)) => assert!(!error.is_passing()),
        Ok(()) => panic!("it cannot have committed"),
    }
    assert_eq!(journals(&books), 2);
}

#[test]
fn an_error_at_commit_leaves_it_unknown() {
    for run in ["RAISE EXCEPTION 'no'", "PERFORM pg_terminate_backend(pg_backend_pid())"] {
        let Some(mut books) = Books::on_server() else { return };
        books.receive(1);
        on_journals(&books, "DEFERRED", run);
        books.decide(&receive()).unwrap();
        let ended = books.commit();
        assert!(matches!(ended, Err(CommitError::Unknown(_))), "{ended:?}");
        assert_eq!(journals(&books), 2);
    }
}

#[test]
fn a_commit_with_a_warning_is_unknown_whatever_became_of_it() {
    let Some(mut books) = Books::on_server() else { return };
    on_journals(&books, "DEFERRED", "RAISE WARNING 'hm'");
    books.decide(&receive()).unwrap();
    let ended = books.commit();
    assert!(matches!(ended, Err(CommitError::Unknown(StoreError::Warned { .. }))), "{ended:?}");
    assert_eq!(journals(&books), 1);
}

#[test]
fn a_batch_that_gave_way_or_found_no_room_is_done_again_on_the_same_session() {
    let Some(mut books) = Books::on_server() else { return };
    books.decide(&receive()).unwrap();
    let commit = koudai_store::Commit::after(&books.seal, books.opened.epoch, books.state.close());
    for (code, passing) in [("40001", true), ("40P01", true), ("53100", true), ("23514", false)] {
        on_journals(&books, "IMMEDIATE", &format!("RAISE EXCEPTION 'no' USING ERRCODE = '{code}'"));
        match books.opened.committer.commit(&commit) {
            Err(CommitError::NotCommitted(error)) => assert_eq!(error.is_passing(), passing, "{code}"),
            other => panic!("{code}: {other:?}"),
        }
        assert_eq!(journals(&books), 0);
    }
    books.meddle("DROP TRIGGER meddle ON journal");
    books.opened.committer.commit(&commit).unwrap();
    assert_eq!(journals(&books), 1);
}

#[test]
fn readers_that_were_lost_are_replaced() {
    let Some(mut books) = Books::on_server() else { return };
    books.receive(1);
    let count = |books: &Books| books.read(|r| Ok(r.journals_after(Seq(0), 10)?.len()));
    assert_eq!(count(&books).unwrap(), 2);
    books.meddle(&ending("koudai reader"));
    let _may_fail_once = count(&books);
    assert_eq!(count(&books).unwrap(), 2);
}

#[test]
fn durability_is_what_the_server_says_it_is() {
    let Some(books) = Books::on_server() else { return };
    let on = |name: &str| (name.to_owned(), "on".to_owned());
    let durability = books.read(Reader::durability).unwrap();
    assert_eq!(durability, [on("fsync"), on("full_page_writes"), on("synchronous_commit")]);
}

#[test]
fn an_opening_that_was_cut_short_goes_on_at_the_next() {
    let Some(books) = Books::on_server() else { return };
    // As if it had ended before its last tables and before it said that the script had run.
    let mut books = books
        .reopen("DELETE FROM version; DROP TABLE staff, notice_retry, derived; DELETE FROM seal")
        .unwrap();
    assert_eq!(books.opened.epoch, 2);
    books.receive(1);
    assert_eq!(journals(&books), 2);
}

#[test]
fn a_text_that_is_none_of_ours_is_damage() {
    let Some(books) = Books::on_server() else { return };
    books.meddle(r"INSERT INTO app VALUES ('wx1', 1900000001, NULL), (E'\U0010FFFFx', 1900000001, NULL)");
    let all = books.reader().all::<koudai_core::rows::App>();
    assert!(matches!(all, Err(StoreError::Corrupt { table: "app", .. })), "{all:?}");
}

#[test]
fn an_error_of_the_servers_says_what_it_was_and_no_row() {
    let Some(mut books) = Books::on_server() else { return };
    books.meddle("ALTER TABLE journal ADD CONSTRAINT none CHECK (seq > 1000)");
    books.decide(&receive()).unwrap();
    let Err(CommitError::NotCommitted(error)) = books.commit() else { panic!("it cannot commit") };
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("23514") && source.contains("journal"), "{source}");
    assert!(!format!("{source} {error:?}").contains("Failing row"), "{error:?}");
}

/// Commits on and on until that fails; the books as they were last answered, and the failure.
fn commit_until_it_fails(mut books: Books) -> (Books, CommitError) {
    loop {
        books.decide(&receive()).expect("rows load");
        if let Err(error) = books.commit() {
            return (books, error);
        }
    }
}

#[test]
fn whoever_takes_over_under_load_sees_every_commit_that_was_answered_and_at_most_one_more() {
    for wait_ms in [20, 50, 90] {
        let Some(books) = Books::on_server() else { return };
        let database = books.place.database();
        let owner = std::thread::spawn(move || commit_until_it_fails(books));
        std::thread::sleep(Duration::from_millis(wait_ms));
        let second = database.open(Tuning::default()).unwrap();
        let (books, _) = owner.join().unwrap();
        let unanswered = second.seal.no - books.seal.no;
        assert!((0..=1).contains(&unanswered), "{unanswered}");
        assert_eq!(database.reader().unwrap().newest_seal().unwrap(), second.seal.no.unsigned_abs());
    }
}

#[test]
fn an_epoch_that_rises_under_load_stops_the_owner_and_nothing_follows() {
    for wait_ms in [20, 50, 90] {
        let Some(books) = Books::on_server() else { return };
        let (url, database) = (books.place.url(), books.place.database());
        let owner = std::thread::spawn(move || commit_until_it_fails(books));
        std::thread::sleep(Duration::from_millis(wait_ms));
        // The number of the newest seal is read after the epoch is durable, on the same session.
        let raise = "UPDATE lease SET epoch = epoch + 1";
        let newest = "SELECT max(no) FROM seal";
        let asked = Command::new("psql")
            .args(["-X", "-q", "-A", "-t", "-d", &url, "-c", raise, "-c", newest])
            .output()
            .unwrap();
        let (books, error) = owner.join().unwrap();
        assert!(
            matches!(error, CommitError::NotCommitted(_)),
            "the session lives, so it is certain: {error:?}"
        );
        assert_eq!(String::from_utf8(asked.stdout).unwrap().trim(), books.seal.no.to_string());
        assert_eq!(database.reader().unwrap().newest_seal().unwrap(), books.seal.no.unsigned_abs());
    }
}
