//! Users in files: `user` lines, the ACL file, ACL LOAD and SAVE, CONFIG REWRITE.

use std::os::unix::fs::PermissionsExt;

use crate::support::server::{Scratch, run_to_end};
use crate::support::*;

/// Starts a server that must not start; what it says.
fn refused(conf: &str) -> String {
    let dir = Scratch::new();
    let conf = dir.write("a.conf", conf);
    let conf = conf.to_str().expect("utf8");
    let end = run_to_end(Kind::Aedile, dir.path(), &[conf, "--port", "0"], b"");
    assert_eq!(end.status.code(), Some(1), "{}{}", end.stdout, end.stderr);
    format!("{}{}", end.stdout, end.stderr)
}

fn list(c: &mut Conn) -> Vec<String> {
    c.run("ACL LIST").items().iter().map(Value::text).collect()
}

#[test]
fn user_lines_make_users() {
    let dir = Scratch::new();
    let conf = dir.write(
        "a.conf",
        "requirepass foo\nuser default on >bar ~* &* +@all\nuser bob on nopass -@all +get ( ~x* +set ) ( +del \"~y\" )\nuser off\n",
    );
    let conf = conf.to_str().expect("utf8").to_string();
    let server = Server::start_in(Kind::Aedile, dir, &[&conf]);
    let mut c = server.connect();
    // The line is about the whole user: requirepass is no other way in.
    c.run("AUTH foo").assert_error_prefix("WRONGPASS");
    c.ok("AUTH bar");
    let lines = list(&mut c);
    assert_eq!(lines.len(), 3);
    assert_eq!(
        lines[0],
        "user bob on nopass sanitize-payload resetchannels -@all +get (~x* resetchannels -@all +set) \
         (~y resetchannels -@all +del)"
    );
    assert_eq!(
        lines[2],
        "user off off sanitize-payload resetchannels -@all"
    );
    if stand_in().is_none() {
        assert!(server.log_has("The user 'off' is disabled (there is no 'on' modifier"));
    }
    c.run("ACL SAVE")
        .assert_error_prefix("ERR This Redis instance is not configured to use an ACL file.");
    c.run("ACL LOAD")
        .assert_error_prefix("ERR This Redis instance is not configured to use an ACL file.");
}

#[test]
fn bad_lines_keep_the_server_from_starting() {
    let said = refused("port 1\nuser bob on >x ~* nonsense\n");
    assert!(
        said.contains(
            "Reading the configuration file, at line 2\n>>> 'user bob on >(redacted) ~* nonsense'\n"
        ),
        "{said}"
    );
    assert!(
        said.contains("Error in user declaration 'nonsense': Syntax error"),
        "{said}"
    );
    let said = refused("user foo\nuser foo on\n");
    assert!(
        said.contains("Error in user declaration 'foo': Duplicate user found."),
        "{said}"
    );
    let said = refused("user foo on (~x\n");
    assert!(said.contains("'(~x': Unmatched parenthesis"), "{said}");
    // A command that is not known is told of in the log.
    let said = refused("user foo on +nosuch\n");
    assert!(
        said.contains("Error loading ACL rule '+nosuch' for the user named 'foo': Unknown command or category name in ACL"),
        "{said}"
    );
    assert!(
        said.contains("Critical error while loading ACLs. Exiting."),
        "{said}"
    );
    let said = refused("user \"a b\" on\n");
    assert!(
        said.contains("Spaces not allowed in ACL usernames"),
        "{said}"
    );
    let said = refused("aclfile users.acl\n");
    assert!(
        said.contains("Error loading ACLs, opening file 'users.acl': No such file or directory"),
        "{said}"
    );
    let said = refused("aclfile users.acl\nuser foo on\n");
    assert!(said.contains("but not both"), "{said}");
    let said = refused("databases 4\nuser foo db=4\n");
    assert!(
        said.contains("'db=4': The provided database ID is out of range"),
        "{said}"
    );
}

fn with_file(text: &str) -> (Server, Conn, std::path::PathBuf) {
    let dir = Scratch::new();
    let file = dir.write("users.acl", text);
    let name = file.to_str().expect("utf8").to_string();
    let server = Server::start_in(Kind::Aedile, dir, &["--aclfile", &name]);
    let c = server.connect();
    (server, c, file)
}

#[test]
fn the_file_is_loaded_whole_or_not_at_all() {
    let (_server, mut c, file) =
        with_file("user bob on nopass +get ~*\n\n  user alice on >a +@all  \n");
    // A file that says nothing of the default user leaves it what it is without one.
    let before = list(&mut c);
    assert_eq!(before.len(), 3);
    assert_eq!(
        before[2],
        "user default on nopass sanitize-payload ~* &* +@all"
    );
    std::fs::write(
        &file,
        "user bob on\nuser bob off\nbogus\nuser eve +nosuch nonsense +@nope more\n\nuser x~\"y on\nuser z (~a\nuser \t\n",
    )
    .expect("written");
    let name = file.to_str().expect("utf8");
    c.run("ACL LOAD").assert_error(&format!(
        "ERR WARNING: Duplicate user 'bob' found on line 2. \
         {name}:3 should start with user keyword followed by the username. \
         {name}:4: Error in applying operation '+nosuch': Unknown command or category name in ACL. \
         {name}:4: Syntax error. \
         {name}:4: Error in applying operation '+@nope': Unknown command or category name in ACL. \
         {name}:7: Unmatched parenthesis in selector definition. \
         {name}:8 should start with user keyword followed by the username. \
         WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
    ));
    assert_eq!(list(&mut c), before);
}

#[test]
fn load_puts_others_in_their_place() {
    let (server, mut c, file) =
        with_file("user bob on nopass +@all ~*\nuser default on nopass +@all ~* &*\n");
    let mut bob = server.connect();
    bob.ok("AUTH bob x");
    let mut listener = server.connect();
    listener.run("SUBSCRIBE news");
    std::fs::write(
        &file,
        "user eve on nopass +@all\nuser default on nopass +@all ~k\n",
    )
    .expect("written");
    c.ok("ACL LOAD");
    // The default user's clients stay, with its new rights; the others are gone, whatever the file says of their user.
    c.run("GET x")
        .assert_error("NOPERM No permissions to access a key");
    bob.expect_close();
    listener.expect_close();
    assert_eq!(c.run("ACL USERS").items().len(), 2);
    // Who loads it and is gone by it has its answer.
    let mut eve = server.connect();
    eve.ok("AUTH eve x");
    eve.ok("ACL LOAD");
    eve.expect_close();
}

#[test]
fn save_writes_what_load_reads() {
    let (server, mut c, file) = with_file("user default on nopass +@all ~* &*\n");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("set");
    let link = server.rdb_path().with_file_name("link.acl");
    std::os::unix::fs::symlink(&file, &link).expect("linked");
    c.ok("ACL SETUSER bob on >x %R~a\"b ~c' &x\\y +@all -@dangerous +config|get +select|0 db=3 skip-sanitize-payload");
    c.cmd(&[
        "ACL",
        "SETUSER",
        "bob",
        "(+get \"~x)\" \"~q\\\"\" resetdbs)",
    ])
    .assert_ok();
    let before = list(&mut c);
    c.ok("ACL SAVE");
    assert_eq!(
        std::fs::metadata(&file)
            .expect("there")
            .permissions()
            .mode()
            & 0o777,
        0o640
    );
    c.ok("ACL LOAD");
    assert_eq!(list(&mut c), before);
    let rest: Vec<_> = std::fs::read_dir(file.parent().expect("a folder"))
        .expect("listed")
        .filter_map(|e| Some(e.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|n| n.starts_with("users.acl"))
        .collect();
    assert_eq!(rest, ["users.acl"]);
}

#[test]
fn save_that_fails_leaves_the_file() {
    let dir = Scratch::new();
    let folder = dir.join("sub");
    std::fs::create_dir(&folder).expect("made");
    let file = folder.join("users.acl");
    std::fs::write(&file, "user default on nopass +@all ~* &*\n").expect("written");
    let name = file.to_str().expect("utf8").to_string();
    let server = Server::start_in(Kind::Aedile, dir, &["--aclfile", &name]);
    let mut c = server.connect();
    std::fs::remove_file(&file).expect("removed");
    std::fs::remove_dir(&folder).expect("removed");
    c.run("ACL SAVE").assert_error(
        "ERR There was an error trying to save the ACLs. Please check the server logs for more information",
    );
    assert!(server.log_has("for ACL SAVE: No such file or directory"));
}

/// CONFIG REWRITE writes every user so that the next start has it, also with bytes that mean something to the file.
#[test]
fn users_survive_a_rewrite() {
    let dir = Scratch::new();
    let conf = dir.write("a.conf", "requirepass foo\nuser gone on nopass\n");
    let name = conf.to_str().expect("utf8").to_string();
    let mut server = Server::start_in(Kind::Aedile, dir, &[&name]);
    let mut c = server.connect();
    c.ok("AUTH foo");
    assert_eq!(c.run("ACL DELUSER gone"), Value::Int(1));
    c.ok("CONFIG SET requirepass bar");
    c.ok("ACL SETUSER bob on nopass %R~a\"b ~c' ~\\n &# +@all -flushdb (+get ~x) db=1,2");
    c.cmd(&["ACL", "SETUSER", "q\"u'o#t\\e", "on", "(\"~a\\\"b)\" +get)"])
        .assert_ok();
    c.cmd(&["ACL", "SETUSER", "", "on", "+get"]).assert_ok();
    let before = list(&mut c);
    assert_eq!(before.len(), 4);
    c.ok("CONFIG REWRITE");
    let text = std::fs::read_to_string(&conf).expect("the file");
    assert!(
        !text.contains("gone") && text.contains("user default on"),
        "{text}"
    );
    server.terminate();
    server.restart();
    let mut c = server.connect();
    c.ok("AUTH bar");
    assert_eq!(list(&mut c), before);
    c.ok("CONFIG REWRITE");
    let users = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|l| l.starts_with("user "));
        lines.map(Into::into).collect()
    };
    let again = std::fs::read_to_string(&conf).expect("the file");
    assert_eq!((users(&again), users(&text).len()), (users(&text), 4));
}

/// With an ACL file the configuration has no users.
#[test]
fn a_rewrite_beside_an_acl_file_has_no_users() {
    let dir = Scratch::new();
    let file = dir.write("users.acl", "user bob on\n");
    let conf = dir.write("a.conf", format!("aclfile {}\n", file.display()));
    let name = conf.to_str().expect("utf8").to_string();
    let server = Server::start_in(Kind::Aedile, dir, &[&name]);
    let mut c = server.connect();
    assert_eq!(c.config_get("aclfile"), file.to_str().expect("utf8"));
    c.ok("CONFIG REWRITE");
    let text = std::fs::read_to_string(&conf).expect("the file");
    assert!(
        !text.contains("user ") && text.contains("aclfile "),
        "{text}"
    );
}

/// Protection of a server that nobody has thought of: it is off as soon as the default user needs a password.
#[test]
fn protected_mode_asks_the_default_user() {
    let server = Server::aedile(&["--user", "default", "on", ">x", "~*", "&*", "+@all"]);
    let mut c = server.connect();
    c.run("PING")
        .assert_error("NOAUTH Authentication required.");
    c.ok("AUTH x");
    assert_eq!(c.config_get("requirepass"), "");
}
