//! The rows of group `geo`: places on the earth in sorted sets.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use super::get_keys::georadius_get_keys;
use crate::commands::geo;
use crate::server::command::{
    ACL_CATEGORY_GEO, ACL_CATEGORY_READ, ACL_CATEGORY_SLOW, ACL_CATEGORY_WRITE, Arg, ArgType,
    CMD_DENYOOM, CMD_DOC_DEPRECATED, CMD_KEY_ACCESS, CMD_KEY_OW, CMD_KEY_RO, CMD_KEY_RW,
    CMD_KEY_UPDATE, CMD_MOVABLE_KEYS, CMD_READONLY, CMD_WRITE, Command, Docs, Group, KeySpec,
};

/// In alphabetical order.
pub static COMMANDS: &[Command] = &[
    Command {
        name: "geoadd",
        proc: Some(geo::geoadd_command),
        arity: -5,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_GEO | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RW | CMD_KEY_UPDATE)],
        docs: Docs {
            complexity: Some(
                "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
            ),
            history: &[("6.2.0", "Added the `CH`, `NX` and `XX` options.")],
            args: &[
                Arg::key("key", 0),
                Arg::one_of(
                    "condition",
                    &[Arg::token_only("nx", "NX"), Arg::token_only("xx", "XX")],
                )
                .since("6.2.0")
                .optional(),
                Arg::token_only("change", "CH").since("6.2.0").optional(),
                Arg::block(
                    "data",
                    &[
                        Arg::new("longitude", ArgType::Double),
                        Arg::new("latitude", ArgType::Double),
                        Arg::new("member", ArgType::String),
                    ],
                )
                .multiple(),
            ],
            ..Docs::new(
                Group::Geo,
                "3.2.0",
                "Adds one or more members to a geospatial index. The key is created if it doesn't exist.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "geodist",
        proc: Some(geo::geodist_command),
        arity: -4,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_GEO | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some("O(1)"),
            args: &[
                Arg::key("key", 0),
                Arg::new("member1", ArgType::String),
                Arg::new("member2", ArgType::String),
                Arg::one_of(
                    "unit",
                    &[
                        Arg::token_only("m", "M"),
                        Arg::token_only("km", "KM"),
                        Arg::token_only("ft", "FT"),
                        Arg::token_only("mi", "MI"),
                    ],
                )
                .optional(),
            ],
            ..Docs::new(
                Group::Geo,
                "3.2.0",
                "Returns the distance between two members of a geospatial index.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "geohash",
        proc: Some(geo::geohash_command),
        arity: -2,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_GEO | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some("O(1) for each member requested."),
            args: &[
                Arg::key("key", 0),
                Arg::new("member", ArgType::String).optional().multiple(),
            ],
            ..Docs::new(
                Group::Geo,
                "3.2.0",
                "Returns members from a geospatial index as geohash strings.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "geopos",
        proc: Some(geo::geopos_command),
        arity: -2,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_GEO | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some("O(1) for each member requested."),
            args: &[
                Arg::key("key", 0),
                Arg::new("member", ArgType::String).optional().multiple(),
            ],
            ..Docs::new(
                Group::Geo,
                "3.2.0",
                "Returns the longitude and latitude of members from a geospatial index.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "georadius",
        proc: Some(geo::georadius_command),
        arity: -6,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_GEO | ACL_CATEGORY_SLOW,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS),
            KeySpec::keyword("STORE", 6, CMD_KEY_OW | CMD_KEY_UPDATE),
            KeySpec::keyword("STOREDIST", 6, CMD_KEY_OW | CMD_KEY_UPDATE),
        ],
        get_keys: Some(georadius_get_keys),
        docs: Docs {
            complexity: Some(
                "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.",
            ),
            doc_flags: CMD_DOC_DEPRECATED,
            replaced_by: Some("`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument"),
            deprecated_since: Some("6.2.0"),
            history: &[
                ("6.2.0", "Added the `ANY` option for `COUNT`."),
                ("7.0.0", "Added support for uppercase unit names."),
            ],
            args: &[
                Arg::key("key", 0),
                Arg::new("longitude", ArgType::Double),
                Arg::new("latitude", ArgType::Double),
                Arg::new("radius", ArgType::Double),
                Arg::one_of(
                    "unit",
                    &[
                        Arg::token_only("m", "M"),
                        Arg::token_only("km", "KM"),
                        Arg::token_only("ft", "FT"),
                        Arg::token_only("mi", "MI"),
                    ],
                ),
                Arg::token_only("withcoord", "WITHCOORD").optional(),
                Arg::token_only("withdist", "WITHDIST").optional(),
                Arg::token_only("withhash", "WITHHASH").optional(),
                Arg::block(
                    "count-block",
                    &[
                        Arg::new("count", ArgType::Integer).token("COUNT"),
                        Arg::token_only("any", "ANY").since("6.2.0").optional(),
                    ],
                )
                .optional(),
                Arg::one_of(
                    "order",
                    &[
                        Arg::token_only("asc", "ASC"),
                        Arg::token_only("desc", "DESC"),
                    ],
                )
                .optional(),
                Arg::one_of(
                    "store",
                    &[
                        Arg::key("storekey", 1).token("STORE").display("key"),
                        Arg::key("storedistkey", 2)
                            .token("STOREDIST")
                            .display("key"),
                    ],
                )
                .optional(),
            ],
            ..Docs::new(
                Group::Geo,
                "3.2.0",
                "Queries a geospatial index for members within a distance from a coordinate, optionally stores the result.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "georadius_ro",
        proc: Some(geo::georadiusro_command),
        arity: -6,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_GEO | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some(
                "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.",
            ),
            doc_flags: CMD_DOC_DEPRECATED,
            replaced_by: Some("`GEOSEARCH` with the `BYRADIUS` argument"),
            deprecated_since: Some("6.2.0"),
            history: &[("6.2.0", "Added the `ANY` option for `COUNT`.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("longitude", ArgType::Double),
                Arg::new("latitude", ArgType::Double),
                Arg::new("radius", ArgType::Double),
                Arg::one_of(
                    "unit",
                    &[
                        Arg::token_only("m", "M"),
                        Arg::token_only("km", "KM"),
                        Arg::token_only("ft", "FT"),
                        Arg::token_only("mi", "MI"),
                    ],
                ),
                Arg::token_only("withcoord", "WITHCOORD").optional(),
                Arg::token_only("withdist", "WITHDIST").optional(),
                Arg::token_only("withhash", "WITHHASH").optional(),
                Arg::block(
                    "count-block",
                    &[
                        Arg::new("count", ArgType::Integer).token("COUNT"),
                        Arg::token_only("any", "ANY").since("6.2.0").optional(),
                    ],
                )
                .optional(),
                Arg::one_of(
                    "order",
                    &[
                        Arg::token_only("asc", "ASC"),
                        Arg::token_only("desc", "DESC"),
                    ],
                )
                .optional(),
            ],
            ..Docs::new(
                Group::Geo,
                "3.2.10",
                "Returns members from a geospatial index that are within a distance from a coordinate.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "georadiusbymember",
        proc: Some(geo::georadiusbymember_command),
        arity: -5,
        flags: CMD_WRITE | CMD_DENYOOM | CMD_MOVABLE_KEYS,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_GEO | ACL_CATEGORY_SLOW,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS),
            KeySpec::keyword("STORE", 5, CMD_KEY_OW | CMD_KEY_UPDATE),
            KeySpec::keyword("STOREDIST", 5, CMD_KEY_OW | CMD_KEY_UPDATE),
        ],
        get_keys: Some(georadius_get_keys),
        docs: Docs {
            complexity: Some(
                "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.",
            ),
            doc_flags: CMD_DOC_DEPRECATED,
            replaced_by: Some(
                "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
            ),
            deprecated_since: Some("6.2.0"),
            history: &[("7.0.0", "Added support for uppercase unit names.")],
            args: &[
                Arg::key("key", 0),
                Arg::new("member", ArgType::String),
                Arg::new("radius", ArgType::Double),
                Arg::one_of(
                    "unit",
                    &[
                        Arg::token_only("m", "M"),
                        Arg::token_only("km", "KM"),
                        Arg::token_only("ft", "FT"),
                        Arg::token_only("mi", "MI"),
                    ],
                ),
                Arg::token_only("withcoord", "WITHCOORD").optional(),
                Arg::token_only("withdist", "WITHDIST").optional(),
                Arg::token_only("withhash", "WITHHASH").optional(),
                Arg::block(
                    "count-block",
                    &[
                        Arg::new("count", ArgType::Integer).token("COUNT"),
                        Arg::token_only("any", "ANY").optional(),
                    ],
                )
                .optional(),
                Arg::one_of(
                    "order",
                    &[
                        Arg::token_only("asc", "ASC"),
                        Arg::token_only("desc", "DESC"),
                    ],
                )
                .optional(),
                Arg::one_of(
                    "store",
                    &[
                        Arg::key("storekey", 1).token("STORE").display("key"),
                        Arg::key("storedistkey", 2)
                            .token("STOREDIST")
                            .display("key"),
                    ],
                )
                .optional(),
            ],
            ..Docs::new(
                Group::Geo,
                "3.2.0",
                "Queries a geospatial index for members within a distance from a member, optionally stores the result.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "georadiusbymember_ro",
        proc: Some(geo::georadiusbymemberro_command),
        arity: -5,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_GEO | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some(
                "O(N+log(M)) where N is the number of elements inside the bounding box of the circular area delimited by center and radius and M is the number of items inside the index.",
            ),
            doc_flags: CMD_DOC_DEPRECATED,
            replaced_by: Some("`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments"),
            deprecated_since: Some("6.2.0"),
            args: &[
                Arg::key("key", 0),
                Arg::new("member", ArgType::String),
                Arg::new("radius", ArgType::Double),
                Arg::one_of(
                    "unit",
                    &[
                        Arg::token_only("m", "M"),
                        Arg::token_only("km", "KM"),
                        Arg::token_only("ft", "FT"),
                        Arg::token_only("mi", "MI"),
                    ],
                ),
                Arg::token_only("withcoord", "WITHCOORD").optional(),
                Arg::token_only("withdist", "WITHDIST").optional(),
                Arg::token_only("withhash", "WITHHASH").optional(),
                Arg::block(
                    "count-block",
                    &[
                        Arg::new("count", ArgType::Integer).token("COUNT"),
                        Arg::token_only("any", "ANY").optional(),
                    ],
                )
                .optional(),
                Arg::one_of(
                    "order",
                    &[
                        Arg::token_only("asc", "ASC"),
                        Arg::token_only("desc", "DESC"),
                    ],
                )
                .optional(),
            ],
            ..Docs::new(
                Group::Geo,
                "3.2.10",
                "Returns members from a geospatial index that are within a distance from a member.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "geosearch",
        proc: Some(geo::geosearch_command),
        arity: -7,
        flags: CMD_READONLY,
        acl: ACL_CATEGORY_READ | ACL_CATEGORY_GEO | ACL_CATEGORY_SLOW,
        key_specs: &[KeySpec::index(1, CMD_KEY_RO | CMD_KEY_ACCESS)],
        docs: Docs {
            complexity: Some(
                "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape provided as the filter and M is the number of items inside the shape",
            ),
            history: &[("7.0.0", "Added support for uppercase unit names.")],
            args: &[
                Arg::key("key", 0),
                Arg::one_of(
                    "from",
                    &[
                        Arg::new("member", ArgType::String).token("FROMMEMBER"),
                        Arg::block(
                            "fromlonlat",
                            &[
                                Arg::new("longitude", ArgType::Double),
                                Arg::new("latitude", ArgType::Double),
                            ],
                        )
                        .token("FROMLONLAT"),
                    ],
                ),
                Arg::one_of(
                    "by",
                    &[
                        Arg::block(
                            "circle",
                            &[
                                Arg::new("radius", ArgType::Double).token("BYRADIUS"),
                                Arg::one_of(
                                    "unit",
                                    &[
                                        Arg::token_only("m", "M"),
                                        Arg::token_only("km", "KM"),
                                        Arg::token_only("ft", "FT"),
                                        Arg::token_only("mi", "MI"),
                                    ],
                                ),
                            ],
                        ),
                        Arg::block(
                            "box",
                            &[
                                Arg::new("width", ArgType::Double).token("BYBOX"),
                                Arg::new("height", ArgType::Double),
                                Arg::one_of(
                                    "unit",
                                    &[
                                        Arg::token_only("m", "M"),
                                        Arg::token_only("km", "KM"),
                                        Arg::token_only("ft", "FT"),
                                        Arg::token_only("mi", "MI"),
                                    ],
                                ),
                            ],
                        ),
                    ],
                ),
                Arg::one_of(
                    "order",
                    &[
                        Arg::token_only("asc", "ASC"),
                        Arg::token_only("desc", "DESC"),
                    ],
                )
                .optional(),
                Arg::block(
                    "count-block",
                    &[
                        Arg::new("count", ArgType::Integer).token("COUNT"),
                        Arg::token_only("any", "ANY").optional(),
                    ],
                )
                .optional(),
                Arg::token_only("withcoord", "WITHCOORD").optional(),
                Arg::token_only("withdist", "WITHDIST").optional(),
                Arg::token_only("withhash", "WITHHASH").optional(),
            ],
            ..Docs::new(
                Group::Geo,
                "6.2.0",
                "Queries a geospatial index for members inside an area of a box or a circle.",
            )
        },
        ..Command::ROW
    },
    Command {
        name: "geosearchstore",
        proc: Some(geo::geosearchstore_command),
        arity: -8,
        flags: CMD_WRITE | CMD_DENYOOM,
        acl: ACL_CATEGORY_WRITE | ACL_CATEGORY_GEO | ACL_CATEGORY_SLOW,
        key_specs: &[
            KeySpec::index(1, CMD_KEY_OW | CMD_KEY_UPDATE),
            KeySpec::index(2, CMD_KEY_RO | CMD_KEY_ACCESS),
        ],
        docs: Docs {
            complexity: Some(
                "O(N+log(M)) where N is the number of elements in the grid-aligned bounding box area around the shape provided as the filter and M is the number of items inside the shape",
            ),
            history: &[("7.0.0", "Added support for uppercase unit names.")],
            args: &[
                Arg::key("destination", 0),
                Arg::key("source", 1),
                Arg::one_of(
                    "from",
                    &[
                        Arg::new("member", ArgType::String).token("FROMMEMBER"),
                        Arg::block(
                            "fromlonlat",
                            &[
                                Arg::new("longitude", ArgType::Double),
                                Arg::new("latitude", ArgType::Double),
                            ],
                        )
                        .token("FROMLONLAT"),
                    ],
                ),
                Arg::one_of(
                    "by",
                    &[
                        Arg::block(
                            "circle",
                            &[
                                Arg::new("radius", ArgType::Double).token("BYRADIUS"),
                                Arg::one_of(
                                    "unit",
                                    &[
                                        Arg::token_only("m", "M"),
                                        Arg::token_only("km", "KM"),
                                        Arg::token_only("ft", "FT"),
                                        Arg::token_only("mi", "MI"),
                                    ],
                                ),
                            ],
                        ),
                        Arg::block(
                            "box",
                            &[
                                Arg::new("width", ArgType::Double).token("BYBOX"),
                                Arg::new("height", ArgType::Double),
                                Arg::one_of(
                                    "unit",
                                    &[
                                        Arg::token_only("m", "M"),
                                        Arg::token_only("km", "KM"),
                                        Arg::token_only("ft", "FT"),
                                        Arg::token_only("mi", "MI"),
                                    ],
                                ),
                            ],
                        ),
                    ],
                ),
                Arg::one_of(
                    "order",
                    &[
                        Arg::token_only("asc", "ASC"),
                        Arg::token_only("desc", "DESC"),
                    ],
                )
                .optional(),
                Arg::block(
                    "count-block",
                    &[
                        Arg::new("count", ArgType::Integer).token("COUNT"),
                        Arg::token_only("any", "ANY").optional(),
                    ],
                )
                .optional(),
                Arg::token_only("storedist", "STOREDIST").optional(),
            ],
            ..Docs::new(
                Group::Geo,
                "6.2.0",
                "Queries a geospatial index for members inside an area of a box or a circle, optionally stores the result.",
            )
        },
        ..Command::ROW
    },
];
