//! Opens a tunnel to one pod: the port-forward or a connection to the pod's own address, and TLS where there is material for it.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;

use crate::client::certificates::served;
use crate::client::plain;
use crate::client::wire::deadline::Within;
use crate::client::wire::link::Link;
use crate::client::wire::pd_tls::PdTls;
use crate::client::wire::read_only_gate::Mark;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::wire::tls_errors;
use crate::client::wire::tunnel::{PD_PORT, Tunnel, doubted, said_by_the_node};
use crate::client::wire::websocket_channels::{Fault, Owned, port_stream};
use crate::files::io_words;
use crate::fleet::ObjectKey;
use crate::fleet::pd::{NoAnswer, PdWay};

/// Opens a forward to `pod`, with TLS where there is material for it.
pub(in crate::client) async fn open(
    link: &Link,
    pod: &ObjectKey,
    tls: Option<&PdTls>,
    within: Within,
) -> Result<Tunnel, NoAnswer> {
    match tokio::time::timeout_at(within.ends(), connect(link, pod, tls, within)).await {
        Ok(opened) => opened,
        Err(_) => Err(format!("no tunnel to pod {pod} within {within}").into()),
    }
}

/// Opens a connection to the pod's own address, with TLS where there is material for it. Whether it leads to the right PD is
/// for [`crate::client::pd`] to find out.
pub(in crate::client) async fn open_direct(
    address: SocketAddr,
    pod: &ObjectKey,
    tls: Option<&PdTls>,
    within: Within,
) -> Result<Tunnel, NoAnswer> {
    let opened = tokio::time::timeout_at(within.ends(), over(pod, tls, &Way::Direct(address))).await;
    let mut tunnel =
        opened.map_err(|_| NoAnswer::from(format!("pod {pod} cannot be reached directly within {within}")))??;
    tunnel.way = PdWay::Direct;
    Ok(tunnel)
}

/// Connections that are being opened at once: a thousand dead addresses must not take every file.
static OPENING: Semaphore = Semaphore::const_new(64);

async fn to_address(address: SocketAddr, pod: &ObjectKey) -> Result<TcpStream, String> {
    let _turn = OPENING.acquire().await;
    let failed = |why: &std::io::Error| format!("pod {pod} cannot be reached directly at {address}: {why}");
    let stream = TcpStream::connect(address).await.map_err(|why| failed(&why))?;
    // A request is small, and its answer is waited for.
    stream.set_nodelay(true).map_err(|why| failed(&why))?;
    Ok(stream)
}

async fn connect(link: &Link, pod: &ObjectKey, tls: Option<&PdTls>, within: Within) -> Result<Tunnel, NoAnswer> {
    over(pod, tls, &Way::Forward(link, within)).await
}

/// How bytes come to a pod.
enum Way<'a> {
    Forward(&'a Link, Within),
    /// Its own address.
    Direct(SocketAddr),
}

impl Way<'_> {
    async fn open(&self, pod: &ObjectKey) -> Result<Opened, String> {
        match self {
            Way::Forward(link, within) => {
                let (stream, fault, pump) = stream(link, pod, PD_PORT, Mark::Tunnel, *within).await?;
                Ok((Box::new(stream), fault, Some(pump)))
            }
            Way::Direct(address) => Ok((Box::new(to_address(*address, pod).await?), Fault::default(), None)),
        }
    }
}

/// Bytes to and from a pod.
trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// An open way to a pod: its bytes, what its far side says of a fault, and the task that keeps it going, where one does.
type Opened = (Box<dyn Bytes>, Fault, Option<Owned>);

/// HTTP over a way that is opened as often as it has to be, with TLS where there is material for it.
async fn over(pod: &ObjectKey, tls: Option<&PdTls>, way: &Way<'_>) -> Result<Tunnel, NoAnswer> {
    let Some(tls) = tls else {
        let (stream, fault, pump) = way.open(pod).await?;
        return Ok(Tunnel::over(stream, pod, fault, pump, format!("{}:{PD_PORT}", pod.name), None).await?);
    };
    // The likeliest name is the one to be told of.
    let mut first = None;
    for name in &tls.hosts {
        let server = ServerName::try_from(name.clone()).map_err(|_| format!("{name:?} is not a DNS name"))?;
        let (stream, fault, pump) = way.open(pod).await?;
        match TlsConnector::from(Arc::clone(&tls.config)).connect(server, stream).await {
            Ok(stream) => {
                let served = stream.get_ref().1.peer_certificates().and_then(|chain| served(chain.first()?));
                let doubt = tls.doubt.clone();
                let mut opened = Tunnel::over(stream, pod, fault, pump, format!("{name}:{PD_PORT}"), doubt).await?;
                opened.served = served;
                return Ok(opened);
            }
            Err(error) => {
                // A port that nobody listens on is no matter of TLS.
                if let Some(why) = said_by_the_node(&fault).await {
                    return Err(unreached(pod, &why).into());
                }
                let known = tls_errors::inside(&error);
                let why = match known {
                    Some(known) => tls_errors::words(known, "ca.crt of the client's Secret"),
                    None if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                        "it closed the connection at the first word: it may run without TLS".to_owned()
                    }
                    None => io_words(&error),
                };
                let sentence = format!("TLS with pod {pod} as {name} failed: {}", plain(&why));
                first.get_or_insert_with(|| NoAnswer {
                    sentence: doubted(sentence, tls.doubt.as_deref()),
                    certificate: tls.own && known.is_some_and(tls_errors::not_accepted),
                });
                // Only a wrong name is worth trying the other name.
                if !known.is_some_and(tls_errors::another_name) {
                    break;
                }
            }
        }
    }
    Err(first.unwrap_or_else(|| format!("no name is known by which pod {pod} could be asked").into()))
}

/// One forwarded connection to a port of a pod, as a stream of bytes.
pub(super) async fn stream(
    link: &Link,
    pod: &ObjectKey,
    port: u16,
    mark: Mark,
    within: Within,
) -> Result<(tokio::io::DuplexStream, Fault, Owned), String> {
    let path = format!("/api/v1/namespaces/{}/pods/{}/portforward?ports={port}", pod.namespace, pod.name);
    match link.socket(&path, mark, within).await {
        Ok(socket) => Ok(port_stream(socket)),
        Err(trouble) => Err(refused(pod, &trouble)),
    }
}

fn refused(pod: &ObjectKey, trouble: &RequestError) -> String {
    let needs = match trouble.kind {
        RequestErrorKind::Forbidden => " (needs get and create on pods/portforward)",
        RequestErrorKind::Unreachable
        | RequestErrorKind::AuthNeeded
        | RequestErrorKind::Missing
        | RequestErrorKind::Expired
        | RequestErrorKind::Answered
        | RequestErrorKind::Refused => "",
    };
    format!("no tunnel to pod {pod}: {}{needs}", trouble.sentence)
}

fn unreached(pod: &ObjectKey, why: &str) -> String {
    if why.to_ascii_lowercase().contains("refused") {
        return format!("pod {pod} refuses connections on port {PD_PORT}: {}", plain(why));
    }
    format!("no tunnel to pod {pod}: {}", plain(why))
}
