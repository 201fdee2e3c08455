//! What the demo can be asked to do.

use crate::Error;
use crate::net::TransportChoice;
use crate::publish::{Encoder, VideoConfig};
use crate::report::{StepKind, Steps};
use clap::Args;
use codec_av1::Structure;
use codec_mdc::Descriptions;
use core_types::BitRate;
use std::path::PathBuf;
use std::time::Duration;

/// Options of `holomesh demo`. Times are in seconds after the first frame; an event at or after the end never happens.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Relays between the publisher and the watchers; 0: the publisher feeds the watchers itself.
    #[arg(long, default_value_t = 4)]
    pub relays: u8,
    /// Watchers from the start; one more joins later.
    #[arg(long, default_value_t = 6)]
    pub watchers: u8,
    /// Over how many relays each watcher's streams are dealt.
    #[arg(long, default_value_t = 4)]
    pub parents: u8,
    /// How long to publish.
    #[arg(long, default_value_t = 10.0)]
    pub seconds: f64,
    /// Media datagrams lost on every hop, in percent.
    #[arg(long, default_value_t = 2.0)]
    pub loss: f64,
    /// When a relay that feeds watchers dies without a word.
    #[arg(long, default_value_t = 4.0)]
    pub kill_relay_at: f64,
    /// When another member joins.
    #[arg(long, default_value_t = 5.0)]
    pub join_at: f64,
    /// When a member is removed; its node goes on listening.
    #[arg(long, default_value_t = 7.0)]
    pub leave_at: f64,
    /// The clip to publish: Y4M, or AV1 in IVF [default: the bundled one].
    #[arg(long)]
    pub clip: Option<PathBuf>,
    /// The sound to publish: WAV [default: the bundled one].
    #[arg(long)]
    pub audio: Option<PathBuf>,
    /// Where the report and the recording go.
    #[arg(long, default_value = "demo-out")]
    pub out: PathBuf,
    /// Where the figures go as JSON [default: report.json in the output folder].
    #[arg(long)]
    pub json: Option<PathBuf>,
    /// Seeds the loss.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Video bit rate in kbit/s.
    #[arg(long, default_value_t = 700)]
    pub bit_rate: u64,
    /// What encodes the pictures.
    #[arg(long, value_enum, default_value_t)]
    pub encoder: Encoder,
    /// In which layers: `L1T1`, `L1T2`, `L1T3`, `L2T1` up to `L3T3` (resolutions and picture rates), `L1T1Q2` and the like (qualities).
    /// Who has less room gets fewer of them. rav1e has L1T1 to L3T1.
    #[arg(long, default_value_t = Structure::L1T1)]
    pub layers: Structure,
    /// Send the pictures in 2 or 4 descriptions, each over a relay of its own: any of them is a picture, more are a better one.
    #[arg(long, value_name = "2|4", value_parser = crate::cli::descriptions, conflicts_with = "layers")]
    pub mdc: Option<Descriptions>,
    /// What each watcher lends of its uplink to feed others, in kbit/s [default: nothing].
    #[arg(long, value_name = "KBIT", value_parser = clap::value_parser!(u32).range(100..))]
    pub uplink: Option<u32>,
    /// From when an object could have arrived to when it is played, in milliseconds.
    #[arg(long, default_value_t = 85)]
    pub delay: u64,
    /// Publishers who speak in turn, each in a session of its own; the first watcher has them on one screen, which shows who speaks.
    #[arg(long, default_value_t = 1)]
    pub speakers: u8,
    /// What media travel on.
    #[arg(long, value_enum, default_value_t)]
    pub transport: TransportChoice,
}

impl Options {
    /// Refuses what makes no sense, and says what would.
    ///
    /// # Errors
    /// [`Error::Input`], naming the option.
    pub fn check(&self) -> Result<(), Error> {
        let range = |name: &str, value: f64, low: f64, high: f64| {
            if (low..=high).contains(&value) {
                return Ok(());
            }
            Err(Error::input(format!("--{name} {value}"), format!("must be between {low} and {high}")))
        };
        range("relays", self.relays.into(), 0.0, 16.0)?;
        range("watchers", self.watchers.into(), 1.0, 32.0)?;
        range("speakers", self.speakers.into(), 1.0, 4.0)?;
        range("parents", self.parents.into(), 1.0, 16.0)?;
        range("seconds", self.seconds, 1.0, 600.0)?;
        range("loss", self.loss, 0.0, 50.0)?;
        range("bit-rate", self.bit_rate as f64, 20.0, 50_000.0)?;
        range("delay", self.delay as f64, 0.0, 2_000.0)?;
        for (name, at) in
            [("kill-relay-at", self.kill_relay_at), ("join-at", self.join_at), ("leave-at", self.leave_at)]
        {
            range(name, at, 0.0, 1e9)?;
        }
        self.video(Duration::from_millis(40)).check()?;
        if self.leave_at < self.seconds && self.watchers < 2 {
            return Err(Error::input(
                "--watchers 1",
                "one has to stay when one leaves: give at least 2, or --leave-at 1e9",
            ));
        }
        Ok(())
    }

    /// In which steps pictures can be had.
    pub(super) fn steps(&self) -> Steps {
        let (of, count) = match self.mdc {
            Some(of) => (StepKind::Descriptions, of.count() as u8),
            None if self.layers.quality() > 1 => (StepKind::Qualities, self.layers.quality()),
            None if self.layers.spatial() > 1 => (StepKind::Resolutions, self.layers.spatial()),
            // Of several picture rates a picture has one.
            None => (StepKind::Whole, 1),
        };
        Steps { of, count }
    }

    /// How pictures are encoded that come so long after one another.
    pub(super) fn video(&self, interval: Duration) -> VideoConfig {
        VideoConfig {
            encoder: self.encoder,
            layers: self.layers,
            descriptions: self.mdc,
            bit_rate: BitRate::from_kbit(self.bit_rate),
            bounds: None,
            max_key_interval: (5.0 / interval.as_secs_f64()) as u32,
            threads: 2,
        }
    }

    /// Those of somebody who publishes beside the first one: in one layer, at half the rate.
    pub(super) fn guest_video(&self, interval: Duration) -> VideoConfig {
        VideoConfig {
            layers: Structure::L1T1,
            descriptions: None,
            bit_rate: BitRate::from_kbit((self.bit_rate / 2).max(20)),
            ..self.video(interval)
        }
    }

    /// How many relays carry pictures to each watcher, if there are as many: each one of the descriptions, or a share of all. Where watchers
    /// lend, some take the place of relays.
    pub(super) fn carriers(&self) -> u32 {
        if self.uplink.is_some() {
            return 1;
        }
        let wanted = self.mdc.map_or(self.parents, |of| of.count() as u8);
        wanted.min(self.relays).max(1).into()
    }

    pub(super) const fn lanes(&self) -> bool {
        self.transport.lanes()
    }

    pub(super) const fn direct(&self) -> bool {
        self.transport.direct()
    }

    /// An event's time, if it happens at all.
    pub(super) fn event(&self, at: f64) -> Option<Duration> {
        (at < self.seconds).then(|| Duration::from_secs_f64(at))
    }

    /// As shown in the report.
    pub(super) fn shown(&self) -> Vec<(&'static str, String)> {
        let path =
            |path: &Option<PathBuf>| path.as_ref().map_or("bundled".into(), |p| p.display().to_string());
        vec![
            ("relays", self.relays.to_string()),
            ("watchers", self.watchers.to_string()),
            ("parents", self.parents.to_string()),
            ("seconds", self.seconds.to_string()),
            ("loss", format!("{} %", self.loss)),
            ("kill-relay-at", self.kill_relay_at.to_string()),
            ("join-at", self.join_at.to_string()),
            ("leave-at", self.leave_at.to_string()),
            ("clip", path(&self.clip)),
            ("audio", path(&self.audio)),
            ("bit-rate", format!("{} kbit/s", self.bit_rate)),
            ("encoder", format!("{:?}", self.encoder).to_lowercase()),
            ("layers", self.layers.to_string()),
            (
                "mdc",
                self.mdc
                    .map_or_else(|| "one description".into(), |of| format!("{} descriptions", of.count())),
            ),
            ("uplink", self.uplink.map_or_else(|| "lends nothing".into(), |kbit| format!("{kbit} kbit/s"))),
            ("delay", format!("{} ms", self.delay)),
            ("speakers", self.speakers.to_string()),
            ("transport", self.transport.to_string()),
        ]
    }
}
