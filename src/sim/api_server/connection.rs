//! Accepts connections.
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub(super) async fn accept(
    _listener: TcpListener,
    _tls: Arc<rustls::ServerConfig>,
    _config: Arc<super::ApiServerConfig>,
    stop: CancellationToken,
) {
    stop.cancelled().await;
}
