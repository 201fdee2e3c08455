//! Objects to symbols and back.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Result, ensure};
use benches::{Clock, Content, PARENTS, Pair, Row};
use codec_fountain::{Encoder, Reassembler, ReassemblyLimits, Symbol};
use core_types::SymbolSize;
use raptorq::{Decoder, EncodingPacket, ObjectTransmissionInformation, PayloadId};

const PASSES: usize = 51;

/// What does not arrive.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Loss {
    /// Everything does.
    None,
    /// One parent's stripe is missing.
    OneParent,
}

/// One sample is one pass over the clip, with the plan for every `K` in place.
pub(crate) fn encode(contents: &[Content]) -> Result<Row> {
    let mut encoder = Encoder::new(SymbolSize::DEFAULT);
    let ours = || {
        let (time, outcome) = Clock::Thread.time(|| {
            for content in contents {
                black_box(encoder.encode(&content.object, content.repair)?);
            }
            Ok::<(), codec_fountain::Error>(())
        });
        outcome?;
        Ok(time)
    };
    let baseline = || {
        let (time, ()) = Clock::Thread.time(|| {
            for content in contents {
                let encoder = raptorq::Encoder::new(&content.object, parameters(content));
                black_box(encoder.get_encoded_packets(content.repair));
            }
        });
        Ok(time)
    };
    Pair::interleave(PASSES, contents.len(), ours, baseline)?.row("fountain-encode", "raptorq::Encoder::new")
}

/// One sample is one pass over the clip. Ours is given every symbol that arrives, as in the node; the baseline is asked
/// no more once it has the object.
pub(crate) fn reassemble(contents: &[Content], loss: Loss) -> Result<Row> {
    let arriving = arriving(contents, loss);
    let ours = || reassemble_ours(&arriving);
    let baseline = || reassemble_directly(&arriving);
    let name = match loss {
        Loss::None => "reassemble",
        Loss::OneParent => "reassemble-25-lost",
    };
    Pair::interleave(PASSES, contents.len(), ours, baseline)?.row(name, "raptorq::Decoder")
}

struct Arriving<'a> {
    content: &'a Content,
    symbols: Vec<&'a Symbol>,
}

/// Numbers run on from frame to frame, so the missing stripe takes another part of each.
fn arriving(contents: &[Content], loss: Loss) -> Vec<Arriving<'_>> {
    let mut next = 0u64;
    let mut survives = || {
        next += 1;
        matches!(loss, Loss::None) || !next.is_multiple_of(PARENTS.into())
    };
    let mut frames = Vec::with_capacity(contents.len());
    for content in contents {
        let (mut symbols, mut lost) = (Vec::new(), Vec::new());
        for symbol in &content.symbols {
            if survives() { symbols.push(symbol) } else { lost.push(symbol) }
        }
        let mut frame = Arriving { content, symbols };
        // Exactly K symbols fail about once in 200; the node then asks for one more.
        while decode_directly(&frame).is_none() && !lost.is_empty() {
            frame.symbols.extend(lost.pop());
        }
        frames.push(frame);
    }
    frames
}

fn reassemble_ours(arriving: &[Arriving<'_>]) -> Result<Duration> {
    let mut reassembler = Reassembler::new(SymbolSize::DEFAULT, ReassemblyLimits::default())?;
    let (time, outcome) = Clock::Thread.time(|| {
        let mut complete = 0;
        for Arriving { content, symbols } in arriving {
            for symbol in symbols {
                let object = reassembler.push(content.seq, content.object.len(), symbol.id, &symbol.data)?;
                complete += usize::from(black_box(object).is_some());
            }
        }
        Ok::<usize, codec_fountain::Error>(complete)
    });
    ensure!(outcome? == arriving.len(), "reassemble: an object is missing");
    Ok(time)
}

fn reassemble_directly(arriving: &[Arriving<'_>]) -> Result<Duration> {
    let (time, complete) =
        Clock::Thread.time(|| arriving.iter().filter_map(|frame| black_box(decode_directly(frame))).count());
    ensure!(complete == arriving.len(), "reassemble: raptorq does not give an object");
    Ok(time)
}

fn decode_directly(frame: &Arriving<'_>) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(parameters(frame.content));
    // The symbol lies in an opened chunk, and raptorq wants its own.
    let packet =
        |symbol: &&Symbol| EncodingPacket::new(PayloadId::new(0, symbol.id.value()), symbol.data.clone());
    frame.symbols.iter().map(packet).find_map(|packet| decoder.decode(packet))
}

/// One source block, one sub-block, alignment 1.
fn parameters(content: &Content) -> ObjectTransmissionInformation {
    ObjectTransmissionInformation::new(
        content.object.len() as u64,
        SymbolSize::DEFAULT.bytes() as u16,
        1,
        1,
        1,
    )
}
