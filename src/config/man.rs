//! The manual pages under `docs/man`, made out of the command line's table, the directives' table and the comments of `conf/`.
//!
//! Invariant: the pages in the tree are what these say now. `AEDILE_WRITE_MAN=1 cargo test --lib man` writes them.

use std::fmt::Write as _;
use std::path::PathBuf;

use super::cmdline::{CALLED, USAGES, Usage};
use super::row::{Kind, NumberForm};
use super::{Config, Row, RowFlags, TABLE};
use crate::server::AEDILE_VERSION;

const SERVER_CONF: &str = include_str!("../../conf/aedile.conf");
const SENTINEL_CONF: &str = include_str!("../../conf/sentinel.conf");

/// Directives that are no values, and so have no row.
const ACTIONS: [&str; 5] = [
    "include",
    "user",
    "rename-command",
    "loadmodule",
    "sentinel",
];

/// A text as troff shows it unchanged, as part of a line.
fn literal(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

/// A line of prose.
fn prose(text: &str) -> String {
    let text = text.replace('\\', "\\e");
    match text.chars().next() {
        Some('.' | '\'') => format!("\\&{text}"),
        None => ".sp".into(),
        _ => text,
    }
}

fn head(name: &str, section: u8, what: &str) -> String {
    format!(
        ".\\\" Made by the tests of src/config/man.rs.\n.TH {} {section} \"\" \"Aedile {AEDILE_VERSION}\"\n.SH NAME\n{} \\- {what}\n",
        name.to_uppercase(),
        literal(name)
    )
}

fn usages<'a>(out: &mut String, all: impl Iterator<Item = (&'a str, &'a Usage)> + Clone) {
    out.push_str(".SH SYNOPSIS\n.nf\n");
    for (name, usage) in all.clone() {
        let _ = writeln!(out, ".B {} {}", literal(name), literal(usage.args));
    }
    out.push_str(".fi\n.SH DESCRIPTION\n");
    for (name, usage) in all {
        let _ = writeln!(
            out,
            ".TP\n.B {} {}\n{}.",
            literal(name),
            literal(usage.args),
            prose(usage.what)
        );
    }
}

fn see_also(out: &mut String, own: &str) {
    let pages = [
        ("aedile-server", 1),
        ("aedile-sentinel", 1),
        ("aedile-check-rdb", 1),
        ("aedile-check-aof", 1),
        ("aedile.conf", 5),
    ];
    out.push_str(".SH SEE ALSO\n");
    let others: Vec<String> = pages
        .iter()
        .filter(|(name, _)| *name != own)
        .map(|(name, section)| format!(".BR {} ({section})", literal(name)))
        .collect();
    out.push_str(&others.join(" ,\n"));
    out.push('\n');
}

fn server_page() -> String {
    let name = "aedile-server";
    let mut out = head(name, 1, "a Redis server");
    usages(&mut out, USAGES.iter().map(|u| (name, u)));
    out.push_str(
        ".PP\nWithout a configuration file the defaults hold, which\n.BR aedile.conf (5)\nlists.\n\
         .SH SIGNALS\n.TP\n.B SIGTERM, SIGINT\nEnd, as\n.BR shutdown\\-on\\-sigterm \" and \" shutdown\\-on\\-sigint\nsay: by \
         default with a snapshot where there are save points.\n.SH FILES\n.TP\n.I /etc/aedile/aedile.conf\nThe configuration, \
         where a package has installed it.\n.TP\n.I /var/lib/aedile\nSnapshots and append\\-only files, likewise.\n",
    );
    see_also(&mut out, name);
    out
}

fn called_page(name: &str, usage: &Usage) -> String {
    let what = match name {
        "aedile-sentinel" => {
            "watch Redis servers, and put a replica in the place of a master that is down"
        }
        "aedile-check-rdb" => "check and salvage snapshots",
        _ => "check and mend append\\-only files",
    };
    let mut out = head(name, 1, what);
    usages(&mut out, std::iter::once((name, usage)));
    let redis = name.replace("aedile-", "redis-");
    let _ = writeln!(
        out,
        ".PP\nThis is\n.BR aedile\\-server (1)\nunder another name;\n.B {}\nis as good.",
        literal(&redis)
    );
    if name == "aedile-sentinel" {
        directives(&mut out, SENTINEL_CONF);
    } else {
        out.push_str(".SH EXIT STATUS\n0: the file is sound");
        out.push_str(match name {
            "aedile-check-rdb" => {
                ", or nothing was lost; 1: it is not, or something was lost; 2: there is no new file.\n"
            }
            _ => ", or has been mended; 1: it is not.\n",
        });
    }
    see_also(&mut out, name);
    out
}

fn conf_page() -> String {
    let name = "aedile.conf";
    let mut out = head(name, 5, "configuration of aedile\\-server");
    directives(&mut out, SERVER_CONF);
    see_also(&mut out, name);
    out
}

fn row_of(word: &str) -> Option<&'static Row> {
    TABLE
        .iter()
        .find(|row| row.name == word || row.alias == Some(word))
}

/// What values a directive takes, its default, and what else is to be known of it.
fn facts(row: &Row) -> String {
    let config = Config::default();
    let (mut values, mut many) = (String::new(), false);
    match row.kind {
        Kind::Bool { .. } => values.push_str("yes or no"),
        Kind::Enum { names, .. } => {
            let mut names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
            names.dedup();
            values.push_str(&names.join(", "));
            many = row.has(RowFlags::MULTI_ARG);
        }
        Kind::Number { form, min, max, .. } => {
            values = match form {
                NumberForm::Integer => format!("{min} to {max}"),
                NumberForm::Memory => format!("{min} to {max} bytes"),
                NumberForm::MemoryOrPercent => format!("0 to {max} bytes, or up to {}%", -min),
                NumberForm::Octal => format!("{min:o} to {max:o}, octal"),
            }
        }
        Kind::Text { .. } | Kind::Special(_) => {}
    }
    if many {
        values.insert_str(0, "several of ");
    }
    let default = match row.name {
        // It is answered as an absolute path.
        "dir" => "./".into(),
        _ => String::from_utf8_lossy(&row.get(&config)).into_owned(),
    };
    let mut facts = Vec::new();
    if !values.is_empty() {
        facts.push(values);
    }
    facts.push(match default.as_str() {
        "" => "none by default".into(),
        default => format!("default: {default}"),
    });
    if row.has(RowFlags::IMMUTABLE) {
        facts.push("at the start only".into());
    }
    if let Some(alias) = row.alias {
        facts.push(format!("also {alias}"));
    }
    facts.join("; ")
}

/// The comments of a sample configuration, paragraph by paragraph, each under the directives that it is about.
fn directives(out: &mut String, sample: &str) {
    for (n, paragraph) in sample.split("\n\n").enumerate() {
        let mut text: Vec<&str> = Vec::new();
        let mut lines = Vec::new();
        for line in paragraph.lines() {
            if line.starts_with("####") {
                let _ = writeln!(out, ".SH {}", line.trim_matches(['#', ' ']));
                continue;
            }
            let said = line.strip_prefix('#').map(str::trim);
            let word = said.unwrap_or(line).split(' ').next().unwrap_or_default();
            let is_directive = row_of(word).is_some() || ACTIONS.contains(&word);
            match said {
                // Between what belongs together; not at the ends.
                Some("") if text.last().is_some_and(|t| !t.is_empty()) => text.push(""),
                Some("") => {}
                // A sentence goes on with more than a directive takes, or ends.
                Some(said) if !is_directive || said.ends_with(['.', ',']) => text.push(said),
                said => lines.push(said.unwrap_or(line)),
            }
        }
        if text.last().is_some_and(|t| t.is_empty()) {
            text.pop();
        }
        if text
            .first()
            .is_some_and(|t| t.starts_with("These directives of Redis"))
        {
            out.push_str(".PP\n");
            for row in TABLE
                .iter()
                .filter(|row| row.feature != super::Feature::Built)
            {
                if !row.has(RowFlags::HIDDEN) {
                    let _ = writeln!(
                        out,
                        ".TP\n.B {}\n{}.",
                        literal(row.name),
                        prose(&facts(row))
                    );
                }
            }
            continue;
        }
        if n == 0 {
            out.push_str(".SH FORM\n");
        }
        if lines.is_empty() {
            text.iter().for_each(|t| out.push_str(&(prose(t) + "\n")));
            continue;
        }
        let mut seen = Vec::new();
        for line in lines {
            let word = line.split(' ').next().unwrap_or_default();
            let what = match row_of(word) {
                Some(_) if seen.contains(&word) => continue,
                Some(row) => literal(row.name),
                None => literal(line),
            };
            let tag = if seen.is_empty() { ".TP" } else { ".TQ" };
            let facts = row_of(word).map(facts);
            let _ = match facts {
                Some(facts) => writeln!(
                    out,
                    "{tag}\n.BR {what} \" ({})\"",
                    facts.replace('\\', "\\e").replace('"', "\\(dq")
                ),
                None => writeln!(out, "{tag}\n.B {what}"),
            };
            seen.push(word);
        }
        text.iter().for_each(|t| out.push_str(&(prose(t) + "\n")));
    }
}

fn pages() -> Vec<(String, String)> {
    let mut all = vec![
        ("aedile-server.1".to_string(), server_page()),
        ("aedile.conf.5".to_string(), conf_page()),
    ];
    let called = CALLED.iter();
    all.extend(called.map(|(name, usage)| (format!("{name}.1"), called_page(name, usage))));
    all
}

#[test]
fn the_manual_pages_say_what_the_tables_say() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/man");
    let write = std::env::var("AEDILE_WRITE_MAN").is_ok_and(|v| v == "1");
    for (name, text) in pages() {
        let path = dir.join(&name);
        if write {
            std::fs::write(&path, &text).expect("written");
        }
        let there = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            there == text,
            "{name} is not what the tables say: AEDILE_WRITE_MAN=1 cargo test --lib man"
        );
    }
}

#[test]
fn every_directive_is_in_the_page_once() {
    let page = conf_page();
    for row in TABLE.iter().filter(|row| !row.has(RowFlags::HIDDEN)) {
        let name = literal(row.name);
        let tags = page.lines().filter(|l| {
            let mut words = l.split(' ');
            matches!(words.next(), Some(".B" | ".BR")) && words.next() == Some(name.as_str())
        });
        assert_eq!(tags.count(), 1, "{name}");
    }
}
