//! Certificates and keys out of files (PEM).
//!
//! Every error names the file. A passphrase is never part of one.

use std::fs;
use std::path::Path;

use pkcs8::{EncryptedPrivateKeyInfo, SecretDocument};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::verify::Trust;
use crate::base::log::Level;
use crate::base::sys::{path_of, strerror};
use crate::server_log;

/// Bytes of a file at the most.
const FILE_MAX: u64 = 16 << 20;

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let meta = fs::metadata(path).map_err(|e| strerror(&e))?;
    if !meta.is_file() {
        // The end of a pipe may be waited for for ever.
        return Err("not a regular file".into());
    }
    if meta.len() > FILE_MAX {
        return Err("the file is too large".into());
    }
    fs::read(path).map_err(|e| strerror(&e))
}

fn certificates_in(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| e.to_string())
}

/// The certificate and those that lead from it to an authority.
pub(super) fn read_certificates(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let name = String::from_utf8_lossy(file);
    let failed = |why: &str| format!("Failed to load certificate: {name}: {why}");
    let text = read(&path_of(file)).map_err(|e| failed(&e))?;
    let found = certificates_in(&text).map_err(|e| failed(&e))?;
    if found.is_empty() {
        return Err(failed("no certificate in it (PEM)"));
    }
    Ok(found)
}

/// The private key; one that is encrypted needs the passphrase.
pub(super) fn read_key(
    file: &[u8],
    passphrase: Option<&[u8]>,
) -> Result<PrivateKeyDer<'static>, String> {
    let name = String::from_utf8_lossy(file);
    let failed = |why: &str| format!("Failed to load private key: {name}: {why}");
    let text = read(&path_of(file)).map_err(|e| failed(&e))?;
    let text = String::from_utf8_lossy(&text);
    const ENCRYPTED: (&str, &str) = (
        "-----BEGIN ENCRYPTED PRIVATE KEY-----",
        "-----END ENCRYPTED PRIVATE KEY-----",
    );
    if let Some(start) = text.find(ENCRYPTED.0) {
        let end = text[start..]
            .find(ENCRYPTED.1)
            .ok_or_else(|| failed("the file ends within the key"))?;
        let block = &text[start..start + end + ENCRYPTED.1.len()];
        let passphrase = passphrase
            .ok_or_else(|| failed("it is encrypted, and there is no tls-key-file-pass"))?;
        let (_, document) = SecretDocument::from_pem(block).map_err(|e| failed(&e.to_string()))?;
        let encrypted = EncryptedPrivateKeyInfo::try_from(document.as_bytes())
            .map_err(|e| failed(&e.to_string()))?;
        let key = encrypted
            .decrypt(passphrase)
            .map_err(|e| failed(&format!("cannot be decrypted: {e}")))?;
        return Ok(PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into());
    }
    if text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(failed(
            "the legacy form of encryption (Proc-Type: 4,ENCRYPTED) is not supported; 'openssl pkcs8 -topk8' makes one \
             that is",
        ));
    }
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|e| failed(&e.to_string()))
}

/// The authorities of a file and of a folder.
pub(super) fn read_authorities(file: Option<&[u8]>, dir: Option<&[u8]>) -> Result<Trust, String> {
    const FAILED: &str = "Failed to configure CA certificate(s) file/directory";
    let mut trust = Trust::default();
    if let Some(file) = file {
        let name = String::from_utf8_lossy(file);
        let failed = |why: &str| format!("{FAILED}: {name}: {why}");
        let text = read(&path_of(file)).map_err(|e| failed(&e))?;
        for (i, der) in certificates_in(&text)
            .map_err(|e| failed(&e))?
            .into_iter()
            .enumerate()
        {
            // One of many that cannot be read is trusted by nobody, and the others are.
            if let Err(e) = trust.add(der) {
                server_log!(
                    Level::Warning,
                    "TLS: certificate {} of {} is left out: {}",
                    i + 1,
                    name,
                    e
                );
            }
        }
        if trust.is_empty() {
            return Err(failed("no authority in it (PEM)"));
        }
    }
    if let Some(dir) = dir {
        let name = String::from_utf8_lossy(dir);
        let entries = fs::read_dir(path_of(dir))
            .map_err(|e| format!("{FAILED}: {name}: {}", strerror(&e)))?;
        for entry in entries.flatten() {
            let path = entry.path();
            // Whatever else lies there is no fault.
            let Ok(text) = read(&path) else { continue };
            for der in certificates_in(&text).unwrap_or_default() {
                let _ = trust.add(der);
            }
        }
    }
    Ok(trust)
}
