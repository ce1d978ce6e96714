//! Random commands, called by scripts in several forms: what a script sees and what it replies, beside redis-server.

use super::generator;
use super::known::accepted;
use super::run::{Pair, equal_states, show};
use crate::need_redis;
use crate::support::*;

/// What calls the command, and how the reply to judge stands in the script's.
const FORMS: &[(&str, Form)] = &[
    ("return redis.call(unpack(ARGV))", Form::Itself),
    ("return redis.pcall(unpack(ARGV))", Form::Itself),
    (
        "local r = redis.pcall(unpack(ARGV)) if type(r) == 'table' and r.err then return redis.error_reply(r.err) end return {7, r}",
        Form::Second,
    ),
    (
        "local ok, e = pcall(redis.call, unpack(ARGV)) if not ok then return {err = 'CAUGHT ' .. e} end return {7, e}",
        Form::Second,
    ),
    (
        "local f = function(...) return redis.call(...) end local r = f(unpack(ARGV)) return r",
        Form::Itself,
    ),
    (
        "local r = redis.pcall(unpack(ARGV)) if type(r) == 'table' and #r > 0 then return cjson.encode({#r, type(r[1])}) end return type(r)",
        Form::Summary,
    ),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Itself,
    /// The second element, unless it is an error.
    Second,
    /// A word about it.
    Summary,
}

/// Without what names the script.
fn without_place(v: &Value) -> Value {
    match v {
        Value::Error(text) => {
            let text = String::from_utf8_lossy(text).into_owned();
            let text = text.strip_prefix("CAUGHT ").unwrap_or(&text);
            let end = text.find(" script: ").unwrap_or(text.len());
            Value::Error(text.as_bytes()[..end].to_vec())
        }
        other => other.clone(),
    }
}

fn judged(v: &Value, form: Form) -> Value {
    match (form, v) {
        (Form::Second, Value::Array(items)) if items.len() == 2 => items[1].clone(),
        // A nil ends the array.
        (Form::Second, Value::Array(_)) => Value::Null,
        _ => without_place(v),
    }
}

#[test]
fn scripts() {
    need_redis!();
    let seed = seed_from_env("DIFF_SEED");
    let rounds: usize = std::env::var("DIFF_ROUNDS")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(12_000);
    let mut pair = Pair::start();
    let mut rng = Rng(seed ^ 0x5c1);
    let mut recent: Vec<Vec<Vec<u8>>> = Vec::new();
    for round in 0..rounds {
        let inner = generator::command(&mut rng, round);
        // 7.0 gives no script what may block.
        let name = inner[0].to_ascii_uppercase();
        if name.starts_with(b"B") && !name.starts_with(b"BIT") {
            continue;
        }
        for first in generator::consumers_of(&inner) {
            pair.both(&first, &|| format!("DIFF_SEED={seed}"));
        }
        let (script, form) = FORMS[rng.below(FORMS.len())];
        let mut args: Vec<Vec<u8>> = vec![b"EVAL".to_vec(), script.into(), b"0".to_vec()];
        args.extend(inner.iter().cloned());
        recent.push(args.clone());
        if recent.len() > 10 {
            recent.remove(0);
        }
        let (a, b) = (pair.reference.cmd(&args), pair.tested.cmd(&args));
        let same = a == b || {
            let (x, y) = (judged(&a, form), judged(&b, form));
            x == y || form == Form::Summary || accepted(&inner, &x, &y).is_some()
        };
        assert!(
            same,
            "replies differ on {}\n  reference: {a:?}\n  tested:    {b:?}\nDIFF_SEED={seed} DIFF_ROUNDS={}, before it:\n{}",
            show(&args),
            round + 1,
            recent
                .iter()
                .map(|a| show(a))
                .collect::<Vec<_>>()
                .join("\n")
        );
        if a.is_error() != b.is_error() {
            pair.forget(&inner);
        }
        if round % 500 == 499 {
            equal_states(&mut pair, &|| format!("DIFF_SEED={seed} after {round}"));
            if round % 2500 == 2499 {
                pair.both(&[b"FLUSHALL".to_vec()], &String::new);
            }
        }
    }
    equal_states(&mut pair, &|| format!("DIFF_SEED={seed} at the end"));
}
