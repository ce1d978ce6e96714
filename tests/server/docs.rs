//! The operators' page: its examples are run, as they stand there but for ports and paths, and everything that is Aedile's own is on it.

use std::path::Path;
use std::process::Command;

use super::metrics::with_metrics;
use crate::need_redis;
use crate::support::guide::fits;
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

/// What `server_log!` is called with in a source: its format, with `...` for what it takes.
fn formats_of(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let built = source.split("#[cfg(test)]\nmod tests").next();
    let calls = built.unwrap_or_default().split("server_log!(");
    for call in calls.skip(1) {
        // The level comes first; it may be an expression, and has no text.
        let end = call.find(");").unwrap_or(call.len());
        let Some(begin) = call[..end].find('"') else {
            continue;
        };
        let mut format = String::new();
        let mut chars = call[begin + 1..].chars().peekable();
        let mut depth = 0;
        while let Some(c) = chars.next() {
            match c {
                '"' => break,
                '\\' => match chars.next() {
                    // The line goes on with the next one's first word.
                    Some('\n') => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                    Some('n') | None => {}
                    Some(c) => format.push(c),
                },
                '{' => {
                    depth += 1;
                    format.push_str("...");
                }
                '}' => depth -= 1,
                c if depth == 0 => format.push(c),
                _ => {}
            }
        }
        found.push(format.trim().into());
    }
    found
}

/// Each line of the log that is not Redis' own is on the operators' page, and what is there is in the sources.
#[test]
fn lines_of_the_log_that_are_ours() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/operating.md")).expect("the page");
    let (_, chapter) = page
        .split_once("## Lines that Redis does not write")
        .expect("the chapter");
    let chapter = chapter.split("\n## ").next().unwrap_or_default();
    let of_redis = include_str!("../assets/log_lines_of_redis.txt");
    let mut lines = Vec::new();
    let mut dirs = vec![root.join("src")];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                dirs.push(path);
            } else {
                let source = std::fs::read_to_string(&path).expect("a source");
                lines.extend(formats_of(&source));
            }
        }
    }
    assert!(lines.len() > 300, "{}", lines.len());
    let letters = |text: &str| text.bytes().filter(u8::is_ascii_alphabetic).count();
    let explained: Vec<&str> = page.split('`').skip(1).step_by(2).collect();
    for line in lines.iter().filter(|l| letters(l) > 2) {
        let ours = explained.iter().any(|e| letters(e) > 2 && fits(line, e));
        let theirs = of_redis.lines().any(|l| l == line);
        assert!(ours || theirs, "nobody explains {line:?}");
    }
    let rows = chapter.lines().filter_map(|l| l.strip_prefix("| `"));
    for row in rows {
        let said = row.split(" | ").next().unwrap_or_default();
        for span in said.trim_end_matches('`').split("`, `") {
            let is_said = lines.iter().any(|l| fits(l, span));
            assert!(is_said, "no line is {span:?}");
        }
    }
}
