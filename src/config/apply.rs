//! What CONFIG SET does once a value has changed, and [`ConfigHost`] for the server: the one file here that knows it.

use super::effect::{Apply, ConfigHost};
use super::fields::Config;
use crate::base::log;
use crate::server::Server;
use crate::server::clients::connection::ListenKind;
use crate::server::clients::flags::ClientId;
use crate::server::process::crash;

impl Apply {
    /// Lets the values take effect.
    ///
    /// # Errors
    /// The text for the client.
    pub(crate) fn run(self, server: &mut Server) -> Result<(), String> {
        match self {
            Apply::Hz => {
                server.config.clamp_hz();
                server.update_hz();
            }
            Apply::Port => server
                .change_listeners(&[ListenKind::Tcp])
                .map_err(|_| "Unable to listen on this port. Check server logs.")?,
            Apply::TlsPort => {
                server.tls_apply_config()?;
                server
                    .change_listeners(&[ListenKind::Tls])
                    .map_err(|_| "Unable to listen on this port. Check server logs.")?;
            }
            Apply::Tls => server.tls_apply_config()?,
            Apply::Bind => server
                .change_listeners(&[ListenKind::Tcp, ListenKind::Tls])
                .map_err(|_| "Failed to bind to specified addresses.")?,
            Apply::Metrics if !server.config.metrics_tls => server.metrics_apply_config()?,
            Apply::Metrics | Apply::MetricsTls => {
                server.tls_apply_config()?;
                server.metrics_apply_config()?;
            }
            Apply::LogLevel => log::set_verbosity(server.config.loglevel.into()),
            Apply::KeySampling => {
                if server.config.key_sampling_rate == 0 {
                    server.key_samples = None;
                }
            }
            Apply::LogFormat => {
                let c = &server.config;
                log::set_format(c.log_format.into(), c.log_timestamp_format.into());
            }
            Apply::HideUserData => log::set_hide_user_data(server.config.hide_user_data_from_log),
            Apply::ReplBacklogSize => server.resize_replication_backlog(),
            Apply::GoodSlaves => server.refresh_good_slaves_count(),
            Apply::LocaleCollate => {
                if !server.update_locale_collate() {
                    return Err("Invalid locale name".into());
                }
            }
            Apply::Maxmemory => server.update_maxmemory(),
            Apply::MaxmemoryClients => server.apply_client_max_memory_usage(),
            Apply::Maxclients => update_maxclients(server)?,
            Apply::RequirePass => server.acl_update_default_user_password(),
            Apply::AppendOnly => server.update_append_only()?,
            Apply::AppendFsync => server.update_append_fsync(),
            Apply::ProcTitle => server.set_proc_title(None),
            Apply::AofHistory => server.aof_del_history_files(),
            Apply::OomScoreAdj => server.update_oom_score_adj()?,
            Apply::WatchdogPeriod => server.apply_watchdog_period(),
            Apply::AllocatorThread => server.update_allocator_thread(),
            Apply::CrashLog => crash::setup(&server.config),
            // A server that starts with it says that it has no effect; who asks here can be answered.
            Apply::ActiveDefrag if server.config.activedefrag => {
                return Err("Active defragmentation cannot be enabled: it requires a Redis server compiled with a \
                            modified Jemalloc like the one shipped by default with the Redis source distribution"
                    .into());
            }
            Apply::ActiveDefrag => {}
            Apply::ClusterMyself => server.cluster_update_myself(),
        }
        Ok(())
    }
}

/// The system may allow fewer clients than were asked for: that is refused.
fn update_maxclients(server: &mut Server) -> Result<(), String> {
    let wanted = server.config.maxclients;
    server.adjust_open_files_limit();
    let possible = server.config.maxclients;
    if possible == wanted {
        return Ok(());
    }
    Err(format!(
        "The operating system is not able to handle the specified number of clients, try with {possible}"
    ))
}

/// The server on behalf of a client whose CONFIG SET it runs.
pub(crate) struct SetByClient<'a> {
    /// The server.
    pub server: &'a mut Server,
    /// The client.
    pub cid: ClientId,
}

impl ConfigHost for SetByClient<'_> {
    fn config(&mut self) -> &mut Config {
        &mut self.server.config
    }

    fn apply(&mut self, apply: Apply) -> Result<(), String> {
        apply.run(self.server)
    }

    fn is_loading(&self) -> bool {
        self.server.loading.is_some()
    }

    fn is_local(&self) -> bool {
        self.server.client_is_local(self.cid)
    }

    fn redact(&mut self, index: usize) {
        // CONFIG SET and the pairs before come first, then the name.
        self.server
            .redact_client_command_argument(self.cid, 3 + 2 * index);
    }
}
