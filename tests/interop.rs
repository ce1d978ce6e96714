//! Aedile and a real redis-server as each other's master and replica, and the real tools as Aedile's clients.

mod support;

/// Runs a test function `fn name(master: Kind, replica: Kind)` in both directions, as two tests.
macro_rules! each_direction {
    ($($name:ident),* $(,)?) => {$(
        mod $name {
            use $crate::support::Kind;

            #[test]
            fn aedile_master() {
                $crate::need_redis!();
                super::$name(Kind::Aedile, Kind::Redis);
            }

            #[test]
            fn redis_master() {
                $crate::need_redis!();
                super::$name(Kind::Redis, Kind::Aedile);
            }
        }
    )*};
}

mod interop {
    mod aof_load;
    mod check;
    mod cluster;
    mod cluster_partitions;
    mod cut;
    mod debugger;
    mod defaults;
    mod full_sync;
    mod functions;
    // The random commands of tests/diff; what that test alone needs is not used here.
    #[path = "../diff/generator.rs"]
    #[allow(dead_code)]
    mod generator;
    mod guides;
    mod load;
    mod newer;
    mod older;
    mod partial;
    mod programs;
    mod sentinel;
    mod sentinel_partitions;
    mod sentinel_restarts;
    mod shared_bgsave;
    mod tls;
    mod transactions;
    mod types;
    mod unloadable;
}
