//! Every example of `docs/` is run, as it stands there but for ports and paths.

use std::path::Path;
use std::process::Command;

use super::metrics::with_metrics;
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

fn has_curl() -> bool {
    Command::new("curl").arg("--version").output().is_ok()
}
