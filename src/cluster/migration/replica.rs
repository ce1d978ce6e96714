//! What a replica knows of the slots that are on their way to its master, or have to go there: it hides them as its master does, and one
//! that takes its master's place in the middle deletes what has come of them. Keys of slots that are moved one by one (SETSLOT IMPORTING)
//! are never among them: nobody has said of these that they are not served.
//!
//! A master's stream has the whole set each time that it changes, `REPLCONF capa hidden-slots:860-870,900-900`: real replicas pass over
//! capabilities that they do not know. A snapshot for a replica has the same as an aux field. Valkey's masters name each import instead,
//! with `CLUSTER SYNCSLOTS ESTABLISH` and `FINISH` in the stream; that is read too, and not sent, since it is an error to other real
//! replicas.

use crate::base::log::Level;
use crate::cluster::migration::state::MasterImport;
use crate::cluster::state::{Cluster, Todo};
use crate::server::Server;
use crate::server::execution::args::{Args, OwnedArgs};
use crate::server_log;
use crate::wire::cluster::name::Name;
use crate::wire::cluster::slot_set::{SlotSet, parse_slot};
use crate::wire::replication::capabilities::hidden_slots_word;

impl Server {
    /// Which slots a snapshot's receiver has to hide, as text; empty: none.
    pub(crate) fn hidden_slots_text(&self) -> String {
        self.slot_migrations.hidden.text(",")
    }

    /// Our master has told which slots it hides, by its stream or its snapshot; nothing else is true of it any more.
    pub(crate) fn master_hides_slots(&mut self, text: &[u8]) {
        let Some(c) = self.cluster.as_deref_mut() else {
            return;
        };
        let slots = match text {
            [] => Some(SlotSet::default()),
            text => std::str::from_utf8(text).ok().and_then(SlotSet::parse),
        };
        // What makes no sense is passed over, as it would be by who does not know the word.
        let Some(slots) = slots else {
            return;
        };
        let m = &mut self.slot_migrations;
        m.of_master.clear();
        if !slots.is_empty() {
            m.of_master.push(MasterImport { name: None, slots });
        }
        m.rehide();
        c.todo |= Todo::SAVE_CONFIG | Todo::MIGRATE_SLOTS;
    }
}

impl Cluster {
    /// Our master is a Valkey, and tells its replicas of an import: `CLUSTER SYNCSLOTS ESTABLISH SOURCE node NAME name SLOTSRANGE first last
    /// [first last ...]`, or `FINISH STATE state NAME name MESSAGE text`. The rest is between it and the source.
    pub(super) fn hear_master(&mut self, server: &mut Server, args: &Args<'_>) {
        let words = || (3..args.len()).map(|i| &args[i]);
        let behind = |word: &str| {
            let at = (3..args.len()).find(|i| args.is(*i, word))?;
            Some(at + 1)
        };
        let name = behind("name").and_then(|at| Name::parse(args.get(at)?));
        let Some(name) = name else {
            return;
        };
        let m = &mut server.slot_migrations;
        if args.is(2, "finish") {
            m.of_master.retain(|i| i.name != Some(name));
        } else if args.is(2, "establish") {
            let Some(at) = behind("slotsrange") else {
                return;
            };
            let bounds = words().skip(at - 3);
            let bounds = bounds.map_while(|w| parse_slot(std::str::from_utf8(w).ok()?));
            let bounds: Vec<u16> = bounds.collect();
            let mut slots = SlotSet::default();
            for [first, last] in bounds.as_chunks::<2>().0 {
                for slot in *first..=*last {
                    slots.insert(slot);
                }
            }
            // A slot is in one import: so their number has a bound.
            for i in &mut m.of_master {
                for slot in slots.iter() {
                    i.slots.remove(slot);
                }
            }
            m.of_master.push(MasterImport {
                name: Some(name),
                slots,
            });
        }
        m.of_master.retain(|i| !i.slots.is_empty());
        m.rehide();
        self.todo |= Todo::SAVE_CONFIG | Todo::MIGRATE_SLOTS;
    }

    /// Tells the replicas which keys are hidden, if that has changed. What is written after this call comes after it in the stream.
    pub(super) fn tell_replicas_what_is_hidden(&mut self, server: &mut Server) {
        let m = &mut server.slot_migrations;
        if self.me().is_slave() || m.hidden.bits() == m.told.bits() {
            return;
        }
        m.told = m.hidden.clone();
        let word = hidden_slots_word(&m.hidden.text(","));
        let words: [&[u8]; 3] = [b"REPLCONF", b"capa", &word];
        let words = OwnedArgs::from_slices(&words);
        server.replication_feed_slaves(None, &words.as_args());
    }

    /// Our master has the slots now that were on their way to it: its keys of them are served.
    pub(super) fn master_has_taken(&mut self, server: &mut Server) {
        if server.slot_migrations.of_master.is_empty() {
            return;
        }
        let mine = self.master_of(self.myself);
        let m = &mut server.slot_migrations;
        let hidden: Vec<u16> = m.hidden.iter().collect();
        let taken = hidden.into_iter().filter(|s| self.owner(*s) == Some(mine));
        let mut some = false;
        for slot in taken {
            for i in &mut m.of_master {
                some |= i.slots.remove(slot);
            }
        }
        if some {
            m.of_master.retain(|i| !i.slots.is_empty());
            m.rehide();
            self.todo |= Todo::SAVE_CONFIG;
        }
    }

    /// This replica has taken its master's place: what was on its way there has lost its way, and goes. The slots that were our
    /// master's are ours by now.
    pub(in crate::cluster) fn imports_of_master_end(&mut self, server: &mut Server) {
        let me = self.myself;
        for i in std::mem::take(&mut server.slot_migrations.of_master) {
            for slot in i.slots.iter() {
                if self.owner(slot) == Some(me) {
                    continue;
                }
                if self.owner(slot).is_some() && self.is_unclaimed(slot) {
                    // The source has seen that our master had it, and we have not: it died as it said so.
                    server_log!(
                        Level::Notice,
                        "Slot {} had been taken by the former master. Taking responsibility for it.",
                        slot
                    );
                    self.del_slot(slot);
                    self.add_slot(me, slot);
                    continue;
                }
                server.slot_migrations.leaving.insert(slot);
            }
        }
        let m = &mut server.slot_migrations;
        let back: Vec<u16> = m.leaving.iter().collect();
        for slot in back {
            if self.owner(slot) == Some(me) {
                m.leaving.remove(slot);
            }
        }
        // It has told others what its master said.
        m.told = m.hidden.clone();
        m.rehide();
        self.todo |= Todo::SAVE_CONFIG | Todo::MIGRATE_SLOTS;
    }

    /// This replica gets another master: what it knows of the old one's imports is of no use but for the keys, which the new one deletes.
    pub(in crate::cluster) fn imports_of_old_master(&mut self, server: &mut Server) {
        let m = &mut server.slot_migrations;
        for i in std::mem::take(&mut m.of_master) {
            for slot in i.slots.iter() {
                m.leaving.insert(slot);
            }
        }
        self.todo |= Todo::MIGRATE_SLOTS;
    }
}
