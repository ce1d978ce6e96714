//! Runs the examples of a guide in `docs/`, as they stand there but for ports and paths.
//!
//! A section (`## `) has a folder and ports of its own; what it starts ends with it. In it
//!
//! - a comment `<!-- given: PROGRAM PORT DIR [OPTION...] -->` starts a server before the first example; `PROGRAM` is `aedile-server` or
//!   `old-server`, which is the program that the guide is run for;
//! - a comment `<!-- of: NAME... -->` says for which programs the section holds, by the names of [`Old`]; without it for all;
//! - a block ` ```sh ` is run by bash and must succeed; a block ` ```text ` behind it has lines that its output must have, in this
//!   order, where `...` stands for any text. With ` ```sh until ` it is run again until it has them: it only looks;
//! - other blocks are not run.
//!
//! Programs are found by their names: `aedile-server` and its others are the binary under test, `redis-server` is the old program.
//! Ports of the guides are replaced by free ones, `/var/lib` and `/etc` by the section's folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::conn::Conn;
use super::server::{Ended, Kind, Scratch, end_of, free_port};
use super::{HANG, wait_until};

/// Ports that the guides speak of.
const PORTS: [&str; 7] = ["26379", "16379", "16380", "6379", "6380", "6381", "9121"];
/// Of these, ports of a cluster's bus, which answers nobody.
const BUS: [&str; 2] = ["16379", "16380"];
/// Paths that the guides speak of.
const PATHS: [&str; 3] = ["/var/lib", "/var/log", "/etc"];
const BLOCK: &str = "```";

/// The program that one comes from, or goes back to.
pub struct Old {
    /// As a guide has it in `of:`.
    pub name: &'static str,
    pub program: PathBuf,
}

struct Block {
    head: String,
    text: String,
    /// Lines of its output.
    expected: Vec<String>,
}

/// A section while it runs.
struct Section<'a> {
    title: String,
    given: Vec<String>,
    of: Vec<String>,
    blocks: Vec<Block>,
    guide: &'a str,
}

fn sections<'a>(guide: &'a str, text: &str) -> Vec<Section<'a>> {
    let mut all: Vec<Section> = Vec::new();
    let mut open: Option<Block> = None;
    for line in text.lines() {
        if let Some(block) = &mut open {
            if line != BLOCK {
                block.text.push_str(line);
                block.text.push('\n');
                continue;
            }
            let block = open.take().expect("a block");
            let section = all.last_mut().expect("a section");
            match block.head.as_str() {
                "text" => {
                    let lines = block.text.lines().map(Into::into).collect();
                    section.blocks.last_mut().expect("an example").expected = lines;
                }
                "sh" | "sh until" => section.blocks.push(block),
                _ => {}
            }
        } else if let Some(head) = line.strip_prefix(BLOCK) {
            open = Some(Block {
                head: head.into(),
                text: String::new(),
                expected: Vec::new(),
            });
        } else if let Some(title) = line.strip_prefix("## ") {
            all.push(Section {
                title: title.into(),
                given: Vec::new(),
                of: Vec::new(),
                blocks: Vec::new(),
                guide,
            });
        } else if let Some(comment) = line
            .strip_prefix("<!-- ")
            .and_then(|c| c.strip_suffix(" -->"))
        {
            let section = all.last_mut().expect("a section");
            match comment.split_once(": ") {
                Some(("given", what)) => section.given.push(what.into()),
                Some(("of", names)) => {
                    section.of = names.split(' ').map(Into::into).collect();
                }
                _ => panic!("{guide}: {line}"),
            }
        }
    }
    assert!(open.is_none(), "{guide}: a block without an end");
    all
}

/// Whether a line is as expected; `...` stands for any text.
pub fn fits(line: &str, expected: &str) -> bool {
    let mut parts = expected.split("...");
    let mut rest = match line.strip_prefix(parts.next().unwrap_or_default()) {
        Some(rest) => rest,
        None => return false,
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in between {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn has_lines(output: &str, expected: &[String]) -> bool {
    let mut lines = output.lines();
    expected
        .iter()
        .all(|wanted| lines.any(|line| fits(line.trim_end(), wanted)))
}

/// What the examples of a section stand on.
struct Stage {
    scratch: Scratch,
    ports: BTreeMap<&'static str, u16>,
}

impl Stage {
    fn new(old: &Path) -> Stage {
        let scratch = Scratch::new();
        let bin = scratch.join("bin");
        std::fs::create_dir(&bin).expect("made");
        let link = |name: &str, to: &Path| {
            std::os::unix::fs::symlink(to, bin.join(name)).expect("made");
        };
        let own = PathBuf::from(Kind::Aedile.program());
        for name in ["server", "sentinel", "check-rdb", "check-aof"] {
            link(&format!("aedile-{name}"), &own);
        }
        link("redis-server", old);
        link("old-server", old);
        // An error is no success.
        let cli = "#!/bin/sh\nexec \"$REAL_CLI\" -e \"$@\"\n";
        std::fs::write(bin.join("redis-cli"), cli).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(bin.join("redis-cli"), mode).expect("set");
        for path in PATHS {
            std::fs::create_dir_all(scratch.path().join(&path[1..])).expect("made");
        }
        let ports = PORTS.iter().map(|p| (*p, free_port())).collect();
        Stage { scratch, ports }
    }

    /// The text with this stage's ports and paths.
    fn adapted(&self, text: &str) -> String {
        let mut text = text.to_string();
        for path in PATHS {
            let here = format!("{}{path}", self.scratch.path().display());
            text = text.replace(&format!("{path}/"), &format!("{here}/"));
        }
        for (documented, port) in &self.ports {
            text = replace_number(&text, documented, &port.to_string());
        }
        text
    }

    fn bash(&self, script: &str) -> Ended {
        let mut command = Command::new("bash");
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .args(["-euo", "pipefail", "-c"])
            .arg(format!("exec 2>&1\n{script}"))
            .current_dir(self.scratch.path())
            .env("REAL_CLI", found_in_path("redis-cli"))
            .env(
                "PATH",
                format!("{}:{path}", self.scratch.join("bin").display()),
            );
        end_of(command, b"")
    }

    fn start(&self, given: &str) {
        let mut words = given.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_default();
        let (program, port, dir, options) = (word(), word(), word(), word());
        let script = self.adapted(&format!(
            "mkdir -p {dir}\n{program} --port {port} --dir {dir} --daemonize yes --logfile {dir}/log --save '' \
             --repl-diskless-sync-delay 0 {options}"
        ));
        let ended = self.bash(&script);
        assert!(ended.status.success(), "{given}: {ended:?}");
        let port = self.ports[port];
        wait_until(given, || Conn::try_connect(port).is_ok());
    }
}

/// The absolute path of a program; as it is, where there is none.
pub fn found_in_path(program: impl AsRef<Path>) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dirs = std::env::split_paths(&path);
    let mut found = dirs.map(|dir| dir.join(&program)).filter(|p| p.is_file());
    found.next().unwrap_or_else(|| program.as_ref().into())
}

/// Replaces a number where it stands alone.
fn replace_number(text: &str, number: &str, by: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(number) {
        let (before, after) = (&rest[..at], &rest[at + number.len()..]);
        let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
        let alone = !digit(before.chars().last()) && !digit(after.chars().next());
        out.push_str(before);
        out.push_str(if alone { by } else { number });
        rest = after;
    }
    out + rest
}

impl Drop for Stage {
    /// Whoever listens at one of the ports was started here, as a daemon.
    fn drop(&mut self) {
        for (_, port) in self.ports.iter().filter(|(name, _)| !BUS.contains(name)) {
            let Ok(mut c) = Conn::try_connect(*port) else {
                continue;
            };
            let Ok(pid) = c.info("process_id").parse::<i32>() else {
                continue;
            };
            // SAFETY: no memory is involved.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            let until = Instant::now() + HANG;
            while Path::new(&format!("/proc/{pid}/exe")).exists() && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

impl Section<'_> {
    fn run(&self, old: &Old) {
        let Section { guide, title, .. } = self;
        let stage = Stage::new(&old.program);
        for given in &self.given {
            stage.start(given);
        }
        for block in &self.blocks {
            let script = stage.adapted(&block.text);
            let expected: Vec<String> = block.expected.iter().map(|l| stage.adapted(l)).collect();
            let from = Instant::now();
            loop {
                let ended = stage.bash(&script);
                let good = ended.status.success() && has_lines(&ended.stdout, &expected);
                if good {
                    break;
                }
                assert!(
                    block.head == "sh until" && from.elapsed() < HANG,
                    "{guide}, {title}, {}:\n{script}\nwanted: {expected:#?}\n{ended:#?}",
                    old.name
                );
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// Runs the examples of `docs/NAME` for each of these programs. Every program that the guide names in `of:` is one of `known`.
#[track_caller]
pub fn run_guide(name: &str, programs: &[Old], known: &[&str]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(name);
    let text = std::fs::read_to_string(path).expect("the guide");
    let sections = sections(name, &text);
    assert!(sections.iter().any(|s| !s.blocks.is_empty()), "no example");
    for of in sections.iter().flat_map(|s| &s.of) {
        assert!(known.contains(&of.as_str()), "{name}: nobody is {of}");
    }
    for old in programs {
        for section in &sections {
            let holds = section.of.is_empty() || section.of.iter().any(|n| n == old.name);
            if holds && !section.blocks.is_empty() {
                section.run(old);
            }
        }
    }
}
