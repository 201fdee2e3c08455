//! `cargo run --release -p codec-fountain --example first_use`: what the first object of a length waits for, in microseconds of wall
//! time, for each extended length up to 256 symbols and a few above.

use codec_fountain::{BlockShape, Encoder};
use core_types::SymbolSize;
use std::time::Instant;

fn main() -> Result<(), codec_fountain::Error> {
    let size = SymbolSize::DEFAULT;
    let mut last = 0;
    for k in (1..=256).chain([300, 500, 750, BlockShape::max_object_len(size).div_ceil(size.bytes())]) {
        let extended = raptorq::extended_source_block_symbols(k as u32);
        if extended == last {
            continue;
        }
        last = extended;
        let len = (k * size.bytes()).min(BlockShape::MAX_OBJECT_LEN);
        // What is kept for the process is asked for once; what each encoder keeps is asked for anew.
        let start = Instant::now();
        Encoder::new(size).prepare(len)?;
        let first = start.elapsed().as_micros();
        let start = Instant::now();
        Encoder::new(size).prepare(len)?;
        println!("{k:>4} symbols: {first:>6} us, for the next encoder {:>6} us", start.elapsed().as_micros());
    }
    Ok(())
}
