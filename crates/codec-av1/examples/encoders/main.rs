//! Encoders beside one another on the bundled clip: milliseconds a frame on one thread, PSNR, rate.
//!
//! `cargo run --release -p codec-av1 --example encoders [-- --quick]`

mod measure;

use std::process::ExitCode;

fn main() -> ExitCode {
    let quick = std::env::args().any(|argument| argument == "--quick");
    match measure::all(quick) {
        Ok(results) => {
            println!(
                "{:<9} {:<12} {:>9} {:>7} {:>9} {:>8}",
                "size", "encoder", "ms/frame", "worst", "kbit/s", "PSNR dB"
            );
            for result in results {
                println!(
                    "{:<9} {:<12} {:>9.2} {:>7.1} {:>9.0} {:>8.2}",
                    result.size.to_string(),
                    result.encoder,
                    result.ms_per_frame,
                    result.worst_ms,
                    result.kbit,
                    result.psnr
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
