//! The rows of group `hyperloglog`: the commands that count distinct elements.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use crate::commands::hyperloglog;
use crate::server::command::{
    ACL_CATEGORY_ADMIN, ACL_CATEGORY_DANGEROUS, ACL_CATEGORY_FAST, ACL_CATEGORY_HYPERLOGLOG,
    ACL_CATEGORY_READ, ACL_CATEGORY_SLOW, ACL_CATEGORY_WRITE, Arg, ArgType, CMD_ADMIN, CMD_DENYOOM,
    CMD_DOC_SYSCMD, CMD_FAST, CMD_KEY_ACCESS, CMD_KEY_INSERT, CMD_KEY_RO, CMD_KEY_RW,
    CMD_MAY_REPLICATE, CMD_READONLY, CMD_WRITE, Command, Docs, Group, KeySpec,
};

/// In alphabetical order.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "pfadd",
        proc: Some(hyperloglog::pfadd_command),
        arity: -2,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_HYPERLOGLOG | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_INSERT)],
        docs: Docs {
            complexity: Some("O(1) to add every element."),
            args: &[Arg::key("key", 0), Arg::new("element", ArgType::String).optional().multiple()],
            ..Docs::new(Group::Hyperloglog, "2.8.9", "Adds elements to a HyperLogLog key. Creates the key if it doesn't exist.")
        },
        ..Command::ROW
    },
    Command {
        name: "pfcount",
        proc: Some(hyperloglog::pfcount_command),
        arity: -2,
        flags: CMD_READONLY | CMD_MAY_REPLICATE,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_HYPERLOGLOG | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_ACCESS).range(-1, 1, 0).notes("RW because it may change the internal representation of the key, and propagate to replicas")],
        docs: Docs {
            complexity: Some("O(1) with a very small average constant time when called with a single key. O(N) with N being the number of keys, and much bigger constant times, when called with multiple keys."),
            args: &[Arg::key("key", 0).multiple()],
            ..Docs::new(Group::Hyperloglog, "2.8.9", "Returns the approximated cardinality of the set(s) observed by the HyperLogLog key(s).")
        },
        ..Command::ROW
    },
    Command {
        name: "pfdebug",
        proc: Some(hyperloglog::pfdebug_command),
        arity: 3,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_ADMIN,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_HYPERLOGLOG | ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
        key_specs: &[KeySpec::index(2, CMD_KEY_RW | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some("N/A"),
            doc_flags: CMD_DOC_SYSCMD,
            args: &[Arg::new("subcommand", ArgType::String), Arg::key("key", 0)],
            ..Docs::new(Group::Hyperloglog, "2.8.9", "Internal commands for debugging HyperLogLog values.")
        },
        ..Command::ROW
    },
    Command {
        name: "pfmerge",
        proc: Some(hyperloglog::pfmerge_command),
        arity: -2,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_HYPERLOGLOG | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_INSERT), KeySpec::index(2, CMD_KEY_RO | CMD_KEY_ACCESS).range(-1, 1, 0)],
        docs: Docs {
            complexity: Some("O(N) to merge N HyperLogLogs, but with high constant times."),
            args: &[Arg::key("destkey", 0), Arg::key("sourcekey", 1).optional().multiple()],
            ..Docs::new(Group::Hyperloglog, "2.8.9", "Merges one or more HyperLogLog values into a single key.")
        },
        ..Command::ROW
    },
    Command {
        name: "pfselftest",
        proc: Some(hyperloglog::pfselftest_command),
        arity: 1,
        flags: CMD_ADMIN,
        acl: ACL_CATEGORY_HYPERLOGLOG | ACL_CATEGORY_ADMIN | ACL_CATEGORY_SLOW | ACL_CATEGORY_DANGEROUS,
        docs: Docs {
            complexity: Some("N/A"),
            doc_flags: CMD_DOC_SYSCMD,
            ..Docs::new(Group::Hyperloglog, "2.8.9", "An internal command for testing HyperLogLog values.")
        },
        ..Command::ROW
    },

];
