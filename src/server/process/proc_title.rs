//! The title under which `ps` lists the process: `proc-title-template`, filled in. It knows no kernel interface; the bytes to
//! write to are lent by `base::sys`.

use crate::base::sys::{self, TitleArea};
use crate::config::fields::Config;
use crate::server::Server;

/// Where the title is written.
#[derive(Default)]
pub(crate) struct ProcTitle {
    /// `None`: titles are not wanted, or not possible here.
    area: Option<TitleArea>,
}

/// The template with its variables replaced, without spaces around it (expandProcTitleTemplate). What is no variable is left
/// out; CONFIG SET refuses it.
pub(crate) fn expand_proc_title_template(config: &Config, title: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = &config.proc_title_template[..];
    while let Some(open) = memchr::memchr(b'{', rest) {
        out.extend_from_slice(&rest[..open]);
        rest = &rest[open + 1..];
        if let Some(after) = rest.strip_prefix(b"{") {
            out.push(b'{');
            rest = after;
            continue;
        }
        let Some(close) = memchr::memchr(b'}', rest) else {
            break;
        };
        append_variable(&mut out, config, &rest[..close], title);
        rest = &rest[close + 1..];
    }
    out.extend_from_slice(rest);
    let end = out.iter().rposition(|b| *b != b' ').map_or(0, |i| i + 1);
    out.truncate(end);
    let spaces = out.iter().take_while(|b| **b == b' ').count();
    out.drain(..spaces);
    out
}

fn append_variable(out: &mut Vec<u8>, config: &Config, name: &[u8], title: &[u8]) {
    let unixsocket = config.unixsocket.as_deref().unwrap_or_default();
    match name {
        b"title" => out.extend_from_slice(title),
        b"listen-addr" if config.port == 0 && config.tls_port == 0 => {
            out.extend_from_slice(b"unixsocket:");
            out.extend_from_slice(unixsocket);
        }
        b"listen-addr" => {
            let port = if config.port == 0 {
                config.tls_port
            } else {
                config.port
            };
            out.extend_from_slice(config.bind.first().map_or(b"*", |a| a));
            out.extend_from_slice(format!(":{port}").as_bytes());
        }
        b"server-mode" if config.cluster_enabled => out.extend_from_slice(b"[cluster]"),
        b"server-mode" if config.sentinel_mode => out.extend_from_slice(b"[sentinel]"),
        b"config-file" => match &config.configfile {
            Some(path) => out.extend_from_slice(path.as_os_str().as_encoded_bytes()),
            None => out.push(b'-'),
        },
        b"port" => out.extend_from_slice(config.port.to_string().as_bytes()),
        b"tls-port" => out.extend_from_slice(config.tls_port.to_string().as_bytes()),
        b"unixsocket" => out.extend_from_slice(unixsocket),
        _ => {}
    }
}

impl Server {
    /// Gives the process its title, unless set-proc-title says no. Once, at the start.
    pub(in crate::server) fn init_proc_title(&mut self) {
        if self.config.set_proc_title {
            self.proc_title.area = sys::title_area();
            self.set_proc_title(None);
        }
    }

    /// Sets the title of this process, a forked child too; `{title}` is the program's name unless one is given
    /// (redisSetProcTitle).
    pub(crate) fn set_proc_title(&mut self, title: Option<&str>) {
        let program = self.argv.first().map_or("", |a| a);
        let text = expand_proc_title_template(&self.config, title.unwrap_or(program).as_bytes());
        if let Some(area) = &mut self.proc_title.area {
            area.write(&text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::expand_proc_title_template;
    use crate::config::fields::Config;

    #[test]
    fn templates_are_filled_in() {
        let mut config = Config::default();
        config.port = 7000;
        config.bind = vec![b"10.0.0.1".to_vec(), b"::1".to_vec()];
        config.unixsocket = Some(b"/run/r.sock".to_vec());
        for (template, filled) in [
            ("{title} {listen-addr} {server-mode}", "prog 10.0.0.1:7000"),
            (" {{{port}} x ", "{7000} x"),
            ("{tls-port} {unixsocket} {config-file}", "0 /run/r.sock -"),
        ] {
            config.proc_title_template = template.into();
            let out = expand_proc_title_template(&config, b"prog");
            assert_eq!(String::from_utf8_lossy(&out), filled, "{template}");
        }
        config.port = 0;
        config.proc_title_template = b"{listen-addr}".to_vec();
        let out = expand_proc_title_template(&config, b"");
        assert_eq!(out, b"unixsocket:/run/r.sock");
        config.port = 1;
        config.bind.clear();
        assert_eq!(expand_proc_title_template(&config, b""), b"*:1");
    }
}
