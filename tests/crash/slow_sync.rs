//! A disk whose syncs wait or fail when the test says so: `tests/assets/slow_sync.c`, loaded into the server.
//!
//! Owns the control file and the log of what the server synced. Nothing here measures time: a held sync is held until it is
//! let go, so "answered while the sync hangs" means just that.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use crate::support::server::Scratch;
use crate::support::tools::preload;
use crate::support::{Kind, Server, wait_until};

/// The disk of one server; it lies in the server's folder.
pub struct Disk {
    control: PathBuf,
}

impl Disk {
    /// A server on such a disk, which is quick and sound at first.
    #[track_caller]
    pub fn server(args: &[&str]) -> (Disk, Server) {
        let scratch = Scratch::new();
        let library = preload(scratch.path(), "slow_sync");
        let control = scratch.join("sync.control");
        let env: Vec<(String, OsString)> = vec![
            ("LD_PRELOAD".into(), library.into()),
            ("SLOW_SYNC_CONTROL".into(), control.clone().into()),
        ];
        let disk = Disk { control };
        disk.heal();
        let server = Server::start_with_env(Kind::Aedile, scratch, args, env);
        (disk, server)
    }

    fn rule(&self, operation: &str, pattern: &str, hold: bool, errno: i32) {
        let next = self.control.with_extension("next");
        let line = format!("{operation} {pattern} {} {errno}\n", i32::from(hold));
        fs::write(&next, line).expect("the rule");
        fs::rename(&next, &self.control).expect("the rule");
    }

    /// Syncs of files with this in their path hang from now on, until another rule is set.
    pub fn hold(&self, pattern: &str) {
        self.rule("sync", pattern, true, 0);
    }

    /// Syncs of files with this in their path fail from now on, also those that hang. A `$` at the end means the path's end:
    /// so a folder's syncs fail, and those of its files do not.
    pub fn fail(&self, pattern: &str, errno: i32) {
        self.rule("sync", pattern, false, errno);
    }

    /// Closing files with this in their path hangs from now on.
    pub fn hold_close(&self, pattern: &str) {
        self.rule("close", pattern, true, 0);
    }

    /// All is quick and sound again.
    pub fn heal(&self) {
        self.rule("none", "none", false, 0);
    }

    /// How many lines of the disk's own log say `what` (begin, end, fail) of `pattern`, since the start.
    pub fn count(&self, what: &str, pattern: &str) -> usize {
        fs::read_to_string(self.control.with_extension("control.log"))
            .unwrap_or_default()
            .lines()
            .filter(|l| l.starts_with(what) && l.contains(pattern))
            .count()
    }

    /// Waits until `what` has been said more than `before` times.
    #[track_caller]
    pub fn wait_more(&self, what: &str, pattern: &str, before: usize) {
        wait_until(&format!("{what} of {pattern}"), || {
            self.count(what, pattern) > before
        });
    }

    /// Waits until no sync of `pattern` hangs any more: one that has not yet seen that all is well again would go on to hang
    /// under the next rule.
    #[track_caller]
    pub fn wait_healed(&self, pattern: &str) {
        wait_until(&format!("the syncs of {pattern}"), || {
            self.count("begin sync", pattern) == self.count("end sync", pattern)
        });
    }

    /// Holds the syncs of `pattern`, and waits until one hangs; `write` brings one about.
    #[track_caller]
    pub fn hang(&self, pattern: &str, write: impl FnOnce()) {
        let before = self.count("begin sync", pattern);
        self.hold(pattern);
        write();
        self.wait_more("begin sync", pattern, before);
    }
}
