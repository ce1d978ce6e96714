//! Random command streams to redis-server and to the server under test; replies and final states compared byte by byte.

mod support;

mod diff {
    mod acl;
    mod fragments;
    mod generator;
    mod known;
    mod listeners;
    mod run;
    mod scripts;
    mod snapshots;
}
