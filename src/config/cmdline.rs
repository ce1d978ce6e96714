//! The server's command line (server.c, main): what to do, which file to read, and options as lines of configuration.
//!
//! `--port 6380` becomes the line `port "6380"`. The quoting of that text is part of the interface, since faults show
//! the line. Options are not judged here. Nothing is opened or started.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::rewrite_lines::trim;
use crate::base::split_args::{sdscatrepr, sdssplitargs};

/// What the process is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Run the server.
    Serve,
    /// Print the version (`-v`, `--version`) and exit with 0.
    Version,
    /// Print the usage (`-h`, `--help`) and exit with 1.
    Help,
    /// Test this many megabytes of memory and exit with 0; `None`: the size was not given, which is an error.
    TestMemory(Option<u64>),
    /// Check the system and exit with 0 or 1.
    CheckSystem,
    /// Look at these configuration files and exit with 0, 1 or 2 (`--check-config`); none: that is an error.
    CheckConfig(Vec<Vec<u8>>),
    /// Make the links by which the program is called in this folder (`--install-links`); `None`: it was not given.
    InstallLinks(Option<Vec<u8>>),
    /// Ask the server at this port of this host, or at this socket's path, whether it answers (`--ping`); exit with 0 or 1.
    Ping(Option<Vec<u8>>),
    /// Be `redis-check-rdb`: the program is called so, and the arguments are the tool's.
    CheckRdb,
    /// Be `redis-check-aof`.
    CheckAof,
}

/// One way to call the program, for those who read about it: the usage and the manual page.
pub(crate) struct Usage {
    /// What follows the program's name.
    pub args: &'static str,
    pub what: &'static str,
}

/// All ways to call the program by its own name.
pub(crate) const USAGES: &[Usage] = &[
    Usage {
        args: "[/path/to/redis.conf] [options] [-]",
        what: "Serve. Options are directives: --port 6380. They follow the file and win; a - at the end reads standard input, too",
    },
    Usage {
        args: "- [options]",
        what: "Serve, with the configuration from standard input",
    },
    Usage {
        args: "/path/to/sentinel.conf --sentinel",
        what: "Be a Sentinel",
    },
    Usage {
        args: "-v, --version",
        what: "Print the version",
    },
    Usage {
        args: "-h, --help",
        what: "Print this; exit code 1, as Redis has it",
    },
    Usage {
        args: "--check-config FILE...",
        what: "Read configurations and data files as a start would, and change nothing; exit code 0: nothing found, 1: warnings, 2: it would not start",
    },
    Usage {
        args: "--check-system",
        what: "Look at the kernel's settings; exit code 1: one of them is bad",
    },
    Usage {
        args: "--test-memory MEGABYTES",
        what: "Test so much memory",
    },
    Usage {
        args: "--install-links DIR",
        what: "Make redis-server, redis-sentinel, redis-check-rdb and redis-check-aof as links to this program in DIR; other files are never replaced",
    },
    Usage {
        args: "--ping [PORT | SOCKET]",
        what: "Ask a server of this host, at port 6379 if nothing is given, whether it answers; whatever it says is an answer. Exit code 0: it does, 1: it does not",
    },
];

/// Names by which the program is called to be another one, each with `redis-` in the place of `aedile-` as well.
pub(crate) const CALLED: [(&str, Usage); 3] = [
    (
        "aedile-sentinel",
        Usage {
            args: "/path/to/sentinel.conf [options]",
            what: "Be a Sentinel",
        },
    ),
    (
        "aedile-check-rdb",
        Usage {
            args: "FILE | --salvage DAMAGED NEW",
            what: "Check a snapshot, or write what can be told from a damaged one into a new file",
        },
    ),
    (
        "aedile-check-aof",
        Usage {
            args: "[--fix | --truncate-to-timestamp SECONDS] FILE.manifest | FILE.aof",
            what: "Check an append-only file, cut off a broken end, or all behind a moment",
        },
    ),
];

/// What the command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommandLine {
    /// What to do; all else matters only to `Serve`.
    pub action: Action,
    /// `--sentinel` is among the arguments, or the program is called `redis-sentinel`.
    pub sentinel_mode: bool,
    /// Absolute path of the configuration file.
    pub config_file: Option<PathBuf>,
    /// `-` as the first or last argument: read the configuration from standard input, after the file.
    pub config_from_stdin: bool,
    /// The options as lines of configuration, to be read after file and standard input.
    pub options: Vec<u8>,
}

/// Reads the arguments, of which the first is the program's name. An option's value may begin with `--` where it
/// directly follows the option.
pub(crate) fn parse_command_line(args: &[Vec<u8>]) -> CommandLine {
    let (program, args) = args
        .split_first()
        .map_or((&[][..], args), |(program, args)| (&program[..], args));
    let program = program.rsplit(|b| *b == b'/').next().unwrap_or_default();
    let is_called = |tool: &str| {
        let names = ["redis", "aedile"].map(|maker| format!("{maker}-{tool}"));
        let found = |name: &String| memchr::memmem::find(program, name.as_bytes()).is_some();
        names.iter().any(found)
    };
    let mut line = CommandLine {
        action: if is_called("check-rdb") {
            Action::CheckRdb
        } else if is_called("check-aof") {
            Action::CheckAof
        } else {
            action(args)
        },
        sentinel_mode: is_called("sentinel") || args.iter().any(|arg| arg == b"--sentinel"),
        config_file: None,
        config_from_stdin: false,
        options: Vec::new(),
    };
    if line.action != Action::Serve {
        return line;
    }
    let mut first = 0;
    if let Some(file) = args.first().filter(|file| file.first() != Some(&b'-')) {
        line.config_file = get_absolute_path(file);
        first = 1;
    }
    // Whether an option's name may come next; false directly after one that still wants a value.
    let mut may_be_name = true;
    for (index, arg) in args.iter().enumerate().skip(first) {
        let is_last = index + 1 == args.len();
        if arg == b"-" && (index == 0 || is_last) {
            line.config_from_stdin = true;
        } else if let Some(name) = arg.strip_prefix(b"--").filter(|_| may_be_name) {
            if !line.options.is_empty() {
                line.options.push(b'\n');
            }
            line.options.extend_from_slice(name);
            line.options.push(b' ');
            // More than one word: the value is in the same argument.
            may_be_name = sdssplitargs(arg).is_none_or(|words| words.len() != 1);
            let no_value_follows = is_last
                || args
                    .get(index + 1)
                    .is_some_and(|next| next.starts_with(b"--"));
            if !may_be_name && no_value_follows {
                if arg.eq_ignore_ascii_case(b"--save") {
                    // An empty list in a script's command line means no save points.
                    line.options.extend_from_slice(b"\"\"");
                    may_be_name = true;
                } else if arg.eq_ignore_ascii_case(b"--sentinel") {
                    may_be_name = true;
                }
            }
        } else {
            sdscatrepr(&mut line.options, arg);
            line.options.push(b' ');
            may_be_name = true;
        }
    }
    line
}

/// What the first argument asks for.
fn action(args: &[Vec<u8>]) -> Action {
    match args.first().map(|arg| &arg[..]) {
        Some(b"-v" | b"--version") => Action::Version,
        Some(b"-h" | b"--help") => Action::Help,
        Some(b"--test-memory") => {
            let megabytes = match args {
                [_, size] => Some(leading_number(size)),
                _ => None,
            };
            Action::TestMemory(megabytes)
        }
        Some(b"--check-system") => Action::CheckSystem,
        Some(b"--check-config") => Action::CheckConfig(args[1..].to_vec()),
        Some(b"--install-links") => Action::InstallLinks(args.get(1).cloned()),
        Some(b"--ping") => Action::Ping(args.get(1).cloned()),
        _ => Action::Serve,
    }
}

/// The number at the start of a text, 0 if there is none.
fn leading_number(text: &[u8]) -> u64 {
    let digits = text.iter().take_while(|b| b.is_ascii_digit());
    digits.fold(0, |value: u64, digit| {
        value
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    })
}

/// A path made absolute by the working folder, without leading `../` parts (util.c, getAbsolutePath); `None` if there
/// is no working folder.
pub(crate) fn get_absolute_path(path: &[u8]) -> Option<PathBuf> {
    let path = trim(path);
    if path.starts_with(b"/") {
        return Some(PathBuf::from(OsStr::from_bytes(path)));
    }
    let mut folder = std::env::current_dir().ok()?;
    let mut rest = path;
    while let Some(after) = rest.strip_prefix(b"../") {
        rest = after;
        folder.pop();
    }
    let mut absolute = folder.into_os_string().into_vec();
    if !absolute.ends_with(b"/") {
        absolute.push(b'/');
    }
    absolute.extend_from_slice(rest);
    Some(PathBuf::from(OsStr::from_bytes(&absolute)))
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::super::load::load_server_config;
    use super::*;
    use proptest::prelude::*;

    fn parse(args: &[&str]) -> CommandLine {
        let args: Vec<Vec<u8>> = std::iter::once(&"./redis-server")
            .chain(args)
            .map(|arg| arg.as_bytes().to_vec())
            .collect();
        parse_command_line(&args)
    }

    fn load(args: &[&str]) -> Result<Config, String> {
        let mut config = Config::default();
        let line = parse(args);
        let loaded = load_server_config(&mut config, None, None, &line.options);
        loaded.map(|()| config).map_err(|e| e.to_string())
    }

    #[test]
    fn actions() {
        assert_eq!(parse(&["-v"]).action, Action::Version);
        assert_eq!(parse(&["--version", "x"]).action, Action::Version);
        assert_eq!(parse(&["-h"]).action, Action::Help);
        assert_eq!(
            parse(&["--test-memory", "12"]).action,
            Action::TestMemory(Some(12))
        );
        assert_eq!(parse(&["--test-memory"]).action, Action::TestMemory(None));
        assert_eq!(parse(&["--check-system"]).action, Action::CheckSystem);
        let files = vec![b"a".to_vec(), b"b".to_vec()];
        assert_eq!(
            parse(&["--check-config", "a", "b"]).action,
            Action::CheckConfig(files)
        );
        assert_eq!(
            parse(&["--install-links"]).action,
            Action::InstallLinks(None)
        );
        assert_eq!(
            parse(&["--ping", "7"]).action,
            Action::Ping(Some(b"7".to_vec()))
        );
        assert_eq!(parse(&["--ping"]).action, Action::Ping(None));
        assert_eq!(parse(&["--port", "1", "-v"]).action, Action::Serve);
        assert_eq!(parse(&[]).action, Action::Serve);
    }

    #[test]
    fn option_lines() {
        let cases: [(&[&str], &str); 17] = [
            (&["--port", "6380"], "port \"6380\" "),
            (
                &["--port", "1", "--loglevel", "verbose"],
                "port \"1\" \nloglevel \"verbose\" ",
            ),
            (&["--maxmemory 700mb"], "maxmemory 700mb "),
            (
                &["--maxmemory '700mb'", "--port 1"],
                "maxmemory '700mb' \nport 1 ",
            ),
            (
                &["/x.conf", "loglevel", "verbose", "--port 1"],
                "\"loglevel\" \"verbose\" \nport 1 ",
            ),
            (
                &["--port", "--loglevel", "verbose"],
                "port \"--loglevel\" \"verbose\" ",
            ),
            (
                &["--port", "--bla", "--loglevel", "verbose"],
                "port \"--bla\" \nloglevel \"verbose\" ",
            ),
            (&["--save"], "save \"\""),
            (
                &["--save", "--loglevel", "verbose"],
                "save \"\"\nloglevel \"verbose\" ",
            ),
            (
                &["--loglevel", "verbose", "--save"],
                "loglevel \"verbose\" \nsave \"\"",
            ),
            (&["--save", "", "--port", "1"], "save \"\" \nport \"1\" "),
            (
                &["--a", "--save", "--save", "", "--port", "1"],
                "a \"--save\" \nsave \"\" \nport \"1\" ",
            ),
            (&["--save", "100", "100"], "save \"100\" \"100\" "),
            (&["--sentinel", "--port", "1"], "sentinel \nport \"1\" "),
            (&["--port", "1", "--sentinel"], "port \"1\" \nsentinel "),
            (&["--port", "a\"b"], "port \"a\\\"b\" "),
            (&["--port", "1", "2", "--x"], "port \"1\" \"2\" \nx "),
        ];
        for (args, options) in cases {
            assert_eq!(
                String::from_utf8_lossy(&parse(args).options),
                options,
                "{args:?}"
            );
        }
    }

    #[test]
    fn faults_show_the_line() {
        let cases: [(&[&str], &str, &str); 11] = [
            (
                &["--invalid"],
                "invalid",
                "Bad directive or wrong number of arguments",
            ),
            (&["--port"], "port", "wrong number of arguments"),
            (
                &["--port", "6380", "--loglevel"],
                "loglevel",
                "wrong number of arguments",
            ),
            (
                &["--port", "6379", "6380"],
                "port \"6379\" \"6380\"",
                "wrong number of arguments",
            ),
            (
                &["--port", "--loglevel", "verbose"],
                "port \"--loglevel\" \"verbose\"",
                "wrong number of arguments",
            ),
            (
                &["--port", "--bla", "--loglevel", "verbose"],
                "port \"--bla\"",
                "argument couldn't be parsed into an integer",
            ),
            (
                &["--loglevel", "--bla"],
                "loglevel \"--bla\"",
                "argument(s) must be one of the following: debug, verbose, notice, warning, nothing",
            ),
            (
                &["--shutdown-on-sigint"],
                "shutdown-on-sigint",
                "argument(s) must be one of the following: default, save, nosave, now, force",
            ),
            (
                &["--shutdown-on-sigint", "now force", "--shutdown-on-sigterm"],
                "shutdown-on-sigterm",
                "argument(s) must be one of the following: default, save, nosave, now, force",
            ),
            (
                &["--replicaof", "127.0.0.1", "abc"],
                "replicaof \"127.0.0.1\" \"abc\"",
                "Invalid master port",
            ),
            (
                &["--replicaof", "--127.0.0.1", "--abc"],
                "replicaof \"--127.0.0.1\"",
                "wrong number of arguments",
            ),
        ];
        for (args, line, reason) in cases {
            let error = load(args).expect_err("a fault");
            assert!(
                error.contains(&format!(">>> '{line}'\n{reason}\n")),
                "{args:?}: {error}"
            );
        }
    }

    #[test]
    fn options_load() {
        let config = load(&[
            "--shutdown-on-sigint",
            "nosave",
            "force",
            "now",
            "--shutdown-on-sigterm",
            "nosave force",
        ]);
        let config = config.expect("good");
        assert_eq!(
            (
                config.shutdown_on_sigint.bits(),
                config.shutdown_on_sigterm.bits()
            ),
            (14, 10)
        );
        let config = load(&[
            "--proc-title-template",
            "--my--title--template",
            "--loglevel",
            "verbose",
        ])
        .expect("good");
        assert_eq!(config.proc_title_template, b"--my--title--template");
        assert!(load(&["--save"]).expect("good").save.is_empty());
    }

    #[test]
    fn files_and_standard_input() {
        let line = parse(&["/etc/../x.conf", "--port", "1", "-"]);
        assert_eq!(line.config_file, Some(PathBuf::from("/etc/../x.conf")));
        assert!(line.config_from_stdin);
        let line = parse(&["-", "--port", "1"]);
        assert_eq!((line.config_file, line.config_from_stdin), (None, true));
        assert_eq!(line.options, b"port \"1\" ");
        let line = parse(&["--bind", "-", "--port", "1"]);
        assert_eq!(
            (line.config_from_stdin, &line.options[..]),
            (false, &b"bind \"-\" \nport \"1\" "[..])
        );
        let cwd = std::env::current_dir().expect("a working folder");
        assert_eq!(parse(&["a/x.conf"]).config_file, Some(cwd.join("a/x.conf")));
        assert_eq!(
            parse(&["../x.conf"]).config_file,
            cwd.parent().map(|parent| parent.join("x.conf"))
        );
    }

    proptest! {
        /// What stands in one argument stays one argument, whatever its bytes.
        #[test]
        fn values_keep_their_bytes(value in prop::collection::vec(1..=255_u8, 0..20)) {
            // As the last argument it is standard input, even after an option's name.
            prop_assume!(value != b"-");
            let args = [&b"x"[..], b"--requirepass", &value].map(<[u8]>::to_vec);
            let line = parse_command_line(&args);
            let mut config = Config::default();
            prop_assert_eq!(load_server_config(&mut config, None, None, &line.options), Ok(()));
            let value = (!value.is_empty()).then_some(value);
            prop_assert_eq!(config.requirepass, value);
        }

        #[test]
        fn any_arguments_are_read(args in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..12), 0..6)) {
            let line = parse_command_line(&args);
            prop_assert!(line.action == Action::Serve || line.options.is_empty());
        }
    }

    #[test]
    fn sentinel_mode() {
        assert!(parse(&["x.conf", "--sentinel"]).sentinel_mode);
        assert!(!parse(&["x.conf"]).sentinel_mode);
        assert!(parse_command_line(&[b"/usr/bin/redis-sentinel".to_vec()]).sentinel_mode);
    }

    #[test]
    fn every_way_to_call_the_program_is_told() {
        for usage in USAGES {
            for name in usage.args.split([' ', ',']).filter(|w| w.starts_with("--")) {
                let sentinel = name == "--sentinel";
                assert_eq!(parse(&[name]).action == Action::Serve, sentinel, "{name}");
            }
        }
        for (name, _) in CALLED {
            let line = parse_command_line(&[format!("/usr/bin/{name}").into_bytes()]);
            let (sentinel, tool) = (line.sentinel_mode, line.action != Action::Serve);
            assert!(sentinel != tool, "{name}");
        }
        let own = parse_command_line(&[b"/usr/bin/aedile-server".to_vec()]);
        assert!(own.action == Action::Serve && !own.sentinel_mode);
    }
}
