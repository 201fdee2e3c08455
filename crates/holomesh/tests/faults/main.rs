//! What goes wrong on machines and networks, done to real processes over real sockets: nodes that are killed, stopped, flooded,
//! not read from, or told to go. The pictures of everybody else go on.
#![cfg(target_os = "linux")]

mod churn;
mod floods;
mod full;
mod guest;
mod joining;
mod memberships;
mod mesh;
mod relays;
mod requests;
mod restarts;
mod slow_readers;
mod stage;
mod stopping;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/viewer.rs"]
mod viewer;
