//! One session with a server: its settings, its prepared statements, and what the server warned of.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::task::{Poll, ready};

use koudai_core::secret::Secret;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::error::Severity;
use tokio_postgres::tls::NoTlsStream;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Error, NoTls, Row, Socket, Statement};

use super::address;
use super::waiting::{wait, wires};
use crate::error::StoreError;

/// What a session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Takes the lease and commits.
    Owner,
    /// Loads for decisions, or reads for pages: by key.
    Reader,
    /// Reads whole tables, for the checks.
    Outside,
    /// Looks whether there is an owner.
    Watch,
}

impl Role {
    /// The name an owner's session has once it is about to take the lease. The next owner looks for it.
    pub(super) const OWNER: &str = "koudai owner";

    const fn name(self) -> &'static str {
        match self {
            Self::Owner => "koudai opening",
            Self::Reader => "koudai reader",
            Self::Outside => "koudai outside reader",
            Self::Watch => "koudai standing by",
        }
    }

    /// The settings of its session, beyond those that all have.
    fn settings(self) -> String {
        match self {
            // An owner that stops in the middle of a transaction must not keep the lease from the next.
            Self::Owner => format!("{BY_KEY}; SET idle_in_transaction_session_timeout = '10s'"),
            Self::Reader => format!("{BY_KEY}; {READ_ONLY}"),
            Self::Outside | Self::Watch => READ_ONLY.to_owned(),
        }
    }
}

/// A plan made while a table was small would still read all of it, once for each key, when it has grown.
const BY_KEY: &str = "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off";

/// A check looks at one view for as long as it computes.
const READ_ONLY: &str =
    "SET default_transaction_read_only = on; SET idle_in_transaction_session_timeout = '10min'";

/// The settings of every session. Statements are planned once: each stands for a thousand keys or for one, and is to use
/// the index either way.
const SETTINGS: &str = "SET synchronous_commit = on; SET default_transaction_isolation = 'read committed'; SET plan_cache_mode = force_generic_plan; SET jit = off;
    SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;
    SET tcp_user_timeout = 20000; SET bytea_output = 'hex'";

/// A session with a server.
pub(super) struct Session {
    client: Client,
    statements: RefCell<HashMap<String, Statement>>,
    warned: Arc<AtomicBool>,
    lost: Arc<AtomicBool>,
}

impl Session {
    pub(super) fn open(url: &Secret<String>, role: Role) -> Result<Self, StoreError> {
        let mut config = address::parse(url)?;
        config.application_name(role.name());
        // Of several servers, the one that takes writes.
        if matches!(role, Role::Owner | Role::Watch) {
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        let wires = wires().map_err(|source| StoreError::File {
            doing: "starting the thread that talks to the server",
            source: source.kind().into(),
        })?;
        let warned = Arc::new(AtomicBool::new(false));
        let lost = Arc::new(AtomicBool::new(false));
        let (warnings, end) = (Arc::clone(&warned), Arc::clone(&lost));
        let (sender, connected) = sync_channel(1);
        wires.spawn(async move {
            let connected = config.connect(NoTls).await;
            let client = connected.map(|(client, connection)| {
                tokio::spawn(async move {
                    serve(connection, warnings).await;
                    end.store(true, Ordering::Release);
                });
                client
            });
            // Whoever asked for it waits for it.
            let _gone = sender.send(client);
        });
        let client = connected.recv().expect("connecting ends with a connection or an error");
        let client = client.map_err(StoreError::postgres("connecting to the server"))?;
        let session = Self { client, statements: RefCell::default(), warned, lost };
        let configure = || session.script(SETTINGS).and_then(|()| session.script(&role.settings()));
        configure().map_err(StoreError::postgres("configuring a session"))?;
        Ok(session)
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// A statement of ours, prepared once. Parameters may be written `?1` as for every database, or `$1`.
    pub(super) fn prepared(&self, sql: &str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let statement = wait(self.client.prepare(&sql.replace('?', "$")))?;
        self.statements.borrow_mut().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    /// The rows a statement gives.
    pub(super) fn query(&self, sql: &str, values: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, Error> {
        let statement = self.prepared(sql)?;
        wait(self.client.query(&statement, values))
    }

    /// Runs statements without parameters.
    pub(super) fn script(&self, sql: &str) -> Result<(), Error> {
        wait(self.client.batch_execute(sql))
    }

    /// Tells from then on that the connection was lost.
    pub(super) fn lost(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.lost)
    }

    /// Whether the connection was lost.
    pub(super) fn is_lost(&self) -> bool {
        self.client.is_closed()
    }

    /// Whether the server has warned of something since the last call.
    pub(super) fn take_warned(&self) -> bool {
        self.warned.swap(false, Ordering::AcqRel)
    }

    /// The settings that a commit's durability rests on, as this session has them.
    pub(super) fn durability(&self) -> Result<Vec<(String, String)>, Error> {
        let sql = "SELECT name, setting FROM pg_settings
                   WHERE name IN ('synchronous_commit', 'fsync', 'full_page_writes') ORDER BY name";
        self.query(sql, &[])?.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
    }

    /// Expects what the ledger cannot do without, and warns of a server that may lose commits.
    pub(super) fn require_safe_settings(&self) -> Result<(), StoreError> {
        let asking = || StoreError::postgres("reading the server's settings");
        let refuse = |what: String| StoreError::Address { what };
        let sql = "SELECT current_setting('server_encoding'), current_setting('synchronous_commit')";
        let rows = self.query(sql, &[]).map_err(asking())?;
        let (encoding, synchronous): (String, String) =
            (rows[0].try_get(0).map_err(asking())?, rows[0].try_get(1).map_err(asking())?);
        if encoding != "UTF8" {
            return Err(refuse(format!("the database's encoding is {encoding} and has to be UTF8")));
        }
        if synchronous != "on" {
            return Err(refuse("the server does not let a session wait for its commits".to_owned()));
        }
        for (name, setting) in self.durability().map_err(asking())? {
            if setting != "on" {
                tracing::error!(name, setting, "the server may lose commits when its machine fails");
            }
        }
        Ok(())
    }
}

/// Serves a connection until it ends.
async fn serve(mut connection: tokio_postgres::Connection<Socket, NoTlsStream>, warned: Arc<AtomicBool>) {
    poll_fn(|context| {
        loop {
            match ready!(connection.poll_message(context)) {
                Some(Ok(AsyncMessage::Notice(notice))) => {
                    let harmless = matches!(
                        notice.parsed_severity(),
                        Some(Severity::Debug | Severity::Info | Severity::Log | Severity::Notice)
                    );
                    if !harmless {
                        warned.store(true, Ordering::Release);
                        let (code, said) = (notice.code().code(), notice.message());
                        tracing::warn!(code, said, "the server warns");
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    let error = StoreError::postgres("talking to the server")(error);
                    tracing::warn!(error = &error as &dyn std::error::Error, "a connection was lost");
                    return Poll::Ready(());
                }
                None => return Poll::Ready(()),
            }
        }
    })
    .await;
}
