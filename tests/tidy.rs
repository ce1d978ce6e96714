//! Style and structure as an executable test: floors, circles of files, headers, file length, `unsafe`, leftovers, machine
//! paths.
//!
//! Reads the sources as text. Comments and string literals are blanked out before code is judged, so that neither can
//! hide or fake a finding. The checker is itself tested on small bad snippets.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines a file may have, unless it is a pure table.
const MAX_LINES: usize = 1500;

/// The folders of `src` and their floors. A file imports only from lower floors or its own folder.
const FLOORS: &[(&str, u8)] = &[
    ("base", 0),
    ("ae", 0),
    ("ds", 1),
    ("wire", 2),
    ("store", 3),
    ("server", 4),
];

/// Files that live on a lower floor than their folder: they hold the values of the directives and know nobody.
const LOWER: &[(&str, u8)] = &[
    ("config::fields", 3),
    ("config::value", 3),
    // The machine, and what the server keeps of scripts.
    ("script::lua", 1),
    ("script::libraries", 2),
    ("script::source", 2),
    ("script::cache", 4),
    ("script::convert", 4),
    ("script::flags", 4),
    ("script::debugger::session", 4),
    ("script::debugger::show", 4),
    ("script::debugger::wire", 4),
    ("script::function_set", 4),
    ("script::known", 4),
    ("script::machine", 4),
    ("script::state", 4),
    // What a client and the server keep of users.
    ("acl::user", 4),
    ("acl::state", 4),
    ("acl::log", 4),
    ("acl::rules", 4),
    ("acl::describe", 4),
    // What the server keeps for its metrics, and what of them needs no server.
    ("metrics::exposition", 4),
    ("metrics::history", 4),
    ("metrics::http", 4),
    ("metrics::state", 4),
    // What the server keeps of a Sentinel's.
    ("sentinel::instance", 4),
    ("sentinel::state", 4),
    // What the server keeps of its cluster.
    ("cluster::node", 4),
    ("cluster::state", 4),
    ("cluster::home", 4),
    ("cluster::migration::state", 4),
];

/// Everything else under `src`.
const TOP_FLOOR: u8 = 5;

/// Where `unsafe` may stand.
const UNSAFE_HOMES: &[&str] = &["base/sys", "base/alloc", "ds/", "store/entry", "script/lua"];

/// A finding: file, line, what is wrong.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    what: String,
}

fn floor(room: &str) -> u8 {
    FLOORS
        .iter()
        .find(|(name, _)| *name == room)
        .map_or(TOP_FLOOR, |(_, n)| *n)
}

/// The folder (or top-level file) of a path relative to `src`.
fn room_of(path: &str) -> &str {
    path.split('/').next().unwrap_or("").trim_end_matches(".rs")
}

/// The source with comments and the insides of string and char literals replaced by blanks; line numbers are kept.
fn code_only(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut out = String::with_capacity(source.len());
    let mut i = 0;
    let blank = |out: &mut String, b: u8| out.push(if b == b'\n' { '\n' } else { ' ' });
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    while i < bytes.len() {
        let rest = &bytes[i..];
        if rest.starts_with(b"//") {
            while i < bytes.len() && bytes[i] != b'\n' {
                blank(&mut out, bytes[i]);
                i += 1;
            }
        } else if rest.starts_with(b"/*") {
            let mut depth = 0;
            while i < bytes.len() {
                if bytes[i..].starts_with(b"/*") {
                    depth += 1;
                    out.push_str("  ");
                    i += 2;
                } else if bytes[i..].starts_with(b"*/") {
                    depth -= 1;
                    out.push_str("  ");
                    i += 2;
                    if depth == 0 {
                        break;
                    }
                } else {
                    blank(&mut out, bytes[i]);
                    i += 1;
                }
            }
        } else if let Some((skip, hashes)) = raw_string(rest, i == 0 || !is_name(bytes[i - 1])) {
            for _ in 0..skip {
                out.push(' ');
            }
            i += skip;
            let close: Vec<u8> = std::iter::once(b'"')
                .chain(std::iter::repeat_n(b'#', hashes))
                .collect();
            while i < bytes.len() && !bytes[i..].starts_with(&close) {
                blank(&mut out, bytes[i]);
                i += 1;
            }
            for _ in 0..close.len().min(bytes.len() - i) {
                out.push(' ');
                i += 1;
            }
        } else if bytes[i] == b'"' {
            out.push('"');
            i += 1;
            while i < bytes.len() && bytes[i] != b'"' {
                if bytes[i] == b'\\' && i + 1 < bytes.len() {
                    out.push(' ');
                    i += 1;
                }
                blank(&mut out, bytes[i]);
                i += 1;
            }
            if i < bytes.len() {
                out.push('"');
                i += 1;
            }
        } else if bytes[i] == b'\'' && char_literal(rest) > 0 {
            let len = char_literal(rest);
            for _ in 0..len {
                out.push(' ');
            }
            i += len;
        } else {
            out.push(if bytes[i].is_ascii() {
                bytes[i] as char
            } else {
                ' '
            });
            i += 1;
        }
    }
    out
}

/// Length of the opening of a raw string and its number of hashes, if one starts here.
fn raw_string(rest: &[u8], at_word_start: bool) -> Option<(usize, usize)> {
    if !at_word_start {
        return None;
    }
    let prefix = [&b"br"[..], b"cr", b"r"]
        .iter()
        .find(|p| rest.starts_with(p))?
        .len();
    let hashes = rest[prefix..].iter().take_while(|&&b| b == b'#').count();
    (rest.get(prefix + hashes) == Some(&b'"')).then_some((prefix + hashes + 1, hashes))
}

/// Length of a char or byte literal that starts here, or 0 for a lifetime.
fn char_literal(rest: &[u8]) -> usize {
    if rest.get(1) == Some(&b'\\') {
        // The escaped character itself may be a quote.
        return rest[3.min(rest.len())..]
            .iter()
            .take(10)
            .position(|&b| b == b'\'')
            .map_or(0, |n| n + 4);
    }
    // One character of up to four bytes.
    (2..=5)
        .find(|&n| rest.get(n) == Some(&b'\''))
        .filter(|&n| n == 2 || rest[1] >= 0x80)
        .map_or(0, |n| n + 1)
}

/// The first path segments that a file names after `crate::`, with their lines. Reads `use crate::{a::b, c}` too.
fn crate_paths(code: &str) -> Vec<(usize, String, String)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(n) = code[from..].find("crate::") {
        let at = from + n;
        from = at + "crate::".len();
        let before = code[..at].bytes().next_back();
        if before.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'$') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let rest = code[from..].trim_start();
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 1;
            let mut item = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                if depth == 0 || (depth == 1 && c == ',') {
                    push_path(&mut found, line, &item);
                    item.clear();
                } else {
                    item.push(c);
                }
                if depth == 0 {
                    break;
                }
            }
        } else {
            let end = rest
                .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'))
                .unwrap_or(rest.len());
            push_path(&mut found, line, &rest[..end]);
        }
    }
    found
}

fn push_path(found: &mut Vec<(usize, String, String)>, line: usize, path: &str) {
    let path = path.trim();
    let first: String = path
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    if !first.is_empty() && first != "self" {
        found.push((line, first, path.to_string()));
    }
}

/// The module that a file under `src` is.
fn module_of(path: &str) -> String {
    let module = path.trim_end_matches(".rs").trim_end_matches("/mod");
    module.replace('/', "::")
}

/// Whether `path`, of modules, is `module` or leads into it.
fn is_within(path: &str, module: &str) -> bool {
    path.strip_prefix(module)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The floor of a module that stands lower than its room.
fn lowered(module: &str) -> Option<u8> {
    let found = LOWER.iter().find(|(name, _)| is_within(module, name));
    found.map(|(_, floor)| *floor)
}

/// Why `path` may not import from `room`, if so.
fn forbidden_import(path: &str, room: &str, import: &str) -> Option<String> {
    let own = room_of(path);
    // Of the files of a room of the top floor that stand lower, each has its own floor.
    let lowered = lowered(&module_of(path));
    let own_floor = lowered.unwrap_or(floor(own));
    if let Some((_, to)) = LOWER.iter().find(|(name, _)| is_within(import, name)) {
        return (own_floor < *to).then(|| {
            format!("an import climbs from floor {own_floor} ({path}) to floor {to} ({import})")
        });
    }
    if own == "lib" || own == "main" || own == room && lowered.is_none() {
        return None;
    }
    // Items at the crate's root (macros, constants) belong to no floor.
    if !ROOMS.contains(&room) && floor(room) == TOP_FLOOR {
        return None;
    }
    let (from, to) = (own_floor, floor(room));
    if path == "server/process/startup.rs" {
        return None;
    }
    if from == TOP_FLOOR && to == TOP_FLOOR {
        return (own != "commands").then(|| {
            format!("{own} and {room} meet only through Server: move the call to a method or hook of server/")
        });
    }
    let beside = to == from && own != room && lowered.is_none();
    (to > from || beside)
        .then(|| format!("an import climbs from floor {from} ({own}) to floor {to} ({room})"))
}

/// The rooms of the top floor.
const ROOMS: &[&str] = &[
    "commands",
    "replication",
    "persist",
    "config",
    "acl",
    "script",
    "pubsub",
    "tracking",
    "info",
    "latency",
    "slowlog",
    "sentinel",
    "cluster",
    "modules",
    "tls",
];

/// Paths that exist on one machine only. Spelled in two parts, or this file would find itself.
fn machine_paths() -> Vec<String> {
    [
        ("/wo", "rk/"),
        ("/tmp/scr", "atch"),
        ("/ro", "ot/"),
        ("/ho", "me/"),
    ]
    .iter()
    .map(|(a, b)| format!("{a}{b}"))
    .collect()
}

/// All findings in one file under `src`; `path` is relative to it.
fn check_source(path: &str, source: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |line: usize, what: String| {
        findings.push(Finding {
            path: path.to_string(),
            line,
            what,
        });
    };
    if !source.starts_with("//!") {
        add(1, "the file does not open with //!".to_string());
    }
    let lines: Vec<&str> = source.lines().collect();
    if lines.len() > MAX_LINES && !path.split('/').any(|p| p == "table") {
        add(
            lines.len(),
            format!("{} lines are more than {MAX_LINES}", lines.len()),
        );
    }
    let code = code_only(source);
    for (line, room, import) in crate_paths(&code) {
        if let Some(why) = forbidden_import(path, &room, &import) {
            add(line, why);
        }
    }
    for (i, line) in code.lines().enumerate() {
        let n = i + 1;
        for word in ["todo!", "unimplemented!", "#[ignore"] {
            if line.contains(word) {
                add(n, format!("{word} is left"));
            }
        }
        if has_word(line, "unsafe") {
            if !UNSAFE_HOMES.iter().any(|home| path.starts_with(home)) {
                add(n, "unsafe outside its homes".to_string());
            }
            let opens_block = line
                .split("unsafe")
                .skip(1)
                .any(|after| after.trim_start().starts_with('{'))
                || (line.trim_end().ends_with("unsafe")
                    && code
                        .lines()
                        .nth(n)
                        .is_some_and(|next| next.trim_start().starts_with('{')))
                || line.contains("unsafe impl");
            if opens_block && !has_safety_comment(&lines, i) {
                add(
                    n,
                    "unsafe without // SAFETY: in the three lines above".to_string(),
                );
            }
        }
    }
    for finding in check_text(path, source) {
        findings.push(finding);
    }
    findings
}

/// The comment block directly above line `i` (or within three lines) explains the block.
fn has_safety_comment(lines: &[&str], i: usize) -> bool {
    if lines[i].contains("// SAFETY:") {
        return true;
    }
    let mut j = i;
    let mut code_lines = 0;
    while j > 0 {
        j -= 1;
        let line = lines[j].trim_start();
        if line.starts_with("// SAFETY:") {
            return true;
        }
        if !line.starts_with("//") && !line.starts_with("#[") {
            code_lines += 1;
            if code_lines >= 3 {
                return false;
            }
        }
    }
    false
}

fn has_word(line: &str, word: &str) -> bool {
    let is_name = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    line.match_indices(word).any(|(at, _)| {
        !is_name(line[..at].bytes().next_back()) && !is_name(line[at + word.len()..].bytes().next())
    })
}

/// What no text file of the project may contain, comments included.
fn check_text(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let fixme = format!("FIX{}", "ME");
    for (i, line) in text.lines().enumerate() {
        let mut add = |what: String| {
            findings.push(Finding {
                path: path.to_string(),
                line: i + 1,
                what,
            });
        };
        if line.contains(&fixme) {
            add(format!("{fixme} is left"));
        }
        for machine in machine_paths() {
            if line.contains(&machine) {
                add(format!("a path of one machine: {machine}"));
            }
        }
    }
    findings
}

/// Names of the methods in a file's `impl Server` blocks.
fn server_methods(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in code.lines() {
        match line {
            "impl Server {" => inside = true,
            "}" => inside = false,
            _ => {}
        }
        let Some(declared) = line.strip_prefix("    ").filter(|_| inside) else {
            continue;
        };
        let head = declared.split("fn ").next().unwrap_or_default();
        let is_method = declared.contains("fn ")
            && head.split_whitespace().all(|w| {
                w.starts_with("pub") || ["in", "const", "unsafe"].contains(&w) || w.ends_with(')')
            })
            && !declared.starts_with(' ');
        if is_method && let Some((_, rest)) = declared.split_once("fn ") {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            found.push(rest[..end.unwrap_or(rest.len())].to_string());
        }
    }
    found
}

/// Names that the code calls as methods, or by the path of a type, with their lines.
fn called_methods(code: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (i, line) in code.lines().enumerate() {
        for (at, _) in line.match_indices('(') {
            let before = &line[..at];
            let name_from = before
                .rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .map_or(0, |n| n + 1);
            let qualifier = &before[..name_from];
            let by_path = qualifier.ends_with("Self::") || qualifier.ends_with("Server::");
            if name_from < at && (qualifier.ends_with('.') || by_path) {
                found.push((i + 1, before[name_from..].to_string()));
            }
        }
    }
    found
}

/// The second column of a table in a file's head: names in backticks.
fn listed_in_table(source: &str) -> Vec<(usize, String)> {
    let head = source.lines().enumerate();
    head.take_while(|(_, l)| l.starts_with("//!"))
        .filter_map(|(i, l)| {
            let cell = l.split('|').nth(2)?;
            let name = cell.trim().strip_prefix('`')?.strip_suffix('`')?;
            Some((i + 1, name.to_string()))
        })
        .collect()
}

const HOOKS: &str = "server/hooks.rs";

/// What floor 4 calls of floor 5 without its being in the list of `HOOKS`, and what is listed there for nothing.
/// `files`: paths relative to `src`, and sources.
fn check_hooks(files: &[(String, String)]) -> Vec<Finding> {
    let code: Vec<(&str, String)> = files
        .iter()
        .map(|(path, source)| {
            let code = code_only(source);
            // Tests call what they like.
            let end = code.find("\nmod tests {").unwrap_or(code.len());
            (path.as_str(), code[..end].to_string())
        })
        .collect();
    let is_top =
        |path: &str| floor(room_of(path)) == TOP_FLOOR && lowered(&module_of(path)).is_none();
    let methods = |top: bool| -> Vec<String> {
        let files = code.iter().filter(|(p, _)| is_top(p) == top);
        files.flat_map(|(_, c)| server_methods(c)).collect()
    };
    let (above, below) = (methods(true), methods(false));
    let listed = files
        .iter()
        .find(|(path, _)| path == HOOKS)
        .map(|(_, source)| listed_in_table(source))
        .unwrap_or_default();
    let mut findings = Vec::new();
    let mut used = Vec::new();
    let calls = |path: &str| room_of(path) == "server" || lowered(&module_of(path)) == Some(4);
    for (path, code) in code.iter().filter(|(p, _)| calls(p)) {
        for (line, name) in called_methods(code) {
            if !above.contains(&name) || below.contains(&name) {
                continue;
            }
            if !listed.iter().any(|(_, l)| *l == name) {
                findings.push(Finding {
                    path: path.to_string(),
                    line,
                    what: format!("{name} is a method of floor 5 that {HOOKS} does not list"),
                });
            }
            used.push(name);
        }
    }
    for (line, name) in listed {
        if !used.contains(&name) {
            findings.push(Finding {
                path: HOOKS.to_string(),
                line,
                what: format!("nothing here calls {name} of floor 5"),
            });
        }
    }
    findings
}

/// The file whose items anybody may name: the fields of `Server` are its rooms' own types, and the rooms are its methods.
const HUB: &str = "server";

/// Circles of files that are meant: their modules in order, and why.
const CIRCLES: &[(&[&str], &str)] = &[
    (
        &["ae", "ae::file_event", "ae::time_event"],
        "the loop owns what its two kinds of events keep, and they are the loop's own methods",
    ),
    (
        &[
            "script::libraries",
            "script::libraries::cjson",
            "script::libraries::format",
            "script::libraries::random",
            "script::libraries::string",
        ],
        "what the libraries remember between calls is one value, of types of their own",
    ),
    (
        &["store::entry", "store::entry::value"],
        "an entry frees its value, and a value is put together from an entry's header and slot",
    ),
];

/// A `use`, one for each path of a group.
struct Import {
    line: usize,
    path: String,
    /// What the path is called in the file.
    name: String,
    /// It is shown to others.
    shown: bool,
}

/// A file under `src` as the look for circles needs it.
struct Module {
    path: String,
    name: String,
    imports: Vec<Import>,
    /// Children that it declares.
    children: Vec<String>,
    /// The code without tests and without `use`.
    body: String,
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// Reads a path with its groups, behind `prefix`; adds each with the name that it gets, and returns what is left.
fn read_path<'a>(code: &'a str, prefix: &str, found: &mut Vec<(String, String)>) -> &'a str {
    let mut path = prefix.to_string();
    let mut rest = code.trim_start();
    loop {
        let (name, behind) = rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len()));
        path.push_str(name);
        rest = behind;
        let Some(behind) = rest.strip_prefix("::") else {
            break;
        };
        path.push_str("::");
        rest = behind;
        if let Some(group) = rest.strip_prefix('{') {
            rest = group.trim_start();
            while !rest.is_empty() && !rest.starts_with('}') {
                rest = read_path(rest, &path, found);
                rest = rest.trim_start_matches(|c: char| c == ',' || c == '*' || c.is_whitespace());
            }
            return rest.strip_prefix('}').unwrap_or(rest);
        }
    }
    let path = path.trim_end_matches("::self").to_string();
    let mut name = path.rsplit("::").next().unwrap_or_default().to_string();
    if let Some(alias) = rest.strip_prefix(" as ") {
        let end = alias.find(|c| !is_name(c)).unwrap_or(alias.len());
        name = alias[..end].to_string();
        rest = &alias[end..];
    }
    found.push((path, name));
    rest
}

impl Module {
    fn new(path: &str, source: &str) -> Module {
        let code = code_only(source);
        // Tests import what they like.
        let end = code.find("\nmod tests {").unwrap_or(code.len());
        let code = &code[..end];
        let mut imports = Vec::new();
        let mut body = String::new();
        let mut at = 0;
        while let Some(n) = code[at..].find("use ") {
            let start = at + n;
            let line_start = code[..start].rfind('\n').map_or(0, |n| n + 1);
            let before = code[line_start..start].trim();
            let shown = before.starts_with("pub");
            let end = code[start..].find(';').map_or(code.len(), |n| start + n);
            if !(before.is_empty() || shown) {
                body.push_str(&code[at..start + 4]);
                at = start + 4;
                continue;
            }
            let mut found = Vec::new();
            read_path(&code[start + 4..end], "", &mut found);
            let line = line_of(code, start);
            imports.extend(found.into_iter().map(|(path, name)| Import {
                line,
                path,
                name,
                shown,
            }));
            body.push_str(&code[at..line_start]);
            body.extend(code[line_start..end].chars().filter(|c| *c == '\n'));
            at = end;
        }
        body.push_str(&code[at..]);
        let declared = code.lines().filter_map(|l| l.split_once("mod "));
        Module {
            path: path.to_string(),
            name: path
                .trim_end_matches(".rs")
                .trim_end_matches("/mod")
                .replace('/', "::"),
            imports,
            children: declared
                .filter_map(|(_, name)| Some(name.strip_suffix(';')?.to_string()))
                .collect(),
            body,
        }
    }

    /// Whether a path leads into the crate when this file says it.
    fn is_ours(&self, path: &str) -> bool {
        let first = path.split("::").next().unwrap_or_default();
        ["crate", "super", "self"].contains(&first) || self.children.iter().any(|c| c == first)
    }

    /// The paths into the crate that the file needs, with their lines. What it shows to others and has no use for itself is
    /// needed by those.
    fn needs(&self) -> Vec<(usize, String)> {
        let used = self.imports.iter().filter(|i| {
            self.is_ours(&i.path)
                && (!i.shown || self.body.lines().any(|line| has_word(line, &i.name)))
        });
        let mut needs: Vec<_> = used.map(|i| (i.line, i.path.clone())).collect();
        let mut at = 0;
        while let Some(n) = self.body[at..].find("::") {
            let colons = at + n;
            let start = self.body[..colons].rfind(|c| !is_name(c));
            let start = start.map_or(0, |n| n + 1);
            let before = self.body[..start].trim_end();
            // `pub(in ...)` says who may look, and needs nobody.
            let is_start = !before.ends_with("::") && !before.ends_with("(in") && start >= at;
            let first = &self.body[start..colons];
            // A path may go on from what a `use` has named.
            let import = self.imports.iter().find(|i| i.name == first);
            let import = import.map_or(first, |i| &i.path);
            if !is_start || !self.is_ours(import) {
                at = colons + 2;
                continue;
            }
            let mut found = Vec::new();
            let rest = read_path(&self.body[colons..], import, &mut found);
            let line = line_of(&self.body, start);
            needs.extend(found.into_iter().map(|(path, _)| (line, path)));
            at = (self.body.len() - rest.len()).max(colons + 2);
        }
        needs
    }
}

/// The file that has what `path` names in `modules[from]`; what a file shows of others is theirs.
fn resolve(modules: &[Module], from: usize, path: &str, steps: usize) -> Option<usize> {
    if !modules[from].is_ours(path) || steps == 0 {
        return None;
    }
    let mut names: Vec<&str> = modules[from].name.split("::").collect();
    for (i, name) in path.split("::").enumerate() {
        match name {
            "crate" => names.clear(),
            "self" if i == 0 => {}
            "super" => drop(names.pop()),
            name => names.push(name),
        }
    }
    for known in (1..=names.len()).rev() {
        let name = names[..known].join("::");
        let Some(at) = modules.iter().position(|m| m.name == name) else {
            continue;
        };
        let Some(item) = names.get(known) else {
            return Some(at);
        };
        let elsewhere = modules[at].imports.iter().find(|i| i.name == *item);
        let elsewhere = elsewhere.and_then(|i| {
            let behind = names[known + 1..].iter().map(|n| format!("::{n}"));
            let path = i.path.clone() + &behind.collect::<String>();
            resolve(modules, at, &path, steps - 1)
        });
        return Some(elsewhere.unwrap_or(at));
    }
    None
}

/// The circles that files make by what they need of each other: the modules of each in order, and what they need. Tests do not
/// count, nor does who declares a module. `files`: paths relative to `src`, and sources.
fn find_circles(files: &[(String, String)]) -> Vec<(Vec<String>, Vec<Finding>)> {
    let counts = |path: &str| {
        let name = path.trim_end_matches(".rs");
        !["lib", "main", "fuzz"].contains(&name) && !name.ends_with("tests")
    };
    let files = files.iter().filter(|(path, _)| counts(path));
    let modules: Vec<Module> = files.map(|(p, s)| Module::new(p, s)).collect();
    let mut needs: Vec<(usize, usize, Finding)> = Vec::new();
    for (from, module) in modules.iter().enumerate() {
        for (line, named) in module.needs() {
            let to = resolve(&modules, from, &named, 8);
            let Some(to) = to.filter(|to| *to != from && modules[*to].name != HUB) else {
                continue;
            };
            let finding = Finding {
                path: module.path.clone(),
                line,
                what: format!("{named} is a step in a circle of files"),
            };
            needs.push((from, to, finding));
        }
    }
    let reached = |start: usize| {
        let mut reached = vec![false; modules.len()];
        let mut next = vec![start];
        while let Some(at) = next.pop() {
            for (_, to, _) in needs.iter().filter(|(from, _, _)| *from == at) {
                if !std::mem::replace(&mut reached[*to], true) {
                    next.push(*to);
                }
            }
        }
        reached
    };
    let reached: Vec<Vec<bool>> = (0..modules.len()).map(reached).collect();
    let mut circles = Vec::new();
    for (start, from_start) in reached.iter().enumerate() {
        let both_ways = |m: &usize| from_start[*m] && reached[*m][start];
        let circle: Vec<usize> = (0..modules.len()).filter(both_ways).collect();
        if circle.first() != Some(&start) {
            continue;
        }
        let (steps, rest) = needs
            .into_iter()
            .partition(|(from, to, _)| circle.contains(from) && circle.contains(to));
        needs = rest;
        let steps: Vec<(usize, usize, Finding)> = steps;
        let mut names: Vec<String> = circle.iter().map(|&m| modules[m].name.clone()).collect();
        names.sort();
        circles.push((names, steps.into_iter().map(|(_, _, f)| f).collect()));
    }
    circles
}

/// The steps of circles that `meant` does not list, and what is listed there for nothing.
fn check_circles(files: &[(String, String)], meant: &[(&[&str], &str)]) -> Vec<Finding> {
    let (listed, other): (Vec<_>, Vec<_>) = find_circles(files)
        .into_iter()
        .partition(|(names, _)| meant.iter().any(|(listed, _)| names == listed));
    let mut findings: Vec<Finding> = other.into_iter().flat_map(|(_, steps)| steps).collect();
    for (names, _) in meant {
        if !listed.iter().any(|(found, _)| found == names) {
            findings.push(Finding {
                path: names.join(", "),
                line: 0,
                what: "is no circle of files, or not the whole of one".to_string(),
            });
        }
    }
    findings
}

fn files_under(dir: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            files_under(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn relative(path: &Path, to: &Path) -> String {
    path.strip_prefix(to)
        .unwrap_or(path)
        .to_string_lossy()
        .into_owned()
}

/// All files under `src`: paths relative to it, and sources.
fn sources() -> Vec<(String, String)> {
    let src = root().join("src");
    let mut paths = Vec::new();
    files_under(&src, &mut paths);
    paths.retain(|p| p.extension().is_some_and(|e| e == "rs"));
    paths.sort();
    let read = |p: &PathBuf| (relative(p, &src), fs::read_to_string(p).expect("a source"));
    paths.iter().map(read).collect()
}

#[test]
fn imports_make_no_circles() {
    report(&check_circles(&sources(), CIRCLES));
}

#[test]
fn a_circle_of_files_is_found_however_it_is_written() {
    let circles = |files: &[(&str, &str)]| -> Vec<Vec<String>> {
        let files: Vec<(String, String)> = files
            .iter()
            .map(|(p, s)| (format!("{p}.rs"), s.to_string()))
            .collect();
        find_circles(&files).into_iter().map(|c| c.0).collect()
    };
    let ab = [vec!["a".to_string(), "b".to_string()]];
    let to_b = ("a", "use crate::b::B;\n");
    let back = [
        "use crate::a::A;\n",
        "use crate::{c::C, a::{self, A as X}};\n",
        "fn f() { crate::a::f() }\n",
        "use super::a;\n",
        "use crate::{c, a};\nfn f() { a::f() }\n",
    ];
    for source in back {
        assert_eq!(circles(&[to_b, ("b", source), ("c", "")]), ab, "{source}");
    }
    let no_way_back = [
        "// use crate::a::A;\n",
        "const S: &str = \"crate::a::A\";\n",
        "pub(in crate::a) fn f() {}\n",
        "use other::crate_a::a::A;\n",
        "fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n",
    ];
    for source in no_way_back {
        assert!(circles(&[to_b, ("b", source)]).is_empty(), "{source}");
    }
    // A longer way round; who is beside it is no part of it.
    let long = [
        to_b,
        ("b", "use crate::c::d::D;\n"),
        ("c/mod", "mod d;\nuse crate::a::A;\n"),
        ("c/d", "use super::C;\n"),
        ("e", "use crate::a::A;\n"),
    ];
    assert_eq!(circles(&long), [["a", "b", "c", "c::d"]]);
    // A path that goes on from a `use`.
    let room = ("c/mod", "pub mod d;\n");
    let on = ("a", "use crate::c;\nfn f() { c::d::f() }\n");
    assert_eq!(
        circles(&[on, room, ("c/d", "use crate::a::A;\n")]),
        [["a", "c::d"]]
    );
    // A parent that declares its child, and shows what is in it; one that has use for it, too.
    let child = ("a/b", "use super::A;\n");
    for source in ["mod b;\n", "pub mod b;\npub(crate) use self::b::{B, C};\n"] {
        assert!(circles(&[("a", source), child]).is_empty(), "{source}");
    }
    let needs = [
        "mod b;\nuse b::B;\n",
        "mod b;\npub use self::b::B;\nfn f() { B }\n",
        "mod b;\nfn f() { b::f() }\n",
    ];
    for source in needs {
        assert_eq!(
            circles(&[("a", source), child]),
            [["a", "a::b"]],
            "{source}"
        );
    }
    // Who takes from a parent what it shows of its child needs the child, not the parent.
    let parent = ("p/mod", "mod x;\npub use x::X;\nuse crate::a::A;\n");
    let taker = ("a", "use crate::p::X;\n");
    assert!(circles(&[parent, ("p/x", ""), taker]).is_empty());
    let x = ("p/x", "use crate::a::A;\n");
    assert_eq!(circles(&[parent, x, taker]), [["a", "p::x"]]);
    // The hub, and a test's file.
    let hub = ("server/mod", "use crate::b::B;\n");
    assert!(circles(&[hub, ("b", "use crate::server::Server;\n")]).is_empty());
    assert!(circles(&[to_b, ("b", ""), ("b_tests", "use crate::a::A;\n")]).is_empty());
}

#[test]
fn a_circle_that_is_meant_is_listed_as_a_whole() {
    let file = |path: &str, source: &str| (path.to_string(), source.to_string());
    let files = [
        file("a.rs", "use crate::b::B;\n"),
        file("b.rs", "\nuse crate::a::A;\n"),
    ];
    let check = |meant: &[(&[&str], &str)]| -> Vec<(String, usize)> {
        let found = check_circles(&files, meant);
        found.into_iter().map(|f| (f.path, f.line)).collect()
    };
    let both = [("a.rs".to_string(), 1), ("b.rs".to_string(), 2)];
    assert_eq!(check(&[]), both);
    assert_eq!(check(&[(&["a", "b"], "meant")]), []);
    let more: &[&str] = &["a", "b", "c"];
    assert_eq!(check(&[(more, "meant")])[..2], both);
    assert_eq!(check(&[(more, "meant")])[2], ("a, b, c".to_string(), 0));
}

#[test]
fn calls_of_floor_5_are_listed() {
    report(&check_hooks(&sources()));
}

#[test]
fn a_call_of_floor_5_that_is_not_listed_is_found() {
    let file = |path: &str, source: &str| (path.to_string(), source.to_string());
    let top = "impl Server {\n    pub(super) fn above(&self) {}\n    fn both(&self) {}\n    pub fn idle(\n    ) {}\n}\n";
    let calls = "impl Server {\n    fn both(&self) {\n        self.above(); self.both();\n        \"self.idle()\";\n    }\n}\n\
                 mod tests {\n    self.idle();\n}\n";
    let hooks = |list: &str| file(HOOKS, &format!("//! | moment | {list} | why |\n"));
    let check = |list: &str| {
        let files = [
            file("replication/a.rs", top),
            file("server/b.rs", calls),
            hooks(list),
        ];
        let found = check_hooks(&files);
        found
            .into_iter()
            .map(|f| (f.path, f.line))
            .collect::<Vec<_>>()
    };
    assert_eq!(check("`above`"), []);
    assert_eq!(check("nothing"), [("server/b.rs".to_string(), 3)]);
    assert_eq!(
        check("`idle`"),
        [("server/b.rs".to_string(), 3), (HOOKS.to_string(), 1)]
    );
}

#[track_caller]
fn report(findings: &[Finding]) {
    let lines: Vec<String> = findings
        .iter()
        .map(|f| format!("{}:{}: {}", f.path, f.line, f.what))
        .collect();
    assert!(findings.is_empty(), "\n{}", lines.join("\n"));
}

#[test]
fn sources_are_tidy() {
    let files = sources();
    assert!(!files.is_empty());
    let mut findings = Vec::new();
    for (path, source) in &files {
        findings.extend(check_source(path, source));
    }
    report(&findings);
}

#[test]
fn other_files_are_tidy() {
    let mut files = Vec::new();
    for dir in ["tests", "benches", "conf", "tools", ".ci"] {
        files_under(&root().join(dir), &mut files);
    }
    for name in [
        "Cargo.toml",
        "deny.toml",
        "README.md",
        "CHANGELOG.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
    ] {
        files.push(root().join(name));
    }
    let mut findings = Vec::new();
    for file in &files {
        // Golden files and the like are not text.
        let Ok(text) = fs::read_to_string(file) else {
            continue;
        };
        let path = relative(file, root());
        findings.extend(check_text(&path, &text));
        if path.ends_with(".rs") && !text.starts_with("//!") {
            findings.push(Finding {
                path,
                line: 1,
                what: "the file does not open with //!".to_string(),
            });
        }
    }
    report(&findings);
}

/// What a snippet at `path` is accused of.
fn accused(path: &str, source: &str) -> Vec<String> {
    check_source(path, source)
        .into_iter()
        .map(|f| format!("{}: {}", f.line, f.what))
        .collect()
}

#[track_caller]
fn finds(path: &str, body: &str, what: &str) {
    let found = accused(path, &format!("//! Doc.\n{body}"));
    assert!(
        found.len() == 1 && found[0].contains(what),
        "{path}: {body:?} gives {found:?}"
    );
}

#[track_caller]
fn passes(path: &str, body: &str) {
    let found = accused(path, &format!("//! Doc.\n{body}"));
    assert!(found.is_empty(), "{path}: {body:?} gives {found:?}");
}

#[test]
fn finds_climbing_imports() {
    finds(
        "base/num.rs",
        "use crate::store::db::Db;\n",
        "climbs from floor 0 (base) to floor 3 (store)",
    );
    finds("wire/resp.rs", "fn f() { crate::server::x(); }\n", "climbs");
    finds(
        "wire/resp.rs",
        "use crate::{base::num, store::db};\n",
        "floor 3 (store)",
    );
    finds(
        "wire/resp.rs",
        "use crate::{\n    base::{num, clock},\n    commands,\n};\n",
        "floor 5 (commands)",
    );
    finds(
        "server/exec.rs",
        "use crate::replication;\n",
        "floor 5 (replication)",
    );
    finds("base/log.rs", "use crate::ae::EventLoop;\n", "floor 0 (ae)");
    finds(
        "persist/load.rs",
        "use crate::replication::master;\n",
        "meet only through Server",
    );
    finds(
        "replication/mod.rs",
        "use crate::commands::string;\n",
        "meet only through Server",
    );
    finds(
        "info.rs",
        "use crate::commands::string;\n",
        "meet only through Server",
    );
    finds(
        "base/num.rs",
        "pub(crate) use crate::ds::table;\n",
        "climbs",
    );
}

#[test]
fn allows_what_the_floors_allow() {
    passes(
        "store/db.rs",
        "use crate::ds::table;\nuse crate::base::{clock, num};\n",
    );
    passes(
        "server/process/startup.rs",
        "use crate::replication;\nuse crate::config;\n",
    );
    passes(
        "commands/server.rs",
        "use crate::persist::save;\nuse crate::server::Server;\n",
    );
    passes("commands/string.rs", "use crate::commands::table;\n");
    passes("lib.rs", "pub use crate::server::Server;\n");
    passes("base/num.rs", "// use crate::store::db;\n");
    passes("base/num.rs", "const S: &str = \"crate::store\";\n");
    passes("base/num.rs", "const S: &str = r#\"crate::store \" x\"#;\n");
    passes(
        "base/num.rs",
        "/* crate::store /* nested */ crate::server */\n",
    );
    passes(
        "base/num.rs",
        "const C: [char; 2] = ['\"', '\\''];\nuse crate::base::x;\n",
    );
    passes("base/num.rs", "fn f<'a>(x: &'a str) -> &'a str { x }\n");
    // The quote in a char literal must not swallow what follows.
    finds(
        "base/num.rs",
        "const C: char = '\"'; use crate::store::x;\n",
        "climbs",
    );
    finds(
        "base/num.rs",
        "fn f<'a>(x: &'a str) {} use crate::store::x;\n",
        "climbs",
    );
    finds(
        "base/num.rs",
        "const B: &[u8] = br\"\\\"; use crate::store::x;\n",
        "climbs",
    );
}

#[test]
fn finds_untidy_files() {
    assert_eq!(accused("base/num.rs", "fn f() {}\n").len(), 1);
    let long = "//! Doc.\n".to_string() + &"fn f() {}\n".repeat(MAX_LINES);
    assert_eq!(accused("base/num.rs", &long).len(), 1);
    assert!(accused("commands/table/string.rs", &long).is_empty());
    finds("base/num.rs", "fn f() { todo!() }\n", "todo!");
    finds(
        "base/num.rs",
        "fn f() { unimplemented!() }\n",
        "unimplemented!",
    );
    finds("base/num.rs", "#[ignore]\nfn f() {}\n", "#[ignore");
    finds(
        "base/num.rs",
        &format!("// FIX{}: later\n", "ME"),
        "is left",
    );
    finds(
        "base/num.rs",
        &format!("const P: &str = \"/wo{}main\";\n", "rk/"),
        "one machine",
    );
    passes("base/num.rs", "// todo! is what we must not write\n");
}

#[test]
fn finds_unsafe() {
    let explained = "fn f() {\n    // SAFETY: because.\n    unsafe { g() }\n}\n";
    passes("ds/table.rs", explained);
    passes("base/sys.rs", explained);
    passes("base/sys/fork.rs", explained);
    passes(
        "store/entry.rs",
        "fn f() {\n    // SAFETY: because\n    // of this.\n    let x =\n        unsafe { g() };\n}\n",
    );
    finds("commands/string.rs", explained, "outside its homes");
    finds("ds/table.rs", "fn f() {\n    unsafe { g() }\n}\n", "SAFETY");
    finds(
        "ds/table.rs",
        "// SAFETY: far\nfn f() {\n\n\n\n    unsafe { g() }\n}\n",
        "SAFETY",
    );
    finds("ds/table.rs", "unsafe impl Send for T {}\n", "SAFETY");
    // An unsafe function states its contract in its docs; only its blocks are checked.
    passes("ds/table.rs", "pub unsafe fn f() {}\n");
    passes(
        "commands/string.rs",
        "// unsafe { } in words\nconst S: &str = \"unsafe {\";\n",
    );
    passes("commands/string.rs", "#![forbid(unsafe_code)]\n");
}

/// The units of one server and of many differ in nothing but the instance's name, and all are shut in alike.
#[test]
fn units_are_alike() {
    let unit = |name: &str| {
        let path = root()
            .join("conf/systemd")
            .join(format!("aedile-{name}.service"));
        std::fs::read_to_string(path).expect("a unit")
    };
    let mut shut_in = Vec::new();
    for name in ["server", "sentinel"] {
        let of_many = unit(&format!("{name}@"));
        let of_one = of_many.replace(" (%i)", "").replace("-%i", "");
        assert!(unit(name) == of_one, "aedile-{name}.service");
        let from = of_many.find("NoNewPrivileges").expect("what shuts it in");
        shut_in.push(of_many[from..].to_string());
    }
    assert_eq!(shut_in[0], shut_in[1]);
}
