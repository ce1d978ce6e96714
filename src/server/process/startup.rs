//! From the command line to the running loop, in upstream's order (main, initServer of server.c). The one file of this floor
//! that knows the floors above: it puts the house together.

use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::acl::file::StartError;
use crate::ae::{self, EventLoop};
use crate::base::clock::CachedClock;
use crate::base::log::{self, Form, Level};
use crate::base::random::{Prng, RandomSource};
use crate::base::{alloc, sys};
use crate::commands::table::{FAMILIES, UNBUILT};
use crate::config::check::check_config;
use crate::config::cmdline::{Action, CALLED, CommandLine, USAGES, parse_command_line};
use crate::config::error::ConfigError;
use crate::config::load::load_server_config;
use crate::config::{Config, ineffective_directives, log_ineffective, strerror};
use crate::ds::table::KeyHasher;
use crate::metrics::state::METRICS_CONNS_MAX;
use crate::persist::check::data::look_at_data;
use crate::persist::check::{redis_check_aof_main, redis_check_rdb_main};
use crate::server::clients::client::Clients;
use crate::server::clients::listen::Listeners;
use crate::server::clients::networking::PROTO_IOBUF_LEN;
use crate::server::clients::pubsub::Pubsub;
use crate::server::execution::command::CommandTable;
use crate::server::execution::multi::Watch;
use crate::server::keyspace::tracking::Tracking;
use crate::server::master_link::MasterLink;
use crate::server::persist::{Lazyfree, Persist};
use crate::server::process::check_system::syscheck;
use crate::server::process::crash;
use crate::server::process::cron::{Cron, server_cron};
use crate::server::process::finding::{Finding, Severity};
use crate::server::process::install::install_links;
use crate::server::process::memory_test::memtest;
use crate::server::process::ping::ping;
use crate::server::process::supervise::{pid_file_path, redis_is_supervised};
use crate::server::process::temp_file;
use crate::server::repl::Repl;
use crate::server::{
    AEDILE_VERSION, CONFIG_MIN_RESERVED_FDS, DebugSettings, REDIS_VERSION, Server,
};
use crate::server_log;

/// The port of a Sentinel that is not given one (REDIS_SENTINEL_PORT).
const REDIS_SENTINEL_PORT: u16 = 26379;
/// Characters of a line of the usage.
const HELP_WIDTH: usize = 100;

/// Runs the program; returns its exit code.
pub fn main() -> i32 {
    let argv: Vec<Vec<u8>> = std::env::args_os().map(OsStringExt::into_vec).collect();
    alloc::register_main_thread();
    log::set_utc_offset(sys::utc_offset());
    let line = parse_command_line(&argv);
    match &line.action {
        Action::Serve => {}
        Action::CheckRdb => return redis_check_rdb_main(&argv),
        Action::CheckAof => return redis_check_aof_main(&argv),
        Action::Version => return version(),
        Action::Help => return usage(),
        Action::TestMemory(None) => {
            eprintln!("Please specify the amount of memory to test in megabytes.");
            eprintln!("Example: ./redis-server --test-memory 4096\n");
            return 1;
        }
        Action::TestMemory(Some(megabytes)) => return memtest(*megabytes),
        Action::CheckSystem => return syscheck(),
        Action::CheckConfig(files) => return check_configs(files),
        Action::InstallLinks(dir) => return install_links(dir.as_deref()),
        Action::Ping(target) => return ping(target.as_deref()),
    }
    let config = match init_server_config(&line) {
        Ok(c) => c,
        Err(code) => return code,
    };
    run(config, argv)
}

fn version() -> i32 {
    println!(
        "Aedile {AEDILE_VERSION}, a Redis server v={REDIS_VERSION} sha=00000000:0 malloc={} bits=64 build=aedile-{AEDILE_VERSION}",
        alloc::name()
    );
    0
}

fn usage() -> i32 {
    let mut text = format!("Aedile {AEDILE_VERSION}, a Redis server (7.2)\n\nUsage:\n");
    let own = USAGES.iter().map(|u| ("aedile-server", u));
    for (name, usage) in own.chain(CALLED.iter().map(|(name, u)| (*name, u))) {
        text.push_str(&format!("  {name} {}\n", usage.args));
        for line in wrapped(usage.what, HELP_WIDTH) {
            text.push_str(&format!("        {line}\n"));
        }
    }
    eprint!(
        "{text}\n\
        Called redis-sentinel, redis-check-rdb or redis-check-aof it is that program.\n\n\
        Examples:\n\
        \x20      aedile-server (with the defaults)\n\
        \x20      echo 'maxmemory 128mb' | aedile-server -\n\
        \x20      aedile-server /etc/redis/6379.conf\n\
        \x20      aedile-server --port 7777 --replicaof 127.0.0.1 8888\n\
        \x20      aedile-server /etc/myredis.conf --loglevel verbose -\n"
    );
    1
}

/// A text in lines of so many characters at the most, but for longer words.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.into()),
        }
    }
    lines
}

fn init_server_config(line: &CommandLine) -> Result<Config, i32> {
    let mut config = Config::default();
    if line.sentinel_mode {
        log::set_role(log::Role::Sentinel);
        // initSentinelConfig
        config.sentinel_mode = true;
        config.port = REDIS_SENTINEL_PORT;
        config.protected_mode = false;
    }
    let path = line.config_file.as_ref().map(|p| p.as_os_str().as_bytes());
    let mut stdin = std::io::stdin();
    let stdin: Option<&mut dyn std::io::Read> = match line.config_from_stdin {
        true => Some(&mut stdin),
        false => None,
    };
    match load_server_config(&mut config, path, stdin, &line.options) {
        Ok(()) => {}
        Err(e) => {
            report_config_error(&e);
            return Err(1);
        }
    }
    config.configfile.clone_from(&line.config_file);
    Ok(config)
}

/// `--check-config`: reads each file as a start would, and says what it found. Returns 0 (nothing), 1 (warnings) or 2 (it would not
/// start, or data cannot be read).
fn check_configs(files: &[Vec<u8>]) -> i32 {
    if files.is_empty() {
        eprintln!("Please name the configuration files that are to be checked.");
        return 2;
    }
    let folder = std::env::current_dir();
    let mut worst = Severity::Note;
    for file in files {
        let (config, mut found) = check_config(file, sys::total_system_memory());
        let sound = found.iter().all(|f| f.severity < Severity::Fault);
        // `dir` has been gone into, as at a start.
        if let Ok(dir) = std::env::current_dir() {
            found.extend(look_at_data(&config, dir));
        }
        println!("{}", String::from_utf8_lossy(file));
        for f in &found {
            println!("  {}: {}", f.severity.name(), f.text);
        }
        // What only a server can judge: users, renamed commands, certificates. They say themselves what is wrong.
        if sound && !config.sentinel_mode {
            log::set_verbosity(Level::Warning);
            let judged = init_server(config, &[]).is_ok_and(|mut s| s.tls_configure_at_start());
            if !judged {
                let text = "users, renamed commands or certificates are at fault: see above";
                println!("  error: {text}");
                found.push(Finding::fault(text));
            }
        }
        let count = |s: Severity| found.iter().filter(|f| f.severity == s).count();
        let (faults, warnings) = (count(Severity::Fault), count(Severity::Warning));
        println!("  {faults} errors, {warnings} warnings");
        worst = found.iter().map(|f| f.severity).fold(worst, Ord::max);
        if let Ok(folder) = &folder {
            let _ = std::env::set_current_dir(folder);
        }
    }
    worst as i32
}

fn report_config_error(e: &ConfigError) {
    if e.is_log_line() {
        log::server_log_raw(Level::Warning, Form::Line, &e.to_bytes());
    } else {
        let _ = std::io::stderr().write_all(&e.to_bytes());
    }
}

fn syslog_hook(level: Level, message: &[u8]) {
    // LOG_DEBUG, LOG_INFO, LOG_NOTICE, LOG_WARNING.
    let priority = match level {
        Level::Debug => 7,
        Level::Verbose => 6,
        Level::Notice => 5,
        _ => 4,
    };
    sys::syslog(priority, &String::from_utf8_lossy(message));
}

/// The kernel's policy: 0 guesses, 1 always grants, 2 counts.
fn linux_overcommit_memory_value() -> Option<i32> {
    let text = std::fs::read_to_string("/proc/sys/vm/overcommit_memory").ok()?;
    text.trim().parse().ok()
}

/// Whether transparent huge pages are on for everybody, asked or not.
fn thp_is_enabled() -> bool {
    std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled")
        .is_ok_and(|text| text.contains("[always]"))
}

fn linux_memory_warnings(config: &Config) {
    if linux_overcommit_memory_value().is_some_and(|v| v != 1) {
        server_log!(
            Level::Warning,
            "WARNING Memory overcommit must be enabled! Without it, a background save or replication may fail under low \
             memory condition. Being disabled, it can also cause failures without low memory condition, see \
             https://github.com/jemalloc/jemalloc/issues/1328. To fix this issue add 'vm.overcommit_memory = 1' to \
             /etc/sysctl.conf and then reboot or run the command 'sysctl vm.overcommit_memory=1' for this to take effect."
        );
    }
    if thp_is_enabled() && !(config.disable_thp && sys::disable_thp()) {
        server_log!(
            Level::Warning,
            "WARNING You have Transparent Huge Pages (THP) support enabled in your kernel. This will create latency and \
             memory usage issues with Redis. To fix this issue run the command 'echo madvise > \
             /sys/kernel/mm/transparent_hugepage/enabled' as root, and add it to your /etc/rc.local in order to retain the \
             setting after a reboot. Redis must be restarted after THP is disabled (set to 'madvise' or 'never')."
        );
    }
}

fn check_tcp_backlog_settings(config: &Config) {
    let max = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap_or_default();
    if let Ok(max) = max.trim().parse::<i32>()
        && max > 0
        && max < config.tcp_backlog
    {
        server_log!(
            Level::Warning,
            "WARNING: The TCP backlog setting of {} cannot be enforced because /proc/sys/net/core/somaxconn is set to the \
                 lower value of {}.",
            config.tcp_backlog,
            max
        );
    }
}

fn run(mut config: Config, argv: Vec<Vec<u8>>) -> i32 {
    log::set_verbosity(config.loglevel.into());
    log::set_hide_user_data(config.hide_user_data_from_log);
    log::set_format(config.log_format.into(), config.log_timestamp_format.into());
    if !config.logfile.is_empty() {
        log::set_log_file(sys::path_of(&config.logfile));
    }
    linux_memory_warnings(&config);
    let supervised = redis_is_supervised(&mut config);
    let background = config.daemonize && !supervised;
    if background && let Err(e) = sys::daemonize() {
        eprintln!("Can't become a daemon: {e}");
        return 1;
    }
    if config.syslog_enabled {
        let ident = String::from_utf8_lossy(&config.syslog_ident).into_owned();
        sys::open_syslog(&ident, config.syslog_facility as i32);
        log::set_syslog(Some(syslog_hook));
    }
    server_log!(
        Level::Notice,
        "oO0OoO0OoO0Oo Redis is starting oO0OoO0OoO0Oo"
    );
    server_log!(
        Level::Notice,
        "Redis version={}, bits=64, commit=00000000, modified=0, pid={}, just started",
        REDIS_VERSION,
        std::process::id()
    );
    server_log!(
        Level::Notice,
        "Aedile version={}, as Redis {}, allocator={}",
        AEDILE_VERSION,
        REDIS_VERSION,
        alloc::name()
    );
    if argv.len() == 1 {
        server_log!(
            Level::Warning,
            "Warning: no config file specified, using the default config. In order to specify a config file use {} \
             /path/to/redis.conf",
            String::from_utf8_lossy(&argv[0])
        );
    } else {
        server_log!(Level::Notice, "Configuration loaded");
    }
    let mut server = match init_server(config, &argv) {
        Ok(s) => s,
        Err(code) => return code,
    };
    sys::exhibit(
        sys::Exhibit::State,
        &mut server,
        Server::show_state,
        |server| serve(server, background),
    )
}

/// The life of a server that has been made. Returns the exit code.
fn serve(server: &mut Server, background: bool) -> i32 {
    if (background || server.config.pidfile.is_some())
        && let Some(path) = pid_file_path(&server.config)
        && let Err(e) = std::fs::write(&path, format!("{}\n", std::process::id()))
    {
        server_log!(Level::Warning, "Failed to write PID file: {}", strerror(&e));
    }
    server.init_proc_title();
    let logo = server.config.always_show_logo
        || (!server.config.syslog_enabled
            && server.config.logfile.is_empty()
            && std::io::IsTerminal::is_terminal(&std::io::stdout()));
    if logo {
        ascii_art(&server.config);
    } else {
        server_log!(
            Level::Notice,
            "Running mode={}, port={}.",
            server.config.mode_name(),
            shown_port(&server.config)
        );
    }
    check_tcp_backlog_settings(&server.config);
    if !server.update_locale_collate() {
        server_log!(
            Level::Warning,
            "Failed to configure LOCALE for invalid locale name."
        );
        // An environment that names a locale which is not installed is no reason to stay down.
        if !server.config.locale_collate.is_empty() {
            return 1;
        }
    }
    for name in ineffective_directives(&server.config) {
        log_ineffective(name);
    }
    if server.config.cluster_enabled && !server.cluster_init() {
        return 1;
    }
    if !server.tls_configure_at_start()
        || server.init_listeners().is_err()
        || !server.metrics_open_at_start()
    {
        return 1;
    }
    if server.config.cluster_enabled && !server.cluster_init_listeners() {
        return 1;
    }
    if server.config.sentinel_mode {
        server.sentinel_is_running();
        server.notify_systemd("STATUS=Ready to accept connections\n");
        server.notify_systemd("READY=1\n");
        return loop_for_ever(server);
    }
    server_log!(Level::Notice, "Server initialized");
    temp_file::remove_abandoned();
    server.aof_load_manifest_from_disk();
    server.load_data_from_disk();
    server.aof_open_if_needed_on_server_start();
    server.aof_del_history_files();
    if server.config.cluster_enabled {
        server.verify_cluster_config_with_data();
    }
    server.log_ready();
    server.notify_systemd(match server.config.masterhost {
        None => "STATUS=Ready to accept connections\n",
        Some(_) => {
            "STATUS=Ready to accept connections in read-only mode. Waiting for MASTER <-> REPLICA sync\n"
        }
    });
    server.notify_systemd("READY=1\n");
    loop_for_ever(server)
}

/// The last steps of the start, and all that follows it.
fn loop_for_ever(server: &mut Server) -> i32 {
    if let Err(text) = server.update_oom_score_adj() {
        server_log!(Level::Warning, "{}", text);
    }
    server.apply_watchdog_period();
    ae::main(server);
    0
}

/// The port, or else the one for TLS.
fn shown_port(config: &Config) -> u16 {
    match config.port {
        0 => config.tls_port,
        port => port,
    }
}

/// The start-up banner: name, version, mode, port and pid, for people and for tools that look for the pid.
fn ascii_art(config: &Config) {
    let mode = config.mode_name();
    let text = format!(
        "\n      ___\n     /   |  ___  ___/ (_) /__\n    / /| | / -_)/ _  / / / -_)   Aedile {AEDILE_VERSION}, as Redis {REDIS_VERSION} (00000000/0) 64 bit\n   /_/ |_| \\__/ \\_,_/_/_/\\__/    Running in {mode} mode\n                                 Port: {}\n                                 PID: {}\n\n",
        shown_port(config),
        std::process::id()
    );
    log::server_log_raw(Level::Notice, Form::Raw, text.as_bytes());
}

/// All commands, by their own names.
pub(crate) fn command_table(sentinel_mode: bool) -> CommandTable {
    let unbuilt = if sentinel_mode { &[] } else { UNBUILT };
    CommandTable::new(FAMILIES, sentinel_mode).with_unbuilt(unbuilt)
}

fn init_server(config: Config, argv: &[Vec<u8>]) -> Result<Server, i32> {
    sys::setup_signal_handlers();
    crash::setup(&config);
    let mut random = RandomSource::new();
    let seed = [
        random.next_u64(),
        random.next_u64(),
        random.next_u64(),
        random.next_u64(),
    ];
    let hasher = KeyHasher::new(seed);
    let run_id = random.run_id();
    let replid = random.run_id();
    let clock = CachedClock::new();
    let el: EventLoop<Server> = EventLoop::new(1024).map_err(|e| {
        server_log!(
            Level::Warning,
            "Failed creating the event loop. Error message: '{}'",
            strerror(&e)
        );
        1
    })?;
    let aof = crate::server::aof::Aof::default();
    // Whoever waits for the disk in WAITAOF need not wait for the next event.
    let waker = el.waker();
    aof.bio.on_done(move || waker.wake());
    let waker = el.waker();
    let mut lazyfree = Lazyfree::default();
    lazyfree.on_done(move || waker.wake());
    let mut commands = command_table(config.sentinel_mode);
    for line in &config.renamed_commands {
        if let [_, old, new] = line.args.as_slice()
            && let Err(e) = commands.rename(old, new)
        {
            report_config_error(&ConfigError::of_line(line, &e.to_string()));
            return Err(1);
        }
    }
    let dbs: Vec<_> = (0..config.databases)
        .map(|_| crate::store::db::Db::new(hasher.clone(), config.cluster_enabled))
        .collect();
    let databases = dbs.len();
    let repl = Repl::new(&run_id, replid, config.repl_backlog_size, clock.unix_s);
    let mut server = Server {
        el,
        clock,
        rng: Prng::new(random.next_u64()),
        evict: Default::default(),
        run_id: String::from_utf8_lossy(&run_id).into_owned(),
        random,
        slot_migrations: Box::default(),
        sentinel: config.sentinel_mode.then(Box::default),
        cluster: None,
        executable: std::env::current_exe().unwrap_or_default(),
        argv: argv
            .iter()
            .map(|a| String::from_utf8_lossy(a).into_owned())
            .collect(),
        proc_title: Default::default(),
        start_time: clock.unix_s,
        initial_memory: 0,
        dbs,
        pubsub: Pubsub::new(&hasher),
        watch: Watch::new(databases, &hasher),
        tracking: Tracking::new(&hasher),
        hasher,
        dirty: 0,
        clients: Clients::default(),
        client_memory: Default::default(),
        listeners: Listeners::default(),
        tls: Default::default(),
        metrics: None,
        read_buf: vec![0; PROTO_IOBUF_LEN],
        commands,
        command_replies: [None, None],
        acl: Default::default(),
        exec: Default::default(),
        scripts: Default::default(),
        stats: Default::default(),
        slowlog: Default::default(),
        latency: Default::default(),
        key_samples: None,
        migrate: Default::default(),
        repl,
        persist: Persist {
            last_save: clock.unix_s,
            lazyfree,
            ..Persist::default()
        },
        aof,
        loading: None,
        cron: Cron::new(config.hz),
        expire: Default::default(),
        pause: Default::default(),
        blocking: Default::default(),
        debug: DebugSettings::default(),
        oom_score: Default::default(),
        shutdown: None,
        config,
    };
    if let Some(host) = &server.config.masterhost {
        server.repl.master_host = Some(String::from_utf8_lossy(host).into_owned());
        server.repl.master_port = server.config.masterport;
        server.repl.link = MasterLink::Connect;
        log::set_role(log::Role::Replica);
    } else if !server.config.sentinel_mode {
        log::set_role(log::Role::Master);
    }
    if server.config.appendonly && !server.config.sentinel_mode {
        server.aof.state = crate::server::aof::AofState::On;
    } else {
        server.aof.fsynced_reploff = -1;
    }
    if server.config.sentinel_mode {
        if let Err((line, reason)) = server.sentinel_load_config() {
            report_config_error(&ConfigError::of_line(&line, &reason));
            return Err(1);
        }
        if !server.sentinel_check_config_file() {
            return Err(1);
        }
    }
    match server.acl_load_users_at_startup() {
        Ok(()) => {}
        Err(StartError::Logged) => return Err(1),
        Err(StartError::Line(line, reason)) => {
            report_config_error(&ConfigError::of_line(&line, &reason));
            return Err(1);
        }
    }
    server.aof.last_fsync = server.clock.unix_s;
    server.adjust_open_files_limit();
    // The linker leaves our code together, the commands' last: what comes behind them, for scripts and TLS, waits until it is used.
    sys::populate_program(server.commands.last_procedure());
    server.el.create_time_event(1, server_cron);
    server.initial_memory = alloc::used_memory();
    Ok(server)
}

impl Server {
    /// Makes the process able to hold `maxclients` connections, or lowers maxclients to what it can hold.
    pub(crate) fn adjust_open_files_limit(&mut self) {
        let metrics = self.config.metrics_port != 0 || self.config.metrics_unixsocket.is_some();
        let reserved = CONFIG_MIN_RESERVED_FDS + if metrics { METRICS_CONNS_MAX } else { 0 };
        let want = u64::from(self.config.maxclients) + reserved;
        let Ok((soft, hard)) = sys::open_files_limit() else {
            server_log!(
                Level::Warning,
                "Unable to obtain the current NOFILE limit, assuming 1024 and setting the max clients configuration accordingly."
            );
            self.config.maxclients = self.config.maxclients.min(1024 - reserved as u32);
            return;
        };
        if soft >= want {
            return;
        }
        // Root may raise the hard limit too; others get what there is, in steps of 16.
        let mut best = want;
        while best > soft {
            if sys::set_open_files_limit(best, hard.max(best)).is_ok() {
                break;
            }
            best = best.saturating_sub(16);
        }
        let best = best.max(soft);
        if best >= want {
            server_log!(
                Level::Notice,
                "Increased maximum number of open files to {} (it was originally set to {}).",
                want,
                soft
            );
            return;
        }
        let old = self.config.maxclients;
        self.config.maxclients = best.saturating_sub(reserved).max(1) as u32;
        server_log!(
            Level::Warning,
            "You requested maxclients of {} requiring at least {} max file descriptors.",
            old,
            want
        );
        server_log!(
            Level::Warning,
            "Server can't set maximum open files to {} because of OS error.",
            want
        );
        server_log!(
            Level::Warning,
            "Current maximum open files is {}. maxclients has been reduced to {} to compensate for low ulimit. If you need \
             higher maxclients increase 'ulimit -n'.",
            best,
            self.config.maxclients
        );
    }

    /// Compares strings as locale-collate has it from now on. False when there is no such locale: nothing changes then.
    pub(crate) fn update_locale_collate(&self) -> bool {
        let name = std::ffi::CString::new(self.config.locale_collate.clone());
        name.is_ok_and(|name| sys::set_collate_locale(&name))
    }

    /// What the log says every five seconds at level verbose.
    pub(crate) fn log_summary(&self) {
        if !log::enabled(Level::Verbose) {
            return;
        }
        for (i, db) in self.dbs.iter().enumerate() {
            let (keys, volatile) = (db.keys.len(), db.keys.expires_len());
            if keys > 0 {
                server_log!(
                    Level::Verbose,
                    "DB {}: {} keys ({} volatile) in {} slots HT.",
                    i,
                    keys,
                    volatile,
                    db.keys.table().capacity()
                );
            }
        }
        let replicas = self.clients.slaves.len();
        server_log!(
            Level::Debug,
            "{} clients connected ({} replicas), {} bytes in use",
            self.connected_clients() - replicas.min(self.connected_clients()),
            replicas,
            alloc::used_memory()
        );
    }
}
