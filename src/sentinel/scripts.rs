//! The user's scripts: a queue, up to sixteen at a time, again after a while if one asks for it (exit code 1, or a signal),
//! and an end to those that run for too long.
//!
//! A script inherits the standard descriptors and no other: all of ours are closed on exec.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};

use crate::base::clock::mstime;
use crate::base::log::Level;
use crate::sentinel::state::{ScriptJob, Sentinel};
use crate::server::Server;
use crate::server_log;

/// Jobs that wait or run (SENTINEL_SCRIPT_MAX_QUEUE).
const MAX_QUEUE: usize = 256;
/// Scripts that run at a time (SENTINEL_SCRIPT_MAX_RUNNING).
const MAX_RUNNING: usize = 16;
/// Runs of one job (SENTINEL_SCRIPT_MAX_RETRY).
const MAX_RETRY: u32 = 10;

/// How a run has ended: exit code and signal, 0 where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    code: i32,
    signal: i32,
}

impl End {
    fn of(status: ExitStatus) -> End {
        End {
            code: status.code().unwrap_or(0),
            signal: status.signal().unwrap_or(0),
        }
    }

    /// It asks to be run again.
    fn wants_retry(self) -> bool {
        self.signal != 0 || self.code == 1
    }

    fn is_good(self) -> bool {
        self.signal == 0 && self.code == 0
    }
}

/// Milliseconds from the end of run number `retry_num` to the next one (sentinelScriptRetryDelay): twice as long each time.
fn script_retry_delay(period: i64, retry_num: u32) -> i64 {
    period.saturating_mul(1 << retry_num.saturating_sub(1).min(32))
}

/// There is no room for a process, as opposed to a program that cannot be run.
fn is_fork_failure(e: &io::Error) -> bool {
    matches!(
        e.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory
    )
}

/// A script with its arguments. Its path is never looked for in `PATH`: what [`super::config::is_script`] has seen is what runs.
fn command(argv: &[Vec<u8>]) -> Command {
    let (path, args) = argv.split_first().map_or((&[][..], argv), |(p, a)| (p, a));
    let here: &[u8] = if path.contains(&b'/') { b"" } else { b"./" };
    let mut command = Command::new(OsStr::from_bytes(&[here, path].concat()));
    command
        .arg0(OsStr::from_bytes(path))
        .args(args.iter().map(|a| OsStr::from_bytes(a)));
    command
}

fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).into_owned()
}

impl Sentinel {
    pub(crate) fn running_scripts(&self) -> usize {
        self.scripts.iter().filter(|j| j.child.is_some()).count()
    }

    /// Puts a script into the queue; the oldest one that does not run gives way when it is full
    /// (sentinelScheduleScriptExecution).
    pub(super) fn schedule_script_execution(&mut self, argv: Vec<Vec<u8>>) {
        self.scripts.push_back(ScriptJob {
            argv,
            retry_num: 0,
            start_time: 0,
            child: None,
            killed: false,
        });
        if self.scripts.len() > MAX_QUEUE
            && let Some(oldest) = self.scripts.iter().position(|j| j.child.is_none())
        {
            self.scripts.remove(oldest);
        }
    }

    /// Starts what is due (sentinelRunPendingScripts).
    pub(super) fn run_pending_scripts(&mut self, server: &mut Server) {
        let now = mstime();
        let mut running = self.running_scripts();
        let mut at = 0;
        while running < MAX_RUNNING && at < self.scripts.len() {
            let job = &mut self.scripts[at];
            at += 1;
            if job.child.is_some() || job.start_time > now {
                continue;
            }
            job.start_time = now;
            job.retry_num += 1;
            job.killed = false;
            match command(&job.argv).spawn() {
                Ok(child) => {
                    let pid = child.id().to_string();
                    job.child = Some(child);
                    running += 1;
                    self.event(server, Level::Debug, "+script-child", None, &pid);
                }
                Err(e) if is_fork_failure(&e) => {
                    let text = format!("{} 99 0", shown(&job.argv[0]));
                    self.event(server, Level::Warning, "-script-error", None, &text);
                }
                Err(_) => {
                    // What upstream's child says of itself when it cannot run the program.
                    let text = format!("{} 0 2", shown(&job.argv[0]));
                    at -= 1;
                    self.scripts.remove(at);
                    self.event(server, Level::Warning, "-script-error", None, &text);
                }
            }
        }
    }

    /// Sees to those that have ended (sentinelCollectTerminatedScripts).
    pub(super) fn collect_terminated_scripts(&mut self, server: &mut Server) {
        let mut at = 0;
        while at < self.scripts.len() {
            let job = &mut self.scripts[at];
            at += 1;
            let Some(child) = &mut job.child else {
                continue;
            };
            let pid = child.id();
            let end = match child.try_wait() {
                Ok(None) => continue,
                Ok(Some(status)) => End::of(status),
                Err(e) => {
                    server_log!(Level::Warning, "Cannot wait for script {}: {}", pid, e);
                    End { code: 2, signal: 0 }
                }
            };
            job.child = None;
            let ended = format!("{pid} {} {}", end.code, end.signal);
            let mut failed = None;
            if end.wants_retry() && job.retry_num != MAX_RETRY {
                let delay = script_retry_delay(self.periods.script_retry_delay, job.retry_num);
                job.start_time = mstime().saturating_add(delay);
            } else {
                if !end.is_good() {
                    let path = shown(&job.argv[0]);
                    failed = Some(format!("{path} {} {}", end.signal, end.code));
                }
                at -= 1;
                self.scripts.remove(at);
            }
            self.event(server, Level::Debug, "-script-child", None, &ended);
            if let Some(text) = failed {
                self.event(server, Level::Warning, "-script-error", None, &text);
            }
        }
    }

    /// Ends those that have run for too long (sentinelKillTimedoutScripts).
    pub(super) fn kill_timedout_scripts(&mut self, server: &mut Server) {
        let now = mstime();
        let limit = self.periods.script_max_runtime;
        let mut killed = Vec::new();
        for job in &mut self.scripts {
            let Some(child) = &mut job.child else {
                continue;
            };
            if now - job.start_time > limit && !job.killed {
                job.killed = true;
                killed.push(format!("{} {}", shown(&job.argv[0]), child.id()));
                // It fails only where the script has ended meanwhile.
                let _ = child.kill();
            }
        }
        for text in killed {
            self.event(server, Level::Warning, "-script-timeout", None, &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_program_of_the_path() {
        let of = |path: &[u8]| {
            let command = command(&[path.to_vec(), b"x".to_vec()]);
            command.get_program().as_bytes().to_vec()
        };
        assert_eq!(of(b"true"), b"./true");
        assert_eq!(of(b"/bin/true"), b"/bin/true");
        assert_eq!(of(b"../notify"), b"../notify");
    }

    #[test]
    fn delays_double() {
        let delays: Vec<i64> = (1..=4).map(|n| script_retry_delay(30_000, n)).collect();
        assert_eq!(delays, [30_000, 60_000, 120_000, 240_000]);
        assert_eq!(script_retry_delay(i64::MAX, 10), i64::MAX);
    }

    #[test]
    fn ends() {
        let end = |code, signal| End { code, signal };
        assert!(end(1, 0).wants_retry() && end(0, 9).wants_retry());
        assert!(!end(2, 0).wants_retry() && !end(0, 0).wants_retry());
        assert!(end(0, 0).is_good() && !end(2, 0).is_good() && !end(0, 9).is_good());
    }

    #[test]
    fn the_queue_has_an_end() {
        let mut s = Sentinel::default();
        for i in 0..MAX_QUEUE + 5 {
            s.schedule_script_execution(vec![i.to_string().into_bytes()]);
        }
        assert_eq!(s.scripts.len(), MAX_QUEUE);
        assert_eq!(s.scripts[0].argv[0], b"5");
    }
}
