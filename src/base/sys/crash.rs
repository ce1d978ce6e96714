//! The end of a process that cannot go on: who may report on it, what the report may look at, and that it ends.
//!
//! Invariants: a process reports once, from the thread that failed; another that fails meanwhile waits, and a second fault
//! of the first ends the process as the first one would have. A report that takes too long is cut short by an alarm. Who has
//! begun to report never returns to what was interrupted.

use std::fs;
use std::io::IoSliceMut;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicPtr, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::own::{exit_now, getpid, install};

static CRASH_HOOK: AtomicUsize = AtomicUsize::new(0);
static EXIT_ON_PANIC: AtomicBool = AtomicBool::new(false);
/// How the process ends after its report: a signal, or [`AS_A_PANIC`]; 0: nobody reports.
static REPORTING: AtomicI32 = AtomicI32::new(0);
/// The thread that reports.
static REPORTER: AtomicUsize = AtomicUsize::new(0);
/// Threads that stand still for the rest of their lives.
static FROZEN: AtomicUsize = AtomicUsize::new(0);

/// See [`REPORTING`].
const AS_A_PANIC: i32 = -1;
/// Seconds that a report may take: it runs in a process whose memory may be damaged, whose locks may be held.
const REPORT_SECONDS: u32 = 10;

/// What a program does not survive.
pub(super) const CRASH_SIGNALS: [libc::c_int; 5] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGABRT,
];

/// The most registers that are kept.
const REGISTERS: usize = 20;

/// The processor's registers where a signal interrupted it, under the names that debug.c gives them.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Registers {
    all: [(&'static str, u64); REGISTERS],
    len: usize,
    /// The instruction and the top of the stack.
    pub instruction: Option<usize>,
    pub stack: Option<usize>,
}

impl Registers {
    /// The registers; none on a machine of an unknown kind.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.all[..self.len].iter().copied()
    }

    fn of(list: &[(&'static str, u64)], instruction: u64, stack: u64) -> Registers {
        let mut r = Registers {
            len: list.len().min(REGISTERS),
            instruction: Some(instruction as usize),
            stack: Some(stack as usize),
            ..Registers::default()
        };
        r.all[..r.len].copy_from_slice(&list[..r.len]);
        r
    }

    #[cfg(target_arch = "x86_64")]
    fn at(context: &libc::ucontext_t) -> Registers {
        let g = &context.uc_mcontext.gregs;
        let get = |which: libc::c_int| g[which as usize] as u64;
        let list = [
            ("RAX", get(libc::REG_RAX)),
            ("RBX", get(libc::REG_RBX)),
            ("RCX", get(libc::REG_RCX)),
            ("RDX", get(libc::REG_RDX)),
            ("RDI", get(libc::REG_RDI)),
            ("RSI", get(libc::REG_RSI)),
            ("RBP", get(libc::REG_RBP)),
            ("RSP", get(libc::REG_RSP)),
            ("R8", get(libc::REG_R8)),
            ("R9", get(libc::REG_R9)),
            ("R10", get(libc::REG_R10)),
            ("R11", get(libc::REG_R11)),
            ("R12", get(libc::REG_R12)),
            ("R13", get(libc::REG_R13)),
            ("R14", get(libc::REG_R14)),
            ("R15", get(libc::REG_R15)),
            ("RIP", get(libc::REG_RIP)),
            ("EFL", get(libc::REG_EFL)),
            ("CSGSFS", get(libc::REG_CSGSFS)),
        ];
        Registers::of(&list, get(libc::REG_RIP), get(libc::REG_RSP))
    }

    #[cfg(target_arch = "aarch64")]
    fn at(context: &libc::ucontext_t) -> Registers {
        let m = &context.uc_mcontext;
        let names = [
            "X18", "X19", "X20", "X21", "X22", "X23", "X24", "X25", "X26", "X27", "X28", "X29",
            "X30",
        ];
        let mut list = [("", 0); 17];
        for (i, name) in names.into_iter().enumerate() {
            list[i] = (name, m.regs[18 + i]);
        }
        list[13] = ("pc", m.pc);
        list[14] = ("sp", m.sp);
        list[15] = ("pstate", m.pstate);
        list[16] = ("fault_address", m.fault_address);
        Registers::of(&list, m.pc, m.sp)
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn at(_: &libc::ucontext_t) -> Registers {
        Registers::default()
    }
}

/// What a fatal signal came from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CrashCause {
    pub signal: i32,
    /// The kernel's si_code.
    pub code: i32,
    /// The faulting address of SIGSEGV and SIGBUS.
    pub address: usize,
    /// Process and user that sent the signal, if somebody did.
    pub sender: Option<(i32, u32)>,
    pub registers: Registers,
}

fn this_thread() -> usize {
    // SAFETY: always sound.
    unsafe { libc::pthread_self() as usize }
}

/// Stands still until the process ends.
fn stand_still() -> ! {
    loop {
        // SAFETY: always sound.
        unsafe { libc::pause() };
    }
}

/// Ends the process by this signal's default action, or as a panic does.
fn end_as(end: i32) -> ! {
    if end == AS_A_PANIC {
        end_after_panic();
    }
    // SAFETY: always sound. So the parent and the core file see the true cause.
    unsafe {
        libc::signal(end, libc::SIG_DFL);
        libc::raise(end);
    }
    // Somebody blocks it.
    exit_now(1)
}

/// Ends the process at once, by SIGABRT's default action unless an exit was asked for (use-exit-on-panic).
fn end_after_panic() -> ! {
    set_crash_handlers(None);
    if EXIT_ON_PANIC.load(Ordering::SeqCst) {
        exit_now(1);
    }
    std::process::abort()
}

/// Whether the end after a panic is an exit, not an abort (use-exit-on-panic).
pub(crate) fn set_exit_on_panic(on: bool) {
    EXIT_ON_PANIC.store(on, Ordering::SeqCst);
}

extern "C" fn on_report_too_long(_: libc::c_int) {
    end_as(REPORTING.load(Ordering::SeqCst))
}

/// The alarm rings, though its signal may be blocked: we may be inside its handler.
fn alarm(handler: libc::sighandler_t, seconds: u32) {
    install(libc::SIGALRM, handler, 0);
    // SAFETY: always sound.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGALRM);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
        libc::alarm(seconds);
    }
}

/// From here on this process, a copy that was made only to report, has a few seconds for it; then SIGALRM ends it.
pub(super) fn bound_report() {
    alarm(libc::SIG_DFL, REPORT_SECONDS);
}

fn report(end: i32, write: impl FnOnce()) -> ! {
    struct End(i32);
    impl Drop for End {
        fn drop(&mut self) {
            end_as(self.0)
        }
    }
    match REPORTING.compare_exchange(0, end, Ordering::SeqCst, Ordering::SeqCst) {
        Ok(_) => REPORTER.store(this_thread(), Ordering::SeqCst),
        // The report itself has failed.
        Err(first) if REPORTER.load(Ordering::SeqCst) == this_thread() => end_as(first),
        Err(_) => stand_still(),
    }
    // A panic in it, with nobody to report that, is its end as well.
    let end = End(end);
    alarm(on_report_too_long as *const () as usize, REPORT_SECONDS);
    write();
    drop(end);
    unreachable!()
}

/// Lets `write` report that the process cannot go on, and ends it. One that reports already ends at once.
pub(crate) fn end_with_report(write: impl FnOnce()) -> ! {
    report(AS_A_PANIC, write)
}

extern "C" fn on_crash(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    report(signal, || {
        let hook = CRASH_HOOK.load(Ordering::SeqCst);
        if hook == 0 {
            return;
        }
        // SAFETY: only `set_crash_handlers` stores here, a `fn(&CrashCause)`.
        let hook: fn(&CrashCause) = unsafe { std::mem::transmute(hook) };
        // SAFETY: the kernel passes a valid siginfo and a valid context to an SA_SIGINFO handler; pid and uid are set when
        // a process sent it.
        let cause = unsafe {
            let by_user = (*info).si_code == libc::SI_USER || (*info).si_code == libc::SI_TKILL;
            CrashCause {
                signal,
                code: (*info).si_code,
                address: (*info).si_addr() as usize,
                sender: by_user.then(|| ((*info).si_pid(), (*info).si_uid())),
                registers: Registers::at(&*context.cast::<libc::ucontext_t>()),
            }
        };
        hook(&cause);
    })
}

/// Fatal signals call `hook` once and then end the process by the same signal.
pub(crate) fn set_crash_handlers(hook: Option<fn(&CrashCause)>) {
    CRASH_HOOK.store(hook.map_or(0, |h| h as usize), Ordering::SeqCst);
    for s in CRASH_SIGNALS {
        let handler = match hook {
            Some(_) => on_crash as *const () as usize,
            None => libc::SIG_DFL,
        };
        install(s, handler, libc::SA_NODEFER | libc::SA_SIGINFO);
    }
}

// What a report may look at ------------------------------------------------------------------------------------------------

/// What can be shown in a report.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Exhibit {
    /// The whole state of the program.
    State,
    /// What it works on.
    Request,
}

/// Where an exhibit is, and who knows its type. It lies on the stack of the call that shows it.
struct Frame {
    host: *mut (),
    show: *const (),
    call: unsafe fn(*mut (), *const (), usize),
}

struct Place {
    frame: AtomicPtr<Frame>,
    thread: AtomicUsize,
}

static PLACES: [Place; 2] = [const {
    Place {
        frame: AtomicPtr::new(std::ptr::null_mut()),
        thread: AtomicUsize::new(0),
    }
}; 2];

/// While `run` works on `host`, a report of this thread's end may show that: by `show`, which is told which part.
#[inline]
pub(crate) fn exhibit<T, R>(
    what: Exhibit,
    host: &mut T,
    show: fn(&mut T, usize),
    run: impl FnOnce(&mut T) -> R,
) -> R {
    /// # Safety
    /// `host` points to a `T` that nobody uses any more, `show` is a `fn(&mut T, usize)`.
    unsafe fn call<T>(host: *mut (), show: *const (), part: usize) {
        // SAFETY: as the caller promises.
        let (show, host) = unsafe {
            let show: fn(&mut T, usize) = std::mem::transmute(show);
            (show, &mut *host.cast::<T>())
        };
        show(host, part);
    }
    struct Before(&'static Place, *mut Frame);
    impl Drop for Before {
        fn drop(&mut self) {
            self.0.frame.store(self.1, Ordering::Release);
        }
    }
    let host: *mut T = host;
    let frame = Frame {
        host: host.cast(),
        show: show as *const (),
        call: call::<T>,
    };
    let place = &PLACES[what as usize];
    let _before = Before(place, place.frame.load(Ordering::Relaxed));
    place.thread.store(this_thread(), Ordering::Relaxed);
    place
        .frame
        .store((&raw const frame).cast_mut(), Ordering::Release);
    // SAFETY: it comes from the `&mut T` above, which is not used again until this one is gone.
    run(unsafe { &mut *host })
}

/// Shows a part of what this thread was working on when it failed. False: there is nothing, or nobody reports.
pub(crate) fn show(what: Exhibit, part: usize) -> bool {
    let place = &PLACES[what as usize];
    let mine = |thread: &AtomicUsize| thread.load(Ordering::SeqCst) == this_thread();
    if REPORTING.load(Ordering::SeqCst) == 0 || !mine(&REPORTER) || !mine(&place.thread) {
        return false;
    }
    let frame = place.frame.load(Ordering::Acquire);
    if frame.is_null() {
        return false;
    }
    // SAFETY: this thread has put the frame there, and is still inside the call whose stack it lies on. What runs there holds a
    // `&mut T` that came from `host`, but never runs again: `report` does not return, so this use of `host` is the last, and
    // that reference is dead. What it was about to change may be half changed; whoever shows it must expect nonsense, and a
    // fault in it ends the process as the first one would have.
    unsafe {
        let Frame { host, show, call } = &*frame;
        call(*host, *show, part);
    }
    true
}

/// Copies memory of this process from an address that may be none. Returns how many bytes could be had.
pub(crate) fn peek(address: usize, into: &mut [u8]) -> usize {
    let len = into.len();
    let local = IoSliceMut::new(into);
    let remote = libc::iovec {
        iov_base: address as *mut libc::c_void,
        iov_len: len,
    };
    // SAFETY: an IoSliceMut is an iovec; the kernel checks the other address and copies into ours no more than `len` bytes.
    let n = unsafe {
        libc::process_vm_readv(
            getpid(),
            (&raw const local).cast::<libc::iovec>(),
            1,
            &raw const remote,
            1,
            0,
        )
    };
    usize::try_from(n).unwrap_or(0)
}

/// Where an address lies in a program's code.
#[derive(Debug)]
pub(crate) struct CodePlace {
    /// The symbol before it, if the file has its name, and that symbol's address.
    pub symbol: Option<(String, usize)>,
    pub module: String,
    pub base: usize,
}

/// The program or library that has the code at this address.
pub(crate) fn code_place(address: usize) -> Option<CodePlace> {
    let text = |p: *const libc::c_char| {
        // SAFETY: dladdr's strings end with a zero byte and live as long as the module.
        (!p.is_null()).then(|| {
            unsafe { std::ffi::CStr::from_ptr(p) }
                .to_string_lossy()
                .into_owned()
        })
    };
    // SAFETY: a zeroed Dl_info is valid, and dladdr takes any address.
    let info = unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        if libc::dladdr(address as *const libc::c_void, &mut info) == 0 {
            return None;
        }
        info
    };
    Some(CodePlace {
        symbol: text(info.dli_sname).map(|name| (name, info.dli_saddr as usize)),
        module: text(info.dli_fname)?,
        base: info.dli_fbase as usize,
    })
}

extern "C" fn on_freeze(_: libc::c_int) {
    FROZEN.fetch_add(1, Ordering::SeqCst);
    stand_still()
}

/// Stops all other threads of the process for good; only for one that is about to end. False: some could not be stopped.
pub(super) fn freeze_other_threads() -> bool {
    if REPORTING.load(Ordering::SeqCst) == 0 {
        return false;
    }
    // A signal that threads do not block.
    let signal = libc::SIGBUS;
    install(signal, on_freeze as *const () as usize, 0);
    // SAFETY: always sound.
    let me = unsafe { libc::syscall(libc::SYS_gettid) } as i32;
    let Ok(threads) = fs::read_dir("/proc/self/task") else {
        return false;
    };
    let mut others = 0;
    for thread in threads.filter_map(Result::ok) {
        let id: Option<i32> = thread.file_name().to_str().and_then(|n| n.parse().ok());
        if let Some(id) = id.filter(|id| *id != me) {
            // SAFETY: always sound.
            let rc = unsafe { libc::syscall(libc::SYS_tgkill, getpid(), id, signal) };
            others += usize::from(rc == 0);
        }
    }
    let start = Instant::now();
    while FROZEN.load(Ordering::SeqCst) < others {
        if start.elapsed() > Duration::from_millis(500) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    true
}

/// Writes through a null pointer (DEBUG SEGFAULT).
pub(crate) fn segfault() {
    // SAFETY: not at all, that is its purpose: the crash report is to be seen.
    unsafe { std::ptr::null_mut::<u8>().wrapping_add(8).write_volatile(1) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_not_there_is_no_fault() {
        let text = *b"sixteen bytes ..";
        let mut out = [0; 16];
        assert_eq!(peek(text.as_ptr() as usize, &mut out), 16);
        assert_eq!(out, text);
        assert_eq!(peek(8, &mut out), 0);
    }

    #[test]
    fn exhibits_come_and_go() {
        fn shown(_: &mut u32, _: usize) {
            panic!("nobody reports");
        }
        let at = || {
            PLACES[Exhibit::Request as usize]
                .frame
                .load(Ordering::SeqCst)
        };
        let mut n = 1;
        let got = exhibit(Exhibit::Request, &mut n, shown, |n| {
            let outer = at();
            assert!(!outer.is_null());
            exhibit(Exhibit::Request, &mut 7, shown, |_| assert_ne!(at(), outer));
            assert_eq!(at(), outer);
            *n += 1;
            assert!(!show(Exhibit::Request, 0));
            *n
        });
        assert_eq!((got, n), (2, 2));
        assert!(at().is_null());
    }

    #[test]
    fn code_is_found() {
        let place = code_place(exit_now as *const () as usize).expect("our own code");
        assert!(place.base != 0 && !place.module.is_empty());
        assert!(code_place(8).is_none());
    }
}
