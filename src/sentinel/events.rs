//! What a Sentinel tells the world (sentinelEvent): the log, those who have subscribed to the event's name, and, of what
//! matters, the notification script.

use crate::base::log::{LOG_MAX_LEN, Level};
use crate::sentinel::instance::{Address, InstanceId, Kind};
use crate::sentinel::state::Sentinel;
use crate::server::Server;
use crate::server::clients::subscriptions::Kind as Subscription;
use crate::server_log;

impl Sentinel {
    /// An event about an instance, whose place comes first in the text: `master NAME IP PORT`, or the same of a replica or
    /// Sentinel and `@ MASTER IP PORT` (upstream's `%@`). `more` follows as it is.
    pub(super) fn event_of(
        &mut self,
        server: &mut Server,
        level: Level,
        event: &str,
        id: InstanceId,
        more: &str,
    ) {
        let i = &self[id];
        let place = |addr: &Address| format!("{} {}", self.announced(addr), addr.port);
        let mut text = format!("{} {} {}", i.kind.name(), i.name, place(&i.addr));
        if let Some(m) = i.master {
            let m = &self[m];
            text.push_str(&format!(" @ {} {}", m.name, place(&m.addr)));
        }
        text.push_str(more);
        self.event(server, level, event, Some(id), &text);
    }

    /// An event with a text of its own; with `about`, the master's notification script hears of it if it is a warning.
    pub(super) fn event(
        &mut self,
        server: &mut Server,
        level: Level,
        event: &str,
        about: Option<InstanceId>,
        text: &str,
    ) {
        let mut text = text.as_bytes();
        text = &text[..text.len().min(LOG_MAX_LEN - 1)];
        server_log!(level, "{} {}", event, String::from_utf8_lossy(text));
        if level != Level::Debug {
            server.pubsub_publish_message(event.as_bytes(), text, Subscription::Channel);
        }
        if level == Level::Warning
            && let Some(id) = about
            && let Some(script) = self[self.master_of(id)].notification_script.clone()
        {
            self.schedule_script_execution(vec![script, event.into(), text.to_vec()]);
        }
    }

    /// `+monitor` for each master (sentinelGenerateInitialMonitorEvents).
    pub(super) fn generate_initial_monitor_events(&mut self, server: &mut Server) {
        for id in self.masters.values().copied().collect::<Vec<_>>() {
            let quorum = format!(" quorum {}", self[id].quorum);
            self.event_of(server, Level::Warning, "+monitor", id, &quorum);
        }
    }

    /// Runs the client-reconfig-script, if there is one (sentinelCallClientReconfScript).
    pub(super) fn call_client_reconf_script(
        &mut self,
        master: InstanceId,
        role: &str,
        from: &Address,
        to: &Address,
    ) {
        debug_assert_eq!(self[master].kind, Kind::Master);
        let Some(script) = self[master].client_reconfig_script.clone() else {
            return;
        };
        let (name, port) = (self[master].name.clone(), |a: &Address| a.port.to_string());
        let argv = vec![
            script,
            name.into(),
            role.into(),
            b"start".to_vec(),
            self.announced(from).into(),
            port(from).into(),
            self.announced(to).into(),
            port(to).into(),
        ];
        self.schedule_script_execution(argv);
    }
}
