//! A thread that writes one file, or one pipe, so that the loop waits neither for the disk nor for whoever reads: what a snapshot
//! that is taken in the loop goes through.
//!
//! Invariants: bytes are written in the order in which they came, and go into the checksum in that order; after an error, or when
//! it has been told to stop, the thread writes nothing more and lets go of what it is given. It knows nothing of what it writes.

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::crc::Crc64;
use crate::base::sys;

/// Bytes written between two syncs.
const AUTOSYNC_BYTES: u64 = 4 << 20;

/// How a file is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WriterOptions {
    /// The sum of all bytes is made, and stands at the end; else eight zero bytes.
    pub checksum: bool,
    /// The file is on a disk, and is on the disk when it has ended.
    pub sync: bool,
    /// It goes there each few megabytes already.
    pub autosync: bool,
}

enum Job {
    /// Bytes that are in no checksum.
    Plain(Vec<u8>),
    Bytes(Vec<u8>),
    /// The checksum, and what stands behind it; then the file is synced and closed.
    End(Vec<u8>),
    /// The folder of a file that has a new name.
    SyncFolder(PathBuf),
}

const WORKING: u8 = 0;
const ENDED: u8 = 1;
const NAMED: u8 = 2;
const FAILED: u8 = 3;

struct Shared {
    state: AtomicU8,
    in_flight: AtomicUsize,
    stop: AtomicBool,
    /// What failed, and how.
    error: Mutex<Option<(&'static str, io::Error)>>,
    done: Box<dyn Fn() + Send + Sync>,
}

/// How far the thread is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Progress {
    Working,
    /// All is written, synced and closed.
    Ended,
    /// And its folder is synced.
    Named,
    /// See [`FileWriter::take_error`].
    Failed,
}

/// The handle of the thread. Dropping it leaves the thread to finish what it was given.
pub(crate) struct FileWriter {
    to: Sender<Job>,
    shared: Arc<Shared>,
}

struct Thread {
    file: Option<File>,
    options: WriterOptions,
    crc: Crc64,
    total: u64,
    shared: Arc<Shared>,
}

impl Thread {
    fn write(&mut self, bytes: &[u8]) -> Result<(), (&'static str, io::Error)> {
        let Some(file) = self.file.as_mut() else {
            return Ok(());
        };
        let before = self.total / AUTOSYNC_BYTES;
        file.write_all(bytes).map_err(|e| ("write", e))?;
        self.total += bytes.len() as u64;
        let after = self.total / AUTOSYNC_BYTES;
        if self.options.autosync && after > before {
            let (from, to) = (before * AUTOSYNC_BYTES, after * AUTOSYNC_BYTES);
            sys::sync_file_range(file, from, to - from).map_err(|e| ("sync_file_range", e))?;
            sys::drop_page_cache(file);
        }
        Ok(())
    }

    fn work(&mut self, job: &Job) -> Result<Option<u8>, (&'static str, io::Error)> {
        match job {
            Job::Plain(bytes) => self.write(bytes)?,
            Job::Bytes(bytes) => {
                if self.options.checksum {
                    self.crc.update(bytes);
                }
                self.write(bytes)?;
            }
            Job::End(behind) => {
                let sum = match self.options.checksum {
                    true => self.crc.value(),
                    false => 0,
                };
                self.write(&sum.to_le_bytes())?;
                self.write(behind)?;
                if self.options.sync
                    && let Some(file) = &self.file
                {
                    file.sync_all().map_err(|e| ("fsync", e))?;
                    sys::drop_page_cache(file);
                }
                self.file = None;
                return Ok(Some(ENDED));
            }
            Job::SyncFolder(path) => {
                sys::fsync_file_dir(path).map_err(|e| ("fsync folder", e))?;
                return Ok(Some(NAMED));
            }
        }
        Ok(None)
    }

    fn run(mut self, jobs: &Receiver<Job>) {
        for job in jobs {
            let shared = &self.shared;
            let over = shared.stop.load(Ordering::Acquire)
                || shared.state.load(Ordering::Acquire) == FAILED;
            if !over {
                match self.work(&job) {
                    Ok(Some(state)) => self.shared.state.store(state, Ordering::Release),
                    Ok(None) => {}
                    Err(e) => {
                        *self
                            .shared
                            .error
                            .lock()
                            .unwrap_or_else(PoisonError::into_inner) = Some(e);
                        self.shared.state.store(FAILED, Ordering::Release);
                        self.file = None;
                    }
                }
            } else {
                self.file = None;
            }
            if let Job::Plain(b) | Job::Bytes(b) = job {
                self.shared.in_flight.fetch_sub(b.len(), Ordering::AcqRel);
            }
            (self.shared.done)();
        }
    }
}

impl FileWriter {
    /// Starts the thread. `done` is called by it whenever it has done something.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(crate) fn new(
        file: File,
        options: WriterOptions,
        done: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<FileWriter> {
        let shared = Arc::new(Shared {
            state: AtomicU8::new(WORKING),
            in_flight: AtomicUsize::new(0),
            stop: AtomicBool::new(false),
            error: Mutex::new(None),
            done: Box::new(done),
        });
        let (to, from) = channel();
        let thread = Thread {
            file: Some(file),
            options,
            crc: Crc64::new(),
            total: 0,
            shared: shared.clone(),
        };
        std::thread::Builder::new()
            .name("bio_snapshot".into())
            .spawn(move || {
                sys::block_signals();
                sys::work_in_background();
                thread.run(&from);
            })?;
        Ok(FileWriter { to, shared })
    }

    fn send(&self, job: Job) {
        // The thread lives as long as this handle.
        let _ = self.to.send(job);
    }

    /// Bytes for the file that are in no checksum.
    pub(crate) fn write_plain(&self, bytes: Vec<u8>) {
        self.shared
            .in_flight
            .fetch_add(bytes.len(), Ordering::AcqRel);
        self.send(Job::Plain(bytes));
    }

    /// Bytes for the file.
    pub(crate) fn write(&self, bytes: Vec<u8>) {
        self.shared
            .in_flight
            .fetch_add(bytes.len(), Ordering::AcqRel);
        self.send(Job::Bytes(bytes));
    }

    /// Ends the file with its checksum and these bytes.
    pub(crate) fn end(&self, behind: Vec<u8>) {
        self.send(Job::End(behind));
    }

    /// The file has this name now: its folder is synced.
    pub(crate) fn sync_folder(&self, path: PathBuf) {
        self.send(Job::SyncFolder(path));
    }

    /// Nothing that has not been begun is written any more.
    pub(crate) fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
    }

    /// Bytes that are not written yet.
    pub(crate) fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::Acquire)
    }

    pub(crate) fn progress(&self) -> Progress {
        match self.shared.state.load(Ordering::Acquire) {
            WORKING => Progress::Working,
            ENDED => Progress::Ended,
            NAMED => Progress::Named,
            _ => Progress::Failed,
        }
    }

    /// What failed, and how.
    pub(crate) fn take_error(&self) -> Option<(&'static str, io::Error)> {
        self.shared
            .error
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::crc::crc64;
    use std::time::{Duration, Instant};

    fn wait(w: &FileWriter, what: Progress) {
        let end = Instant::now() + Duration::from_secs(60);
        while w.progress() != what && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(w.progress(), what);
    }

    const OPTIONS: WriterOptions = WriterOptions {
        checksum: true,
        sync: true,
        autosync: true,
    };

    #[test]
    fn a_file_is_whole_and_summed() {
        let path = std::env::temp_dir().join(format!("aedile-writer-{}", std::process::id()));
        let file = File::create(&path).expect("a file");
        let w = FileWriter::new(file, OPTIONS, || {}).expect("a thread");
        w.write_plain(b"head".to_vec());
        let mut all = Vec::new();
        for n in 0..200u8 {
            let part = vec![n; 50_000];
            all.extend_from_slice(&part);
            w.write(part);
        }
        w.end(b"mark".to_vec());
        wait(&w, Progress::Ended);
        assert_eq!(w.in_flight(), 0);
        let sum = crc64(&all).to_le_bytes();
        let want = [&b"head"[..], &all, &sum, b"mark"].concat();
        assert!(std::fs::read(&path).expect("the file") == want);
        w.sync_folder(path.clone());
        wait(&w, Progress::Named);
        let _ = std::fs::remove_file(&path);
    }

    #[test]
    fn an_error_is_told_and_what_follows_is_let_go() {
        let file = File::options()
            .write(true)
            .open("/dev/full")
            .expect("/dev/full");
        let w = FileWriter::new(file, OPTIONS, || {}).expect("a thread");
        w.write(vec![1; 1000]);
        w.write(vec![1; 1000]);
        w.end(Vec::new());
        wait(&w, Progress::Failed);
        let (op, e) = w.take_error().expect("an error");
        assert_eq!((op, e.kind()), ("write", io::ErrorKind::StorageFull));
        let end = Instant::now() + Duration::from_secs(60);
        while w.in_flight() > 0 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(w.in_flight(), 0);
    }

    #[test]
    fn a_stopped_one_writes_no_more() {
        let (read, write) = sys::pipe().expect("a pipe");
        sys::set_blocking(&write).expect("a pipe");
        let options = WriterOptions {
            checksum: false,
            sync: false,
            autosync: false,
        };
        let w = FileWriter::new(write, options, || {}).expect("a thread");
        w.stop();
        w.write(vec![0; 1 << 20]);
        w.end(Vec::new());
        let end = Instant::now() + Duration::from_secs(60);
        while w.in_flight() > 0 && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!((w.in_flight(), w.progress()), (0, Progress::Working));
        drop(read);
    }
}
