//! A file for what a replica's socket does not take: bytes go in at its end and come out in order. It has no name, so it is
//! gone with the process, and gives its room back whenever it has been read to the end.
//!
//! Must not know what the bytes are.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use crate::base::sys;
use crate::server::clients::connection::Connection;

/// See the head of the file.
#[derive(Debug)]
pub(crate) struct Spill {
    file: File,
    read: u64,
    written: u64,
}

/// What [`Spill::send`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sent {
    pub bytes: usize,
    /// The socket takes no more for now.
    pub full: bool,
}

impl Spill {
    /// An empty one, in the working folder.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn create() -> io::Result<Spill> {
        let file = sys::nameless_file()?;
        Ok(Spill {
            file,
            read: 0,
            written: 0,
        })
    }

    /// Bytes that have gone in and not come out.
    pub(crate) fn pending(&self) -> u64 {
        self.written - self.read
    }

    /// Adds bytes at the end.
    ///
    /// # Errors
    /// The system's: no room. What went in is then useless, since a part may be missing.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Adds bytes at the end of the one in `slot`; there is one from the first on.
    ///
    /// # Errors
    /// As [`Self::create`] and [`Self::append`].
    pub(crate) fn append_to(slot: &mut Option<Spill>, bytes: &[u8]) -> io::Result<()> {
        match slot {
            Some(spill) => spill.append(bytes),
            None => slot.insert(Spill::create()?).append(bytes),
        }
    }

    /// Sends up to `most` of the oldest bytes over a connection.
    ///
    /// # Errors
    /// The connection's; and an unexpected end of the file.
    pub(crate) fn send(&mut self, conn: &Connection, most: usize) -> io::Result<Sent> {
        let want = usize::try_from(self.pending()).unwrap_or(most).min(most);
        if want == 0 {
            return Ok(Sent {
                bytes: 0,
                full: false,
            });
        }
        let n = match conn.send_file(&self.file, self.read, want) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => 0,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {
                return Ok(Sent {
                    bytes: 0,
                    full: false,
                });
            }
            Err(e) => return Err(e),
        };
        self.read += n as u64;
        if self.read == self.written {
            self.file.set_len(0)?;
            self.file.seek(SeekFrom::Start(0))?;
            (self.read, self.written) = (0, 0);
        }
        Ok(Sent {
            bytes: n,
            full: n < want || conn.has_unsent(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    #[test]
    fn bytes_come_out_in_order_and_the_room_comes_back() {
        let (a, mut b) = UnixStream::pair().expect("sockets");
        a.set_nonblocking(true).expect("nonblocking");
        let a = Connection::Plain(a.into());
        let mut s = Spill::create().expect("a file");
        let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
        let (mut fed, mut got) = (0, Vec::new());
        // Nobody reads: some send does not fit.
        s.append(&bytes).expect("room");
        fed += bytes.len();
        let mut waiting = 0;
        loop {
            let sent = s.send(&a, 200_000).expect("sent");
            waiting += sent.bytes;
            if sent.full {
                break;
            }
            assert!(waiting < bytes.len(), "the socket was never full");
        }
        let mut buf = vec![0; waiting];
        b.read_exact(&mut buf).expect("all that was sent");
        got.extend_from_slice(&buf);
        while got.len() < bytes.len() {
            if fed < bytes.len() {
                let to = (fed + 700_001).min(bytes.len());
                s.append(&bytes[fed..to]).expect("room");
                fed = to;
            }
            let sent = s.send(&a, 200_000).expect("sent");
            let mut buf = vec![0; sent.bytes];
            b.read_exact(&mut buf).expect("all that was sent");
            got.extend_from_slice(&buf);
            assert_eq!(s.pending() as usize, fed - got.len());
        }
        assert!(got == bytes);
        assert_eq!(s.file.metadata().expect("metadata").len(), 0);
        // And again from the start.
        s.append(b"more").expect("room");
        assert_eq!(s.send(&a, 10).expect("sent").bytes, 4);
    }
}
