//! The memory from which the kernel answers `/proc/<pid>/cmdline`. It knows nothing of what is written there.

use std::ffi::{CStr, c_char};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

unsafe extern "C" {
    static mut environ: *mut *mut c_char;
}

/// The process' arguments and, where they follow at once, its environment: start and end addresses.
fn argument_area() -> Option<(usize, usize)> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in brackets, which may hold spaces; the third is the first one behind it.
    let mut fields = stat
        .get(stat.rfind(')')? + 1..)?
        .split_whitespace()
        .skip(45);
    let mut next = || fields.next()?.parse::<usize>().ok();
    let (args, args_end, env, env_end) = (next()?, next()?, next()?, next()?);
    if args == 0 || args >= args_end {
        return None;
    }
    let joined = env == args_end && env_end > env;
    Some((args, if joined { env_end } else { args_end }))
}

/// Whether this program's arguments are in the area: a program that runs this one in its own process (an emulator, an
/// instrumenting tool) has its own there, and is found by it. What `/proc` says of that such a program may fake.
fn holds_our_arguments(start: usize, end: usize) -> bool {
    let mut ours = Vec::new();
    for arg in std::env::args_os() {
        ours.extend_from_slice(arg.as_encoded_bytes());
        ours.push(0);
    }
    if ours.len() > end - start {
        return false;
    }
    // SAFETY: the kernel keeps the arguments of the process here, readable for its whole life; nobody writes them before they
    // are lent.
    let there = unsafe {
        std::slice::from_raw_parts(std::ptr::with_exposed_provenance::<u8>(start), ours.len())
    };
    there == ours
}

/// Whether no other thread runs. None can begin meanwhile: it would be this one that starts it.
fn is_alone() -> bool {
    let threads = std::fs::read_dir("/proc/self/task");
    threads.is_ok_and(|t| t.count() == 1)
}

/// The bytes that `ps` and `/proc/<pid>/cmdline` show as the command line. `std::env::args` reads them as well, so they are
/// shared, not ours alone, and the byte behind them stays zero: a text that ends there has an end.
pub(crate) struct TitleArea(&'static [AtomicU8]);

impl TitleArea {
    /// Writes a title, cut where the room ends (setproctitle).
    pub(crate) fn write(&mut self, title: &[u8]) {
        let title = title.iter().chain(std::iter::repeat(&0));
        for (to, byte) in self.0.iter().zip(title) {
            to.store(*byte, Ordering::Relaxed);
        }
    }
}

/// Lends the command line's memory, once in the life of a process. The environment moves elsewhere first, so that variables
/// keep their values. `None`: the kernel does not say where they are, they are another program's, they have been asked for before,
/// there is no room but for the last byte, or other threads run, which may be reading the environment.
///
/// To be called after the arguments have been read: `std::env::args` is spoilt by what is written.
pub(crate) fn title_area() -> Option<TitleArea> {
    static LENT: AtomicBool = AtomicBool::new(false);
    // Before anybody looks at the area: whoever has it may be writing to it.
    if LENT.swap(true, Ordering::SeqCst) {
        return None;
    }
    let (start, end) = argument_area()?;
    if end - start < 2 || !holds_our_arguments(start, end) || !is_alone() {
        return None;
    }
    // SAFETY: environ is null or a list of C strings that ends with null, and there is no other thread to look at it now. Each
    // string that lies in the area is replaced by a copy that is never freed.
    unsafe {
        let mut at = environ;
        while !at.is_null() && !(*at).is_null() {
            if (start..end).contains(&(*at).addr()) {
                *at = CStr::from_ptr(*at).to_owned().into_raw();
            }
            at = at.add(1);
        }
    }
    // SAFETY: the kernel put the process' own arguments and environment here, in writable memory that stays for its life.
    // Whatever else refers to it, reads bytes: `std` copies what it gives out, and the environment has just been moved.
    Some(TitleArea(unsafe {
        std::slice::from_raw_parts(std::ptr::with_exposed_provenance(start), end - start - 1)
    }))
}
