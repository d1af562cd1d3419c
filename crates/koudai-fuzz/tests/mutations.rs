//! Every target on its corpus, and on a few thousand mutations of it from a fixed seed.

#![expect(clippy::unwrap_used, reason = "helpers of tests, where a panic is the report")]

use koudai_fuzz::{Mutator, Target, targets};

/// Mutations of each target: a few seconds for all of them together.
const MUTATIONS: usize = 10_000;
/// For targets that sign each input, which takes as long as thousands of reads.
const FEWER: usize = 1_000;
/// The most that a corpus may hold, in files and bytes each: it is a start and not a collection.
const FILES: usize = 24;
const BYTES: usize = 4_096;

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(target.corpus()).unwrap_or_else(|e| panic!("{}: {e}", target.name));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn every_target_survives_its_corpus_and_what_a_seed_makes_of_it() {
    let threads: Vec<_> = targets()
        .into_iter()
        .map(|target| {
            std::thread::spawn(move || {
                let corpus = corpus(&target);
                for input in &corpus {
                    (target.run)(input);
                }
                let slow = ["notification", "ciphers"].contains(&target.name);
                let mut mutator = Mutator::seeded(20_261_125);
                for number in 0..if slow { FEWER } else { MUTATIONS } {
                    let input = mutator.next(&corpus);
                    let outcome = std::panic::catch_unwind(|| (target.run)(&input));
                    assert!(
                        outcome.is_ok(),
                        "{} {number}: {:?}",
                        target.name,
                        String::from_utf8_lossy(&input)
                    );
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
}

#[test]
fn every_target_has_a_small_corpus_and_every_corpus_a_target() {
    let names: std::collections::BTreeSet<_> = targets().into_iter().map(|target| target.name).collect();
    assert_eq!(names.len(), targets().len(), "no name twice");
    for target in targets() {
        let corpus = corpus(&target);
        assert!((1..=FILES).contains(&corpus.len()), "{}: {} files", target.name, corpus.len());
        assert!(corpus.iter().all(|input| input.len() <= BYTES), "{}: a file is too large", target.name);
    }
    let folders = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus")).unwrap();
    for folder in folders {
        let name = folder.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(name.as_str()), "{name} has no target");
    }
}

#[test]
fn the_corpus_of_a_request_body_holds_one_that_is_accepted() {
    for (name, accepts) in koudai_web::gateway::fuzzing::ACCEPTS {
        let target = Target::named(name).unwrap();
        assert!(corpus(&target).iter().any(|body| accepts(body)), "{name}");
    }
}
