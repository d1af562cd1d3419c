//! Why the program ends without having done what it was asked: a sentence for whoever typed it, and an exit code.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use koudai_engine::Failed;

/// Why an engine did not do what was asked, for whoever asked; `refused` words a refusal.
pub(crate) fn in_words<R>(failed: Failed<R>, refused: impl FnOnce(R) -> String) -> String {
    match failed {
        Failed::Refused(refusal) => refused(refusal),
        Failed::Busy => "the server has more work than it can take, or its disk is full".to_owned(),
        Failed::Stopped => "the server is stopping".to_owned(),
    }
}

/// Exit code 1 is a failure; 2 means that what was asked for cannot be, as clap has it for its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    usage: bool,
    text: String,
}

impl Failure {
    /// What was asked for cannot be.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { usage: true, text: text.into() }
    }

    /// It did not work.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { usage: false, text: text.into() }
    }

    /// It did not work, for the reasons `error` carries.
    pub(crate) fn because(doing: impl fmt::Display, error: &dyn Error) -> Self {
        let mut text = format!("{doing}: {error}");
        let mut source = error.source();
        while let Some(error) = source {
            let cause = error.to_string();
            // Many errors repeat their source in their own text.
            if !text.contains(&cause) {
                text.push_str(": ");
                text.push_str(&cause);
            }
            source = error.source();
        }
        Self::new(text)
    }

    /// 2 for `usage`, else 1.
    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(if self.usage { 2 } else { 1 })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Failure {}
