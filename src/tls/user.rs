//! Who a client is by its certificate (`tls-auth-clients-user`).

use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::verify::parse;
use crate::config::value::TlsAuthClientsUser;
use crate::server::Server;

const COMMON_NAME: &str = "2.5.4.3";
const SUBJECT_ALT_NAME: &str = "2.5.29.17";

/// The names in a certificate that may be a user's, whole, in their order.
fn names(cert: &Certificate, field: TlsAuthClientsUser) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    match field {
        TlsAuthClientsUser::Off => {}
        TlsAuthClientsUser::Cn => {
            let parts = cert.tbs_certificate.subject.0.iter();
            for part in parts.flat_map(|rdn| rdn.0.iter()) {
                if part.oid.to_string() != COMMON_NAME {
                    continue;
                }
                // Of strings of one byte a character, and UTF-8, the bytes are the text.
                use x509_cert::der::Tag;
                let tag = x509_cert::der::Tagged::tag(&part.value);
                if matches!(
                    tag,
                    Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::TeletexString
                ) {
                    found.push(part.value.value().to_vec());
                }
            }
        }
        TlsAuthClientsUser::Uri => {
            for e in cert.tbs_certificate.extensions.iter().flatten() {
                if e.extn_id.to_string() != SUBJECT_ALT_NAME {
                    continue;
                }
                let Ok(SubjectAltName(all)) = SubjectAltName::from_der(e.extn_value.as_bytes())
                else {
                    continue;
                };
                found.extend(all.iter().filter_map(|n| match n {
                    GeneralName::UniformResourceIdentifier(u) => Some(u.as_bytes().to_vec()),
                    _ => None,
                }));
            }
        }
    }
    found
}

impl Server {
    /// The names that the client's certificate has for `tls-auth-clients-user`; empty where it is off, or shows none.
    pub(crate) fn tls_names_of_peer(&self, shown: Option<&CertificateDer<'_>>) -> Vec<Vec<u8>> {
        let field = self.config.tls_auth_clients_user;
        if field == TlsAuthClientsUser::Off {
            return Vec::new();
        }
        let cert = shown.and_then(|der| parse(der).ok());
        cert.map_or_else(Vec::new, |c| names(&c, field))
    }
}
