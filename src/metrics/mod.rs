//! What operators look at: metrics, a page, and health checks, over HTTP/1.1 in the same event loop.
//!
//! [`conn`] the listener and its connections; [`http`] what is read and written of HTTP; [`scrape`] `/metrics`, by the [`names`]
//! of the usual exporter, in the forms of [`exposition`]; [`look`] what the page shows, [`history`] its last hour,
//! [`json`] how it is sent, [`page`] the page itself; [`state`] what the server keeps.
//!
//! | path | what |
//! |---|---|
//! | `/` | the page |
//! | `/metrics` | Prometheus' text, OpenMetrics or protobuf, as `Accept` has it |
//! | `/state` | what the page shows, as JSON |
//! | `/events` | the same as a stream: the last hour, and then the state once a second |
//! | `/healthz` | 200: the loop turns |
//! | `/readyz` | 200: data are loaded, and a replica hears of its master; else 503 and why |
//!
//! Invariants: a server that has none of it opened keeps nothing of it; no answer holds the loop for a millisecond: it is
//! produced in pieces, between which others are served; nothing of this changes anything of the data set.

pub(crate) mod exposition;
pub(crate) mod history;
pub(crate) mod http;
pub(crate) mod state;

mod conn;
mod json;
mod look;
mod names;
mod page;
mod scrape;
