use super::keys::{KEYS, nearest, slot};
use super::slot::Value;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::path::Path;

const EXAMPLE: &str = include_str!("../../../../../packaging/relay.toml");

fn parse(text: &str) -> Result<Loaded, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.toml");
    std::fs::write(&path, text).unwrap();
    load(Some(&path), &[]).map_err(|error| {
        // Everything before the file's own name is the temporary directory.
        let said = error.to_string();
        assert_eq!(said.lines().count(), 1, "one line: {said}");
        said.split_once("relay.toml").map_or(said.clone(), |(_, rest)| format!("relay.toml{rest}"))
    })
}

fn given(key: &str, value: &str) -> Override {
    Override { flag: format!("--set {key}"), key: key.into(), value: value.into() }
}

/// The example with every default switched on, and nothing else.
fn uncommented() -> String {
    let switch = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => format!("{rest}\n"),
        _ => format!("{line}\n"),
    };
    EXAMPLE.lines().map(switch).collect()
}

#[test]
fn the_annotated_example_is_the_defaults() {
    assert_eq!(parse(EXAMPLE).unwrap().config, Config::default(), "as it is");
    let all = parse(&uncommented()).unwrap();
    assert_eq!(all.config, Config::default(), "with the # taken away");
    for key in KEYS {
        let mut config = Config::default();
        let has_default = slot(&mut config, key).unwrap().show().is_some();
        let is_given = matches!(all.origin(key), Origin::File(_));
        assert_eq!(has_default, is_given, "{key} is in the example as a default exactly if it has one");
        let name = key.rsplit('.').next().unwrap();
        let occurs = |line: &str| {
            line.trim_start_matches(['#', ' ']).strip_prefix(name).is_some_and(|rest| rest.starts_with(" = "))
        };
        assert_eq!(
            EXAMPLE.lines().filter(|line| occurs(line)).count(),
            1 + usize::from(name == "listen"),
            "{key}"
        );
    }
}

#[test]
fn the_bounds_that_the_example_names_are_the_real_ones() {
    for key in KEYS {
        let mut config = Config::default();
        let takes = slot(&mut config, key).unwrap().takes();
        let Some((_, bounds)) = takes.split_once(" from ") else { continue };
        let (low, high) = bounds.trim_end_matches(", or \"none\"").split_once(" to ").unwrap();
        // Rates have one span, which is wider than anybody needs to know.
        let said = format!("{low} to {high}");
        assert!(takes.contains("kbit/s") || EXAMPLE.contains(&said), "{key}: {said}");
    }
}

#[test]
fn every_key_is_one_of_its_own() {
    assert_eq!(KEYS.into_iter().collect::<BTreeSet<_>>().len(), KEYS.len());
    let ticket = a_ticket();
    for key in KEYS {
        let mut config = Config::default();
        let before = config.clone();
        let other = [
            Value::Text(ticket.clone()),
            Value::Text("127.0.0.1:5".into()),
            Value::Text("quic".into()),
            Value::Text("json".into()),
            Value::Text("off".into()),
            Value::Text("trace".into()),
            Value::Integer(333),
            Value::Flag(false),
            Value::Flag(true),
        ];
        let changes =
            other.iter().any(|value| slot(&mut config, key).unwrap().set(value).is_ok() && config != before);
        assert!(changes, "{key} changes nothing");
        let changed: Vec<&str> = KEYS
            .into_iter()
            .filter(|key| {
                slot(&mut config, key).unwrap().show() != slot(&mut before.clone(), key).unwrap().show()
            })
            .collect();
        assert_eq!(changed, [key], "a key changes its own value alone");
    }
}

fn a_ticket() -> String {
    Ticket {
        host: core_types::KeyId([1; 32]),
        session: core_types::SessionId([2; 32]),
        endpoint: [3; 32],
        addresses: vec!["127.0.0.1:4433".parse().unwrap()],
        direct: None,
        invitation: [0xab; 16],
    }
    .to_string()
}

#[test]
fn what_is_wrong_is_named_with_its_line_and_what_would_be_right() {
    for (text, words) in [
        ("\nlisten = \"here\"", "relay.toml:2: listen: \"here\" is not an address with a port"),
        (
            "[limits]\nlinks = \"many\"",
            "relay.toml:2: limits.links: \"many\" is not a whole number from 2 to 65536",
        ),
        ("[limits]\nlinks = 1", "relay.toml:2: limits.links: 1 is not a whole number from 2"),
        ("limits.links = -5", "relay.toml:1: limits.links: -5 is not"),
        ("limits.links = 99999999999999999999", "relay.toml:1: limits.links: this number is not"),
        ("limits.links = 1.5", "a number with a point is not a whole number"),
        ("limits = 5", "relay.toml:1: limits: this is the name of a table; write [limits]"),
        ("\n\n[limit]\nlinks = 5", "relay.toml:3: there is no table limit"),
        ("[limits]\nlinsk = 5", "relay.toml:2: there is no key limits.linsk; did you mean limits.links?"),
        ("links = 5", "relay.toml:1: there is no key links; did you mean limits.links?"),
        ("colour = 5", "relay.toml:1: there is no key colour; `holomesh relay --check` lists"),
        ("http.metrics = \"yes\"", "\"yes\" is not true or false"),
        ("udp_port = 65536", "65536 is not a port"),
        ("transport = \"tcp\"", "\"tcp\" is not one of \"auto\", \"quic\""),
        (
            "limits.uplink_kbit = \"all\"",
            "\"all\" is not a whole number of kbit/s from 8 to 1000000000, or \"none\"",
        ),
        ("limits.uplink_kbit = 0", "0 is not a whole number of kbit/s"),
        ("log.level = \"a=b=c\"", "log.level: \"a=b=c\" is not a log filter"),
        ("log.level = [1]", "a list is not a log filter"),
        ("key_file = \"\"", "\"\" is not a file's path"),
        ("listen = ", "relay.toml:1: this is not TOML: "),
        ("udp_port = 1\nudp_port = 2", "relay.toml:2: this is not TOML: duplicate key"),
        ("ticket = \"holomesh1abc\"", "relay.toml:1: ticket: it "),
        ("passphrase_file = \"p\"", "relay.toml:1: passphrase_file: there is no key_file"),
    ] {
        let said = parse(text).unwrap_err();
        assert!(said.contains(words), "{text:?} said: {said}");
    }
    let both = format!("ticket_file = \"t\"\nticket = \"{}\"", a_ticket());
    assert!(parse(&both).unwrap_err().contains("relay.toml:1: ticket_file: there is a ticket as well"));
}

#[test]
fn the_first_wrong_line_is_named_and_the_others_counted() {
    let said = parse("udp_port = 1\nzzz = 1\n[limits]\nlinks = 0\n[http]\nlisten = 5").unwrap_err();
    assert!(
        said.starts_with("relay.toml:2: ") && said.ends_with("; 2 other keys are wrong as well"),
        "{said}"
    );
}

#[test]
fn what_a_file_has_in_the_wrong_place_is_not_repeated_if_it_could_be_a_ticket() {
    for key in ["listen", "transport", "log.format", "limits.links"] {
        let said = parse(&format!("{key} = \"{}\"", a_ticket())).unwrap_err();
        assert!(!said.contains("holomesh1"), "{said}");
    }
    let (key, value) = ("ticket", a_ticket());
    let shown = format!("{:?}", Override { flag: "TICKET".into(), key: key.into(), value });
    assert!(!shown.contains("holomesh1"), "{shown}");
}

#[test]
fn the_command_line_beats_the_file_and_says_what_is_wrong_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.toml");
    std::fs::write(&path, "ticket_file = \"t\"\ndrain_seconds = 5\n[limits]\nlinks = 7\nuplink_kbit = 500\n")
        .unwrap();
    let overrides = [
        given("limits.links", "1_000"),
        given("limits.uplink_kbit", "none"),
        given("listen", "127.0.0.1:9"),
        given("ticket", &a_ticket()),
        given("key_file", "k"),
    ];
    let loaded = load(Some(&path), &overrides).unwrap();
    let config = &loaded.config;
    assert_eq!((config.limits.links, config.limits.uplink, config.drain.as_secs()), (1_000, None, 5));
    assert_eq!(config.listen, Some("127.0.0.1:9".parse().unwrap()));
    assert_eq!((config.ticket_file.as_ref(), config.ticket.is_some()), (None, true), "one session, not two");
    assert_eq!(config.key_file.as_deref(), Some(Path::new("k")), "counts from where the command is given");
    assert_eq!(loaded.origin("drain_seconds"), Origin::File(2));
    assert_eq!(loaded.origin("limits.links"), Origin::CommandLine("--set limits.links".into()));
    assert_eq!(loaded.origin("udp_port"), Origin::Default);
    for (key, value, words) in [
        ("limits.links", "0", "--set limits.links: 0 is not a whole number from 2 to 65536"),
        ("limits.linsk", "3", "there is no key limits.linsk; did you mean limits.links?"),
        ("http.metrics", "maybe", "\"maybe\" is not true or false"),
        ("ticket", "hello", "it does not begin with `holomesh1`"),
    ] {
        let said = load(Some(&path), &[given(key, value)]).unwrap_err().to_string();
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn paths_count_from_the_file() {
    let loaded = parse("key_file = \"keys/a\"\nticket_file = \"/abs/t\"").unwrap();
    let directory = loaded.file.as_ref().unwrap().parent().unwrap();
    assert_eq!(loaded.config.key_file, Some(directory.join("keys/a")));
    assert_eq!(loaded.config.ticket_file, Some("/abs/t".into()));
}

#[test]
fn the_table_that_check_prints_is_a_file_with_the_same_meaning_and_hides_the_invitation() {
    let text = format!(
        "key_file = \"/a \\\"b\\\" \\\\ c\"\nlisten = \"[::1]:7\"\nticket = \"{}\"\n[limits]\nmemory_mib = \"none\"\n[log]\nformat = \"json\"\n",
        a_ticket()
    );
    let loaded = parse(&text).unwrap();
    let table = loaded.table();
    assert!(!table.contains("holomesh1") && table.contains("of host"), "{table}");
    assert!(table.contains("# line 2") && table.contains("# default"), "{table}");
    let without: String =
        table.lines().filter(|line| !line.starts_with("ticket ")).map(|l| format!("{l}\n")).collect();
    let again = parse(&without).unwrap();
    assert_eq!(again.config, Config { ticket: None, ..loaded.config });
}

#[test]
fn the_ticket_comes_from_its_file_and_its_absence_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ticket");
    let named = |path: &Path| load(None, &[given("ticket_file", path.to_str().unwrap())]).unwrap().ticket();
    assert!(named(&path).unwrap_err().to_string().contains("ticket: No such file"));
    std::fs::write(&path, format!("{}\n", a_ticket())).unwrap();
    assert_eq!(named(&path).unwrap().invitation, [0xab; 16]);
    for wrong in [&b"holomesh1"[..], &[0xff, 0xfe], &[b'x'; 10_000]] {
        std::fs::write(&path, wrong).unwrap();
        let said = named(&path).unwrap_err().to_string();
        assert!(said.contains(path.to_str().unwrap()), "{said}");
    }
    let said = load(None, &[]).unwrap().ticket().unwrap_err().to_string();
    assert!(said.contains("holomesh host") && said.contains("ticket_file"), "{said}");
}

#[cfg(unix)]
#[test]
fn findings_tell_faults_from_what_is_worth_a_thought() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let ticket = dir.path().join("ticket");
    std::fs::write(&ticket, a_ticket()).unwrap();
    let findings = |mode: u32, more: &[Override]| {
        std::fs::set_permissions(&ticket, std::fs::Permissions::from_mode(mode)).unwrap();
        let mut overrides = vec![given("ticket_file", ticket.to_str().unwrap())];
        overrides.extend_from_slice(more);
        load(None, &overrides).unwrap().findings()
    };
    let has = |findings: &[Finding], severity, word: &str| {
        findings.iter().any(|finding| finding.severity == severity && finding.text.contains(word))
    };
    let good = findings(0o600, &[given("key_file", "k")]);
    assert!(good.iter().all(|finding| finding.severity == Severity::Note), "{good:?}");
    assert!(has(&findings(0o644, &[]), Severity::Warning, "chmod go-rwx"));
    assert!(has(&findings(0o600, &[]), Severity::Warning, "key_file is not set"));
    assert!(has(
        &findings(0o600, &[given("permits_required", "false")]),
        Severity::Warning,
        "permits_required"
    ));
    let open = [given("http.listen", "0.0.0.0:9467"), given("http.status", "all")];
    assert!(has(&findings(0o600, &open), Severity::Warning, "reachable from other machines"));
    assert!(has(&findings(0o600, &open), Severity::Warning, "peers' addresses"));
    let log = [given("log.file", "/nonexistent/directory/log")];
    assert!(has(&findings(0o600, &log), Severity::Fault, "there is no directory /nonexistent/directory"));
    std::fs::remove_file(&ticket).unwrap();
    let gone = load(None, &[given("ticket_file", ticket.to_str().unwrap())]).unwrap().findings();
    assert!(has(&gone, Severity::Fault, "No such file"));
}

#[test]
fn a_file_that_is_none_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("relay.toml");
    for (bytes, word) in [(vec![0xff, 0xfe, 0], "UTF-8"), (vec![b'#'; 300_000], "longer than")] {
        std::fs::write(&path, bytes).unwrap();
        assert!(load(Some(&path), &[]).unwrap_err().to_string().contains(word));
    }
    assert!(load(Some(dir.path()), &[]).is_err());
    assert!(load(Some(&dir.path().join("none")), &[]).is_err());
}

proptest! {
    #[test]
    fn any_text_is_taken_or_refused_in_one_line(text in "\\PC{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn any_value_of_any_key_is_taken_or_refused_in_one_line(key in 0..KEYS.len(), value in "[-0-9a-z\"\\[\\]{}., =]{0,20}") {
        let _ = parse(&format!("{} = {value}", KEYS[key]));
        let _ = load(None, &[given(KEYS[key], &value)]);
    }

    #[test]
    fn a_key_with_one_letter_wrong_is_recognised(key in 0..KEYS.len(), at in 0usize..40) {
        let mut wrong = KEYS[key].to_owned();
        let at = at % wrong.len();
        prop_assume!(&wrong[at..=at] != ".");
        wrong.replace_range(at..=at, "#");
        prop_assert_eq!(nearest(&wrong), Some(KEYS[key]));
    }
}

/// A setting of the unit, in whole numbers, with M for mebibytes.
fn unit(name: &str) -> u64 {
    let unit = include_str!("../../../../../packaging/holomesh-relay.service");
    let line = unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let value = line.unwrap_or_else(|| panic!("no {name}"));
    let (digits, factor) = value.strip_suffix('M').map_or((value, 1), |digits| (digits, MIB));
    digits.parse::<u64>().unwrap() * factor
}

#[test]
fn the_unit_leaves_room_for_what_the_defaults_ask_for() {
    let config = Config::default();
    assert!(unit("TimeoutStopSec") > config.drain.as_secs());
    assert!(unit("LimitNOFILE") >= config.limits.file_descriptors);
    assert!(unit("MemoryHigh") > config.limits.memory_bytes.unwrap());
    assert!(unit("MemoryMax") > unit("MemoryHigh"));
    assert!(unit("WatchdogSec") > 2 * crate::service::INTERVAL.as_secs());
}
