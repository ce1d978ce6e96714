//! What the server keeps of TLS: how connections are encrypted from now on, and what is known of the certificates. `tls/` makes
//! and replaces it; a connection keeps what it began with.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};
use socket2::Socket;

use crate::server::clients::connection::Connection;
use crate::server::clients::tls::{Scratch, TlsConnection};

/// What is known of a certificate in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateInfo {
    /// Its number, hexadecimal.
    pub serial: String,
    /// Unix seconds.
    pub not_after: u64,
}

/// See the head of the file.
#[derive(Default)]
pub(crate) struct TlsState {
    /// For connections that are accepted. None: TLS has not been asked for.
    pub server: Option<Arc<ServerConfig>>,
    /// The same, of nodes of the cluster, who must have a certificate.
    pub bus: Option<Arc<ServerConfig>>,
    /// For connections that are made.
    pub client: Option<Arc<ClientConfig>>,
    pub server_cert: Option<CertificateInfo>,
    pub client_cert: Option<CertificateInfo>,
    /// Of the authorities the one that ends first.
    pub ca_cert: Option<CertificateInfo>,
    /// What the files were when they were read, or looked at last.
    pub files: Vec<FileState>,
    /// Unix seconds of the last look at them.
    pub looked: i64,
    pub scratch: Rc<Scratch>,
}

impl TlsState {
    /// The connection over a socket that was accepted, by TLS with `config`.
    ///
    /// # Errors
    /// TLS is not configured, or cannot be begun.
    pub(crate) fn accepted(
        &self,
        sock: Socket,
        config: &Option<Arc<ServerConfig>>,
    ) -> io::Result<Connection> {
        let config = config.clone();
        let config = config.ok_or_else(|| io::Error::other("TLS is not configured"))?;
        let tls = TlsConnection::accept(sock, config, self.scratch.clone());
        Ok(Connection::Tls(Rc::new(tls.map_err(io::Error::other)?)))
    }

    /// The connection over a socket that connects, by TLS if `over_tls`.
    ///
    /// # Errors
    /// TLS is not configured, or cannot be begun.
    pub(crate) fn outgoing(&self, sock: Socket, over_tls: bool) -> io::Result<Connection> {
        if !over_tls {
            return Ok(Connection::Plain(sock));
        }
        let config = self.client.clone();
        let config = config.ok_or_else(|| io::Error::other("TLS is not configured"))?;
        let tls = TlsConnection::connect(sock, config, self.scratch.clone());
        Ok(Connection::Tls(Rc::new(tls.map_err(io::Error::other)?)))
    }
}

/// What tells that a file has changed: its name, and, if it is there, its size, number and time of change.
pub(crate) type FileState = (Vec<u8>, Option<(u64, u64, i64, i64)>);
