//! Whether a call is allowed to a user, and what is said and logged if it is not (ACLCheckAllUserCommandPerm).
//!
//! What is found among a call's arguments is more, never less, than what the command will use: keys by its key specs and by its
//! own search, wherever the two differ.
//!
//! Must not know: how a request came, and what becomes of a refused one.

use std::cmp::Ordering;

use crate::acl::log::{AclLogEntry, Context, Reason};
use crate::acl::user::{Permissions, Selector, User};
use crate::base::glob::string_match_len;
use crate::base::log;
use crate::base::num::string2ll;
use crate::server::Server;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server::execution::args::{Args, Argv};
use crate::server::execution::command::{
    AclCategories, ChannelArgs, Command, CommandFlags, CommandId, CommandTable, DatabaseArgs,
    KeyFlags, KeyRefs, KeySearch, KeySpec, Touches, get_keys_from_call, get_keys_from_command,
};

/// What a call may not do. In the order in which selectors come closer to allowing it; the numbers are those of the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Denied {
    /// Argument 0 stands for the database that the client is in.
    Database(usize),
    Command,
    Key(usize),
    Channel(usize),
}

impl Denied {
    /// The argument that is to blame.
    pub(super) fn argument(self) -> usize {
        match self {
            Denied::Command => 0,
            Denied::Database(i) | Denied::Key(i) | Denied::Channel(i) => i,
        }
    }

    fn reason(self) -> Reason {
        match self {
            Denied::Database(_) => Reason::Database,
            Denied::Command => Reason::Command,
            Denied::Key(_) => Reason::Key,
            Denied::Channel(_) => Reason::Channel,
        }
    }

    /// What EXEC says of a command that was allowed when it was queued.
    pub(crate) fn changed_meanwhile(self) -> String {
        let reason = match self {
            Denied::Command => "no permission to execute the command or subcommand",
            Denied::Key(_) => "no permission to touch the specified keys",
            Denied::Channel(_) => "no permission to access one of the channels used as arguments",
            Denied::Database(_) => "no permission to access database",
        };
        format!(
            "-NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is \
             no longer allowed for the following reason: {reason}"
        )
    }
}

/// A call that is looked at, and what has been found of it.
struct Call<'a, A: ?Sized> {
    id: CommandId,
    command: &'static Command,
    flags: CommandFlags,
    argv: &'a A,
    db: usize,
    databases: usize,
    /// Its keys, once they were looked for.
    keys: Option<&'a KeyRefs>,
}

impl<'a, A: Argv + ?Sized> Call<'a, A> {
    /// The number of a database that stands at an argument, if one does. If not, the command will say so.
    fn database_at(&self, i: usize) -> Option<usize> {
        if i >= self.argv.argc() {
            return None;
        }
        let number = string2ll(self.argv.arg(i)).and_then(|n| usize::try_from(n).ok());
        number.filter(|n| *n < self.databases)
    }

    /// Whether the command does something to the database that its client is in.
    fn uses_own_database(&self) -> bool {
        const DATA: AclCategories = AclCategories::of(&[
            AclCategories::KEYSPACE,
            AclCategories::READ,
            AclCategories::WRITE,
        ]);
        self.command.has_keys() || self.command.categories().intersects(DATA)
    }
}

impl Selector {
    /// ACLSelectorCheckCmd. The keys are looked for by `find_keys` when they are needed first.
    fn check_cmd<'a, A: Argv + ?Sized>(
        &self,
        call: &mut Call<'a, A>,
        find_keys: &mut Option<&'a mut KeyRefs>,
    ) -> Result<(), Denied> {
        if self.databases.is_some() {
            self.check_databases(call)?;
        }
        if !self.commands.has(call.id)
            && !call.flags.contains(CommandFlags::NO_AUTH)
            && !self.allows_first_arg(call)
        {
            return Err(Denied::Command);
        }
        if !self.all_keys && call.command.has_keys() {
            let keys = match (call.keys, find_keys.take()) {
                (Some(keys), _) => keys,
                (None, Some(room)) => {
                    find_all_keys(call.command, call.argv, room);
                    call.keys.insert(room)
                }
                (None, None) => return Err(Denied::Command),
            };
            for key in keys.iter() {
                // What is not known is both.
                let needed = match key.flags.is_empty() {
                    true => Permissions::all(),
                    false => Permissions::needed(key.flags),
                };
                if !self.allows_key(needed, call.argv.arg(key.pos)) {
                    return Err(Denied::Key(key.pos));
                }
            }
        }
        if !self.all_channels
            && let Some(channels) = call.command.channels
        {
            self.check_channels(call, channels)?;
        }
        Ok(())
    }

    fn allows_first_arg<A: Argv + ?Sized>(&self, call: &Call<A>) -> bool {
        let Some(allowed) = self.first_args.get(&call.id) else {
            return false;
        };
        call.argv.argc() > 1
            && allowed
                .iter()
                .any(|first| call.argv.arg(1).eq_ignore_ascii_case(first))
    }

    /// ACLCheckChannelAgainstList: a pattern must be one of ours as it stands.
    pub(super) fn allows_channel(&self, channel: &[u8], is_pattern: bool) -> bool {
        self.all_channels
            || self.channels.iter().any(|own| match is_pattern {
                true => **own == *channel,
                false => string_match_len(own, channel, false),
            })
    }

    fn check_channels<A: Argv + ?Sized>(
        &self,
        call: &Call<A>,
        channels: ChannelArgs,
    ) -> Result<(), Denied> {
        let argc = call.argv.argc();
        let end = match channels {
            ChannelArgs::First => argc.min(2),
            ChannelArgs::All | ChannelArgs::AllPatterns => argc,
        };
        let is_pattern = channels == ChannelArgs::AllPatterns;
        let denied = (1..end).find(|i| !self.allows_channel(call.argv.arg(*i), is_pattern));
        denied.map_or(Ok(()), |i| Err(Denied::Channel(i)))
    }

    #[cold]
    fn check_databases<A: Argv + ?Sized>(&self, call: &Call<A>) -> Result<(), Denied> {
        let Some(allowed) = &self.databases else {
            return Ok(());
        };
        let check = |i: usize| match call.database_at(i) {
            Some(db) if !allowed.contains(&db) => Err(Denied::Database(i)),
            _ => Ok(()),
        };
        let own = match call.command.databases {
            DatabaseArgs::Selects | DatabaseArgs::Instead(_) => false,
            DatabaseArgs::All => return Err(Denied::Database(0)),
            _ => call.uses_own_database(),
        };
        match call.command.databases {
            DatabaseArgs::Own | DatabaseArgs::All => {}
            DatabaseArgs::Selects => check(1)?,
            DatabaseArgs::Instead(places) | DatabaseArgs::Besides(places) => {
                places.iter().try_for_each(|i| check(*i))?;
            }
            DatabaseArgs::BehindOption(option) => {
                let names = |i: &usize| call.argv.arg(*i).eq_ignore_ascii_case(option.as_bytes());
                (3..call.argv.argc())
                    .filter(names)
                    .try_for_each(|i| check(i + 1))?;
            }
        }
        if own && !allowed.contains(&call.db) {
            return Err(Denied::Database(0));
        }
        Ok(())
    }
}

/// The keys of a call, by the command's specs; and those that its own search finds elsewhere, which is nearer to what the command
/// will do: of several STOREs the last one counts, and a group may be called `streams`.
fn find_all_keys(command: &Command, argv: &(impl Argv + ?Sized), keys: &mut KeyRefs) {
    // A call that does not fit its specs has no keys: it is an error, or none is mandatory.
    let _ = get_keys_from_command(command, argv, KeySearch::empty(), keys);
    let by_specs = |spec: &KeySpec| !spec.flags.intersects(KeyFlags::VARIABLE_FLAGS);
    if command.get_keys.is_none() || !command.key_specs.iter().all(by_specs) {
        return;
    }
    let mut own = KeyRefs::default();
    if get_keys_from_call(command, argv, &mut own).is_err() {
        return;
    }
    for key in own.iter() {
        if !keys.iter().any(|known| known.pos == key.pos) {
            keys.push(key.pos, KeyFlags::empty());
        }
    }
}

/// What a user's rights are asked for.
pub(crate) struct Asked<'a, A: ?Sized> {
    pub user: &'a User,
    pub id: CommandId,
    pub argv: &'a A,
    /// The database that the command would run in.
    pub db: usize,
}

/// Gives `judge` what each selector says until it has an answer.
fn ask_selectors<A: Argv + ?Sized, R>(
    asked: &Asked<A>,
    table: &CommandTable,
    databases: usize,
    room: &mut KeyRefs,
    mut judge: impl FnMut(&Selector, Result<(), Denied>) -> Option<R>,
) -> Option<R> {
    let row = table.row(asked.id);
    let mut call = Call {
        id: asked.id,
        command: row.command,
        flags: row.flags,
        argv: asked.argv,
        db: asked.db,
        databases,
        keys: None,
    };
    let mut room = Some(room);
    asked.user.all_selectors().find_map(|selector| {
        let said = selector.check_cmd(&mut call, &mut room);
        judge(selector, said)
    })
}

impl Server {
    /// Whether the user may run the command with these arguments (ACLCheckAllUserCommandPerm).
    ///
    /// # Errors
    /// What stands against it: of all selectors, that of the one which came nearest.
    pub(crate) fn acl_check_all_user_command_perm<A: Argv + ?Sized>(
        &mut self,
        asked: &Asked<A>,
    ) -> Result<(), Denied> {
        let mut worst = None;
        let allowed = ask_selectors(
            asked,
            &self.commands,
            self.dbs.len(),
            &mut self.acl.keys,
            |_, said| match said {
                Ok(()) => Some(()),
                Err(denied) => {
                    if worst.is_none_or(|w: Denied| denied.cmp(&w) == Ordering::Greater) {
                        worst = Some(denied);
                    }
                    None
                }
            },
        );
        match (allowed, worst) {
            (Some(()), _) => Ok(()),
            (None, worst) => Err(worst.unwrap_or(Denied::Command)),
        }
    }

    /// The same for a client's user, in the database that it is in, or will be in when it has run what it has queued
    /// (ACLCheckAllPerm). Who has no user may do all.
    ///
    /// # Errors
    /// What stands against it.
    fn acl_check_all_perm(
        &mut self,
        cid: ClientId,
        id: CommandId,
        args: &Args,
    ) -> Result<(), Denied> {
        let Some(c) = self.clients.get(cid) else {
            return Ok(());
        };
        let Some(user) = c.user.clone() else {
            return Ok(());
        };
        let queued = match self.exec.call.in_exec {
            true => None,
            false => c.multi_selected_db(),
        };
        let db = queued.unwrap_or(c.db);
        self.acl_check_all_user_command_perm(&Asked {
            user: &user,
            id,
            argv: args,
            db,
        })
    }

    /// Whether SORT may follow patterns: its user may run it, and read every key
    /// (ACLUserCheckCmdWithUnrestrictedKeyAccess).
    pub(crate) fn acl_has_unrestricted_key_access(&mut self, cid: ClientId, args: &Args) -> bool {
        let Some(c) = self.clients.get(cid) else {
            return false;
        };
        if !c.has(ClientFlags::RESTRICTED) {
            return true;
        }
        let (Some(user), Some(id)) = (c.user.clone(), self.exec.call.cmd) else {
            return false;
        };
        let asked = Asked {
            user: &user,
            id,
            argv: args,
            db: c.db,
        };
        let whole = |selector: &Selector, said: Result<(), Denied>| {
            let may = said.is_ok() && selector.has_unrestricted_key_access(Permissions::READ);
            may.then_some(())
        };
        let room = &mut self.acl.keys;
        ask_selectors(&asked, &self.commands, self.dbs.len(), room, whole).is_some()
    }

    /// Whether a client's user may run the command, for all that can be told at a glance: its root selector allows it, and the
    /// one key that it has. False: it has to be looked at.
    #[inline]
    fn acl_allows_at_a_glance(&self, cid: ClientId, id: CommandId, args: &Args) -> bool {
        let Some(user) = self.clients.get(cid).and_then(|c| c.user.as_deref()) else {
            return false;
        };
        let root = &user.root;
        root.commands.has(id)
            && root.databases.is_none()
            && match self.commands.row(id).touches() {
                Touches::Nothing => true,
                Touches::Key(at, flags) => {
                    let at = usize::from(at);
                    at < args.len() && root.allows_key(Permissions::needed(flags), &args[at])
                }
                Touches::More => false,
            }
    }

    /// Why a restricted client's command is refused, if it is: counted and logged.
    #[inline]
    pub(crate) fn acl_refusal(
        &mut self,
        cid: ClientId,
        id: CommandId,
        args: &Args,
    ) -> Option<String> {
        if self.acl_allows_at_a_glance(cid, id, args) {
            return None;
        }
        self.acl_refusal_of(cid, id, args)
    }

    #[inline(never)]
    fn acl_refusal_of(&mut self, cid: ClientId, id: CommandId, args: &Args) -> Option<String> {
        let denied = self.acl_check_all_perm(cid, id, args).err()?;
        Some(format!(
            "-NOPERM {}",
            self.acl_denied(cid, id, args, denied)
        ))
    }

    /// The same for a command that EXEC runs now.
    #[cold]
    pub(crate) fn acl_refusal_in_exec(
        &mut self,
        cid: ClientId,
        id: CommandId,
        args: &Args,
    ) -> Option<String> {
        let denied = self.acl_check_all_perm(cid, id, args).err()?;
        self.acl_denied(cid, id, args, denied);
        Some(denied.changed_meanwhile())
    }

    /// The same for a command that a script calls as its caller.
    #[inline]
    pub(crate) fn acl_refusal_in_script(&mut self, id: CommandId, args: &Args) -> Option<String> {
        let script = self.scripts.client?;
        if !self.clients.get(script)?.has(ClientFlags::RESTRICTED)
            || self.acl_allows_at_a_glance(script, id, args)
        {
            return None;
        }
        let denied = self.acl_check_all_perm(script, id, args).err()?;
        let text = self.acl_denied(script, id, args, denied);
        Some(format!("ACL failure in script: {text}"))
    }

    /// What the client of the running script may do with these words, as `redis.acl_check_cmd` asks. None: there is no such
    /// command.
    pub(crate) fn acl_check_cmd_of_script(&mut self, args: &Args) -> Option<bool> {
        let id = self.commands.lookup_command(args)?;
        let script = self.scripts.client?;
        Some(self.acl_check_all_perm(script, id, args).is_ok())
    }

    /// Counts and logs what was denied, and says it, without names of keys and channels.
    #[cold]
    fn acl_denied(&mut self, cid: ClientId, id: CommandId, args: &Args, denied: Denied) -> String {
        let command = self.commands.full_name(id);
        let object = match denied {
            Denied::Command => command.as_bytes(),
            _ => args.arg(denied.argument()),
        };
        let user = self.clients.get(cid).and_then(|c| c.user.clone());
        let name = user.as_ref().map_or(&b""[..], |u| &u.name);
        self.add_acl_log_entry(cid, denied.reason(), name, object);
        match denied {
            Denied::Database(_) => "No permissions to access database".into(),
            Denied::Command => format!(
                "User {} has no permissions to run the '{command}' command",
                String::from_utf8_lossy(name)
            ),
            Denied::Key(_) => "No permissions to access a key".into(),
            Denied::Channel(_) => "No permissions to access a channel".into(),
        }
    }

    /// Counts what was denied and adds it to the log (addACLLogEntry). The client is the one whose request runs: scripts have
    /// none of their own.
    #[cold]
    pub(super) fn add_acl_log_entry(
        &mut self,
        cid: ClientId,
        reason: Reason,
        username: &[u8],
        object: &[u8],
    ) {
        let counts = &mut self.acl.denied;
        *match reason {
            Reason::Command => &mut counts.cmd,
            Reason::Key => &mut counts.key,
            Reason::Channel => &mut counts.channel,
            Reason::Auth => &mut counts.auth,
            Reason::Database => &mut counts.db,
            Reason::TlsCert => &mut counts.tls_cert,
        } += 1;
        let has = |flag| self.clients.get(cid).is_some_and(|c| c.has(flag));
        let context = if has(ClientFlags::SCRIPT) {
            Context::Lua
        } else if has(ClientFlags::MULTI) {
            Context::Multi
        } else {
            Context::Toplevel
        };
        let real = self.exec.call.client.unwrap_or(cid);
        let now = self.clock.unix_ms;
        let entry = AclLogEntry {
            count: 1,
            reason,
            context,
            object: logged_part(object).into(),
            username: logged_part(username).into(),
            client_info: self.client_info_string(real),
            entry_id: 0,
            timestamp_created: now,
            timestamp_last_updated: now,
        };
        let who = self.client_peer(real);
        self.acl_log_and_audit(entry, &who);
    }

    /// Adds an entry to the log, and tells who audits of one that is like none before it, so many a second.
    fn acl_log_and_audit(&mut self, entry: AclLogEntry, peer: &str) {
        /// Lines a second: names can be made up as fast as one can ask.
        const LINES: u32 = 10;
        let reason = entry.reason.name();
        let user = log::user_data(&entry.username).into_owned();
        let object = match entry.reason {
            // The command that asked for it.
            Reason::Auth => String::from_utf8_lossy(&entry.object).into_owned(),
            _ => log::user_data(&entry.object).into_owned(),
        };
        let most = usize::try_from(self.config.acllog_max_len).unwrap_or(usize::MAX);
        if !self.acl.log.add(entry, most) {
            return;
        }
        let second = self.clock.unix_s;
        let audits = &mut self.acl.audits;
        if audits.0 != second {
            *audits = (second, 0);
        }
        audits.1 = audits.1.saturating_add(1);
        if audits.1 <= LINES {
            let cut = |s: &str| s.chars().take(200).collect::<String>();
            log::server_log_audit(
                log::Audit::Acl,
                format_args!(
                    "denied {reason} to user={} addr={peer} object={}",
                    cut(&user),
                    cut(&object)
                ),
            );
        } else if audits.1 == LINES + 1 {
            let text = "more of them in this second are in ACL LOG only";
            log::server_log_audit(log::Audit::Acl, format_args!("{text}"));
        }
    }

    /// Somebody who is no client has given a name and a password that are nobody's; `client_info` says who, as CLIENT INFO would.
    pub(crate) fn acl_note_failed_login(&mut self, name: &[u8], object: &[u8], peer: &str) {
        self.acl.denied.auth += 1;
        let now = self.clock.unix_ms;
        let entry = AclLogEntry {
            count: 1,
            reason: Reason::Auth,
            context: Context::Toplevel,
            object: logged_part(object).into(),
            username: logged_part(name).into(),
            client_info: format!("addr={peer}"),
            entry_id: 0,
            timestamp_created: now,
            timestamp_last_updated: now,
        };
        self.acl_log_and_audit(entry, peer);
    }
}

/// What the log keeps of a name that a client has sent: it may be of any length, and the log is not to be a way to fill the memory.
fn logged_part(name: &[u8]) -> &[u8] {
    const MOST: usize = 4096;
    &name[..name.len().min(MOST)]
}

/// What ACL DRYRUN says (getAclErrorMessage, verbose).
pub(super) fn get_acl_error_message(
    user: &User,
    command: &str,
    denied: Denied,
    object: &[u8],
) -> Vec<u8> {
    let (before, object, after): (&str, &[u8], &str) = match denied {
        Denied::Command => ("run the '", command.as_bytes(), "' command"),
        Denied::Key(_) => ("access the '", object, "' key"),
        Denied::Channel(_) => ("access the '", object, "' channel"),
        Denied::Database(_) => ("access database ", object, ""),
    };
    [
        b"User ",
        &user.name[..],
        b" has no permissions to ",
        before.as_bytes(),
        object,
        after.as_bytes(),
    ]
    .concat()
}
