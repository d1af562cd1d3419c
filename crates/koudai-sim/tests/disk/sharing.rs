//! Connections beside each other, and worlds beside each other.

use koudai_sim::vfs::{Call, NAME, World};
use rusqlite::{Connection, ErrorCode, OpenFlags};

fn with_table(world: &World) -> Connection {
    let connection = world.connect("shared.db").expect("it works");
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (n INTEGER)")
        .expect("it works");
    connection
}

fn count(connection: &Connection) -> i64 {
    connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).expect("it works")
}

/// Whether it could not be done, how many frames there were, and how many are copied.
fn checkpoint(connection: &Connection, how: &str) -> (i64, i64, i64) {
    let sql = format!("PRAGMA wal_checkpoint({how})");
    connection.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("it works")
}

#[test]
fn a_reader_keeps_its_view_beside_the_writer() {
    let world = World::new();
    let writer = with_table(&world);
    writer.execute_batch("INSERT INTO t VALUES (1)").unwrap();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let path = world.path("shared.db");
    let reader = Connection::open_with_flags_and_vfs(path, flags, NAME).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(count(&reader), 1);
    writer.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (2), (3)").unwrap();
    assert_eq!((count(&writer), count(&reader)), (3, 1));
    writer.execute_batch("COMMIT").unwrap();
    assert_eq!(count(&reader), 1);
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(count(&reader), 3);
}

#[test]
fn a_log_is_cut_when_no_reader_needs_it() {
    let world = World::new();
    let writer = with_table(&world);
    let reader = world.connect("shared.db").unwrap();
    reader.execute_batch("BEGIN").unwrap();
    assert_eq!(count(&reader), 0);
    writer.execute_batch("INSERT INTO t VALUES (1)").unwrap();
    writer.busy_timeout(std::time::Duration::ZERO).unwrap();
    assert_eq!(checkpoint(&writer, "TRUNCATE").0, 1, "a reader is in the way");
    assert!(world.size("shared.db-wal").unwrap() > 0);
    reader.execute_batch("COMMIT").unwrap();
    assert_eq!(checkpoint(&writer, "TRUNCATE"), (0, 0, 0));
    assert_eq!(world.size("shared.db-wal"), Some(0));
    assert_eq!((count(&writer), count(&reader)), (1, 1));
}

#[test]
fn there_is_one_writer_at_a_time() {
    let world = World::new();
    let first = with_table(&world);
    let second = world.connect("shared.db").unwrap();
    first.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = second.execute_batch("BEGIN IMMEDIATE").unwrap_err();
    assert_eq!(refused.sqlite_error_code(), Some(ErrorCode::DatabaseBusy));
    first.execute_batch("COMMIT").unwrap();
    second.execute_batch("BEGIN IMMEDIATE; COMMIT").unwrap();
}

#[test]
fn the_last_connection_folds_and_takes_the_log_away() {
    let world = World::new();
    let (first, second) = (with_table(&world), world.connect("shared.db").unwrap());
    first.execute_batch("INSERT INTO t VALUES (1)").unwrap();
    drop(first);
    assert_eq!(count(&second), 1);
    drop(second);
    assert_eq!(world.size("shared.db-wal"), None);
    assert_eq!(count(&world.connect("shared.db").unwrap()), 1);
}

#[test]
fn a_rollback_journal_works_too() {
    let world = World::new();
    let (first, second) = (world.connect("old.db").unwrap(), world.connect("old.db").unwrap());
    for connection in [&first, &second] {
        connection.busy_timeout(std::time::Duration::ZERO).unwrap();
    }
    first.execute_batch("CREATE TABLE t (n INTEGER); BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").unwrap();
    second.execute_batch("BEGIN").unwrap();
    assert_eq!(count(&second), 0);
    let refused = first.execute_batch("COMMIT").unwrap_err();
    assert_eq!(refused.sqlite_error_code(), Some(ErrorCode::DatabaseBusy), "a reader is in the way");
    second.execute_batch("COMMIT").unwrap();
    first.execute_batch("COMMIT").unwrap();
    assert_eq!(count(&second), 1);
}

#[test]
fn a_sort_that_outgrows_its_memory_asks_nothing_of_the_disk() {
    let world = World::new();
    let connection = with_table(&world);
    connection.execute_batch("PRAGMA cache_size = 10; PRAGMA temp_store = FILE").unwrap();
    let before = world.calls(Some(Call::Write));
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
               SELECT i FROM n ORDER BY hex(i * 7919 % 20000) || hex(zeroblob(100)), i";
    let mut statement = connection.prepare(sql).unwrap();
    let sorted: Vec<i64> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(sorted.len(), 20_000);
    assert_eq!(world.calls(Some(Call::Write)), before);
}

#[test]
fn worlds_know_nothing_of_each_other() {
    let alone = |world: &World| {
        let connection = with_table(world);
        for _ in 0..20 {
            connection.execute_batch("INSERT INTO t VALUES (1)").unwrap();
        }
        checkpoint(&connection, "TRUNCATE");
        assert_eq!(count(&connection), 20);
        world.calls(None)
    };
    let calls = alone(&World::new());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert_eq!(alone(&World::new()), calls);
                }
            });
        }
    });
}

#[test]
fn a_writer_and_readers_on_threads_of_their_own_see_whole_transactions() {
    let world = World::new();
    let writer = with_table(&world);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let reader = world.connect("shared.db").unwrap();
                reader.busy_timeout(std::time::Duration::from_mins(10)).unwrap();
                let mut seen = 0;
                while seen < 200 {
                    let now = count(&reader);
                    assert!(now >= seen && now % 2 == 0, "{seen} and then {now}");
                    seen = now;
                }
            });
        }
        writer.busy_timeout(std::time::Duration::from_mins(10)).unwrap();
        for n in 1..=100 {
            writer.execute_batch("INSERT INTO t VALUES (1), (2)").unwrap();
            if n % 10 == 0 {
                checkpoint(&writer, "PASSIVE");
            }
        }
    });
}
