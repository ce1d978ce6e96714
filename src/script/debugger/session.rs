//! What a session of the debugger knows: the script's source, the breakpoints, what was logged and not yet sent.
//!
//! It knows nothing of the machine or the server.

use crate::base::clock::monotonic_us;
use crate::base::num::string2ll;
use crate::script::debugger::show;
use crate::script::debugger::wire::{Wire, atoi};

/// Breakpoints that may be set at a time (LDB_BREAKPOINTS_MAX).
const BREAKPOINTS_MAX: usize = 64;
/// Bytes of a logged value or reply, until the user says otherwise (LDB_MAX_LEN_DEFAULT).
const MAX_LEN_DEFAULT: usize = 256;
/// The least that he may ask for.
const MAX_LEN_LEAST: usize = 60;

/// A function that is under way, as its lines tell.
struct Frame {
    thread: usize,
    /// Deeper is higher.
    at: u16,
    line: u32,
}

/// A session of the debugger.
pub(crate) struct Session {
    pub(super) wire: Wire,
    /// The script as its user wrote it.
    lines: Vec<Vec<u8>>,
    pub(super) breakpoints: Vec<i64>,
    /// The script stops at its next line; until then, what it calls is logged.
    pub(super) step: bool,
    /// `redis.breakpoint()` was called since the last stop.
    pub(super) breakpoint_called: bool,
    pub(super) current: i64,
    /// Bytes of a logged value or reply; 0: no limit.
    max_len: usize,
    hint_given: bool,
    /// Innermost last.
    frames: Vec<Frame>,
    /// When the script began or went on, monotonic.
    pub(super) running_since_us: u64,
    /// What the script is to end with.
    pub(super) end: Option<&'static str>,
}

impl Session {
    pub(super) fn new(wire: Wire, script: &[u8]) -> Session {
        let is_end = |c: &u8| matches!(c, b'\r' | b'\n');
        let len = script.iter().rposition(|c| !is_end(c)).map_or(0, |n| n + 1);
        Session {
            wire,
            lines: script[..len]
                .split(|c| *c == b'\n')
                .map(<[u8]>::to_vec)
                .collect(),
            breakpoints: Vec::new(),
            step: true,
            breakpoint_called: false,
            current: 0,
            max_len: MAX_LEN_DEFAULT,
            hint_given: false,
            frames: Vec::new(),
            running_since_us: monotonic_us(),
            end: None,
        }
    }

    /// What the session has ended its script with, if it has: the text of an error.
    pub(crate) fn take_end(&mut self) -> Option<&'static str> {
        self.end.take()
    }

    pub(super) fn log(&mut self, entry: impl Into<Vec<u8>>) {
        let mut entry = entry.into();
        entry.truncate(show::LONGEST);
        self.wire.log(entry);
    }

    /// Bytes after which a value or reply needs not be written further.
    pub(super) fn limit(&self) -> usize {
        match self.max_len {
            0 => show::LONGEST,
            n => n.min(show::LONGEST),
        }
    }

    /// Logs what may be long (ldbLogWithMaxLen).
    pub(super) fn log_with_max_len(&mut self, mut entry: Vec<u8>) {
        let limit = self.limit();
        let trimmed = entry.len() > limit;
        if trimmed {
            entry.truncate(limit);
            entry.extend_from_slice(b" ...");
        }
        self.log(entry);
        if trimmed && !std::mem::replace(&mut self.hint_given, true) {
            self.log("<hint> The above reply was trimmed. Use 'maxlen 0' to disable trimming.");
        }
    }

    pub(super) fn log_source_line(&mut self, line: i64) {
        let text = usize::try_from(line - 1)
            .ok()
            .and_then(|i| self.lines.get(i));
        let text = text.map_or(&b"<out of range source code line>"[..], |t| t);
        let prefix = match (line == self.current, self.breakpoints.contains(&line)) {
            (true, true) => "->#",
            (true, false) => "-> ",
            (false, true) => "  #",
            (false, false) => "   ",
        };
        let entry = [format!("{prefix}{line:<3} ").as_bytes(), text].concat();
        self.log(entry);
    }

    /// Logs the lines around one; around 0 all of them (ldbList).
    pub(super) fn list(&mut self, around: i64, context: i64) {
        for line in 1..=self.lines.len() as i64 {
            if around == 0 || (around - line).abs() <= context {
                self.log_source_line(line);
            }
        }
    }

    /// `break [line | -line | 0] ...`
    pub(super) fn change_breakpoints(&mut self, argv: &[Vec<u8>]) {
        if argv.len() == 1 {
            if self.breakpoints.is_empty() {
                return self.log("No breakpoints set. Use 'b <line>' to add one.");
            }
            self.log(format!("{} breakpoints set:", self.breakpoints.len()));
            for line in self.breakpoints.clone() {
                self.log_source_line(line);
            }
            return;
        }
        for word in &argv[1..] {
            match string2ll(word) {
                None => self.log([b"Invalid argument:'", &word[..], b"'"].concat()),
                Some(0) => {
                    self.breakpoints.clear();
                    self.log("All breakpoints removed.");
                }
                Some(line) if line > 0 => self.add_breakpoint(line),
                Some(line) => {
                    let line = line.checked_neg();
                    match self.breakpoints.iter().position(|b| Some(*b) == line) {
                        Some(i) => {
                            self.breakpoints.remove(i);
                            self.log("Breakpoint removed.");
                        }
                        None => self.log("No breakpoint in the specified line."),
                    }
                }
            }
        }
    }

    fn add_breakpoint(&mut self, line: i64) {
        if self.breakpoints.len() == BREAKPOINTS_MAX {
            self.log("Too many breakpoints set.");
        } else if line > self.lines.len() as i64 || self.breakpoints.contains(&line) {
            self.log("Wrong line number.");
        } else {
            self.breakpoints.push(line);
            self.list(line, 1);
        }
    }

    /// `maxlen [len]`
    pub(super) fn change_max_len(&mut self, argv: &[Vec<u8>]) {
        if let [_, len] = argv {
            // Its user knows the command.
            self.hint_given = true;
            self.max_len = match atoi(len) {
                0 => 0,
                n => usize::try_from(n).unwrap_or(0).max(MAX_LEN_LEAST),
            };
        }
        self.log(match self.max_len {
            0 => "<value> replies are unlimited.".to_string(),
            n => format!("<value> replies are truncated at {n} bytes."),
        });
    }

    /// Notes a line, and says whether the function has only been returned to: the machine announces its line once more then.
    pub(super) fn is_return(&mut self, thread: usize, at: u16, line: u32) -> bool {
        let mut returned = false;
        while let Some(f) = self.frames.last() {
            if f.thread == thread && f.at <= at {
                break;
            }
            if f.thread != thread && self.frames.iter().all(|f| f.thread != thread) {
                // A coroutine that has begun.
                break;
            }
            returned |= f.thread == thread;
            self.frames.pop();
        }
        match self.frames.last_mut() {
            Some(f) if f.thread == thread && f.at == at => {
                let same = f.line == line;
                f.line = line;
                returned && same
            }
            _ => {
                self.frames.push(Frame { thread, at, line });
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(script: &str) -> Session {
        Session::new(Wire::toy(), script.as_bytes())
    }

    fn said(s: &mut Session) -> Vec<String> {
        let logged = s.wire.take_log();
        let text = |l: Vec<u8>| String::from_utf8_lossy(&l).into_owned();
        logged.into_iter().map(text).collect()
    }

    #[test]
    fn lines_are_those_of_the_script() {
        let mut s = session("a\r\nb\n\nc\n\r\n");
        s.current = 2;
        s.breakpoints = vec![2, 4];
        s.list(0, 0);
        assert_eq!(
            said(&mut s),
            ["   1   a\r", "->#2   b", "   3   ", "  #4   c"]
        );
        s.list(4, 1);
        assert_eq!(said(&mut s), ["   3   ", "  #4   c"]);
        s.log_source_line(i64::MAX);
        s.log_source_line(0);
        assert_eq!(said(&mut s)[1], "   0   <out of range source code line>");
    }

    #[test]
    fn breakpoints() {
        let mut s = session("a\nb\nc");
        let mut told = |words: &str| {
            let argv: Vec<_> = words.split(' ').map(|w| w.as_bytes().to_vec()).collect();
            s.change_breakpoints(&argv);
            said(&mut s)
        };
        assert_eq!(
            told("b"),
            ["No breakpoints set. Use 'b <line>' to add one."]
        );
        assert_eq!(told("b 3"), ["   2   b", "  #3   c"]);
        for wrong in ["b 3", "b 4", "b 9223372036854775807"] {
            assert_eq!(told(wrong), ["Wrong line number."]);
        }
        assert_eq!(
            told("b x 1"),
            ["Invalid argument:'x'", "  #1   a", "   2   b"]
        );
        assert_eq!(told("b"), ["2 breakpoints set:", "  #3   c", "  #1   a"]);
        for none in ["b -2", "b -9223372036854775808"] {
            assert_eq!(told(none), ["No breakpoint in the specified line."]);
        }
        assert_eq!(
            told("b -3 0"),
            ["Breakpoint removed.", "All breakpoints removed."]
        );
        let many = "x\n".repeat(70);
        let mut s = session(&many);
        for line in 1..=65 {
            s.add_breakpoint(line);
        }
        assert_eq!(
            said(&mut s).pop().as_deref(),
            Some("Too many breakpoints set.")
        );
    }

    #[test]
    fn lengths() {
        let mut s = session("");
        let mut told = |words: &[&str]| {
            let argv: Vec<_> = words.iter().map(|w| w.as_bytes().to_vec()).collect();
            s.change_max_len(&argv);
            said(&mut s).pop()
        };
        let at = |n: usize| Some(format!("<value> replies are truncated at {n} bytes."));
        assert_eq!(told(&["m"]), at(256));
        assert_eq!(told(&["m", "100"]), at(100));
        assert_eq!(told(&["m", "5"]), at(60));
        assert_eq!(told(&["m", "-5"]), at(60));
        assert_eq!(
            told(&["m", "0"]).as_deref(),
            Some("<value> replies are unlimited.")
        );
        s.max_len = 60;
        s.hint_given = false;
        s.log_with_max_len(vec![b'x'; 61]);
        s.log_with_max_len(vec![b'x'; 61]);
        s.log_with_max_len(vec![b'x'; 60]);
        let trimmed = "x".repeat(60) + " ...";
        let hint = "<hint> The above reply was trimmed. Use 'maxlen 0' to disable trimming.";
        let (trimmed, whole) = (trimmed.as_str(), &trimmed[..60]);
        assert_eq!(said(&mut s), [trimmed, hint, trimmed, whole]);
    }

    #[test]
    fn a_line_that_is_returned_to_is_no_new_one() {
        let mut s = session("");
        assert!(!s.is_return(1, 1, 4));
        assert!(!s.is_return(1, 2, 9));
        assert!(s.is_return(1, 1, 4));
        // A loop in one line.
        assert!(!s.is_return(1, 1, 4));
        assert!(!s.is_return(1, 2, 9));
        assert!(!s.is_return(1, 1, 5));
        // A coroutine comes and goes; its lines are not the ones that called it.
        assert!(!s.is_return(2, 1, 7));
        assert!(!s.is_return(2, 2, 8));
        assert!(s.is_return(2, 1, 7));
        assert!(!s.is_return(1, 1, 5));
        assert!(!s.is_return(2, 1, 7));
    }
}
