//! Encoders beside one another on the bundled clip: CPU time a frame, PSNR, rate. One thread each. Linux alone: the time is `/proc`'s.
//!
//! `cargo run --release -p codec-av1 --example encoders [-- --quick]`

mod measure;

use std::process::ExitCode;
use std::time::Duration;

/// Nanoseconds that all threads of this process have run.
fn ran() -> Option<u64> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?;
    let ran = threads.map(|thread| {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    ran.sum()
}

fn cpu_time(work: &mut dyn FnMut()) -> Duration {
    let before = ran();
    work();
    let ran = ran().zip(before).map_or(0, |(after, before)| after.saturating_sub(before));
    Duration::from_nanos(ran)
}

fn main() -> ExitCode {
    let quick = std::env::args().any(|argument| argument == "--quick");
    match measure::all(quick, cpu_time) {
        Ok(results) => {
            println!(
                "{:<9} {:<12} {:>9} {:>7} {:>9} {:>8} {:>6}",
                "size", "encoder", "ms/frame", "worst", "kbit/s", "PSNR dB", "frames"
            );
            for result in results {
                println!(
                    "{:<9} {:<12} {:>9.2} {:>7.1} {:>9.0} {:>8.2} {:>6}",
                    result.size.to_string(),
                    result.encoder,
                    result.ms_per_frame,
                    result.worst_ms,
                    result.kbit,
                    result.psnr,
                    result.frames
                );
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
