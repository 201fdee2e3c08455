//! Nodes with a store among strangers: what they take, and from whom.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use av_wire::{AwsLc, Inner, Sealer, StreamKeys};
use consent_decay::{ConsentClass, ConsentRecord, ContentId, Terms, Tombstone};
use control_wire::{StoredAt, StoredSymbol};
use core_types::{CodecId, Epoch, Layer, LeafIndex, ObjectSeq, StreamId, WallTime};
use holomesh::net::{Control, Inbox, Link, LinkEvent, Net, NetConfig, Role};
use holomesh::record::{Config, Place, fetch, serve};
use holomesh::{Error, keyfile};
use identity::{Identity, Seed};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn now() -> WallTime {
    WallTime(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64)
}

/// Somebody with a stream, and signed consent to it.
struct Subject {
    identity: Identity,
    seed: [u8; 64],
    stream: StreamId,
}

impl Subject {
    fn new(stream: u8) -> Self {
        let seed = keyfile::random_seed().unwrap();
        let identity = Identity::from_seed(&seed).unwrap();
        Self { identity, seed: seed.0, stream: StreamId([stream; 32]) }
    }

    fn content(&self) -> ContentId {
        ContentId::of(self.identity.key_id(), self.stream.into())
    }

    fn consent(&self) -> Vec<u8> {
        let terms = Terms { class: ConsentClass::Standard.into(), from: now(), serial: 1 };
        let record =
            ConsentRecord { subject: self.identity.public().clone(), source: self.stream.into(), terms };
        record.sign(&self.identity).unwrap()
    }

    fn tombstone(&self) -> Vec<u8> {
        let (subject, source) = (self.identity.public().clone(), self.stream.into());
        Tombstone { subject, source, revoked_at: now() }.sign(&self.identity).unwrap()
    }

    fn symbol(&self, object: u64) -> StoredSymbol {
        let keys = StreamKeys::<AwsLc>::derive(&[7; 32], self.stream, LeafIndex(0)).unwrap();
        let mut sealer = Sealer::new(keys, self.stream, Epoch(1), CodecId::Opus);
        let inner = Inner::Object { seq: ObjectSeq(object), bytes: b"sound" };
        let chunk = sealer.seal(Layer::BASE, &inner).unwrap();
        StoredSymbol { object, id: 0, group: 0, retention: 0, chunk }
    }
}

async fn dial(seed: [u8; 64], to: &Place) -> (Net, Inbox, Link) {
    let config = NetConfig { lanes: false, ..NetConfig::new(Seed(seed), Role::Watcher, LOOPBACK) };
    let (net, inbox) = Net::open(config).await.unwrap();
    let mut link = net.connect(&to.0).await.unwrap();
    link.begin();
    (net, inbox, link)
}

async fn answer(inbox: &mut Inbox) -> Control {
    loop {
        let event = tokio::time::timeout(Duration::from_secs(20), inbox.next()).await.unwrap().unwrap();
        if let LinkEvent::Control(_, message) = event {
            return message;
        }
    }
}

#[tokio::test]
async fn consent_from_elsewhere_opens_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::new(folder.path().to_owned(), keyfile::random_seed().unwrap());
    let (tell, told) = tokio::sync::oneshot::channel();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let ends = async {
        let _ = ended.await;
    };
    let serving = tokio::spawn(serve(config, LOOPBACK, ends, |place| drop(tell.send(place))));
    let place = told.await.unwrap();

    // Orders are carried out in turn: once the tombstone is known, the consent has been looked at.
    let (stranger, other) = (Subject::new(1), Subject::new(2));
    let (net, mut inbox, link) = dial(stranger.seed, &place).await;
    link.send(&Control::Consent { consents: vec![stranger.consent()] });
    link.send(&Control::Tombstone { tombstone: other.tombstone() });
    let ask = |content: ContentId| Control::Fetch { content: content.0, from: None, grant: Vec::new() };
    loop {
        link.send(&ask(other.content()));
        match answer(&mut inbox).await {
            Control::Tombstone { tombstone } => {
                break assert_eq!(Tombstone::verify(&tombstone).unwrap().content(), other.content());
            }
            Control::FetchRefused { .. } => tokio::time::sleep(Duration::from_millis(20)).await,
            unexpected => panic!("{unexpected:?}"),
        }
    }
    link.send(&ask(stranger.content()));
    let refusal = answer(&mut inbox).await;
    assert!(
        matches!(&refusal, Control::FetchRefused { why, .. } if why.contains("nothing is held")),
        "{refusal:?}"
    );
    net.close().await;
    let _ = end.send(());
    serving.await.unwrap().unwrap();
}

/// A node that says it has a store, and answers each request with the next of these.
async fn liar(answers: Vec<Control>) -> Place {
    let seed = keyfile::random_seed().unwrap();
    let (net, mut inbox) =
        Net::open(NetConfig { lanes: false, ..NetConfig::new(seed, Role::Relay, LOOPBACK) }).await.unwrap();
    let place = Place(net.address());
    tokio::spawn(async move {
        let _net = net;
        let (mut links, mut answers) = (Vec::new(), answers.into_iter());
        while let Some(event) = inbox.next().await {
            match event {
                LinkEvent::Up(mut link) => {
                    link.begin();
                    links.push(link);
                }
                LinkEvent::Control(_, Control::Fetch { .. }) => {
                    let Some(answer) = answers.next() else { continue };
                    links.iter().for_each(|link| link.send(&answer));
                }
                _ => {}
            }
        }
    });
    place
}

#[tokio::test]
async fn a_store_that_lies_is_found_out() {
    let (asked, other) = (Subject::new(1), Subject::new(2));
    let content = asked.content();
    let at = StoredAt { epoch: 1, object: 5, skip: 0 };
    let head = |consent: Vec<u8>| Control::FetchedHead {
        content: content.0,
        consent,
        manifest: Vec::new(),
        first: Some(at),
    };
    let fetched =
        |symbols: Vec<StoredSymbol>, next| Control::Fetched { content: content.0, at, symbols, next };
    let good = || head(asked.consent());
    let symbols = || vec![asked.symbol(5)];
    let further = |object, skip| Some(StoredAt { object, skip, ..at });
    let lies = [
        ("consent to something else", vec![head(other.consent())], "another content"),
        ("no consent at all", vec![head(vec![1, 2, 3])], "consent"),
        ("another answer", vec![good(), good()], "something else"),
        (
            "of another stream",
            vec![good(), fetched(vec![asked.symbol(5), other.symbol(5)], None)],
            "another stream",
        ),
        ("in circles", vec![good(), fetched(symbols(), Some(at))], "where it was"),
        ("back", vec![good(), fetched(symbols(), further(4, 0))], "where it was"),
        ("on without a symbol", vec![good(), fetched(vec![], further(5, 1))], "where it was"),
        (
            "a group that there is not",
            vec![good(), fetched(vec![StoredSymbol { group: 4, ..asked.symbol(5) }], None)],
            "no group",
        ),
        (
            "no chunk",
            vec![good(), fetched(vec![StoredSymbol { chunk: vec![0xee; 80], ..asked.symbol(5) }], None)],
            "codec",
        ),
        ("another's tombstone", vec![Control::Tombstone { tombstone: other.tombstone() }], "another content"),
    ];
    for (what, answers, says) in lies {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::new(folder.path().to_owned(), keyfile::random_seed().unwrap());
        let place = liar(answers).await;
        let outcome = fetch(&config, Some(LOOPBACK), &place, content, &[]).await;
        let error = outcome.expect_err(what).to_string();
        assert!(error.contains(says), "{what}: {error}");
    }
    // And one that does not.
    let folder = tempfile::tempdir().unwrap();
    let config = Config::new(folder.path().to_owned(), keyfile::random_seed().unwrap());
    let place = liar(vec![
        good(),
        fetched(symbols(), further(5, 1)),
        Control::Fetched {
            content: content.0,
            at: StoredAt { skip: 1, ..at },
            symbols: vec![asked.symbol(6)],
            next: None,
        },
    ])
    .await;
    let got = fetch(&config, Some(LOOPBACK), &place, content, &[]).await.unwrap();
    assert_eq!((got.groups, got.had, got.symbols), (1, 0, 2));
    // The tombstone that comes instead is kept, and what was fetched is gone.
    let place = liar(vec![Control::Tombstone { tombstone: asked.tombstone() }]).await;
    let gone = fetch(&config, Some(LOOPBACK), &place, content, &[]).await;
    assert!(matches!(gone, Err(Error::Store(symbol_store::Error::Revoked(_)))), "{gone:?}");
    let place = liar(vec![good()]).await;
    let refused = fetch(&config, Some(LOOPBACK), &place, content, &[]).await;
    assert!(matches!(refused, Err(Error::Store(symbol_store::Error::Revoked(_)))), "{refused:?}");
}
