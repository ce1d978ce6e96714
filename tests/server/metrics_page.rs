//! The page in a real browser: it renders, follows a replica that stops and goes on, complains of nothing, asks nobody else, and
//! is accessible, in both themes and on a phone.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use super::metrics::with_metrics;
use crate::support::server::die_with_parent;
use crate::support::*;

struct Browser {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Browser {
    /// None: there is no Chromium here, and none is required.
    fn start() -> Option<Browser> {
        let names = ["chromium", "chromium-browser", "google-chrome"];
        let program = std::env::var("CHROMIUM").ok().or_else(|| {
            let is_there = |name: &&str| {
                let path = std::env::var_os("PATH").unwrap_or_default();
                std::env::split_paths(&path).any(|dir| dir.join(name).is_file())
            };
            names.into_iter().find(is_there).map(Into::into)
        });
        let required = std::env::var("AEDILE_REQUIRE_BROWSER").is_ok_and(|v| v == "1");
        let Some(program) = program else {
            assert!(!required, "no Chromium");
            eprintln!("SKIPPED: there is no Chromium (apt-get install chromium)");
            return None;
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/browser.py");
        let mut command = Command::new("python3");
        command
            .arg(script)
            .arg(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = die_with_parent(&mut command).spawn().expect("python3");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("output"));
        Some(Browser {
            child,
            input,
            output,
        })
    }

    #[track_caller]
    fn say(&mut self, command: &str) -> String {
        let input = self.input.as_mut().expect("input");
        writeln!(input, "{command}").expect("the browser listens");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("an answer");
        match line.trim_end().strip_prefix("ok") {
            Some(text) => text.trim().into(),
            None => panic!("{command}: {line}"),
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The script closes the browser at the end of its input.
        self.input = None;
        let _ = self.child.wait();
    }
}

#[test]
fn the_page_shows_a_replica_that_stops_and_goes_on() {
    let Some(mut b) = Browser::start() else {
        return;
    };
    let (master, port) = with_metrics(&["--slowlog-log-slower-than", "-1"]);
    let of = format!("127.0.0.1 {}", master.port);
    let (replica, replica_port) = with_metrics(&["--replicaof", &of]);
    let second = Server::aedile(&["--replicaof", &of]);
    let mut c = master.connect();
    for i in 0..200 {
        c.ok(&format!("SET key:{i} value EX 1000"));
    }
    // It alone is in the slow log: the page shows the latest, and replicas that acknowledge would push it out.
    c.ok("CONFIG SET slowlog-log-slower-than 0");
    c.run("GET <script>alert(1)</script>");
    c.ok("CONFIG SET slowlog-log-slower-than -1");
    b.say("size 1280 900");
    b.say("theme light");
    b.say(&format!("open http://127.0.0.1:{port}/"));
    b.say("wait 30 document.getElementById('live').textContent === 'Live'");
    let chips = "[...document.querySelectorAll('#replicas .chip')].map((e) => e.textContent)";
    b.say(&format!("wait 30 {chips}.join() === 'Online,Online'"));
    b.say("wait 10 document.querySelectorAll('#keyspace tbody tr').length === 1");
    b.say("wait 10 document.querySelectorAll('#commands tbody tr').length > 1");
    b.say("wait 10 document.querySelector('#slowlog tbody').textContent.includes('get, 2 words')");
    assert_eq!(
        b.say("eval document.body.textContent.includes('alert(1)')"),
        "false"
    );
    b.say("wait 30 document.querySelectorAll('#syncs tbody tr').length >= 1");
    b.say("wait 30 document.querySelector('#syncs').textContent.includes('It had no data yet')");
    // It follows a replica that stops, and one that goes on.
    let card = format!(
        "[...document.querySelectorAll('#replicas li')].find((e) => e.dataset.key && e.textContent.includes(':{}'))",
        replica.port
    );
    b.say(&format!(
        "wait 30 {card}.querySelector('.lag').textContent === 'up to date'"
    ));
    replica.sigstop();
    c.ok("SET more data");
    b.say(&format!(
        "wait 60 {card}.querySelector('.lag').textContent.includes('behind')"
    ));
    b.say(&format!(
        "wait 60 {card}.querySelector('.node').classList.contains('bad')"
    ));
    let line = "document.querySelector('#chart-lag').textContent.includes('behind') || \
                [...document.querySelectorAll('#chart-lag .legend b')].some((e) => parseFloat(e.textContent) > 1)";
    b.say(&format!("wait 30 {line}"));
    replica.sigcont();
    b.say(&format!(
        "wait 60 {card}.querySelector('.lag').textContent === 'up to date'"
    ));
    b.say(&format!(
        "wait 60 {card}.querySelector('.node').classList.contains('good')"
    ));
    // Charts by the keyboard.
    b.say("eval document.querySelector('#chart-lag svg').focus()");
    b.say(
        "eval document.querySelector('#chart-lag svg').dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowLeft', bubbles: true }))",
    );
    b.say("wait 5 !document.querySelector('#chart-lag .tip').hidden");
    b.say("eval document.activeElement.blur()");
    b.say("accessible");
    b.say("theme dark");
    b.say("wait 5 document.documentElement.dataset.theme === 'dark'");
    b.say("accessible");
    b.say("size 360 780");
    b.say("accessible");
    b.say("theme light");
    b.say("wait 5 document.documentElement.dataset.theme === 'light'");
    b.say("accessible");
    b.say("errors");
    b.say(&format!("elsewhere http://127.0.0.1:{port}/"));
    // The other side: a replica with its master above, and then with a link that does not work.
    b.say("size 1280 900");
    b.say(&format!("open http://127.0.0.1:{replica_port}/"));
    b.say("wait 30 document.querySelector('#master .chip')?.textContent === 'Connected'");
    b.say("accessible");
    let mut r = replica.connect();
    r.ok("CONFIG SET masterauth wrong");
    c.ok("CONFIG SET requirepass right");
    c.ok("AUTH right");
    c.run("CLIENT KILL TYPE replica");
    b.say("wait 60 !document.getElementById('problem').hidden");
    b.say("wait 10 document.getElementById('problem-text').textContent.includes('masterauth')");
    b.say("accessible");
    b.say("errors");
    drop(second);
    // A replica of a replica: all above it, the furthest one on top.
    let (last, last_port) = with_metrics(&[]);
    r.ok("CONFIG SET masterauth right");
    replica.wait_link_up();
    last.replicate(replica.port);
    last.wait_link_up();
    b.say(&format!("open http://127.0.0.1:{last_port}/"));
    let names = "[...document.querySelectorAll('#master .name')].map((e) => e.textContent).join()";
    b.say(&format!(
        "wait 30 {names} === 'Master 127.0.0.1:{},Master 127.0.0.1:{}'",
        master.port, replica.port
    ));
    b.say("wait 30 [...document.querySelectorAll('#master .chip')].every((e) => e.textContent === 'Connected')");
    b.say("accessible");
    b.say("size 360 780");
    b.say("accessible");
    r.ok("CONFIG SET masterauth wrong");
    r.run("CLIENT KILL TYPE master");
    b.say("wait 60 document.querySelector('#master .chip').textContent === 'Not connected'");
    b.say("accessible");
    b.say("errors");
}
