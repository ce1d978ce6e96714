//! What a configuration asks for and this version cannot do, where going on without it would leave a server open, or another
//! one than was meant: users, modules, TLS, cluster mode. Such a server does not start.
//!
//! Invariant: what is judged is what is in effect once all lines are read: a later `tls-port 0` takes an earlier port back.
//! Must not know: how lines are read, and the server.

use sha2::{Digest, Sha256};

use super::error::ConfigError;
use super::fields::Config;
use super::row::{Row, not_built};
use super::value::{ACL, AclPubsubDefault, DeferredLine, MODULES};

/// The first of these that is asked for. `last_lines` are the last lines of directives whose rows may refuse their value.
///
/// # Errors
/// The line and the reason.
pub(super) fn check_all_built(
    config: &Config,
    last_lines: &[(&'static Row, DeferredLine)],
) -> Result<(), ConfigError> {
    for (row, line) in last_lines {
        if let Some(reason) = row.why_refused(config) {
            return Err(ConfigError::of_line(line, &reason));
        }
    }
    let other_user = |line: &&DeferredLine| !is_the_one_user(config, &line.args);
    if let Some(line) = config.users.iter().find(other_user) {
        return Err(ConfigError::of_line(line, &not_built("user", ACL)));
    }
    if let Some(line) = config.loadmodules.first() {
        return Err(ConfigError::of_line(
            line,
            &not_built("loadmodule", MODULES),
        ));
    }
    if let Some(line) = config.module_directives.first() {
        let reason = "Module Configuration detected without loadmodule directive or no ApplyConfig call: aborting";
        return Err(ConfigError::of_line(line, reason));
    }
    Ok(())
}

/// Whether a `user` line describes the one user that this version has: `default`, who may do everything, with the password of
/// `requirepass` or none. CONFIG REWRITE of Redis 6 and later leaves such a line in every file.
fn is_the_one_user(config: &Config, args: &[Vec<u8>]) -> bool {
    let Some((name, rules)) = args.get(1).zip(args.get(2..)) else {
        return false;
    };
    let (mut on, mut keys, mut commands, mut password) = (false, false, false, None);
    let mut channels = config.acl_pubsub_default == AclPubsubDefault::AllChannels;
    for rule in rules {
        match &rule.to_ascii_lowercase()[..] {
            b"on" => on = true,
            b"off" => on = false,
            b"~*" | b"allkeys" => keys = true,
            b"&*" | b"allchannels" => channels = true,
            b"+@all" | b"allcommands" => commands = true,
            b"sanitize-payload" => {}
            b"nopass" => password = Some(config.requirepass.is_none()),
            // A second one besides the right one would be another way in.
            _ if password.is_none() => password = Some(is_required(config, rule)),
            _ => return false,
        }
    }
    name == b"default" && on && keys && channels && commands && password == Some(true)
}

/// Whether `rule` is the password of `requirepass`: `>` and its text, or `#` and its SHA-256.
fn is_required(config: &Config, rule: &[u8]) -> bool {
    let Some(password) = &config.requirepass else {
        return false;
    };
    let digest: String = Sha256::digest(password)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    rule == [b">", &password[..]].concat() || rule == [b"#", digest.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::super::load::load_server_config;
    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let mut config = Config::default();
        load_server_config(&mut config, None, None, text.as_bytes()).map(|()| config)
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_its_line() {
        let cases = [
            ("tls-port 6390", "'tls-port' asks for TLS"),
            ("tls-replication yes", "'tls-replication' asks for TLS"),
            ("tls-cluster yes", "'tls-cluster' asks for TLS"),
            (
                "aclfile users.acl",
                "'aclfile' asks for access control lists",
            ),
            (
                "cluster-enabled yes",
                "'cluster-enabled' asks for cluster mode",
            ),
            ("loadmodule /x.so 1", "'loadmodule' asks for modules"),
            ("user bob on >x", "'user' asks for access control lists"),
        ];
        for (line, reason) in cases {
            // The options begin behind the line end of a file that is not there.
            let error = load(&format!("port 1\n{line}\nport 2\n")).expect_err(line);
            let text = format!(
                "\n*** FATAL CONFIG FILE ERROR (Redis 7.2.4) ***\nReading the configuration file, at line 3\n\
                 >>> '{line}'\n{reason}, which this version does not have yet\n"
            );
            assert_eq!(error.to_string(), text);
        }
        let error = load("mod.opt 1\n").expect_err("no module");
        assert!(error.to_string().contains("Module Configuration detected"));
    }

    #[test]
    fn the_last_value_counts() {
        let text = "tls-port 6390\ncluster-enabled yes\naclfile x\ntls-replication yes\ntls-port 0\n\
                    cluster-enabled no\naclfile \"\"\ntls-replication no\nactivedefrag yes\n";
        assert!(load(text).is_ok());
        let error = load("tls-port 6390\ntls-port 0\ntls-port 6391\n").expect_err("a port");
        assert!(
            error.to_string().contains(">>> 'tls-port 6391'\n"),
            "{error}"
        );
    }

    #[test]
    fn the_user_that_there_is() {
        // The digest is that of "foo".
        const FOO: &str = "#2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        let good = [
            "user default on nopass ~* &* +@all".to_string(),
            "user default on nopass sanitize-payload ~* &* +@all".to_string(),
            "user default on nopass allkeys allchannels allcommands".to_string(),
            "acl-pubsub-default allchannels\nuser default on nopass ~* +@all".to_string(),
            format!("requirepass foo\nuser default on sanitize-payload {FOO} ~* &* +@all"),
            "requirepass foo\nuser default on >foo ~* &* +@all".to_string(),
        ];
        for text in good {
            assert!(load(&text).is_ok(), "{text}");
        }
        let bad = [
            "user default on nopass ~* +@all".to_string(),
            "user default on nopass ~* &* +@all -flushall".to_string(),
            "user default off nopass ~* &* +@all".to_string(),
            "user default on ~* &* +@all".to_string(),
            "user default on nopass ~x* &* +@all".to_string(),
            "user default on nopass ~* &* +@all skip-sanitize-payload".to_string(),
            "user default".to_string(),
            "user Default on nopass ~* &* +@all".to_string(),
            format!("user default on {FOO} ~* &* +@all"),
            format!("requirepass bar\nuser default on {FOO} ~* &* +@all"),
            "requirepass foo\nuser default on nopass ~* &* +@all".to_string(),
            "requirepass foo\nuser default on >foo >bar ~* &* +@all".to_string(),
            "user default on nopass ~* &* +@all\nuser bob on".to_string(),
        ];
        for text in bad {
            assert!(load(&text).is_err(), "{text}");
        }
    }
}
