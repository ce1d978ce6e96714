//! Every example of `docs/` is run, as it stands there but for ports and paths.

use std::path::Path;
use std::process::Command;

use super::metrics::with_metrics;
use crate::need_redis;
use crate::support::server::end_of;
use crate::support::*;

#[test]
fn examples_of_the_operators_page() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/operating.md")).expect("the page");
    let (server, port) = with_metrics(&[]);
    let conf = root.join("conf/aedile.conf");
    let mut run = 0;
    for line in text.lines().filter_map(|l| l.strip_prefix("    ")) {
        let line = line
            .replace(":9121", &format!(":{port}"))
            .replace("/etc/aedile.conf", conf.to_str().expect("text"));
        let mut words = line.split_whitespace();
        let mut command = match words.next() {
            Some("redis-cli") if !redis_available() => continue,
            Some("redis-cli") => {
                let mut c = Command::new("redis-cli");
                c.args(["-p", &server.port.to_string(), "-e"]);
                c
            }
            Some("curl") if !has_curl() => continue,
            Some("curl") => {
                let mut c = Command::new("curl");
                c.arg("--fail");
                c
            }
            Some("aedile-server") => Command::new(Kind::Aedile.program()),
            // A piece of somebody's configuration.
            _ => continue,
        };
        command.args(words).current_dir(server.scratch.path());
        let ended = end_of(command, b"");
        assert!(ended.status.success(), "{line}: {ended:?}");
        assert!(!ended.stdout.is_empty(), "{line}: {ended:?}");
        run += 1;
    }
    assert!(run > 0, "no example was run");
    // Every directive that it names is one.
    let mut c = server.connect();
    for row in text.lines().filter_map(|l| l.strip_prefix("| `")) {
        let name = row.split('`').next().unwrap_or_default();
        let is_directive =
            name.contains('-') && !name.contains(|c: char| !c.is_ascii_lowercase() && c != '-');
        if is_directive {
            assert!(
                !c.cmd(&["CONFIG", "GET", name]).pairs().is_empty(),
                "{name}"
            );
        }
    }
}

/// Fields of INFO that Redis 7.2 has and 7.0 has not.
const OF_72: &[&str] = &[
    "acl_access_denied_auth",
    "acl_access_denied_channel",
    "acl_access_denied_cmd",
    "acl_access_denied_key",
    "eventloop_cycles",
    "eventloop_duration_cmd_sum",
    "eventloop_duration_sum",
    "instantaneous_eventloop_cycles_per_sec",
    "instantaneous_eventloop_duration_usec",
    "listener0",
    "total_blocking_keys",
    "total_blocking_keys_on_nokey",
];

/// Each field of INFO that no Redis has is on the operators' page.
#[test]
fn fields_of_info_that_are_ours() {
    need_redis!();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/operating.md")).expect("the page");
    let fields = |kind: Kind| {
        let master = Server::start(kind, &["--appendonly", "yes"]);
        let of = format!("127.0.0.1 {}", master.port);
        let replica = Server::start(kind, &["--replicaof", &of]);
        let (mut m, mut r) = (master.connect(), replica.connect());
        wait_until("in sync", || r.info("master_link_status") == "up");
        let mut all = m.run("INFO everything").text() + &r.run("INFO everything").text();
        r.ok("REPLICAOF 127.0.0.1 1");
        all += &r.run("INFO everything").text();
        let names: std::collections::BTreeSet<String> = all
            .lines()
            .filter_map(|l| Some(l.split_once(':')?.0.to_string()))
            .collect();
        names
    };
    let (ours, theirs) = (fields(Kind::Aedile), fields(Kind::Redis));
    let mut own = 0;
    for name in ours
        .difference(&theirs)
        .filter(|n| !OF_72.contains(&n.as_str()))
    {
        own += 1;
        let is_certificate = name.starts_with("tls_") && name.contains("_cert_");
        let shown = match name.as_str() {
            "replica0" => "`replicaN`".into(),
            name => format!("`{name}`"),
        };
        assert!(
            is_certificate || page.contains(&shown),
            "{name} is not on the page"
        );
    }
    assert!(own > 5, "{own}");
}

fn has_curl() -> bool {
    Command::new("curl").arg("--version").output().is_ok()
}
