//! The keys and the shard channels of a slot: counted, deleted, given up when the slot leaves (delKeysInSlot, removeChannelsInSlot,
//! verifyClusterConfigWithData).

use crate::base::key_slot::{CLUSTER_SLOTS, key_hash_slot};
use crate::base::log::Level;
use crate::server::Server;
use crate::server::clients::subscriptions::Kind;
use crate::server::keyspace::lookup::Free;
use crate::server::keyspace::notify::NOTIFY_GENERIC;
use crate::server_log;
use crate::wire::cluster::slot_set::SlotSet;

/// Keys of a slot that are looked up at once.
const DELETE_BATCH: usize = 1000;

impl Server {
    /// countKeysInSlot.
    pub(super) fn count_keys_in_slot(&self, slot: u16) -> usize {
        self.dbs.first().map_or(0, |db| db.keys.count_in_slot(slot))
    }

    /// Deletes all keys of a slot, here and, as deletions, on replicas and in the append-only file (delKeysInSlot).
    pub(super) fn del_keys_in_slot(&mut self, slot: u16, free: Free) -> usize {
        let mut deleted = 0;
        loop {
            match self.del_some_keys_in_slot(slot, DELETE_BATCH, free) {
                0 => return deleted,
                n => deleted += n,
            }
        }
    }

    /// The same for `most` of them. Returns how many there were.
    pub(super) fn del_some_keys_in_slot(&mut self, slot: u16, most: usize, free: Free) -> usize {
        let keys = self.dbs[0].keys.keys_in_slot(slot, most);
        for key in &keys {
            self.db_generic_delete(0, key, free);
            self.propagate_deletion(0, key, free);
            self.key_modified(None, 0, key);
            self.notify_keyspace_event(NOTIFY_GENERIC, "del", key, 0);
            self.propagate_pending_commands();
            self.dirty += 1;
        }
        keys.len()
    }

    /// A key of a slot that is served, while there are others: one of the first of its slot.
    pub(crate) fn random_served_key(&mut self) -> Option<Box<[u8]>> {
        let hidden = self.slot_migrations.hidden.clone();
        let served = || (0..CLUSTER_SLOTS as u16).filter(|slot| !hidden.contains(*slot));
        let total: usize = served().map(|slot| self.count_keys_in_slot(slot)).sum();
        if total == 0 {
            return None;
        }
        let mut left = self.rng.index(total);
        for slot in served() {
            let n = self.count_keys_in_slot(slot);
            if left < n {
                let some = (left + 1).min(DELETE_BATCH);
                return self.dbs[0].keys.keys_in_slot(slot, some).pop();
            }
            left -= n;
        }
        None
    }

    /// Slots have left their owners: who listens to their channels is told that it does not any more (removeChannelsInSlot).
    pub(super) fn unsubscribe_channels_of(&mut self, slots: &SlotSet) {
        if self.pubsub.len(Kind::Shard) == 0 {
            return;
        }
        let names: Vec<Vec<u8>> = self
            .pubsub
            .names(Kind::Shard)
            .filter(|name| slots.contains(key_hash_slot(name)))
            .map(<[u8]>::to_vec)
            .collect();
        for name in names {
            self.pubsub_shard_unsubscribe_all_clients(&name);
        }
    }

    /// Slots with keys are served, or being imported, whatever nodes.conf says (verifyClusterConfigWithData).
    pub(crate) fn verify_cluster_config_with_data(&mut self) {
        self.with_cluster(|c, server| {
            if c.me().is_slave() {
                return;
            }
            let me = c.myself;
            let mut changed = false;
            for slot in 0..CLUSTER_SLOTS as u16 {
                if server.count_keys_in_slot(slot) == 0
                    || c.owner(slot) == Some(me)
                    || c.importing.contains_key(&slot)
                    || server.slot_migrations.leaving.contains(slot)
                {
                    continue;
                }
                changed = true;
                match c.owner(slot) {
                    None => {
                        server_log!(
                            Level::Notice,
                            "I have keys for unassigned slot {}. Taking responsibility for it.",
                            slot
                        );
                        c.add_slot(me, slot);
                    }
                    Some(owner) => {
                        server_log!(
                            Level::Notice,
                            "I have keys for slot {}, but the slot is assigned to another node. Setting it to importing state.",
                            slot
                        );
                        c.importing.insert(slot, owner);
                    }
                }
            }
            if changed {
                c.save_config_or_die(server, true);
            }
        });
    }
}
