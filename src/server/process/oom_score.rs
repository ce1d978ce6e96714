//! How willingly the kernel ends this process when memory runs out: `oom-score-adj` and its values (setOOMScoreAdj).
//!
//! Invariant: the score from before our first change is kept as long as we change it, and comes back when the directive is
//! switched off.

use std::fs;
use std::io;

use crate::base::log::Level;
use crate::base::sys::strerror;
use crate::config::value::OomScoreAdj;
use crate::server::Server;
use crate::server_log;

const OOM_SCORE_ADJ: &str = "/proc/self/oom_score_adj";

/// What the process is; the index of its value (CONFIG_OOM_*).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ProcessClass {
    Master = 0,
    Replica = 1,
    Child = 2,
}

/// The score from before, while ours is in force.
#[derive(Default)]
pub(crate) struct OomScore {
    base: Option<i32>,
}

fn read_score() -> io::Result<i32> {
    let text = fs::read_to_string(OOM_SCORE_ADJ)?;
    text.trim().parse().map_err(io::Error::other)
}

/// The score of a class: `value` by itself or on top of `base`, within the kernel's bounds.
fn score(mode: OomScoreAdj, base: i32, value: i32) -> i32 {
    let sum = match mode {
        OomScoreAdj::Relative => value.saturating_add(base),
        OomScoreAdj::Absolute | OomScoreAdj::No => value,
    };
    sum.clamp(-1000, 1000)
}

impl Server {
    /// Sets the score as configured for this class, or puts the one from before back (setOOMScoreAdj).
    ///
    /// # Errors
    /// The text for the client; the log says why.
    pub(crate) fn set_oom_score_adj(&mut self, class: ProcessClass) -> Result<(), String> {
        let mode = self.config.oom_score_adj;
        let failed = |what: &str, e: io::Error| {
            server_log!(
                Level::Warning,
                "Unable to {} oom_score_adj: {}",
                what,
                strerror(&e)
            );
            Err("Failed to set current oom_score_adj. Check server logs.".to_string())
        };
        let value = if mode == OomScoreAdj::No {
            match self.oom_score.base.take() {
                Some(base) => base,
                None => return Ok(()),
            }
        } else {
            let base = match self.oom_score.base {
                Some(base) => base,
                None => match read_score() {
                    Ok(base) => base,
                    Err(e) => return failed("read", e),
                },
            };
            self.oom_score.base = Some(base);
            score(mode, base, self.config.oom_score_adj_values[class as usize])
        };
        match fs::write(OOM_SCORE_ADJ, format!("{value}\n")) {
            Ok(()) => Ok(()),
            Err(e) => failed("write", e),
        }
    }

    /// The same for what this process is now.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn update_oom_score_adj(&mut self) -> Result<(), String> {
        self.set_oom_score_adj(if self.is_replica() {
            ProcessClass::Replica
        } else {
            ProcessClass::Master
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_bounded() {
        assert_eq!(score(OomScoreAdj::Relative, 22, 9), 31);
        assert_eq!(score(OomScoreAdj::Absolute, 22, 9), 9);
        assert_eq!(score(OomScoreAdj::Relative, 900, 2000), 1000);
        assert_eq!(score(OomScoreAdj::Absolute, 0, -2000), -1000);
    }
}
