//! Checks of single values beyond their kind, and the C number reading that several directives go by. Pure functions.

use super::fields::Config;
use super::value::ShutdownFlags;

/// A host name has fewer characters (NET_HOST_STR_LEN).
const NET_HOST_STR_LEN: usize = 256;

/// Reads a whole text as C's strtoll does: leading white space and a sign are allowed, no digits are 0, and a number
/// that is too large is the nearest that fits. `None` if anything follows the digits.
pub(super) fn strtoll(text: &[u8], base: u32) -> Option<i64> {
    let is_space = |b: &u8| matches!(b, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r');
    let start = text.iter().position(|b| !is_space(b)).unwrap_or(text.len());
    let (negative, digits) = match text[start..] {
        [b'-', ref rest @ ..] => (true, rest),
        [b'+', ref rest @ ..] => (false, rest),
        ref rest => (false, rest),
    };
    if digits.is_empty() {
        // Without a number, C leaves the end at the start of the text.
        return text.is_empty().then_some(0);
    }
    let mut value: i64 = 0;
    for &digit in digits {
        let digit = i64::from(char::from(digit).to_digit(base)?);
        value = value.saturating_mul(i64::from(base));
        value = if negative {
            value.saturating_sub(digit)
        } else {
            value.saturating_add(digit)
        };
    }
    Some(value)
}

fn is_base_name(path: &[u8]) -> bool {
    memchr::memchr2(b'/', b'\\', path).is_none()
}

/// `dbfilename`.
pub(super) fn is_valid_db_filename(_: &Config, value: &[u8]) -> Result<(), String> {
    if is_base_name(value) {
        Ok(())
    } else {
        Err("dbfilename can't be a path, just a filename".into())
    }
}

/// `appendfilename`.
pub(super) fn is_valid_aof_filename(_: &Config, value: &[u8]) -> Result<(), String> {
    if value.is_empty() {
        Err("appendfilename can't be empty".into())
    } else if is_base_name(value) {
        Ok(())
    } else {
        Err("appendfilename can't be a path, just a filename".into())
    }
}

/// `appenddirname`.
pub(super) fn is_valid_aof_dirname(_: &Config, value: &[u8]) -> Result<(), String> {
    if value.is_empty() {
        Err("appenddirname can't be empty".into())
    } else if is_base_name(value) {
        Ok(())
    } else {
        Err("appenddirname can't be a path, just a dirname".into())
    }
}

/// `cluster-announce-human-nodename`: no character that means something in nodes.conf.
pub(super) fn is_valid_announced_nodename(_: &Config, value: &[u8]) -> Result<(), String> {
    if value.iter().any(|b| b"!#$%&()*+:;<>?@[]^{|}~".contains(b)) {
        return Err("Announced human node name contained invalid character".into());
    }
    Ok(())
}

/// `cluster-announce-hostname`.
pub(super) fn is_valid_announced_hostname(_: &Config, value: &[u8]) -> Result<(), String> {
    if value.len() >= NET_HOST_STR_LEN {
        return Err(format!(
            "Hostnames must be less than {NET_HOST_STR_LEN} characters"
        ));
    }
    if value
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
    {
        Ok(())
    } else {
        Err("Hostnames may only contain alphanumeric characters, hyphens or dots".into())
    }
}

/// `shutdown-on-sigint` and `shutdown-on-sigterm`.
pub(super) fn is_valid_shutdown_on_sig_flags(value: i32) -> Result<(), String> {
    if ShutdownFlags::from_bits_retain(value).contains(ShutdownFlags::SAVE_AND_NOSAVE) {
        return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".into());
    }
    Ok(())
}

/// `proc-title-template`: braces are balanced, variables are known, and something is left with an empty `{title}`.
pub(super) fn is_valid_proc_title_template(config: &Config, value: &[u8]) -> Result<(), String> {
    let invalid = || "template format is invalid or contains unknown variables".to_string();
    let mut rest = value;
    let mut shows_something = false;
    while let Some(open) = memchr::memchr(b'{', rest) {
        shows_something |= rest[..open].iter().any(|b| *b != b' ');
        rest = &rest[open + 1..];
        if let Some(after) = rest.strip_prefix(b"{") {
            shows_something = true;
            rest = after;
            continue;
        }
        let close = memchr::memchr(b'}', rest).ok_or_else(invalid)?;
        shows_something |= match &rest[..close] {
            b"title" => false,
            b"server-mode" => config.cluster_enabled || config.sentinel_mode,
            b"unixsocket" => config.unixsocket.is_some(),
            b"listen-addr" | b"config-file" | b"port" | b"tls-port" => true,
            _ => return Err(invalid()),
        };
        rest = &rest[close + 1..];
    }
    shows_something |= rest.iter().any(|b| *b != b' ');
    if shows_something {
        Ok(())
    } else {
        Err(invalid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_c_reads_them() {
        let cases: [(&str, u32, Option<i64>); 11] = [
            ("12", 10, Some(12)),
            (" -12", 10, Some(-12)),
            ("+7", 10, Some(7)),
            ("", 10, Some(0)),
            ("-", 10, None),
            (" ", 10, None),
            ("12x", 10, None),
            ("99999999999999999999", 10, Some(i64::MAX)),
            ("-99999999999999999999", 10, Some(i64::MIN)),
            ("0755", 8, Some(0o755)),
            ("8", 8, None),
        ];
        for (text, base, value) in cases {
            assert_eq!(strtoll(text.as_bytes(), base), value, "{text:?}");
        }
    }

    #[test]
    fn title_templates() {
        let config = Config::default();
        for good in [
            "{title} {listen-addr} {server-mode}",
            "x",
            "{{",
            "--a--",
            "{port}",
            "{config-file}",
        ] {
            assert!(
                is_valid_proc_title_template(&config, good.as_bytes()).is_ok(),
                "{good}"
            );
        }
        for bad in [
            "",
            "  ",
            "{title}",
            "{title",
            "{",
            "{nope}",
            "{server-mode}",
            "{unixsocket}",
        ] {
            assert!(
                is_valid_proc_title_template(&config, bad.as_bytes()).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn host_names() {
        let config = Config::default();
        assert!(is_valid_announced_hostname(&config, b"a-1.example").is_ok());
        assert_eq!(
            is_valid_announced_hostname(&config, &[b'a'; 256]),
            Err("Hostnames must be less than 256 characters".into())
        );
        assert!(is_valid_announced_nodename(&config, b"node_1-a").is_ok());
        assert!(is_valid_announced_nodename(&config, b"a,b").is_ok());
        assert!(is_valid_announced_nodename(&config, b"a|b").is_err());
    }
}
