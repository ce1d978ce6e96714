//! A replica that can never load what its master sends: neither of the two repeats that without a pause.

use super::load::{master, populate};
use crate::need_redis;
use crate::support::*;

/// A real 7.0, which has no pause of its own, asks again and again for a snapshot of an RDB version that it does not know.
#[test]
fn a_replica_that_does_not_know_the_version_is_put_off() {
    need_redis!();
    for diskless in ["yes", "no"] {
        let m = Server::aedile(&[
            "--rdb-save-version",
            "11",
            "--repl-diskless-sync",
            diskless,
            "--repl-diskless-sync-delay",
            "0",
        ]);
        populate(&m, 100);
        let r = Server::redis(&[]);
        let begin = std::time::Instant::now();
        let mut c = m.connect();
        let forks = c.info_int("total_forks");
        r.replicate(m.port);
        m.wait_log("has ended 2 full syncs in a row without acknowledging one");
        std::thread::sleep(std::time::Duration::from_secs(4));
        // Two at once, then one after a second at the least, after two, after four.
        let (n, ms) = (
            c.info_int("total_forks") - forks,
            begin.elapsed().as_millis() as i64,
        );
        assert!((2..=3 + ms / 2000).contains(&n), "{n} forks in {ms} ms");
        assert_eq!(m.log_count("without acknowledging one"), 1);
        // One that can is served at once.
        let good = master(Kind::Aedile, &[]);
        good.replicate(m.port);
        assert_synced(&m, &good);
        assert!(r.log_has("Can't handle RDB format version 11"));
    }
}
