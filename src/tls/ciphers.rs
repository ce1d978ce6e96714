//! Protocols and cipher suites by OpenSSL's names.
//!
//! The suites that there are: TLS 1.3's three, and of TLS 1.2 those that exchange keys by ECDHE and authenticate what they encrypt
//! (AES-GCM, ChaCha20-Poly1305). A list may name others that OpenSSL knows: they are left out, and named in the log; one that
//! nobody knows is an error, and so is a list that leaves nothing.

use std::sync::OnceLock;

use rustls::crypto::CipherSuiteCommon;
use rustls::crypto::ring::cipher_suite as suites;
use rustls::version::{TLS12, TLS13};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion, Tls12CipherSuite};

use crate::base::log::Level;
use crate::server_log;

/// TLS 1.2's, in order of preference: OpenSSL's name, the words of cipher lists that mean it, and the suite.
const TLS12_SUITES: &[(&str, &[&str], SupportedCipherSuite)] = &[
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        &["aECDSA", "ECDSA", "AESGCM", "AES", "AES256", "SHA384"],
        suites::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-RSA-AES256-GCM-SHA384",
        &["aRSA", "RSA", "AESGCM", "AES", "AES256", "SHA384"],
        suites::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        &["aECDSA", "ECDSA", "CHACHA20", "SHA256"],
        suites::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "ECDHE-RSA-CHACHA20-POLY1305",
        &["aRSA", "RSA", "CHACHA20", "SHA256"],
        suites::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        &["aECDSA", "ECDSA", "AESGCM", "AES", "AES128", "SHA256"],
        suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-RSA-AES128-GCM-SHA256",
        &["aRSA", "RSA", "AESGCM", "AES", "AES128", "SHA256"],
        suites::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
];

/// Records that one key of TLS 1.2 may encrypt. rustls' bound for AES-GCM is 2^24, at which a connection ends, since there are no
/// new keys: a busy client's has so many in minutes. OpenSSL has none.
const RECORDS_MAX: u64 = 1 << 36;

/// The suites of TLS 1.2 with [`RECORDS_MAX`], made once.
static LONG_LIVED: OnceLock<Vec<&'static Tls12CipherSuite>> = OnceLock::new();

fn long_lived(suite: SupportedCipherSuite) -> SupportedCipherSuite {
    let all = LONG_LIVED.get_or_init(|| {
        let made = TLS12_SUITES.iter().filter_map(|(_, _, s)| match s {
            SupportedCipherSuite::Tls12(s) => Some(Tls12CipherSuite {
                common: CipherSuiteCommon {
                    suite: s.common.suite,
                    hash_provider: s.common.hash_provider,
                    confidentiality_limit: s.common.confidentiality_limit.max(RECORDS_MAX),
                },
                prf_provider: s.prf_provider,
                kx: s.kx,
                sign: s.sign,
                aead_alg: s.aead_alg,
            }),
            SupportedCipherSuite::Tls13(_) => None,
        });
        made.map(|s| &*Box::leak(Box::new(s))).collect()
    });
    let same = all.iter().find(|s| s.common.suite == suite.suite());
    same.map_or(suite, |s| SupportedCipherSuite::Tls12(s))
}

/// Words that mean all of them.
const ALL: &[&str] = &[
    "DEFAULT", "ALL", "HIGH", "ECDHE", "EECDH", "kECDHE", "kEECDH", "TLSv1.2", "FIPS",
];

/// Words that mean none of them.
const NONE: &[&str] = &[
    "COMPLEMENTOFDEFAULT",
    "COMPLEMENTOFALL",
    "MEDIUM",
    "LOW",
    "EXP",
    "EXPORT",
    "eNULL",
    "aNULL",
    "NULL",
    "MD5",
    "RC4",
    "RC2",
    "3DES",
    "DES",
    "DSS",
    "aDSS",
    "DH",
    "DHE",
    "EDH",
    "kDHE",
    "kEDH",
    "kDH",
    "kRSA",
    "PSK",
    "kPSK",
    "aPSK",
    "SRP",
    "kSRP",
    "CAMELLIA",
    "CAMELLIA128",
    "CAMELLIA256",
    "ARIA",
    "ARIA128",
    "ARIA256",
    "ARIAGCM",
    "SEED",
    "IDEA",
    "CBC",
    "SHA",
    "SHA1",
    "ADH",
    "AECDH",
    "ECDH",
    "SSLv3",
    "TLSv1",
    "TLSv1.0",
    "AESCCM",
    "AESCCM8",
    "GOST",
    "aGOST",
    "kGOST",
];

/// The parts of OpenSSL's names up to TLS 1.2.
const PARTS: &[&str] = &[
    "ECDHE",
    "DHE",
    "ECDH",
    "DH",
    "EDH",
    "ADH",
    "AECDH",
    "ECDSA",
    "RSA",
    "DSS",
    "PSK",
    "SRP",
    "AES128",
    "AES256",
    "GCM",
    "CCM",
    "CCM8",
    "ARIA128",
    "ARIA256",
    "CAMELLIA128",
    "CAMELLIA256",
    "CHACHA20",
    "POLY1305",
    "SHA",
    "SHA256",
    "SHA384",
    "DES",
    "CBC",
    "CBC3",
    "RC4",
    "MD5",
    "NULL",
    "SEED",
    "IDEA",
    "3DES",
    "EDE",
];

/// TLS 1.3's, in order of preference.
const TLS13_SUITES: &[(&str, SupportedCipherSuite)] = &[
    ("TLS_AES_256_GCM_SHA384", suites::TLS13_AES_256_GCM_SHA384),
    (
        "TLS_CHACHA20_POLY1305_SHA256",
        suites::TLS13_CHACHA20_POLY1305_SHA256,
    ),
    ("TLS_AES_128_GCM_SHA256", suites::TLS13_AES_128_GCM_SHA256),
];
/// Those that OpenSSL has besides.
const TLS13_OTHERS: &[&str] = &["TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"];

/// The versions that are allowed.
///
/// # Errors
/// The text for the log.
pub(super) fn parse_protocols(
    text: Option<&[u8]>,
) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let Some(text) = text else {
        return Ok(vec![&TLS13, &TLS12]);
    };
    let text = String::from_utf8_lossy(text);
    let (mut found, mut absent) = (Vec::new(), Vec::new());
    for word in text.split_ascii_whitespace() {
        match word.to_ascii_lowercase().as_str() {
            "tlsv1.3" => found.push(&TLS13),
            "tlsv1.2" => found.push(&TLS12),
            "tlsv1" | "tlsv1.1" => absent.push(word),
            _ => {
                return Err(format!(
                    "Invalid tls-protocols specified. Use a combination of 'TLSv1.2' and 'TLSv1.3', not '{word}'"
                ));
            }
        }
    }
    note_absent("tls-protocols", &absent);
    if found.is_empty() {
        return Err(
            "Invalid tls-protocols specified: the versions there are, are 'TLSv1.2' and 'TLSv1.3'"
                .into(),
        );
    }
    Ok(found)
}

fn note_absent(directive: &str, absent: &[&str]) {
    if !absent.is_empty() {
        server_log!(
            Level::Warning,
            "{}: not available here, and left out: {}",
            directive,
            absent.join(" ")
        );
    }
}

/// Which of TLS 1.2's suites a word means; none: nobody knows it.
fn meant_by(word: &str) -> Option<Vec<usize>> {
    let all = 0..TLS12_SUITES.len();
    if ALL.contains(&word) {
        return Some(all.collect());
    }
    let found: Vec<usize> = all
        .filter(|i| TLS12_SUITES[*i].0 == word || TLS12_SUITES[*i].1.contains(&word))
        .collect();
    let known = NONE.contains(&word) || word.split('-').all(|p| PARTS.contains(&p));
    (known || !found.is_empty()).then_some(found)
}

fn unknown(directive: &str, word: &str, names: &[&str]) -> String {
    format!(
        "{directive}: unknown cipher '{word}'. Those there are: {}",
        names.join(":")
    )
}

/// The suites of TLS 1.2 that a cipher list names (`tls-ciphers`, as of ciphers(1)).
///
/// # Errors
/// The text for the log.
fn parse_ciphers(text: Option<&[u8]>) -> Result<Vec<SupportedCipherSuite>, String> {
    let names: Vec<&str> = TLS12_SUITES.iter().map(|s| s.0).collect();
    let Some(text) = text else {
        return Ok(TLS12_SUITES.iter().map(|s| s.2).collect());
    };
    let text = String::from_utf8_lossy(text);
    let (mut list, mut killed, mut absent) = (Vec::new(), Vec::new(), Vec::new());
    for word in text.split([':', ',', ' ', ';']).filter(|w| !w.is_empty()) {
        if word.starts_with('@') {
            continue;
        }
        let (sign, words) = match word.split_at(1) {
            (s @ ("-" | "!" | "+"), rest) => (s, rest),
            _ => ("", word),
        };
        let mut meant: Vec<usize> = (0..TLS12_SUITES.len()).collect();
        for part in words.split('+') {
            match meant_by(part) {
                Some(of_part) => meant.retain(|i| of_part.contains(i)),
                // What is taken out need not be there.
                None if sign == "-" || sign == "!" => meant.clear(),
                None => return Err(unknown("tls-ciphers", part, &names)),
            }
        }
        match sign {
            "-" => list.retain(|i| !meant.contains(i)),
            "!" => {
                list.retain(|i| !meant.contains(i));
                killed.extend(meant);
            }
            "+" => {
                let (moved, kept): (Vec<usize>, Vec<usize>) =
                    list.iter().partition(|i| meant.contains(i));
                list = kept;
                list.extend(moved);
            }
            _ => {
                if meant.is_empty() && word.contains('-') {
                    absent.push(word);
                }
                for i in meant {
                    if !list.contains(&i) && !killed.contains(&i) {
                        list.push(i);
                    }
                }
            }
        }
    }
    if list.is_empty() {
        return Err(format!(
            "tls-ciphers: '{text}' leaves no cipher. Those there are: {}",
            names.join(":")
        ));
    }
    note_absent("tls-ciphers", &absent);
    Ok(list.into_iter().map(|i| TLS12_SUITES[i].2).collect())
}

/// The suites of TLS 1.3 that a list names (`tls-ciphersuites`).
///
/// # Errors
/// The text for the log.
fn parse_ciphersuites(text: Option<&[u8]>) -> Result<Vec<SupportedCipherSuite>, String> {
    let Some(text) = text else {
        return Ok(TLS13_SUITES.iter().map(|s| s.1).collect());
    };
    let text = String::from_utf8_lossy(text);
    let names: Vec<&str> = TLS13_SUITES.iter().map(|s| s.0).collect();
    let (mut list, mut absent) = (Vec::new(), Vec::new());
    for word in text.split([':', ',', ' ']).filter(|w| !w.is_empty()) {
        match TLS13_SUITES.iter().find(|s| s.0 == word) {
            Some((_, suite)) if !list.contains(suite) => list.push(*suite),
            Some(_) => {}
            None if TLS13_OTHERS.contains(&word) => absent.push(word),
            None => return Err(unknown("tls-ciphersuites", word, &names)),
        }
    }
    if list.is_empty() {
        return Err(format!(
            "tls-ciphersuites: '{text}' leaves no cipher suite. Those there are: {}",
            names.join(":")
        ));
    }
    note_absent("tls-ciphersuites", &absent);
    Ok(list)
}

/// The suites of both versions, TLS 1.3's first.
///
/// # Errors
/// The text for the log.
pub(super) fn cipher_suites(
    ciphers: Option<&[u8]>,
    ciphersuites: Option<&[u8]>,
) -> Result<Vec<SupportedCipherSuite>, String> {
    let mut all = parse_ciphersuites(ciphersuites)?;
    all.extend(parse_ciphers(ciphers)?.into_iter().map(long_lived));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ciphers(text: &str) -> Result<Vec<&'static str>, String> {
        let list = parse_ciphers(Some(text.as_bytes()))?;
        let name = |s: &SupportedCipherSuite| {
            TLS12_SUITES
                .iter()
                .find(|t| t.2 == *s)
                .map(|t| t.0)
                .unwrap_or("?")
        };
        Ok(list.iter().map(name).collect())
    }

    #[test]
    fn cipher_lists() {
        assert_eq!(ciphers("DEFAULT").unwrap().len(), 6);
        assert_eq!(ciphers("DEFAULT:-AES128-SHA256").unwrap().len(), 6);
        assert_eq!(
            ciphers("ECDHE+aRSA+AES128:!CHACHA20:HIGH:!ECDSA:@STRENGTH").unwrap(),
            ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"]
        );
        assert_eq!(
            ciphers("DHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-CHACHA20-POLY1305").unwrap(),
            ["ECDHE-RSA-CHACHA20-POLY1305"]
        );
        assert_eq!(
            ciphers("AES128,AES256,+ECDSA").unwrap()[2..],
            [
                "ECDHE-ECDSA-AES128-GCM-SHA256",
                "ECDHE-ECDSA-AES256-GCM-SHA384"
            ]
        );
        let none = ciphers("AES128-SHA256:AES256-SHA256").unwrap_err();
        assert!(none.contains("leaves no cipher") && none.contains("ECDHE-RSA-AES128-GCM-SHA256"));
        let unknown = ciphers("ECDHE-RSA-AES512-GCM").unwrap_err();
        assert!(unknown.contains("unknown cipher 'ECDHE-RSA-AES512-GCM'"));
    }

    #[test]
    fn no_connection_ends_by_the_number_of_its_records() {
        for suite in parse_ciphers(None).unwrap().into_iter().map(long_lived) {
            let SupportedCipherSuite::Tls12(suite) = suite else {
                panic!("{suite:?} is not of TLS 1.2");
            };
            assert!(
                suite.common.confidentiality_limit >= RECORDS_MAX,
                "{suite:?}"
            );
        }
    }

    #[test]
    fn suites_and_protocols() {
        let suite = |t: &str| parse_ciphersuites(Some(t.as_bytes()));
        assert_eq!(
            suite("TLS_AES_128_GCM_SHA256:TLS_AES_128_CCM_SHA256").unwrap(),
            [suites::TLS13_AES_128_GCM_SHA256]
        );
        assert!(suite("TLS_AES_128_CCM_SHA256").is_err() && suite("TLS_AES").is_err());
        let protocols = |t: &str| parse_protocols(Some(t.as_bytes())).map(|p| p.len());
        assert_eq!(protocols("TLSv1.2"), Ok(1));
        assert_eq!(protocols("tlsv1.2 TLSv1.3 TLSv1.1"), Ok(2));
        assert!(protocols("TLSv1.1").is_err() && protocols("TLSv1.4").is_err());
    }
}
