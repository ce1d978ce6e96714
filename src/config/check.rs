//! `--check-config`: what can be said of a configuration without starting a server: lines that are at fault, all of them;
//! directives without effect; and values that are dangerous together.
//!
//! Invariant: nothing is opened but the files of the configuration, and nothing is created.

use super::error::ConfigError;
use super::fields::Config;
use super::ineffective_directives;
use super::load::check_server_config;
use crate::server::process::finding::Finding;

/// A fault in one line.
fn fault_text(error: &ConfigError) -> String {
    match error {
        ConfigError::CannotOpen { path, reason } => {
            format!("can't open '{}': {reason}", String::from_utf8_lossy(path))
        }
        ConfigError::Line { number, reason, .. } => {
            // As the start would show it, without what is secret.
            let shown = error.to_string();
            let line = shown
                .lines()
                .find_map(|l| l.strip_prefix(">>> "))
                .unwrap_or_default();
            format!("line {number}: {line}: {reason}")
        }
        ConfigError::Whole { reason } => reason.clone(),
    }
}

/// Whether an address of `bind` is one that only this host can reach.
fn is_loopback(address: &[u8]) -> bool {
    let address = address.strip_prefix(b"-").unwrap_or(address);
    address == b"localhost" || address == b"::1" || address.starts_with(b"127.")
}

/// Reads a file as a start would; what it says, and what was found.
pub(crate) fn check_config(file: &[u8], memory: u64) -> (Config, Vec<Finding>) {
    let mut config = Config::default();
    let faults = check_server_config(&mut config, file);
    let mut found: Vec<Finding> = faults
        .iter()
        .map(|e| Finding::fault(fault_text(e)))
        .collect();
    found.extend(ineffective_directives(&config).map(|name| {
        Finding::warning(format!(
            "'{name}' has no effect: what it is about is not built"
        ))
    }));
    found.extend(dangers(&config, memory));
    (config, found)
}

/// Values that are dangerous together; `memory` are the machine's bytes.
fn dangers(config: &Config, memory: u64) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut warn = |text: String| found.push(Finding::warning(text));
    let local_only = config.bind.iter().all(|a| is_loopback(a));
    let listens = config.port != 0 || config.tls_port != 0;
    let has_users = !config.users.is_empty() || !config.aclfile.is_empty();
    if listens
        && !local_only
        && config.requirepass.is_none()
        && !has_users
        && !config.protected_mode
    {
        warn(
            "no password, no protected-mode, and 'bind' lets others in: whoever reaches the port may do everything"
                .into(),
        );
    }
    if memory > 0 && config.maxmemory > memory {
        warn(format!(
            "maxmemory is {} bytes, and this machine has {memory}: it would swap, or be killed, before anything is evicted",
            config.maxmemory
        ));
    }
    if config.repl_timeout <= config.repl_ping_replica_period {
        warn(format!(
            "repl-timeout is {} and repl-ping-replica-period {} seconds: links without writes are given up before the next PING",
            config.repl_timeout, config.repl_ping_replica_period
        ));
    }
    if config.masterhost.is_some()
        && config.ready_max_lag > 0
        && config.ready_max_lag < config.repl_ping_replica_period
    {
        warn(format!(
            "ready-max-lag is {} and repl-ping-replica-period {} seconds: a replica without writes is not ready between two PINGs",
            config.ready_max_lag, config.repl_ping_replica_period
        ));
    }
    if config.masterhost.is_some() && config.requirepass.is_some() && config.masterauth.is_none() {
        warn(
            "a replica with requirepass and without masterauth: if its master has the same password, the link is refused"
                .into(),
        );
    }
    if config.min_replicas_to_write > 0 && config.min_replicas_max_lag == 0 {
        warn("min-replicas-to-write has no effect while min-replicas-max-lag is 0".into());
    }
    if config.metrics_port != 0
        && config.metrics_user.is_none()
        && !config.metrics_bind.iter().all(|a| is_loopback(a))
    {
        warn(
            "metrics-bind lets others in, and without metrics-user they are refused: set metrics-user"
                .into(),
        );
    }
    if !listens && config.unixsocket.is_none() {
        found.push(Finding::fault(
            "port, tls-port and unixsocket are all off: the server would listen nowhere",
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::process::finding::Severity;

    fn found(change: impl FnOnce(&mut Config)) -> Vec<String> {
        let mut config = Config::default();
        change(&mut config);
        let all = dangers(&config, 1 << 30);
        all.into_iter().map(|f| f.text).collect()
    }

    #[test]
    fn the_defaults_are_not_dangerous() {
        assert!(found(|_| ()).is_empty());
    }

    #[test]
    fn each_danger_is_named() {
        let open = |c: &mut Config| c.protected_mode = false;
        assert!(found(open)[0].starts_with("no password"));
        let local = |c: &mut Config| {
            c.protected_mode = false;
            c.bind = vec![b"127.0.0.1".to_vec(), b"-::1".to_vec()];
        };
        assert!(found(local).is_empty());
        assert!(found(|c| c.maxmemory = 2 << 30)[0].starts_with("maxmemory is 2147483648"));
        assert!(found(|c| c.repl_timeout = 5)[0].starts_with("repl-timeout is 5"));
        let nowhere = |c: &mut Config| c.port = 0;
        assert!(found(nowhere)[0].contains("listen nowhere"));
        let metrics = |c: &mut Config| {
            c.metrics_port = 1;
            c.metrics_bind = vec![b"*".to_vec()];
        };
        assert!(found(metrics)[0].contains("metrics-user"));
    }

    #[test]
    fn all_faults_of_a_file_are_told_and_no_secret() {
        let dir = std::env::temp_dir().join(format!("aedile-check-{}", std::process::id()));
        let log = dir.join("log");
        std::fs::create_dir_all(&dir).expect("a folder");
        let path = dir.join("c");
        let text = format!(
            "prot 1\nport x\nrequirepass a b\nio-threads 4\nport 7\nlogfile {}\n",
            log.display()
        );
        std::fs::write(&path, text).expect("written");
        let (config, found) = check_config(path.as_os_str().as_encoded_bytes(), 0);
        assert_eq!(config.port, 7);
        let faults: Vec<&str> = found
            .iter()
            .filter(|f| f.severity == Severity::Fault)
            .map(|f| f.text.as_str())
            .collect();
        assert_eq!(faults.len(), 3, "{found:?}");
        assert!(faults[0].starts_with("line 1: 'prot 1': Bad directive"));
        assert!(faults[1].starts_with("line 2: 'port x': "));
        assert!(faults[2].starts_with("line 3: ") && !faults[2].contains("a b"));
        assert!(
            found
                .iter()
                .any(|f| f.text.contains("'io-threads' has no effect"))
        );
        assert!(!log.exists());
        std::fs::remove_dir_all(&dir).expect("removed");
    }
}
