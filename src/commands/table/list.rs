//! The rows of group `list`.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use crate::commands::list;
use crate::server::execution::command::{
    Arg, ArgType, Command, CommandFlags as Flag, Group, KeyFlags as Key, KeySpec, Proc,
};

const fn row(name: &'static str, arity: i32, proc: Proc) -> Command {
    Command::row(Group::List, name, arity, proc)
}

/// In alphabetical order.
pub(super) static COMMANDS: &[Command] = &[
    row("blmove", 6, list::blmove_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::BLOCKING])
        .key_specs(&[
            KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::DELETE]),
            KeySpec::index(2, &[Key::RW, Key::INSERT]),
        ])
        .docs(
            "6.2.0",
            "Pops an element from a list, pushes it to another list and \
             returns it. Blocks until an element is available otherwise. \
             Deletes the list if the last element was moved.",
        )
        .complexity("O(1)")
        .args(&[
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
        ]),
    row("blmpop", -5, list::blmpop_command)
        .flags(&[Flag::WRITE, Flag::BLOCKING])
        .key_specs(&[KeySpec::index(2, &[Key::RW, Key::ACCESS, Key::DELETE]).keynum(0, 1, 1)])
        .docs(
            "7.0.0",
            "Pops the first element from one of multiple lists. Blocks until \
             an element is available otherwise. Deletes the list if the last \
             element was popped.",
        )
        .complexity(
            "O(N+M) where N is the number of provided keys and M is the \
             number of elements returned.",
        )
        .args(&[
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
        ]),
    row("blpop", -3, list::blpop_command)
        .flags(&[Flag::WRITE, Flag::BLOCKING])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::DELETE]).range(-2, 1, 0)])
        .docs(
            "2.0.0",
            "Removes and returns the first element in a list. Blocks until \
             an element is available otherwise. Deletes the list if the last \
             element was popped.",
        )
        .complexity("O(N) where N is the number of provided keys.")
        .history(&[(
            "6.0.0",
            "`timeout` is interpreted as a double instead of an integer.",
        )])
        .args(&[
            Arg::key("key", 0).multiple(),
            Arg::new("timeout", ArgType::Double),
        ]),
    row("brpop", -3, list::brpop_command)
        .flags(&[Flag::WRITE, Flag::BLOCKING])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::DELETE]).range(-2, 1, 0)])
        .docs(
            "2.0.0",
            "Removes and returns the last element in a list. Blocks until an \
             element is available otherwise. Deletes the list if the last \
             element was popped.",
        )
        .complexity("O(N) where N is the number of provided keys.")
        .history(&[(
            "6.0.0",
            "`timeout` is interpreted as a double instead of an integer.",
        )])
        .args(&[
            Arg::key("key", 0).multiple(),
            Arg::new("timeout", ArgType::Double),
        ]),
    row("brpoplpush", 4, list::brpoplpush_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::BLOCKING])
        .key_specs(&[
            KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::DELETE]),
            KeySpec::index(2, &[Key::RW, Key::INSERT]),
        ])
        .docs(
            "2.2.0",
            "Pops an element from a list, pushes it to another list and \
             returns it. Block until an element is available otherwise. \
             Deletes the list if the last element was popped.",
        )
        .complexity("O(1)")
        .deprecated("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments")
        .history(&[(
            "6.0.0",
            "`timeout` is interpreted as a double instead of an integer.",
        )])
        .args(&[
            Arg::key("source", 0),
            Arg::key("destination", 1),
            Arg::new("timeout", ArgType::Double),
        ]),
    row("lindex", 3, list::lindex_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs("1.0.0", "Returns an element from a list by its index.")
        .complexity(
            "O(N) where N is the number of elements to traverse to get to \
             the element at index. This makes asking for the first or the \
             last element of the list O(1).",
        )
        .args(&[Arg::key("key", 0), Arg::new("index", ArgType::Integer)]),
    row("linsert", 5, list::linsert_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::INSERT])])
        .docs(
            "2.2.0",
            "Inserts an element before or after another element in a list.",
        )
        .complexity(
            "O(N) where N is the number of elements to traverse before \
             seeing the value pivot. This means that inserting somewhere on \
             the left end on the list (head) can be considered O(1) and \
             inserting somewhere on the right end (tail) is O(N).",
        )
        .args(&[
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
        ]),
    row("llen", 2, list::llen_command)
        .flags(&[Flag::READONLY, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RO])])
        .docs("1.0.0", "Returns the length of a list.")
        .complexity("O(1)")
        .args(&[Arg::key("key", 0)]),
    row("lmove", 5, list::lmove_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[
            KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::DELETE]),
            KeySpec::index(2, &[Key::RW, Key::INSERT]),
        ])
        .docs(
            "6.2.0",
            "Returns an element after popping it from one list and pushing \
             it to another. Deletes the list if the last element was moved.",
        )
        .complexity("O(1)")
        .args(&[
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
        ]),
    row("lmpop", -4, list::lmpop_command)
        .flags(&[Flag::WRITE])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::DELETE]).keynum(0, 1, 1)])
        .docs(
            "7.0.0",
            "Returns multiple elements from a list after removing them. \
             Deletes the list if the last element was popped.",
        )
        .complexity(
            "O(N+M) where N is the number of provided keys and M is the \
             number of elements returned.",
        )
        .args(&[
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
        ]),
    row("lpop", -2, list::lpop_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::DELETE])])
        .docs(
            "1.0.0",
            "Returns the first elements in a list after removing it. Deletes \
             the list if the last element was popped.",
        )
        .complexity("O(N) where N is the number of elements returned")
        .history(&[("6.2.0", "Added the `count` argument.")])
        .args(&[
            Arg::key("key", 0),
            Arg::new("count", ArgType::Integer)
                .since("6.2.0")
                .optional(),
        ]),
    row("lpos", -3, list::lpos_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs("6.0.6", "Returns the index of matching elements in a list.")
        .complexity(
            "O(N) where N is the number of elements in the list, for the \
             average case. When searching for elements near the head or the \
             tail of the list, or when the MAXLEN option is provided, the \
             command may run in constant time.",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("element", ArgType::String),
            Arg::new("rank", ArgType::Integer).token("RANK").optional(),
            Arg::new("num-matches", ArgType::Integer)
                .token("COUNT")
                .optional(),
            Arg::new("len", ArgType::Integer).token("MAXLEN").optional(),
        ]),
    row("lpush", -3, list::lpush_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::INSERT])])
        .docs(
            "1.0.0",
            "Prepends one or more elements to a list. Creates the key if it \
             doesn't exist.",
        )
        .complexity(
            "O(1) for each element added, so O(N) to add N elements when the \
             command is called with multiple arguments.",
        )
        .history(&[("2.4.0", "Accepts multiple `element` arguments.")])
        .args(&[
            Arg::key("key", 0),
            Arg::new("element", ArgType::String).multiple(),
        ]),
    row("lpushx", -3, list::lpushx_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::INSERT])])
        .docs(
            "2.2.0",
            "Prepends one or more elements to a list only when the list \
             exists.",
        )
        .complexity(
            "O(1) for each element added, so O(N) to add N elements when the \
             command is called with multiple arguments.",
        )
        .history(&[("4.0.0", "Accepts multiple `element` arguments.")])
        .args(&[
            Arg::key("key", 0),
            Arg::new("element", ArgType::String).multiple(),
        ]),
    row("lrange", 4, list::lrange_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs("1.0.0", "Returns a range of elements from a list.")
        .complexity(
            "O(S+N) where S is the distance of start offset from HEAD for \
             small lists, from nearest end (HEAD or TAIL) for large lists; \
             and N is the number of elements in the specified range.",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("start", ArgType::Integer),
            Arg::new("stop", ArgType::Integer),
        ]),
    row("lrem", 4, list::lrem_command)
        .flags(&[Flag::WRITE])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::DELETE])])
        .docs(
            "1.0.0",
            "Removes elements from a list. Deletes the list if the last \
             element was removed.",
        )
        .complexity(
            "O(N+M) where N is the length of the list and M is the number of \
             elements removed.",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("count", ArgType::Integer),
            Arg::new("element", ArgType::String),
        ]),
    row("lset", 4, list::lset_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::UPDATE])])
        .docs(
            "1.0.0",
            "Sets the value of an element in a list by its index.",
        )
        .complexity(
            "O(N) where N is the length of the list. Setting either the \
             first or the last element of the list is O(1).",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("index", ArgType::Integer),
            Arg::new("element", ArgType::String),
        ]),
    row("ltrim", 4, list::ltrim_command)
        .flags(&[Flag::WRITE])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::DELETE])])
        .docs(
            "1.0.0",
            "Removes elements from both ends a list. Deletes the list if all \
             elements were trimmed.",
        )
        .complexity(
            "O(N) where N is the number of elements to be removed by the \
             operation.",
        )
        .args(&[
            Arg::key("key", 0),
            Arg::new("start", ArgType::Integer),
            Arg::new("stop", ArgType::Integer),
        ]),
    row("rpop", -2, list::rpop_command)
        .flags(&[Flag::WRITE, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::DELETE])])
        .docs(
            "1.0.0",
            "Returns and removes the last elements of a list. Deletes the \
             list if the last element was popped.",
        )
        .complexity("O(N) where N is the number of elements returned")
        .history(&[("6.2.0", "Added the `count` argument.")])
        .args(&[
            Arg::key("key", 0),
            Arg::new("count", ArgType::Integer)
                .since("6.2.0")
                .optional(),
        ]),
    row("rpoplpush", 3, list::rpoplpush_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[
            KeySpec::index(1, &[Key::RW, Key::ACCESS, Key::DELETE]),
            KeySpec::index(2, &[Key::RW, Key::INSERT]),
        ])
        .docs(
            "1.2.0",
            "Returns the last element of a list after removing and pushing \
             it to another list. Deletes the list if the last element was \
             popped.",
        )
        .complexity("O(1)")
        .deprecated("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments")
        .args(&[Arg::key("source", 0), Arg::key("destination", 1)]),
    row("rpush", -3, list::rpush_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::INSERT])])
        .docs(
            "1.0.0",
            "Appends one or more elements to a list. Creates the key if it \
             doesn't exist.",
        )
        .complexity(
            "O(1) for each element added, so O(N) to add N elements when the \
             command is called with multiple arguments.",
        )
        .history(&[("2.4.0", "Accepts multiple `element` arguments.")])
        .args(&[
            Arg::key("key", 0),
            Arg::new("element", ArgType::String).multiple(),
        ]),
    row("rpushx", -3, list::rpushx_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM, Flag::FAST])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::INSERT])])
        .docs(
            "2.2.0",
            "Appends an element to a list only when the list exists.",
        )
        .complexity(
            "O(1) for each element added, so O(N) to add N elements when the \
             command is called with multiple arguments.",
        )
        .history(&[("4.0.0", "Accepts multiple `element` arguments.")])
        .args(&[
            Arg::key("key", 0),
            Arg::new("element", ArgType::String).multiple(),
        ]),
];
