//! The threads that sync files of the append-only kind, and that close and free whatever file, so that the loop need not wait for the
//! disk (bio.c without lazyfree).
//!
//! Invariants: syncs are done in order by one thread, closes by another, since giving back the blocks of a large file must
//! not hold up a sync; an error stays until somebody takes note of it; dropping the handle leaves the threads to finish what
//! they were given. They know files and an opaque number that goes with each sync, nothing of the files' contents.

use std::fs::{self, File};
use std::io;
use std::path::Path;
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
    /// The same for a file that is not written to any more: nobody's next write waits for this one.
    SyncAndClose { file: File, mark: i64 },
    /// Close it alone, which can take long when the file has no name any more.
    Close(File),
}

#[derive(Default)]
struct Shared {
    /// Sync jobs that are not done (bioPendingJobsOfType).
    syncing: AtomicU64,
    /// Jobs of either kind that sync and are not done.
    pending: AtomicU64,
    /// The system's number of the last error of a sync; 0: the last one succeeded.
    errno: AtomicI32,
    /// The mark of the last sync that succeeded (fsynced_reploff_pending).
    mark: AtomicI64,
    /// Called by the thread after each sync.
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

/// A thread and the way to it; it is started when it is first needed.
struct Worker {
    name: &'static str,
    to: Option<Sender<Job>>,
}

/// The handle of the threads.
pub(crate) struct Bio {
    syncs: Worker,
    closes: Worker,
    shared: Arc<Shared>,
}

impl Default for Bio {
    fn default() -> Bio {
        let worker = |name| Worker { name, to: None };
        Bio {
            syncs: worker("bio_aof"),
            closes: worker("bio_close_file"),
            shared: Arc::default(),
        }
    }
}

fn work(job: Job, shared: &Shared) {
    match job {
        Job::Sync { file, mark } => {
            shared.book(file.sync_data(), mark);
            drop(file);
            shared.syncing.fetch_sub(1, Ordering::Release);
        }
        Job::SyncAndClose { file, mark } => shared.book(file.sync_data(), mark),
        Job::Close(file) => return drop(file),
    }
    shared.pending.fetch_sub(1, Ordering::Release);
    if let Some(done) = shared.done.get() {
        done();
    }
}

impl Worker {
    fn send(&mut self, job: Job, shared: &Arc<Shared>) {
        if self.to.is_none() {
            let (to, from) = channel();
            let theirs = shared.clone();
            let thread = std::thread::Builder::new()
                .name(self.name.into())
                .spawn(move || {
                    sys::block_signals();
                    for job in from {
                        work(job, &theirs);
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
            work(job, shared);
        }
    }
}

impl Bio {
    /// `done` is called by the thread whenever it has done a sync; only the first that is given counts.
    pub(crate) fn on_done(&self, done: impl Fn() + Send + Sync + 'static) {
        let _ = self.shared.done.set(Box::new(done));
    }

    /// Syncs a file in the background (aof_background_fsync).
    pub(crate) fn sync(&mut self, file: File, mark: i64) {
        self.shared.syncing.fetch_add(1, Ordering::Relaxed);
        self.shared.pending.fetch_add(1, Ordering::Relaxed);
        self.syncs.send(Job::Sync { file, mark }, &self.shared);
    }

    /// Syncs and closes a file in the background (aof_background_fsync_and_close).
    pub(crate) fn sync_and_close(&mut self, file: File, mark: i64) {
        self.shared.pending.fetch_add(1, Ordering::Relaxed);
        self.syncs
            .send(Job::SyncAndClose { file, mark }, &self.shared);
    }

    /// Closes a file in the background.
    pub(crate) fn close(&mut self, file: File) {
        self.closes.send(Job::Close(file), &self.shared);
    }

    /// Removes a file, if it is there. Its blocks are freed in the background: of some gigabytes that takes a tenth of a second and more
    /// (bg_unlink).
    pub(crate) fn unlink(&mut self, path: &Path) {
        let old = sys::hold_file(path);
        let _ = fs::remove_file(path);
        if let Ok(f) = old {
            self.close(f);
        }
    }

    /// Renames a file. The blocks of one that had the name before are freed in the background.
    ///
    /// # Errors
    /// The system's; nothing has changed.
    pub(crate) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let old = sys::hold_file(to);
        fs::rename(from, to)?;
        if let Ok(f) = old {
            self.close(f);
        }
        Ok(())
    }

    /// Syncs of a file that is written to which are not done.
    pub(crate) fn syncing(&self) -> u64 {
        self.shared.syncing.load(Ordering::Acquire)
    }

    /// Nothing is left to sync.
    pub(crate) fn is_idle(&self) -> bool {
        self.shared.pending.load(Ordering::Acquire) == 0
    }

    /// The last sync failed with this error number.
    pub(crate) fn error(&self) -> Option<i32> {
        Some(self.shared.errno.load(Ordering::Acquire)).filter(|e| *e != 0)
    }

    /// Forgets the error.
    pub(crate) fn clear_error(&self) {
        self.shared.errno.store(0, Ordering::Release);
    }

    /// The mark of the last sync that succeeded.
    pub(crate) fn mark(&self) -> i64 {
        self.shared.mark.load(Ordering::Acquire)
    }

    /// Whoever syncs without the thread says so here.
    pub(crate) fn set_mark(&self, mark: i64) {
        self.shared.mark.store(mark, Ordering::Release);
    }

    /// Waits until nothing is left to sync (bioDrainWorker).
    pub(crate) fn drain(&self) {
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

    #[test]
    fn names_change_at_once() {
        let mut bio = Bio::default();
        let path =
            |name| std::env::temp_dir().join(format!("aedile-{name}-{}", std::process::id()));
        let (new, name) = (path("new"), path("name"));
        fs::write(&name, "old").expect("written");
        fs::write(&new, "new").expect("written");
        bio.rename(&new, &name).expect("renamed");
        assert_eq!(fs::read_to_string(&name).expect("read"), "new");
        assert!(!new.exists());
        assert!(bio.rename(&new, &name).is_err());
        assert_eq!(fs::read_to_string(&name).expect("read"), "new");
        bio.unlink(&name);
        assert!(!name.exists());
        // What is not there is no matter, nor is a FIFO, which nobody opens to look at it.
        bio.unlink(&name);
        let made = std::process::Command::new("mkfifo").arg(&name).status();
        assert!(made.expect("mkfifo").success());
        fs::write(&new, "new").expect("written");
        bio.rename(&new, &name).expect("renamed");
        assert_eq!(fs::read_to_string(&name).expect("read"), "new");
        bio.unlink(&name);
    }
}
