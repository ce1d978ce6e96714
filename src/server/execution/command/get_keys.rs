//! Which arguments of a call are keys: the walk over a command's key specs (db.c, getKeysFromCommandWithSpecs).
//!
//! Invariants: positions given out lie within the argument vector; nothing is allocated beyond one `KeyRef` an argument and
//! spec, whatever number a client sends for a number of keys.
//!
//! Must not know: any particular command. What its specs cannot tell, a command's `get_keys` does.

use bitflags::bitflags;

use super::flags::KeyFlags;
use super::key_refs::{GetKeysError, KeyRefs};
use super::row::{BeginSearch, Command, FindKeys, KeySpec, Touches};
use crate::base::num::string2ll;
use crate::server::execution::args::Argv;

/// Gives a `GetKeysProc` any argument vector, sized or not, by reference.
struct ByRef<'a, A: ?Sized>(&'a A);

impl<A: Argv + ?Sized> Argv for ByRef<'_, A> {
    fn argc(&self) -> usize {
        self.0.argc()
    }
    fn arg(&self, i: usize) -> &[u8] {
        self.0.arg(i)
    }
}

bitflags! {
    /// What a search takes besides true keys of complete and valid specs (db.h, KeySearch::*).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct KeySearch: u8 {
        /// Specs flagged `NOT_KEY` count too.
        const INCLUDE_NOT_KEYS = 1 << 0;
        /// A spec that is incomplete or does not fit the arguments is passed over instead of failing the search.
        const RETURN_PARTIAL = 1 << 1;
    }
}

/// Puts the keys of a call into `keys`, in the order of the specs: by the key specs where these tell all, else by the
/// command's own `get_keys`. Finding none is no error (getKeysFromCommandWithSpecs).
///
/// # Errors
///
/// `NoKeyArguments` for a command that never has keys, `InvalidArguments` when the arguments do not fit the specs; `keys`
/// is empty then.
pub(crate) fn get_keys_from_command(
    command: &Command,
    argv: &(impl Argv + ?Sized),
    wanted: KeySearch,
    keys: &mut KeyRefs,
) -> Result<(), GetKeysError> {
    keys.clear();
    if !command.has_keys() {
        return Err(GetKeysError::NoKeyArguments);
    }
    let mut has_spec = false;
    let mut variable = false;
    for spec in command.key_specs {
        has_spec |= !spec.flags.contains(KeyFlags::NOT_KEY);
        variable |= spec.flags.contains(KeyFlags::VARIABLE_FLAGS);
    }
    if has_spec && !variable {
        let found = get_keys_using_key_specs(command.key_specs, argv, wanted, keys);
        if found.is_ok() || command.get_keys.is_none() {
            return found;
        }
    }
    match command.get_keys {
        Some(get_keys) => {
            let found = get_keys(&ByRef(argv), keys);
            if found.is_err() {
                keys.clear();
            }
            found
        }
        None => Ok(()),
    }
}

/// The keys that a call has touched: by the command's own `get_keys` where it has one, since that sees which arguments are
/// wrong and finds no key then, else by the key specs (getKeysFromCommand).
///
/// # Errors
///
/// As [`get_keys_from_command`].
pub(crate) fn get_keys_from_call(
    command: &Command,
    argv: &(impl Argv + ?Sized),
    keys: &mut KeyRefs,
) -> Result<(), GetKeysError> {
    let Some(get_keys) = command.get_keys else {
        return get_keys_from_command(command, argv, KeySearch::empty(), keys);
    };
    keys.clear();
    get_keys(&ByRef(argv), keys)
}

/// What decides about the node that serves a call: its keys and its shard channels (getKeysFromCommand). Where the arguments do not fit
/// there are none, but for those of the range that COMMAND INFO says, as in PFMERGE without a source.
pub(crate) fn get_keys_for_routing(
    command: &Command,
    argv: &(impl Argv + ?Sized),
    keys: &mut KeyRefs,
) {
    keys.clear();
    let found = match command.get_keys {
        Some(get_keys) => get_keys(&ByRef(argv), keys),
        None => {
            get_keys_using_key_specs(command.key_specs, argv, KeySearch::INCLUDE_NOT_KEYS, keys)
        }
    };
    if found.is_err() {
        keys.clear();
        if command.get_keys.is_none() {
            let places = legacy_places(command, argv.argc());
            places.for_each(|pos| keys.push(pos, KeyFlags::empty()));
        }
    }
}

/// The range of COMMAND INFO, as far as the arguments go; nothing for a command whose keys it does not tell.
fn legacy_places(command: &Command, argc: usize) -> KeyPlaces {
    let ((first, last, step), movable) = command.legacy_range();
    let end = match last {
        0.. => last.unsigned_abs() as usize + 1,
        _ => argc.saturating_sub(last.unsigned_abs() as usize - 1),
    };
    match (usize::try_from(first), usize::try_from(step)) {
        (Ok(next @ 1..), Ok(step @ 1..)) if !movable && end <= argc => {
            KeyPlaces { next, end, step }
        }
        _ => KeyPlaces::NONE,
    }
}

fn get_keys_using_key_specs(
    specs: &[KeySpec],
    argv: &(impl Argv + ?Sized),
    wanted: KeySearch,
    keys: &mut KeyRefs,
) -> Result<(), GetKeysError> {
    for spec in specs {
        if spec.flags.contains(KeyFlags::NOT_KEY) && !wanted.contains(KeySearch::INCLUDE_NOT_KEYS) {
            continue;
        }
        let complete = add_keys_of_spec(spec, argv, keys);
        if !complete && !wanted.contains(KeySearch::RETURN_PARTIAL) {
            keys.clear();
            return Err(GetKeysError::InvalidArguments);
        }
    }
    Ok(())
}

/// False when the spec is unknown, incomplete, or does not fit the arguments; what it did find is in `keys`.
fn add_keys_of_spec(spec: &KeySpec, argv: &(impl Argv + ?Sized), keys: &mut KeyRefs) -> bool {
    let Some(places) = key_places(spec, argv) else {
        return false;
    };
    let before = keys.len();
    for pos in places {
        keys.push(pos, spec.flags);
    }
    // Where the keyword is absent, none is missing.
    keys.len() == before || !spec.flags.contains(KeyFlags::INCOMPLETE)
}

/// Which arguments a spec says are keys; all of them exist. None where it does not tell, or does not fit.
fn key_places(spec: &KeySpec, argv: &(impl Argv + ?Sized)) -> Option<KeyPlaces> {
    // Positions come from the row and from numbers a client sent: 64 bits and saturation keep both in range.
    let argc = i64::try_from(argv.argc()).unwrap_or(i64::MAX);
    let mut first = match spec.begin_search {
        BeginSearch::Index { pos } => i64::from(pos),
        BeginSearch::Keyword {
            keyword,
            start_from,
        } => match find_keyword(argv, keyword, i64::from(start_from)) {
            Some(pos) => pos.saturating_add(1),
            None => return Some(KeyPlaces::NONE),
        },
        BeginSearch::Unknown => return None,
    };
    let (last, step) = match spec.find_keys {
        FindKeys::Range {
            last_key,
            key_step,
            limit,
        } => {
            let last_key = i64::from(last_key);
            let last = if last_key >= 0 {
                first.saturating_add(last_key)
            } else if limit == 0 {
                argc.saturating_add(last_key)
            } else {
                let part = argc.saturating_sub(first) / i64::from(limit);
                first.saturating_add(part).saturating_add(last_key)
            };
            (last, key_step)
        }
        FindKeys::KeyNum {
            keynum_idx,
            first_key,
            key_step,
        } => {
            let at = first.saturating_add(i64::from(keynum_idx));
            if !(0..argc).contains(&at) {
                return None;
            }
            let count = string2ll(argv.arg(at as usize)).filter(|&n| n >= 0)?;
            first = first.saturating_add(i64::from(first_key));
            (first.saturating_add(count).saturating_sub(1), key_step)
        }
        FindKeys::Unknown => return None,
    };
    if first < 0 || last < first || last >= argc {
        return None;
    }
    // 0 <= first <= last < argc, and argc is a usize.
    Some(KeyPlaces {
        next: first as usize,
        end: last as usize + 1,
        step: usize::try_from(step).unwrap_or(1).max(1),
    })
}

/// Which arguments decide about the node that serves a call, where their number says it, or one of them: each `step`th from `first` on, below
/// `end`, which counts from the end where it is not positive; or as many as argument `count` says, if that is not 0. With a `first` of 0
/// there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyRange {
    first: u8,
    step: u8,
    end: i8,
    count: u8,
}

impl KeyRange {
    /// What [`get_keys_for_routing`] finds in each call of the command that has a legal number of arguments, where that can be told
    /// beforehand.
    pub(super) fn of(command: &Command) -> Option<KeyRange> {
        if command.get_keys.is_some() && !matches!(command.touches(), Touches::Key(..)) {
            return None;
        }
        if let [spec] = command.key_specs
            && !spec.flags.contains(KeyFlags::INCOMPLETE)
            && let BeginSearch::Index { pos } = spec.begin_search
            && let FindKeys::KeyNum {
                keynum_idx,
                first_key,
                key_step: 1,
            } = spec.find_keys
        {
            let count = pos + keynum_idx;
            return (count < command.arity.abs()).then_some(KeyRange {
                first: (pos + first_key).try_into().ok()?,
                step: 1,
                end: 0,
                count: count.try_into().ok()?,
            });
        }
        let (mut first, mut step, mut end) = (0, 1, 0);
        for (i, spec) in command.key_specs.iter().enumerate() {
            let BeginSearch::Index { pos } = spec.begin_search else {
                return None;
            };
            let FindKeys::Range {
                last_key,
                key_step,
                limit: 0,
            } = spec.find_keys
            else {
                return None;
            };
            match i {
                0 => (first, step) = (pos, key_step),
                // Where the one before has ended, it goes on.
                _ if pos == end && (step, key_step) == (1, 1) => {}
                _ => return None,
            }
            end = match last_key {
                0.. => pos + last_key + 1,
                _ => last_key + 1,
            };
            // A legal number of arguments may not leave out what it says, or end before it begins: it would not fit.
            let least = command.arity.abs();
            let is_short = match end {
                1.. => end > least,
                _ => pos >= least + end,
            };
            if is_short || spec.flags.contains(KeyFlags::INCOMPLETE) {
                return None;
            }
        }
        Some(KeyRange {
            first: first.try_into().ok()?,
            step: step.try_into().ok()?,
            end: end.try_into().ok()?,
            count: 0,
        })
    }

    /// Those of a call whose number of arguments is legal.
    #[inline(always)]
    pub(super) fn places(self, argv: &(impl Argv + ?Sized)) -> KeyPlaces {
        let (argc, next) = (argv.argc(), self.first.into());
        let far = usize::from(self.end.unsigned_abs());
        let end = match self.end {
            _ if self.count > 0 => self.end_by_count(argv),
            _ if self.first == 0 => 0,
            1.. => far.min(argc),
            _ => argc.saturating_sub(far),
        };
        let step = self.step.into();
        KeyPlaces { next, end, step }
    }

    /// Where as many as an argument says have their end; 0 where they are more than there are, which the command will refuse.
    #[inline(never)]
    fn end_by_count(self, argv: &(impl Argv + ?Sized)) -> usize {
        let count = string2ll(argv.arg(self.count.into())).unwrap_or(0);
        let count = usize::try_from(count).unwrap_or(0);
        let end = usize::from(self.first).saturating_add(count);
        if end > argv.argc() { 0 } else { end }
    }
}

/// Every `step`th place from `next` on, below `end`.
#[derive(Debug)]
pub(crate) struct KeyPlaces {
    next: usize,
    end: usize,
    step: usize,
}

impl KeyPlaces {
    const NONE: KeyPlaces = KeyPlaces {
        next: 0,
        end: 0,
        step: 1,
    };

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.next >= self.end
    }

    /// The place, if it is one only.
    #[inline(always)]
    pub(crate) fn only(&self) -> Option<usize> {
        (self.next < self.end && self.end - self.next <= self.step).then_some(self.next)
    }
}

impl Iterator for KeyPlaces {
    type Item = usize;
    #[inline]
    fn next(&mut self) -> Option<usize> {
        let place = self.next;
        if place >= self.end {
            return None;
        }
        self.next = place.saturating_add(self.step);
        Some(place)
    }
}

/// Where the keyword stands; never in argument 0. Forwards from a positive `start_from`, else backwards down to argument 2:
/// upstream leaves argument 1 out as no keyword can stand there.
fn find_keyword(argv: &(impl Argv + ?Sized), keyword: &str, start_from: i64) -> Option<i64> {
    let argc = i64::try_from(argv.argc()).unwrap_or(i64::MAX);
    let matches = |&i: &i64| {
        argv.arg(i as usize)
            .eq_ignore_ascii_case(keyword.as_bytes())
    };
    if start_from > 0 {
        // The last argument is no place for a keyword that a key follows.
        (start_from..argc.saturating_sub(1)).find(matches)
    } else {
        let start = argc.saturating_add(start_from).min(argc.saturating_sub(1));
        (2..=start).rev().find(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::super::row::{GetKeysProc, Group};
    use super::*;
    use crate::server::execution::args::ArgvTail;

    const READ: &[KeyFlags] = &[KeyFlags::RO, KeyFlags::ACCESS];

    fn find_with(
        specs: &'static [KeySpec],
        get_keys: Option<GetKeysProc>,
        wanted: KeySearch,
        line: &str,
    ) -> Result<Vec<usize>, GetKeysError> {
        let mut command = Command::container(Group::Generic, "x", 1, &[]).key_specs(specs);
        command.get_keys = get_keys;
        let argv: Vec<&str> = line.split(' ').collect();
        let mut keys = KeyRefs::default();
        keys.push(99, KeyFlags::empty());
        let found = get_keys_from_command(&command, &argv[..], wanted, &mut keys);
        if found.is_err() {
            assert!(keys.is_empty());
        }
        found.map(|()| keys.iter().map(|k| k.pos).collect())
    }

    fn find(specs: &'static [KeySpec], line: &str) -> Result<Vec<usize>, GetKeysError> {
        find_with(specs, None, KeySearch::empty(), line)
    }

    const INVALID: Result<Vec<usize>, GetKeysError> = Err(GetKeysError::InvalidArguments);

    #[test]
    fn keyword_forwards_with_limit() {
        static XREAD: &[KeySpec] = &[KeySpec::keyword("STREAMS", 1, READ).range(-1, 1, 2)];
        assert_eq!(find(XREAD, "xread streams a b 1 2"), Ok(vec![2, 3]));
        assert_eq!(
            find(XREAD, "xread count 1 Streams a b c 1 2"),
            Ok(vec![4, 5])
        );
        assert_eq!(find(XREAD, "xread x y streams"), Ok(vec![]));
        assert_eq!(find(XREAD, "xread x y streams a"), INVALID);
        assert_eq!(find(XREAD, "xread x y z"), Ok(vec![]));
        assert_eq!(find(XREAD, "streams"), Ok(vec![]));
    }

    fn migrate_get_keys(argv: &dyn Argv, keys: &mut KeyRefs) -> Result<(), GetKeysError> {
        keys.push(argv.argc(), KeyFlags::empty());
        Ok(())
    }

    #[test]
    fn keyword_backwards_and_incomplete() {
        static MIGRATE: &[KeySpec] = &[
            KeySpec::index(3, &[KeyFlags::RW]),
            KeySpec::keyword("KEYS", -2, &[KeyFlags::RW, KeyFlags::INCOMPLETE]).range(-1, 1, 0),
        ];
        let proc: Option<GetKeysProc> = Some(migrate_get_keys);
        let plain = "migrate h p k 0 1 copy";
        let keys = "migrate h p _ 0 1 copy keys a b";
        assert_eq!(find(MIGRATE, plain), Ok(vec![3]));
        assert_eq!(find(MIGRATE, keys), INVALID);
        assert_eq!(
            find_with(MIGRATE, None, KeySearch::RETURN_PARTIAL, keys),
            Ok(vec![3, 8, 9])
        );
        // A spec that fails hands over to the procedure, and leaves nothing behind.
        assert_eq!(
            find_with(MIGRATE, proc, KeySearch::empty(), plain),
            Ok(vec![3])
        );
        assert_eq!(
            find_with(MIGRATE, proc, KeySearch::empty(), keys),
            Ok(vec![10])
        );
        // The last argument is no keyword with a key behind it.
        assert_eq!(find(MIGRATE, "migrate h p k 0 keys"), Ok(vec![3]));
    }

    #[test]
    fn keynum_is_checked_against_the_arguments() {
        static ZUNION: &[KeySpec] = &[KeySpec::index(1, READ).keynum(0, 1, 1)];
        assert_eq!(find(ZUNION, "zunion 2 a b weights"), Ok(vec![2, 3]));
        for bad in [
            "0",
            "3",
            "-1",
            "x",
            "",
            "+2",
            "2147483648",
            "4294967298",
            "9223372036854775807",
            "-9223372036854775808",
            "99999999999999999999",
        ] {
            assert_eq!(find(ZUNION, &format!("zunion {bad} a b")), INVALID, "{bad}");
        }
        assert_eq!(find(ZUNION, "zunion"), INVALID);
        static FAR: &[KeySpec] =
            &[KeySpec::index(i32::MAX, READ).keynum(i32::MAX, i32::MIN, i32::MIN)];
        assert_eq!(find(FAR, "far 2 a b"), INVALID);
        static BEFORE: &[KeySpec] = &[KeySpec::index(1, READ).keynum(-2, 1, 1)];
        assert_eq!(find(BEFORE, "before 2 a b"), INVALID);
    }

    #[test]
    fn ranges_end_with_the_arguments() {
        static ALL_BUT_LAST: &[KeySpec] = &[KeySpec::index(1, READ).range(-2, 1, 0)];
        assert_eq!(find(ALL_BUT_LAST, "blpop a b 0"), Ok(vec![1, 2]));
        assert_eq!(find(ALL_BUT_LAST, "blpop a"), INVALID);
        static PAIRS: &[KeySpec] = &[KeySpec::index(1, READ).range(-1, 2, 0)];
        assert_eq!(find(PAIRS, "mset a 1 b"), Ok(vec![1, 3]));
        static TWO: &[KeySpec] = &[KeySpec::index(1, READ).range(1, 1, 0)];
        assert_eq!(find(TWO, "rename a"), INVALID);
    }

    #[test]
    fn what_is_no_key_is_left_out() {
        static ROUTED: &[KeySpec] = &[KeySpec::index(1, &[KeyFlags::NOT_KEY])];
        assert_eq!(
            find(ROUTED, "spublish a b"),
            Err(GetKeysError::NoKeyArguments)
        );
        static BOTH: &[KeySpec] = &[
            KeySpec::index(1, &[KeyFlags::NOT_KEY]),
            KeySpec::index(2, &[KeyFlags::RO]),
        ];
        assert_eq!(find(BOTH, "x a b"), Ok(vec![2]));
        assert_eq!(
            find_with(BOTH, None, KeySearch::INCLUDE_NOT_KEYS, "x a b"),
            Ok(vec![1, 2])
        );
        static UNKNOWN: &[KeySpec] = &[KeySpec::unknown(&[KeyFlags::RO])];
        assert_eq!(find(UNKNOWN, "x a b"), INVALID);
    }

    #[test]
    fn argv_tail_is_a_command_line_of_its_own() {
        let argv = ["command", "getkeys", "get", "k"];
        let tail = ArgvTail {
            argv: &argv[..],
            from: 2,
        };
        assert_eq!(tail.argc(), 2);
        assert_eq!(tail.arg(1), b"k");
        let beyond = ArgvTail {
            argv: &argv[..],
            from: 5,
        };
        assert_eq!(beyond.argc(), 0);
    }
}
