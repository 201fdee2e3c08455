use super::*;
use consent_decay::{ConsentClass, Terms};
use identity::Seed;

const STREAM: StreamId = StreamId([5; 32]);

struct Lab {
    writer: Writer,
    alice: Identity,
    content: ContentId,
    _dir: tempfile::TempDir,
}

fn lab() -> Lab {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::new(dir.path().to_owned(), Seed([1; 64]));
    let writer = Writer::new(config, Arc::default()).unwrap();
    let alice = Identity::from_seed(&Seed([2; 64])).unwrap();
    let content = ContentId::of(alice.key_id(), STREAM.into());
    Lab { writer, alice, content, _dir: dir }
}

impl Lab {
    fn consent(&self) -> Order {
        let terms = Terms { class: ConsentClass::Standard.into(), from: wall_now(), serial: 1 };
        let record = ConsentRecord { subject: self.alice.public().clone(), source: STREAM.into(), terms };
        Order::Said(Said::Consent { signed: record.sign(&self.alice).unwrap(), is_hosts: true })
    }

    fn tombstone(&self) -> Order {
        let (subject, source) = (self.alice.public().clone(), STREAM.into());
        let tombstone = Tombstone { subject, source, revoked_at: wall_now() };
        Order::Said(Said::Tombstone { signed: tombstone.sign(&self.alice).unwrap(), is_hosts: false })
    }

    fn held(&self) -> Result<(), symbol_store::Error> {
        self.writer.shared.reader().unwrap().describe(wall_now(), self.content).map(drop)
    }

    /// As after a write that failed.
    fn fail(&mut self) {
        self.writer.failed(symbol_store::Error::Damaged("a disk that fails"));
        assert!(self.writer.shared.reader().is_none());
    }
}

#[test]
fn consent_that_comes_while_the_store_fails_counts_when_it_is_open() {
    let mut lab = lab();
    lab.fail();
    let consent = lab.consent();
    lab.writer.take(consent);
    lab.writer.tend();
    lab.held().unwrap();
}

#[test]
fn consent_that_is_taken_back_while_the_store_fails_is_taken_back() {
    let mut lab = lab();
    let consent = lab.consent();
    lab.writer.take(consent);
    lab.held().unwrap();
    lab.writer.vault.keep(lab.content, Epoch(1), &StreamSecret::from_bytes([3; 32])).unwrap();
    lab.fail();
    let tombstone = lab.tombstone();
    lab.writer.take(tombstone);
    assert!(lab.writer.vault.load(lab.content).unwrap().is_empty(), "its keys are gone at once");
    lab.writer.tend();
    assert!(matches!(lab.held(), Err(symbol_store::Error::Revoked(_))));
}

#[test]
fn what_waits_for_a_store_is_bounded() {
    let mut lab = lab();
    lab.fail();
    for _ in 0..PUT_OFF + 10 {
        let consent = lab.consent();
        lab.writer.take(consent);
    }
    assert_eq!(lab.writer.put_off.len(), PUT_OFF);
}
