//! Hello: each Sentinel publishes on each server's hello channel, and to the other Sentinels, who it is and what it thinks of
//! the master, and so they find each other and agree on the newest configuration.
//!
//! A message is `IP,PORT,ID,EPOCH,MASTER,MASTER IP,MASTER PORT,MASTER EPOCH`. It comes from anybody who may publish there: one
//! that is not well formed is passed over as a whole.

use crate::base::clock::mstime;
use crate::base::log::Level;
use crate::sentinel::instance::{Expected, InstanceId, Kind, is_host, is_id};
use crate::sentinel::link::HELLO_CHANNEL;
use crate::sentinel::state::Sentinel;
use crate::server::Server;
use crate::wire::reply::Reply;

/// A hello message, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Hello<'a> {
    ip: &'a str,
    port: u16,
    id: &'a str,
    current_epoch: u64,
    master: &'a str,
    master_ip: &'a str,
    master_port: u16,
    master_epoch: u64,
}

/// An epoch, which a request has as a signed number.
fn epoch(word: &str) -> Option<u64> {
    word.parse().ok().filter(|n| i64::try_from(*n).is_ok())
}

impl Hello<'_> {
    fn parse(message: &[u8]) -> Option<Hello<'_>> {
        let text = std::str::from_utf8(message).ok()?;
        let mut words = text.split(',');
        let mut next = || words.next();
        let hello = Hello {
            ip: next().filter(|w| is_host(w))?,
            port: next()?.parse().ok()?,
            id: next().filter(|w| is_id(w))?,
            current_epoch: next().and_then(epoch)?,
            master: next()?,
            master_ip: next().filter(|w| is_host(w))?,
            master_port: next()?.parse().ok()?,
            master_epoch: next().and_then(epoch)?,
        };
        words.next().is_none().then_some(hello)
    }
}

impl Sentinel {
    /// A message on the hello channel (sentinelReceiveHelloMessages).
    pub(super) fn receive_hello_message(&mut self, server: &mut Server, reply: &Reply) {
        let Reply::Array(parts) = reply else {
            return;
        };
        if let [Reply::Bulk(word), Reply::Bulk(_), Reply::Bulk(message)] = &parts[..]
            && word == b"message"
        {
            self.process_hello_message(server, message);
        }
    }

    /// What another Sentinel says (sentinelProcessHelloMessage).
    pub(super) fn process_hello_message(&mut self, server: &mut Server, message: &[u8]) {
        let Some(hello) = Hello::parse(message) else {
            return;
        };
        if hello.id == self.myid {
            return;
        }
        let Some(m) = self.masters.get(hello.master).copied() else {
            return;
        };
        let si = self.sentinel_of_hello(server, m, &hello);
        if hello.current_epoch > self.current_epoch {
            self.current_epoch = hello.current_epoch;
            self.unsaved = true;
            let epoch = self.current_epoch.to_string();
            self.event(server, Level::Warning, "+new-epoch", Some(m), &epoch);
        }
        if let Some(si) = si {
            if self[m].config_epoch < hello.master_epoch {
                self.update_from_hello(server, m, si, &hello);
            }
            self[si].last_hello_time = mstime();
        }
    }

    /// The Sentinel that speaks, which may be new, or have moved. None: it cannot be kept.
    fn sentinel_of_hello(
        &mut self,
        server: &mut Server,
        m: InstanceId,
        hello: &Hello<'_>,
    ) -> Option<InstanceId> {
        let port = i64::from(hello.port);
        let addr = self.address(hello.ip, port, true).ok()?;
        if let Some(known) = self.find(&self[m].sentinels, Some(&addr), Some(hello.id)) {
            return Some(known);
        }
        let moved = self.remove_matching_sentinel_from_master(server, m, hello.id);
        if moved {
            let more = format!(" ip {} port {} for {}", hello.ip, hello.port, hello.id);
            self.event_of(server, Level::Notice, "+sentinel-address-switch", m, &more);
        } else if let Some(other) = self.find(&self[m].sentinels, Some(&addr), None) {
            // Another one had this place before: it is not there any more, whatever master it is about.
            self.event_of(server, Level::Notice, "+sentinel-invalid-addr", other, "");
            if let Some(obsolete) = self[other].runid.clone() {
                for m in self.masters.values().copied().collect::<Vec<_>>() {
                    self.remove_matching_sentinel_from_master(server, m, &obsolete);
                }
            }
        }
        let quorum = self[m].quorum;
        let place = (hello.ip, port);
        let si = self
            .create_instance(Kind::Sentinel, hello.id, place, quorum, Some(m))
            .ok()?;
        if !moved {
            self.event_of(server, Level::Notice, "+sentinel", si, "");
        }
        self[si].runid = Some(hello.id.into());
        let left = self.try_connection_sharing(si);
        self.close_link(server, left);
        if moved {
            self.update_sentinel_address_in_all_masters(server, si);
        }
        self.unsaved = true;
        Some(si)
    }

    /// removeMatchingSentinelFromMaster; true if there was one.
    fn remove_matching_sentinel_from_master(
        &mut self,
        server: &mut Server,
        m: InstanceId,
        runid: &str,
    ) -> bool {
        let found = self.find(&self[m].sentinels, None, Some(runid));
        if let Some(id) = found {
            let link = self.take_instance(id);
            self.close_link(server, link);
        }
        found.is_some()
    }

    /// A Sentinel has moved: all that is known of it elsewhere moves along (sentinelUpdateSentinelAddressInAllMasters).
    fn update_sentinel_address_in_all_masters(&mut self, server: &mut Server, si: InstanceId) {
        let runid = self[si].runid.clone();
        let mut reconfigured = 0;
        for m in self.masters.values().copied().collect::<Vec<_>>() {
            let Some(same) = self.find(&self[m].sentinels, None, runid.as_deref()) else {
                continue;
            };
            self.close_connections(server, same);
            if same != si {
                self[same].addr = self[si].addr.clone();
                reconfigured += 1;
            }
        }
        if reconfigured > 0 {
            let more = format!(" {reconfigured} additional matching instances");
            self.event_of(server, Level::Notice, "+sentinel-address-update", si, &more);
        }
    }

    /// A newer configuration than ours.
    fn update_from_hello(
        &mut self,
        server: &mut Server,
        m: InstanceId,
        si: InstanceId,
        hello: &Hello<'_>,
    ) {
        let addr = &self[m].addr;
        let same =
            hello.master_port == addr.port && addr.is_host(hello.master_ip, self.resolve_hostnames);
        if same {
            self[m].config_epoch = hello.master_epoch;
            return;
        }
        // A host that has no address now may have one with the next hello: until then our configuration stays what it is.
        let port = i64::from(hello.master_port);
        if self.address(hello.master_ip, port, false).is_err() {
            return;
        }
        self[m].config_epoch = hello.master_epoch;
        self.event_of(server, Level::Warning, "+config-update-from", si, "");
        let old = self[m].addr.clone();
        let text = format!(
            "{} {} {} {} {}",
            self[m].name,
            self.announced(&old),
            old.port,
            hello.master_ip,
            hello.master_port
        );
        self.event(server, Level::Warning, "+switch-master", Some(m), &text);
        self.reset_master_and_change_address(server, m, hello.master_ip, port);
        let new = self[m].addr.clone();
        self.call_client_reconf_script(m, "observer", &old, &new);
    }

    /// Publishes our own (sentinelSendHello).
    pub(super) fn send_hello(&mut self, server: &mut Server, id: InstanceId) {
        let link = self.link(id);
        let Some(cc) = link.cc.as_ref().filter(|_| !link.disconnected) else {
            return;
        };
        let ip = match &self.announce_ip {
            Some(ip) => ip.clone(),
            None => match cc.sock.local_addr().ok().and_then(|a| a.as_socket()) {
                Some(addr) => addr.ip().to_string(),
                None => return,
            },
        };
        let config = &server.config;
        let port = if self.announce_port != 0 {
            self.announce_port
        } else if config.tls_replication && config.tls_port != 0 {
            config.tls_port
        } else {
            config.port
        };
        let m = self.master_of(id);
        let addr = self.current_master_address(m);
        let message = format!(
            "{ip},{port},{},{},{},{},{},{}",
            self.myid,
            self.current_epoch,
            self[m].name,
            self.announced(addr),
            addr.port,
            self[m].config_epoch
        );
        let words: [&[u8]; 3] = [b"PUBLISH", HELLO_CHANNEL, message.as_bytes()];
        self.send(server, id, Expected::Publish, &words);
    }

    /// Hello is sent to all of a master's instances at the next turn (sentinelForceHelloUpdateForMaster).
    pub(super) fn force_hello_update_for_master(&mut self, m: InstanceId) {
        let back = self.periods.publish.saturating_add(1);
        let mut all = vec![m];
        all.extend(self[m].sentinels.values());
        all.extend(self[m].slaves.values());
        for id in all {
            if self[id].last_pub_time >= back {
                self[id].last_pub_time -= back;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        let id = "a".repeat(40);
        let text = format!("127.0.0.1,26379,{id},7,mymaster,::1,6379,3");
        let hello = Hello::parse(text.as_bytes()).expect("well formed");
        assert_eq!((hello.port, hello.current_epoch), (26_379, 7));
        assert_eq!((hello.master_ip, hello.master_epoch), ("::1", 3));
        for bad in [
            "",
            "a,b",
            &format!("{text},9"),
            &text.replace("26379", "70000"),
            &text.replace("26379", "-1"),
            &text.replace(",7,", ",x,"),
            &text.replace(",7,", ",18446744073709551616,"),
            &text.replace("127.0.0.1", "127.0.0.1\nport 1"),
            &text.replace(&id, "a\nb"),
            &text.replace(&id, ""),
            &text.replace("::1", "a b"),
        ] {
            assert_eq!(Hello::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
