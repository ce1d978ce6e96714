//! What may differ between redis-server 7.0 and the server under test, each with its reason.

use crate::support::{Value, without_times};

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
        reason: "times are each server's own, and 7.2 tells more of them",
        accepts: |_, a, b| without_times(a.clone()) == without_times(b.clone()),
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
