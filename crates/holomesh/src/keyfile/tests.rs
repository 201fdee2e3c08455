use super::*;

/// Little enough work for a test.
const LITTLE: u8 = 4;

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Zeroizing::new(text.to_owned()), "test").unwrap()
}

fn counting_seed() -> Seed {
    Seed(std::array::from_fn(|i| i as u8))
}

/// Writes a file that only its owner may read.
fn put(path: &Path, content: &[u8]) {
    install(path, content, Overwrite::Always).unwrap();
}

fn unlock(path: &Path, passphrase: &Passphrase) -> Result<Seed, Error> {
    match KeyFile::read(path).unwrap() {
        KeyFile::Plain(_) => panic!("no passphrase was needed"),
        KeyFile::Protected(file) => file.unlock(passphrase),
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path).unwrap().permissions()) & 0o777
}

/// What lies in a directory, by name.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_key_file_round_trips_and_is_never_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let seed = random_seed().unwrap();
    create(&path, &seed).unwrap();
    assert_eq!(load(&path).unwrap().0, seed.0);
    assert!(create(&path, &random_seed().unwrap()).is_err());
    assert_eq!(load(&path).unwrap().0, seed.0);
    assert_eq!(names(dir.path()), ["key"], "a failed attempt leaves nothing behind");
}

#[test]
fn a_protected_key_file_opens_with_its_passphrase_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let seed = random_seed().unwrap();
    create_protected(&path, &seed, &passphrase("correct horse")).unwrap();
    assert_eq!(unlock(&path, &passphrase("correct horse")).unwrap().0, seed.0);
    let error = unlock(&path, &passphrase("correct horse ")).unwrap_err().to_string();
    assert!(error.contains("wrong passphrase") && error.contains("key"), "{error}");
    assert!(load(&path).unwrap_err().to_string().contains("passphrase"));
    let content = fs::read(&path).unwrap();
    let encoded = BASE32_NOPAD.encode(&seed.0).to_ascii_lowercase();
    assert!(!content.windows(16).any(|window| window == &encoded.as_bytes()[..16]));
    assert!(create_protected(&path, &seed, &passphrase("x")).is_err(), "never overwritten either");
}

/// Made by a program in another language from the description of the age format, with the seed 0, 1, 2, … 63.
#[test]
fn a_file_that_another_implementation_made_opens() {
    const FILE: &str = concat!(
        "6167652d656e6372797074696f6e2e6f72672f76310a2d3e207363727970742045424553457851564668635947526f62",
        "4842306548772031300a2f7a49387a55326a47725043355746486e4b7136633645484d6c5468557956514a502b36745a",
        "62467951380a2d2d2d20426c734649586c3652786b6764437a6a6377456e4d4f4d72615a51524177434c46797a46346e",
        "4d6f6851380a202122232425262728292a2b2c2d2e2f3aecaf4b460e16dd626e60357eb8dd90c03bcc4f679be67a1941",
        "7585ed4fd01f19e5b6fea9d42543b75590e9dc436dc9a44eb5db80b499bda3200628ce538637a630ab9a57fb8741473e",
        "6be837173aee167799aa6e66b02fb6a054d9ae7c69df78925b27382082fb7a8d0e7bc18d70688ea309da716dbb29348c",
        "69730f7fad87e36113f4c4e9cb8a",
    );
    let file = data_encoding::HEXLOWER.decode(FILE.as_bytes()).unwrap();
    let opened = passphrase("correct horse").open(&file).unwrap();
    assert_eq!(parse(Path::new("key"), &opened).unwrap().0, counting_seed().0);
    assert_eq!(opened, plain(&counting_seed()));
}

/// The work factor is read before any of the work is done: 2^62 of it would never end.
#[test]
fn a_file_that_asks_for_too_much_work_is_refused_at_once() {
    let sealed = passphrase("x").seal_with(LITTLE, b"content").unwrap();
    for (asked, refused) in [("18", false), ("19", true), ("62", true)] {
        let changed = with_work(&sealed, asked);
        let error = passphrase("x").open(&changed).unwrap_err();
        assert_eq!(error.contains("limit is 2^18"), refused, "{asked}: {error}");
    }
    for malformed in ["0", "-1", "004", "4 4", "256", "99999999999999999999", "4x", ""] {
        passphrase("x").open(&with_work(&sealed, malformed)).unwrap_err();
    }
}

/// The sealed file with another work factor written into its header.
fn with_work(sealed: &[u8], work: &str) -> Vec<u8> {
    let mut lines = sealed.splitn(3, |byte| *byte == b'\n');
    let (version, stanza, rest) = (lines.next().unwrap(), lines.next().unwrap(), lines.next().unwrap());
    let stanza = stanza.strip_suffix(LITTLE.to_string().as_bytes()).unwrap();
    [version, b"\n", stanza, work.as_bytes(), b"\n", rest].concat()
}

/// Several passphrase stanzas would multiply the work that one file can ask for.
#[test]
fn a_file_with_several_passphrases_is_refused() {
    let sealed = passphrase("x").seal_with(LITTLE, b"content").unwrap();
    let start = sealed.windows(3).position(|w| w == b"-> ").unwrap();
    let end = sealed.windows(4).position(|w| w == b"\n---").unwrap() + 1;
    let twice = [&sealed[..end], &sealed[start..end], &sealed[end..]].concat();
    assert!(passphrase("x").open(&sealed).is_ok());
    assert!(passphrase("x").open(&twice).unwrap_err().contains("damaged"));
}

#[test]
fn no_damage_to_a_protected_file_goes_unnoticed() {
    let seed = counting_seed();
    let sealed = passphrase("x").seal_with(LITTLE, &plain(&seed)).unwrap();
    for at in 0..sealed.len() {
        let mut damaged = sealed.clone();
        damaged[at] ^= 0x01;
        if is_work_factor(&sealed, at) {
            // 4 becomes 5: a lawful amount of work, and another key.
            assert!(passphrase("x").open(&damaged).unwrap_err().contains("wrong passphrase"));
        } else {
            assert!(passphrase("x").open(&damaged).is_err(), "byte {at}");
        }
    }
    for len in 0..sealed.len() {
        assert!(passphrase("x").open(&sealed[..len]).is_err(), "cut to {len}");
    }
    assert!(passphrase("x").open(&[&sealed[..], b"\n"].concat()).is_err());
}

fn is_work_factor(sealed: &[u8], at: usize) -> bool {
    sealed[at] == b'4' && sealed[at + 1] == b'\n' && at < 60
}

#[test]
fn a_passphrase_is_added_changed_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    let seed = counting_seed();
    create(&path, &seed).unwrap();
    replace(&path, &seed, Some(&passphrase("one"))).unwrap();
    assert_eq!(unlock(&path, &passphrase("one")).unwrap().0, seed.0);
    replace(&path, &seed, Some(&passphrase("two"))).unwrap();
    assert!(unlock(&path, &passphrase("one")).is_err());
    assert_eq!(unlock(&path, &passphrase("two")).unwrap().0, seed.0);
    replace(&path, &seed, None).unwrap();
    assert_eq!(load(&path).unwrap().0, seed.0);
    assert_eq!(names(dir.path()), ["key"]);
    assert!(replace(&dir.path().join("other"), &seed, None).is_err(), "there is nothing to replace");
    assert_eq!(names(dir.path()), ["key"]);
}

/// Moving a file onto a link would replace the link and leave the key in the clear where it pointed.
#[cfg(unix)]
#[test]
fn replacing_follows_a_link_to_the_file_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    create(&real, &counting_seed()).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    put(&real, &passphrase("x").seal_with(LITTLE, &plain(&counting_seed())).unwrap());
    replace(&link, &counting_seed(), None).unwrap();
    assert!(link.symlink_metadata().unwrap().file_type().is_symlink());
    assert_eq!(load(&real).unwrap().0, counting_seed().0);
    assert!(create(&link, &counting_seed()).is_err(), "a link is in the way of a new key");
}

#[cfg(unix)]
#[test]
fn key_files_are_made_for_their_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    create(&path, &counting_seed()).unwrap();
    assert_eq!(mode(&path), 0o600);
    set_mode(&path, 0o644);
    replace(&path, &counting_seed(), None).unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[cfg(unix)]
#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    create(&path, &random_seed().unwrap()).unwrap();
    for bits in [0o640, 0o604, 0o620, 0o601] {
        set_mode(&path, bits);
        assert!(load(&path).unwrap_err().to_string().contains("chmod 600"), "{bits:o}");
    }
    set_mode(&path, 0o400);
    load(&path).unwrap();
}

#[cfg(unix)]
#[test]
fn a_directory_that_everybody_may_write_is_refused_unless_sticky() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key");
    create(&path, &counting_seed()).unwrap();
    set_mode(dir.path(), 0o777);
    assert!(load(&path).unwrap_err().to_string().contains("chmod o-w"));
    assert!(create(&dir.path().join("new"), &counting_seed()).is_err());
    assert!(replace(&path, &counting_seed(), None).is_err());
    set_mode(dir.path(), 0o1777);
    load(&path).unwrap();
    create(&dir.path().join("new"), &counting_seed()).unwrap();
}

#[test]
fn damaged_key_files_are_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let long = "x".repeat(MAX_FILE as usize + 1);
    for content in ["", "hello", "holomesh-key-v1 abc", "holomesh-key-v1 !!!!", "holomesh-key-v1 ae", &long] {
        let path = dir.path().join(format!("key{}", content.len()));
        put(&path, content.as_bytes());
        let error = load(&path).unwrap_err().to_string();
        assert!(error.contains("key"), "{error}");
    }
    assert!(load(dir.path()).unwrap_err().to_string().contains("regular file"));
}

#[test]
fn a_passphrase_is_one_line_of_text() {
    let read = |content: &[u8]| Passphrase::read_line(content, "stdin");
    for (content, text) in [(&b"abc"[..], "abc"), (b"abc\n", "abc"), (b"abc\r\n", "abc"), (b" a b ", " a b ")]
    {
        assert!(read(content).unwrap() == passphrase(text), "{content:?}");
    }
    let longest = "x".repeat(1_024);
    assert!(read(longest.as_bytes()).is_ok());
    let too_long = longest + "x";
    for content in
        [&b""[..], b"\n", b"a\nb", b"a\n\n", b"a\0b", b"\xff\xfe", too_long.as_bytes(), &[b'y'; 9_999]]
    {
        assert!(read(content).unwrap_err().to_string().starts_with("stdin: "), "{content:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_passphrase_file_that_others_can_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("words");
    put(&path, b"correct horse\n");
    assert!(Passphrase::read_file(&path).unwrap() == passphrase("correct horse"));
    set_mode(&path, 0o644);
    assert!(Passphrase::read_file(&path).unwrap_err().to_string().contains("chmod 600"));
}

#[test]
fn nothing_secret_is_shown() {
    let shown = format!("{:?} {:?}", passphrase("correct horse"), KeyFile::Plain(counting_seed()));
    assert_eq!(shown, "Passphrase(redacted) Plain(Seed(redacted))");
}
