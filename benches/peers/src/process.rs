//! Child processes: lines to and from them, what they use of the machine, and their end.

use anyhow::{Context, Result, bail, ensure};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::env::current_exe;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

/// Lines that may wait to be read.
const LINES: usize = 64;

/// A process that is ended when this is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Seconds of CPU, user and system together, to the nanosecond.
    pub(crate) cpu_s: f64,
    /// The share of it in user mode, from the coarser counters of the kernel: in ticks.
    user_ticks: u64,
    system_ticks: u64,
    pub(crate) rss_bytes: u64,
    pub(crate) rss_peak_bytes: u64,
}

impl Usage {
    /// Seconds in user mode and in system mode since `before`.
    pub(crate) fn split_since(&self, before: &Self) -> (f64, f64) {
        let cpu = self.cpu_s - before.cpu_s;
        let user = (self.user_ticks - before.user_ticks) as f64;
        let system = (self.system_ticks - before.system_ticks) as f64;
        let share = if user + system > 0.0 { user / (user + system) } else { 0.5 };
        (cpu * share, cpu * (1.0 - share))
    }
}

impl Process {
    /// Starts this program in another role.
    pub(crate) fn role(args: &[&str]) -> Result<Self> {
        Self::start(&args.join(" "), Command::new(current_exe()?).args(args), Stdio::piped())
    }

    /// Starts another program, bounded like ours. What it prints is dropped, or kept in `log`.
    pub(crate) fn foreign(program: &Path, args: &[&str], log: &Path) -> Result<Self> {
        let mut command = Command::new(current_exe()?);
        command.arg("bounded").arg(program).args(args);
        let file = fs::File::create(log)?;
        command.stderr(file.try_clone()?);
        Self::start(&program.display().to_string(), &mut command, file.into())
    }

    fn start(name: &str, command: &mut Command, output: Stdio) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(output);
        let mut child = command.spawn().with_context(|| format!("could not start `{name}`"))?;
        let (sender, lines) = sync_channel(LINES);
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self { name: name.to_owned(), input: child.stdin.take(), child, lines })
    }

    /// The next line, which is JSON.
    pub(crate) fn hear<T: DeserializeOwned>(&self, limit: Duration) -> Result<T> {
        let line = self.lines.recv_timeout(limit).map_err(|error| match error {
            RecvTimeoutError::Timeout => anyhow::anyhow!("`{}` said nothing for {limit:?}", self.name),
            RecvTimeoutError::Disconnected => anyhow::anyhow!("`{}` ended", self.name),
        })?;
        serde_json::from_str(&line).with_context(|| format!("`{}` said {line}", self.name))
    }

    pub(crate) fn tell(&mut self, what: &impl Serialize) -> Result<()> {
        let input = self.input.as_mut().context("no standard input")?;
        let line = serde_json::to_string(what)?;
        writeln!(input, "{line}").with_context(|| format!("`{}` does not listen", self.name))
    }

    /// What it has used so far.
    pub(crate) fn usage(&mut self) -> Result<Usage> {
        if let Some(status) = self.child.try_wait()? {
            bail!("`{}` ended: {status}", self.name);
        }
        let id = self.child.id();
        let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(i32::try_from(id)?))?;
        let cpu_s = Duration::from(clock_gettime(clock)?).as_secs_f64();
        let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
        let (user_ticks, system_ticks) = ticks(&stat).context("/proc/PID/stat is not what it was")?;
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        let bytes = |field| kibibytes(&status, field).map(|kib| kib * 1024).context("/proc/PID/status");
        let (rss_bytes, rss_peak_bytes) = (bytes("VmRSS:")?, bytes("VmHWM:")?);
        Ok(Usage { cpu_s, user_ticks, system_ticks, rss_bytes, rss_peak_bytes })
    }

    /// Fails if it has ended.
    pub(crate) fn still_runs(&mut self) -> Result<()> {
        let ended = self.child.try_wait()?;
        ensure!(ended.is_none(), "`{}` ended: {ended:?}", self.name);
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ticks in user and system mode: fields 14 and 15, counted from behind the name, which may hold anything.
fn ticks(stat: &str) -> Option<(u64, u64)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

fn kibibytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_found_whatever_the_name() {
        let stat = "12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 123 45 0 0 20";
        assert_eq!(ticks(stat), Some((123, 45)));
        assert_eq!(ticks("12 (a) S 1"), None);
    }

    #[test]
    fn sizes_are_read_by_their_names() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!((kibibytes(status, "VmRSS:"), kibibytes(status, "VmHWM:")), (Some(1024), Some(2048)));
        assert_eq!(kibibytes(status, "VmSwap:"), None);
    }

    #[test]
    fn time_is_split_by_the_share_of_ticks() {
        let at = |cpu_s, user_ticks, system_ticks| Usage {
            cpu_s,
            user_ticks,
            system_ticks,
            rss_bytes: 0,
            rss_peak_bytes: 0,
        };
        assert_eq!(at(5.0, 110, 40).split_since(&at(1.0, 100, 10)), (1.0, 3.0));
        assert_eq!(at(1.0, 1, 1).split_since(&at(1.0, 1, 1)), (0.0, 0.0));
    }

    #[test]
    fn a_process_that_ended_is_an_error_and_says_its_name() {
        let mut command = Command::new("true");
        let process = Process::start("true", &mut command, Stdio::piped()).unwrap();
        let error = process.hear::<String>(Duration::from_secs(10)).unwrap_err().to_string();
        assert_eq!(error, "`true` ended");
    }
}
