//! Users: random rules to both servers, and what each of them then allows. What is compared: whether a rule is taken and why
//! not, what ACL GETUSER says of it, ACL DRYRUN of random calls, and the replies to a restricted user's random commands.
//!
//! 7.0 and 7.2 have different commands and put some of them into other categories: only what both say the same of in COMMAND
//! is asked for. 7.0 works its rules on commands out anew from what they allow; 7.2 keeps them.
//!
//! `DIFF_SEED` and `DIFF_ROUNDS` override seed and number of rounds.

use std::collections::{BTreeMap, BTreeSet};

use super::generator;
use super::known::accepted;
use super::run::{Pair, equal_states, show};
use crate::need_redis;
use crate::support::*;

/// What both servers say the same of a command: its arity, by its words.
type Common = BTreeMap<Vec<String>, i64>;

/// Everything that a server says of a command: arity, and what rights depend on.
fn described(conn: &mut Conn) -> BTreeMap<String, (i64, String)> {
    fn add(found: &mut BTreeMap<String, (i64, String)>, row: &Value, outer: &str) {
        let row = row.items();
        let set = |v: &Value| v.items().iter().map(Value::text).collect::<BTreeSet<_>>();
        let own = format!("{outer} {:?} {:?}", set(&row[6]), row[8]);
        for sub in row[9].items() {
            add(found, sub, &own);
        }
        found.insert(row[0].text(), (row[1].int(), own));
    }
    let mut found = BTreeMap::new();
    for row in conn.run("COMMAND").items() {
        add(&mut found, row, "");
    }
    found
}

fn common(pair: &mut Pair) -> Common {
    let (a, b) = (described(&mut pair.reference), described(&mut pair.tested));
    let same = a
        .into_iter()
        .filter(|(name, what)| b.get(name) == Some(what));
    same.map(|(name, (arity, _))| (name.split('|').map(Into::into).collect(), arity))
        .collect()
}

/// Answers without what 7.2 words otherwise.
fn normal(reply: &Value) -> String {
    let text = match reply {
        Value::Bulk(_) | Value::Simple(_) | Value::Error(_) => reply.text(),
        other => return format!("{other:?}"),
    };
    for kind in ["run the '", "access the '"] {
        if let Some(at) = text.find(kind) {
            return text[at..].to_string();
        }
    }
    text
}

/// What a refusal is about: both say it in other words.
fn refusal(reply: &Value) -> Option<&'static str> {
    let Value::Error(text) = reply else {
        return None;
    };
    let text = String::from_utf8_lossy(text).into_owned();
    let about = |words: &[&'static str]| words.iter().any(|w| text.contains(w));
    if !text.contains("NOPERM ") {
        None
    } else if about(&["channel"]) {
        Some("channel")
    } else if about(&["key"]) {
        Some("key")
    } else {
        Some("command")
    }
}

const PATTERNS: &[&str] = &[
    "a*", "b?", "[ab]c", "key:1", "key:*", "*", "", "x\\*", "k*1", "a",
];
const WORDS: &[&str] = &[
    "a",
    "a1",
    "b2",
    "bc",
    "key:1",
    "key:2",
    "x*",
    "",
    "0",
    "1",
    "2",
    "3",
    "-1",
    "STORE",
    "BY",
    "GET",
    "STREAMS",
    "KEYS",
    "COUNT",
    "LIMIT",
    "GROUP",
    "0",
    "1",
    "a",
    "b1",
    "#",
    "AGGREGATE",
    "SUM",
    "m",
    "nosort",
    "w_*",
    "u8",
    "SET",
    "INCRBY",
    "DB",
    "REPLACE",
    "COPY",
    "AUTH",
    "LEFT",
    "RIGHT",
    "MAXLEN",
    "WITHCOORD",
    "STOREDIST",
    "NX",
    "EX",
    "AND",
];

struct Rules<'a> {
    common: &'a [&'a Vec<String>],
    categories: &'a [String],
}

impl Rules<'_> {
    fn command(&self, rng: &mut Rng) -> String {
        match rng.below(20) {
            0 => "nosuch".into(),
            1 => "config|nosuch".into(),
            2 => "get|x|y".into(),
            _ => self.common[rng.below(self.common.len())].join("|"),
        }
    }

    fn selector_rule(&self, rng: &mut Rng) -> String {
        let sign = rng.pick(&["+", "-"]);
        let pattern = rng.pick(PATTERNS);
        match rng.below(24) {
            0..=5 => format!("{sign}{}", self.command(rng)),
            6..=8 => {
                let category = &self.categories[rng.below(self.categories.len())];
                format!("{sign}@{category}")
            }
            9 => format!(
                "+{}",
                rng.pick(&["select|0", "select|1", "ping|a", "get|", "debug|object"])
            ),
            10 => rng
                .pick(&["allcommands", "+@all", "+@all", "nocommands"])
                .into(),
            11 => format!("{sign}@nosuch"),
            12..=14 => format!("~{pattern}"),
            15 => format!("%R~{pattern}"),
            16 => format!("%w~{pattern}"),
            17 => format!("%RW~{pattern}"),
            18 => rng
                .pick(&["allkeys", "resetkeys", "resetkeys", "~*"])
                .into(),
            19 | 20 => format!("&{pattern}"),
            21 => rng
                .pick(&["allchannels", "resetchannels", "resetchannels"])
                .into(),
            22 => rng
                .pick(&["%RR~a", "%X~a", "%~", "~a b", "&a b", "nonsense", "+", "-"])
                .into(),
            _ => format!("{sign}{}", self.command(rng)).to_uppercase(),
        }
    }

    fn rule(&self, rng: &mut Rng) -> String {
        let hash = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae";
        match rng.below(16) {
            0 => rng.pick(&["on", "off", "ON", "nopass", "resetpass"]).into(),
            1 => format!("{}{}", rng.pick(&[">", "<"]), rng.pick(&["foo", "bar", ""])),
            2 => format!("{}{}", rng.pick(&["#", "!"]), &hash[rng.below(2) / 2..]),
            3 => format!("{}{}", rng.pick(&["#", "!"]), rng.pick(&["", "2c", "zz"])),
            4 => rng
                .pick(&[
                    "skip-sanitize-payload",
                    "sanitize-payload",
                    "clearselectors",
                    "reset",
                    "",
                ])
                .into(),
            5 => {
                let rules: Vec<String> =
                    (0..rng.below(4)).map(|_| self.selector_rule(rng)).collect();
                format!("({})", rules.join(" "))
            }
            _ => self.selector_rule(rng),
        }
    }
}

/// Both servers' word on a call; what is more careful here is right.
fn compare_dryrun(pair: &mut Pair, args: &[String], context: &dyn Fn() -> String) {
    let (a, b) = (pair.reference.cmd(args), pair.tested.cmd(args));
    let upper: Vec<String> = args[3..].iter().map(|w| w.to_uppercase()).collect();
    // Where an option that names keys is there twice, or as another's value, its last place counts.
    let ambiguous = [
        "GEORADIUS",
        "GEORADIUSBYMEMBER",
        "SORT",
        "XREAD",
        "XREADGROUP",
    ]
    .contains(&&*upper[0]);
    let careful = ambiguous && normal(&b).ends_with("key");
    assert!(
        normal(&a) == normal(&b) || careful,
        "ACL DRYRUN differs on {args:?}\n  reference: {a:?}\n  tested:    {b:?}\n  {:?}\n{}",
        pair.tested.run(&format!("ACL GETUSER {}", args[2])),
        context()
    );
}

/// What ACL GETUSER says, but of commands.
fn shown_user(conn: &mut Conn, name: &str) -> Vec<String> {
    fn fields(user: &Value) -> Vec<String> {
        let mut shown = Vec::new();
        for pair in user.items().chunks(2) {
            match pair[0].text().as_str() {
                "commands" => shown.push(pair[1].text().starts_with("+@all").to_string()),
                "selectors" => shown.extend(pair[1].items().iter().flat_map(fields)),
                // 7.0 says of it only where a rule has said it.
                "flags" => shown.extend(
                    pair[1]
                        .items()
                        .iter()
                        .map(Value::text)
                        .filter(|f| f != "sanitize-payload"),
                ),
                name => shown.push(format!("{name} {:?}", pair[1])),
            }
        }
        shown
    }
    let user = conn.cmd(&["ACL", "GETUSER", name]);
    match user.is_null() {
        true => Vec::new(),
        false => fields(&user),
    }
}

#[test]
fn rules_and_what_they_allow() {
    need_redis!();
    let seed = seed_from_env("DIFF_SEED");
    let rounds = std::env::var("DIFF_ROUNDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(1_500);
    println!("DIFF_SEED={seed} DIFF_ROUNDS={rounds}");
    let mut pair = Pair::start();
    let common = common(&mut pair);
    assert!(common.len() > 250, "{}", common.len());
    let names: Vec<&Vec<String>> = common.keys().collect();
    let categories: Vec<String> = pair
        .tested
        .run("ACL CAT")
        .items()
        .iter()
        .map(Value::text)
        .collect();
    let rules = Rules {
        common: &names,
        categories: &categories,
    };
    let mut rng = Rng(seed ^ 5);
    let mut history: Vec<String> = Vec::new();
    let (mut taken, mut allowed) = (0, 0);
    for _ in 0..rounds {
        let name = rng.pick(&["u", "v", "w"]);
        let mut line: Vec<String> = ["ACL", "SETUSER", name].map(Into::into).into();
        line.extend((0..1 + rng.below(4)).map(|_| rules.rule(&mut rng)));
        history.push(line.join(" "));
        let recent = history[history.len().saturating_sub(40)..].join("\n");
        let context = || format!("DIFF_SEED={seed}\n{recent}");
        let (a, b) = (pair.reference.cmd(&line), pair.tested.cmd(&line));
        assert_eq!(a, b, "{line:?}\n{}", context());
        taken += usize::from(!b.is_error());
        let (a, b) = (
            shown_user(&mut pair.reference, name),
            shown_user(&mut pair.tested, name),
        );
        assert_eq!(a, b, "{}", context());
        for _ in 0..25 {
            let (words, arity) = common
                .iter()
                .nth(rng.below(common.len()))
                .expect("a command");
            let mut args: Vec<String> = ["ACL", "DRYRUN", name].map(Into::into).into();
            args.extend(words.iter().cloned());
            let least =
                arity.unsigned_abs() as usize - words.len().min(arity.unsigned_abs() as usize);
            let more = if *arity < 0 { rng.below(7) } else { 0 };
            args.extend((0..least + more).map(|_| rng.pick(WORDS).to_string()));
            compare_dryrun(&mut pair, &args, &context);
            allowed += 1;
        }
    }
    println!("{taken} of {rounds} rules taken, {allowed} calls asked for");
    assert!(taken > rounds / 4);
}

/// A restricted user's random commands: both servers refuse the same, and do the same.
#[test]
fn commands_of_restricted_users() {
    need_redis!();
    let seed = seed_from_env("DIFF_SEED");
    println!("DIFF_SEED={seed}");
    let mut rng = Rng(seed ^ 9);
    for rules in [
        "~* &* +@all -@set -zadd",
        "~key:1* ~l* %R~k* +@all",
        "%W~* %R~key:?1 %R~z* +@all -flushall",
        "(~* +@read) (%RW~k* +@write +@fast) +@connection +@transaction",
        "~* -@all +@string +@list +@hash +select|0 +debug|object",
    ] {
        let mut pair = Pair::start();
        let mut boss = pair.second();
        let common = common(&mut pair);
        for c in [&mut pair.reference, &mut pair.tested] {
            c.ok(&format!("ACL SETUSER u on nopass {rules}"));
            c.ok("AUTH u x");
        }
        let (mut refused, mut done) = (0, 0);
        let mut log: Vec<String> = Vec::new();
        for round in 0..2_500 {
            let args = generator::command(&mut rng, round);
            let lower = |i: usize| {
                args.get(i)
                    .map(|w| String::from_utf8_lossy(w).to_lowercase())
            };
            let name: Vec<String> = [lower(0), lower(1)].into_iter().flatten().collect();
            let known = (1..=name.len()).any(|n| common.contains_key(&name[..n]));
            let skipped = [
                "select",
                "acl",
                "auth",
                "hello",
                "reset",
                "subscribe",
                "psubscribe",
                "object",
                "debug",
                "xreadgroup",
                "xclaim",
                "xautoclaim",
            ];
            if !known || skipped.contains(&&*name[0]) {
                continue;
            }
            log.push(show(&args));
            let recent = log[log.len().saturating_sub(30)..].join("\n");
            let context = || format!("DIFF_SEED={seed} {rules}\n{recent}");
            let (a, b) = (pair.reference.cmd(&args), pair.tested.cmd(&args));
            // 7.0 finds keys by a number of keys that is none (`1 x`), of a command that then fails.
            let fails = refusal(&a) == Some("key") && b.is_error();
            assert!(
                refusal(&a) == refusal(&b) || fails,
                "{a:?} {b:?}\n{}",
                context()
            );
            if refusal(&a).is_some() {
                refused += 1;
                continue;
            }
            done += 1;
            assert!(
                a == b || accepted(&args, &a, &b).is_some(),
                "replies differ\n  reference: {a:?}\n  tested:    {b:?}\n{}",
                context()
            );
            if a.is_error() != b.is_error() {
                boss.forget(&args);
            }
        }
        assert!(
            refused > 50 && done > 50,
            "{rules}: {refused} refused, {done} done"
        );
        equal_states(&mut boss, &|| format!("DIFF_SEED={seed} {rules}"));
    }
}
