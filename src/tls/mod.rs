//! TLS (tls.c): what the directives ask for becomes what connections are made with.
//!
//! Invariant: what is in use is whole. A change that cannot be made leaves what there was, and says why in the log; connections
//! that there are go on with what they began with.
//! Must not know: how records are read and written (`server::clients::tls`).

mod ciphers;
mod files;
mod sessions;
mod user;
mod verify;

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ServerConfig};

use self::ciphers::{cipher_suites, parse_protocols};
use self::files::{read_authorities, read_certificates, read_key};
use self::sessions::SessionCache;
use self::verify::{Trust, Verifier, dates, parse, public_key};
use crate::base::clock::ustime;
use crate::base::log::Level;
use crate::base::sys::path_of;
use crate::config::fields::Config;
use crate::config::value::TlsAuthClients;
use crate::server::Server;
use crate::server::tls::{CertificateInfo, FileState};
use crate::server_log;

/// All that is made of the directives and the files.
struct Made {
    server: Arc<ServerConfig>,
    bus: Option<Arc<ServerConfig>>,
    client: Arc<ClientConfig>,
    server_cert: CertificateInfo,
    client_cert: CertificateInfo,
    ca_cert: Option<CertificateInfo>,
}

/// Whether anything asks for TLS.
fn is_wanted(config: &Config) -> bool {
    config.tls_port != 0 || config.tls_replication || config.tls_cluster || config.metrics_tls
}

fn now_s() -> u64 {
    u64::try_from(ustime() / 1_000_000).unwrap_or(0)
}

fn info_of(der: &[u8]) -> Result<CertificateInfo, String> {
    let cert = parse(der).map_err(|e| e.to_string())?;
    let serial = cert.tbs_certificate.serial_number.as_bytes();
    let digits: String = serial.iter().map(|b| format!("{b:02X}")).collect();
    let digits = match digits.trim_start_matches("00") {
        "" => "00",
        d => d,
    };
    Ok(CertificateInfo {
        serial: digits.to_string(),
        not_after: dates(&cert).1,
    })
}

/// A certificate with its key.
fn certified_key(
    provider: &CryptoProvider,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    names: (&[u8], &[u8]),
) -> Result<CertifiedKey, String> {
    let name = String::from_utf8_lossy(names.1);
    let failed = |why: &str| format!("Failed to load private key: {name}: {why}");
    let key = provider
        .key_provider
        .load_private_key(key)
        .map_err(|e| failed(&e.to_string()))?;
    let cert = parse(&chain[0]).map_err(|e| {
        format!(
            "Failed to load certificate: {}: {e}",
            String::from_utf8_lossy(names.0)
        )
    })?;
    let of_cert = public_key(&cert).map_err(|e| failed(&e.to_string()))?;
    if let Some(of_key) = key.public_key()
        && of_key.as_ref() != of_cert
    {
        return Err(failed("key values mismatch: it is not the certificate's"));
    }
    Ok(CertifiedKey::new(chain, key))
}

/// Says of a certificate that its time has not come or is over.
fn check_time(der: &[u8], name: &[u8]) -> Result<(), String> {
    let (from, until) = dates(&parse(der).map_err(|e| e.to_string())?);
    let (now, name) = (now_s(), String::from_utf8_lossy(name));
    if now > until {
        return Err(format!("the certificate of {name} has expired"));
    }
    if now < from {
        return Err(format!("the certificate of {name} is not valid yet"));
    }
    Ok(())
}

/// Makes it all (tlsConfigure). With `strict` a certificate whose time is over is an error; else it is a warning.
fn make(config: &Config, strict: bool) -> Result<Made, String> {
    let cert_file = config
        .tls_cert_file
        .as_deref()
        .ok_or("No tls-cert-file configured!")?;
    let key_file = config
        .tls_key_file
        .as_deref()
        .ok_or("No tls-key-file configured!")?;
    let checks_peers = config.tls_auth_clients != TlsAuthClients::No
        || config.tls_cluster
        || config.tls_replication;
    let (ca_file, ca_dir) = (
        config.tls_ca_cert_file.as_deref(),
        config.tls_ca_cert_dir.as_deref(),
    );
    if checks_peers && ca_file.is_none() && ca_dir.is_none() {
        return Err(
            "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, tls-replication or \
             tls-auth-clients are enabled!"
                .into(),
        );
    }
    let versions = parse_protocols(config.tls_protocols.as_deref())?;
    let provider = Arc::new(CryptoProvider {
        cipher_suites: cipher_suites(
            config.tls_ciphers.as_deref(),
            config.tls_ciphersuites.as_deref(),
        )?,
        ..ring::default_provider()
    });
    let trust = Arc::new(read_authorities(ca_file, ca_dir)?);
    let chain = read_certificates(cert_file)?;
    let key = read_key(key_file, config.tls_key_file_pass.as_deref())?;
    let mut timely = check_time(&chain[0], cert_file);
    let server_cert = info_of(&chain[0])?;
    let server_key = certified_key(&provider, chain, key, (cert_file, key_file))?;
    let (client_key, client_cert) = match (
        config.tls_client_cert_file.as_deref(),
        config.tls_client_key_file.as_deref(),
    ) {
        (Some(cert_file), Some(key_file)) => {
            let chain = read_certificates(cert_file)?;
            let key = read_key(key_file, config.tls_client_key_file_pass.as_deref())?;
            timely = timely.and(check_time(&chain[0], cert_file));
            let info = info_of(&chain[0])?;
            let names = (cert_file, key_file);
            (certified_key(&provider, chain, key, names)?, info)
        }
        (Some(_), None) => return Err("No tls-client-key-file configured!".into()),
        _ => (server_key.clone(), server_cert.clone()),
    };
    if let Err(why) = timely {
        if strict {
            return Err(why);
        }
        server_log!(Level::Warning, "TLS: {}", why);
    }
    let ca_cert = trust.first_to_end().map(|c| info_of(c)).transpose()?;
    let bus = match config.tls_cluster {
        false => None,
        true => {
            let mode = TlsAuthClients::Yes;
            let key = server_key.clone();
            Some(Arc::new(server_config(
                config, mode, &provider, &versions, &trust, key,
            )?))
        }
    };
    let mode = config.tls_auth_clients;
    let server = server_config(config, mode, &provider, &versions, &trust, server_key)?;
    let client = client_config(&provider, &versions, &trust, client_key)?;
    Ok(Made {
        server: Arc::new(server),
        bus,
        client: Arc::new(client),
        server_cert,
        client_cert,
        ca_cert,
    })
}

type Versions<'a> = &'a [&'static rustls::SupportedProtocolVersion];

fn server_config(
    config: &Config,
    auth: TlsAuthClients,
    provider: &Arc<CryptoProvider>,
    versions: Versions<'_>,
    trust: &Arc<Trust>,
    key: CertifiedKey,
) -> Result<ServerConfig, String> {
    let verifier = match auth {
        TlsAuthClients::No => WebPkiClientVerifier::no_client_auth(),
        mode => Arc::new(Verifier {
            trust: trust.clone(),
            algorithms: provider.signature_verification_algorithms,
            mandatory: mode == TlsAuthClients::Yes,
        }),
    };
    let mut made = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(|e| e.to_string())?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    made.ignore_client_order = config.tls_prefer_server_ciphers;
    match config.tls_session_caching {
        true => {
            made.session_storage = Arc::new(SessionCache::new(
                config.tls_session_cache_size,
                config.tls_session_cache_timeout,
            ));
            made.send_tls13_tickets = 1;
        }
        false => {
            made.session_storage = Arc::new(NoServerSessionStorage {});
            made.send_tls13_tickets = 0;
        }
    }
    Ok(made)
}

fn client_config(
    provider: &Arc<CryptoProvider>,
    versions: Versions<'_>,
    trust: &Arc<Trust>,
    key: CertifiedKey,
) -> Result<ClientConfig, String> {
    let mut made = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(|e| e.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier {
            trust: trust.clone(),
            algorithms: provider.signature_verification_algorithms,
            mandatory: true,
        }))
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    made.enable_sni = false;
    made.resumption = Resumption::disabled();
    Ok(made)
}

/// What the files are now.
fn look_at_files(config: &Config) -> Vec<FileState> {
    let state = |path: &[u8]| {
        let m = std::fs::metadata(path_of(path)).ok();
        m.map(|m| (m.len(), m.ino(), m.mtime(), m.mtime_nsec()))
    };
    let files = [
        &config.tls_cert_file,
        &config.tls_key_file,
        &config.tls_client_cert_file,
        &config.tls_client_key_file,
        &config.tls_ca_cert_file,
        &config.tls_ca_cert_dir,
    ];
    let mut seen: Vec<FileState> = files
        .iter()
        .filter_map(|f| f.as_deref())
        .map(|f| (f.to_vec(), state(f)))
        .collect();
    if let Some(dir) = config.tls_ca_cert_dir.as_deref()
        && let Ok(entries) = std::fs::read_dir(path_of(dir))
    {
        use std::os::unix::ffi::OsStringExt;
        let mut paths: Vec<Vec<u8>> = entries
            .flatten()
            .map(|e| e.path().into_os_string().into_vec())
            .collect();
        paths.sort();
        seen.extend(paths.into_iter().map(|p| {
            let s = state(&p);
            (p, s)
        }));
    }
    seen
}

impl Server {
    /// Reads the files, which are `files` now, and takes them into use for connections to come (tlsConfigure). The error is in
    /// the log already.
    fn tls_take(&mut self, strict: bool, files: &[FileState]) -> Result<(), ()> {
        self.tls.looked = self.clock.unix_s;
        match make(&self.config, strict) {
            Ok(made) => {
                self.tls.files = files.to_vec();
                self.tls.server = Some(made.server);
                self.tls.bus = made.bus;
                self.tls.client = Some(made.client);
                self.tls.server_cert = Some(made.server_cert);
                self.tls.client_cert = Some(made.client_cert);
                self.tls.ca_cert = made.ca_cert;
                Ok(())
            }
            Err(why) => {
                server_log!(Level::Warning, "{}", why);
                Err(())
            }
        }
    }

    /// At the start: false where what is asked for cannot be had.
    pub(crate) fn tls_configure_at_start(&mut self) -> bool {
        if !is_wanted(&self.config) {
            return true;
        }
        let done = self.tls_take(false, &look_at_files(&self.config)).is_ok();
        if !done {
            server_log!(
                Level::Warning,
                "Failed to configure TLS. Check logs for more info."
            );
        }
        done
    }

    /// A directive has changed (applyTlsCfg). With nothing that asks for TLS, it is looked at when something does.
    ///
    /// # Errors
    /// The text for the client; all is as it was.
    pub(crate) fn tls_apply_config(&mut self) -> Result<(), String> {
        const FAILED: &str = "Unable to update TLS configuration. Check server logs.";
        if !is_wanted(&self.config) {
            return Ok(());
        }
        self.tls_take(true, &look_at_files(&self.config))
            .map_err(|()| FAILED.to_string())
    }

    /// Looks at the files when it is time, and takes those that have changed into use.
    pub(crate) fn tls_cron(&mut self) {
        let interval = i64::from(self.config.tls_auto_reload_interval);
        if interval == 0
            || self.clock.unix_s - self.tls.looked < interval
            || !is_wanted(&self.config)
        {
            return;
        }
        self.tls.looked = self.clock.unix_s;
        let files = look_at_files(&self.config);
        if files == self.tls.files {
            return;
        }
        match self.tls_take(true, &files) {
            Ok(()) => server_log!(Level::Notice, "TLS: certificates have been reloaded"),
            Err(()) => {
                // Those are looked at again when they change again.
                self.tls.files = files;
                server_log!(
                    Level::Warning,
                    "TLS: the changed certificates cannot be used, the former ones stay in use"
                );
            }
        }
    }
}
