//! `--ping`: whether a server of this host answers, for health checks where there is nothing but this program.
//!
//! Whatever the server says is an answer: one that loads its data, or that asks for a password, is alive. Nothing of the
//! configuration is read. TLS is not spoken: a server that has no other port is asked at its Unix socket.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::base::sys::{path_of, strerror};

/// For connecting, and for each of what is sent and what comes.
const PATIENCE: Duration = Duration::from_secs(5);
/// Bytes of an answer's first line that are looked at.
const LINE_MAX: usize = 512;
const DEFAULT_PORT: u16 = 6379;

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

fn connect(target: Option<&[u8]>) -> std::io::Result<Box<dyn Stream>> {
    let port = match target {
        None => DEFAULT_PORT,
        Some(path) if path.contains(&b'/') => {
            let socket = UnixStream::connect(path_of(path))?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.set_write_timeout(Some(PATIENCE))?;
            return Ok(Box::new(socket));
        }
        Some(port) => {
            let number = std::str::from_utf8(port).ok().and_then(|p| p.parse().ok());
            number.ok_or_else(|| std::io::Error::other("neither a port nor a path"))?
        }
    };
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    let socket = TcpStream::connect_timeout(&v4, PATIENCE)
        .or_else(|e| TcpStream::connect_timeout(&v6, PATIENCE).map_err(|_| e))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(Box::new(socket))
}

/// The first line of the answer.
fn ask(mut stream: impl Read + Write) -> std::io::Result<Vec<u8>> {
    stream.write_all(b"PING\r\n")?;
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < LINE_MAX && stream.read(&mut byte)? == 1 && byte[0] != b'\r' {
        line.push(byte[0]);
    }
    Ok(line)
}

/// What an answer means; none: it is no server's.
fn meaning(line: &[u8]) -> Option<String> {
    match line.split_first()? {
        (b'+' | b'-', text) => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    }
}

/// Asks the server at a port of this host, or at the path of a Unix socket; returns the exit code: 0, it answers.
pub(crate) fn ping(target: Option<&[u8]>) -> i32 {
    let answer = connect(target).and_then(ask);
    match answer.as_deref().map(meaning) {
        Ok(Some(text)) => {
            println!("{}", text.escape_debug());
            0
        }
        Ok(None) => {
            eprintln!("What answers there is no server, or one that speaks TLS.");
            1
        }
        Err(e) => {
            eprintln!("No answer: {}", strerror(e));
            1
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_answer_of_a_server_will_do() {
        let cases: [(&[u8], Option<&str>); 4] = [
            (b"+PONG", Some("PONG")),
            (
                b"-LOADING Redis is loading",
                Some("LOADING Redis is loading"),
            ),
            (b"HTTP/1.1 400", None),
            (b"", None),
        ];
        for (line, text) in cases {
            assert_eq!(meaning(line).as_deref(), text, "{line:?}");
        }
    }

    #[test]
    fn nobody_is_waited_for_without_end() {
        struct Endless(usize);
        impl Read for Endless {
            fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
                self.0 += 1;
                to[0] = b'x';
                Ok(1)
            }
        }
        impl Write for Endless {
            fn write(&mut self, from: &[u8]) -> std::io::Result<usize> {
                Ok(from.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut endless = Endless(0);
        assert_eq!(ask(&mut endless).map(|l| l.len()).ok(), Some(LINE_MAX));
        assert_eq!(endless.0, LINE_MAX);
    }
}
