//! SHUTDOWN with replicas: it waits for them, can be aborted, and says who lags.

use crate::support::*;

/// A master with a replica that stands still and lacks a write.
fn lagging(args: &[&str]) -> (Server, Server) {
    let master = Server::aedile(args);
    let replica = Server::aedile(&[]);
    replica.replicate(master.port);
    replica.wait_link_up();
    let mut c = master.connect();
    c.ok("SET k 1");
    assert_eq!(c.run("WAIT 1 0"), 1);
    replica.sigstop();
    c.ok("SET k 2");
    (master, replica)
}

#[track_caller]
fn wait_info(c: &mut Conn, field: &str, wanted: &str) {
    wait_until(field, || c.info(field) == wanted);
}

#[test]
fn waits_for_a_replica() {
    for by_signal in [false, true] {
        let (mut master, replica) = lagging(&["--shutdown-timeout", "600"]);
        let mut c = master.connect();
        let mut caller = master.connect();
        if by_signal {
            master.signal(libc::SIGTERM);
        } else {
            caller.send(&["SHUTDOWN"]);
        }
        wait_until("a shutdown", || {
            !c.info("shutdown_in_milliseconds").is_empty()
        });
        // Reads go on, writes wait: what is to be acknowledged stands still.
        assert_eq!(c.run("GET k"), "2");
        let mut writer = master.connect();
        writer.send(&["SET", "k", "3"]);
        let blocked = if by_signal { "1" } else { "2" };
        wait_info(&mut c, "blocked_clients", blocked);
        replica.sigcont();
        assert!(master.wait_exit().success());
        assert_eq!(replica.connect().run("GET k"), "2");
        assert!(master.log_has("Waiting for replicas before shutting down."));
        assert!(master.log_has("1 of 1 replicas are in sync when shutting down."));
        assert!(!master.log_has("Lagging replica"));
    }
}

#[test]
fn aborted() {
    let (master, replica) = lagging(&["--shutdown-timeout", "600"]);
    let mut c = master.connect();
    let mut callers = [master.connect(), master.connect()];
    for caller in &mut callers {
        caller.send(&["SHUTDOWN", "NOSAVE"]);
    }
    wait_info(&mut c, "blocked_clients", "2");
    // CLIENT UNBLOCK is not for these.
    let id = callers[0].local_addr();
    let list = c.run("CLIENT LIST").text();
    let line = list.lines().find(|l| l.contains(&id)).expect("its line");
    let id = line.split(['=', ' ']).nth(1).expect("an id").to_string();
    assert_eq!(c.cmd(&["CLIENT", "UNBLOCK", &id]), 0);
    let mut writer = master.connect();
    writer.send(&["SET", "k", "3"]);
    wait_info(&mut c, "blocked_clients", "3");
    c.ok("SHUTDOWN ABORT");
    for caller in &mut callers {
        caller
            .read()
            .assert_error("ERR Errors trying to SHUTDOWN. Check logs.");
    }
    writer.read().assert_ok();
    c.run("SHUTDOWN ABORT")
        .assert_error("ERR No shutdown in progress.");
    assert!(master.log_has("Shutdown manually aborted."));
    // A pause of the user's own outlives it.
    c.ok("CLIENT PAUSE 100000 WRITE");
    callers[0].send(&["SHUTDOWN", "NOSAVE"]);
    wait_info(&mut c, "blocked_clients", "1");
    c.ok("SHUTDOWN ABORT");
    writer.send(&["SET", "k", "4"]);
    wait_info(&mut c, "blocked_clients", "1");
    c.ok("CLIENT UNPAUSE");
    writer.read().assert_ok();
    replica.sigcont();
    assert_synced(&master, &replica);
}

#[test]
fn does_not_wait_for_ever_or_not_at_all() {
    let (mut master, replica) = lagging(&["--shutdown-timeout", "1"]);
    master.signal(libc::SIGTERM);
    assert!(master.wait_exit().success());
    let name = format!(
        "Lagging replica 127.0.0.1:{} reported offset ",
        replica.port
    );
    assert!(master.log_has(&name));
    assert!(master.log_has(", state=online."));
    assert!(master.log_has("0 of 1 replicas are in sync when shutting down."));
    for (timeout, words) in [("600", vec!["SHUTDOWN", "NOW"]), ("0", vec!["SHUTDOWN"])] {
        let (mut master, _replica) = lagging(&["--shutdown-timeout", timeout]);
        let mut c = master.connect();
        c.send(&words);
        assert!(master.wait_exit().success());
        assert!(master.log_has("0 of 1 replicas are in sync when shutting down."));
    }
}
