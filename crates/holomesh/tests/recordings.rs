//! Recorded, played, fetched, taken back: with processes of their own, over real sockets, on a real clip.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use holomesh::media::VideoSource;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;
use support::{Node, asset, holomesh};

/// A folder with keys and stores.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        for who in ["host", "relay", "member", "other"] {
            let made = place.run(&["key", "new", &place.key(who), "--no-passphrase"]);
            std::fs::write(place.path(&format!("{who}.id")), made.stdout).unwrap();
        }
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn key(&self, who: &str) -> String {
        self.text(&format!("{who}.key"))
    }

    fn id(&self, who: &str) -> String {
        let said = std::fs::read_to_string(self.path(&format!("{who}.id"))).unwrap();
        said.split_whitespace().last().unwrap().to_owned()
    }

    /// Runs a command with the store and key of somebody.
    fn with_store(&self, who: &str, args: &[&str]) -> Output {
        let (store, key) = (self.text(&format!("{who}.store")), self.key(who));
        self.run(&[args, &["--store", &store, "--key", &key]].concat())
    }

    fn run(&self, args: &[&str]) -> Output {
        holomesh().args(args).output().unwrap()
    }

    fn host(&self, more: &[&str]) -> Node {
        let mut host = holomesh();
        host.arg("host").arg(asset("clip.ivf")).arg("--audio").arg(asset("speech.wav")).arg("--loop");
        Node::spawn(host.args(["--key", &self.key("host")]).args(more))
    }
}

fn good(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(output: Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The number before a word.
fn number_before(said: &str, what: &str) -> u64 {
    let before = said[..said.find(what).unwrap_or_else(|| panic!("no {what:?} in {said}"))].trim_end();
    before.rsplit([' ', '(', '\n']).next().unwrap().parse().unwrap()
}

/// How well the pictures of a file are those of the clip, in its order: pictures, and the mean of their PSNR.
fn compared(file: &Path) -> (usize, f64) {
    let all = |path: &Path| {
        let mut source = VideoSource::open(path).unwrap();
        std::iter::from_fn(move || source.next_frame().unwrap()).collect::<Vec<_>>()
    };
    let (clip, played) = (all(&asset("clip.ivf")), all(file));
    // Whoever joined came in somewhere: near what the first picture is like, which may be as much like the one beside it.
    let likeness = |at: usize| clip[at].psnr_y(&played[0]).unwrap();
    let near = (0..clip.len()).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b))).unwrap();
    let mean = |start: usize| {
        let each = played.iter().enumerate();
        let sum: f64 = each.map(|(n, frame)| clip[(start + n) % clip.len()].psnr_y(frame).unwrap()).sum();
        sum / played.len() as f64
    };
    let starts = (clip.len() + near - 2)..=(clip.len() + near + 2);
    (played.len(), starts.map(mean).max_by(f64::total_cmp).unwrap())
}

#[test]
fn what_was_recorded_is_played_fetched_and_gone_when_consent_is_taken_back() {
    let place = Place::new();
    let mut host = place.host(&["--consent", "temporary", "--layers", "L1T3"]);
    let ticket = host.first_line();
    let mut relay = holomesh();
    relay.args(["relay", &ticket, "--store", &place.text("relay.store"), "--key", &place.key("relay")]);
    let relay = Node::spawn(&mut relay);
    relay.wait_for("recordings are at", Duration::from_secs(20));
    let at = relay.said().split_whitespace().find(|word| word.contains('@')).unwrap().to_owned();

    // A member records; what it has is the pictures that were published.
    let recorded = place.with_store("member", &["record", &ticket, "--seconds", "6"]);
    let contents = good(recorded);
    let pictures = contents.lines().next().unwrap();
    let (y4m, mkv) = (place.text("out.y4m"), place.text("out.mkv"));
    let wav = place.text("out.wav");
    let played = place.with_store("member", &["play", pictures, "-o", &y4m, "-o", &mkv, "-o", &wav]);
    let report = said(&played);
    good(played);
    assert!(number_before(&report, "pictures (") > 100, "{report}");
    assert!(number_before(&report, "packets of sound") > 200, "{report}");
    assert_eq!(number_before(&report, "chunks could not"), 0, "{report}");
    assert_eq!(number_before(&report, "forged"), 0, "{report}");
    let proven = number_before(&report, "are proven") + number_before(&report, "by Ed25519 alone");
    assert!(proven > 300, "{report}");
    let (count, psnr) = compared(Path::new(&y4m));
    assert!(count > 100 && psnr > 33.0, "{count} pictures, {psnr} dB");
    assert!(std::fs::metadata(&mkv).unwrap().len() > 100_000);
    // Sound alone, too: as much of it as of the pictures.
    let seconds = |file: &str| f64::from(hound::WavReader::open(file).unwrap().duration()) / 48_000.0;
    assert!((seconds(&wav) - count as f64 / 25.0).abs() < 1.0, "{} s of sound", seconds(&wav));
    let sound = contents.lines().nth(1).unwrap();
    good(place.with_store("member", &["play", sound, "-o", &wav]));
    assert!(seconds(&wav) > 4.0);

    // The relay has it too, can't read it, and hands it to whom the publisher names.
    let shown = good(place.with_store("member", &["consent", "show", pictures]));
    let stream = shown.lines().find_map(|line| line.strip_prefix("stream")).unwrap().trim();
    assert!(host.said().contains(&format!("temporary, to recordings of stream {stream}")), "{}", host.said());
    let fetch = ["store", "fetch", pictures, "--from", &at];
    assert!(refused(place.with_store("other", &fetch)).contains("nothing is held"));
    let grant = place.text("grant");
    let other = place.id("other");
    let share = ["consent", "share", stream, "--key", &place.key("host"), "--with", &other, "-o", &grant];
    assert_eq!(good(place.run(&share)).trim(), pictures);
    let with_grant = [&fetch[..], &["--grant", &grant]].concat();
    good(place.with_store("other", &with_grant));
    let again = said(&place.with_store("other", &with_grant));
    assert!(
        number_before(&again, "symbols") < 2_000 && number_before(&again, "of which were here") > 0,
        "{again}"
    );
    assert!(good(place.with_store("other", &["store", "ls"])).contains("full"));
    good(place.with_store("other", &["store", "verify"]));
    assert!(refused(place.with_store("other", &["play", pictures, "-o", "-"])).contains("no keys"));
    // Another's keys are of no use to it: they are sealed under their owner's.
    copy_keys(&place, "member", "other");
    assert!(refused(place.with_store("other", &["play", pictures, "-o", "-"])).contains("another key"));
    // What the relay kept is what the member saw: the member plays the relay's copy with its own keys.
    let (copy, copied) = (place.text("copy.store"), place.text("copied.y4m"));
    let key = place.key("member");
    let member_grant = place.text("member.grant");
    let member = place.id("member");
    good(place.run(&[
        "consent",
        "share",
        stream,
        "--key",
        &place.key("host"),
        "--with",
        &member,
        "-o",
        &member_grant,
    ]));
    let fetch_copy = [&fetch[..], &["--grant", &member_grant, "--store", &copy, "--key", &key]].concat();
    good(place.run(&fetch_copy));
    std::fs::rename(place.path("member.store/epochs"), place.path("copy.store/epochs")).unwrap();
    good(place.run(&["play", pictures, "-o", &copied, "--store", &copy, "--key", &key]));
    let (count, psnr) = compared(Path::new(&copied));
    assert!(count > 100 && psnr > 33.0, "{count} pictures, {psnr} dB");

    // Nobody but the publisher takes it back; then it is gone everywhere that hears of it.
    let revoke = |key: &str| place.run(&["consent", "revoke", stream, "--key", &place.key(key), "--at", &at]);
    assert!(!good(revoke("other")).contains(pictures), "another's stream of that name is other content");
    good(place.with_store("other", &with_grant));
    assert!(good(revoke("host")).contains(pictures));
    assert!(refused(place.with_store("other", &with_grant)).contains("taken back"));
    assert!(!good(place.with_store("other", &["store", "ls"])).contains(pictures));
    assert!(refused(place.with_store("other", &["store", "show", pictures])).contains("taken back"));
}

/// Each description is a content of its own, and any of them is played with the others that are there.
#[test]
fn what_was_recorded_in_several_descriptions_is_played_from_all_of_them() {
    let place = Place::new();
    let mut host = place.host(&["--consent", "temporary", "--mdc", "2"]);
    let ticket = host.first_line();
    let recorded = good(place.with_store("member", &["record", &ticket, "--seconds", "5"]));
    let listed = good(place.with_store("member", &["store", "ls"]));
    assert_eq!(listed.matches("pictures 480x270").count(), 2, "{recorded}{listed}");
    let y4m = place.text("out.y4m");
    for content in recorded.lines().take(2) {
        let played = place.with_store("member", &["play", content, "-o", &y4m]);
        let report = said(&played);
        good(played);
        assert!(number_before(&report, "pictures (") > 80, "{report}");
        assert!(number_before(&report, "in fewer layers") < 10, "{report}");
    }
    let (count, psnr) = compared(Path::new(&y4m));
    assert!(count > 80 && psnr > 33.0, "{count} pictures, {psnr} dB");
}

/// Nothing is to be copied: keys are sealed under their owner's own key.
fn copy_keys(place: &Place, from: &str, to: &str) {
    let [from, to] = [from, to].map(|who| place.path(&format!("{who}.store")).join("epochs"));
    std::fs::create_dir_all(&to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

#[test]
fn without_consent_nothing_is_kept() {
    let place = Place::new();
    let mut host = place.host(&[]);
    let ticket = host.first_line();
    let refusal = refused(place.with_store("member", &["record", &ticket, "--seconds", "3"]));
    assert!(refusal.contains("does not consent") && refusal.contains("--consent"), "{refusal}");
    assert_eq!(good(place.with_store("member", &["store", "ls"])), "");
    assert_eq!(std::fs::read_dir(place.path("member.store/epochs")).unwrap().count(), 0);
}

#[test]
fn what_is_wrong_with_a_command_is_said_with_what_would_be_right() {
    let place = Place::new();
    let unknown = "a".repeat(52);
    let says = |args: &[&str], what: &str| {
        let said = refused(place.with_store("member", args));
        assert!(said.contains(what), "{args:?}: {said}");
    };
    says(&["store", "ls"], "there is no store here");
    says(&["play", &unknown, "-o", "x.avi"], "must end in .mkv");
    says(&["store", "fetch", &unknown, "--from", "127.0.0.1:9"], "KEY@ADDRESS:PORT");
    let mut host = place.host(&["--consent", "temporary"]);
    let ticket = host.first_line();
    good(place.with_store("member", &["record", &ticket, "--seconds", "2"]));
    says(&["play", &unknown, "-o", "-"], "nothing is held");
    let (store, other) = (place.text("member.store"), place.key("other"));
    let said = refused(place.run(&["store", "ls", "--store", &store, "--key", &other]));
    assert!(said.contains("store key"), "{said}");
    let mut relay = holomesh();
    relay.args(["relay", &ticket, "--store", &place.text("relay.store")]);
    let (ok, said) = Node::spawn(&mut relay).finish(Duration::from_secs(20));
    assert!(!ok && said.contains("--key"), "{said}");
}
