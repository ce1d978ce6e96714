//! The thread that syncs the append-only file, so that the loop need not wait for the disk (the AOF half of bio.c).
//!
//! Invariants: jobs are done in order; an error stays until somebody takes note of it; dropping the handle leaves the
//! thread to finish what it was given. It knows files and an opaque number that goes with each, nothing of their contents.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::base::log::Level;
use crate::base::sys;
use crate::server_log;

/// What there is to do.
enum Job {
    /// Sync the file; then everything up to the mark is on the disk.
    Sync { file: File, mark: i64 },
    /// The same, and close it; or close it alone, which can take as long when the file has no name any more.
    Close { file: File, mark: Option<i64> },
}

#[derive(Default)]
struct Shared {
    /// Sync jobs that are not done (bioPendingJobsOfType).
    syncing: AtomicU64,
    /// All jobs that are not done.
    pending: AtomicU64,
    /// The system's number of the last error of a sync; 0: the last one succeeded.
    errno: AtomicI32,
    /// The mark of the last sync that succeeded (fsynced_reploff_pending).
    mark: AtomicI64,
    /// Called by the thread after each job.
    done: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Shared {
    /// Takes note of how a sync ended. What is no file on a disk cannot be synced, and has nothing to lose.
    fn book(&self, done: io::Result<()>, mark: i64) {
        let errno = match done {
            Ok(()) => 0,
            Err(e) => match e.raw_os_error().unwrap_or(libc::EIO) {
                libc::EBADF | libc::EINVAL => 0,
                errno => errno,
            },
        };
        let before = self.errno.swap(errno, Ordering::AcqRel);
        if errno == 0 {
            self.mark.store(mark, Ordering::Release);
        } else if before == 0 {
            let error = io::Error::from_raw_os_error(errno);
            server_log!(
                Level::Warning,
                "Fail to fsync the AOF file: {}",
                sys::strerror(&error)
            );
        }
    }
}

/// The handle of the thread, which is started when it is first needed.
#[derive(Default)]
pub struct Bio {
    to: Option<Sender<Job>>,
    shared: Arc<Shared>,
}

fn work(job: Job, shared: &Shared) {
    let (file, mark, sync) = match job {
        Job::Sync { file, mark } => (file, Some(mark), true),
        Job::Close { file, mark } => (file, mark, false),
    };
    if let Some(mark) = mark {
        shared.book(file.sync_data(), mark);
    }
    drop(file);
    if sync {
        shared.syncing.fetch_sub(1, Ordering::Release);
    }
    shared.pending.fetch_sub(1, Ordering::Release);
}

impl Bio {
    fn send(&mut self, job: Job) {
        self.shared.pending.fetch_add(1, Ordering::Relaxed);
        if self.to.is_none() {
            let (to, from) = channel();
            let shared = self.shared.clone();
            let thread = std::thread::Builder::new()
                .name("bio_aof".into())
                .spawn(move || {
                    sys::block_signals();
                    for job in from {
                        work(job, &shared);
                        if let Some(done) = shared.done.get() {
                            done();
                        }
                    }
                });
            if thread.is_ok() {
                self.to = Some(to);
            }
        }
        let back = match &self.to {
            Some(to) => to.send(job).err().map(|e| e.0),
            None => Some(job),
        };
        // Without a thread it is done here and now.
        if let Some(job) = back {
            work(job, &self.shared);
        }
    }

    /// `done` is called by the thread whenever it has done a job; only the first that is given counts.
    pub fn on_done(&self, done: impl Fn() + Send + Sync + 'static) {
        let _ = self.shared.done.set(Box::new(done));
    }

    /// Syncs a file in the background (aof_background_fsync).
    pub fn sync(&mut self, file: File, mark: i64) {
        self.shared.syncing.fetch_add(1, Ordering::Relaxed);
        self.send(Job::Sync { file, mark });
    }

    /// Syncs and closes a file in the background (aof_background_fsync_and_close).
    pub fn sync_and_close(&mut self, file: File, mark: i64) {
        self.send(Job::Close {
            file,
            mark: Some(mark),
        });
    }

    /// Closes a file in the background: freeing the blocks of one that was unlinked can take long (bg_unlink).
    pub fn close(&mut self, file: File) {
        self.send(Job::Close { file, mark: None });
    }

    /// Syncs that are not done.
    pub fn syncing(&self) -> u64 {
        self.shared.syncing.load(Ordering::Acquire)
    }

    /// Nothing is left to do.
    pub fn is_idle(&self) -> bool {
        self.shared.pending.load(Ordering::Acquire) == 0
    }

    /// The last sync failed with this error number.
    pub fn error(&self) -> Option<i32> {
        Some(self.shared.errno.load(Ordering::Acquire)).filter(|e| *e != 0)
    }

    /// Forgets the error.
    pub fn clear_error(&self) {
        self.shared.errno.store(0, Ordering::Release);
    }

    /// The mark of the last sync that succeeded.
    pub fn mark(&self) -> i64 {
        self.shared.mark.load(Ordering::Acquire)
    }

    /// Whoever syncs without the thread says so here.
    pub fn set_mark(&self, mark: i64) {
        self.shared.mark.store(mark, Ordering::Release);
    }

    /// Waits until everything is done (bioDrainWorker).
    pub fn drain(&self) {
        while !self.is_idle() {
            std::thread::sleep(Duration::from_micros(100));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syncs_in_order_and_keeps_the_error() {
        let mut bio = Bio::default();
        let path = std::env::temp_dir().join(format!("aedile-bio-{}", std::process::id()));
        let file = || File::create(&path).expect("a file");
        bio.sync(file(), 5);
        bio.sync_and_close(file(), 7);
        bio.close(file());
        bio.drain();
        assert_eq!((bio.mark(), bio.syncing(), bio.error()), (7, 0, None));
        let failed = |errno| Err(io::Error::from_raw_os_error(errno));
        bio.shared.book(failed(libc::EIO), 9);
        assert_eq!((bio.mark(), bio.error()), (7, Some(libc::EIO)));
        bio.shared.book(Ok(()), 10);
        assert_eq!((bio.mark(), bio.error()), (10, None));
        bio.shared.book(failed(libc::EINVAL), 11);
        assert_eq!((bio.mark(), bio.error()), (11, None));
        bio.shared.book(failed(libc::EIO), 12);
        bio.clear_error();
        assert_eq!(bio.error(), None);
        let _ = std::fs::remove_file(&path);
    }
}
