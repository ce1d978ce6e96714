//! LATENCY DOCTOR: what the monitor has seen, and what may help (createLatencyReport). The figures are in upstream's form;
//! the advice is in words of our own.

use std::collections::BTreeSet;
use std::fmt::Write;

use crate::base::sys;
use crate::config::value::AppendFsync;
use crate::server::Server;

/// What can be advised, in the order in which it is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Advice {
    FasterFork,
    EnableSlowlog,
    LowerSlowlogThreshold,
    ReadSlowlog,
    Scheduler,
    LocalDisk,
    Ssd,
    Writeback,
    DiskContention,
    NoFsyncOnRewrite,
    RelaxFsync,
    WriteLoad,
    RaiseHz,
    LargeObjects,
    MassEviction,
    HugePages,
}

use Advice::*;

/// What an event by its name gives reason to advise.
fn advice_for(event: &str) -> &'static [Advice] {
    match event {
        "command" => &[ReadSlowlog, LargeObjects],
        "fast-command" => &[Scheduler],
        "aof-write-pending-fsync" => &[LocalDisk, DiskContention, Ssd, Writeback],
        "aof-write-active-child" => &[NoFsyncOnRewrite, Writeback, Ssd],
        "aof-write-alone" => &[LocalDisk, Writeback, Ssd],
        "aof-fsync-always" => &[RelaxFsync],
        "aof-fstat" | "rdb-unlink-temp-file" => &[DiskContention, LocalDisk],
        "aof-rewrite-diff-write" | "aof-rename" => &[WriteLoad, Writeback, Ssd, LocalDisk],
        "expire-cycle" => &[RaiseHz, LargeObjects],
        "eviction-del" => &[LargeObjects],
        "eviction-cycle" => &[MassEviction],
        _ => &[],
    }
}

/// A word for a fork rate in GB a second, and whether it is fast enough.
fn fork_quality(rate: f64) -> (&'static str, bool) {
    match rate {
        r if r < 10.0 => ("terrible", false),
        r if r < 25.0 => ("poor", false),
        r if r < 100.0 => ("good", true),
        _ => ("excellent", true),
    }
}

impl Server {
    fn advice_text(&self, advice: Advice) -> Option<String> {
        let slowlog_us = self.config.latency_monitor_threshold.saturating_mul(1000);
        let text = match advice {
            FasterFork => {
                "fork() is slow on this host. In a virtual machine that depends on the hypervisor and on the kind of instance: \
                 another one may do much better."
            }
            EnableSlowlog => {
                return Some(format!(
                    "Some commands are slow, and the slow log, which would tell which, is off. Switch it on with 'CONFIG SET \
                     slowlog-log-slower-than {slowlog_us}'."
                ));
            }
            LowerSlowlogThreshold => {
                return Some(format!(
                    "The slow log begins above the threshold of the latency monitor, so it misses events that are listed \
                     here. Use 'CONFIG SET slowlog-log-slower-than {slowlog_us}'."
                ));
            }
            ReadSlowlog => "SLOWLOG GET tells which commands were slow.",
            Scheduler => {
                "Commands that do little were slow: most likely the server does not get the processor when it needs it. Lower \
                 the load of the host, give the server a host of its own, or look for a noisy neighbour; 'redis-cli \
                 --intrinsic-latency 100' measures what the host itself adds."
            }
            LocalDisk => {
                "Persist to a local disk, above all with an AOF: network storage is often slow to sync."
            }
            Ssd => "A solid state disk shortens fsync and the writing of snapshots.",
            Writeback => {
                "On ext3 and ext4, mounting with data=writeback shortens writes; the price is that the AOF's end may need a \
                 repair after a crash of the host."
            }
            DiskContention => {
                "The disk is busy: look for other programs, or other servers, that write to it."
            }
            NoFsyncOnRewrite => {
                "If losing some seconds of writes after a crash is acceptable, 'no-appendfsync-on-rewrite yes' avoids fsync \
                 while a child writes."
            }
            RelaxFsync => {
                if self.config.appendfsync != AppendFsync::Always {
                    return None;
                }
                "appendfsync is 'always', which waits for the disk at each write: 'everysec' is far faster."
            }
            WriteLoad => {
                "The last part of an AOF rewrite took long, as it does under a very high rate of writes: fewer, larger \
                 commands help."
            }
            RaiseHz => {
                if self.config.hz >= 100 {
                    return None;
                }
                "Expiring keys would be spread more evenly with 'CONFIG SET hz 100'."
            }
            LargeObjects => {
                "Deleting, expiring or evicting a very large value takes time: split such values, or see the lazyfree-* \
                 directives."
            }
            MassEviction => {
                "Much had to be evicted at once: a lowered maxmemory or a command with a huge result does that."
            }
            HugePages => {
                "The process uses transparent huge pages, which make a fork costly. Switch them off with 'echo never > \
                 /sys/kernel/mm/transparent_hugepage/enabled', also at boot, and restart the server."
            }
        };
        Some(text.to_string())
    }

    /// The report of LATENCY DOCTOR (createLatencyReport).
    pub(crate) fn create_latency_report(&self) -> String {
        let threshold = self.config.latency_monitor_threshold;
        if self.latency.events.is_empty() && threshold == 0 {
            return "Latency monitoring is off in this server. Use \"CONFIG SET latency-monitor-threshold <milliseconds>\" to \
                    switch it on.\n"
                .into();
        }
        let mut report = String::new();
        let mut advice = BTreeSet::new();
        let now = self.clock.unix_s;
        for (i, (event, series)) in self.latency.events.iter().enumerate() {
            if i == 0 {
                report.push_str("These latency spikes were observed:\n\n");
            }
            let s = series.analyze(now);
            // Writing to a string cannot fail.
            let _ = write!(
                report,
                "{}. {event}: {} latency spikes (average {}ms, mean deviation {}ms, period {:.2} sec). Worst all time event \
                 {}ms.",
                i + 1,
                s.samples,
                s.avg,
                s.mad,
                s.period as f64 / s.samples.max(1) as f64,
                series.max()
            );
            advice.extend(advice_for(event));
            if *event == "fork" {
                let rate = self.stats.fork_rate_gb_s;
                let (quality, fast) = fork_quality(rate);
                let _ = write!(report, " Fork rate is {rate:.2} GB/sec ({quality}).");
                if !fast {
                    advice.insert(FasterFork);
                }
            }
            if *event == "command" {
                let slower = self.config.slowlog_log_slower_than;
                if slower < 0 {
                    advice.insert(EnableSlowlog);
                } else if slower / 1000 > threshold {
                    advice.insert(LowerSlowlogThreshold);
                }
            }
            report.push('\n');
        }
        if sys::anon_huge_pages() > 0 {
            advice.insert(HugePages);
        }
        match (self.latency.events.is_empty(), advice.is_empty()) {
            (true, true) => report.push_str("No latency spike has been observed. All is well.\n"),
            (false, true) => report.push_str("\nThere is no easy advice for these events.\n"),
            (_, false) => {
                report.push_str("\nWhat may help:\n\n");
                for text in advice.into_iter().filter_map(|a| self.advice_text(a)) {
                    report.push_str("- ");
                    report.push_str(&text);
                    report.push('\n');
                }
            }
        }
        report
    }
}
