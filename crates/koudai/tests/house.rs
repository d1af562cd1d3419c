//! The shape of the house, kept by a test: which crate may use which, what each may not know, and what every file owes its
//! reader.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The crates that are programs.
const PROGRAMS: [&str; 3] = ["koudai", "koudai-fuzz", "koudai-sim"];

/// Which crates of ours a crate may use (ARCHITECTURE.md).
const ARROWS: [(&str, &[&str]); 10] = [
    ("koudai-core", &[]),
    ("koudai-store", &["koudai-core"]),
    ("koudai-engine", &["koudai-core", "koudai-store"]),
    ("koudai-sim", &["koudai-core", "koudai-store", "koudai-engine"]),
    ("koudai-fuzz", &["koudai-core", "koudai-wechatpay", "koudai-networks", "koudai-web"]),
    ("koudai-wechatpay", &[]),
    ("koudai-passkeys", &[]),
    ("koudai-networks", &["koudai-core", "koudai-store", "koudai-engine", "koudai-wechatpay"]),
    (
        "koudai-web",
        &[
            "koudai-core",
            "koudai-store",
            "koudai-engine",
            "koudai-wechatpay",
            "koudai-networks",
            "koudai-passkeys",
        ],
    ),
    (
        "koudai",
        &[
            "koudai-core",
            "koudai-store",
            "koudai-engine",
            "koudai-wechatpay",
            "koudai-networks",
            "koudai-web",
        ],
    ),
];

/// A file longer than this holds a second idea; a test file may hold a few more cases of the same one.
const LINES: usize = 900;
const TEST_LINES: usize = 1_000;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace is there")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every file below a directory, without what is built, fetched or hidden.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut all = vec![];
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for entry in entries {
        let path = entry.expect("a readable directory").path();
        let name = path.file_name().expect("an entry has a name").to_string_lossy().into_owned();
        if name.starts_with('.') || name == "target" || name == "node_modules" {
            continue;
        }
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

fn rust_files(below: &str) -> Vec<PathBuf> {
    let mut all = files(&root().join(below));
    all.retain(|path| path.extension().is_some_and(|e| e == "rs"));
    assert!(!all.is_empty(), "{below} has no Rust files");
    all
}

/// A source without its comments and without its unit tests, which stand at its end.
fn code(path: &Path) -> String {
    let text = read(path);
    let shipped = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let bare = |line: &str| match line.find("//") {
        // `//` after a colon is part of an address, not the start of a comment.
        Some(at) if !line[..at].ends_with(':') => line[..at].to_owned(),
        _ => line.to_owned(),
    };
    shipped.lines().map(|line| bare(line) + "\n").collect()
}

/// Expects words to be absent from the code of every file of a crate's sources.
fn without(crates: &[&str], words: &[&str]) {
    for name in crates {
        for path in rust_files(&format!("crates/{name}/src")) {
            let code = code(&path);
            for word in words {
                let found = code.lines().find(|line| line.contains(word));
                assert!(found.is_none(), "{} uses {word}: {}", path.display(), found.unwrap_or_default());
            }
        }
    }
}

/// The crates of ours that a manifest names as dependencies, by section.
fn ours(manifest: &str) -> Vec<(String, String)> {
    let mut section = String::new();
    let mut all = vec![];
    for line in manifest.lines() {
        if line.starts_with('[') {
            line.trim_matches(['[', ']']).clone_into(&mut section);
        } else if section.ends_with("dependencies") && line.starts_with("koudai") {
            let name = line.split(['.', ' ', '=']).next().expect("a split has a first part");
            all.push((section.clone(), name.to_owned()));
        }
    }
    all
}

#[test]
fn crates_use_each_other_along_the_arrows_only() {
    let arrows = BTreeMap::from(ARROWS);
    let mut crates = vec![];
    for entry in fs::read_dir(root().join("crates")).unwrap() {
        crates.push(entry.unwrap().file_name().into_string().unwrap());
    }
    crates.sort();
    assert_eq!(crates, arrows.keys().copied().collect::<Vec<_>>(), "a new crate needs its arrows here");
    for name in crates {
        let manifest = read(&root().join("crates").join(&name).join("Cargo.toml"));
        for (section, used) in ours(&manifest) {
            // A test may look at a crate from above; what is shipped may not.
            let allowed = section == "dev-dependencies" || arrows[name.as_str()].contains(&used.as_str());
            assert!(allowed, "{name} may not use {used}");
        }
    }
}

#[test]
fn the_core_does_nothing_but_decide() {
    let words = [
        "std::fs",
        "std::net",
        "std::thread",
        "std::env",
        "tokio",
        "rusqlite",
        "axum",
        "reqwest",
        "SystemTime",
        "Instant",
        "async fn",
        ".await",
        "rand::",
        "getrandom",
        "tracing",
    ];
    without(&["koudai-core"], &words);
    let manifest = read(&root().join("crates/koudai-core/Cargo.toml"));
    for word in ["tokio", "rusqlite", "axum", "reqwest", "rand", "serde"] {
        assert!(!manifest.lines().any(|line| line.starts_with(word)), "koudai-core depends on {word}");
    }
}

#[test]
fn the_core_knows_neither_sql_nor_http_nor_wechat() {
    // A comment may say which document a rule comes from; the code may not know.
    without(
        &["koudai-core"],
        &["SELECT ", "INSERT INTO", "http", "Http", "HTTP", "WeChat", "wechat", "Wechat", "微信"],
    );
}

#[test]
fn the_faces_never_import_each_other() {
    let faces = ["wallet", "gateway", "issuing", "console"];
    let web = root().join("crates/koudai-web/src");
    for face in faces {
        if !web.join(face).is_dir() && !web.join(face).with_extension("rs").is_file() {
            continue;
        }
        let mut own = if web.join(face).is_dir() { files(&web.join(face)) } else { vec![] };
        own.extend(Some(web.join(face).with_extension("rs")).filter(|path| path.is_file()));
        for path in own {
            let code = code(&path);
            for other in faces.into_iter().filter(|other| *other != face) {
                for word in [format!("crate::{other}"), format!("super::{other}"), format!("{{{other}::")] {
                    assert!(!code.contains(&word), "{} imports {other}", path.display());
                }
            }
        }
    }
}

#[test]
fn no_float_comes_near_money() {
    without(&["koudai-core", "koudai-store", "koudai-engine"], &["f32", "f64"]);
}

#[test]
fn only_the_program_prints() {
    let libraries: Vec<&str> =
        ARROWS.map(|(name, _)| name).into_iter().filter(|name| !PROGRAMS.contains(name)).collect();
    without(&libraries, &["print!(", "println!(", "eprint!(", "eprintln!(", "dbg!("]);
    without(&PROGRAMS, &["dbg!("]);
}

#[test]
fn only_the_engines_clock_and_the_sandbox_read_the_time() {
    for (name, _) in ARROWS {
        for path in rust_files(&format!("crates/{name}/src")) {
            let place = path.to_string_lossy().into_owned();
            let may = place.ends_with("koudai-engine/src/clock.rs") || place.contains("sandbox");
            let reads = code(&path).lines().any(|line| line.contains("SystemTime::now()"));
            assert!(
                may || !reads || code(&path).contains("clippy::disallowed_methods"),
                "{place} reads the clock"
            );
        }
    }
}

#[test]
fn every_crate_says_what_it_must_never_do() {
    for (name, _) in ARROWS {
        let source = root().join("crates").join(name).join("src");
        let main = if name == "koudai" { source.join("main.rs") } else { source.join("lib.rs") };
        let text = read(&main);
        let opening: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        assert!(opening.contains("What it must never do"), "{} does not say it", main.display());
    }
}

#[test]
fn every_source_opens_with_what_it_is_and_holds_one_idea() {
    for path in rust_files("crates") {
        let text = read(&path);
        assert!(text.starts_with("//! "), "{} does not say what it is", path.display());
        let test = path.components().any(|part| part.as_os_str() == "tests");
        let most = if test { TEST_LINES } else { LINES };
        let lines = text.lines().count();
        assert!(lines <= most, "{} has {lines} lines: look for the second idea inside", path.display());
    }
}

/// A column: its name, its type in PostgreSQL's words, and whether it may be NULL.
type Declared = (String, String, bool);

/// The column that a line of a script declares.
fn declared(line: &str) -> Declared {
    let mut words = line.split_whitespace();
    let mut word = || words.next().expect("a column has a name and a type").trim_end_matches(',');
    let name = word().to_owned();
    let kind = match word() {
        "INTEGER" => "BIGINT",
        "BLOB" => "BYTEA",
        kind => kind,
    };
    (name, kind.to_owned(), !line.contains(" NOT NULL"))
}

/// The tables that the scripts of a database make, each with its columns.
fn tables(scripts: &[PathBuf]) -> BTreeMap<String, Vec<Declared>> {
    let mut all = BTreeMap::new();
    for script in scripts {
        let mut table: Option<(String, Vec<Declared>)> = None;
        for line in read(script).lines() {
            if let Some((name, column)) =
                line.strip_prefix("ALTER TABLE ").and_then(|l| l.split_once(" ADD COLUMN "))
            {
                let columns: &mut Vec<Declared> = all.get_mut(name).expect("a table that was made before");
                columns.push(declared(column.trim_start_matches("IF NOT EXISTS ").trim_end_matches(';')));
            } else if let Some((made, name)) =
                line.strip_prefix("ALTER TABLE ").and_then(|l| l.split_once(" RENAME TO "))
            {
                // Made anew, which is how SQLite changes what a column may hold.
                let columns = all.remove(made).expect("a table that was made before");
                all.insert(name.trim_end_matches(';').to_owned(), columns).expect("it takes another's place");
            } else if let Some(rest) = line.strip_prefix("CREATE TABLE ") {
                let name = rest.trim_start_matches("IF NOT EXISTS ").trim_end_matches(" (");
                table = Some((name.to_owned(), vec![]));
            } else if line.starts_with(')') {
                let (name, columns) = table.take().expect("what ends has begun");
                assert!(all.insert(name.clone(), columns).is_none(), "{name} is made twice");
            } else if let (Some((_, columns)), false) = (&mut table, line.contains("PRIMARY KEY (")) {
                columns.push(declared(line));
            }
        }
    }
    all
}

#[test]
fn migrations_come_in_pairs_are_numbered_without_gaps_and_each_is_run() {
    let store = root().join("crates/koudai-store");
    let scripts = |database: &str, runner: &str| {
        let module = read(&store.join("src").join(database).join(runner));
        let all = files(&store.join("migrations").join(database));
        for (number, path) in (1..).zip(&all) {
            let name = path.file_name().unwrap().to_string_lossy();
            assert!(name.starts_with(&format!("{number:04}_")) && name.ends_with(".sql"), "{name}");
            assert!(module.contains(&format!("migrations/{database}/{name}")), "{name} is never run");
        }
        assert!(!all.is_empty());
        all
    };
    let (sqlite, postgres) = (scripts("sqlite", "mod.rs"), scripts("postgres", "migrations.rs"));
    let names = |all: &[PathBuf]| all.iter().map(|p| p.file_name().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&sqlite), names(&postgres));
    let (here, mut there) = (tables(&sqlite), tables(&postgres));
    assert!(there.remove("version").is_some(), "where SQLite has its user_version");
    assert_eq!(here.keys().collect::<Vec<_>>(), there.keys().collect::<Vec<_>>());
    for (table, columns) in here {
        assert!(columns.len() > 1, "{table} has columns");
        assert_eq!(columns, there[&table], "table {table}");
    }
}

#[test]
fn postgresql_is_asked_for_nothing_a_cluster_lacks() {
    let store = root().join("crates/koudai-store");
    let words = [
        "SERIAL",
        "SEQUENCE",
        "IDENTITY",
        "TRIGGER",
        "PLPGSQL",
        "SAVEPOINT",
        "ADVISORY",
        "LISTEN ",
        "NOTIFY ",
        "REFERENCES",
        "DEFERRABLE",
        "EXCLUDE USING",
        "TEMPORARY",
        "PREPARE TRANSACTION",
        "SKIP LOCKED",
        "FOR UPDATE",
    ];
    for path in [files(&store.join("src/postgres")), files(&store.join("migrations/postgres"))].concat() {
        let text = if path.extension().is_some_and(|e| e == "rs") { code(&path) } else { read(&path) };
        for word in words {
            assert!(!text.contains(word), "{} uses {word}", path.display());
        }
    }
}

#[test]
fn the_papers_are_there() {
    for name in ["README.md", "README.zh.md", "ARCHITECTURE.md", "CHANGELOG.md", "LICENSE"] {
        assert!(read(&root().join(name)).len() > 200, "{name}");
    }
}

#[test]
fn nothing_refers_to_files_outside_the_repository() {
    // Written in two halves, so that this file does not find itself.
    let outside = [["../", "shared"].concat(), ["/work", "/"].concat()];
    for path in files(&root()) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for word in &outside {
            let line = text.lines().find(|line| line.contains(word));
            assert!(line.is_none(), "{} refers to {word}: {}", path.display(), line.unwrap_or_default());
        }
    }
}
