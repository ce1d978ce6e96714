//! What a configuration asks for and this version cannot do, where going on without it would leave a server open, or another
//! one than was meant: modules. Such a server does not start. (Directives of the table that are so are refused by their row:
//! `Feature::Refused`.)
//!
//! Invariant: what is judged is what is in effect once all lines are read.
//! Must not know: how lines are read, and the server.

use super::error::ConfigError;
use super::fields::Config;
use super::row::not_built;
use super::value::MODULES;

/// The first of these that is asked for.
///
/// # Errors
/// The line and the reason.
pub(super) fn check_all_built(config: &Config) -> Result<(), ConfigError> {
    if let Some(line) = config.loadmodules.first() {
        return Err(ConfigError::of_line(
            line,
            &not_built("loadmodule", MODULES),
        ));
    }
    if let Some(line) = config.module_directives.first() {
        let reason = "Module Configuration detected without loadmodule directive or no ApplyConfig call: aborting";
        return Err(ConfigError::of_line(line, reason));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::load::load_server_config;
    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let mut config = Config::default();
        load_server_config(&mut config, None, None, text.as_bytes()).map(|()| config)
    }

    #[test]
    fn what_cannot_be_done_is_refused_with_its_line() {
        let (line, reason) = ("loadmodule /x.so 1", "'loadmodule' asks for modules");
        // The options begin behind the line end of a file that is not there.
        let error = load(&format!("port 1\n{line}\nport 2\n")).expect_err(line);
        let text = format!(
            "\n*** FATAL CONFIG FILE ERROR (Redis 7.2.4) ***\nReading the configuration file, at line 3\n\
             >>> '{line}'\n{reason}, which this version does not have yet\n"
        );
        assert_eq!(error.to_string(), text);
        // Who filters by marks would be left with a server that has none.
        let error = load("port 1\nsocket-mark-id 7\n").expect_err("a mark");
        let text = error.to_string();
        assert!(
            text.contains(
                "at line 3\n>>> 'socket-mark-id 7'\n'socket-mark-id' asks for marked packets"
            ),
            "{text}"
        );
        assert!(load("socket-mark-id 0\n").is_ok());
        let error = load("socket-mark-id x\n").expect_err("no number");
        assert!(
            error
                .to_string()
                .contains("couldn't be parsed into an integer")
        );
        let error = load("mod.opt 1\n").expect_err("no module");
        assert!(error.to_string().contains("Module Configuration detected"));
    }
}
