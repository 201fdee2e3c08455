//! The bundled speech through bursts of loss: redundancy and networks beside classic concealment.
//!
//! `cargo run --release -p codec-opus --example speech [-- --quick]`

mod measure;

use std::process::ExitCode;
use std::time::{Duration, Instant};

fn wall_time(work: &mut dyn FnMut()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn main() -> ExitCode {
    let quick = std::env::args().any(|argument| argument == "--quick");
    match measure::all(quick, wall_time) {
        Ok(outcomes) => {
            for found in outcomes {
                println!("{}, {} minutes", found.name, found.rounds);
                let (whole, said) = (found.from_whole, found.from_said);
                for (what, (ours, classic)) in [
                    ("spectral distance from what was sent, dB", (whole.0.spectral, whole.1.spectral)),
                    ("  the same without the level, dB", (whole.0.cepstral, whole.1.cepstral)),
                    ("spectral distance from what was said, dB", (said.0.spectral, said.1.spectral)),
                    ("  the same without the level, dB", (said.0.cepstral, said.1.cepstral)),
                    ("playout delay, p95, ms", found.delay),
                    ("wall time of 20 ms, us", found.cpu),
                    ("a packet, bytes", found.bytes),
                ] {
                    println!("  {what:<45} {ours:>8.3} {classic:>8.3} {:>6.3}", ours / classic);
                }
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
