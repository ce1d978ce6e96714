//! What may differ between redis-server 7.0 and the server under test, each with its reason.

use crate::support::{Value, comparable_stream};

/// A difference that is right as it is.
pub struct Known {
    /// The command's first word, in upper case; empty for any.
    pub command: &'static str,
    /// Why.
    pub reason: &'static str,
    /// Decides whether this pair (reference, tested) is that difference.
    pub accepts: fn(&[Vec<u8>], &Value, &Value) -> bool,
}

fn both_ints_within(a: &Value, b: &Value, distance: i64) -> bool {
    matches!((a, b), (Value::Int(x), Value::Int(y)) if x.abs_diff(*y) <= distance.unsigned_abs())
}

/// The same elements, in whatever order.
fn same_elements(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(x), Value::Array(y)) | (Value::Set(x), Value::Set(y)) => {
            let (mut x, mut y) = (x.clone(), y.clone());
            x.sort();
            y.sort();
            x == y
        }
        _ => false,
    }
}

/// The same pairs, in whatever order.
fn same_pairs(a: &Value, b: &Value) -> bool {
    let pairs = |v: &Value| {
        let mut pairs: Vec<(Value, Value)> = match v {
            Value::Map(pairs) => pairs.clone(),
            Value::Array(items) if items.len().is_multiple_of(2) => items
                .chunks(2)
                .map(|p| (p[0].clone(), p[1].clone()))
                .collect(),
            _ => return None,
        };
        pairs.sort();
        Some(pairs)
    };
    std::mem::discriminant(a) == std::mem::discriminant(b)
        && pairs(a).is_some_and(|x| Some(x) == pairs(b))
}

/// As many elements, which ones is chance.
fn same_number(a: &Value, b: &Value) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
        && !a.is_error()
        && match a {
            Value::Array(x) => x.len() == b.items().len(),
            _ => true,
        }
}

const SPELLING: &str = "7.0 spells a score with 17 digits, 7.2 with as many as it takes";

/// The same but for the spelling of numbers.
pub fn same_but_for_spelling(a: &Value, b: &Value) -> bool {
    let number = |v: &Value| match v {
        Value::Bulk(s) | Value::Double(s) => std::str::from_utf8(s).ok()?.parse::<f64>().ok(),
        _ => None,
    };
    match (a, b) {
        (Value::Array(x), Value::Array(y)) => {
            x.len() == y.len() && x.iter().zip(y).all(|(x, y)| same_but_for_spelling(x, y))
        }
        _ => a == b || number(a).is_some_and(|x| number(b) == Some(x)),
    }
}

const UNBALANCED: &str = "7.2 names the command, and the id that a group takes";

fn both_unbalanced(a: &Value, b: &Value) -> bool {
    [a, b]
        .iter()
        .all(|v| matches!(v, Value::Error(e) if e.starts_with(b"ERR Unbalanced ")))
}

/// The long form of XPENDING without the times.
fn pending_without_idle(v: &Value) -> Option<Vec<Vec<Value>>> {
    let Value::Array(entries) = v else {
        return None;
    };
    entries
        .iter()
        .map(|e| match e {
            Value::Array(parts) if parts.len() == 4 && matches!(parts[2], Value::Int(_)) => {
                Some(vec![parts[0].clone(), parts[1].clone(), parts[3].clone()])
            }
            _ => None,
        })
        .collect()
}

fn subcommand_is(args: &[Vec<u8>], name: &str) -> bool {
    args.get(1)
        .is_some_and(|s| s.eq_ignore_ascii_case(name.as_bytes()))
}

/// The same elements, in another order where that may be: they have zero bytes, or GET hides whether they have, or the key may
/// be a set and BY is there.
fn are_sorted_alike(args: &[Vec<u8>], a: &Value, b: &Value) -> bool {
    let (Value::Array(x), Value::Array(y)) = (a, b) else {
        return false;
    };
    let has = |word: &str| args.iter().any(|a| a.eq_ignore_ascii_case(word.as_bytes()));
    let zeros = x
        .iter()
        .any(|v| matches!(v, Value::Bulk(s) if s.contains(&0)));
    let (mut x, mut y) = (x.clone(), y.clone());
    x.sort();
    y.sort();
    let hidden = has("GET") || (has("BY") && args[1].first() == Some(&b'k'));
    x == y && has("ALPHA") && (zeros || hidden)
}

fn is_conversion_error(v: &Value) -> bool {
    v.is_error() && v.text().contains("scores can't be converted into double")
}

/// The one list of differences.
pub const KNOWN: &[Known] = &[
    Known {
        command: "TTL",
        reason: "the two servers read their clocks at different moments",
        accepts: |_, a, b| both_ints_within(a, b, 1),
    },
    Known {
        command: "PTTL",
        reason: "the two servers read their clocks at different moments",
        accepts: |_, a, b| both_ints_within(a, b, 1000),
    },
    Known {
        command: "EXPIRETIME",
        reason: "a relative expiry starts at each server's own clock",
        accepts: |_, a, b| both_ints_within(a, b, 1),
    },
    Known {
        command: "PEXPIRETIME",
        reason: "a relative expiry starts at each server's own clock",
        accepts: |_, a, b| both_ints_within(a, b, 1000),
    },
    Known {
        command: "DBSIZE",
        reason: "a key set with a time in the past is kept until found by 7.0 and not stored by 7.2; both servers also \
                 find expired keys in their own time",
        accepts: |_, a, b| both_ints_within(a, b, 4),
    },
    Known {
        command: "RANDOMKEY",
        reason: "random",
        accepts: |_, a, b| std::mem::discriminant(a) == std::mem::discriminant(b),
    },
    Known {
        command: "KEYS",
        reason: "in no order",
        accepts: |_, a, b| match (a, b) {
            (Value::Array(x), Value::Array(y)) => {
                let (mut x, mut y) = (x.clone(), y.clone());
                x.sort();
                y.sort();
                x == y
            }
            _ => false,
        },
    },
    Known {
        command: "SCAN",
        reason: "cursors and the order of keys are each server's own; full iterations are compared elsewhere",
        accepts: |_, a, b| a.is_error() == b.is_error(),
    },
    Known {
        command: "XINFO",
        reason: "times are each server's own, 7.2 tells more of them, and it creates consumers earlier",
        accepts: |_, a, b| comparable_stream(a.clone()) == comparable_stream(b.clone()),
    },
    Known {
        command: "XGROUP",
        reason: "XCLAIM and XAUTOCLAIM of 7.2 create the consumer even if there is nothing to claim",
        accepts: |args, a, b| subcommand_is(args, "CREATECONSUMER") && *a == 1 && *b == 0,
    },
    Known {
        command: "XSETID",
        reason: "7.2 compares the id with the highest deleted one before all else",
        accepts: |_, _, b| {
            let text =
                "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id";
            *b == Value::Error(text.as_bytes().to_vec())
        },
    },
    Known {
        command: "XREAD",
        reason: UNBALANCED,
        accepts: |_, a, b| both_unbalanced(a, b),
    },
    Known {
        command: "XREADGROUP",
        reason: UNBALANCED,
        accepts: |_, a, b| both_unbalanced(a, b),
    },
    Known {
        command: "XPENDING",
        reason: "how long ago an entry was delivered depends on each server's clock",
        accepts: |_, a, b| pending_without_idle(a) == pending_without_idle(b),
    },
    Known {
        command: "RESTORE",
        reason: "7.0 lets a value run on into the payload's own version and checksum: ten zero bytes are an empty string",
        accepts: |args, a, b| {
            let zeros = args.get(3).is_some_and(|p| p.iter().all(|c| *c == 0));
            zeros && !a.is_error() && b.is_error()
        },
    },
    Known {
        command: "LPOS",
        reason: "7.0 takes the smallest integer for a rank",
        accepts: |args, _, b| b.is_error() && args.iter().any(|a| a == b"-9223372036854775808"),
    },
    Known {
        command: "LSET",
        reason: "for a short list, 7.2 takes the low 32 bits of an index",
        accepts: |args, a, b| {
            let index = std::str::from_utf8(&args[2]).map(str::parse::<i64>);
            let large = matches!(index, Ok(Ok(i)) if i32::try_from(i).is_err());
            large && *a == "OK" && *b == Value::Error(b"ERR index out of range".to_vec())
        },
    },
    Known {
        command: "SMEMBERS",
        reason: "a set has no order, and 7.0 has no set in a listpack",
        accepts: |_, a, b| same_elements(a, b),
    },
    Known {
        command: "SINTER",
        reason: "a set has no order, and 7.0 has no set in a listpack",
        accepts: |_, a, b| same_elements(a, b),
    },
    Known {
        command: "SUNION",
        reason: "a set has no order, and 7.0 has no set in a listpack",
        accepts: |_, a, b| same_elements(a, b),
    },
    Known {
        command: "SDIFF",
        reason: "a set has no order, and 7.0 has no set in a listpack",
        accepts: |_, a, b| same_elements(a, b),
    },
    Known {
        command: "SPOP",
        reason: "a set has no order, and 7.0 has no set in a listpack",
        accepts: |_, a, b| same_elements(a, b),
    },
    Known {
        command: "HKEYS",
        reason: "a hash table has no order",
        accepts: |_, a, b| same_elements(a, b),
    },
    Known {
        command: "HVALS",
        reason: "a hash table has no order",
        accepts: |_, a, b| same_elements(a, b),
    },
    Known {
        command: "HGETALL",
        reason: "a hash table has no order",
        accepts: |_, a, b| same_pairs(a, b),
    },
    Known {
        command: "SRANDMEMBER",
        reason: "random",
        accepts: |_, a, b| same_number(a, b),
    },
    Known {
        command: "HRANDFIELD",
        reason: "random",
        accepts: |_, a, b| same_number(a, b),
    },
    Known {
        command: "ZADD",
        reason: SPELLING,
        accepts: |_, a, b| same_but_for_spelling(a, b),
    },
    Known {
        command: "ZINCRBY",
        reason: SPELLING,
        accepts: |_, a, b| same_but_for_spelling(a, b),
    },
    Known {
        command: "ZSCORE",
        reason: SPELLING,
        accepts: |_, a, b| same_but_for_spelling(a, b),
    },
    Known {
        command: "ZMSCORE",
        reason: SPELLING,
        accepts: |_, a, b| same_but_for_spelling(a, b),
    },
    Known {
        command: "ZRANGE",
        reason: SPELLING,
        accepts: |_, a, b| same_but_for_spelling(a, b),
    },
    Known {
        command: "ZREVRANGE",
        reason: SPELLING,
        accepts: |_, a, b| same_but_for_spelling(a, b),
    },
    Known {
        command: "ZRANGEBYSCORE",
        reason: SPELLING,
        accepts: |_, a, b| same_but_for_spelling(a, b),
    },
    Known {
        command: "ZREVRANGEBYSCORE",
        reason: SPELLING,
        accepts: |_, a, b| same_but_for_spelling(a, b),
    },
    Known {
        command: "ZUNION",
        reason: SPELLING,
        accepts: |_, a, b| same_but_for_spelling(a, b),
    },
    Known {
        command: "ZINTER",
        reason: SPELLING,
        accepts: |_, a, b| same_but_for_spelling(a, b),
    },
    Known {
        command: "ZDIFF",
        reason: SPELLING,
        accepts: |_, a, b| same_but_for_spelling(a, b),
    },
    Known {
        command: "ZPOPMIN",
        reason: SPELLING,
        accepts: |_, a, b| same_but_for_spelling(a, b),
    },
    Known {
        command: "ZPOPMAX",
        reason: SPELLING,
        accepts: |_, a, b| same_but_for_spelling(a, b),
    },
    Known {
        command: "ZMPOP",
        reason: SPELLING,
        accepts: |_, a, b| same_but_for_spelling(a, b),
    },
    Known {
        command: "ZRANDMEMBER",
        reason: "random",
        accepts: |_, a, b| same_number(a, b),
    },
    Known {
        command: "ZRANK",
        reason: "7.2 knows WITHSCORE, so a fourth word is another error",
        accepts: |args, a, b| args.len() > 3 && a.is_error() && b.is_error(),
    },
    Known {
        command: "ZREVRANK",
        reason: "7.2 knows WITHSCORE, so a fourth word is another error",
        accepts: |args, a, b| args.len() > 3 && a.is_error() && b.is_error(),
    },
    Known {
        command: "ZSCAN",
        reason: "cursors and the order of elements are each server's own; full iterations are compared elsewhere",
        accepts: |_, a, b| a.is_error() == b.is_error(),
    },
    Known {
        command: "OBJECT",
        reason: "7.2 converts a sorted set ahead of what one ZADD brings, though some of it be there already",
        accepts: |args, a, b| {
            subcommand_is(args, "ENCODING") && *a == "listpack" && *b == "skiplist"
        },
    },
    Known {
        command: "SSCAN",
        reason: "cursors and the order of elements are each server's own; full iterations are compared elsewhere",
        accepts: |_, a, b| a.is_error() == b.is_error(),
    },
    Known {
        command: "HSCAN",
        reason: "cursors and the order of elements are each server's own; full iterations are compared elsewhere",
        accepts: |_, a, b| a.is_error() == b.is_error(),
    },
    Known {
        command: "SORT",
        reason: "the reference does not clear errno: after a number out of range, in whatever command, it takes others for such",
        accepts: |_, a, b| is_conversion_error(a) && !b.is_error(),
    },
    Known {
        command: "SORT",
        reason: "what ALPHA takes for equal (up to a zero byte, or by BY) comes in the order of a set, which is each server's",
        accepts: are_sorted_alike,
    },
    Known {
        command: "SORT_RO",
        reason: "the reference does not clear errno: after a number out of range, in whatever command, it takes others for such",
        accepts: |_, a, b| is_conversion_error(a) && !b.is_error(),
    },
    Known {
        command: "SORT_RO",
        reason: "what ALPHA takes for equal (up to a zero byte, or by BY) comes in the order of a set, which is each server's",
        accepts: are_sorted_alike,
    },
    Known {
        command: "PFDEBUG",
        reason: "of a corrupt value that ends within an opcode, the reference shows that opcode with the byte behind the value",
        accepts: |args, a, b| match (a, b) {
            (Value::Bulk(x), Value::Bulk(y)) => subcommand_is(args, "DECODE") && x.starts_with(y),
            _ => false,
        },
    },
    Known {
        command: "OBJECT",
        reason: "a small set is a listpack from 7.2 on",
        accepts: |args, a, b| {
            subcommand_is(args, "ENCODING") && *a == "hashtable" && *b == "listpack"
        },
    },
    Known {
        command: "OBJECT",
        reason: "a short list is one listpack from 7.2 on",
        accepts: |args, a, b| {
            subcommand_is(args, "ENCODING") && *a == "quicklist" && *b == "listpack"
        },
    },
    Known {
        command: "OBJECT",
        reason: "the count of references is an implementation's own; HELP grows with versions",
        accepts: |args, a, b| {
            (subcommand_is(args, "REFCOUNT") && matches!((a, b), (Value::Int(_), Value::Int(_))))
                || subcommand_is(args, "HELP")
        },
    },
];

/// The reason why this difference is accepted, if it is.
pub fn accepted(args: &[Vec<u8>], reference: &Value, tested: &Value) -> Option<&'static str> {
    let name = String::from_utf8_lossy(&args[0]).to_uppercase();
    KNOWN
        .iter()
        .filter(|k| k.command.is_empty() || k.command == name)
        .find(|k| (k.accepts)(args, reference, tested))
        .map(|k| k.reason)
}
