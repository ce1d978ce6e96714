//! Persistence: snapshots to and from RDB files (rdb.c, childinfo.c, and the parts of server.c that start and reap children).
//! Floor 5.
//!
//! [`save`] writes a snapshot, [`child`] does so in a forked process and hears from it, [`snapshot`] does so in the loop, [`load`] reads one; [`check`] is the
//! tools that look at files without a server. The state is in `server::persist`. Must not know sockets: a full sync is a file
//! that replication asks for here and sends or has received by itself.

mod aof;
mod aof_load;
pub(crate) mod check;
mod child;
mod load;
mod rewrite;
mod save;
mod snapshot;

use std::path::Path;
use std::time::Duration;

use crate::base::sys;
use crate::config::fields::Config;

/// The longest nap of [`debug_delay`]: how late a child may hear that it is to stop.
const NAP: Duration = Duration::from_millis(10);

/// Slows a save or a load down, for tests (debugDelay): `us` microseconds a call; negative: one microsecond each `-us`
/// calls. `calls` counts them. In a child it ends early when the parent asks for that.
fn debug_delay(us: i32, calls: &mut u64) {
    let mut left = if us < 0 {
        *calls += 1;
        let due = calls.is_multiple_of(u64::from(us.unsigned_abs()));
        Duration::from_micros(u64::from(due))
    } else {
        Duration::from_micros(us.unsigned_abs().into())
    };
    while !left.is_zero() && !sys::child_stop_asked() {
        let nap = left.min(NAP);
        std::thread::sleep(nap);
        left -= nap;
    }
}

/// `dbfilename` as a path in the working folder.
fn db_path(config: &Config) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(&config.dbfilename))
}
