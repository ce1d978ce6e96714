//! The latency monitor and the histograms of commands.

use crate::support::*;

#[test]
fn slow_commands_are_events() {
    let server = Server::aedile(&["--enable-debug-command", "yes"]);
    let mut c = server.connect();
    c.run("DEBUG SLEEP 0.06");
    assert_eq!(c.run("LATENCY LATEST").items().len(), 0);
    assert!(
        c.run("LATENCY DOCTOR")
            .text()
            .contains("latency-monitor-threshold")
    );
    c.config_set("latency-monitor-threshold", "50");
    c.run("DEBUG SLEEP 0.06");
    c.run("DEBUG SLEEP 0.01");
    let latest = c.run("LATENCY LATEST");
    let event = latest.items()[0].items();
    assert_eq!(latest.items().len(), 1);
    assert_eq!(event[0], "command");
    assert!((60..1000).contains(&event[2].int()) && event[3].int() >= event[2].int());
    let history = c.run("LATENCY HISTORY command");
    assert_eq!(history.items()[0].items(), &event[1..3]);
    assert_eq!(c.run("LATENCY HISTORY nosuch").items().len(), 0);
    let graph = c.run("LATENCY GRAPH command").text();
    assert!(graph.starts_with("command - high "), "{graph}");
    assert!(graph.contains(&"-".repeat(80)), "{graph}");
    c.run("LATENCY GRAPH nosuch")
        .assert_error("ERR No samples available for event 'nosuch'");
    let report = c.run("LATENCY DOCTOR").text();
    assert!(
        report.contains("1. command: 1 latency spikes (average "),
        "{report}"
    );
    assert_eq!(c.run("LATENCY RESET nosuch fork"), 0);
    assert_eq!(c.run("LATENCY RESET COMMAND"), 1);
    assert_eq!(c.run("LATENCY LATEST").items().len(), 0);
    // In a transaction each command is an event of its own.
    c.ok("MULTI");
    c.run("DEBUG SLEEP 0.06");
    c.run("EXEC");
    assert_eq!(c.run("LATENCY RESET"), 1);
    c.run("LATENCY help x")
        .assert_error("ERR wrong number of arguments for 'latency|help' command");
}

#[test]
fn histograms_of_commands() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("CONFIG RESETSTAT");
    for _ in 0..100 {
        c.ok("SET k v");
    }
    c.run("CLIENT ID");
    c.run("CLIENT LIST");
    let Value::Array(all) = c.run("LATENCY HISTOGRAM") else {
        panic!("an array");
    };
    let names: Vec<String> = all.iter().step_by(2).map(Value::text).collect();
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(
        sorted,
        ["client|id", "client|list", "config|resetstat", "set"]
    );
    let reply = c.run("LATENCY HISTOGRAM nosuch SET client|id");
    assert_eq!(reply.items().len(), 4);
    assert_eq!(reply.items()[0], "set");
    let set = reply.items()[1].items();
    assert_eq!(set[0], "calls");
    assert_eq!(set[1], 100);
    assert_eq!(set[2], "histogram_usec");
    // Bounds grow, counts grow, and the last one has them all.
    let steps: Vec<i64> = set[3].items().iter().map(Value::int).collect();
    for pair in steps.chunks(2).collect::<Vec<_>>().windows(2) {
        assert!(
            pair[0][0] < pair[1][0] && pair[0][1] < pair[1][1],
            "{steps:?}"
        );
    }
    assert_eq!(steps.last(), Some(&100));
    assert_eq!(c.run("LATENCY HISTOGRAM client").items().len(), 4);
    c.run("HELLO 3");
    assert!(matches!(c.run("LATENCY HISTOGRAM set"), Value::Map(_)));
}
