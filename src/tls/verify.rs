//! Who is trusted: chains of certificates up to the authorities that are configured, without host names, as upstream has it.
//!
//! Chains are webpki's to judge. It knows certificates of version 3 only, and none that is an authority itself; both are common
//! among those that people make by hand. Such a certificate is accepted where an authority has signed it itself, or where it is
//! one that is trusted by name. Dates are looked at, the authorities' too, and purposes (extended key usage, key usage, Netscape's
//! certificate type), as OpenSSL does.

use std::fmt;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{
    CertificateDer, ServerName, SubjectPublicKeyInfoDer, TrustAnchor, UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, PeerMisbehaved,
    SignatureScheme,
};
use webpki::{EndEntityCert, KeyUsage, RawPublicKeyEntity, anchor_from_trusted_cert};
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode, Reader, SliceReader};

/// What a certificate is shown for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Server,
    Client,
}

/// Why a certificate is not taken. Its text stands within others' debugging texts.
struct Refused(String);

impl fmt::Debug for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

fn refused(why: &str) -> Error {
    let other = OtherError(std::sync::Arc::new(Refused(why.into())));
    CertificateError::Other(other).into()
}

/// One that is trusted.
#[derive(Debug)]
struct Authority {
    der: CertificateDer<'static>,
    /// Its name, encoded.
    subject: Vec<u8>,
    /// Its public key, encoded.
    key: Vec<u8>,
    not_before: u64,
    not_after: u64,
    rights: Rights,
}

/// What a certificate says of the certificates that it signs.
#[derive(Debug)]
struct Rights {
    for_clients: bool,
    for_servers: bool,
    /// How many authorities may stand between it and the last one.
    path_len: Option<u8>,
    /// It may sign some names only. webpki looks at them; who does without it refuses them all.
    has_name_constraints: bool,
}

impl Rights {
    fn allow(&self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Client => self.for_clients,
            Purpose::Server => self.for_servers,
        }
    }

    /// None: it may sign none (check_ca of OpenSSL): what is in a file of authorities, or in their folder, need not be one.
    fn of(cert: &Certificate) -> Result<Option<Rights>, Error> {
        const CERT_SIGN: u8 = 0x04;
        const NETSCAPE_TLS_AUTHORITY: u8 = 0x04;
        let bad = || Error::from(CertificateError::BadEncoding);
        let tbs = &cert.tbs_certificate;
        let mut rights = Rights {
            for_clients: true,
            for_servers: true,
            path_len: None,
            has_name_constraints: false,
        };
        let (mut declared, mut key_usage, mut netscape) = (None, None, None);
        for e in tbs.extensions.iter().flatten() {
            let value = e.extn_value.as_bytes();
            match e.extn_id.to_string().as_str() {
                BASIC_CONSTRAINTS => {
                    let c = x509_cert::ext::pkix::BasicConstraints::from_der(value);
                    let c = c.map_err(|_| bad())?;
                    declared = Some(c.ca);
                    rights.path_len = c.path_len_constraint;
                }
                KEY_USAGE => key_usage = Some(bits(value).ok_or_else(bad)? & CERT_SIGN != 0),
                NETSCAPE_CERT_TYPE => {
                    let tls = bits(value).ok_or_else(bad)? & NETSCAPE_TLS_AUTHORITY != 0;
                    netscape = Some(tls);
                }
                EXTENDED_KEY_USAGE => {
                    rights.for_clients = has_extended_usage(value, CLIENT_AUTH)?;
                    rights.for_servers = has_extended_usage(value, SERVER_AUTH)?;
                }
                NAME_CONSTRAINTS => rights.has_name_constraints = true,
                _ => {}
            }
        }
        let old = tbs.version == x509_cert::Version::V1 && is_self_issued(cert);
        let is_authority = key_usage != Some(false)
            && match declared {
                Some(ca) => ca && netscape != Some(false),
                None => old || key_usage == Some(true) || netscape == Some(true),
            };
        Ok(is_authority.then_some(rights))
    }
}

/// It names itself as who has signed it.
fn is_self_issued(cert: &Certificate) -> bool {
    cert.tbs_certificate.issuer == cert.tbs_certificate.subject
}

/// What is trusted.
#[derive(Debug, Default)]
pub(super) struct Trust {
    authorities: Vec<Authority>,
    /// The same in the same order, as webpki has them.
    anchors: Vec<TrustAnchor<'static>>,
    /// Those that name themselves as their authority: each is trusted for itself.
    themselves: Vec<CertificateDer<'static>>,
}

impl Trust {
    /// Trusts one more.
    ///
    /// # Errors
    /// It is no certificate, or one that may sign none and does not stand for itself.
    pub(super) fn add(&mut self, der: CertificateDer<'static>) -> Result<(), String> {
        let cert = parse(&der).map_err(|e| e.to_string())?;
        let anchor = anchor_from_trusted_cert(&der)
            .map_err(|e| e.to_string())?
            .to_owned();
        let rights = Rights::of(&cert).map_err(|e| e.to_string())?;
        let stands_for_itself = is_self_issued(&cert);
        if stands_for_itself && !self.themselves.contains(&der) {
            self.themselves.push(der.clone());
        }
        let Some(rights) = rights else {
            return match stands_for_itself {
                true => Ok(()),
                false => Err("it is no authority".into()),
            };
        };
        let tbs = &cert.tbs_certificate;
        let (not_before, not_after) = dates(&cert);
        let authority = Authority {
            rights,
            subject: tbs.subject.to_der().map_err(|e| e.to_string())?,
            key: public_key(&cert).map_err(|e| e.to_string())?,
            not_before,
            not_after,
            der,
        };
        if !self.authorities.iter().any(|a| a.der == authority.der) {
            self.authorities.push(authority);
            self.anchors.push(anchor);
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.authorities.is_empty() && self.themselves.is_empty()
    }

    /// The one that ends first.
    pub(super) fn first_to_end(&self) -> Option<&CertificateDer<'static>> {
        let first = self.authorities.iter().min_by_key(|a| a.not_after);
        first.map(|a| &a.der)
    }

    fn verify(
        &self,
        algorithms: &WebPkiSupportedAlgorithms,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        purpose: Purpose,
    ) -> Result<(), Error> {
        let cert = parse(shown)?;
        check_purpose(&cert, purpose)?;
        let by_webpki = EndEntityCert::try_from(shown).and_then(|end| {
            let usage = match purpose {
                Purpose::Server => KeyUsage::server_auth(),
                Purpose::Client => KeyUsage::client_auth(),
            };
            let path = end.verify_for_usage(
                algorithms.all,
                &self.anchors,
                intermediates,
                now,
                usage,
                None,
                None,
            )?;
            let between = path.intermediate_certificates().count();
            let anchor = self.anchors.iter().position(|a| a == path.anchor());
            Ok((anchor, between))
        });
        match by_webpki {
            Ok((anchor, between)) => match anchor.and_then(|i| self.authorities.get(i)) {
                Some(a) if !a.rights.allow(purpose) => Err(refused(
                    "unsuitable certificate purpose: not its authority's",
                )),
                Some(a) if a.rights.path_len.is_some_and(|n| between > usize::from(n)) => {
                    Err(refused("path length constraint exceeded"))
                }
                Some(a) => check_dates(a.not_before, a.not_after, now),
                None => Err(CertificateError::UnknownIssuer.into()),
            },
            Err(
                webpki::Error::UnsupportedCertVersion
                | webpki::Error::CaUsedAsEndEntity
                | webpki::Error::UnknownIssuer,
            ) => self.verify_alone(algorithms, shown, &cert, now, purpose),
            Err(e) => Err(webpki_error(e)),
        }
    }

    /// One without intermediates: an authority has signed it, or it is trusted itself.
    fn verify_alone(
        &self,
        algorithms: &WebPkiSupportedAlgorithms,
        shown: &CertificateDer<'_>,
        cert: &Certificate,
        now: UnixTime,
        purpose: Purpose,
    ) -> Result<(), Error> {
        let (not_before, not_after) = dates(cert);
        check_dates(not_before, not_after, now)?;
        if self.themselves.contains(shown) {
            return Ok(());
        }
        let bad = || Error::from(CertificateError::BadEncoding);
        let issuer = cert.tbs_certificate.issuer.to_der().map_err(|_| bad())?;
        let signed = Signed::read(shown).ok_or_else(bad)?;
        let may = |a: &&Authority| {
            a.subject == issuer && a.rights.allow(purpose) && !a.rights.has_name_constraints
        };
        for a in self.authorities.iter().filter(may) {
            let key = SubjectPublicKeyInfoDer::from(a.key.as_slice());
            let Ok(key) = RawPublicKeyEntity::try_from(&key) else {
                continue;
            };
            let verified = algorithms
                .all
                .iter()
                .filter(|alg| alg.signature_alg_id().as_ref() == signed.algorithm)
                .any(|alg| {
                    key.verify_signature(*alg, signed.content, signed.signature)
                        .is_ok()
                });
            if verified {
                return check_dates(a.not_before, a.not_after, now);
            }
        }
        Err(CertificateError::UnknownIssuer.into())
    }
}

/// The three parts of a certificate, as they are.
struct Signed<'a> {
    /// What is signed, with its head.
    content: &'a [u8],
    /// The algorithm, without its head.
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    fn read(der: &'a [u8]) -> Option<Signed<'a>> {
        let mut outer = SliceReader::new(der).ok()?;
        let all = value_of(outer.tlv_bytes().ok()?)?;
        let mut parts = SliceReader::new(all).ok()?;
        let content = parts.tlv_bytes().ok()?;
        let algorithm = value_of(parts.tlv_bytes().ok()?)?;
        // A bit string begins with the number of bits that do not count.
        let (0, signature) = value_of(parts.tlv_bytes().ok()?)?.split_first()? else {
            return None;
        };
        Some(Signed {
            content,
            algorithm,
            signature,
        })
    }
}

/// What stands behind tag and length.
fn value_of(tlv: &[u8]) -> Option<&[u8]> {
    let mut r = SliceReader::new(tlv).ok()?;
    let header = x509_cert::der::Header::decode(&mut r).ok()?;
    r.read_slice(header.length).ok()
}

pub(super) fn parse(der: &[u8]) -> Result<Certificate, Error> {
    Certificate::from_der(der).map_err(|_| CertificateError::BadEncoding.into())
}

/// The public key, as it is encoded in certificates.
pub(super) fn public_key(cert: &Certificate) -> Result<Vec<u8>, Error> {
    let key = &cert.tbs_certificate.subject_public_key_info;
    key.to_der()
        .map_err(|_| CertificateError::BadEncoding.into())
}

/// From when and until when a certificate is good, unix seconds.
pub(super) fn dates(cert: &Certificate) -> (u64, u64) {
    let v = &cert.tbs_certificate.validity;
    (
        v.not_before.to_unix_duration().as_secs(),
        v.not_after.to_unix_duration().as_secs(),
    )
}

fn check_dates(not_before: u64, not_after: u64, now: UnixTime) -> Result<(), Error> {
    let now = now.as_secs();
    if now < not_before {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > not_after {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}

/// Netscape's certificate type, whose first two bits are client and server.
const NETSCAPE_CERT_TYPE: &str = "2.16.840.1.113730.1.1";
const KEY_USAGE: &str = "2.5.29.15";
const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
const BASIC_CONSTRAINTS: &str = "2.5.29.19";
const NAME_CONSTRAINTS: &str = "2.5.29.30";
const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH: &str = "1.3.6.1.5.5.7.3.2";
const ANY_USAGE: &str = "2.5.29.37.0";

/// Whether a list of purposes has this one, or any.
fn has_extended_usage(value: &[u8], wanted: &str) -> Result<bool, Error> {
    let usages = x509_cert::ext::pkix::ExtendedKeyUsage::from_der(value);
    let usages = usages.map_err(|_| CertificateError::BadEncoding)?;
    let mut names = usages.0.iter().map(ToString::to_string);
    Ok(names.any(|n| n == wanted || n == ANY_USAGE))
}

/// The first byte of a bit string.
fn bits(value: &[u8]) -> Option<u8> {
    let b = x509_cert::der::asn1::BitStringRef::from_der(value).ok()?;
    Some(b.raw_bytes().first().copied().unwrap_or(0))
}

/// Whether the certificate may be shown for this.
fn check_purpose(cert: &Certificate, purpose: Purpose) -> Result<(), Error> {
    let bad = || Error::from(CertificateError::BadEncoding);
    let extensions = cert.tbs_certificate.extensions.iter().flatten();
    for e in extensions {
        let value = e.extn_value.as_bytes();
        let allowed = match e.extn_id.to_string().as_str() {
            NETSCAPE_CERT_TYPE => {
                let bit = match purpose {
                    Purpose::Client => 0x80,
                    Purpose::Server => 0x40,
                };
                bits(value).ok_or_else(bad)? & bit != 0
            }
            KEY_USAGE => {
                // Digital signature and key agreement; servers may encipher keys, too.
                let usage = match purpose {
                    Purpose::Client => 0x80 | 0x08,
                    Purpose::Server => 0x80 | 0x20 | 0x08,
                };
                bits(value).ok_or_else(bad)? & usage != 0
            }
            EXTENDED_KEY_USAGE => {
                let wanted = match purpose {
                    Purpose::Client => CLIENT_AUTH,
                    Purpose::Server => SERVER_AUTH,
                };
                has_extended_usage(value, wanted)?
            }
            _ => true,
        };
        if !allowed {
            return Err(refused(match purpose {
                Purpose::Client => "unsuitable certificate purpose: not one for clients",
                Purpose::Server => "unsuitable certificate purpose: not one for servers",
            }));
        }
    }
    Ok(())
}

fn webpki_error(e: webpki::Error) -> Error {
    use webpki::Error as W;
    match e {
        W::BadDer | W::BadDerTime | W::TrailingData(_) => CertificateError::BadEncoding,
        W::CertExpired { .. } => CertificateError::Expired,
        W::CertNotValidYet { .. } => CertificateError::NotValidYet,
        W::UnknownIssuer => CertificateError::UnknownIssuer,
        W::InvalidSignatureForPublicKey => CertificateError::BadSignature,
        e => {
            // Its name, without the long lists that some have.
            let text = format!("{e:?}");
            return refused(text.split(['(', ' ', '{']).next().unwrap_or_default());
        }
    }
    .into()
}

/// A signature of TLS 1.2's handshake.
fn verify_tls12_signature(
    algorithms: &WebPkiSupportedAlgorithms,
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let key = SubjectPublicKeyInfoDer::from(public_key(&parse(cert)?)?);
    let key = RawPublicKeyEntity::try_from(&key).map_err(webpki_error)?;
    let known = algorithms.mapping.iter().find(|(s, _)| *s == dss.scheme);
    let Some((_, tried)) = known else {
        return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
    };
    let right = tried
        .iter()
        .any(|alg| key.verify_signature(*alg, message, dss.signature()).is_ok());
    match right {
        true => Ok(HandshakeSignatureValid::assertion()),
        false => Err(CertificateError::BadSignature.into()),
    }
}

/// A signature of TLS 1.3's handshake.
fn verify_tls13_signature(
    algorithms: &WebPkiSupportedAlgorithms,
    message: &[u8],
    cert: &CertificateDer<'_>,
    dss: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let key = SubjectPublicKeyInfoDer::from(public_key(&parse(cert)?)?);
    verify_tls13_signature_with_raw_key(message, &key, dss, algorithms)
}

/// Judges the certificates of servers, or of clients.
#[derive(Debug)]
pub(super) struct Verifier {
    pub trust: std::sync::Arc<Trust>,
    pub algorithms: WebPkiSupportedAlgorithms,
    /// A client must show a certificate.
    pub mandatory: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let purpose = Purpose::Server;
        self.trust
            .verify(&self.algorithms, end_entity, intermediates, now, purpose)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(&self.algorithms, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(&self.algorithms, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    /// None: a client shows the one that it has.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let purpose = Purpose::Client;
        self.trust
            .verify(&self.algorithms, end_entity, intermediates, now, purpose)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(&self.algorithms, message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(&self.algorithms, message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
