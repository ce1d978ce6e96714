//! The target of slots that move: a client whose commands are the keys, and the step at which the slots become this node's.
//!
//! The source's connection is a client like others, with [`ClientFlags::IMPORT`]: its commands are run for slots that this node does not
//! serve, nobody answers them, and one that fails ends the import. They go to this node's own replicas and its append-only file as any
//! other.

use crate::base::clock::mstime;
use crate::base::log::Level;
use crate::cluster::migration::state::{End, Import, JobState, Operation, Record, push_message};
use crate::cluster::node::NodeId;
use crate::cluster::state::{Cluster, Todo};
use crate::server::Server;
use crate::server::clients::flags::{ClientFlags, ClientId};
use crate::server_log;
use crate::wire::cluster::name::Name;
use crate::wire::cluster::slot_set::SlotSet;

/// Milliseconds after which the source's word that the slots may be taken is not acted upon: it lets writes go on after twice as long
/// (`export::PAUSE_MS`), however late its word has come.
const TAKEOVER_MS: i64 = 2000;

/// What a source's client is, once it has established an import.
const IMPORTING: ClientFlags = ClientFlags::of(&[
    ClientFlags::IMPORT,
    ClientFlags::REPLY_OFF,
    ClientFlags::NO_EVICT,
    ClientFlags::DENY_BLOCKING,
]);

impl Import {
    fn fail(&mut self, why: &str) {
        self.end.get_or_insert_with(|| End::failed(why));
    }

    /// Who has the slots, and how long it takes.
    fn look(&mut self, c: &Cluster, server: &Server) {
        if c.me().is_slave() {
            return self.fail("I was demoted to a replica");
        }
        match c.owner_of_all(&self.record.slots) {
            Some(owner) if owner == self.source => {}
            Some(owner) if owner == c.myself => {
                return self.fail("Slots were unexpectedly assigned to myself during import");
            }
            _ => return self.fail("Slots are no longer owned by source node"),
        }
        let last = server.clients.get(self.client).map(|c| c.last_interaction);
        let silent = server.clock.unix_s - last.unwrap_or(0);
        if silent > i64::from(server.config.repl_timeout) {
            self.fail("Timed out after too long with no interaction");
        }
    }
}

impl Server {
    fn import_of(&mut self, cid: ClientId) -> Option<&mut Import> {
        let imports = self.slot_migrations.imports.iter_mut();
        imports.into_iter().find(|i| i.client == cid)
    }

    /// Says a word to a source, which gets no replies otherwise.
    fn tell_source(&mut self, cid: ClientId, word: &str) {
        let mut line = Vec::new();
        push_message(&mut line, word);
        let Some(c) = self.clients.get_mut(cid) else {
            return;
        };
        c.flags.remove(ClientFlags::REPLY_OFF);
        self.clients.add_reply_proto(cid, &line);
        if let Some(c) = self.clients.get_mut(cid) {
            c.flags |= ClientFlags::REPLY_OFF;
        }
    }

    /// The source's client is gone.
    pub(crate) fn slot_import_closed(&mut self, cid: ClientId) {
        if let Some(i) = self.import_of(cid) {
            i.fail(
                "Connection lost to source. Check CLUSTER GETSLOTMIGRATIONS on the source node for more information.",
            );
        }
        self.wake_slot_migrations();
    }

    /// A command of the source has failed here, which it did not there.
    pub(crate) fn slot_import_error(&mut self, cid: ClientId, line: &[u8]) {
        let said = String::from_utf8_lossy(&line[..line.len().min(256)]).into_owned();
        if let Some(i) = self.import_of(cid) {
            let why = match line.starts_with(b"-OOM") {
                true => "Ran out of memory (OOM) during slot import".to_string(),
                false => format!("Failed to process command during slot migration: {said}"),
            };
            i.fail(&why);
        }
        self.wake_slot_migrations();
    }

    /// A word of the source (the subcommands of CLUSTER SYNCSLOTS but ESTABLISH). False: the client has no import.
    pub(super) fn hear_source(&mut self, cid: ClientId, word: &[u8]) -> bool {
        let now = self.clock.unix_s;
        let Some(i) = self.import_of(cid) else {
            return false;
        };
        i.record.acked = now;
        let answer = match (&word.to_ascii_lowercase()[..], i.record.state) {
            (b"ack", JobState::WaitingForAck) => {
                i.record.enter(JobState::ReceivingSnapshot, now);
                None
            }
            (b"ack", _) => None,
            (b"snapshot-eof", JobState::ReceivingSnapshot) => {
                i.record.enter(JobState::WaitingForPaused, now);
                Some("REQUEST-PAUSE")
            }
            (b"paused", JobState::WaitingForPaused) => {
                i.asked = mstime();
                i.record.enter(JobState::FailoverRequested, now);
                Some("REQUEST-FAILOVER")
            }
            (b"failover-granted", JobState::FailoverRequested) => {
                i.record.enter(JobState::FailoverGranted, now);
                None
            }
            (b"snapshot-eof" | b"paused" | b"failover-granted", _) => {
                i.fail("Unexpected state machine transition");
                None
            }
            _ => {
                i.fail("Unknown SYNCSLOTS subcommand used");
                None
            }
        };
        if let Some(word) = answer {
            self.tell_source(cid, word);
        }
        self.wake_slot_migrations();
        true
    }
}

impl Cluster {
    /// A source begins to send slots. It is answered as soon as nothing is left here of them.
    pub(super) fn begin_import(
        &mut self,
        server: &mut Server,
        cid: ClientId,
        name: Name,
        source: NodeId,
        slots: SlotSet,
    ) {
        let now = server.clock.unix_s;
        let nodes = (self[source].name, self.me().name);
        let record = Record::new(Operation::Import, name, nodes, slots, now);
        server_log!(
            Level::Notice,
            "New slot import job created: {}.",
            record.description()
        );
        for slot in record.slots.iter() {
            let m = &mut server.slot_migrations;
            m.hidden.insert(slot);
            if server.count_keys_in_slot(slot) > 0 {
                server.slot_migrations.leaving.insert(slot);
            }
        }
        server.slot_migrations.imports.push(Import {
            record,
            end: None,
            client: cid,
            source,
            asked: 0,
            ack_sent: now,
        });
        if let Some(c) = server.clients.get_mut(cid) {
            c.flags |= IMPORTING.difference(ClientFlags::REPLY_OFF);
        }
        // Before the first key is on a disk, or on its way to a replica.
        self.save_config_or_die(server, true);
        self.tell_replicas_what_is_hidden(server);
        self.imports_may_begin(server);
        self.todo |= Todo::MIGRATE_SLOTS;
    }

    /// Answers the sources of whose slots nothing is left here.
    pub(super) fn imports_may_begin(&mut self, server: &mut Server) {
        let now = server.clock.unix_s;
        let m = &mut *server.slot_migrations;
        let mut ready = Vec::new();
        for i in &mut m.imports {
            let clean = !i.record.slots.iter().any(|s| m.leaving.contains(s));
            if i.record.state == JobState::CleaningUp && clean {
                i.record.enter(JobState::WaitingForAck, now);
                ready.push(i.client);
            }
        }
        for cid in ready {
            server.add_reply_ok(cid);
            if let Some(c) = server.clients.get_mut(cid) {
                c.flags |= IMPORTING;
            }
        }
    }

    /// All imports.
    pub(super) fn step_imports(&mut self, server: &mut Server) {
        let mut imports = std::mem::take(&mut server.slot_migrations.imports);
        let now = server.clock.unix_s;
        for i in &mut imports {
            if i.end.is_none() {
                i.look(self, server);
            }
            if i.end.is_some() {
                continue;
            }
            if i.record.state == JobState::FailoverGranted {
                if mstime() - i.asked > TAKEOVER_MS {
                    i.fail("The source's grant came too late");
                } else if !server.slot_migrations.prevent_failover {
                    self.take_slots(server, &i.record);
                    i.end = Some(End::Success);
                }
            } else if !matches!(
                i.record.state,
                JobState::CleaningUp | JobState::WaitingForAck
            ) && now > i.ack_sent
            {
                i.ack_sent = now;
                server.tell_source(i.client, "ACK");
            }
        }
        let most = server.log_of_slot_migrations();
        for i in std::mem::take(&mut imports) {
            let Some(end) = i.end else {
                imports.push(i);
                continue;
            };
            if let Some(c) = server.clients.get_mut(i.client) {
                c.flags.remove(ClientFlags::IMPORT);
                server.free_client_async(i.client);
            }
            if end != End::Success {
                for slot in i.record.slots.iter() {
                    server.slot_migrations.leaving.insert(slot);
                }
                self.todo |= Todo::MIGRATE_SLOTS | Todo::SAVE_CONFIG;
            }
            server.slot_migrations.remember(i.record, end, most, now);
        }
        server.slot_migrations.imports = imports;
    }

    /// The slots are this node's from now on (performSlotImportJobFailover).
    fn take_slots(&mut self, server: &mut Server, record: &Record) {
        self.bump_config_epoch(Level::Notice);
        let me = self.myself;
        for slot in record.slots.iter() {
            self.del_slot(slot);
            self.add_slot(me, slot);
            server.slot_migrations.hidden.remove(slot);
        }
        server_log!(
            Level::Notice,
            "Slot migration {} completed successfully. This node is now the owner of the slots",
            record.description()
        );
        self.update_state(server);
        // Nobody is told of what a crash could undo.
        self.save_config_or_die(server, true);
        self.tell_replicas_what_is_hidden(server);
        self.tell_all(server);
    }
}
