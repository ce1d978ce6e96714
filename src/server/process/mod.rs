//! The process' own life: its start, its cron, its end, and what becomes of it when it crashes.

pub mod crash;
pub mod cron;
pub mod oom_score;
pub mod proc_title;
pub mod shutdown;
pub mod startup;
pub mod supervise;
pub mod temp_file;
