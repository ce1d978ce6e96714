//! The rows of group `geo`: places on the earth in sorted sets.
//!
//! Rows only; the procedures are in the files that the rows name. The facts are those of Redis 7.2, as COMMAND INFO and
//! COMMAND DOCS tell them.

use super::get_keys::georadius_get_keys;
use crate::commands::geo;
use crate::server::execution::command::{
    Arg, ArgType, Command, CommandFlags as Flag, Group, KeyFlags as Key, KeySpec, Proc,
};

const fn row(name: &'static str, arity: i32, proc: Proc) -> Command {
    Command::row(Group::Geo, name, arity, proc)
}

/// In alphabetical order.
pub(super) static COMMANDS: &[Command] = &[
    row("geoadd", -5, geo::geoadd_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[KeySpec::index(1, &[Key::RW, Key::UPDATE])])
        .docs(
            "3.2.0",
            "Adds one or more members to a geospatial index. The key is \
             created if it doesn't exist.",
        )
        .complexity(
            "O(log(N)) for each item added, where N is the number of \
             elements in the sorted set.",
        )
        .history(&[("6.2.0", "Added the `CH`, `NX` and `XX` options.")])
        .args(&[
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
        ]),
    row("geodist", -4, geo::geodist_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "3.2.0",
            "Returns the distance between two members of a geospatial index.",
        )
        .complexity("O(1)")
        .args(&[
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
        ]),
    row("geohash", -2, geo::geohash_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "3.2.0",
            "Returns members from a geospatial index as geohash strings.",
        )
        .complexity("O(1) for each member requested.")
        .args(&[
            Arg::key("key", 0),
            Arg::new("member", ArgType::String).optional().multiple(),
        ]),
    row("geopos", -2, geo::geopos_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "3.2.0",
            "Returns the longitude and latitude of members from a geospatial \
             index.",
        )
        .complexity("O(1) for each member requested.")
        .args(&[
            Arg::key("key", 0),
            Arg::new("member", ArgType::String).optional().multiple(),
        ]),
    row("georadius", -6, geo::georadius_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[
            KeySpec::index(1, &[Key::RO, Key::ACCESS]),
            KeySpec::keyword("STORE", 6, &[Key::OW, Key::UPDATE]),
            KeySpec::keyword("STOREDIST", 6, &[Key::OW, Key::UPDATE]),
        ])
        .get_keys(georadius_get_keys)
        .docs(
            "3.2.0",
            "Queries a geospatial index for members within a distance from a \
             coordinate, optionally stores the result.",
        )
        .complexity(
            "O(N+log(M)) where N is the number of elements inside the \
             bounding box of the circular area delimited by center and \
             radius and M is the number of items inside the index.",
        )
        .deprecated(
            "6.2.0",
            "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
        )
        .history(&[
            ("6.2.0", "Added the `ANY` option for `COUNT`."),
            ("7.0.0", "Added support for uppercase unit names."),
        ])
        .args(&[
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
        ]),
    row("georadius_ro", -6, geo::georadiusro_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "3.2.10",
            "Returns members from a geospatial index that are within a \
             distance from a coordinate.",
        )
        .complexity(
            "O(N+log(M)) where N is the number of elements inside the \
             bounding box of the circular area delimited by center and \
             radius and M is the number of items inside the index.",
        )
        .deprecated("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument")
        .history(&[("6.2.0", "Added the `ANY` option for `COUNT`.")])
        .args(&[
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
        ]),
    row("georadiusbymember", -5, geo::georadiusbymember_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[
            KeySpec::index(1, &[Key::RO, Key::ACCESS]),
            KeySpec::keyword("STORE", 5, &[Key::OW, Key::UPDATE]),
            KeySpec::keyword("STOREDIST", 5, &[Key::OW, Key::UPDATE]),
        ])
        .get_keys(georadius_get_keys)
        .docs(
            "3.2.0",
            "Queries a geospatial index for members within a distance from a \
             member, optionally stores the result.",
        )
        .complexity(
            "O(N+log(M)) where N is the number of elements inside the \
             bounding box of the circular area delimited by center and \
             radius and M is the number of items inside the index.",
        )
        .deprecated(
            "6.2.0",
            "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and \
             `FROMMEMBER` arguments",
        )
        .history(&[("7.0.0", "Added support for uppercase unit names.")])
        .args(&[
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
        ]),
    row("georadiusbymember_ro", -5, geo::georadiusbymemberro_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "3.2.10",
            "Returns members from a geospatial index that are within a \
             distance from a member.",
        )
        .complexity(
            "O(N+log(M)) where N is the number of elements inside the \
             bounding box of the circular area delimited by center and \
             radius and M is the number of items inside the index.",
        )
        .deprecated(
            "6.2.0",
            "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
        )
        .args(&[
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
        ]),
    row("geosearch", -7, geo::geosearch_command)
        .flags(&[Flag::READONLY])
        .key_specs(&[KeySpec::index(1, &[Key::RO, Key::ACCESS])])
        .docs(
            "6.2.0",
            "Queries a geospatial index for members inside an area of a box \
             or a circle.",
        )
        .complexity(
            "O(N+log(M)) where N is the number of elements in the \
             grid-aligned bounding box area around the shape provided as the \
             filter and M is the number of items inside the shape",
        )
        .history(&[("7.0.0", "Added support for uppercase unit names.")])
        .args(&[
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
        ]),
    row("geosearchstore", -8, geo::geosearchstore_command)
        .flags(&[Flag::WRITE, Flag::DENYOOM])
        .key_specs(&[
            KeySpec::index(1, &[Key::OW, Key::UPDATE]),
            KeySpec::index(2, &[Key::RO, Key::ACCESS]),
        ])
        .docs(
            "6.2.0",
            "Queries a geospatial index for members inside an area of a box \
             or a circle, optionally stores the result.",
        )
        .complexity(
            "O(N+log(M)) where N is the number of elements in the \
             grid-aligned bounding box area around the shape provided as the \
             filter and M is the number of items inside the shape",
        )
        .history(&[("7.0.0", "Added support for uppercase unit names.")])
        .args(&[
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
        ]),
];
