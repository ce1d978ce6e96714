//! `--install-links`: the names under which this program is Redis' programs, as links in a folder.
//!
//! Invariant: nothing is replaced but a link of this program's own.

use std::path::Path;

use crate::base::sys::{path_of, strerror};

const NAMES: [&str; 4] = [
    "redis-server",
    "redis-sentinel",
    "redis-check-rdb",
    "redis-check-aof",
];

fn install_link(program: &Path, link: &Path) -> std::io::Result<()> {
    let is_own = std::fs::read_link(link).is_ok_and(|to| to.file_name() == program.file_name());
    if is_own {
        std::fs::remove_file(link)?;
    }
    std::os::unix::fs::symlink(program, link)
}

/// Makes the links; returns the exit code.
pub(crate) fn install_links(dir: Option<&[u8]>) -> i32 {
    let Some(dir) = dir else {
        eprintln!("Please name the folder that the links are to be made in.");
        return 1;
    };
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(e) => {
            eprintln!("Where this program is cannot be told: {}", strerror(&e));
            return 1;
        }
    };
    let dir = path_of(dir);
    let mut code = 0;
    for name in NAMES {
        let link = dir.join(name);
        match install_link(&program, &link) {
            Ok(()) => println!("{} -> {}", link.display(), program.display()),
            Err(e) => {
                eprintln!("{}: {}", link.display(), strerror(&e));
                code = 1;
            }
        }
    }
    code
}
