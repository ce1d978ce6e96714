//! Every call into libc that std and socket2 do not offer, wrapped safely. `unsafe` stands here, in `base::alloc`, `ds/`,
//! `store::entry` and `script::lua`, and nowhere else.
//!
//! State, all of it the process': what signal handlers set and read, their hooks, the name of a file that goes if the process is
//! killed (`UNFINISHED_FILE`), the collation that strings are compared by (`COLLATION`), a number for names of temporary files
//! (`NUMBER`), whether the command line's memory is lent (`LENT`).

mod alarm;
#[cfg(target_arch = "x86_64")]
mod carryless;
mod crash;
mod memtest;
mod own;
mod title;

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};

pub(crate) use alarm::{on_alarm as on_script_alarm, set_alarm as set_script_alarm};
#[cfg(target_arch = "x86_64")]
pub(crate) use carryless::Carryless;
pub(crate) use crash::{
    CrashCause, Exhibit, Registers, code_place, end_with_report, exhibit, peek, segfault,
    set_crash_handlers, set_exit_on_panic, show,
};
pub(crate) use memtest::{Progress, fast_memory_test};
use own::install;
pub(crate) use own::{exit_now, getpid, is_main_thread};
pub(crate) use title::{TitleArea, title_area};

fn check(rc: libc::c_int) -> io::Result<libc::c_int> {
    if rc < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(rc)
    }
}

/// Gives the whole pages inside `bytes` back to the kernel; their contents are lost, they are zeros from now on. For memory about to
/// be freed.
///
/// # Safety
/// The bytes are part of an allocation that the caller alone uses, and whoever reads them before they are written again bears zeros as
/// well as what was there.
pub(crate) unsafe fn release_pages(bytes: *mut [u8]) {
    if cfg!(miri) {
        return;
    }
    let address = bytes.cast::<u8>().addr();
    let start = address.next_multiple_of(PAGE_SIZE);
    let end = (address + bytes.len()) & !(PAGE_SIZE - 1);
    if start < end {
        let pages = bytes.cast::<libc::c_void>().with_addr(start);
        // SAFETY: by the caller's word, nobody reads what is thrown away.
        unsafe { libc::madvise(pages, end - start, libc::MADV_DONTNEED) };
    }
}

/// Bytes of a page, at the least.
pub(crate) const PAGE_SIZE: usize = 4096;

/// Whether this is a forked child that saves.
#[inline]
pub(crate) fn is_saving_child() -> bool {
    IS_CHILD.load(Ordering::Relaxed)
}

/// In a forked child that saves: gives the whole pages inside these bytes back to the kernel (dismissMemory). Elsewhere it does
/// nothing.
///
/// # Safety
/// They are part of an allocation that nobody reads or frees any more.
pub(crate) unsafe fn dismiss_memory(bytes: *const [u8]) {
    if bytes.len() >= PAGE_SIZE && is_saving_child() {
        // SAFETY: by the caller's word.
        unsafe { release_pages(bytes.cast_mut()) };
    }
}

/// The same for bytes that mean nothing to the child: in it, they may be zeros from now on.
pub(crate) fn dismiss_bytes(bytes: &mut [u8]) {
    // SAFETY: nobody else refers to the bytes, and any bytes will do in their place: those of a new page are zeros.
    unsafe { dismiss_memory(bytes) };
}

/// Forks: `child` is what the other process does, and what it ends with. Returns its pid.
///
/// The child has this thread alone. What libc and jemalloc lock, they hold over a fork, so both are whole in it. A lock of ours
/// that another thread holds is never released there: the child must need none.
///
/// # Errors
/// The system's.
pub(crate) fn fork(child: impl FnOnce() -> i32) -> io::Result<libc::pid_t> {
    /// Nothing of what lies below on the stack belongs to the child.
    struct End;
    impl Drop for End {
        fn drop(&mut self) {
            exit_now(1);
        }
    }
    // SAFETY: the child returns to nobody: it runs `child` and ends, also when that unwinds. No other thread's work is half done
    // but under a lock, which then stays locked; counters of those threads are not read again.
    let pid = check(unsafe { libc::fork() })?;
    if pid != 0 {
        return Ok(pid);
    }
    let _end = End;
    super::alloc::forget_other_threads();
    exit_now(child())
}

/// Writes all bytes to standard output, past the buffer and the lock of `std`; what cannot be written is lost.
pub(crate) fn write_stdout(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the bytes are readable for their length.
        let n = unsafe { libc::write(libc::STDOUT_FILENO, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(n) {
            Ok(n) if n > 0 => bytes = &bytes[n.min(bytes.len())..],
            Ok(_) => return,
            Err(_) if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChildExit {
    pub pid: i32,
    /// Exit code, when it exited by itself.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
}

/// Reaps one ended child, if there is one.
pub(crate) fn wait_child() -> Option<ChildExit> {
    let mut status = 0;
    // SAFETY: status is a valid place.
    let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
    if pid <= 0 {
        return None;
    }
    Some(ChildExit {
        pid,
        code: libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status)),
        signal: libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status)),
    })
}

/// Reaps this child if it has ended; true also when it was reaped before.
pub(crate) fn has_ended(pid: i32) -> bool {
    let mut status = 0;
    // SAFETY: status is a valid place.
    let n = unsafe { libc::waitpid(pid, &mut status, libc::WNOHANG) };
    n == pid || n < 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ECHILD)
}

/// Waits for one child to end (used after it was killed).
pub(crate) fn wait_for(pid: i32) {
    let mut status = 0;
    // SAFETY: status is a valid place.
    while unsafe { libc::waitpid(pid, &mut status, 0) } < 0
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
}

/// Whether the program at this path may be run by us.
pub(crate) fn is_executable(path: &CStr) -> bool {
    // SAFETY: the path ends with a zero byte.
    unsafe { libc::access(path.as_ptr(), libc::X_OK) == 0 }
}

pub(crate) const SIGUSR1: i32 = libc::SIGUSR1;
pub(crate) const SIGKILL: i32 = libc::SIGKILL;
pub(crate) const SIGINT: i32 = libc::SIGINT;

pub(crate) fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: always sound.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// In a forked child: it ends when `parent` does, at once if that has ended already.
pub(crate) fn die_with_parent(parent: i32) {
    // SAFETY: always sound.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    if getppid() != parent {
        exit_now(1);
    }
}

pub(crate) fn getppid() -> i32 {
    // SAFETY: always sound.
    unsafe { libc::getppid() }
}

/// A pipe with both ends non-blocking and closed on exec: (read, write).
pub(crate) fn pipe() -> io::Result<(File, File)> {
    let mut fds: [RawFd; 2] = [0; 2];
    // SAFETY: fds has room for two.
    check(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) })?;
    // SAFETY: both were just opened and belong to nobody else.
    Ok(unsafe { (File::from_raw_fd(fds[0]), File::from_raw_fd(fds[1])) })
}

/// Reads and writes of this descriptor wait from now on.
pub(crate) fn set_blocking(file: &File) -> io::Result<()> {
    let fd = file.as_raw_fd();
    // SAFETY: the kernel checks the descriptor.
    let flags = check(unsafe { libc::fcntl(fd, libc::F_GETFL) })?;
    // SAFETY: as above.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags & !libc::O_NONBLOCK) }).map(drop)
}

/// Sleeps until the descriptor is readable, or for `ms` milliseconds, or until a signal.
pub(crate) fn wait_readable(fd: RawFd, ms: i32) {
    wait_for_events(fd, libc::POLLIN, ms);
}

/// The same until it takes more.
pub(crate) fn wait_writable(fd: RawFd, ms: i32) {
    wait_for_events(fd, libc::POLLOUT, ms);
}

/// Bytes that have come and are not read.
#[cfg(test)]
pub(crate) fn unread_bytes(fd: RawFd) -> usize {
    let mut n: libc::c_int = 0;
    // SAFETY: one number, and it lives.
    unsafe { libc::ioctl(fd, libc::FIONREAD, &mut n) };
    usize::try_from(n).unwrap_or(0)
}

/// Whether it takes more now.
#[cfg(test)]
pub(crate) fn is_writable(fd: RawFd) -> bool {
    let mut p = libc::pollfd {
        fd,
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: one pollfd, and it lives.
    unsafe { libc::poll(&mut p, 1, 0) == 1 }
}

fn wait_for_events(fd: RawFd, events: libc::c_short, ms: i32) {
    let mut p = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    // SAFETY: one pollfd, and it lives.
    unsafe { libc::poll(&mut p, 1, ms) };
}

/// Sends up to `count` bytes of a file from `offset` on to a socket, inside the kernel. Returns how many it took.
pub(crate) fn sendfile(socket: RawFd, file: &File, offset: u64, count: usize) -> io::Result<usize> {
    let mut off = offset as libc::off_t;
    // SAFETY: off is a valid place; the kernel checks the descriptors.
    let n = unsafe { libc::sendfile(socket, file.as_raw_fd(), &mut off, count) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// Forces a range of a file to the disk and drops it from the page cache (rio's reclaim, sync_file_range).
pub(crate) fn sync_file_range(file: &File, offset: u64, len: u64) -> io::Result<()> {
    let flags = libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE;
    // SAFETY: always sound.
    check(unsafe { libc::sync_file_range(file.as_raw_fd(), offset as i64, len as i64, flags) })
        .map(drop)
}

/// Tells the kernel that the file's cached pages are not needed any more.
pub(crate) fn drop_page_cache(file: &File) {
    // SAFETY: always sound; a failure only costs memory.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
}

/// Soft and hard limit on open files.
pub(crate) fn open_files_limit() -> io::Result<(u64, u64)> {
    let mut l = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: l is a valid place.
    check(unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut l) })?;
    Ok((l.rlim_cur, l.rlim_max))
}

pub(crate) fn set_open_files_limit(soft: u64, hard: u64) -> io::Result<()> {
    let l = libc::rlimit {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: l is valid.
    check(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &l) }).map(drop)
}

/// Allows core dumps (as initServer does when a crash report is wanted).
pub(crate) fn allow_core_dumps() {
    let l = libc::rlimit {
        rlim_cur: libc::RLIM_INFINITY,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: l is valid.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, &l) };
}

/// Becomes a daemon: forks, the parent exits, the child leads a session and has /dev/null for its three standard files.
pub(crate) fn daemonize() -> io::Result<()> {
    // SAFETY: the parent does nothing but to end. The child is the server from here on: as `fork` says, it has all that this
    // thread has, and what other threads had locked stays so.
    if check(unsafe { libc::fork() })? != 0 {
        std::process::exit(0);
    }
    super::alloc::forget_other_threads();
    // SAFETY: always sound.
    check(unsafe { libc::setsid() })?;
    let null = File::options().read(true).write(true).open("/dev/null")?;
    for fd in 0..3 {
        // SAFETY: duplicates an open descriptor over the standard ones.
        check(unsafe { libc::dup2(null.as_raw_fd(), fd) })?;
    }
    Ok(())
}

/// Unix time: whole seconds, and nanoseconds below one.
#[inline]
pub(crate) fn realtime() -> (i64, i64) {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is valid for the call; with a clock that always exists it cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &mut t) };
    (t.tv_sec, t.tv_nsec)
}

/// Seconds east of UTC, now.
pub(crate) fn utc_offset() -> i32 {
    // SAFETY: time and localtime_r only write to the places given.
    unsafe {
        let now = libc::time(std::ptr::null_mut());
        let mut tm: libc::tm = std::mem::zeroed();
        libc::localtime_r(&now, &mut tm);
        tm.tm_gmtoff as i32
    }
}

/// User and system CPU time in microseconds.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct CpuTimes {
    pub user_us: i64,
    pub sys_us: i64,
}

/// CPU time of this process, of its reaped children, or of this thread.
#[derive(Clone, Copy)]
pub(crate) enum Who {
    Myself,
    Children,
    Thread,
}

pub(crate) fn cpu_times(who: Who) -> CpuTimes {
    let who = match who {
        Who::Myself => libc::RUSAGE_SELF,
        Who::Children => libc::RUSAGE_CHILDREN,
        Who::Thread => libc::RUSAGE_THREAD,
    };
    // SAFETY: getrusage fills the zeroed struct.
    let u = unsafe {
        let mut u: libc::rusage = std::mem::zeroed();
        libc::getrusage(who, &mut u);
        u
    };
    let us = |t: libc::timeval| t.tv_sec * 1_000_000 + t.tv_usec;
    CpuTimes {
        user_us: us(u.ru_utime),
        sys_us: us(u.ru_stime),
    }
}

/// (sysname, release, machine), as `uname` has them.
pub(crate) fn uname() -> (String, String, String) {
    // SAFETY: uname fills the zeroed struct with terminated strings.
    let u = unsafe {
        let mut u: libc::utsname = std::mem::zeroed();
        libc::uname(&mut u);
        u
    };
    let s = |f: &[libc::c_char]| {
        let b: Vec<u8> = f
            .iter()
            .take_while(|c| **c != 0)
            .map(|c| *c as u8)
            .collect();
        String::from_utf8_lossy(&b).into_owned()
    };
    (s(&u.sysname), s(&u.release), s(&u.machine))
}

/// Physical memory in bytes.
pub(crate) fn total_system_memory() -> u64 {
    // SAFETY: always sound.
    let (pages, size) = unsafe {
        (
            libc::sysconf(libc::_SC_PHYS_PAGES),
            libc::sysconf(libc::_SC_PAGESIZE),
        )
    };
    (pages.max(0) as u64).saturating_mul(size.max(0) as u64)
}

/// Resident set size in bytes, from /proc.
pub(crate) fn resident_memory() -> usize {
    let Ok(stat) = std::fs::read_to_string("/proc/self/statm") else {
        return 0;
    };
    let pages = stat.split(' ').nth(1).and_then(|s| s.parse::<usize>().ok());
    pages.unwrap_or(0) * 4096
}

/// Private dirty bytes of this process: in a forked child, what copy-on-write has cost.
pub(crate) fn private_dirty() -> usize {
    smap_bytes("Private_Dirty:")
}

/// Bytes of transparent huge pages that this process uses.
pub(crate) fn anon_huge_pages() -> usize {
    smap_bytes("AnonHugePages:")
}

/// The sum of a field of /proc/self/smaps, in bytes.
fn smap_bytes(field: &str) -> usize {
    let Ok(smaps) = std::fs::read_to_string("/proc/self/smaps_rollup")
        .or_else(|_| std::fs::read_to_string("/proc/self/smaps"))
    else {
        return 0;
    };
    smaps
        .lines()
        .filter_map(|l| l.strip_prefix(field))
        .filter_map(|l| l.trim().strip_suffix(" kB")?.trim().parse::<usize>().ok())
        .sum::<usize>()
        * 1024
}

/// Keeps transparent huge pages away from this process (disable-thp). False when the kernel does not let us.
pub(crate) fn disable_thp() -> bool {
    // SAFETY: always sound.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0 }
}

/// The system's text for an error, as C's strerror gives it.
pub(crate) fn strerror(error: &io::Error) -> String {
    let text = error.to_string();
    match (error.raw_os_error(), text.rfind(" (os error ")) {
        (Some(_), Some(end)) => text[..end].to_string(),
        _ => text,
    }
}

/// Maps the program's code in at once, up to `last` (an address in it) and the 64 KB behind it, so that the first request of a
/// kind does not wait for page faults, or for the disk. Best effort: an old kernel knows no MADV_POPULATE_READ.
pub(crate) fn populate_program(last: usize) {
    const FAULT_AROUND: usize = 64 * 1024;
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else {
        return;
    };
    let hex = |s: &str| usize::from_str_radix(s, 16).ok();
    for line in maps.lines().filter(|l| l.contains(" r-xp ")) {
        let range = line.split(' ').next().and_then(|r| r.split_once('-'));
        let Some((start, end)) = range.and_then(|(a, b)| Some((hex(a)?, hex(b)?))) else {
            continue;
        };
        if (start..end).contains(&last) {
            let size = (end - start).min(last - start + FAULT_AROUND);
            // SAFETY: the range is within a mapping of this process, and reading it in changes nothing.
            unsafe { libc::madvise(start as *mut _, size, libc::MADV_POPULATE_READ) };
        }
    }
}

/// A path out of a directive's bytes.
pub(crate) fn path_of(bytes: &[u8]) -> PathBuf {
    std::ffi::OsStr::from_bytes(bytes).into()
}

/// Keeps what is at a path, whatever it is, from being freed when it loses its name, until this is closed. It is not opened: a FIFO does
/// not block, a device does not notice, and no permission is needed (O_PATH).
///
/// # Errors
/// The system's; there is nothing, as a rule.
pub(crate) fn hold_file(path: &Path) -> io::Result<File> {
    let flags = libc::O_PATH | libc::O_NOFOLLOW;
    File::options().read(true).custom_flags(flags).open(path)
}

/// An empty file without a name in the working folder, to be read and written: it goes with its last descriptor.
///
/// # Errors
/// The system's.
pub(crate) fn nameless_file() -> io::Result<File> {
    let mut options = File::options();
    options.read(true).write(true);
    match options.custom_flags(libc::O_TMPFILE).open(".") {
        // These are what file systems and kernels without it say.
        Err(e) if matches!(e.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR)) => {}
        done => return done,
    }
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let n = NUMBER.fetch_add(1, Ordering::Relaxed);
    let path = format!("temp-{}-{n}.tmp", std::process::id());
    let file = options.custom_flags(0).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// Locks a file for this process and those that it forks, as long as one of them has this descriptor (flock).
///
/// # Errors
/// `WouldBlock`: another has it; or the system's, where files cannot be locked.
pub(crate) fn lock_file(file: &File) -> io::Result<()> {
    // SAFETY: a descriptor that is open.
    match unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether there is a process of this number that has not ended: one that nobody has reaped yet has.
pub(crate) fn process_exists(pid: u32) -> bool {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    // Behind the name, which is in brackets and may be anything.
    let state = stat
        .iter()
        .rposition(|b| *b == b')')
        .and_then(|n| stat.get(n + 2));
    if matches!(state, Some(b'Z' | b'X')) {
        return false;
    }
    let Ok(pid @ 1..) = i32::try_from(pid) else {
        return false;
    };
    // SAFETY: signal 0 is sent to nobody.
    let found = unsafe { libc::kill(pid, 0) } == 0;
    found || io::Error::last_os_error().raw_os_error() == Some(libc::EPERM)
}

/// Makes a renaming of this path last (fsyncFileDir of util.c): syncs its folder. Folders that cannot be synced are left
/// alone.
pub(crate) fn fsync_file_dir(path: &Path) -> io::Result<()> {
    let dir = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    match File::open(dir)?.sync_all() {
        // EINVAL is what such file systems answer.
        Err(e) if e.kind() == io::ErrorKind::InvalidInput => Ok(()),
        done => done,
    }
}

/// Opens the system log under this name.
pub(crate) fn open_syslog(ident: &str, facility: i32) {
    // openlog keeps the pointer, so the name is leaked on purpose: once a process.
    if let Ok(ident) = CString::new(ident) {
        // SAFETY: the string lives for ever.
        unsafe {
            libc::openlog(
                ident.into_raw(),
                libc::LOG_PID | libc::LOG_NDELAY | libc::LOG_NOWAIT,
                facility,
            );
        }
    }
}

pub(crate) fn syslog(priority: i32, message: &str) {
    if let Ok(m) = CString::new(message.replace('\0', " ")) {
        // SAFETY: a constant format and one terminated string.
        unsafe { libc::syslog(priority, c"%s".as_ptr(), m.as_ptr()) };
    }
}

/// The number of a syslog facility by its name in redis.conf.
#[cfg(test)]
pub(crate) fn syslog_facility(name: &str) -> Option<i32> {
    let local = name.to_ascii_lowercase();
    if local == "user" {
        return Some(libc::LOG_USER);
    }
    let n: i32 = local.strip_prefix("local")?.parse().ok()?;
    (0..=7).contains(&n).then_some((16 + n) << 3)
}

// Signals -----------------------------------------------------------------------------------------------------------------

static SHUTDOWN_SIGNAL: AtomicI32 = AtomicI32::new(0);
static UNFINISHED_FILE: OnceLock<CString> = OnceLock::new();
static SIGNALS_SEEN: AtomicU32 = AtomicU32::new(0);
static CHILD_SIGNAL: AtomicBool = AtomicBool::new(false);
static IS_CHILD: AtomicBool = AtomicBool::new(false);
static WATCHDOG_HOOK: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_shutdown(signal: libc::c_int) {
    if signal == libc::SIGINT && SHUTDOWN_SIGNAL.load(Ordering::SeqCst) == libc::SIGINT {
        // A second ^C: whoever sits at the terminal does not want to wait.
        if let Some(path) = UNFINISHED_FILE.get() {
            // SAFETY: a C string that is never freed; unlink may be called in a signal handler.
            unsafe { libc::unlink(path.as_ptr()) };
        }
        exit_now(1);
    }
    SHUTDOWN_SIGNAL.store(signal, Ordering::SeqCst);
    SIGNALS_SEEN.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn on_child_stop(_: libc::c_int) {
    CHILD_SIGNAL.store(true, Ordering::SeqCst);
}

/// SIGTERM and SIGINT become a flag; SIGHUP, SIGPIPE and SIGXFSZ are ignored (setupSignalHandlers).
pub(crate) fn setup_signal_handlers() {
    install(libc::SIGTERM, on_shutdown as *const () as usize, 0);
    install(libc::SIGINT, on_shutdown as *const () as usize, 0);
    install(libc::SIGHUP, libc::SIG_IGN, 0);
    install(libc::SIGPIPE, libc::SIG_IGN, 0);
    // A file that may not grow is a write error like any other.
    install(libc::SIGXFSZ, libc::SIG_IGN, 0);
}

/// Names the file that a second SIGINT removes before it ends the process: a snapshot that is being written. Only the first
/// call counts.
pub(crate) fn set_unfinished_file(path: CString) {
    let _ = UNFINISHED_FILE.set(path);
}

/// In a forked child: SIGUSR1 asks it to stop (a flag). SIGTERM and SIGINT, which a supervisor may send to all processes of a
/// service, are the parent's business: it ends its child itself, and one that is ended behind its back is a failed save.
pub(crate) fn setup_child_signal_handlers() {
    IS_CHILD.store(true, Ordering::Relaxed);
    install(libc::SIGUSR1, on_child_stop as *const () as usize, 0);
    install(libc::SIGINT, libc::SIG_IGN, 0);
    install(libc::SIGTERM, libc::SIG_IGN, 0);
    install(libc::SIGALRM, libc::SIG_DFL, 0);
}

/// In a forked child that has a user of its own: SIGTERM and SIGINT are the parent's business.
pub(crate) fn ignore_shutdown_signals() {
    install(libc::SIGINT, libc::SIG_IGN, 0);
    install(libc::SIGTERM, libc::SIG_IGN, 0);
}

/// Makes descriptors of a forked child refer to nothing, so that what they were is open in the parent alone.
pub(crate) fn detach(fds: &[RawFd]) {
    let Ok(null) = File::options().read(true).write(true).open("/dev/null") else {
        return;
    };
    for fd in fds {
        // SAFETY: the kernel checks the descriptors. Whose they are reads and writes nothing more there.
        unsafe { libc::dup3(null.as_raw_fd(), *fd, libc::O_CLOEXEC) };
    }
}

/// Whether the parent asked this child to stop.
pub(crate) fn child_stop_asked() -> bool {
    CHILD_SIGNAL.load(Ordering::SeqCst)
}

/// The shutdown signal that has arrived, if any; it stays until [`clear_shutdown_signal`].
#[inline]
pub(crate) fn shutdown_signal() -> Option<i32> {
    match SHUTDOWN_SIGNAL.load(Ordering::Relaxed) {
        0 => None,
        s => Some(s),
    }
}

/// Forgets the signal (a SHUTDOWN that could not be carried out).
pub(crate) fn clear_shutdown_signal() {
    SHUTDOWN_SIGNAL.store(0, Ordering::SeqCst);
}

/// Keeps the calling thread from handling signals: they are the main thread's business.
pub(crate) fn block_signals() {
    // SAFETY: always sound.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut set);
        // A crash is the business of whoever crashes.
        for s in crash::CRASH_SIGNALS {
            libc::sigdelset(&mut set, s);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut());
    }
}

/// The calling thread works in the background: it does not take the processor from one that serves clients. Where the system says no,
/// it goes on as it was.
pub(crate) fn work_in_background() {
    const NICER: libc::c_int = 5;
    // SAFETY: the parameters are a valid place; zero is this thread.
    unsafe {
        let param: libc::sched_param = std::mem::zeroed();
        libc::sched_setscheduler(0, libc::SCHED_BATCH, &param);
        let now = libc::getpriority(libc::PRIO_PROCESS, 0);
        libc::setpriority(libc::PRIO_PROCESS, 0, now + NICER);
    }
}

/// A copy of this process, made without libc's handlers for forks: those would wait for locks that the interrupted code may
/// hold. 0 in the copy.
fn raw_fork() -> libc::c_long {
    // SAFETY: as fork(2) without its handlers; the copy only reports and ends by _exit, and an alarm bounds that.
    unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) }
}

/// The alarm has rung: a copy of the process, whose parent is gone already, tells where. This process goes on.
extern "C" fn on_alarm(_: libc::c_int) {
    // SAFETY: errno is this thread's own; the interrupted code must find it unchanged.
    let errno = unsafe { *libc::__errno_location() };
    let pid = raw_fork();
    if pid == 0 {
        if raw_fork() == 0 {
            crash::bound_report();
            let hook = WATCHDOG_HOOK.load(Ordering::SeqCst);
            if hook != 0 {
                // SAFETY: only `start_watchdog` stores here, a `fn()`.
                let hook: fn() = unsafe { std::mem::transmute(hook) };
                hook();
            }
        }
        exit_now(0);
    }
    if let Ok(pid) = i32::try_from(pid)
        && pid > 0
    {
        wait_for(pid);
    }
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// When an alarm rings, `hook` is called in a copy of the process, so it can neither hang this one nor find its locks held
/// for ever. Making the copy takes as long as a fork.
pub(crate) fn start_watchdog(hook: fn()) {
    WATCHDOG_HOOK.store(hook as usize, Ordering::SeqCst);
    install(
        libc::SIGALRM,
        on_alarm as *const () as usize,
        libc::SA_RESTART,
    );
}

/// No alarm will ring any more.
pub(crate) fn stop_watchdog() {
    schedule_alarm(0);
    install(libc::SIGALRM, libc::SIG_IGN, 0);
}

/// The alarm rings once, after so many milliseconds, unless it is set anew before; 0: never.
pub(crate) fn schedule_alarm(ms: u32) {
    let it = libc::itimerval {
        it_interval: libc::timeval {
            tv_sec: 0,
            tv_usec: 0,
        },
        it_value: libc::timeval {
            tv_sec: (ms / 1000).into(),
            tv_usec: (ms % 1000 * 1000).into(),
        },
    };
    // SAFETY: `it` is valid.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &it, std::ptr::null_mut()) };
}

/// The locale by whose rules strings are compared; null: bytes are.
static COLLATION: AtomicPtr<libc::c_void> = AtomicPtr::new(std::ptr::null_mut());

unsafe extern "C" {
    fn strcoll_l(
        a: *const libc::c_char,
        b: *const libc::c_char,
        locale: libc::locale_t,
    ) -> libc::c_int;
}

/// Chooses the locale by which [`strcoll`] compares (`setlocale(LC_COLLATE)`); the empty name is the environment's. False,
/// and no change, when there is none of this name.
pub(crate) fn set_collate_locale(name: &CStr) -> bool {
    // SAFETY: the name ends with a zero byte. The new locale is this call's own: no other is changed, nor the process'.
    let locale = unsafe { libc::newlocale(libc::LC_COLLATE_MASK, name.as_ptr(), no_locale()) };
    if locale.is_null() {
        return false;
    }
    // glibc and musl have the name of a category behind all its other items.
    let name_item = libc::LC_COLLATE << 16 | 0xffff;
    // SAFETY: a locale, which is never freed; the name, not null for any item, is a part of it.
    let chosen = unsafe { CStr::from_ptr(libc::nl_langinfo_l(name_item, locale)) };
    let plain = matches!(chosen.to_bytes(), b"C" | b"POSIX");
    // The old one is not freed, as little as it is: another thread may be comparing by it.
    COLLATION.store(
        if plain { no_locale() } else { locale }.cast(),
        Ordering::Release,
    );
    true
}

fn no_locale() -> libc::locale_t {
    std::ptr::null_mut()
}

/// Whether [`strcoll`] compares bytes.
pub(crate) fn collate_is_c() -> bool {
    COLLATION.load(Ordering::Relaxed).is_null()
}

/// Compares as the chosen locale has it.
pub(crate) fn strcoll(a: &CStr, b: &CStr) -> std::cmp::Ordering {
    let locale = COLLATION.load(Ordering::Acquire);
    if locale.is_null() {
        return a.cmp(b);
    }
    // SAFETY: both end with a zero byte; the locale is never freed.
    unsafe { strcoll_l(a.as_ptr(), b.as_ptr(), locale.cast()) }.cmp(&0)
}

/// Reads from a socket into room that may hold anything; the answer is the part that was filled, from the start.
pub(crate) fn recv<'a>(
    socket: &impl AsFd,
    room: &'a mut [MaybeUninit<u8>],
) -> io::Result<&'a mut [u8]> {
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the room may be written to for its whole length.
    let n = unsafe { libc::recv(fd, room.as_mut_ptr().cast(), room.len(), 0) };
    let n = usize::try_from(n).map_err(|_| io::Error::last_os_error())?;
    let filled = &mut room[..n];
    // SAFETY: these bytes have just been written.
    Ok(unsafe { std::slice::from_raw_parts_mut(filled.as_mut_ptr().cast(), n) })
}

/// The same memory, filled with zeros.
pub(crate) fn zeroed(room: &mut [MaybeUninit<u8>]) -> &mut [u8] {
    room.fill(MaybeUninit::new(0));
    // SAFETY: each byte has just been written.
    unsafe { std::slice::from_raw_parts_mut(room.as_mut_ptr().cast(), room.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    #[test]
    fn a_child_is_reaped_with_its_exit_code() {
        let (mut r, mut w) = pipe().expect("pipe");
        let pid = fork(|| {
            let _ = w.write_all(b"x");
            7
        });
        assert_eq!(exit_code(pid.expect("fork")), 7);
        let mut b = [0; 4];
        assert_eq!(r.read(&mut b).expect("the child wrote"), 1);
    }

    /// Waits for this child alone: others have children, too.
    fn exit_code(pid: i32) -> i32 {
        let mut status = 0;
        // SAFETY: status is a valid place.
        unsafe { libc::waitpid(pid, &mut status, 0) };
        libc::WEXITSTATUS(status)
    }

    #[test]
    fn a_child_that_panics_ends_there() {
        let me = getpid();
        let unwound = fork(|| std::panic::resume_unwind(Box::new(())));
        assert_eq!(getpid(), me);
        assert_eq!(exit_code(unwound.expect("fork")), 1);
    }

    #[test]
    fn a_child_counts_what_threads_of_its_parent_had() {
        let (to, from) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            crate::base::alloc::work_for_ever(|| {
                let held = vec![1u8; 64 << 20];
                let _ = to.send(());
                loop {
                    std::thread::park();
                    std::hint::black_box(&held);
                }
            })
        });
        from.recv().expect("it allocates");
        let counted = || crate::base::alloc::used_memory() >= 64 << 20;
        assert!(counted());
        let child = fork(|| i32::from(!counted()));
        assert_eq!(exit_code(child.expect("fork")), 0);
    }

    #[test]
    fn what_a_child_dismisses_are_zeros_there_and_unchanged_here() {
        let mut bytes = vec![7u8; 4 * PAGE_SIZE];
        dismiss_bytes(&mut bytes);
        assert!(bytes.iter().all(|b| *b == 7), "not a saving child");
        let child = fork(|| {
            IS_CHILD.store(true, Ordering::Relaxed);
            dismiss_bytes(&mut bytes);
            let zeros = bytes.iter().filter(|b| **b == 0).count();
            i32::from(zeros < 3 * PAGE_SIZE || zeros % PAGE_SIZE != 0)
        });
        assert_eq!(exit_code(child.expect("fork")), 0);
        assert!(bytes.iter().all(|b| *b == 7));
    }

    #[test]
    fn a_locale_that_is_not_there_changes_nothing() {
        assert!(!set_collate_locale(c"no_SUCH.locale"));
        assert!(set_collate_locale(c"C") && collate_is_c());
        assert_eq!(strcoll(c"B", c"a"), std::cmp::Ordering::Less);
        assert!(set_collate_locale(c"POSIX") && collate_is_c());
    }

    #[test]
    fn who_has_ended_is_not_there_though_nobody_has_reaped_it() {
        let (mut r, w) = pipe().expect("pipe");
        set_blocking(&r).expect("a pipe that waits");
        let pid = fork(|| 0).expect("fork");
        drop(w);
        let number = u32::try_from(pid).expect("a number");
        // The pipe's other end is closed by the process' end.
        assert_eq!(r.read(&mut [0; 1]).expect("read"), 0);
        while process_exists(number) {
            std::thread::yield_now();
        }
        let mut status = 0;
        // SAFETY: status is a valid place.
        assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
        assert!(!process_exists(number) && process_exists(std::process::id()));
    }

    #[test]
    fn facilities_have_the_kernels_numbers() {
        assert_eq!(syslog_facility("local0"), Some(libc::LOG_LOCAL0));
        assert_eq!(syslog_facility("LOCAL7"), Some(libc::LOG_LOCAL7));
        assert_eq!(syslog_facility("user"), Some(libc::LOG_USER));
        assert_eq!(syslog_facility("local8"), None);
    }
}
