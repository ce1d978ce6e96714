//! Users: who may be whom, what each may do, and where it is looked at.

use std::time::Duration;

use crate::support::*;

/// A server with a user `u` that anybody may be and that has these rules.
fn with_user(rules: &str) -> (Server, Conn, Conn) {
    let server = Server::aedile(&[]);
    let mut admin = server.connect();
    admin.ok(&format!("ACL SETUSER u on nopass {rules}"));
    let mut u = server.connect();
    u.ok("AUTH u x");
    (server, admin, u)
}

const NO_KEY: &str = "NOPERM No permissions to access a key";
const NO_CHANNEL: &str = "NOPERM No permissions to access a channel";

fn no_command(name: &str) -> String {
    format!("NOPERM User u has no permissions to run the '{name}' command")
}

fn rules_of(admin: &mut Conn, name: &str) -> String {
    let prefix = format!("user {name} ");
    let list = admin.run("ACL LIST");
    let lines: Vec<String> = list.items().iter().map(Value::text).collect();
    let line = lines.iter().find(|l| l.starts_with(&prefix));
    line.map_or_else(String::new, |l| l[prefix.len()..].to_string())
}

/// The entries of ACL LOG, newest first: reason, context, object, user and count.
fn log(admin: &mut Conn) -> Vec<(String, String, String, String, i64)> {
    let entry = |e: &Value| {
        let f = e.pairs();
        let of = |name: &str| f.get(name).cloned().unwrap_or_default();
        let count = of("count").parse().unwrap_or(-1);
        (
            of("reason"),
            of("context"),
            of("object"),
            of("username"),
            count,
        )
    };
    admin.run("ACL LOG 100").items().iter().map(entry).collect()
}

#[test]
fn everybody_may_do_everything_by_default() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    assert_eq!(c.run("ACL WHOAMI"), "default");
    assert_eq!(
        c.run("ACL LIST").items()[0],
        "user default on nopass sanitize-payload ~* &* +@all"
    );
    let user = c.run("ACL GETUSER default");
    let shown: Vec<String> = user.items().iter().map(|v| format!("{v:?}")).collect();
    assert_eq!(shown.len(), 12, "{shown:?}");
    assert_eq!(user.items()[5], "+@all");
    assert_eq!(user.items()[7], "~*");
    assert_eq!(user.items()[9], "&*");
    assert!(user.items()[11].items().is_empty());
    assert!(c.run("ACL GETUSER nobody").is_null());
    assert_eq!(c.run("ACL GENPASS").text().len(), 64);
    assert_eq!(c.run("ACL GENPASS 5").text().len(), 2);
    for bits in ["0", "4097", "-1"] {
        c.run(&format!("ACL GENPASS {bits}"))
            .assert_error_prefix("ERR ACL GENPASS argument must be the number of bits");
    }
    assert!(c.run("ACL LOG").items().is_empty());
    assert!(c.run("CLIENT LIST").text().contains(" user=default "));
}

#[test]
fn categories_are_those_of_the_table() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    let names = c.run("ACL CAT");
    assert_eq!(names.items().len(), 21);
    for category in names.items().iter().map(Value::text) {
        let listed = c.run(&format!("ACL CAT {category}"));
        assert!(!listed.items().is_empty(), "{category}");
        for name in listed.items().iter().map(Value::text) {
            let info = c.run(&format!("COMMAND INFO {name}"));
            let categories = &info.items()[0].items()[6];
            let has = categories
                .items()
                .iter()
                .any(|v| v.text() == format!("@{category}"));
            assert!(has, "{name} {category}");
        }
    }
    c.run("ACL CAT nosuch")
        .assert_error("ERR Unknown category 'nosuch'");
    c.run("ACL CAT a b").assert_error(
        "ERR unknown subcommand or wrong number of arguments for 'CAT'. Try ACL HELP.",
    );
}

#[test]
fn passwords_and_who_may_be_whom() {
    let server = Server::aedile(&[]);
    let (mut admin, mut c) = (server.connect(), server.connect());
    const WRONG: &str = "WRONGPASS invalid username-password pair or user is disabled.";
    c.run("AUTH nobody x").assert_error(WRONG);
    c.run("AUTH x")
        .assert_error_prefix("ERR AUTH <password> called without any password");
    admin.ok("ACL SETUSER u >foo +@all ~*");
    c.run("AUTH u foo").assert_error(WRONG);
    admin.ok("ACL SETUSER u on");
    for password in ["", "fo", "fooo", "bar"] {
        c.cmd(&["AUTH", "u", password]).assert_error(WRONG);
    }
    assert_eq!(c.run("ACL WHOAMI"), "default");
    c.ok("AUTH u foo");
    assert_eq!(c.run("ACL WHOAMI"), "u");
    // The hash of "bar" opens as bar does.
    admin
        .ok("ACL SETUSER u #fcde2b2edba56bf408601fb721fe9b5c338d10ee429ea04fae5511b68fbf8fb9 <foo");
    c.run("AUTH u foo").assert_error(WRONG);
    c.ok("AUTH u bar");
    let hello = c.run("HELLO 3 AUTH u bar SETNAME me");
    assert!(matches!(hello, Value::Map(_)));
    c.run("HELLO 2 AUTH u foo").assert_error(WRONG);
    c.ok("ACL SETUSER u nopass");
    c.ok("AUTH u whatever");
    assert_eq!(c.run("RESET"), "RESET");
    assert_eq!(c.run("ACL WHOAMI"), "default");
    assert_eq!(c.info("acl_access_denied_auth"), "8");
    // Who is in stays in when the user is switched off.
    c.ok("AUTH u whatever");
    admin.ok("ACL SETUSER u off");
    c.ok("SET k v");
    server.connect().run("AUTH u whatever").assert_error(WRONG);
}

#[test]
fn the_default_user_decides_whether_one_must_authenticate() {
    let server = Server::aedile(&["--requirepass", "foo"]);
    let mut c = server.connect();
    const NOAUTH: &str = "NOAUTH Authentication required.";
    c.run("PING").assert_error(NOAUTH);
    let mut admin = server.connect();
    admin.ok("AUTH foo");
    assert!(rules_of(&mut admin, "default").starts_with("on sanitize-payload #2c26"));
    // An open default user lets those in who are waiting, a closed one does not keep them.
    admin.ok("ACL SETUSER default nopass");
    assert_eq!(c.run("PING"), "PONG");
    admin.ok("ACL SETUSER default >bar");
    c.run("PING").assert_error(NOAUTH);
    c.ok("AUTH bar");
    admin.ok("ACL SETUSER default nopass off");
    server.connect().run("PING").assert_error(NOAUTH);
    assert_eq!(c.run("PING"), "PONG");
    admin.ok("ACL SETUSER default on");
    assert_eq!(server.connect().run("PING"), "PONG");
    // requirepass is the one password, whatever there was.
    admin.ok("CONFIG SET requirepass baz");
    server.connect().ok("AUTH baz");
    server
        .connect()
        .run("AUTH bar")
        .assert_error_prefix("WRONGPASS");
    admin.cmd(&["CONFIG", "SET", "requirepass", ""]).assert_ok();
    assert_eq!(server.connect().run("PING"), "PONG");
    // Rights of the default user hold for everybody who is it; AUTH and HELLO are for everyone.
    admin.ok("ACL SETUSER boss on nopass +@all");
    admin.ok("AUTH boss x");
    admin.ok("ACL SETUSER default -@all");
    c.run("GET k")
        .assert_error("NOPERM User default has no permissions to run the 'get' command");
    assert!(matches!(c.run("HELLO 2 AUTH boss x"), Value::Array(_)));
}

#[test]
fn commands_subcommands_and_first_arguments() {
    let (_server, mut admin, mut u) =
        with_user("~* +@all -@dangerous +config|get -select +select|1");
    u.ok("SET k v");
    u.run("KEYS *").assert_error(&no_command("keys"));
    assert_eq!(u.run("CONFIG GET port").items().len(), 2);
    u.run("CONFIG SET port 1")
        .assert_error(&no_command("config|set"));
    u.ok("SELECT 1");
    u.run("SELECT 0").assert_error(&no_command("select"));
    assert_eq!(
        rules_of(&mut admin, "u"),
        "on nopass sanitize-payload ~* resetchannels +@all -@dangerous +config|get -select +select|1"
    );
    admin.ok("ACL SETUSER u nocommands +@read");
    u.run("SET k v").assert_error(&no_command("set"));
    assert!(u.run("GET k").is_null());
    // What is no command at all is told as to anybody.
    u.run("NOSUCH").assert_error_prefix("ERR unknown command");
    assert_eq!(admin.info("acl_access_denied_cmd"), "4");
    assert_eq!(
        log(&mut admin)[0],
        (
            "command".into(),
            "toplevel".into(),
            "set".into(),
            "u".into(),
            1
        )
    );
}

#[test]
fn a_renamed_command_keeps_its_rights() {
    let server = Server::aedile(&["--rename-command", "GET", "FETCH"]);
    let mut admin = server.connect();
    admin.ok("ACL SETUSER u on nopass ~* +get");
    admin
        .run("ACL SETUSER u +fetch")
        .assert_error_prefix("ERR Error in ACL SETUSER modifier '+fetch'");
    let mut u = server.connect();
    u.ok("AUTH u x");
    assert!(u.run("FETCH k").is_null());
    assert_eq!(admin.run("ACL DRYRUN u FETCH k"), "OK");
    admin
        .run("ACL DRYRUN u GET k")
        .assert_error("ERR Command 'GET' not found");
}

#[test]
fn keys_to_read_and_to_write() {
    let (_server, mut admin, mut u) = with_user("+@all %R~r* %W~w* ~b* %R~lit");
    u.ok("SET b1 v");
    assert_eq!(u.run("COPY b1 wcopy"), Value::Int(1));
    u.run("COPY b1 rcopy").assert_error(NO_KEY);
    u.run("GET w1").assert_error(NO_KEY);
    u.run("SET r1 v").assert_error(NO_KEY);
    u.run("SET w1 v GET").assert_error(NO_KEY);
    u.ok("SET w1 v");
    assert!(u.run("GET lit").is_null());
    u.run("GET lite").assert_error(NO_KEY);
    u.run("MGET r1 x r2").assert_error(NO_KEY);
    u.run("GET r1 r2").assert_error_prefix("ERR wrong number");
    assert_eq!(
        log(&mut admin)[0],
        ("key".into(), "toplevel".into(), "x".into(), "u".into(), 1)
    );
    // Metadata may be had with any right.
    assert_eq!(u.run("EXISTS w1"), Value::Int(1));
    u.run("EXISTS x").assert_error(NO_KEY);
    admin.ok("ACL SETUSER u allkeys");
    assert!(u.run("GET x").is_null());
    admin.run("ACL SETUSER u ~y").assert_error(
        "ERR Error in ACL SETUSER modifier '~y': Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid \
         and does not have any effect. Try 'resetkeys' to start with an empty list of patterns",
    );
}

/// Wherever a command finds its keys by its own rules, what it will use is what is looked at.
#[test]
fn keys_that_are_found_by_parsing() {
    let (_server, mut admin, mut u) = with_user("+@all ~ok*");
    admin.ok("ACL SETUSER u ~streams ~c ~STREAMS ~limit ~store");
    for line in [
        "GEORADIUS ok 0 0 1 m STORE ok1 STORE secret",
        "GEORADIUS ok 0 0 1 m STOREDIST ok1 STORE secret",
        "GEORADIUSBYMEMBER ok m 1 m STORE secret STORE ok1",
        "SORT ok STORE ok1 STORE secret",
        "SORT ok STORE limit STORE secret",
        "XREADGROUP COUNT 1 GROUP streams c STREAMS secret >",
        "XREADGROUP GROUP g c STREAMS ok1 secret > >",
        "XREAD STREAMS ok1 secret 0 0",
        "MIGRATE 127.0.0.1 1 secret 0 10",
        "ZUNIONSTORE ok1 2 ok2 secret",
        "ZUNIONSTORE secret 1 ok1",
        "EVAL x 2 ok1 secret",
        "FCALL f 1 secret",
        "LMPOP 2 ok1 secret LEFT",
        "BLMPOP 0 2 ok1 secret LEFT",
        "BITOP AND ok1 secret ok2",
        "MEMORY USAGE secret",
        "OBJECT ENCODING secret",
        "XINFO STREAM secret",
        "WATCH ok1 secret",
        "SINTERCARD 2 ok1 secret",
        "COPY ok1 secret DB 1",
        "BITFIELD secret GET u8 0",
        "PFCOUNT ok1 secret",
        "RESTORE secret 0 x",
        "MSET ok1 a secret b",
        "BLMOVE ok1 secret LEFT LEFT 0",
        "ZDIFF 2 ok1 secret",
    ] {
        u.run(line).assert_error(NO_KEY);
    }
    u.cmd(&[
        "MIGRATE",
        "127.0.0.1",
        "1",
        "",
        "0",
        "10",
        "KEYS",
        "ok1",
        "secret",
    ])
    .assert_error(NO_KEY);
    // The data would have to be known.
    admin.run("RPUSH ok a");
    u.run("SORT ok BY w_*")
        .assert_error("ERR BY option of SORT denied due to insufficient ACL permissions.");
    u.run("SORT ok GET w_*")
        .assert_error("ERR GET option of SORT denied due to insufficient ACL permissions.");
    u.run("SORT_RO ok BY w_* ALPHA")
        .assert_error_prefix("ERR BY option of SORT denied");
    assert_eq!(u.run("SORT ok BY nosort").items().len(), 1);
    admin.ok("ACL SETUSER u %R~*");
    assert_eq!(u.run("SORT ok BY w_* GET w_*").items().len(), 1);
}

#[test]
fn selectors_do_not_add_up() {
    let (_server, mut admin, mut u) = with_user("-@all (+get ~a*) (+set ~b*)");
    assert!(u.run("GET a1").is_null());
    u.ok("SET b1 v");
    u.run("GET b1").assert_error(NO_KEY);
    u.run("SET a1 v").assert_error(NO_KEY);
    u.run("DEL a1").assert_error(&no_command("del"));
    let user = admin.run("ACL GETUSER u");
    let selectors = &user.items()[11];
    assert_eq!(selectors.items().len(), 2);
    assert_eq!(selectors.items()[1].items()[1], "-@all +set");
    assert_eq!(selectors.items()[1].items()[3], "~b*");
    admin.ok("ACL SETUSER u clearselectors");
    u.run("GET a1").assert_error(&no_command("get"));
}

/// An answer never depends on how requests were cut.
#[test]
fn rights_change_within_a_pipeline() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("ACL SETUSER u on nopass +get +reset ~a");
    let words = |lines: &[&str]| -> Vec<Vec<String>> {
        lines
            .iter()
            .map(|l| l.split(' ').map(Into::into).collect())
            .collect()
    };
    let said = c.pipeline(&words(&[
        "AUTH u x", "GET b", "GET a", "RESET", "GET b", "AUTH u x", "SET a 1",
    ]));
    said[0].assert_ok();
    said[1].assert_error(NO_KEY);
    assert!(said[2].is_null() && said[4].is_null());
    said[6].assert_error(&no_command("set"));
    let mut c = server.connect();
    let said = c.pipeline(&words(&[
        "ACL SETUSER default -set",
        "SET k v",
        "ACL SETUSER default +set",
        "SET k v",
        "MULTI",
        "ACL SETUSER default -get",
        "GET k",
        "EXEC",
        "GET k",
    ]));
    said[1].assert_error("NOPERM User default has no permissions to run the 'set' command");
    said[3].assert_ok();
    said[7].items()[1].assert_error_prefix("NOPERM ACLs rules changed between the moment");
    said[8].assert_error("NOPERM User default has no permissions to run the 'get' command");
}

#[test]
fn transactions_are_looked_at_twice() {
    let (_server, mut admin, mut u) = with_user("+@all ~a");
    u.ok("MULTI");
    u.run("SET b 1").assert_error(NO_KEY);
    u.run("EXEC").assert_error_prefix("EXECABORT");
    assert_eq!(log(&mut admin)[0].1, "multi");
    u.ok("MULTI");
    assert_eq!(u.run("SET a 1"), "QUEUED");
    assert_eq!(u.run("GET a"), "QUEUED");
    assert_eq!(u.run("PUBLISH c m").text(), NO_CHANNEL.to_string());
    u.ok("DISCARD");
    u.ok("MULTI");
    assert_eq!(u.run("SET a 1"), "QUEUED");
    assert_eq!(u.run("GET a"), "QUEUED");
    admin.ok("ACL SETUSER u -get");
    let replies = u.run("EXEC");
    replies.items()[0].assert_ok();
    replies.items()[1].assert_error(
        "NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command is no \
         longer allowed for the following reason: no permission to execute the command or subcommand",
    );
    assert_eq!(
        log(&mut admin)[0],
        (
            "command".into(),
            "multi".into(),
            "get".into(),
            "u".into(),
            1
        )
    );
    let entry = admin.run("ACL LOG 1").items()[0].pairs();
    assert!(entry["client-info"].contains(" cmd=exec "), "{entry:?}");
}

#[test]
fn scripts_run_as_their_caller() {
    let (_server, mut admin, mut u) = with_user("+@all -get ~a");
    u.cmd(&["EVAL", "return redis.call('get', 'a')", "0"])
        .assert_error_prefix(
            "ERR ACL failure in script: User u has no permissions to run the 'get' command",
        );
    u.cmd(&["EVAL", "return redis.call('set', 'b', 1)", "0"])
        .assert_error_prefix("ERR ACL failure in script: No permissions to access a key");
    u.cmd(&["EVAL", "return redis.call('set', 'a', 1)", "0"])
        .assert_ok();
    assert_eq!(
        log(&mut admin)[0],
        ("key".into(), "lua".into(), "b".into(), "u".into(), 1)
    );
    let check = "return {redis.acl_check_cmd('set', 'a', 1), redis.acl_check_cmd('set', 'b', 1), redis.acl_check_cmd('get', 'a')}";
    let said = u.cmd(&["EVAL", check, "0"]);
    assert_eq!(said.items()[0], Value::Int(1));
    assert!(said.items()[1].is_null() && said.items()[2].is_null());
    let said = admin.cmd(&["EVAL", check, "0"]);
    assert!(said.items().iter().all(|v| *v == Value::Int(1)));
    admin.cmd(&[
        "FUNCTION",
        "LOAD",
        "#!lua name=l\nredis.register_function('f', function(k) return redis.call('get', 'a') end)",
    ]);
    u.run("FCALL f 0")
        .assert_error_prefix("ERR ACL failure in script: User u");
    assert_eq!(admin.run("FCALL f 0"), "1");
}

#[test]
fn channels_and_those_who_listen() {
    let (server, mut admin, mut u) = with_user("+@all ~* &news.* &exact");
    assert_eq!(u.run("PUBLISH news.1 m"), Value::Int(0));
    u.run("PUBLISH other m").assert_error(NO_CHANNEL);
    u.run("SPUBLISH other m").assert_error(NO_CHANNEL);
    u.run("SUBSCRIBE news.1 other").assert_error(NO_CHANNEL);
    u.run("SSUBSCRIBE other").assert_error(NO_CHANNEL);
    // A pattern must be one of the user's as it stands.
    u.run("PSUBSCRIBE news.1*").assert_error(NO_CHANNEL);
    assert!(!u.run("PSUBSCRIBE news.*").is_error());
    assert_eq!(log(&mut admin)[0].2, "news.1*");
    let mut listeners = Vec::new();
    for line in ["SUBSCRIBE exact", "PSUBSCRIBE news.*", "SSUBSCRIBE news.7"] {
        let mut c = server.connect();
        c.ok("AUTH u x");
        c.run(line);
        listeners.push(c);
    }
    // More rights, or the same in other words, disturb nobody.
    admin.ok("ACL SETUSER u &more");
    admin.ok("ACL SETUSER u resetchannels &news.* &exact");
    assert_eq!(admin.run("PUBLISH exact m"), Value::Int(1));
    assert_eq!(listeners[0].read().items()[2], "m");
    admin.ok("ACL SETUSER u resetchannels &news.*");
    listeners[0].expect_close();
    assert_eq!(admin.run("PUBLISH news.2 m"), Value::Int(2));
    admin.ok("ACL SETUSER u resetchannels");
    listeners[1].read();
    listeners[1].expect_close();
    listeners[2].expect_close();
    // Whoever listens to nothing stays.
    let mut quiet = server.connect();
    quiet.ok("AUTH u x");
    admin.ok("ACL SETUSER u &x");
    admin.ok("ACL SETUSER u resetchannels");
    assert_eq!(quiet.run("PING"), "PONG");
}

#[test]
fn new_users_have_the_channels_of_acl_pubsub_default() {
    let server = Server::aedile(&[]);
    let mut c = server.connect();
    c.ok("ACL SETUSER a");
    c.config_set("acl-pubsub-default", "allchannels");
    c.ok("ACL SETUSER b (+get)");
    assert_eq!(
        rules_of(&mut c, "a"),
        "off sanitize-payload resetchannels -@all"
    );
    assert_eq!(
        rules_of(&mut c, "b"),
        "off sanitize-payload &* -@all (&* -@all +get)"
    );
    c.ok("ACL SETUSER a reset");
    assert_eq!(rules_of(&mut c, "a"), "off sanitize-payload &* -@all");
}

#[test]
fn who_waits_is_looked_at_when_it_is_served() {
    let (_server, mut admin, mut u) = with_user("+@all ~l");
    u.send(&["BLPOP", "l", "0"]);
    wait_until("blocked", || admin.info("blocked_clients") == "1");
    admin.ok("ACL SETUSER u resetkeys");
    assert_eq!(admin.run("LPUSH l a"), Value::Int(1));
    u.read().assert_error(NO_KEY);
    assert_eq!(admin.run("LLEN l"), Value::Int(1));
    assert_eq!(u.run("PING"), "PONG");
}

#[test]
fn a_deleted_user_takes_its_clients_along() {
    let (server, mut admin, mut u) = with_user("+@all ~* &*");
    let mut listener = server.connect();
    listener.ok("AUTH u x");
    listener.run("SUBSCRIBE c");
    let mut waiting = server.connect();
    waiting.ok("AUTH u x");
    waiting.send(&["BLPOP", "l", "0"]);
    wait_until("blocked", || admin.info("blocked_clients") == "1");
    assert_eq!(admin.run("ACL DELUSER u nobody"), Value::Int(1));
    for c in [&mut u, &mut listener, &mut waiting] {
        c.expect_close();
    }
    admin
        .run("ACL DELUSER default")
        .assert_error("ERR The 'default' user cannot be removed");
    // Who deletes itself has its answer, and no more.
    admin.ok("ACL SETUSER u on nopass +@all");
    let mut c = server.connect();
    c.ok("AUTH u x");
    assert_eq!(c.run("ACL DELUSER u"), Value::Int(1));
    c.expect_close();
    assert_eq!(admin.run("ACL USERS").items().len(), 1);
}

#[test]
fn clients_are_listed_and_killed_by_user() {
    let (server, mut admin, mut u) = with_user("+@all");
    assert!(u.run("CLIENT INFO").text().contains(" user=u "));
    let list = admin.run("CLIENT LIST").text();
    assert_eq!(list.matches(" user=u ").count(), 1);
    admin
        .run("CLIENT KILL USER nobody")
        .assert_error("ERR No such user 'nobody'");
    assert_eq!(admin.run("CLIENT KILL USER u"), Value::Int(1));
    u.expect_close();
    let _other = server.connect();
    assert_eq!(
        admin.run("CLIENT KILL USER default SKIPME yes"),
        Value::Int(1)
    );
    assert_eq!(admin.run("CLIENT KILL USER u"), Value::Int(0));
}

#[test]
fn nobody_sees_passwords() {
    let server = Server::aedile(&["--slowlog-log-slower-than", "0"]);
    let (mut c, mut monitor) = (server.connect(), server.connect());
    monitor.ok("MONITOR");
    c.ok("ACL SETUSER u on >sesame +@all");
    c.ok("AUTH u sesame");
    c.run("HELLO 2 AUTH u sesame");
    c.run("PING here");
    let seen = monitor.read_for(Duration::from_millis(200));
    let seen = String::from_utf8_lossy(&seen);
    assert!(seen.contains("here") && !seen.contains("sesame"), "{seen}");
    let slow = format!("{:?}", c.run("SLOWLOG GET 100"));
    assert!(
        slow.contains("(redacted)") && !slow.contains("sesame"),
        "{slow}"
    );
    assert!(!format!("{:?}", c.run("ACL GETUSER u")).contains("sesame"));
}

#[test]
fn the_log_groups_and_forgets() {
    let (_server, mut admin, mut u) = with_user("+@all ~a");
    for _ in 0..3 {
        u.run("GET b").assert_error(NO_KEY);
    }
    u.run("GET c").assert_error(NO_KEY);
    let entries = log(&mut admin);
    assert_eq!(entries.len(), 2);
    assert_eq!((entries[1].2.as_str(), entries[1].4), ("b", 3));
    let first = admin.run("ACL LOG 1").items()[0].pairs();
    assert_eq!(first["entry-id"], "1");
    assert!(
        first["client-info"].contains(" cmd=get ") && first["client-info"].contains(" user=u ")
    );
    assert!(
        first["age-seconds"]
            .parse::<f64>()
            .is_ok_and(|age| (0.0..60.0).contains(&age))
    );
    assert!(first["timestamp-created"] <= first["timestamp-last-updated"]);
    admin.config_set("acllog-max-len", "1");
    u.run("GET d").assert_error(NO_KEY);
    assert_eq!(log(&mut admin).len(), 1);
    admin.ok("ACL LOG RESET");
    assert!(log(&mut admin).is_empty());
    assert_eq!(admin.info("acl_access_denied_key"), "5");
    admin
        .run("ACL LOG x")
        .assert_error("ERR value is not an integer or out of range");
}

#[test]
fn dryrun_asks_without_doing() {
    let (_server, mut admin, _u) = with_user("+@all -flushall ~a &c");
    let mut asked = |line: &str| admin.run(&format!("ACL DRYRUN u {line}"));
    assert_eq!(asked("SET a 1"), "OK");
    assert_eq!(
        asked("SET b 1"),
        "User u has no permissions to access the 'b' key"
    );
    assert_eq!(
        asked("PUBLISH d m"),
        "User u has no permissions to access the 'd' channel"
    );
    assert_eq!(
        asked("FLUSHALL"),
        "User u has no permissions to run the 'flushall' command"
    );
    asked("SET a").assert_error("ERR wrong number of arguments for 'set' command");
    asked("NOSUCH a").assert_error("ERR Command 'NOSUCH' not found");
    admin
        .run("ACL DRYRUN nobody GET a")
        .assert_error("ERR User 'nobody' not found");
    assert!(admin.run("GET a").is_null());
    assert!(admin.run("ACL LOG").items().is_empty());
}

#[test]
fn databases_can_be_kept_apart() {
    let (_server, mut admin, mut u) = with_user("~* +@all db=1,2");
    const NO_DB: &str = "NOPERM No permissions to access database";
    for line in [
        "SET k v", "GET k", "KEYS *", "DBSIZE", "FLUSHDB", "EVAL x 0", "SELECT 0", "SELECT 3",
    ] {
        u.run(line).assert_error(NO_DB);
    }
    assert_eq!(u.run("PING"), "PONG");
    u.ok("SELECT 1");
    u.ok("SET k v");
    assert_eq!(u.run("COPY k k2 DB 2"), Value::Int(1));
    for line in [
        "COPY k k2 DB 0",
        "COPY k k2 DB 2 DB 0",
        "MOVE k 3",
        "SWAPDB 1 0",
        "FLUSHALL",
        "MIGRATE 127.0.0.1 1 k 0 10",
    ] {
        u.run(line).assert_error(NO_DB);
    }
    u.ok("SWAPDB 1 2");
    u.run("SELECT 99")
        .assert_error("ERR DB index is out of range");
    u.cmd(&["EVAL", "return redis.call('select', 0)", "0"])
        .assert_error_prefix("ERR ACL failure in script: No permissions to access database");
    // A transaction is looked at where its commands will run.
    u.ok("MULTI");
    assert_eq!(u.run("SELECT 2"), "QUEUED");
    assert_eq!(u.run("SET k v"), "QUEUED");
    u.run("SELECT 0").assert_error(NO_DB);
    u.run("EXEC").assert_error_prefix("EXECABORT");
    admin.ok("ACL SETUSER u resetdbs (db=1 +@all ~*) (db=2 +@read +select ~*)");
    u.ok("SELECT 1");
    u.ok("MULTI");
    assert_eq!(u.run("SET k v"), "QUEUED");
    assert_eq!(u.run("SELECT 2"), "QUEUED");
    u.run("SET k v").assert_error(&no_command("set"));
    u.ok("DISCARD");
    assert_eq!(
        rules_of(&mut admin, "u"),
        "on nopass sanitize-payload ~* resetchannels resetdbs +@all (~* resetchannels db=1 +@all) \
         (~* resetchannels db=2 -@all +@read +select)"
    );
    assert!(admin.info_int("acl_access_denied_db") > 10);
    let fields = admin.run("ACL GETUSER u");
    assert_eq!(fields.items()[10], "databases");
    assert_eq!(
        log(&mut admin).iter().filter(|e| e.0 == "database").count(),
        log(&mut admin).len() - 1
    );
    // Who is not restricted is not told of databases.
    admin.ok("ACL SETUSER u alldbs clearselectors");
    assert_eq!(admin.run("ACL GETUSER u").items().len(), 12);
    assert_eq!(
        rules_of(&mut admin, "u"),
        "on nopass sanitize-payload ~* resetchannels +@all"
    );
    for rule in ["db=16", "db=-1"] {
        admin.run(&format!("ACL SETUSER u {rule}")).assert_error(&format!(
            "ERR Error in ACL SETUSER modifier '{rule}': The provided database ID is out of range"
        ));
    }
}

/// What a master sends and what a file holds is not a client's request.
#[test]
fn a_master_and_a_file_are_never_refused() {
    let master = Server::aedile(&[]);
    let mut m = master.connect();
    m.ok("ACL SETUSER rep on >p +psync +replconf +ping");
    m.ok("SET k v");
    let options = |line: &str| -> Vec<String> { line.split(' ').map(Into::into).collect() };
    let start = |line: &str| {
        let words = options(line);
        Server::aedile(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let replica = start(
        "--masteruser rep --masterauth p --user default on nopass ~nothing +@read +info --user boss on nopass ~* &* +@all",
    );
    let mut boss = replica.connect();
    boss.ok("AUTH boss x");
    boss.ok(&format!("REPLICAOF 127.0.0.1 {}", master_port(&mut m)));
    wait_until("synced", || boss.run("GET k") == "v");
    m.cmd(&[
        "EVAL",
        "redis.call('set', 'k', 2); return redis.call('incr', 'n')",
        "0",
    ]);
    m.ok("MULTI");
    m.run("SET t 1");
    m.run("EXEC");
    wait_until("the stream", || {
        boss.run("GET t") == "1" && boss.run("GET n") == "1"
    });
    assert!(
        boss.run("CLIENT LIST")
            .text()
            .contains(" user=(superuser) ")
    );
    replica.connect().run("GET k").assert_error(NO_KEY);

    let mut server = start("--appendonly yes --user boss on nopass ~* &* +@all");
    let mut boss = server.connect();
    boss.ok("AUTH boss x");
    boss.ok("MULTI");
    boss.run("SET a 1");
    boss.run("SET b 2");
    boss.run("EXEC");
    boss.ok("SET c 3");
    server.terminate();
    let closed =
        options("--appendonly yes --user default on nopass --user boss on nopass ~* &* +@all");
    server.restart_with(&closed.iter().map(String::as_str).collect::<Vec<_>>());
    let mut boss = server.connect();
    boss.ok("AUTH boss x");
    assert_eq!(boss.run("DBSIZE"), Value::Int(3));
}

fn master_port(c: &mut Conn) -> String {
    c.config_get("port")
}
