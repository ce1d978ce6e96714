//! The Lua virtual machine, made safe to use: the only file that calls its C interface.
//!
//! [`Lua`] owns one virtual machine. Whoever runs one has taken it out of the server, and lends it the server for the time of the
//! call ([`Lua::call`]); a function of ours that the script calls gets both back as a [`Call`]. The machine knows nothing of Redis:
//! it is generic over its host.
//!
//! # How errors pass
//!
//! The machine raises errors by unwinding, and no frame of Rust may be unwound. So:
//! - A function of ours never raises. It returns a [`Raise`], and the trampoline hands a mark and the error to the Lua code that
//!   called it, which raises (`guard` in the prelude, [`Stack::push_mark`]).
//! - What the interface itself could raise is excluded before the call: a wrong type, an index that is no value, a key that no
//!   table takes, a full stack. All of them panic or are answered here.
//! - Memory: while the machine runs, an allocation beyond the limit fails, and it raises that by itself. While we run
//!   (`Heap::strict` unset), nothing fails; what was taken meanwhile counts afterwards.
//! - No finaliser exists: `newproxy`, the only source of one, is not given to scripts, so that no collection runs Lua code.
//! - A hook cannot raise either. To end a script, the hook is replaced by the machine's own `lua_error`.
//!
//! # How a slow script is interrupted
//!
//! Counting instructions would make each a third dearer. Instead a timer's signal sets the hook once the script is due
//! (`lua_sethook` may be called from a signal's handler), and the timer runs only while scripts do.

use std::alloc::{Layout, alloc, dealloc, realloc};
use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;
use std::mem::{MaybeUninit, offset_of};
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, Ordering};

use mlua_sys as ffi;

use crate::base::clock::ustime;
use crate::base::sys;

// The raising functions, as C sees them: mlua's declarations say that they do not return.
unsafe extern "C-unwind" {
    fn lua_error(l: *mut ffi::lua_State) -> c_int;
}

/// The type of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Nil, or no value at this place.
    Nil,
    Boolean,
    Number,
    String,
    Table,
    Function,
    /// `cjson.null` is the only one that scripts see.
    Light,
    /// Coroutines and the machine's own numbers (`1LL`).
    Other,
}

/// A value, looked at once.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Value<'s> {
    /// Nil, or no value at this place.
    Nil,
    Boolean(bool),
    Number(f64),
    String(&'s [u8]),
    Table,
    Other,
}

/// An error that a function of ours ends with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Raise {
    /// A text; the place in the script that called is put before it.
    Text(Vec<u8>),
    /// The value on top of the stack.
    Top,
}

impl Raise {
    pub(crate) fn text(text: impl Into<Vec<u8>>) -> Raise {
        Raise::Text(text.into())
    }
}

/// What a function of ours returns: how many values from the top of the stack are its results.
pub(crate) type Returned = Result<usize, Raise>;

/// Why a call of a script failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// The error, as the error handler has returned it, is on top of the stack.
    Error,
    /// The script was ended by the interrupt handler; nothing of it is on the stack.
    Killed,
}

/// Whether a slow script goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Continue,
    Kill,
}

/// What the machine's allocator, and our functions when they are called, know of their machine.
struct Heap<H> {
    /// Bytes that the machine has.
    used: usize,
    /// Bytes that it may have.
    limit: usize,
    /// Lua code is running: an allocation beyond the limit fails.
    strict: bool,
    /// An allocation has failed since the last call began.
    exhausted: bool,
    /// The script is to end: every further instruction raises.
    killed: bool,
    /// Where it was then.
    killed_at: Option<(Vec<u8>, i32)>,
    /// The process's stack where the call began: an address, to be compared only.
    stack_base: usize,
    /// Lent for the time of a call.
    host: *mut H,
    /// What a slow script is interrupted with.
    interrupt: Option<fn(&mut H) -> Verdict>,
    /// What each line is announced to (the debugger).
    line_hook: Option<LineHook<H>>,
}

/// What a debugged script's lines are announced to: a line that is about to run, or none when many instructions have run since
/// it was asked last. It may call Lua code, which announces nothing.
pub(crate) type LineHook<H> = fn(&mut Call<H>, Option<u32>) -> Verdict;

/// One virtual machine.
pub(crate) struct Lua<H> {
    stack: Stack,
    heap: NonNull<Heap<H>>,
    owns: PhantomData<Heap<H>>,
}

/// The stack of a running function, or of the machine while nothing runs. An index counts from 1 at the bottom, or from -1 at the
/// top downwards; one that is no value of the stack panics where something is written there, and is nil where it is read.
///
/// A function may push up to 20 values, and as many as it has asked for with [`Stack::has_room`].
pub(crate) struct Stack {
    l: NonNull<ffi::lua_State>,
}

/// A call from Lua to a function of ours: its arguments are the stack.
pub(crate) struct Call<'a, H> {
    stack: Stack,
    heap: *mut Heap<H>,
    borrows: PhantomData<&'a mut H>,
}

/// What Lua's own error says, without a place.
pub(crate) const NOT_ENOUGH_MEMORY: &[u8] = b"not enough memory";

/// Bytes of a string, and elements of a table, that the machine takes at most.
pub(crate) const MAX_STRING: usize = 0x7fff_ff00;
pub(crate) const MAX_ELEMENTS: usize = 1 << 26;

/// The address that marks an error among a function's results.
static MARK: u8 = 0;
/// The address that stands for a reply that is passed on.
static PASSED_ON: u8 = 0;

/// The machine that runs a script now, for the signal's handler.
static RUNNING: AtomicPtr<ffi::lua_State> = AtomicPtr::new(std::ptr::null_mut());
/// The hook that the handler sets.
static DUE_HOOK: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
/// When the script began, and how long it may take before it is due; unix us.
static STARTED_US: AtomicI64 = AtomicI64::new(0);
static THRESHOLD_US: AtomicI64 = AtomicI64::new(0);
/// The timer is set.
static ARMED: AtomicBool = AtomicBool::new(false);
/// The script is due: it is to be interrupted as soon as possible.
static DUE: AtomicBool = AtomicBool::new(false);

/// The signal's handler: may do only what a signal's handler may.
fn on_alarm() {
    let l = RUNNING.load(Ordering::Relaxed);
    if l.is_null() {
        // The next script sets the timer again.
        ARMED.store(false, Ordering::Relaxed);
        return;
    }
    let threshold = THRESHOLD_US.load(Ordering::Relaxed);
    let passed = ustime() - STARTED_US.load(Ordering::Relaxed);
    if passed >= 0 && passed < threshold {
        sys::set_script_alarm(threshold - passed);
        return;
    }
    ARMED.store(false, Ordering::Relaxed);
    DUE.store(true, Ordering::Relaxed);
    let hook = DUE_HOOK.load(Ordering::Relaxed);
    // SAFETY: only `Lua::call` stores there, and only hooks, before it stores the machine.
    let hook: ffi::lua_Hook = unsafe { std::mem::transmute::<*mut c_void, ffi::lua_Hook>(hook) };
    // SAFETY: the machine is running in this very thread, which the timer's signal goes to, and setting a hook is what the
    // interface allows of a signal's handler.
    unsafe { ffi::lua_sethook(l, Some(hook), ffi::LUA_MASKCOUNT, 1) };
}

/// Whether the running script is due to be interrupted. To be asked by what may take long without running Lua code.
#[inline]
pub(crate) fn is_due() -> bool {
    DUE.load(Ordering::Relaxed)
}

const ALIGN: usize = 16;

/// The machine's allocator.
///
/// # Safety
/// `ud` is the machine's heap; `ptr` came from here with `old` bytes.
unsafe extern "C" fn allocate<H>(
    ud: *mut c_void,
    ptr: *mut c_void,
    old: usize,
    new: usize,
) -> *mut c_void {
    let heap = ud.cast::<Heap<H>>();
    // SAFETY: the heap outlives its machine; nobody else holds a reference to it.
    let heap = unsafe { &mut *heap };
    let old = if ptr.is_null() { 0 } else { old };
    if new > old && heap.strict && heap.used + (new - old) > heap.limit {
        heap.exhausted = true;
        return std::ptr::null_mut();
    }
    let (Ok(old_layout), Ok(new_layout)) = (
        Layout::from_size_align(old.max(1), ALIGN),
        Layout::from_size_align(new.max(1), ALIGN),
    ) else {
        return std::ptr::null_mut();
    };
    let p = match (ptr.is_null(), new) {
        (true, 0) => return std::ptr::null_mut(),
        (false, 0) => {
            // SAFETY: it came from here with this size.
            unsafe { dealloc(ptr.cast(), old_layout) };
            heap.used -= old;
            return std::ptr::null_mut();
        }
        // SAFETY: the size is at least 1.
        (true, _) => unsafe { alloc(new_layout) },
        // SAFETY: it came from here with the old size; the new one is at least 1.
        (false, _) => unsafe { realloc(ptr.cast(), old_layout, new) },
    };
    if !p.is_null() {
        heap.used = heap.used + new - old;
    }
    p.cast()
}

/// # Safety
/// `l` belongs to a machine of `Lua<H>`.
unsafe fn heap_of<H>(l: *mut ffi::lua_State) -> *mut Heap<H> {
    let mut ud = std::ptr::null_mut();
    // SAFETY: as the caller says.
    unsafe { ffi::lua_getallocf(l, &raw mut ud) };
    ud.cast()
}

/// What Lua calls for a function of ours.
///
/// # Safety
/// `F` has no size, so that it is known by its type alone; `l` belongs to a machine of `Lua<H>`.
unsafe extern "C-unwind" fn trampoline<H, F>(l: *mut ffi::lua_State) -> c_int
where
    F: Fn(&mut Call<H>) -> Returned + Copy,
{
    const { assert!(size_of::<F>() == 0) };
    // SAFETY: a value without a size is read from nowhere.
    let f: F = unsafe { NonNull::<F>::dangling().read() };
    // SAFETY: as the caller says.
    let heap = unsafe { heap_of::<H>(l) };
    // SAFETY: the machine does not allocate while we write.
    unsafe { (*heap).strict = false };
    let mut call = Call {
        // SAFETY: Lua passes the running thread.
        stack: Stack {
            l: unsafe { NonNull::new_unchecked(l) },
        },
        heap,
        borrows: PhantomData,
    };
    let n = match f(&mut call) {
        Ok(_) if call.is_over_limit() => {
            call.truncate(0);
            call.push_mark();
            call.push_bytes(NOT_ENOUGH_MEMORY);
            2
        }
        Ok(n) => {
            debug_assert!(n <= call.top() as usize);
            n
        }
        Err(Raise::Top) => {
            call.push_mark();
            call.insert(-2);
            2
        }
        Err(Raise::Text(text)) => {
            call.push_mark();
            let mut whole = call.position(2);
            whole.extend_from_slice(&text);
            call.push_bytes(&whole);
            2
        }
    };
    // SAFETY: as above.
    unsafe { (*heap).strict = true };
    n as c_int
}

/// The hook of a script that is due, and of one that is debugged.
///
/// # Safety
/// `l` belongs to a machine of `Lua<H>` that is in a call; `ar` is what Lua passes to hooks.
unsafe extern "C-unwind" fn hook<H>(l: *mut ffi::lua_State, ar: *mut ffi::lua_Debug) {
    // SAFETY: as the caller says.
    let heap = unsafe { heap_of::<H>(l) };
    // SAFETY: as above; nothing allocates meanwhile.
    let (interrupt, line_hook) = unsafe {
        (*heap).strict = false;
        ((*heap).interrupt, (*heap).line_hook)
    };
    let mut call = Call {
        // SAFETY: Lua passes the running thread.
        stack: Stack {
            l: unsafe { NonNull::new_unchecked(l) },
        },
        heap,
        borrows: PhantomData,
    };
    // SAFETY: Lua passes a filled record.
    let event = unsafe { (*ar).event };
    let top = call.top();
    let verdict = match line_hook {
        Some(line_hook) => {
            // SAFETY: as above.
            let line = unsafe { (*ar).currentline };
            let line = (event == ffi::LUA_HOOKLINE).then_some(line.max(0) as u32);
            let verdict = line_hook(&mut call, line);
            // Below are the values of the function that goes on.
            call.truncate(top);
            verdict
        }
        None => {
            let verdict = interrupt.map_or(Verdict::Continue, |f| f(call.host()));
            if verdict == Verdict::Continue {
                call.stack.go_on_until_next_interrupt();
            }
            verdict
        }
    };
    if verdict == Verdict::Kill {
        call.kill();
    }
    // SAFETY: as above.
    unsafe { (*heap).strict = true };
}

/// Microseconds between two interrupts of a script that is due. Time, not instructions: one of these may call what takes long.
const BETWEEN_INTERRUPTS_US: i64 = 5_000;
/// Instructions between two looks of a debugger that shows no lines.
const INSTRUCTIONS_BETWEEN_LOOKS: c_int = 100_000;

/// What a script may take of the process's stack, in bytes, before a function that leads from the machine's code back into a
/// script is refused: a part of the 8 MB that there usually are.
const STACK_MAX: usize = 1 << 20;

/// Where the process's stack is now.
#[inline(never)]
fn stack_address() -> usize {
    let here = 0u8;
    std::ptr::from_ref(&here).addr()
}

impl<H> Call<'_, H> {
    /// Whether the script has taken [`STACK_MAX`].
    pub(crate) fn is_deep(&self) -> bool {
        // SAFETY: the heap outlives the call.
        let base = unsafe { (*self.heap).stack_base };
        // It grows downwards.
        base.saturating_sub(stack_address()) > STACK_MAX
    }

    /// Whether the script is to end, and every instruction of it raises.
    pub(crate) fn is_killed(&self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.heap).killed }
    }

    /// The host that was lent to the running script.
    ///
    /// Panics outside of a script.
    #[inline]
    pub(crate) fn host(&mut self) -> &mut H {
        // SAFETY: the heap outlives the call.
        let host = unsafe { (*self.heap).host };
        assert!(!host.is_null(), "a script runs");
        // SAFETY: it is lent until the script ends, and who lent it waits for that; the call is borrowed for as long.
        unsafe { &mut *host }
    }

    /// Bytes that the machine may take until its limit, garbage counted as what it has.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        // SAFETY: the heap outlives the call, and nobody holds a reference to it.
        unsafe { (*self.heap).limit.saturating_sub((*self.heap).used) }
    }

    /// Whether the machine has, without its garbage, less than `bytes` left until its limit; then a script that fails has failed
    /// for want of memory. Nothing fails by itself while we run.
    #[cold]
    pub(crate) fn lacks(&self, bytes: usize) -> bool {
        // SAFETY: no finaliser exists, so that it runs no Lua code; what is on the stack stays where it is.
        unsafe { ffi::lua_gc(self.stack.raw(), ffi::LUA_GCCOLLECT, 0) };
        let lacks = self.room() < bytes;
        // SAFETY: as in `room`.
        unsafe { (*self.heap).exhausted |= lacks };
        lacks
    }

    /// Whether it has more than it may have.
    #[inline]
    pub(crate) fn is_over_limit(&self) -> bool {
        self.room() == 0 && self.lacks(1)
    }

    /// To be called from what takes long while [`is_due`]: serves others, and says whether to go on.
    #[cold]
    pub(crate) fn interrupt(&mut self) -> Verdict {
        // SAFETY: the heap outlives the call.
        let interrupt = unsafe { (*self.heap).interrupt };
        let verdict = interrupt.map_or(Verdict::Continue, |f| f(self.host()));
        match verdict {
            Verdict::Kill => self.kill(),
            Verdict::Continue => self.stack.go_on_until_next_interrupt(),
        }
        verdict
    }

    /// From the next instruction on all of them raise, so that no `pcall` can catch it.
    fn kill(&mut self) {
        let place = self.script_place(0);
        // SAFETY: the heap outlives the call, and nobody holds a reference to it.
        unsafe {
            (*self.heap).killed = true;
            (*self.heap).killed_at = place;
        }
        type ErrorAsHook = unsafe extern "C-unwind" fn(*mut ffi::lua_State, *mut ffi::lua_Debug);
        // SAFETY: called as a hook it gets an argument that it does not look at, and never comes back.
        let raise: ErrorAsHook = unsafe {
            std::mem::transmute::<
                unsafe extern "C-unwind" fn(*mut ffi::lua_State) -> c_int,
                ErrorAsHook,
            >(lua_error)
        };
        // SAFETY: a hook may be set at any time.
        unsafe { ffi::lua_sethook(self.stack.l.as_ptr(), Some(raise), ffi::LUA_MASKCOUNT, 1) };
    }

    /// Calls the function that stands below `args` arguments on top of the stack; all its results take their place. An error
    /// takes their place as well.
    ///
    /// Returns the number of results.
    pub(crate) fn call_lua(&mut self, args: usize) -> Result<usize, Raise> {
        let below = self.top() - args as i32 - 1;
        assert!(below >= 0, "a function and its arguments");
        // SAFETY: the heap outlives the call; Lua code runs from here.
        unsafe { (*self.heap).strict = true };
        // SAFETY: the function and its arguments are on the stack; an error stays within.
        let status =
            unsafe { ffi::lua_pcall(self.stack.l.as_ptr(), args as c_int, ffi::LUA_MULTRET, 0) };
        // SAFETY: and ends here.
        unsafe { (*self.heap).strict = false };
        match status {
            ffi::LUA_OK => Ok((self.top() - below) as usize),
            _ => Err(Raise::Top),
        }
    }
}

impl<H> Deref for Call<'_, H> {
    type Target = Stack;
    #[inline]
    fn deref(&self) -> &Stack {
        &self.stack
    }
}

impl<H> DerefMut for Call<'_, H> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Stack {
        &mut self.stack
    }
}

impl Stack {
    #[inline]
    fn raw(&self) -> *mut ffi::lua_State {
        self.l.as_ptr()
    }

    /// The due script goes on for a while before it is due again.
    fn go_on_until_next_interrupt(&mut self) {
        // SAFETY: a hook may be set at any time.
        unsafe { ffi::lua_sethook(self.raw(), None, 0, 0) };
        DUE.store(false, Ordering::Relaxed);
        ARMED.store(true, Ordering::Relaxed);
        sys::set_script_alarm(BETWEEN_INTERRUPTS_US);
    }

    /// Values on the stack: the index of the topmost.
    #[inline]
    pub(crate) fn top(&self) -> i32 {
        // SAFETY: a stack is there for as long as its machine.
        unsafe { ffi::lua_gettop(self.raw()) }
    }

    /// An index that may be read, nil where there is nothing.
    #[inline]
    fn readable(&self, i: i32) -> c_int {
        assert!(i > 0 || (i < 0 && -i <= self.top()), "an index");
        i
    }

    /// An index with a value.
    #[inline]
    fn value(&self, i: i32) -> c_int {
        assert!(i != 0 && i.abs() <= self.top(), "a value");
        i
    }

    fn table(&self, i: i32) -> c_int {
        assert!(self.kind(i) == Kind::Table, "a table");
        i
    }

    /// Cuts the stack to `n` values, which it has at least.
    #[inline]
    pub(crate) fn truncate(&mut self, n: i32) {
        assert!(n >= 0 && n <= self.top(), "fewer values");
        // SAFETY: as asserted.
        unsafe { ffi::lua_settop(self.raw(), n) };
    }

    #[inline]
    pub(crate) fn pop(&mut self, n: i32) {
        let top = self.top();
        assert!(n >= 0, "values");
        self.truncate(top - n);
    }

    /// Whether `n` more values may be pushed.
    pub(crate) fn has_room(&mut self, n: usize) -> bool {
        let Ok(n) = c_int::try_from(n) else {
            return false;
        };
        // SAFETY: it raises nothing: whatever it cannot have is said by the result.
        unsafe { ffi::lua_checkstack(self.raw(), n) != 0 }
    }

    #[inline]
    pub(crate) fn kind(&self, i: i32) -> Kind {
        // SAFETY: the index may be read.
        match unsafe { ffi::lua_type(self.raw(), self.readable(i)) } {
            ffi::LUA_TNIL | ffi::LUA_TNONE => Kind::Nil,
            ffi::LUA_TBOOLEAN => Kind::Boolean,
            ffi::LUA_TNUMBER => Kind::Number,
            ffi::LUA_TSTRING => Kind::String,
            ffi::LUA_TTABLE => Kind::Table,
            ffi::LUA_TFUNCTION => Kind::Function,
            ffi::LUA_TLIGHTUSERDATA => Kind::Light,
            _ => Kind::Other,
        }
    }

    /// The type's name, as Lua's errors say it.
    pub(crate) fn kind_name(&self, i: i32) -> &'static str {
        if i > self.top() {
            return "no value";
        }
        match self.kind(i) {
            Kind::Nil => "nil",
            Kind::Boolean => "boolean",
            Kind::Number => "number",
            Kind::String => "string",
            Kind::Table => "table",
            Kind::Function => "function",
            Kind::Light => "userdata",
            // SAFETY: the index may be read.
            Kind::Other => match unsafe { ffi::lua_type(self.raw(), self.readable(i)) } {
                ffi::LUA_TTHREAD => "thread",
                ffi::LUA_TUSERDATA => "userdata",
                _ => "cdata",
            },
        }
    }

    // Pushing ----------------------------------------------------------------------------------------------------------

    pub(crate) fn push_nil(&mut self) {
        // SAFETY: there is room, as for all that is pushed.
        unsafe { ffi::lua_pushnil(self.raw()) };
    }

    pub(crate) fn push_bool(&mut self, b: bool) {
        // SAFETY: there is room.
        unsafe { ffi::lua_pushboolean(self.raw(), c_int::from(b)) };
    }

    #[inline]
    pub(crate) fn push_number(&mut self, n: f64) {
        // SAFETY: there is room.
        unsafe { ffi::lua_pushnumber(self.raw(), n) };
    }

    /// A string; longer ones than [`MAX_STRING`] cannot be had, and are nil.
    #[inline]
    pub(crate) fn push_bytes(&mut self, b: &[u8]) {
        if b.len() > MAX_STRING {
            return self.push_nil();
        }
        // SAFETY: that many bytes are there; they are copied.
        unsafe { ffi::lua_pushlstring_(self.raw(), b.as_ptr().cast(), b.len()) };
    }

    /// A table with room for an array of `array` and for `fields` others.
    #[inline]
    pub(crate) fn push_table(&mut self, array: usize, fields: usize) {
        const MOST_AHEAD: usize = 1 << 16;
        // SAFETY: there is room.
        unsafe {
            ffi::lua_createtable(
                self.raw(),
                array.min(MOST_AHEAD) as c_int,
                fields.min(MOST_AHEAD) as c_int,
            );
        }
    }

    /// A table of `n` strings, of which `word` gives each (from 0).
    pub(crate) fn push_words<'w>(&mut self, n: usize, word: impl Fn(usize) -> &'w [u8]) {
        self.push_table(n, 0);
        for i in 0..n {
            self.push_bytes(word(i));
            // SAFETY: below the string stands the table.
            unsafe { ffi::lua_rawseti_(self.raw(), -2, i as c_int + 1) };
        }
    }

    /// The value that scripts see as `cjson.null`.
    pub(crate) fn push_null(&mut self) {
        // SAFETY: there is room; the address is never followed.
        unsafe { ffi::lua_pushlightuserdata(self.raw(), std::ptr::null_mut()) };
    }

    /// Whether it is `cjson.null`.
    pub(crate) fn is_null(&self, i: i32) -> bool {
        self.kind(i) == Kind::Light
            // SAFETY: the index may be read.
            && unsafe { ffi::lua_touserdata(self.raw(), i) }.is_null()
    }

    /// The mark that stands before an error in a function's results.
    pub(crate) fn push_mark(&mut self) {
        // SAFETY: there is room; the address is never followed.
        unsafe { ffi::lua_pushlightuserdata(self.raw(), (&raw const MARK).cast_mut().cast()) };
    }

    /// What stands for a reply that the host keeps.
    #[inline]
    pub(crate) fn push_passed_on(&mut self) {
        // SAFETY: there is room; the address is never followed.
        unsafe { ffi::lua_pushlightuserdata(self.raw(), (&raw const PASSED_ON).cast_mut().cast()) };
    }

    pub(crate) fn is_passed_on(&self, i: i32) -> bool {
        // SAFETY: the index may be read.
        unsafe {
            ffi::lua_touserdata(self.raw(), self.readable(i))
                == (&raw const PASSED_ON).cast_mut().cast()
        }
    }

    /// Another reference to the value at `i`.
    #[inline]
    pub(crate) fn push_copy(&mut self, i: i32) {
        // SAFETY: there is room, and the index may be read.
        unsafe { ffi::lua_pushvalue(self.raw(), self.readable(i)) };
    }

    /// Moves the topmost value to place `i`, and those above up.
    pub(crate) fn insert(&mut self, i: i32) {
        // SAFETY: the place has a value.
        unsafe { ffi::lua_insert(self.raw(), self.value(i)) };
    }

    pub(crate) fn remove(&mut self, i: i32) {
        // SAFETY: the place has a value.
        unsafe { ffi::lua_remove(self.raw(), self.value(i)) };
    }

    /// Moves the topmost value into place `i`.
    pub(crate) fn replace(&mut self, i: i32) {
        // SAFETY: the place has a value.
        unsafe { ffi::lua_replace(self.raw(), self.value(i)) };
    }

    /// The value at `i`.
    #[inline]
    pub(crate) fn look(&self, i: i32) -> Value<'_> {
        let i = self.readable(i);
        // SAFETY: the index may be read, as what it is; a string lives at least until the stack changes, for which the borrow
        // has to end.
        unsafe {
            match ffi::lua_type(self.raw(), i) {
                ffi::LUA_TNIL | ffi::LUA_TNONE => Value::Nil,
                ffi::LUA_TBOOLEAN => Value::Boolean(ffi::lua_toboolean(self.raw(), i) != 0),
                ffi::LUA_TNUMBER => Value::Number(ffi::lua_tonumber(self.raw(), i)),
                ffi::LUA_TSTRING => {
                    let mut len = 0;
                    let p = ffi::lua_tolstring(self.raw(), i, &raw mut len);
                    Value::String(std::slice::from_raw_parts(p.cast(), len))
                }
                ffi::LUA_TTABLE => Value::Table,
                _ => Value::Other,
            }
        }
    }

    // Reading ----------------------------------------------------------------------------------------------------------

    /// A string's bytes; nothing else is one.
    #[inline]
    pub(crate) fn bytes(&self, i: i32) -> Option<&[u8]> {
        if self.kind(i) != Kind::String {
            return None;
        }
        let mut len = 0;
        // SAFETY: it is a string, so that nothing is converted; it lives at least until the stack changes, for which the
        // borrow has to end.
        unsafe {
            let p = ffi::lua_tolstring(self.raw(), i, &raw mut len);
            Some(std::slice::from_raw_parts(p.cast(), len))
        }
    }

    /// A string, or a number that becomes one in its place (lua_tolstring).
    #[allow(clippy::wrong_self_convention)]
    pub(crate) fn to_bytes(&mut self, i: i32) -> Option<&[u8]> {
        if self.kind(i) == Kind::Number {
            let mut len = 0;
            // SAFETY: a number at an index with a value is converted.
            unsafe { ffi::lua_tolstring(self.raw(), self.value(i), &raw mut len) };
        }
        self.bytes(i)
    }

    /// A number, or a string that reads as one (lua_tonumber).
    #[inline]
    pub(crate) fn number(&self, i: i32) -> Option<f64> {
        // SAFETY: the index may be read.
        let n = unsafe { ffi::lua_tonumber(self.raw(), self.readable(i)) };
        // SAFETY: as above.
        let is_one = n != 0.0 || unsafe { ffi::lua_isnumber(self.raw(), i) } != 0;
        is_one.then_some(n)
    }

    /// False for nil and false.
    pub(crate) fn truth(&self, i: i32) -> bool {
        // SAFETY: the index may be read.
        unsafe { ffi::lua_toboolean(self.raw(), self.readable(i)) != 0 }
    }

    /// The length of a string, or of a table's array.
    pub(crate) fn len(&self, i: i32) -> usize {
        // SAFETY: the index may be read; what has no length has 0.
        match self.kind(i) {
            Kind::String | Kind::Table => unsafe { ffi::lua_objlen(self.raw(), i) },
            _ => 0,
        }
    }

    /// An address that tells tables and functions apart.
    pub(crate) fn identity(&self, i: i32) -> usize {
        // SAFETY: the index may be read.
        unsafe { ffi::lua_topointer(self.raw(), self.readable(i)).addr() }
    }

    // Tables, past their metatables ------------------------------------------------------------------------------------

    /// Replaces the key on top by its value in table `t`.
    pub(crate) fn get_raw(&mut self, t: i32) {
        self.value(-1);
        // SAFETY: a table, and a key.
        unsafe { ffi::lua_rawget_(self.raw(), self.table(t)) };
    }

    #[inline]
    pub(crate) fn get_raw_index(&mut self, t: i32, n: i32) -> Kind {
        // SAFETY: a table, and room.
        unsafe { ffi::lua_rawgeti_(self.raw(), self.table(t), n) };
        self.kind(-1)
    }

    pub(crate) fn get_raw_field(&mut self, t: i32, name: &[u8]) -> Kind {
        let t = if t < 0 { self.top() + t + 1 } else { t };
        self.push_bytes(name);
        self.get_raw(t);
        self.kind(-1)
    }

    /// Takes a key and its value from the top into table `t`. False, and both are gone, when no table can have such a key: nil
    /// and NaN.
    pub(crate) fn set_raw(&mut self, t: i32) -> bool {
        self.value(-2);
        let key_ok = match self.kind(-2) {
            Kind::Nil => false,
            Kind::Number => self.number(-2).is_some_and(|n| !n.is_nan()),
            _ => true,
        };
        if !key_ok {
            self.pop(2);
            return false;
        }
        // SAFETY: a table, a key that it takes, and a value.
        unsafe { ffi::lua_rawset(self.raw(), self.table(t)) };
        true
    }

    /// How many elements of table `t` follow each other from 1 on.
    pub(crate) fn sequence_len(&mut self, t: i32) -> i32 {
        let (t, top) = (self.table(t), self.top());
        let t = if t < 0 { top + t + 1 } else { t };
        for n in 1.. {
            // SAFETY: a table; the one value that is pushed is taken again.
            let last = unsafe {
                ffi::lua_rawgeti_(self.raw(), t, n);
                let last = ffi::lua_type(self.raw(), -1) == ffi::LUA_TNIL;
                ffi::lua_settop(self.raw(), top);
                last
            };
            if last {
                return n - 1;
            }
        }
        i32::MAX
    }

    /// Whether table `t` has nothing but elements that follow each other from 1 on; a table with more may be said to have it.
    pub(crate) fn is_plain_array(&mut self, t: i32) -> bool {
        let t = if t < 0 { self.top() + t + 1 } else { t };
        match self.len(t) {
            0 => self.push_nil(),
            n => self.push_number(n as f64),
        }
        // Its length is an index of it, and so a key.
        let more = self.next(t);
        if more {
            self.pop(2);
        }
        !more
    }

    /// Takes the value on top as element `n` of table `t`.
    #[inline]
    pub(crate) fn set_raw_index(&mut self, t: i32, n: i32) {
        self.value(-1);
        // SAFETY: a table and a value.
        unsafe { ffi::lua_rawseti_(self.raw(), self.table(t), n) };
    }

    /// Takes the value on top as field `name` of table `t`.
    pub(crate) fn set_raw_field(&mut self, t: i32, name: &[u8]) {
        self.value(-1);
        let t = if t < 0 { self.top() + t + 1 } else { t };
        self.push_bytes(name);
        self.insert(-2);
        // SAFETY: a table, a string as its key, and a value.
        unsafe { ffi::lua_rawset(self.raw(), self.table(t)) };
    }

    /// Replaces the key on top by the next key of table `t` and its value. False at the end: then the key is gone.
    ///
    /// The table must have the key, as it has when nothing was changed since the step before; to begin, the key is nil.
    pub(crate) fn next(&mut self, t: i32) -> bool {
        self.value(-1);
        // SAFETY: a table and a key of it.
        unsafe { ffi::lua_next(self.raw(), self.table(t)) != 0 }
    }

    /// Pushes the metatable of `i`, when it has one.
    pub(crate) fn push_metatable(&mut self, i: i32) -> bool {
        // SAFETY: the index may be read.
        unsafe { ffi::lua_getmetatable(self.raw(), self.readable(i)) != 0 }
    }

    // Where Lua code stands --------------------------------------------------------------------------------------------

    /// The source and the line of the function that is `level` calls up (0: the running one), when it is Lua code. Sources are
    /// named as they were at compilation, with the sign before (`@user_script`).
    pub(crate) fn place(&self, level: i32) -> Option<Option<(Vec<u8>, i32)>> {
        let mut ar = MaybeUninit::<ffi::lua_Debug>::zeroed();
        // SAFETY: the record is written by the one call and read by the other, which fills what it is asked for.
        unsafe {
            if ffi::lua_getstack(self.raw(), level, ar.as_mut_ptr()) == 0 {
                return None;
            }
            if ffi::lua_getinfo(self.raw(), c"Sl".as_ptr(), ar.as_mut_ptr()) == 0 {
                return Some(None);
            }
            let ar = ar.assume_init();
            if ar.currentline <= 0 || ar.source.is_null() {
                return Some(None);
            }
            let source = CStr::from_ptr(ar.source).to_bytes().to_vec();
            Some(Some((source, ar.currentline)))
        }
    }

    /// Where the running function's values begin on its coroutine's stack: the same while it runs, and higher for what it calls.
    pub(crate) fn frame(&self) -> u16 {
        // The record's own last field, which LuaJIT keeps the place in: the lower half is the frame's (lua_getstack).
        const PLACE: usize = size_of::<ffi::lua_Debug>() - size_of::<c_int>();
        // Behind the source's short name.
        const { assert!(PLACE == offset_of!(ffi::lua_Debug, short_src) + 60) };
        let mut ar = MaybeUninit::<ffi::lua_Debug>::zeroed();
        // SAFETY: the record is written to or stays zero, and a number stands at that place, where it is aligned.
        unsafe {
            ffi::lua_getstack(self.raw(), 0, ar.as_mut_ptr());
            ar.as_ptr().byte_add(PLACE).cast::<c_int>().read() as u16
        }
    }

    /// An address that tells coroutines apart.
    pub(crate) fn thread(&self) -> usize {
        self.l.addr().get()
    }

    /// The nearest place in a script, `skip` calls up or more: our own Lua code, whose sources begin with `=`, is passed over.
    pub(crate) fn script_place(&self, skip: i32) -> Option<(Vec<u8>, i32)> {
        let mut level = skip;
        while let Some(place) = self.place(level) {
            match place {
                Some((source, line)) if !source.starts_with(b"=") => return Some((source, line)),
                _ => level += 1,
            }
        }
        None
    }

    /// `source:line: ` of the script's nearest place, nothing where there is none (luaL_where).
    pub(crate) fn position(&self, skip: i32) -> Vec<u8> {
        let Some((source, line)) = self.script_place(skip) else {
            return Vec::new();
        };
        let mut text = source.strip_prefix(b"@").unwrap_or(&source).to_vec();
        text.extend_from_slice(format!(":{line}: ").as_bytes());
        text
    }

    /// Pushes the value of local variable `n` (from 1) of the function `level` calls up, and returns its name; none where there
    /// is no such variable.
    pub(crate) fn push_local(&mut self, level: i32, n: i32) -> Option<Vec<u8>> {
        let mut ar = MaybeUninit::<ffi::lua_Debug>::zeroed();
        // SAFETY: the record is of a call that is under way; the name lives as long as its function.
        unsafe {
            if ffi::lua_getstack(self.raw(), level, ar.as_mut_ptr()) == 0 {
                return None;
            }
            let name = ffi::lua_getlocal(self.raw(), ar.as_ptr(), n);
            (!name.is_null()).then(|| CStr::from_ptr(name).to_bytes().to_vec())
        }
    }

    /// What the function `level` calls up is called by its caller, for a trace.
    pub(crate) fn function_name(&self, level: i32) -> Option<Vec<u8>> {
        let mut ar = MaybeUninit::<ffi::lua_Debug>::zeroed();
        // SAFETY: as in `place`.
        unsafe {
            if ffi::lua_getstack(self.raw(), level, ar.as_mut_ptr()) == 0
                || ffi::lua_getinfo(self.raw(), c"n".as_ptr(), ar.as_mut_ptr()) == 0
            {
                return None;
            }
            let name = ar.assume_init().name;
            (!name.is_null()).then(|| CStr::from_ptr(name).to_bytes().to_vec())
        }
    }

    // Code -------------------------------------------------------------------------------------------------------------

    /// Pushes our own code, compiled, without what only errors in it would need.
    pub(crate) fn compile_own(&mut self, code: &[u8], name: &CStr) -> Result<(), Vec<u8>> {
        self.compile(code, name)?;
        self.push_globals();
        self.get_raw_field(-1, b"string");
        self.get_raw_field(-1, b"dump");
        self.remove(-2);
        self.remove(-2);
        self.insert(-2);
        self.push_bool(true);
        // SAFETY: `string.dump`, a function and a flag are on the stack; what it makes takes the place of all three, and nothing
        // but it is loaded as binary code.
        let status = unsafe {
            let dumped = ffi::lua_pcall(self.raw(), 2, 1, 0);
            let mut len = 0;
            let p = ffi::lua_tolstring(self.raw(), -1, &raw mut len);
            match dumped == ffi::LUA_OK && !p.is_null() {
                true => ffi::luaL_loadbuffer(self.raw(), p, len, name.as_ptr()),
                false => dumped,
            }
        };
        if status != ffi::LUA_OK {
            return Err(self.to_bytes(-1).unwrap_or(b"?").to_vec());
        }
        self.remove(-2);
        Ok(())
    }

    /// Pushes the compiled chunk `code`, in which binary code is refused; the error is its text.
    pub(crate) fn compile(&mut self, code: &[u8], name: &CStr) -> Result<(), Vec<u8>> {
        if code.first() == Some(&0x1b) {
            return Err(b"attempt to load chunk with wrong mode".to_vec());
        }
        // SAFETY: that many bytes are there, and the name ends with a zero. A syntax error and lack of memory are results.
        let status = unsafe {
            ffi::luaL_loadbuffer(self.raw(), code.as_ptr().cast(), code.len(), name.as_ptr())
        };
        if status == ffi::LUA_OK {
            return Ok(());
        }
        let text = self.to_bytes(-1).unwrap_or(b"?").to_vec();
        self.pop(1);
        Err(text)
    }

    /// Takes the table on top as the environment of the function at `i`.
    pub(crate) fn set_environment(&mut self, i: i32) {
        self.table(-1);
        assert!(self.kind(i) == Kind::Function, "a function");
        // SAFETY: a function, and a table on top.
        unsafe { ffi::lua_setfenv(self.raw(), i) };
    }

    /// Takes the table on top as the environment of what is compiled from now on.
    pub(crate) fn set_globals(&mut self) {
        self.table(-1);
        // SAFETY: a table on top.
        unsafe { ffi::lua_replace(self.raw(), ffi::LUA_GLOBALSINDEX) };
    }

    pub(crate) fn push_globals(&mut self) {
        // SAFETY: there is room.
        unsafe { ffi::lua_pushvalue(self.raw(), ffi::LUA_GLOBALSINDEX) };
    }

    /// Takes the value on top into the registry: it is kept until [`Stack::drop_kept`].
    pub(crate) fn keep(&mut self) -> Kept {
        self.value(-1);
        // SAFETY: a value on top.
        Kept(unsafe { ffi::luaL_ref(self.raw(), ffi::LUA_REGISTRYINDEX) })
    }

    #[inline]
    pub(crate) fn push_kept(&mut self, k: &Kept) {
        // SAFETY: the registry is a table; there is room.
        unsafe { ffi::lua_rawgeti_(self.raw(), ffi::LUA_REGISTRYINDEX, k.0) };
    }

    pub(crate) fn drop_kept(&mut self, k: Kept) {
        // SAFETY: it came from `keep`, and is given back once.
        unsafe { ffi::luaL_unref(self.raw(), ffi::LUA_REGISTRYINDEX, k.0) };
    }
}

/// A value in the registry of its machine. Given back twice, or used with another machine, it names some other value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept(c_int);

impl<H> Lua<H> {
    /// A machine with the libraries base, string, table, math, bit and os, without any restriction: what scripts may see is
    /// the caller's to choose. None when there is no memory for it.
    pub(crate) fn new() -> Option<Lua<H>> {
        let heap = Box::into_raw(Box::new(Heap::<H> {
            used: 0,
            limit: usize::MAX,
            strict: false,
            exhausted: false,
            killed: false,
            killed_at: None,
            stack_base: 0,
            host: std::ptr::null_mut(),
            interrupt: None,
            line_hook: None,
        }));
        // SAFETY: the allocator and its heap fit each other.
        let l = unsafe { ffi::lua_newstate(allocate::<H>, heap.cast()) };
        let (Some(l), Some(heap)) = (NonNull::new(l), NonNull::new(heap)) else {
            // SAFETY: it came from a box, and nobody has it.
            drop(unsafe { Box::from_raw(heap) });
            return None;
        };
        let mut lua = Lua {
            stack: Stack { l },
            heap,
            owns: PhantomData,
        };
        // The compiler to machine code stays off: what switches it on is the library `jit`, which is not opened.
        for open in [
            ffi::luaopen_base,
            ffi::luaopen_string,
            ffi::luaopen_table,
            ffi::luaopen_math,
            ffi::luaopen_bit,
            ffi::luaopen_os,
        ] {
            // SAFETY: each is a function of the machine's own; memory does not fail here.
            unsafe {
                ffi::lua_pushcclosure(l.as_ptr(), open, 0);
                ffi::lua_call(l.as_ptr(), 0, 0);
            }
        }
        lua.stack.truncate(0);
        Some(lua)
    }

    /// Bytes that the machine has.
    pub(crate) fn memory(&self) -> usize {
        // SAFETY: the heap lives as long as its machine.
        unsafe { self.heap.as_ref().used }
    }

    /// What it may have while a script runs, in bytes; none: no limit.
    pub(crate) fn set_memory_limit(&mut self, limit: Option<usize>) {
        // SAFETY: as above, and nothing runs.
        unsafe { self.heap.as_mut().limit = limit.unwrap_or(usize::MAX) };
    }

    /// Whether a script has met the limit since the last call began.
    pub(crate) fn was_exhausted(&self) -> bool {
        // SAFETY: as above.
        unsafe { self.heap.as_ref().exhausted }
    }

    /// Where the last killed script was; none: not in its own code.
    pub(crate) fn killed_at(&self) -> Option<(Vec<u8>, i32)> {
        // SAFETY: as above.
        unsafe { self.heap.as_ref().killed_at.clone() }
    }

    /// What a slow script is interrupted with.
    pub(crate) fn set_interrupt(&mut self, interrupt: fn(&mut H) -> Verdict) {
        // SAFETY: as above.
        unsafe { self.heap.as_mut().interrupt = Some(interrupt) };
    }

    /// What the lines of the calls from now on are announced to. With it, nothing else interrupts them.
    pub(crate) fn set_line_hook(&mut self, f: Option<LineHook<H>>) {
        // SAFETY: as above.
        unsafe { self.heap.as_mut().line_hook = f };
    }

    /// Pushes a function of ours. `f` has no size: a function's name, or a closure that captures nothing.
    pub(crate) fn push_function<F>(&mut self, _f: F)
    where
        F: Fn(&mut Call<H>) -> Returned + Copy,
    {
        // SAFETY: the machine is one of `Lua<H>`, and that `F` has no size is checked by the trampoline.
        unsafe { ffi::lua_pushcclosure(self.stack.raw(), trampoline::<H, F>, 0) };
    }

    /// Lets go of the libraries as the machine made them, so that what nobody has chosen of them is freed; and collections
    /// come earlier than by default, since most of what a script leaves is garbage.
    pub(crate) fn settle(&mut self) {
        const PAUSE_PERCENT: c_int = 150;
        const STEP_PERCENT: c_int = 400;
        let l = self.stack.raw();
        // SAFETY: the registry is a table; nothing runs.
        unsafe {
            ffi::lua_pushnil(l);
            ffi::lua_setfield(l, ffi::LUA_REGISTRYINDEX, c"_LOADED".as_ptr());
            ffi::lua_gc(l, ffi::LUA_GCSETPAUSE, PAUSE_PERCENT);
            ffi::lua_gc(l, ffi::LUA_GCSETSTEPMUL, STEP_PERCENT);
            ffi::lua_gc(l, ffi::LUA_GCCOLLECT, 0);
        }
    }

    /// Frees what nothing refers to.
    pub(crate) fn collect_garbage(&mut self) {
        // SAFETY: no finaliser exists, so that it runs no Lua code.
        unsafe { ffi::lua_gc(self.stack.raw(), ffi::LUA_GCCOLLECT, 0) };
    }

    /// Calls the function below `args` arguments on top of the stack, which does without the host: our own Lua code. All its
    /// results, or the error, take their place; returns how many they are.
    pub(crate) fn call_free(&mut self, args: usize) -> Result<usize, Failure> {
        let below = self.stack.top() - args as i32 - 1;
        assert!(below >= 0, "a function and its arguments");
        // SAFETY: the function and its arguments are on the stack; an error stays within.
        let status =
            unsafe { ffi::lua_pcall(self.stack.raw(), args as c_int, ffi::LUA_MULTRET, 0) };
        // SAFETY: the heap lives as long as its machine; a function of ours has left it set.
        unsafe { self.heap.as_mut().strict = false };
        match status {
            ffi::LUA_OK => Ok((self.stack.top() - below) as usize),
            _ => Err(Failure::Error),
        }
    }

    /// Calls the function below `args` arguments on top of the stack with the error handler at index `handler`. Its one result
    /// takes their place.
    ///
    /// `started_us` (unix) is when the script began; after `threshold_us` it is interrupted again and again (none: never).
    pub(crate) fn call(
        &mut self,
        host: &mut H,
        args: usize,
        handler: i32,
        started_us: i64,
        threshold_us: Option<i64>,
    ) -> Result<(), Failure> {
        let l = self.stack.raw();
        assert!(
            self.stack.top() > args as i32,
            "a function and its arguments"
        );
        assert!(self.stack.kind(handler) == Kind::Function, "a handler");
        let heap = self.heap.as_ptr();
        // SAFETY: the heap lives as long as its machine, and nothing runs in it.
        let debugged = unsafe {
            (*heap).host = std::ptr::from_mut(host);
            (*heap).exhausted = false;
            (*heap).killed = false;
            (*heap).stack_base = stack_address();
            (*heap).strict = true;
            (*heap).line_hook.is_some()
        };
        if debugged {
            // SAFETY: the hook is one for machines of `Lua<H>`.
            unsafe {
                ffi::lua_sethook(
                    l,
                    Some(hook::<H>),
                    ffi::LUA_MASKLINE | ffi::LUA_MASKCOUNT,
                    INSTRUCTIONS_BETWEEN_LOOKS,
                );
            }
        } else if let Some(threshold) = threshold_us {
            let due: unsafe extern "C-unwind" fn(*mut ffi::lua_State, *mut ffi::lua_Debug) =
                hook::<H>;
            DUE_HOOK.store(due as *mut c_void, Ordering::Relaxed);
            STARTED_US.store(started_us, Ordering::Relaxed);
            THRESHOLD_US.store(threshold, Ordering::Relaxed);
            RUNNING.store(l, Ordering::Relaxed);
            if !ARMED.swap(true, Ordering::Relaxed) {
                sys::on_script_alarm(on_alarm);
                sys::set_script_alarm(threshold);
            }
        }
        // SAFETY: the function and its arguments are on the stack, and the handler below them; an error stays within.
        let status = unsafe { ffi::lua_pcall(l, args as c_int, 1, handler) };
        let mut hooked = debugged;
        if threshold_us.is_some() && !debugged {
            RUNNING.store(std::ptr::null_mut(), Ordering::Relaxed);
            hooked = DUE.swap(false, Ordering::Relaxed);
        }
        if hooked {
            // SAFETY: no script runs more.
            unsafe { ffi::lua_sethook(l, None, 0, 0) };
        }
        // SAFETY: as above; what was lent is given back.
        let killed = unsafe {
            (*heap).host = std::ptr::null_mut();
            (*heap).strict = false;
            (*heap).killed
        };
        if killed {
            self.stack.pop(1);
            return Err(Failure::Killed);
        }
        match status {
            ffi::LUA_OK => Ok(()),
            _ => Err(Failure::Error),
        }
    }
}

// SAFETY: a machine that nobody runs is plain memory, from an allocator that all threads share; whoever has it may use it.
unsafe impl<H> Send for Lua<H> {}

impl<H> Deref for Lua<H> {
    type Target = Stack;
    fn deref(&self) -> &Stack {
        &self.stack
    }
}

impl<H> DerefMut for Lua<H> {
    fn deref_mut(&mut self) -> &mut Stack {
        &mut self.stack
    }
}

impl<H> Drop for Lua<H> {
    fn drop(&mut self) {
        // SAFETY: nothing runs in it, since who runs it has borrowed it; the heap came from a box and outlives its machine.
        unsafe {
            ffi::lua_close(self.stack.raw());
            drop(Box::from_raw(self.heap.as_ptr()));
        }
    }
}
