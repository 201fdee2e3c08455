//! Forwarding a frame's chunks to eight subscribers.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Result, ensure};
use av_relay::{Carriage, Limits, Quota, Relay, StartAt};
use av_wire::{AwsLc, HopReceiver, HopSuite};
use benches::{Clock, Content, Pair, Row, STREAM};
use bytes::Bytes;
use core_types::{CodecId, KeyId, LayerPolicy, LinkId, MonoTime, StripeSet};

const SUBSCRIBERS: u64 = 8;
const UPSTREAM: LinkId = LinkId(0);
const PASSES: usize = 201;

/// One sample is one pass over the clip. Ours checks each header, drops duplicates, keeps chunks for repair and lends the
/// bytes to each subscriber's link; the baseline only copies them.
pub(crate) fn fan_out(contents: &[Content]) -> Result<Row> {
    let baseline = || {
        let (time, ()) = Clock::Thread.time(|| {
            for content in contents {
                for _ in 0..SUBSCRIBERS {
                    let copies: Vec<Vec<u8>> = content.chunks.iter().map(|chunk| chunk.to_vec()).collect();
                    black_box(copies);
                }
            }
        });
        Ok(time)
    };
    Pair::interleave(PASSES, contents.len(), || relay(contents), baseline)?
        .row("relay-8", "a Vec a subscriber and chunk")
}

fn relay(contents: &[Content]) -> Result<Duration> {
    let now = MonoTime::from_millis(1);
    let mut relay = Relay::new(Limits::default());
    relay.add_link(UPSTREAM, KeyId([0; 32]), Quota::UNLIMITED)?;
    relay.carry(STREAM, Carriage::forever(CodecId::Av1))?;
    relay.add_upstream(STREAM, UPSTREAM)?;
    for link in 1..=SUBSCRIBERS {
        relay.add_link(LinkId(link), KeyId([1; 32]), Quota::UNLIMITED)?;
        relay.subscribe(now, LinkId(link), STREAM, LayerPolicy::UNCAPPED, StripeSet::ALL, StartAt::Live)?;
    }
    let arriving: Vec<Vec<Bytes>> = contents.iter().map(|content| content.chunks.clone()).collect();
    let link = HopReceiver::<AwsLc>::new(HopSuite::TransportSealed);
    let chunks: usize = arriving.iter().map(Vec::len).sum();
    let (time, outcome) = Clock::Thread.time(|| {
        for chunks in arriving {
            let fresh: Vec<_> =
                chunks.into_iter().map(|chunk| link.take_whole(chunk)).collect::<Result<_, _>>()?;
            relay.handle_chunks(now, UPSTREAM, fresh)?;
            while let Some(link) = relay.poll_ready() {
                for chunk in relay.pull(now, link, usize::MAX, usize::MAX).iter() {
                    black_box(chunk);
                }
            }
        }
        Ok::<(), anyhow::Error>(())
    });
    outcome?;
    ensure!(
        relay.stats().chunks_out == chunks as u64 * SUBSCRIBERS,
        "relay: not every chunk went to every subscriber"
    );
    Ok(time)
}
