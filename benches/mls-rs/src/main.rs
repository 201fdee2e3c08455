//! mls-rs under the same operations as ours, for `benches-keys`, which runs this program and tells it what to do next.
//!
//! Arguments: the sizes of groups to grow, in rising order. When they are grown it prints `ready`. Then each line of
//! standard input, `SIZE STEP ADDS REMOVED` with `-` for nobody, is done once, and answered with the CPU time of this
//! process for it in microseconds. STEP is `build` or `receive`.
//!
//! The X-Wing suite of mls-rs has AES-128-GCM where ours has ChaCha20-Poly1305. Its groups are stored nowhere.

use anyhow::{Context, Result, anyhow, bail};
use mls_rs::client_builder::{
    BaseConfig, PaddingMode, WithCryptoProvider, WithIdentityProvider, WithMlsRules,
};
use mls_rs::identity::SigningIdentity;
use mls_rs::identity::basic::{BasicCredential, BasicIdentityProvider};
use mls_rs::mls_rules::{CommitOptions, DefaultMlsRules, EncryptionOptions};
use mls_rs::{CipherSuite, CipherSuiteProvider as _, Client, CryptoProvider as _, Group, MlsMessage};
use mls_rs_crypto_awslc::AwsLcCryptoProvider;
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::io::{BufRead as _, Write as _, stdin, stdout};
use std::time::Duration;

const SUITE: CipherSuite = CipherSuite::ML_KEM_768_X25519;
/// The number of the first who is in no group.
const STRANGERS: u32 = 1 << 20;

type Config = WithMlsRules<
    DefaultMlsRules,
    WithIdentityProvider<BasicIdentityProvider, WithCryptoProvider<AwsLcCryptoProvider, BaseConfig>>,
>;

fn main() -> Result<()> {
    let sizes: Vec<u32> = std::env::args().skip(1).map(|size| size.parse()).collect::<Result<_, _>>()?;
    let groups = grow(&sizes)?;
    println!("ready");
    stdout().flush()?;
    for line in stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let [size, step, adds, removed] = words[..] else { bail!("not an order: {line}") };
        let size: u32 = size.parse()?;
        let ends = groups.iter().find(|ends| ends.members == size).context("no such size")?;
        let removed: Vec<u32> = if removed == "-" { Vec::new() } else { vec![removed.parse()?] };
        let time = ends.run(step, adds.parse()?, &removed)?;
        println!("{}", time.as_secs_f64() * 1e6);
        stdout().flush()?;
    }
    Ok(())
}

/// The first member and the last of a group.
struct Ends {
    members: u32,
    host: Group<Config>,
    last: Group<Config>,
}

/// One group that grows by external commits, each of which brings a fresh path, so that no node is blank.
fn grow(sizes: &[u32]) -> Result<Vec<Ends>> {
    let mut host = client(0)?.create_group(Default::default(), Default::default(), None)?;
    let mut grown = Vec::new();
    for number in 1..sizes.last().copied().unwrap_or_default() {
        let info = host.group_info_message_allowing_ext_commit(true)?;
        let (last, commit) = client(number)?.commit_external(info)?;
        host.process_incoming_message(commit)?;
        let members = number + 1;
        if sizes.contains(&members) {
            grown.push(Ends { members, host: host.clone(), last });
        }
    }
    Ok(grown)
}

fn client(number: u32) -> Result<Client<Config>> {
    let crypto = AwsLcCryptoProvider::new();
    let suite = crypto.cipher_suite_provider(SUITE).context("no X-Wing suite")?;
    let (secret, public) = suite.signature_key_generate().map_err(|e| anyhow!("{e}"))?;
    // As long as the names in the other benchmarks.
    let mut name = vec![0; 32];
    name[..4].copy_from_slice(&number.to_be_bytes());
    let rules = DefaultMlsRules::new()
        .with_commit_options(
            CommitOptions::new().with_path_required(false).with_ratchet_tree_extension(false),
        )
        .with_encryption_options(EncryptionOptions::new(true, PaddingMode::None));
    let identity = SigningIdentity::new(BasicCredential::new(name).into_credential(), public);
    Ok(Client::builder()
        .crypto_provider(crypto)
        .identity_provider(BasicIdentityProvider)
        .mls_rules(rules)
        .signing_identity(identity, secret, SUITE)
        .build())
}

impl Ends {
    fn run(&self, step: &str, adds: u32, removed: &[u32]) -> Result<Duration> {
        let packages = (0..adds)
            .map(|at| {
                let stranger = client(STRANGERS + at)?;
                Ok(stranger.generate_key_package_message(Default::default(), Default::default(), None)?)
            })
            .collect::<Result<Vec<MlsMessage>>>()?;
        let mut host = self.host.clone();
        let (build, commit) = timed(|| stage(&mut host, packages, removed))?;
        match step {
            "build" => Ok(build),
            "receive" => {
                let mut last = self.last.clone();
                let (receive, _) =
                    timed(|| Ok(last.process_incoming_message(MlsMessage::from_bytes(&commit)?)?))?;
                Ok(receive)
            }
            _ => bail!("not a step: {step}"),
        }
    }
}

/// From the wish to bytes that can be sent.
fn stage(group: &mut Group<Config>, packages: Vec<MlsMessage>, removed: &[u32]) -> Result<Vec<u8>> {
    let mut builder = group.commit_builder();
    for package in packages {
        builder = builder.add_member(package)?;
    }
    for leaf in removed {
        builder = builder.remove_member(*leaf)?;
    }
    let output = builder.build()?;
    for welcome in &output.welcome_messages {
        black_box(welcome.to_bytes()?);
    }
    Ok(output.commit_message.to_bytes()?)
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(Duration, T)> {
    let now = || Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default();
    let start = now();
    let outcome = work()?;
    Ok((now().saturating_sub(start), outcome))
}
