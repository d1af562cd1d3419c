//! What a demo and a real server have in common: the engine, the networks, the faces over HTTP, and a quiet end.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use koudai_core::ledger::{ALIPAY_NETWORK, ISSUER_NETWORK, UNIONPAY_NETWORK, WECHAT_NETWORK};
use koudai_core::state::Policy;
use koudai_engine::{Clock, Engine, Settings};
use koudai_networks::alipay::Alipay;
use koudai_networks::issuer::IssuerClient;
use koudai_networks::issuer::client::DEFAULT_TIMEOUT;
use koudai_networks::mail::Mailer;
use koudai_networks::outside::Outside;
use koudai_networks::reconciling::Runs;
use koudai_networks::sms::Sms;
use koudai_networks::unionpay::{self, UnionPay};
use koudai_networks::wechat::WeChat;
use koudai_networks::{Health, Networks, Reach, courier};
use koudai_store::{Database, DirectoryLock, Tuning};
use koudai_web::bills::Bills;
use koudai_web::gateway::limits::{Limiter, Limits};
use koudai_wechatpay::keys::PublicKey;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;
use crate::issuers::Issuer;
use crate::keys::{self, Keys};
use crate::unionpay::Contract;
use crate::{alipay, control, directory, wechat};

/// How long a client may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests under way may take to end once the server stops.
const GRACE: Duration = Duration::from_secs(5);

/// Where a house is and whom it speaks to.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    /// The data directory.
    pub(crate) data: &'a Path,
    /// The public origin, without a slash at its end.
    pub(crate) origin: String,
    /// Where networks reach it with their notices: the origin, or on this machine an address of its own.
    pub(crate) notices_at: String,
    /// Who runs this wallet, as people read it.
    pub(crate) operator: String,
    /// How people reach them, as people read it.
    pub(crate) contact: Option<String>,
    /// The issuer's address.
    pub(crate) issuer_url: String,
    /// What the issuer knows this wallet as.
    pub(crate) issuer_app_id: String,
    /// Checks the issuer's replies.
    pub(crate) issuer_key: PublicKey,
    /// Issuers beside the first.
    pub(crate) more_issuers: Vec<Issuer>,
    /// What the first issuer's cards begin with; what no other network's cards begin with if there are none.
    pub(crate) issuer_bins: Vec<String>,
    /// The contract with UnionPay, if there is one.
    pub(crate) unionpay: Option<Contract>,
    /// The contract with WeChat Pay, if there is one.
    pub(crate) wechat: Option<wechat::Contract>,
    /// The contract with Alipay, if there is one.
    pub(crate) alipay: Option<alipay::Contract>,
    /// The way messages to phones go.
    pub(crate) sms: Sms,
    /// The way mail goes, if there is one.
    pub(crate) mail: Option<Mailer>,
    /// Where notifications may go.
    pub(crate) reach: Reach,
    /// How often merchants may ask.
    pub(crate) limits: Limits,
    /// What is allowed.
    pub(crate) policy: Policy,
    /// How the database is used.
    pub(crate) tuning: Tuning,
}

/// A house that is open.
#[derive(Debug)]
pub(crate) struct House {
    /// What its faces work with.
    pub(crate) app: koudai_web::App,
    _lock: Option<DirectoryLock>,
}

/// Opens a data directory and starts all that works on it: the engine, the courier, the control socket. Of two houses on one
/// server's database the second stands by.
///
/// # Errors
/// If the directory is in use or damaged, or an address cannot be used.
pub(crate) fn open(plan: Plan<'_>, keys: Keys) -> Result<House, Failure> {
    let data = plan.data;
    let settings = Settings { tuning: plan.tuning, ..Settings::of(directory::database(data)?) };
    // Where the ledger is a server's, its lock is not the directory's.
    let lock = match &settings.database {
        Database::Server(_) => Some(directory::lock(data)?),
        Database::Directory(_) | Database::Simulated(_) => None,
    };
    let app = furnish(plan, keys, &settings)?;
    if directory::restored(data)?.is_some() {
        hold_courier(data, &app.networks);
    } else {
        courier::start(
            app.engine.clone(),
            Arc::clone(&app.networks),
            Arc::clone(&app.operator),
            Arc::clone(&app.origin),
        );
    }
    keys::rotate::watch(data, Arc::clone(&app.networks), app.engine.clock().clone());
    control::serve(data, app.engine.clone(), Arc::clone(&app.networks))?;
    Ok(House { app, _lock: lock })
}

/// Starts the engine on a ledger and puts together what every handler has at hand. Nothing is called yet.
///
/// # Errors
/// If the ledger is in use or damaged, or an address cannot be used.
pub(crate) fn furnish(plan: Plan<'_>, keys: Keys, settings: &Settings) -> Result<koudai_web::App, Failure> {
    let client = |url: &str, app_id: &str, key| {
        IssuerClient::new(url, app_id, keys.issuer_app.clone(), key, unix_seconds, DEFAULT_TIMEOUT)
            .map_err(|error| Failure::because(format!("the card issuer at {url}"), &error))
    };
    let first = client(&plan.issuer_url, &plan.issuer_app_id, plan.issuer_key)?;
    let mut outside =
        Outside::default().with(ISSUER_NETWORK, first).with_bins(ISSUER_NETWORK, plan.issuer_bins);
    for Issuer { network, bins, url, key, app_id } in plan.more_issuers {
        let another = client(&url, &app_id, key)?.named(&format!("issuer-{}", network.0));
        outside = outside.with(network, another).with_bins(network, bins);
    }
    if let Some(contract) = plan.unionpay {
        let settings = contract.settings(&plan.notices_at, UNIONPAY_NETWORK.0, milliseconds);
        let client = UnionPay::new(settings).map_err(|error| Failure::because("UnionPay", &error))?;
        outside =
            outside.with(UNIONPAY_NETWORK, client).with_general_bins(UNIONPAY_NETWORK, unionpay::card_bins());
    }
    if let Some(contract) = plan.wechat {
        let settings = contract.settings(&plan.origin, &plan.notices_at, WECHAT_NETWORK.0, unix_seconds);
        let client = WeChat::new(settings).map_err(|error| Failure::because("WeChat Pay", &error))?;
        outside = outside.with(WECHAT_NETWORK, client);
    }
    if let Some(contract) = plan.alipay {
        let settings = contract.settings(&plan.origin, &plan.notices_at, ALIPAY_NETWORK.0, milliseconds);
        let client = Alipay::new(settings).map_err(|error| Failure::because("Alipay", &error))?;
        outside = outside.with(ALIPAY_NETWORK, client);
    }
    let engine = Engine::stand_by(settings, keys.decisions, plan.policy, Clock::wall())
        .map_err(|error| Failure::because(format!("opening {}", plan.data.display()), &error))?;
    let networks = Networks {
        vault: Arc::new(keys.vault),
        platform: keys.platform,
        outside,
        sms: plan.sms,
        mail: plan.mail,
        reach: plan.reach,
        health: Health::default(),
        runs: Runs::default(),
    };
    let spool = plan.data.join("spool").join("bills");
    let bills = Bills::open(&spool)
        .map_err(|error| Failure::because(format!("emptying {}", spool.display()), &error))?;
    let secure = plan.origin.starts_with("https://");
    Ok(koudai_web::App {
        engine,
        networks: Arc::new(networks),
        bills: Arc::new(bills),
        limiter: Arc::new(Limiter::new(plan.limits)),
        origin: plan.origin.into(),
        operator: plan.operator.into(),
        contact: plan.contact.map(Arc::from),
        secure,
    })
}

/// Leaves the courier out: the ledger was restored, and the outside may know of what it does not. `/status` says that bank
/// and messages are down.
fn hold_courier(data: &Path, networks: &Networks) {
    tracing::warn!(
        "the ledger was restored: nothing is sent to banks, phones and merchants until it was compared with them; \
         then `koudai restore --reconciled --data {}` and start again",
        data.display()
    );
    networks.outside.all().for_each(|(_, line)| line.hold());
    networks.health.messages_answered(false);
}

/// Milliseconds since 1970, for the clients that want them.
fn milliseconds() -> i64 {
    Clock::wall().now().0
}

/// Unix seconds, for the clients that sign.
pub(crate) fn unix_seconds() -> i64 {
    Clock::wall().now().0.div_euclid(1_000)
}

/// A server that answers until it is stopped.
#[derive(Debug)]
pub(crate) struct Server {
    handle: Handle<SocketAddr>,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Serves `router` on a listener, with TLS if there is a configuration for it.
    ///
    /// # Errors
    /// If the listener cannot be used.
    pub(crate) fn start(
        listener: TcpListener,
        router: Router,
        tls: Option<RustlsConfig>,
    ) -> std::io::Result<Self> {
        let handle = Handle::new();
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let task = match tls {
            None => {
                let mut server = axum_server::from_tcp(listener)?.handle(handle.clone());
                server.http_builder().http1().header_read_timeout(HEAD_TIMEOUT);
                tokio::spawn(async move { server.serve(service).await })
            }
            Some(tls) => {
                let mut server = axum_server::from_tcp_rustls(listener, tls)?.handle(handle.clone());
                server.http_builder().http1().header_read_timeout(HEAD_TIMEOUT);
                tokio::spawn(async move { server.serve(service).await })
            }
        };
        Ok(Self { handle, task })
    }

    /// Takes no new connections, lets requests under way end, and ends.
    pub(crate) async fn stop(self) {
        self.handle.graceful_shutdown(Some(GRACE));
        match self.task.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "a server ended"),
            Err(error) => tracing::error!(%error, "a server ended"),
        }
    }
}

/// Ctrl-C or a polite request to end. It is heard from this call on, whenever it is waited for: whoever says that they are ready is
/// to have called this before.
pub(crate) fn stop_signal() -> impl Future<Output = ()> {
    let hear = |kind| signal(kind).expect("signals can be waited for");
    let (mut interrupt, mut terminate) = (hear(SignalKind::interrupt()), hear(SignalKind::terminate()));
    async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}
