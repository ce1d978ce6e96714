//! Random command streams to redis-server and to the server under test; replies and final states compared byte by byte.

mod support;

mod diff {
    mod fragments;
    mod generator;
    mod known;
    mod listeners;
    mod run;
    mod scripts;
}
