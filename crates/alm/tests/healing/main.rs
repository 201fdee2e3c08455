//! Parents that die, come back, are new, slow or still; frames that lack their end; and what is asked for.
#![allow(clippy::unwrap_used, reason = "tests")]

mod parents;
mod repair;
mod world;
