//! What this version does not have: asked for in a configuration, it keeps the server from starting; a command says so; and
//! what clients ask to find out what they talk to has 7.2's answer.

use crate::support::server::{Scratch, run_to_end};
use crate::support::*;

const NOT_YET: &str = "which this version does not have yet";

#[test]
fn a_server_that_cannot_do_what_it_is_told_does_not_start() {
    if stand_in().is_some() {
        return;
    }
    for (line, feature) in [("loadmodule /x.so", "modules")] {
        let dir = Scratch::new();
        let conf = dir.write("a.conf", format!("timeout 10\n{line}\n"));
        let conf = conf.to_str().expect("utf8");
        let end = run_to_end(Kind::Aedile, dir.path(), &[conf, "--port", "0"], b"");
        let text = format!("{}{}", end.stdout, end.stderr);
        assert_eq!(end.status.code(), Some(1), "{text}");
        let name = line.split(' ').next().unwrap_or_default();
        let told = format!(
            "Reading the configuration file, at line 2\n>>> '{line}'\n'{name}' asks for {feature}, {NOT_YET}\n"
        );
        assert!(text.contains(&told), "{text}");
    }
}

/// What is accepted and has no effect is named, at the start and later.
#[test]
fn a_directive_without_effect_is_named() {
    if stand_in().is_some() {
        return;
    }
    let server = Server::aedile(&["--active-defrag-cycle-min", "5"]);
    let told = |name: &str| {
        server.log_count(&format!(
            "WARNING: '{name}' is set, but what it is about is not built"
        ))
    };
    let both = || {
        (
            told("active-defrag-cycle-min"),
            told("active-defrag-cycle-max"),
        )
    };
    assert_eq!(both(), (1, 0));
    let mut c = server.connect();
    c.ok("CONFIG SET active-defrag-cycle-max 50 maxmemory 1000000000");
    assert_eq!((both(), told("maxmemory")), ((1, 1), 0));
    // Nobody asks for what is so anyway.
    c.ok("CONFIG SET active-defrag-cycle-max 25 active-defrag-cycle-min 1");
    assert_eq!(both(), (1, 1));
}

#[test]
fn the_same_by_option() {
    if stand_in().is_some() {
        return;
    }
    let dir = Scratch::new();
    let options = ["--port", "0", "--loadmodule", "/x.so"];
    let end = run_to_end(Kind::Aedile, dir.path(), &options, b"");
    assert_eq!(end.status.code(), Some(1));
    assert!(
        end.stderr.contains("'loadmodule' asks for modules"),
        "{}",
        end.stderr
    );
}

#[test]
fn what_is_taken_back_or_has_no_effect_lets_it_start() {
    let dir = Scratch::new();
    let conf = dir.write(
        "a.conf",
        "cluster-enabled yes\ncluster-enabled no\naclfile \"\"\nrename-command EVAL \"\"\n\
         rename-command CLUSTER hidden\nuser default on nopass sanitize-payload ~* &* +@all\nio-threads 2\n",
    );
    let conf = conf.to_str().expect("utf8").to_string();
    let server = Server::start_in(Kind::Aedile, dir, &[&conf, "--cluster-enabled", "no"]);
    let mut c = server.connect();
    assert_eq!(c.config_get("cluster-enabled"), "no");
    c.run("EVAL x 0")
        .assert_error_prefix("ERR unknown command 'EVAL'");
    c.run("CLUSTER INFO")
        .assert_error_prefix("ERR unknown command 'CLUSTER'");
    c.run("HIDDEN INFO")
        .assert_error("ERR This instance has cluster support disabled");
    if stand_in().is_none() {
        assert!(server.log_has("'io-threads' is set, but what it is about is not built"));
        assert!(!server.log_has("crash-memcheck-enabled"));
    }
}

#[test]
fn active_defragmentation_has_no_effect_and_is_named() {
    if stand_in().is_some() {
        return;
    }
    let server = Server::aedile(&["--activedefrag", "yes", "--crash-memcheck-enabled", "no"]);
    assert_eq!(server.connect().config_get("activedefrag"), "yes");
    assert!(server.log_has("WARNING: 'activedefrag' is set, but"));
    assert!(!server.log_has("'crash-memcheck-enabled' is set"));
}

#[test]
fn config_set_changes_nothing() {
    if stand_in().is_some() {
        return;
    }
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    for (name, value, before) in [
        ("tls-port", "6390", "0"),
        ("tls-replication", "yes", "no"),
        ("tls-cluster", "yes", "no"),
    ] {
        let set = c.cmd(&["CONFIG", "SET", "timeout", "77", name, value]);
        // There are no certificates.
        set.assert_error(&format!(
            "ERR CONFIG SET failed (possibly related to argument '{name}') - Unable to update TLS configuration. Check \
             server logs."
        ));
        assert_eq!(c.config_get(name), before);
        assert_eq!(c.config_get("timeout"), "0");
        c.config_set(name, before);
    }
    c.run("CONFIG SET activedefrag yes").assert_error_prefix(
        "ERR CONFIG SET failed (possibly related to argument 'activedefrag') - Active defragmentation cannot",
    );
    assert_eq!(c.config_get("activedefrag"), "no");
}

#[test]
fn unbuilt_commands_say_so() {
    if stand_in().is_some() {
        return;
    }
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.run("MODULE LOAD x")
        .assert_error(&format!("ERR 'module|load' needs modules, {NOT_YET}"));
    c.run("NOSUCH x")
        .assert_error_prefix("ERR unknown command 'NOSUCH'");
    // What does not work is not listed.
    let listed = c.run("COMMAND INFO module|list module|load");
    assert_eq!(listed.items()[0].items()[0], "module|list");
    assert!(listed.items()[1].is_null());
    // In a transaction nothing of it is queued.
    c.ok("MULTI");
    c.run("MODULE LOAD x")
        .assert_error(&format!("ERR 'module|load' needs modules, {NOT_YET}"));
    c.run("EXEC").assert_error_prefix("EXECABORT");
}

#[test]
fn probes_are_answered_as_by_a_server_without_the_feature() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    for line in [
        "READONLY",
        "READWRITE",
        "ASKING",
        "CLUSTER INFO",
        "CLUSTER SLOTS",
        "CLUSTER SHARDS",
    ] {
        c.run(line)
            .assert_error("ERR This instance has cluster support disabled");
    }
    assert!(c.run("MODULE LIST").items().is_empty());
    assert!(c.run("FUNCTION LIST").items().is_empty());
    assert_eq!(c.run("FUNCTION STATS").items()[3].items()[0], "LUA");
    assert!(c.run("FUNCTION DUMP").bytes().len() == 10);
    c.run("FUNCTION DELETE x")
        .assert_error("ERR Library not found");
    c.run("FUNCTION KILL")
        .assert_error("NOTBUSY No scripts in execution right now.");
    c.run("SCRIPT KILL")
        .assert_error("NOTBUSY No scripts in execution right now.");
    c.ok("FUNCTION FLUSH");
    c.ok("SCRIPT FLUSH ASYNC");
    let exists = c.run("SCRIPT EXISTS a b");
    assert_eq!(
        exists.items().iter().map(|v| v.int()).collect::<Vec<_>>(),
        [0, 0]
    );
}

#[test]
fn before_authentication_there_is_no_other_answer() {
    let server = Server::aedile(&["--requirepass", "foo"]);
    let mut c = server.connect();
    c.run("MODULE LIST")
        .assert_error("NOAUTH Authentication required.");
    for line in ["EVAL x 0", "SCRIPT LOAD x", "CLUSTER INFO", "READONLY"] {
        c.run(line).assert_error("NOAUTH Authentication required.");
    }
}

#[test]
fn families_that_are_not_built_know_their_subcommands() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    for (family, lines) in [("FUNCTION", 40), ("MODULE", 11), ("SCRIPT", 19)] {
        let help = c.run(&format!("{family} HELP"));
        let help = help.items();
        assert_eq!(
            help[0],
            format!("{family} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:").as_str()
        );
        assert_eq!(help.len(), lines, "{family}");
        assert_eq!(help[lines - 2], "HELP");
    }
    for family in ["FUNCTION", "MODULE", "SCRIPT", "CLUSTER"] {
        c.run(&format!("{family} NOSUCH")).assert_error(&format!(
            "ERR unknown subcommand 'NOSUCH'. Try {family} HELP."
        ));
        let lower = family.to_ascii_lowercase();
        c.run(family).assert_error(&format!(
            "ERR wrong number of arguments for '{lower}' command"
        ));
    }
    c.run("CLUSTER SETSLOT")
        .assert_error("ERR wrong number of arguments for 'cluster|setslot' command");
    for line in ["CLUSTER HELP", "CLUSTER SHARDS"] {
        c.run(line)
            .assert_error("ERR This instance has cluster support disabled");
    }
    c.run("SCRIPT FLUSH x")
        .assert_error("ERR SCRIPT FLUSH only support SYNC|ASYNC option");
    c.run("FUNCTION FLUSH x")
        .assert_error("ERR FUNCTION FLUSH only supports SYNC|ASYNC option");
    c.run("FUNCTION LIST LIBRARYNAME")
        .assert_error("ERR library name argument was not given");
    c.run("FUNCTION LIST x")
        .assert_error("ERR Unknown argument x");
    // In a transaction they are queued as any others.
    c.ok("MULTI");
    assert_eq!(c.run("READONLY"), "QUEUED");
    let replies = c.run("EXEC");
    replies.items()[0].assert_error("ERR This instance has cluster support disabled");
}
