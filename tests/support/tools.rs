//! Other programs as a test drives them: redis-cli, redis-benchmark, the C compiler.
//!
//! Owns nothing that outlives a call. Paths come from `REDIS_CLI` and `REDIS_BENCHMARK`, else PATH.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::server::{Ended, die_with_parent, end_of};

fn program(variable: &str, name: &str) -> std::ffi::OsString {
    std::env::var_os(variable)
        .filter(|v| !v.is_empty())
        .unwrap_or_else(|| name.into())
}

/// Makes a library for LD_PRELOAD in `dir` out of `tests/assets/NAME.c`.
#[track_caller]
pub fn preload(dir: &Path, name: &str) -> PathBuf {
    let library = dir.join(format!("{name}.so"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/assets/{name}.c"));
    let done = Command::new(program("CC", "cc"))
        .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
        .arg(&library)
        .arg(source)
        .output()
        .expect("a C compiler");
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    library
}

/// A redis-cli command line, not yet started.
pub fn cli(port: u16, args: &[&str]) -> Command {
    let mut command = Command::new(program("REDIS_CLI", "redis-cli"));
    command
        .args(["-h", "127.0.0.1", "-p", &port.to_string()])
        .args(args);
    command
}

/// Runs redis-cli to its end.
#[track_caller]
pub fn run_cli(port: u16, args: &[&str], stdin: &[u8]) -> Ended {
    end_of(cli(port, args), stdin)
}

/// Runs redis-benchmark to its end.
#[track_caller]
pub fn run_benchmark(port: u16, args: &[&str]) -> Ended {
    let mut command = Command::new(program("REDIS_BENCHMARK", "redis-benchmark"));
    command
        .args(["-h", "127.0.0.1", "-p", &port.to_string()])
        .args(args);
    end_of(command, b"")
}

/// A child that is killed when dropped.
pub struct Background(pub Child);

impl Background {
    /// Starts a command whose output goes to a file.
    #[track_caller]
    pub fn start(mut command: Command, output: &std::path::Path) -> Background {
        let out = std::fs::File::create(output).expect("output file");
        die_with_parent(&mut command);
        Background(
            command
                .stdin(Stdio::null())
                .stdout(out.try_clone().expect("output file"))
                .stderr(out)
                .spawn()
                .unwrap_or_else(|e| panic!("{command:?}: {e}")),
        )
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `redis-check-rdb` or `redis-check-aof` of a kind, run to its end: the server's program under another name.
#[track_caller]
pub fn run_check(
    kind: super::Kind,
    name: &str,
    dir: &std::path::Path,
    args: &[&str],
    stdin: &[u8],
) -> Ended {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(kind.program());
    command.arg0(name).args(args).current_dir(dir);
    end_of(command, stdin)
}
