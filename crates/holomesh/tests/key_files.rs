//! Key files and their passphrases, from the command line: nothing asks when there is nobody to ask.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use support::Node;

/// Key files and passphrase files of one test.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A passphrase file that only its owner may read.
    fn words(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

fn command(args: &[&str]) -> std::process::Command {
    let mut command = support::holomesh();
    command.args(args).env_remove("HOLOMESH_PASSPHRASE_FILE");
    command
}

/// What a command that succeeds prints: one key id.
fn key_id(args: &[&str]) -> String {
    printed(&command(args).output().unwrap())
}

fn printed(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let id = String::from_utf8(output.stdout.clone()).unwrap().trim_end().to_owned();
    assert_eq!((id.len(), id.lines().count(), said.as_ref()), (52, 1, ""), "{id}");
    id
}

/// The one line that a command says; it must fail.
fn complaint(args: &[&str]) -> String {
    complained(&command(args).output().unwrap())
}

fn complained(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && output.stdout.is_empty(), "it succeeded: {output:?}");
    assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    said
}

fn with_stdin(args: &[&str], input: &str) -> Output {
    let mut child =
        command(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn is_protected(path: &Path) -> bool {
    fs::read(path).unwrap().starts_with(b"age-encryption.org/v1\n")
}

#[test]
fn a_key_is_made_shown_and_given_other_passphrases() {
    let place = Place::new();
    let (key, one, two) =
        (place.path("key"), place.words("one", "correct horse\n"), place.words("two", "battery staple"));
    let file = key.to_str().unwrap();
    let id = key_id(&["key", "new", file, "--passphrase-file", &one]);
    assert!(is_protected(&key));
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(key_id(&["key", "show", file, "--passphrase-file", &one]), id);
    assert_eq!(printed(&with_stdin(&["key", "show", file, "--passphrase-stdin"], "correct horse\n")), id);
    assert!(complaint(&["key", "show", file, "--passphrase-file", &two]).contains("wrong passphrase"));

    let change = ["key", "passphrase", file, "--passphrase-file", &one, "--new-passphrase-file", &two];
    assert_eq!(key_id(&change), id);
    assert!(complaint(&change).contains("wrong passphrase"));
    assert_eq!(key_id(&["key", "passphrase", file, "--passphrase-file", &two, "--no-passphrase"]), id);
    assert!(!is_protected(&key));
    assert_eq!(key_id(&["key", "show", file]), id, "nobody is asked for what is not needed");
    assert_eq!(key_id(&["key", "passphrase", file, "--new-passphrase-file", &one]), id);
    assert!(is_protected(&key));
}

#[test]
fn a_key_without_a_passphrase_has_to_be_asked_for() {
    let place = Place::new();
    let key = place.path("key");
    let file = key.to_str().unwrap();
    let said = complaint(&["key", "new", file]);
    assert!(said.contains("--passphrase-file") && said.contains("--no-passphrase"), "{said}");
    assert!(!key.exists());
    let id = key_id(&["key", "new", file, "--no-passphrase"]);
    assert!(fs::read_to_string(&key).unwrap().starts_with("holomesh-key-v1 "));

    let words = place.words("words", "correct horse");
    assert!(complaint(&["key", "new", file, "--no-passphrase"]).contains("exists"));
    assert!(complaint(&["key", "new", file, "--passphrase-file", &words]).contains("exists"));
    assert_eq!(key_id(&["key", "show", file]), id);
}

#[test]
fn a_passphrase_is_taken_from_the_environment_or_the_lack_of_one_is_said() {
    let place = Place::new();
    let (key, words) = (place.path("key"), place.words("words", "correct horse"));
    let file = key.to_str().unwrap();
    let id = printed(&with_stdin(&["key", "new", file, "--passphrase-stdin"], "correct horse"));
    let show = |variable: &str| {
        command(&["key", "show", file]).env("HOLOMESH_PASSPHRASE_FILE", variable).output().unwrap()
    };
    assert_eq!(printed(&show(&words)), id);
    assert!(complained(&show(&place.words("wrong", "no"))).contains("wrong passphrase"));
    for said in [complained(&show("")), complaint(&["key", "show", file])] {
        assert!(said.contains("no terminal") && said.contains("HOLOMESH_PASSPHRASE_FILE"), "{said}");
    }
    fs::set_permissions(&words, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(complained(&show(&words)).contains("chmod 600"));
}

#[test]
fn a_node_opens_a_protected_key() {
    let place = Place::new();
    let (key, words) = (place.path("key"), place.words("words", "correct horse"));
    let (key, clip) = (key.to_str().unwrap(), support::asset("clip.ivf"));
    key_id(&["key", "new", key, "--passphrase-file", &words]);
    let host = ["host", clip.to_str().unwrap(), "--wait", "--key", key];
    assert!(complaint(&host).contains("no terminal"));
    let wrong = place.words("wrong", "no");
    assert!(complaint(&[&host[..], &["--passphrase-file", &wrong]].concat()).contains("wrong passphrase"));
    let mut node = Node::spawn(&mut command(&[&host[..], &["--passphrase-file", &words]].concat()));
    assert!(!node.first_line().is_empty(), "it prints its ticket");
}
