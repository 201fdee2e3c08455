//! Nodes of this library in one process, with peers beside them that see and say what a node does not show.

mod coming_back;
mod joining;
mod kit;
mod lenders;
mod memory;
mod repair;
mod serving;
mod sound;
