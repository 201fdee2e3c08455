//! The publisher: a host without a group, whose stream is made and not coded.

use super::options::frame_interval;
use super::process::{Orders, say};
use super::stream::{Maker, announce};
use crate::clock::wall_now;
use crate::net::{Control, LinkEvent, Net, NetConfig, Role};
use crate::relay::RelayCore;
use crate::ticket::Ticket;
use crate::{Clock, Error};
use av_wire::permit::{Permit, PermitRole, PermitStreams};
use clap::Args;
use core_types::{KeyId, LinkId, SessionId, WallTime};
use identity::{Identity, Seed};
use std::time::{Duration, Instant};
use tokio::time::sleep_until;

const PUBLISHER: LinkId = LinkId(0);
/// The whole tool knows it: its subscribers sign their own permits with it.
const HOST_SEED: [u8; 64] = [0x42; 64];
const SESSION: SessionId = SessionId([0x17; 32]);
/// A permit is good for the longest soak.
const VALID: Duration = Duration::from_secs(4 * 3_600);

/// Options of the publisher's process.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Bits a second.
    #[arg(long)]
    rate: u64,
    /// Repair symbols of a frame.
    #[arg(long, default_value_t = 0)]
    repair: usize,
}

/// The host that all of a run trust.
pub(super) fn host() -> Result<Identity, Error> {
    Identity::from_seed(&Seed(HOST_SEED)).map_err(|e| Error::codec("identity", e))
}

/// A permit of that host.
pub(super) fn permit(host: &Identity, holder: KeyId, role: PermitRole) -> Result<Control, Error> {
    let WallTime(now) = wall_now();
    let permit = Permit {
        session: SESSION,
        issuer: host.key_id(),
        holder,
        role,
        serial: now,
        not_before: WallTime(now),
        not_after: WallTime(now + VALID.as_millis() as u64),
        streams: PermitStreams::All,
        max_bytes_per_second: 0,
        max_subscribers: 0,
    };
    Ok(Control::Permit { permit: permit.sign(host)? })
}

pub(super) async fn run(options: Options) -> Result<(), Error> {
    let clock = Clock::start();
    let listen = ([127, 0, 0, 1], 0).into();
    let (net, mut inbox) = Net::open(NetConfig::new(Seed(HOST_SEED), Role::Host, listen)).await?;
    let mut core = RelayCore::new(clock, inbox.lanes());
    let announce = announce(SESSION, net.identity().key_id())?;
    let signed = announce.sign(net.identity())?;
    let mut maker = Maker::new(announce.stream_id()?, options.repair)?;
    core.carry_own(announce.publisher, announce.stream_id()?, PUBLISHER, announce.codec)?;
    let address = net.address();
    let ticket = Ticket {
        host: net.identity().key_id(),
        session: SESSION,
        endpoint: address.endpoint,
        addresses: address.addresses,
        direct: address.direct.map(|direct| direct.port),
        invitation: [0; 16],
    };
    say(&ticket.to_string())?;
    let mut orders = Orders::new();
    let interval = frame_interval(options.rate);
    let mut next_frame: Option<Instant> = None;
    loop {
        core.sends_more().await;
        let wake = core.poll_timeout().map(|at| clock.instant(at)).into_iter().chain(next_frame).min();
        let wake = wake.unwrap_or_else(|| Instant::now() + Duration::from_secs(3_600));
        tokio::select! {
            event = inbox.next() => match event.ok_or(Error::Ended("the network"))? {
                LinkEvent::Up(link) => {
                    let id = link.id;
                    core.add_link(*link);
                    core.admit(id, false);
                }
                LinkEvent::Control(link, Control::Serve { .. }) => {
                    let Some(who) = core.peer_of(link) else { continue };
                    core.send(link, &permit(net.identity(), who, PermitRole::Relay)?);
                    core.send(link, &Control::Carry { announces: vec![signed.clone()] });
                }
                LinkEvent::Control(_, Control::Carrying | Control::Draining { .. }) => {}
                LinkEvent::Control(link, message) => core.handle_control(link, message),
                LinkEvent::Chunks(link, chunks) => core.handle_chunks(link, chunks),
                LinkEvent::Lane(link, change) => core.handle_lane(link, change),
                LinkEvent::Writable(link) => core.handle_writable(link),
                LinkEvent::Down(link, _) => core.remove_link(link),
            },
            order = orders.next() => match order.as_deref() {
                None => break,
                Some("start") => next_frame = Some(Instant::now()),
                Some(other) => return Err(Error::input(other, "the publisher takes start and stop")),
            },
            () = sleep_until(wake.into()) => {
                core.handle_timeout(clock.now());
                if let Some(at) = next_frame.filter(|at| Instant::now() >= *at) {
                    if !core.take_key_frames_wanted().is_empty() {
                        maker.want_key_frame();
                    }
                    core.publish(PUBLISHER, maker.frame()?);
                    next_frame = Some(at + interval);
                }
            }
        }
    }
    net.close().await;
    Ok(())
}
