//! Memory and file descriptors: stated in the configuration, kept by refusing new links before the system refuses
//! something that the running streams need.

use super::process;
use crate::Error;
use std::fmt;

/// From this part of the memory limit on, in percent, new links are refused.
const REFUSE_PERCENT: u64 = 90;

/// Below this part they are taken again, so that one link more or less does not flip the answer at every sample.
const RESUME_PERCENT: u64 = 85;

/// File descriptors kept for what is not a link: the log, the key file, a status connection, a socket for a new path.
const RESERVED_DESCRIPTORS: u64 = 32;

/// What a link takes beside what waits for it in the streams' rings, in bytes: an estimate for `--check`.
pub(super) const LINK_BYTES: u64 = 16 << 10;

/// Bytes from which a node with this limit refuses new links.
pub(super) const fn refuse_from(limit: u64) -> u64 {
    limit / 100 * REFUSE_PERCENT
}

/// Why a new link is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// Resident memory is near its limit. Bytes.
    Memory {
        /// What is used.
        used: u64,
        /// `limits.memory_mib` in bytes.
        limit: u64,
    },
    /// File descriptors are nearly used up.
    Descriptors {
        /// Open ones.
        open: u64,
        /// `limits.file_descriptors`.
        limit: u64,
    },
}

impl Refusal {
    /// Its name in metrics and the status.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory { .. } => "memory",
            Self::Descriptors { .. } => "descriptors",
        }
    }
}

/// For the log. A peer is told only that the relay is full: how full is no business of a stranger.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory { used, limit } => {
                let (used, limit) = (used >> 20, limit >> 20);
                write!(f, "{used} MiB of memory in use, the limit is {limit} (limits.memory_mib)")
            }
            Self::Descriptors { open, limit } => {
                write!(f, "{open} file descriptors open, the limit is {limit} (limits.file_descriptors)")
            }
        }
    }
}

/// What a node uses now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory in bytes; `None` where the system does not say.
    pub memory: Option<u64>,
    /// Open file descriptors; `None` where the system does not say.
    pub descriptors: Option<u64>,
}

impl Usage {
    /// As the system has it now.
    pub fn sample() -> Self {
        Self { memory: process::resident_bytes(), descriptors: process::open_descriptors() }
    }
}

/// Keeps a node within its limits. Sampled once a second, asked before every new link.
#[derive(Debug, Clone)]
pub struct Guard {
    memory: Option<u64>,
    descriptors: u64,
    usage: Usage,
    short_of_memory: bool,
}

impl Guard {
    /// Raises the process's limit of file descriptors to what is configured, and takes a first sample.
    ///
    /// # Errors
    /// [`Error::Input`] if the system does not allow as many.
    pub fn install(limits: &super::config::Limits) -> Result<Self, Error> {
        raise(limits.file_descriptors).map_err(|why| Error::input("limits.file_descriptors", why))?;
        let mut guard = Self::new(limits.memory_bytes, limits.file_descriptors);
        guard.update(Usage::sample());
        Ok(guard)
    }

    /// A guard with these limits, in bytes and file descriptors, that has sampled nothing yet.
    pub const fn new(memory: Option<u64>, descriptors: u64) -> Self {
        let usage = Usage { memory: None, descriptors: None };
        Self { memory, descriptors, usage, short_of_memory: false }
    }

    /// Takes a sample.
    pub fn update(&mut self, usage: Usage) {
        self.usage = usage;
        let (Some(used), Some(limit)) = (usage.memory, self.memory) else {
            self.short_of_memory = false;
            return;
        };
        let from = if self.short_of_memory { limit / 100 * RESUME_PERCENT } else { refuse_from(limit) };
        self.short_of_memory = used >= from;
    }

    /// Whether another link may be taken.
    ///
    /// # Errors
    /// Why not.
    pub fn admit(&self) -> Result<(), Refusal> {
        if let (true, Some(used), Some(limit)) = (self.short_of_memory, self.usage.memory, self.memory) {
            return Err(Refusal::Memory { used, limit });
        }
        match self.usage.descriptors {
            Some(open) if open.saturating_add(RESERVED_DESCRIPTORS) >= self.descriptors => {
                Err(Refusal::Descriptors { open, limit: self.descriptors })
            }
            _ => Ok(()),
        }
    }

    /// The last sample.
    pub const fn usage(&self) -> Usage {
        self.usage
    }

    /// The limits: bytes, if there is one, and file descriptors.
    pub const fn limits(&self) -> (Option<u64>, u64) {
        (self.memory, self.descriptors)
    }
}

/// Whether the system lets this process have so many file descriptors.
///
/// # Errors
/// How many it does, and what to do.
pub(super) fn attainable(wanted: u64) -> Result<(), String> {
    match process::descriptor_limits() {
        (_, Some(hard)) if hard < wanted => Err(too_many(wanted, hard)),
        _ => Ok(()),
    }
}

fn too_many(wanted: u64, hard: u64) -> String {
    format!(
        "{wanted} are wanted, the system allows {hard}; raise LimitNOFILE= of the service or `ulimit -Hn`, or lower \
         the key"
    )
}

/// Sets the soft limit. It goes up as far as wanted, and never down: others in this process may count on more.
fn raise(wanted: u64) -> Result<(), String> {
    attainable(wanted)?;
    match process::descriptor_limits() {
        (Some(soft), _) if soft < wanted => process::set_descriptor_limit(wanted)
            .map_err(|error| format!("{wanted} are wanted, the system allows {soft}: {error}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn memory(used: u64) -> Usage {
        Usage { memory: Some(used * MIB), descriptors: Some(10) }
    }

    #[test]
    fn links_are_refused_near_the_memory_limit_and_taken_again_well_below_it() {
        let mut guard = Guard::new(Some(1_000 * MIB), 1_024);
        let mut at = |used| {
            guard.update(memory(used));
            guard.admit().is_ok()
        };
        assert!(at(899));
        assert!(!at(900));
        assert!(!at(870), "it does not flip at once");
        assert!(at(849));
        assert!(at(870));
        assert!(!at(1_000));
    }

    #[test]
    fn links_are_refused_before_the_last_descriptor_is_gone() {
        let mut guard = Guard::new(None, 100);
        let mut at = |open| {
            guard.update(Usage { memory: Some(u64::MAX), descriptors: Some(open) });
            guard.admit()
        };
        assert_eq!(at(67), Ok(()));
        assert_eq!(at(68), Err(Refusal::Descriptors { open: 68, limit: 100 }));
    }

    #[test]
    fn a_system_that_tells_nothing_refuses_nobody() {
        let mut guard = Guard::new(Some(1), 1);
        guard.update(Usage::default());
        assert_eq!(guard.admit(), Ok(()));
    }

    #[test]
    fn more_descriptors_than_the_system_allows_are_an_error_that_says_how_many_it_does() {
        if let (_, Some(hard)) = process::descriptor_limits() {
            let said = attainable(hard.saturating_add(1)).err();
            if hard < u64::MAX {
                assert!(said.is_some_and(|said| said.contains(&hard.to_string())));
            }
        }
        assert_eq!(attainable(16), Ok(()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_uses_memory_and_descriptors() {
        let before = Usage::sample();
        assert!(before.memory.is_some_and(|bytes| bytes > MIB));
        let files: Vec<_> = (0..40).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        // Other tests of this process open and close some at the same time, so only the bound below is sure.
        assert!(Usage::sample().descriptors.is_some_and(|open| open >= files.len() as u64));
    }
}
