//! What a command is (`Command`, the row that `commands/table` declares) and how one is found (`CommandTable`).
//!
//! Owns: the row types (`row`) and their flags (`flags`), the mapping name -> `CommandId` (`names`), `rename-command`, and the
//! per-command counters. `get_keys` finds the keys of a call by the row (`key_refs`).
//!
//! Invariants: a `CommandId` is an index into `rows` and `stats`, never changes after start-up, and the subcommands of a
//! container have consecutive ids right behind their parent's. Renaming changes which names lead to an id, nothing else:
//! `Command::name` stays what it was, as upstream's `fullname` does.
//!
//! Must not know: any particular command, and how a reply is written.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use crate::server::execution::args::Argv;
use crate::server::measures::histogram::Histogram;

mod flags;
mod get_keys;
mod key_refs;
mod names;
mod row;

pub(crate) use flags::{AclCategories, CommandFlags, KeyFlags};
use get_keys::KeyRange;
pub(crate) use get_keys::{
    KeyPlaces, KeySearch, get_keys_for_routing, get_keys_from_call, get_keys_from_command,
};
pub(crate) use key_refs::{GetKeysError, KeyRefs};
pub(crate) use names::CommandId;
use names::{Entry, NONE, NameIndex};
pub(crate) use row::{
    Arg, ArgType, BeginSearch, ChannelArgs, Command, DatabaseArgs, FindKeys, Group, Guard, KeySpec,
    Proc, Touches,
};

/// What running a command needs of its row, in less than a cache line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CommandRow {
    pub proc: Option<Proc>,
    pub flags: CommandFlags,
    pub command: &'static Command,
    /// Where the only key is; or one of [`NO_KEY`] and [`SEARCH`].
    key_arg: u32,
    key_flags: KeyFlags,
    key_range: Option<KeyRange>,
    /// The number of arguments is `min_args`, or up to `more_args` more.
    min_args: u16,
    more_args: u16,
    parent: u16,
    /// Ids of the subcommands: `first_sub .. first_sub + subs`.
    first_sub: u16,
    subs: u16,
}

/// In a row, where a key would be: there is none, and no channel; it has to be searched for.
const NO_KEY: u32 = 0;
/// No request has so many arguments.
const SEARCH: u32 = u32::MAX;

impl CommandRow {
    /// What a call touches, where it is so little that nothing need be searched.
    #[inline]
    pub(crate) fn touches(&self) -> Touches {
        match self.key_arg {
            NO_KEY => Touches::Nothing,
            SEARCH => Touches::More,
            pos => Touches::Key(pos as u16, self.key_flags),
        }
    }

    /// The argument that is the only key. 0: nothing is touched. No argument: it has to be searched for.
    #[inline(always)]
    pub(super) fn key_arg(&self) -> usize {
        self.key_arg as usize
    }

    /// Which arguments decide about the node that serves a call, where nothing need be searched; their number is legal.
    #[inline(always)]
    pub(crate) fn key_places(&self, argv: &(impl Argv + ?Sized)) -> Option<KeyPlaces> {
        self.key_range.map(|range| range.places(argv))
    }

    /// Whether a call with `argc` arguments, the names included, has a legal number of them.
    #[inline]
    pub(crate) fn accepts_argc(&self, argc: usize) -> bool {
        let more = argc.wrapping_sub(usize::from(self.min_args));
        more <= usize::from(self.more_args) || (self.more_args == u16::MAX && more <= argc)
    }

    pub(crate) fn has_subcommands(&self) -> bool {
        self.subs != 0
    }

    pub(crate) fn parent(&self) -> Option<CommandId> {
        (self.parent != NONE).then_some(CommandId(self.parent))
    }
}

/// What INFO commandstats and latencystats count for a command.
#[derive(Debug, Default)]
pub(crate) struct CommandStats {
    pub calls: u64,
    /// Total time spent in calls, in microseconds.
    pub microseconds: u64,
    /// Calls that were refused before they ran.
    pub rejected_calls: u64,
    /// Calls that ran and answered with an error.
    pub failed_calls: u64,
    /// Durations, from the first call on.
    pub latency: Option<Box<Histogram>>,
}

/// Why a `rename-command` cannot be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RenameError {
    NoSuchCommand,
    TargetExists,
}

impl fmt::Display for RenameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RenameError::NoSuchCommand => "No such command in rename-command",
            RenameError::TargetExists => "Target command name already exists",
        })
    }
}

impl std::error::Error for RenameError {}

/// A command or subcommand of 7.2 that is not built.
#[derive(Debug)]
pub(crate) struct Unbuilt {
    /// Lower case; the full name of a subcommand, `script|load`, whose container has a row.
    pub name: &'static str,
    /// What it is about, as the error text names it.
    pub feature: &'static str,
}

/// All commands of the server, by name and by id.
#[derive(Debug)]
pub(crate) struct CommandTable {
    rows: Vec<CommandRow>,
    stats: Vec<CommandStats>,
    names: NameIndex,
    /// The names before the first `rename-command`, if there was one.
    original_names: Option<NameIndex>,
    /// Names of what is not built, lower case (renames of commands applied).
    unbuilt: Vec<(Cow<'static, [u8]>, &'static Unbuilt)>,
}

impl CommandTable {
    /// Builds the table from its families. In Sentinel mode it has only the commands flagged `SENTINEL`, else all but
    /// those flagged `ONLY_SENTINEL`.
    pub(crate) fn new(families: &[&'static [Command]], sentinel_mode: bool) -> CommandTable {
        let exists = |c: &Command| {
            if sentinel_mode {
                c.all_flags().contains(CommandFlags::SENTINEL)
            } else {
                !c.all_flags().contains(CommandFlags::ONLY_SENTINEL)
            }
        };
        let row = |command: &'static Command, parent: u16| {
            let (key_arg, key_flags) = match command.touches() {
                Touches::Nothing => (NO_KEY, KeyFlags::empty()),
                Touches::Key(pos, flags) => (pos.into(), flags),
                Touches::More => (SEARCH, KeyFlags::empty()),
            };
            CommandRow {
                proc: command.proc,
                flags: command.all_flags(),
                command,
                key_arg,
                key_flags,
                key_range: KeyRange::of(command),
                min_args: command.arity.unsigned_abs() as u16,
                more_args: if command.arity < 0 { u16::MAX } else { 0 },
                parent,
                first_sub: NONE,
                subs: 0,
            }
        };
        let mut rows: Vec<CommandRow> = Vec::new();
        let mut entries = Vec::new();
        for command in families.iter().copied().flatten().filter(|c| exists(c)) {
            let id = rows.len();
            rows.push(row(command, NONE));
            entries.push(Entry {
                name: Cow::Borrowed(command.name.as_bytes()),
                parent: NONE,
                id: id as u16,
            });
            for sub in command.subcommands.iter().filter(|c| exists(c)) {
                entries.push(Entry {
                    name: Cow::Borrowed(sub.declared_name().as_bytes()),
                    parent: id as u16,
                    id: rows.len() as u16,
                });
                rows.push(row(sub, id as u16));
            }
            let subs = rows.len() - id - 1;
            if subs != 0 {
                rows[id].first_sub = (id + 1) as u16;
                rows[id].subs = subs as u16;
            }
        }
        // Static data: there are some 400 rows.
        assert!(rows.len() < usize::from(NONE));
        CommandTable {
            stats: rows.iter().map(|_| CommandStats::default()).collect(),
            rows,
            names: NameIndex::new(entries),
            original_names: None,
            unbuilt: Vec::new(),
        }
    }

    /// The table with these names besides, which lead to no command but are not unknown either.
    #[must_use]
    pub(crate) fn with_unbuilt(mut self, list: &'static [Unbuilt]) -> CommandTable {
        let named = |u: &'static Unbuilt| (Cow::Borrowed(u.name.as_bytes()), u);
        self.unbuilt = list.iter().map(named).collect();
        self
    }

    /// What is not built, by its name (renames applied), whatever its case.
    pub(crate) fn lookup_unbuilt(&self, name: &[u8]) -> Option<&'static Unbuilt> {
        let mut known = self.unbuilt.iter();
        known
            .find(|(own, _)| own.eq_ignore_ascii_case(name))
            .map(|(_, u)| *u)
    }

    /// Where the procedure lies that is the last one in the program; 0 without any.
    pub(crate) fn last_procedure(&self) -> usize {
        let procs = self.rows.iter().filter_map(|row| row.proc);
        procs.map(|proc| proc as usize).max().unwrap_or(0)
    }

    /// The subcommand of `parent` that is not built, by its name, whatever its case.
    pub(crate) fn lookup_unbuilt_subcommand(
        &self,
        parent: CommandId,
        name: &[u8],
    ) -> Option<&'static Unbuilt> {
        let full = [self.full_name(parent).as_bytes(), b"|", name].concat();
        self.lookup_unbuilt(&full)
    }

    /// The command of that name (renames applied), whatever its case. Does not find subcommands.
    #[inline]
    pub(crate) fn lookup(&self, name: &[u8]) -> Option<CommandId> {
        self.names.find(NONE, name)
    }

    /// The subcommand of `parent` with that name, whatever its case.
    #[inline]
    pub(crate) fn lookup_subcommand(&self, parent: CommandId, name: &[u8]) -> Option<CommandId> {
        self.names.find(parent.0, name)
    }

    /// The command that these arguments call: the subcommand where there are subcommands and a second argument, even when
    /// the container has a procedure of its own.
    pub(crate) fn lookup_command(&self, argv: &(impl Argv + ?Sized)) -> Option<CommandId> {
        self.resolve(&self.names, argv)
    }

    /// As `lookup_command`, but a renamed or disabled command is found by its original name too.
    pub(crate) fn lookup_command_or_original(
        &self,
        argv: &(impl Argv + ?Sized),
    ) -> Option<CommandId> {
        self.lookup_command(argv).or_else(|| {
            self.original_names
                .as_ref()
                .and_then(|names| self.resolve(names, argv))
        })
    }

    fn resolve(&self, names: &NameIndex, argv: &(impl Argv + ?Sized)) -> Option<CommandId> {
        if argv.argc() == 0 {
            return None;
        }
        let id = names.find(NONE, argv.arg(0))?;
        if argv.argc() > 1 && self.rows[id.index()].has_subcommands() {
            names.find(id.0, argv.arg(1))
        } else {
            Some(id)
        }
    }

    /// As `lookup_command_by_full_name`, but by the names before the first rename: what is meant does not depend on it.
    pub(crate) fn lookup_original_by_full_name(&self, name: &[u8]) -> Option<CommandId> {
        let names = self.original_names.as_ref().unwrap_or(&self.names);
        match name.iter().position(|&b| b == b'|') {
            None => names.find(NONE, name),
            Some(bar) => names.find(names.find(NONE, &name[..bar])?.0, &name[bar + 1..]),
        }
    }

    /// The command or subcommand by a name in the form `get` or `config|get`.
    pub(crate) fn lookup_command_by_full_name(&self, name: &[u8]) -> Option<CommandId> {
        match name.iter().position(|&b| b == b'|') {
            None => self.lookup(name),
            Some(bar) => {
                let id = self.lookup(&name[..bar])?;
                self.lookup_subcommand(id, &name[bar + 1..])
            }
        }
    }

    /// What running the command needs.
    ///
    /// # Panics
    ///
    /// Never for an id that this table gave out.
    #[inline]
    pub(crate) fn row(&self, id: CommandId) -> &CommandRow {
        &self.rows[id.index()]
    }

    /// The declaration of the command.
    #[inline]
    pub(crate) fn command(&self, id: CommandId) -> &'static Command {
        self.rows[id.index()].command
    }

    /// The name as declared, with the container's before it: `config|get`. A rename does not change it.
    pub(crate) fn full_name(&self, id: CommandId) -> &'static str {
        self.command(id).name
    }

    pub(crate) fn parent(&self, id: CommandId) -> Option<CommandId> {
        self.rows[id.index()].parent()
    }

    /// What running the command needs, or the one that it is a subcommand of.
    pub(crate) fn container_row(&self, id: CommandId) -> &CommandRow {
        self.row(self.parent(id).unwrap_or(id))
    }

    /// The ids of the subcommands, in declared order.
    pub(crate) fn subcommands(&self, id: CommandId) -> impl Iterator<Item = CommandId> + use<> {
        let row = &self.rows[id.index()];
        let ids: Range<u16> = if row.subs == 0 {
            0..0
        } else {
            row.first_sub..row.first_sub + row.subs
        };
        ids.map(CommandId)
    }

    /// The commands that can be called by some name, without subcommands, in declared order; renamed ones come last.
    pub(crate) fn callable(&self) -> impl Iterator<Item = CommandId> {
        self.names
            .entries
            .iter()
            .filter(|e| e.parent == NONE)
            .map(|e| CommandId(e.id))
    }

    /// All ids there are: subcommands and disabled commands too.
    pub(crate) fn ids(&self) -> impl Iterator<Item = CommandId> + use<> {
        (0..self.rows.len() as u16).map(CommandId)
    }

    #[inline]
    pub(crate) fn stats(&self, id: CommandId) -> &CommandStats {
        &self.stats[id.index()]
    }

    #[inline]
    pub(crate) fn stats_mut(&mut self, id: CommandId) -> &mut CommandStats {
        &mut self.stats[id.index()]
    }

    /// CONFIG RESETSTAT's part.
    pub(crate) fn reset_stats(&mut self) {
        self.stats.fill_with(CommandStats::default);
    }

    /// Lets the command `old` (its present name) be called by `new` only; an empty `new` disables it. Subcommands follow
    /// their container; they have no renames of their own.
    ///
    /// # Errors
    ///
    /// The table stays as it was when there is no `old`, or when `new` is taken by another command.
    pub(crate) fn rename(&mut self, old: &[u8], new: &[u8]) -> Result<(), RenameError> {
        let Some(id) = self.lookup(old) else {
            return self.rename_unbuilt(old, new);
        };
        if self.lookup_unbuilt(new).is_some() {
            return Err(RenameError::TargetExists);
        }
        if self.lookup(new).is_some_and(|holder| holder != id) {
            return Err(RenameError::TargetExists);
        }
        let mut entries = self.names.entries.clone();
        entries.retain(|e| e.parent != NONE || e.id != id.0);
        if !new.is_empty() {
            entries.push(Entry {
                name: Cow::Owned(new.to_ascii_lowercase()),
                parent: NONE,
                id: id.0,
            });
        }
        let before = std::mem::replace(&mut self.names, NameIndex::new(entries));
        self.original_names.get_or_insert(before);
        Ok(())
    }

    /// The same for a command that is not built: a configuration that hides it is good here too.
    fn rename_unbuilt(&mut self, old: &[u8], new: &[u8]) -> Result<(), RenameError> {
        let at = self
            .unbuilt
            .iter()
            .position(|(own, u)| !u.name.contains('|') && own.eq_ignore_ascii_case(old))
            .ok_or(RenameError::NoSuchCommand)?;
        let mut others = self.unbuilt.iter().enumerate();
        let taken = others.any(|(i, (own, _))| i != at && own.eq_ignore_ascii_case(new));
        if taken || self.lookup(new).is_some() {
            return Err(RenameError::TargetExists);
        }
        if new.is_empty() {
            self.unbuilt.remove(at);
        } else {
            self.unbuilt[at].0 = Cow::Owned(new.to_ascii_lowercase());
        }
        Ok(())
    }
}
