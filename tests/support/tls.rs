//! Certificates, made by the `openssl` program, and clients that speak TLS.

use std::fs;
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::conn::Conn;
use super::server::{Kind, Scratch, Server};

fn openssl(dir: &Path, args: &[&str]) {
    let out = Command::new("openssl")
        .args(args)
        .current_dir(dir)
        .output()
        .expect("the openssl program");
    assert!(
        out.status.success(),
        "openssl {args:?}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
}

/// Version 3, for servers only, clients only, and a named user.
const EXTENSIONS: &str = "[server]\nkeyUsage = digitalSignature, keyEncipherment\nnsCertType = server\n\
    [client]\nkeyUsage = digitalSignature, keyEncipherment\nnsCertType = client\n\
    [leaf]\nbasicConstraints = critical, CA:FALSE\nkeyUsage = digitalSignature\n\
    [sub]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = keyCertSign\n\
    [no_sign]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = digitalSignature\n\
    [server_sub]\nbasicConstraints = critical, CA:TRUE\nkeyUsage = keyCertSign\nextendedKeyUsage = serverAuth\n\
    [eku_server]\nextendedKeyUsage = serverAuth\n\
    [uri]\nsubjectAltName = URI:urn:nobody,URI:urn:user:alice,DNS:localhost\n";

/// A folder with an authority (`ca.crt`) and what it has signed: `server`, `client`, each for one purpose, and `redis`, of version
/// 1 and for both; each as `.crt` and `.key`.
pub struct Certs {
    dir: Scratch,
}

impl Certs {
    pub fn new() -> Certs {
        let certs = Certs {
            dir: Scratch::new(),
        };
        certs.dir.write("ext.cnf", EXTENSIONS);
        certs.authority("ca");
        certs.sign("server", "ca", Some("server"), "Server-only", 30);
        certs.sign("client", "ca", Some("client"), "Client-only", 30);
        certs.sign("redis", "ca", None, "Generic-cert", 30);
        certs
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("utf8").to_string()
    }

    /// Another authority, `name`.crt.
    pub fn authority(&self, name: &str) {
        let (key, cert) = (format!("{name}.key"), format!("{name}.crt"));
        let subject = format!("/O=Test/CN=Authority {name}");
        let curve = "ec_paramgen_curve:P-256";
        let mut args = vec!["req", "-x509", "-newkey", "ec", "-pkeyopt", curve, "-nodes"];
        args.extend([
            "-days", "30", "-subj", &subject, "-keyout", &key, "-out", &cert,
        ]);
        openssl(self.dir.path(), &args);
    }

    /// A certificate for `cn`, signed by `ca`, by a section of the extensions or of version 1.
    pub fn sign(&self, name: &str, ca: &str, section: Option<&str>, cn: &str, days: i32) {
        let curve = "ec_paramgen_curve:P-256";
        let subject = format!("/O=Test/CN={cn}");
        let (key, csr, cert) = (
            format!("{name}.key"),
            format!("{name}.csr"),
            format!("{name}.crt"),
        );
        let mut args = vec!["req", "-new", "-newkey", "ec", "-pkeyopt", curve, "-nodes"];
        args.extend(["-subj", &subject, "-keyout", &key, "-out", &csr]);
        openssl(self.dir.path(), &args);
        let (ca_cert, ca_key, days) = (format!("{ca}.crt"), format!("{ca}.key"), days.to_string());
        let mut args = vec![
            "x509", "-req", "-in", &csr, "-CA", &ca_cert, "-CAkey", &ca_key,
        ];
        args.extend(["-CAcreateserial", "-days", &days, "-out", &cert]);
        if let Some(section) = section {
            args.extend(["-extfile", "ext.cnf", "-extensions", section]);
        }
        openssl(self.dir.path(), &args);
    }

    /// The key of `name` under a passphrase, as `to`; in the form of before PKCS#8 with `legacy`.
    pub fn encrypt_key(&self, name: &str, to: &str, passphrase: &str, legacy: bool) {
        let (key, pass) = (format!("{name}.key"), format!("pass:{passphrase}"));
        let mut args = vec!["ec", "-in", &key, "-aes256", "-passout", &pass, "-out", to];
        if !legacy {
            args = vec!["pkcs8", "-topk8", "-v2", "aes256", "-in", &key];
            args.extend(["-passout", &pass, "-out", to]);
        }
        openssl(self.dir.path(), &args);
    }

    pub fn copy(&self, from: &str, to: &str) {
        // As one rename, so that nobody sees a half.
        let temporary = self.path("half");
        fs::copy(self.path(from), &temporary).expect("copy");
        fs::rename(&temporary, self.path(to)).expect("rename");
    }

    pub fn der(&self, name: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.path(&format!("{name}.crt"))).expect("a certificate")
    }

    /// The options of a server with these certificates.
    pub fn options(&self) -> Vec<String> {
        let pairs = [
            ("--tls-cert-file", "server.crt"),
            ("--tls-key-file", "server.key"),
            ("--tls-client-cert-file", "client.crt"),
            ("--tls-client-key-file", "client.key"),
            ("--tls-ca-cert-file", "ca.crt"),
        ];
        pairs
            .iter()
            .flat_map(|(o, f)| [(*o).to_string(), self.text(f)])
            .collect()
    }

    /// A client that shows the certificate `name`, or none. Any server is fine to it.
    pub fn client(&self, name: Option<&str>) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody));
        let Some(name) = name else {
            return Arc::new(config.with_no_client_auth());
        };
        let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).expect("a key");
        let key = rustls::crypto::ring::sign::any_supported_type(&key).expect("a key");
        let certified = rustls::sign::CertifiedKey::new(vec![self.der(name)], key);
        let resolver = rustls::sign::SingleCertAndKey::from(certified);
        Arc::new(config.with_client_cert_resolver(Arc::new(resolver)))
    }
}

/// A server with a port for TLS beside its own, and that port.
#[track_caller]
pub fn tls_server(kind: Kind, certs: &Certs, args: &[&str]) -> (Server, u16) {
    for _ in 0..20 {
        let port = super::server::free_port();
        let number = port.to_string();
        let options = certs.options();
        let mut all = vec!["--tls-port", &number];
        all.extend(options.iter().map(String::as_str));
        all.extend(args);
        let server = Server::start(kind, &all);
        if server.log_has("Ready to accept connections tls") || kind == Kind::Redis {
            return (server, port);
        }
    }
    panic!("no port could be had");
}

/// Connects by a client's configuration; the handshake is done.
pub fn connect_tls(port: u16, config: &Arc<ClientConfig>) -> io::Result<Conn> {
    let name = ServerName::try_from("localhost").expect("a name");
    let tls = rustls::ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
    Conn::from_tls(tls, TcpStream::connect(("127.0.0.1", port))?)
}

/// Whether the server takes this client: in TLS 1.3 a refusal comes behind the client's handshake.
pub fn is_taken(port: u16, config: &Arc<ClientConfig>) -> bool {
    connect_tls(port, config)
        .and_then(|mut c| c.try_cmd(&["PING"]))
        .is_ok_and(|v| v == "PONG")
}

#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let provider = rustls::crypto::ring::default_provider();
        provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
