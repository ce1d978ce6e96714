//! The process' own life: its start, its cron, its end, and what becomes of it when it crashes.

pub(crate) mod check_system;
pub(crate) mod crash;
pub(crate) mod cron;
pub(crate) mod finding;
pub(crate) mod install;
pub(crate) mod memory_test;
pub(crate) mod oom_score;
pub(crate) mod ping;
pub(crate) mod proc_title;
pub(crate) mod shutdown;
pub(crate) mod startup;
pub(crate) mod supervise;
pub(crate) mod temp_file;
