//! A message centre: the crate `smpp34` behind a gate of ours, which brings TLS and cuts connections.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use koudai_core::secret::Secret;
use koudai_networks::relay::Relay;
use koudai_networks::sms::{Sender, Smpp, Timing};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use smpp34::{
    SmppConnectionInformation, SmppError, SmppServer, SmppServerListener, bind_transmitter,
    bind_transmitter_resp, submit_sm, submit_sm_resp,
};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio_rustls::TlsAcceptor;

use crate::Certificate;

pub(crate) const NAME: &str = "koudai";
pub(crate) const PASSWORD: &str = "hushhush";

/// What it does with the next messages.
#[derive(Clone, Copy)]
pub(crate) enum Mood {
    Take,
    Refuse(SmppError),
    /// Take it and lose the connection before the answer.
    Cut,
    /// Take it and never answer.
    Silent,
}

struct Desk {
    mood: Arc<Mutex<Mood>>,
    cut: Arc<Notify>,
    binds: mpsc::UnboundedSender<u8>,
    messages: mpsc::UnboundedSender<submit_sm>,
}

#[async_trait]
impl SmppServerListener for Desk {
    async fn on_bind_transmitter(
        &self,
        bind: bind_transmitter,
        _: &SmppConnectionInformation,
        _: &String,
    ) -> bind_transmitter_resp {
        self.binds.send(bind.interface_version).ok();
        if bind.system_id == NAME && bind.password == PASSWORD {
            bind.accept("centre".to_owned(), Some(0x34))
        } else {
            bind.reject(SmppError::ESME_RINVPASWD)
        }
    }

    async fn on_submit_sm(
        &self,
        message: submit_sm,
        _: &SmppConnectionInformation,
        _: &String,
    ) -> submit_sm_resp {
        let mood = *self.mood.lock().unwrap();
        self.messages.send(message.clone()).ok();
        match mood {
            Mood::Take => message.accept("1".to_owned()),
            Mood::Refuse(error) => message.reject(error),
            Mood::Cut => {
                self.cut.notify_one();
                std::future::pending().await
            }
            Mood::Silent => std::future::pending().await,
        }
    }
}

pub(crate) struct Centre {
    pub(crate) address: SocketAddr,
    pub(crate) messages: mpsc::UnboundedReceiver<submit_sm>,
    /// The version each bind asked for.
    pub(crate) binds: mpsc::UnboundedReceiver<u8>,
    mood: Arc<Mutex<Mood>>,
    _server: SmppServer,
}

impl Centre {
    pub(crate) async fn open() -> Self {
        Self::behind(None).await
    }

    pub(crate) async fn with_tls(certificate: &Certificate) -> Self {
        let chain = vec![CertificateDer::from_pem_slice(certificate.pem.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(certificate.key_pem.as_bytes()).unwrap();
        // `smpp34` brings another provider into the tests, so that rustls has none by itself.
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Self::behind(Some(TlsAcceptor::from(Arc::new(config)))).await
    }

    async fn behind(tls: Option<TlsAcceptor>) -> Self {
        let (mood, cut) = (Arc::new(Mutex::new(Mood::Take)), Arc::new(Notify::new()));
        let (binds_in, binds) = mpsc::unbounded_channel();
        let (messages_in, messages) = mpsc::unbounded_channel();
        let desk = Arc::new(Desk {
            mood: Arc::clone(&mood),
            cut: Arc::clone(&cut),
            binds: binds_in,
            messages: messages_in,
        });
        // It does not say which port it got, so it is given one that was free just now.
        let (inner, server) = loop {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
            let mut server =
                SmppServer::new(IpAddr::V4(Ipv4Addr::LOCALHOST), free.port(), Arc::clone(&desk) as _);
            server.start().await;
            if server.is_alive() {
                break (free, server);
            }
        };
        let gate = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = gate.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((outer, _)) = gate.accept().await {
                let (tls, cut) = (tls.clone(), Arc::clone(&cut));
                tokio::spawn(async move {
                    let mut inner = TcpStream::connect(inner).await.unwrap();
                    let pass = async {
                        let Some(tls) = tls else {
                            let mut outer = outer;
                            copy_bidirectional(&mut outer, &mut inner).await.ok();
                            return;
                        };
                        if let Ok(mut outer) = tls.accept(outer).await {
                            copy_bidirectional(&mut outer, &mut inner).await.ok();
                        }
                    };
                    tokio::select! {
                        () = pass => {}
                        () = cut.notified() => {}
                    }
                });
            }
        });
        Self { address, messages, binds, mood, _server: server }
    }

    pub(crate) fn will(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// The wallet's way to it.
    pub(crate) fn client(&self) -> Smpp {
        client(self.address, Timing::default())
    }

    /// A whole text: one message, or several put together by their headers.
    pub(crate) async fn text(&mut self) -> String {
        let mut pieces: Vec<Option<Vec<u8>>> = vec![None];
        let mut coding = 0;
        while pieces.iter().any(Option::is_none) {
            let message = self.messages.recv().await.unwrap();
            coding = message.data_coding;
            if message.esm_class == 0 {
                pieces = vec![Some(message.short_message)];
                continue;
            }
            assert_eq!(message.esm_class, 0x40, "a header and nothing else");
            let [5, 0, 3, _, total, number, ref body @ ..] = message.short_message[..] else {
                panic!("a header with its place")
            };
            pieces.resize(usize::from(total), None);
            pieces[usize::from(number) - 1] = Some(body.to_vec());
        }
        let bytes: Vec<u8> = pieces.into_iter().flatten().flatten().collect();
        if coding == 0 {
            return String::from_utf8(bytes).unwrap();
        }
        assert_eq!(coding, 8);
        let units: Vec<u16> = bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
        String::from_utf16(&units).unwrap()
    }
}

pub(crate) fn client(at: SocketAddr, timing: Timing) -> Smpp {
    let at = Relay::smpp(&format!("smpp://{NAME}@{at}")).unwrap();
    let sender = Sender::parse("106900001234/3/0").unwrap();
    Smpp::new(at, Secret::new(PASSWORD.to_owned()), sender, None, timing).unwrap()
}
