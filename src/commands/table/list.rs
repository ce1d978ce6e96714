//! The rows of group `list`.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use crate::commands::list;
use crate::server::command::{
    ACL_CATEGORY_BLOCKING, ACL_CATEGORY_FAST, ACL_CATEGORY_LIST, ACL_CATEGORY_READ,
    ACL_CATEGORY_SLOW, ACL_CATEGORY_WRITE, Arg, ArgType, CMD_BLOCKING, CMD_DENYOOM,
    CMD_DOC_DEPRECATED, CMD_FAST, CMD_KEY_ACCESS, CMD_KEY_DELETE, CMD_KEY_INSERT, CMD_KEY_RO,
    CMD_KEY_RW, CMD_KEY_UPDATE, CMD_MOVABLE_KEYS, CMD_READONLY, CMD_WRITE, Command, Docs, Group,
    KeySpec,
};

/// In alphabetical order.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "blmove",
        proc: Some(list::blmove_command),
        arity: 6,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_BLOCKING,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_LIST | ACL_CATEGORY_SLOW | ACL_CATEGORY_BLOCKING,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE),
            KeySpec::index(2, CMD_KEY_RW | CMD_KEY_INSERT),
        ],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[
                Arg::key("source", 0),
                Arg::key("destination", 1),
                Arg::one_of(
                    "wherefrom",
                    &[
                        Arg::token_only("left", "LEFT"),
                        Arg::token_only("right", "RIGHT"),
                    ],
                ),
                Arg::one_of(
                    "whereto",
                    &[
                        Arg::token_only("left", "LEFT"),
                        Arg::token_only("right", "RIGHT"),
                    ],
                ),
                Arg::new("timeout", ArgType::Double),
            ],
            ..Docs::new(
                Group::List,
                "6.2.0",
                "Pops an element from a list, pushes it to another list and returns it. Blocks until an element is available otherwise. Deletes the list if the last element was moved.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "blmpop",
        proc: Some(list::blmpop_command),
        arity: -5,
        flags: CMD_WRITE | CMD_BLOCKING | CMD_MOVABLE_KEYS,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_LIST | ACL_CATEGORY_SLOW | ACL_CATEGORY_BLOCKING,
        key_specs: &[
            KeySpec::index(2, CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE).keynum(0, 1, 1),
        ],
        docs: Docs {
            complexity: Some(
                "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
            ),
            args: &[
                Arg::new("timeout", ArgType::Double),
                Arg::new("numkeys", ArgType::Integer),
                Arg::key("key", 0).multiple(),
                Arg::one_of(
                    "where",
                    &[
                        Arg::token_only("left", "LEFT"),
                        Arg::token_only("right", "RIGHT"),
                    ],
                ),
                Arg::new("count", ArgType::Integer)
                    .token("COUNT")
                    .optional(),
            ],
            ..Docs::new(
                Group::List,
                "7.0.0",
                "Pops the first element from one of multiple lists. Blocks until an element is available otherwise. Deletes the list if the last element was popped.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "blpop",
        proc: Some(list::blpop_command),
        arity: -3,
        flags: CMD_WRITE | CMD_BLOCKING,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_LIST | ACL_CATEGORY_SLOW | ACL_CATEGORY_BLOCKING,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE).range(-2, 1, 0),
        ],
        docs: Docs {
            complexity: Some("O(N) where N is the number of provided keys."),
            history: &[(
                "6.0.0",
                "`timeout` is interpreted as a double instead of an integer.",
            )],
            args: &[
                Arg::key("key", 0).multiple(),
                Arg::new("timeout", ArgType::Double),
            ],
            ..Docs::new(
                Group::List,
                "2.0.0",
                "Removes and returns the first element in a list. Blocks until an element is available otherwise. Deletes the list if the last element was popped.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "brpop",
        proc: Some(list::brpop_command),
        arity: -3,
        flags: CMD_WRITE | CMD_BLOCKING,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_LIST | ACL_CATEGORY_SLOW | ACL_CATEGORY_BLOCKING,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE).range(-2, 1, 0),
        ],
        docs: Docs {
            complexity: Some("O(N) where N is the number of provided keys."),
            history: &[(
                "6.0.0",
                "`timeout` is interpreted as a double instead of an integer.",
            )],
            args: &[
                Arg::key("key", 0).multiple(),
                Arg::new("timeout", ArgType::Double),
            ],
            ..Docs::new(
                Group::List,
                "2.0.0",
                "Removes and returns the last element in a list. Blocks until an element is available otherwise. Deletes the list if the last element was popped.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "brpoplpush",
        proc: Some(list::brpoplpush_command),
        arity: 4,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_BLOCKING,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_LIST | ACL_CATEGORY_SLOW | ACL_CATEGORY_BLOCKING,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE),
            KeySpec::index(2, CMD_KEY_RW | CMD_KEY_INSERT),
        ],
        docs: Docs {
            complexity: Some("O(1)"),
            doc_flags: CMD_DOC_DEPRECATED,
            replaced_by: Some("`BLMOVE` with the `RIGHT` and `LEFT` arguments"),
            deprecated_since: Some("6.2.0"),
            history: &[(
                "6.0.0",
                "`timeout` is interpreted as a double instead of an integer.",
            )],
            args: &[
                Arg::key("source", 0),
                Arg::key("destination", 1),
                Arg::new("timeout", ArgType::Double),
            ],
            ..Docs::new(
                Group::List,
                "2.2.0",
                "Pops an element from a list, pushes it to another list and returns it. Block until an element is available otherwise. Deletes the list if the last element was popped.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "lindex",
        proc: Some(list::lindex_command),
        arity: 3,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_LIST | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some(
                "O(N) where N is the number of elements to traverse to get to the element at index. This makes asking for the first or the last element of the list O(1).",
            ),
            args: &[Arg::key("key", 0), Arg::new("index", ArgType::Integer)],
            ..Docs::new(
                Group::List,
                "1.0.0",
                "Returns an element from a list by its index.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "linsert",
        proc: Some(list::linsert_command),
        arity: 5,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_LIST | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_INSERT)],
        docs: Docs {
            complexity: Some(
                "O(N) where N is the number of elements to traverse before seeing the value pivot. This means that inserting somewhere on the left end on the list (head) can be considered O(1) and inserting somewhere on the right end (tail) is O(N).",
            ),
            args: &[
                Arg::key("key", 0),
                Arg::one_of(
                    "where",
                    &[
                        Arg::token_only("before", "BEFORE"),
                        Arg::token_only("after", "AFTER"),
                    ],
                ),
                Arg::new("pivot", ArgType::String),
                Arg::new("element", ArgType::String),
            ],
            ..Docs::new(
                Group::List,
                "2.2.0",
                "Inserts an element before or after another element in a list.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "llen",
        proc: Some(list::llen_command),
        arity: 2,
        flags: CMD_READONLY | CMD_FAST,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_LIST | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO)],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[Arg::key("key", 0)],
            ..Docs::new(Group::List, "1.0.0", "Returns the length of a list.")
        },
        ..Command::ROW
    },
    Command {
        name: "lmove",
        proc: Some(list::lmove_command),
        arity: 5,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_LIST | ACL_CATEGORY_SLOW,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE),
            KeySpec::index(2, CMD_KEY_RW | CMD_KEY_INSERT),
        ],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[
                Arg::key("source", 0),
                Arg::key("destination", 1),
                Arg::one_of(
                    "wherefrom",
                    &[
                        Arg::token_only("left", "LEFT"),
                        Arg::token_only("right", "RIGHT"),
                    ],
                ),
                Arg::one_of(
                    "whereto",
                    &[
                        Arg::token_only("left", "LEFT"),
                        Arg::token_only("right", "RIGHT"),
                    ],
                ),
            ],
            ..Docs::new(
                Group::List,
                "6.2.0",
                "Returns an element after popping it from one list and pushing it to another. Deletes the list if the last element was moved.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "lmpop",
        proc: Some(list::lmpop_command),
        arity: -4,
        flags: CMD_WRITE | CMD_MOVABLE_KEYS,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_LIST | ACL_CATEGORY_SLOW,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE).keynum(0, 1, 1),
        ],
        docs: Docs {
            complexity: Some(
                "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
            ),
            args: &[
                Arg::new("numkeys", ArgType::Integer),
                Arg::key("key", 0).multiple(),
                Arg::one_of(
                    "where",
                    &[
                        Arg::token_only("left", "LEFT"),
                        Arg::token_only("right", "RIGHT"),
                    ],
                ),
                Arg::new("count", ArgType::Integer)
                    .token("COUNT")
                    .optional(),
            ],
            ..Docs::new(
                Group::List,
                "7.0.0",
                "Returns multiple elements from a list after removing them. Deletes the list if the last element was popped.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "lpop",
        proc: Some(list::lpop_command),
        arity: -2,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_LIST | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(
            1,
            CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE,
        )],
        docs: Docs {
            complexity: Some("O(N) where N is the number of elements returned"),
            history: &[("6.2.0", "Added the `count` argument.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("count", ArgType::Integer)
                    .since("6.2.0")
                    .optional(),
            ],
            ..Docs::new(
                Group::List,
                "1.0.0",
                "Returns the first elements in a list after removing it. Deletes the list if the last element was popped.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "lpos",
        proc: Some(list::lpos_command),
        arity: -3,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_LIST | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some(
                "O(N) where N is the number of elements in the list, for the average case. When searching for elements near the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant time.",
            ),
            args: &[
                Arg::key("key", 0),
                Arg::new("element", ArgType::String),
                Arg::new("rank", ArgType::Integer).token("RANK").optional(),
                Arg::new("num-matches", ArgType::Integer)
                    .token("COUNT")
                    .optional(),
                Arg::new("len", ArgType::Integer).token("MAXLEN").optional(),
            ],
            ..Docs::new(
                Group::List,
                "6.0.6",
                "Returns the index of matching elements in a list.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "lpush",
        proc: Some(list::lpush_command),
        arity: -3,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_LIST | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_INSERT)],
        docs: Docs {
            complexity: Some(
                "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
            ),
            history: &[("2.4.0", "Accepts multiple `element` arguments.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("element", ArgType::String).multiple(),
            ],
            ..Docs::new(
                Group::List,
                "1.0.0",
                "Prepends one or more elements to a list. Creates the key if it doesn't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "lpushx",
        proc: Some(list::lpushx_command),
        arity: -3,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_LIST | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_INSERT)],
        docs: Docs {
            complexity: Some(
                "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
            ),
            history: &[("4.0.0", "Accepts multiple `element` arguments.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("element", ArgType::String).multiple(),
            ],
            ..Docs::new(
                Group::List,
                "2.2.0",
                "Prepends one or more elements to a list only when the list exists.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "lrange",
        proc: Some(list::lrange_command),
        arity: 4,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_LIST | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some(
                "O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest end (HEAD or TAIL) for large lists; and N is the number of elements in the specified range.",
            ),
            args: &[
                Arg::key("key", 0),
                Arg::new("start", ArgType::Integer),
                Arg::new("stop", ArgType::Integer),
            ],
            ..Docs::new(
                Group::List,
                "1.0.0",
                "Returns a range of elements from a list.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "lrem",
        proc: Some(list::lrem_command),
        arity: 4,
        flags: CMD_WRITE,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_LIST | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_DELETE)],
        docs: Docs {
            complexity: Some(
                "O(N+M) where N is the length of the list and M is the number of elements removed.",
            ),
            args: &[
                Arg::key("key", 0),
                Arg::new("count", ArgType::Integer),
                Arg::new("element", ArgType::String),
            ],
            ..Docs::new(
                Group::List,
                "1.0.0",
                "Removes elements from a list. Deletes the list if the last element was removed.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "lset",
        proc: Some(list::lset_command),
        arity: 4,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_LIST | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_UPDATE)],
        docs: Docs {
            complexity: Some(
                "O(N) where N is the length of the list. Setting either the first or the last element of the list is O(1).",
            ),
            args: &[
                Arg::key("key", 0),
                Arg::new("index", ArgType::Integer),
                Arg::new("element", ArgType::String),
            ],
            ..Docs::new(
                Group::List,
                "1.0.0",
                "Sets the value of an element in a list by its index.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "ltrim",
        proc: Some(list::ltrim_command),
        arity: 4,
        flags: CMD_WRITE,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_LIST | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_DELETE)],
        docs: Docs {
            complexity: Some(
                "O(N) where N is the number of elements to be removed by the operation.",
            ),
            args: &[
                Arg::key("key", 0),
                Arg::new("start", ArgType::Integer),
                Arg::new("stop", ArgType::Integer),
            ],
            ..Docs::new(
                Group::List,
                "1.0.0",
                "Removes elements from both ends a list. Deletes the list if all elements were trimmed.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "rpop",
        proc: Some(list::rpop_command),
        arity: -2,
        flags: CMD_WRITE | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_LIST | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(
            1,
            CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE,
        )],
        docs: Docs {
            complexity: Some("O(N) where N is the number of elements returned"),
            history: &[("6.2.0", "Added the `count` argument.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("count", ArgType::Integer)
                    .since("6.2.0")
                    .optional(),
            ],
            ..Docs::new(
                Group::List,
                "1.0.0",
                "Returns and removes the last elements of a list. Deletes the list if the last element was popped.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "rpoplpush",
        proc: Some(list::rpoplpush_command),
        arity: 3,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_LIST | ACL_CATEGORY_SLOW,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_RW | CMD_KEY_ACCESS | CMD_KEY_DELETE),
            KeySpec::index(2, CMD_KEY_RW | CMD_KEY_INSERT),
        ],
        docs: Docs {
            complexity: Some("O(1)"),
            doc_flags: CMD_DOC_DEPRECATED,
            replaced_by: Some("`LMOVE` with the `RIGHT` and `LEFT` arguments"),
            deprecated_since: Some("6.2.0"),
            args: &[Arg::key("source", 0), Arg::key("destination", 1)],
            ..Docs::new(
                Group::List,
                "1.2.0",
                "Returns the last element of a list after removing and pushing it to another list. Deletes the list if the last element was popped.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "rpush",
        proc: Some(list::rpush_command),
        arity: -3,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_LIST | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_INSERT)],
        docs: Docs {
            complexity: Some(
                "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
            ),
            history: &[("2.4.0", "Accepts multiple `element` arguments.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("element", ArgType::String).multiple(),
            ],
            ..Docs::new(
                Group::List,
                "1.0.0",
                "Appends one or more elements to a list. Creates the key if it doesn't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "rpushx",
        proc: Some(list::rpushx_command),
        arity: -3,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_FAST,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_LIST | ACL_CATEGORY_FAST,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_INSERT)],
        docs: Docs {
            complexity: Some(
                "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
            ),
            history: &[("4.0.0", "Accepts multiple `element` arguments.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("element", ArgType::String).multiple(),
            ],
            ..Docs::new(
                Group::List,
                "2.2.0",
                "Appends an element to a list only when the list exists.",
            )
        },
        ..Command::ROW
    },
];
