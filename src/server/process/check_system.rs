//! `--check-system`: what of this system makes a server slow or unsafe, and the cure (syscheck.c).

use crate::base::sys;

/// How a check came out.
enum Outcome {
    Ok,
    Skipped,
    Warning(String),
}

fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path)
        .ok()
        .map(|t| t.trim().to_string())
}

fn clocksource() -> Outcome {
    match read("/sys/devices/system/clocksource/clocksource0/current_clocksource").as_deref() {
        None => Outcome::Skipped,
        Some("tsc" | "kvm-clock" | "arch_sys_counter" | "hyperv_clocksource_tsc_page") => {
            Outcome::Ok
        }
        Some(slow) => Outcome::Warning(format!(
            "The clock source is '{slow}': each reading of the clock is a system call, or slower. See what \
             /sys/devices/system/clocksource/clocksource0/available_clocksource has, and prefer tsc."
        )),
    }
}

fn overcommit() -> Outcome {
    match read("/proc/sys/vm/overcommit_memory").as_deref() {
        None => Outcome::Skipped,
        Some("1") => Outcome::Ok,
        Some(_) => Outcome::Warning(
            "Memory overcommit is not enabled: a background save or replication may fail when memory is low. Add \
             'vm.overcommit_memory = 1' to /etc/sysctl.conf, and run 'sysctl vm.overcommit_memory=1'."
                .into(),
        ),
    }
}

fn transparent_huge_pages() -> Outcome {
    match read("/sys/kernel/mm/transparent_hugepage/enabled") {
        None => Outcome::Skipped,
        Some(text) if !text.contains("[always]") => Outcome::Ok,
        Some(_) => Outcome::Warning(
            "Transparent huge pages are on for everybody: saves copy more memory, and forks are slow. Run 'echo madvise > \
             /sys/kernel/mm/transparent_hugepage/enabled' (disable-thp yes keeps this server alone away from them)."
                .into(),
        ),
    }
}

fn backlog() -> Outcome {
    match read("/proc/sys/net/core/somaxconn").and_then(|t| t.parse::<u32>().ok()) {
        None => Outcome::Skipped,
        Some(n) if n >= 511 => Outcome::Ok,
        Some(n) => Outcome::Warning(format!(
            "net.core.somaxconn is {n}: a burst of connections beyond that is lost (tcp-backlog is 511)."
        )),
    }
}

fn open_files() -> Outcome {
    match sys::open_files_limit() {
        Err(_) => Outcome::Skipped,
        Ok((_, hard)) if hard >= 10_032 => Outcome::Ok,
        Ok((_, hard)) => Outcome::Warning(format!(
            "At most {hard} files can be open: maxclients would be lowered to fit (LimitNOFILE, ulimit -n)."
        )),
    }
}

/// Runs all checks; returns 0, or 1 where one has found something.
pub(crate) fn syscheck() -> i32 {
    type Check = fn() -> Outcome;
    let checks: [(&str, Check); 5] = [
        ("clocksource", clocksource),
        ("overcommit", overcommit),
        ("THP", transparent_huge_pages),
        ("somaxconn", backlog),
        ("open-files", open_files),
    ];
    let mut code = 0;
    for (name, check) in checks {
        match check() {
            Outcome::Ok => println!("[{name}] ...OK"),
            Outcome::Skipped => println!("[{name}] ...skipped"),
            Outcome::Warning(text) => {
                println!("[{name}] ...WARNING:\n{text}\n");
                code = 1;
            }
        }
    }
    code
}
