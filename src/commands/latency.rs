//! LATENCY and its subcommands (latencyCommand of latency.c). The events are the server's ([`crate::server::measures::latency`]), the
//! histograms those of the commands' counters.

mod doctor;
mod sparkline;

use crate::server::Server;
use crate::server::clients::flags::ClientId;
use crate::server::execution::args::Args;
use crate::server::execution::command::CommandId;
use crate::server::execution::exec::shown_part;

/// Columns of a graph (LATENCY_GRAPH_COLS), and its rows.
const LATENCY_GRAPH_COLS: usize = 80;
const LATENCY_GRAPH_ROWS: usize = 4;

const HELP: &[&str] = &[
    "DOCTOR",
    "    Return a human readable latency analysis report.",
    "GRAPH <event>",
    "    Return an ASCII latency graph for the <event> class.",
    "HISTORY <event>",
    "    Return time-latency samples for the <event> class.",
    "LATEST",
    "    Return the latest latency samples for all events.",
    "RESET [<event> ...]",
    "    Reset latency data of one or more <event> classes.",
    "    (default: reset all data for all event classes)",
    "HISTOGRAM [COMMAND ...]",
    "    Return a cumulative distribution of latencies in the format of a histogram for the specified command names.",
    "    If no commands are specified then all histograms are replied.",
];

/// LATENCY HELP
pub(crate) fn latency_help_command(server: &mut Server, cid: ClientId, args: &Args) {
    server.add_reply_help(cid, args, HELP);
}

/// LATENCY DOCTOR
pub(crate) fn latency_doctor_command(server: &mut Server, cid: ClientId, _: &Args) {
    let report = server.create_latency_report();
    server.add_reply_verbatim(cid, report.as_bytes(), *b"txt");
}

/// `LATENCY RESET [event ...]`
pub(crate) fn latency_reset_command(server: &mut Server, cid: ClientId, args: &Args) {
    let resets = match args.len() {
        2 => server.latency.reset(None),
        n => (2..n).map(|i| server.latency.reset(Some(&args[i]))).sum(),
    };
    server.add_reply_long_long(cid, resets as i64);
}

/// LATENCY HISTORY event
pub(crate) fn latency_history_command(server: &mut Server, cid: ClientId, args: &Args) {
    let Server {
        latency, clients, ..
    } = server;
    let series = std::str::from_utf8(&args[2])
        .ok()
        .and_then(|name| latency.events.get(name));
    let Some(series) = series else {
        return clients.add_reply_array_len(cid, 0);
    };
    clients.add_reply_array_len(cid, series.samples().len());
    for s in series.samples() {
        clients.add_reply_array_len(cid, 2);
        clients.add_reply_long_long(cid, s.time);
        clients.add_reply_long_long(cid, s.latency_ms as i64);
    }
}

/// LATENCY LATEST
pub(crate) fn latency_latest_command(server: &mut Server, cid: ClientId, _: &Args) {
    let Server {
        latency, clients, ..
    } = server;
    clients.add_reply_array_len(cid, latency.events.len());
    for (event, series) in &latency.events {
        let last = series.last();
        clients.add_reply_array_len(cid, 4);
        clients.add_reply_bulk(cid, event.as_bytes());
        clients.add_reply_long_long(cid, last.time);
        clients.add_reply_long_long(cid, last.latency_ms as i64);
        clients.add_reply_long_long(cid, series.max() as i64);
    }
}

/// How long ago something was, in the largest unit that it fills.
fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

/// LATENCY GRAPH event
pub(crate) fn latency_graph_command(server: &mut Server, cid: ClientId, args: &Args) {
    let found = std::str::from_utf8(&args[2])
        .ok()
        .and_then(|name| server.latency.events.get_key_value(name));
    let Some((event, series)) = found else {
        let text = [
            b"No samples available for event '",
            shown_part(&args[2]),
            b"'",
        ]
        .concat();
        return server.add_reply_error_bytes(cid, &text);
    };
    let now = server.clock.unix_s;
    let points: Vec<(u64, String)> = series
        .samples()
        .map(|s| (s.latency_ms, age(now - s.time)))
        .collect();
    let high = points.iter().map(|p| p.0).max().unwrap_or(0);
    let low = points.iter().map(|p| p.0).min().unwrap_or(0);
    let mut text = format!(
        "{event} - high {high} ms, low {low} ms (all time high {} ms)\n",
        series.max()
    );
    text.push_str(&"-".repeat(LATENCY_GRAPH_COLS));
    text.push('\n');
    sparkline::render(&mut text, &points, LATENCY_GRAPH_COLS, LATENCY_GRAPH_ROWS);
    server.add_reply_verbatim(cid, text.as_bytes(), *b"txt");
}

/// `LATENCY HISTOGRAM [command ...]`: a container stands for its subcommands; a name that is none is left out.
pub(crate) fn latency_histogram_command(server: &mut Server, cid: ClientId, args: &Args) {
    let table = &server.commands;
    let mut wanted: Vec<CommandId> = Vec::new();
    if args.len() == 2 {
        wanted.extend(table.ids());
    }
    for i in 2..args.len() {
        if let Some(id) = table.lookup_command_by_full_name(&args[i]) {
            wanted.push(id);
            wanted.extend(table.subcommands(id));
        }
    }
    wanted.retain(|id| table.stats(*id).latency.is_some());
    let clients = &mut server.clients;
    clients.add_reply_map_len(cid, wanted.len());
    for id in wanted {
        let Some(h) = server.commands.stats(id).latency.as_deref() else {
            continue;
        };
        clients.add_reply_bulk(cid, server.commands.full_name(id).as_bytes());
        let steps = h.cumulative_by_doubling();
        clients.add_reply_map_len(cid, 2);
        clients.add_reply_bulk(cid, b"calls");
        clients.add_reply_long_long(cid, h.total() as i64);
        clients.add_reply_bulk(cid, b"histogram_usec");
        clients.add_reply_map_len(cid, steps.len());
        for (us, count) in steps {
            clients.add_reply_long_long(cid, us as i64);
            clients.add_reply_long_long(cid, count as i64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::age;

    #[test]
    fn ages_are_told_in_their_unit() {
        let want = ["0s", "59s", "1m", "59m", "1h", "23h", "1d", "40d"];
        let seconds = [0, 59, 60, 3599, 3600, 86399, 86400, 40 * 86400];
        assert_eq!(seconds.map(age), want);
    }
}
