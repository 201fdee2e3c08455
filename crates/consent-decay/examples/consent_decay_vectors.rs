//! Writes the conformance vectors of consent as JSON: `consent_decay_vectors OUTDIR`.
//!
//! ML-DSA signatures may be hedged; these come from the backend that signs deterministically, so that the files are the same
//! each time.

use consent_decay::{
    ClassName, Classes, Consent, ConsentClass, ConsentRecord, ContentId, Item, Level, ReadGrant, Reason,
    Schedule, SourceId, Terms, Tier, Tombstone, Transition, Trigger, decide,
};
use core_types::{KeyId, WallTime};
use identity::{Backend, Domain, HybridSignature, Identity, Seed};
use serde_json::{Value, json};
use vector_kit::write::{counting, hex, write};

type Failed = Box<dyn std::error::Error>;

/// 2026-01-01 00:00 UTC, in milliseconds.
const START: u64 = 1_767_225_600_000;
const DAY: u64 = 86_400_000;
const SOURCE: SourceId = SourceId([0x50; 32]);

fn main() -> Result<(), Failed> {
    write("consent/tiers.json", &tiers())?;
    write("consent/records.json", &records()?)?;
    write("consent/audit.json", &audit())?;
    write("consent/grants.json", &grants()?)
}

/// What a schedule says at an age, or that it refuses.
fn tier(class: ConsentClass, admitted: u64, now: u64, consent: Consent) -> Value {
    let tier = Schedule::of(class).tier(WallTime(admitted), WallTime(now), consent);
    json!({
        "class": ClassName::from(class).as_str(), "admitted_ms": admitted.to_string(), "now_ms": now.to_string(),
        "revoked": consent == Consent::Revoked,
        "tier": tier.map_or("refused", Tier::name),
    })
}

fn tiers() -> Value {
    let mut cases = Vec::new();
    for class in ConsentClass::ALL {
        let given = |age: u64| tier(class, START, START + age, Consent::Given);
        cases.push(given(0));
        for days in Schedule::of(class).bands() {
            let day = u64::from(days) * DAY;
            cases.extend([given(day - 1), given(day), given(day + DAY)]);
        }
        cases.push(given(36_525 * DAY));
        for age in [0, 5, 40_000] {
            cases.push(tier(class, START, START + age * DAY, Consent::Revoked));
        }
        for ahead in [1, 300_000, 300_001, DAY] {
            cases.push(tier(class, START + ahead, START, Consent::Given));
            cases.push(tier(class, START + ahead, START, Consent::Revoked));
        }
    }
    json!({ "id": "consent/tiers", "spec": "80-consent.md sections 2, 4, 5 and 7", "cases": cases, "decisions": decisions() })
}

/// Where triggers meet.
fn decisions() -> Vec<Value> {
    let classes = Classes::built_in();
    let temporary =
        |serial| Some(Terms { class: ConsentClass::Temporary.into(), from: WallTime(START), serial });
    let unknown = "unheard-of".parse().ok().map(|class| Terms { class, from: WallTime(START), serial: 1 });
    let pressure = |level: Level| Trigger::Pressure { level, to: level.floor() };
    let too_low = Trigger::Pressure { level: Level::Repair, to: Tier::EnvelopeOnly };
    let cases = [
        ("age", Tier::Full, temporary(1), None, Trigger::Time, 9),
        ("clock-went-back", Tier::MinViable, temporary(1), None, Trigger::Time, 0),
        ("pressure-lower-than-age", Tier::Full, temporary(1), None, pressure(Level::Least), 5),
        ("age-lower-than-pressure", Tier::Full, temporary(1), None, pressure(Level::Repair), 12),
        ("pressure-below-its-floor", Tier::Full, temporary(1), None, too_low, 0),
        ("last-level", Tier::MinViable, temporary(1), None, pressure(Level::Last), 0),
        ("revoked", Tier::Full, temporary(1), None, Trigger::Revoked, 0),
        ("freezes", Tier::Full, unknown.clone(), None, Trigger::Time, 0),
        ("stays-frozen", Tier::Full, None, Some(0), Trigger::Time, 6),
        ("frozen-too-long", Tier::Full, unknown, Some(0), Trigger::Time, 7),
        ("thaws", Tier::Full, temporary(1), Some(0), Trigger::Time, 3),
        ("revoked-while-frozen", Tier::Full, None, Some(0), Trigger::Revoked, 1),
    ];
    let content = ContentId(counting(0));
    let decided = cases.into_iter().map(|(id, held, terms, frozen_day, trigger, day)| {
        let at = |day: u64| WallTime(START + day * DAY);
        let class = terms.as_ref().map(|terms: &Terms| terms.class.as_str().to_owned());
        let item = Item { content, held, terms, frozen_since: frozen_day.map(at) };
        let decision = decide(&item, &classes, trigger, at(day));
        let (kind, to, level) = match trigger {
            Trigger::Time => ("time", None, 0),
            Trigger::Revoked => ("revoked", None, 0),
            Trigger::Pressure { level, to } => ("pressure", Some(to.name()), level as u8),
        };
        json!({
            "id": id, "held": held.name(), "class": class, "from_ms": START.to_string(), "frozen_since_day": frozen_day,
            "trigger": kind, "pressure_to": to, "pressure_level": level, "day": day, "after": decision.after.name(),
            "reason": decision.reason.to_string(), "is_frozen": decision.frozen_since.is_some(),
            "due_ms": decision.due.map(|due| due.0.to_string()),
        })
    });
    decided.collect()
}

fn records() -> Result<Value, Failed> {
    let from = |seed| Identity::from_seed_with(Backend::Portable, &Seed(seed));
    let (person, other) = (from(counting(0))?, from([9; 64])?);
    let terms = |class: &str, from, serial| -> Result<Terms, Failed> {
        Ok(Terms { class: class.parse()?, from: WallTime(from), serial })
    };
    let record = |terms| ConsentRecord { subject: person.public().clone(), source: SOURCE, terms };
    let mut cases = Vec::new();
    let longest = "abcdefghijklmnopqrstuvwxyz-01234";
    for (id, terms) in [
        ("standard", terms("standard", START, 1)?),
        ("shortened", terms("temporary", START, 2)?),
        ("renewed", terms("standard", START + 30 * DAY, 3)?),
        ("longest-name", terms(longest, u64::MAX, u64::MAX)?),
    ] {
        let record = record(terms);
        cases.push(json!({
            "id": id, "class": record.terms.class.as_str(), "from_ms": record.terms.from.0.to_string(),
            "serial": record.terms.serial.to_string(), "bytes": hex(&record.sign(&person)?),
        }));
    }
    let tombstone =
        Tombstone { subject: person.public().clone(), source: SOURCE, revoked_at: WallTime(START + DAY) };
    let stone = tombstone.sign(&person)?;
    let consent = record(terms("standard", START, 1)?).sign(&person)?;
    let content = tombstone.content();
    let payload = |signed: &[u8]| signed[..signed.len() - HybridSignature::LEN].to_vec();
    let sign = |signer: &Identity, domain: &'static str, bytes: &[u8]| -> Result<Vec<u8>, Failed> {
        Ok([bytes, &signer.sign(Domain::new(domain), bytes)?.to_bytes()].concat())
    };
    let altered = |signed: &[u8], at: usize, to: &[u8]| {
        let mut bytes = payload(signed);
        bytes[at..at + to.len()].copy_from_slice(to);
        bytes
    };
    let flipped = |signed: &[u8], at: usize| {
        let mut bytes = signed.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    // Where fields are: version 0, subject 1, source 1985, then a consent's serial 2017, from 2025, class 2033; a tombstone's
    // time 2017.
    const CONSENT: &str = "holomesh consent v1";
    const TOMBSTONE: &str = "holomesh consent tombstone v1";
    let mut negative = Vec::new();
    let mut bad = |kind: &str, id: &str, error: &str, bytes: &[u8]| {
        negative
            .push(json!({ "kind": kind, "id": format!("{kind}-{id}"), "error": error, "bytes": hex(bytes) }))
    };
    for (kind, domain, signed) in [("consent", CONSENT, &consent), ("tombstone", TOMBSTONE, &stone)] {
        let bytes = payload(signed);
        bad(kind, "version", "malformed", &sign(&person, domain, &altered(signed, 0, &[2]))?);
        bad(kind, "cut", "encoding", &sign(&person, domain, &bytes[..bytes.len() - 1])?);
        // A tombstone has one length.
        let left_over = if kind == "consent" { "encoding" } else { "malformed" };
        bad(kind, "left-over", left_over, &sign(&person, domain, &[&bytes[..], &[0]].concat())?);
        bad(kind, "other-signer", "signature", &sign(&other, domain, &bytes)?);
        bad(kind, "source-altered", "signature", &flipped(signed, 1985));
        bad(kind, "time-altered", "signature", &flipped(signed, 2024));
        bad(kind, "ed25519-half", "signature", &flipped(signed, bytes.len()));
        bad(kind, "ml-dsa-half", "signature", &flipped(signed, signed.len() - 1));
        bad(kind, "shorter-than-a-signature", "malformed", &signed[..HybridSignature::LEN - 1]);
        bad(kind, "longer-than-any", "malformed", &[1; ConsentRecord::MAX_LEN + 1]);
    }
    let capitals = altered(&consent, 2037, b"S");
    bad("consent", "class-with-capitals", "malformed", &sign(&person, CONSENT, &capitals)?);
    let empty = [&payload(&consent)[..2033], &[0; 4]].concat();
    bad("consent", "class-empty", "malformed", &sign(&person, CONSENT, &empty)?);
    bad("consent", "other-domain", "signature", &sign(&person, TOMBSTONE, &payload(&consent))?);
    bad("tombstone", "other-domain", "signature", &sign(&person, CONSENT, &payload(&stone))?);
    Ok(json!({
        "id": "consent/records", "spec": "80-consent.md sections 1 to 3", "seed": hex(&counting::<64>(0)), "source": hex(&SOURCE.0),
        "content": hex(&content.0), "consents": cases,
        "tombstone": { "revoked_at_ms": (START + DAY).to_string(), "bytes": hex(&stone) },
        "negative": negative,
    }))
}

fn audit() -> Value {
    let reasons = [
        Reason::Admitted,
        Reason::Age,
        Reason::Revoked,
        Reason::Frozen,
        Reason::Thawed,
        Reason::Unreadable,
        Reason::ConsentChanged,
        Reason::KeysGone,
        Reason::Pressure(Level::Repair),
        Reason::Pressure(Level::Last),
    ];
    let cases: Vec<Value> = (0_u64..)
        .zip(reasons)
        .map(|(n, reason)| {
            let entry = Transition {
                at: WallTime(START + n),
                content: ContentId(counting(0)),
                before: Tier::Full,
                after: Tier::ALL[(n % 6) as usize],
                reason,
            };
            json!({
                "id": format!("entry-{n}"), "at_ms": entry.at.0.to_string(), "content": hex(&entry.content.0),
                "before": entry.before.name(), "after": entry.after.name(), "reason": reason.to_string(),
                "bytes": hex(&entry.to_bytes()),
            })
        })
        .collect();
    let good = Transition {
        at: WallTime(START),
        content: ContentId(counting(0)),
        before: Tier::Full,
        after: Tier::MinViable,
        reason: Reason::Age,
    }
    .to_bytes();
    let altered = |at: usize, to: u8| {
        let mut bytes = good.to_vec();
        bytes[at] = to;
        bytes
    };
    let last = good.len() - 1;
    let negative = [
        ("version", altered(0, 2)),
        ("tier-before", altered(last - 2, 6)),
        ("tier-after", altered(last - 1, 6)),
        ("reason-zero", altered(last, 0)),
        ("reason-unknown", altered(last, 9)),
        ("pressure-of-no-level", altered(last, 16)),
        ("pressure-above-the-last", altered(last, 21)),
        ("cut", good[..last].to_vec()),
        ("left-over", [&good[..], &[0]].concat()),
    ];
    let negative = negative.map(|(id, bytes)| {
        let error = if bytes.len() == good.len() { "malformed" } else { "encoding" };
        json!({ "id": id, "error": error, "bytes": hex(&bytes) })
    });
    json!({ "id": "consent/audit", "spec": "80-consent.md section 6", "cases": cases, "negative": negative })
}

fn grants() -> Result<Value, Failed> {
    let from = |seed| Identity::from_seed_with(Backend::Portable, &Seed(seed));
    let (person, other) = (from(counting(0))?, from([9; 64])?);
    let reader = KeyId(counting(0x60));
    let grant = |until| ReadGrant {
        subject: person.public().clone(),
        source: SOURCE,
        reader,
        until: WallTime(until),
    };
    let mut cases = Vec::new();
    for (id, until) in [("a-week", START + 7 * DAY), ("for-ever", u64::MAX)] {
        let bytes = hex(&grant(until).sign(&person)?);
        cases.push(
            json!({ "id": id, "reader": hex(&reader.0), "until_ms": until.to_string(), "bytes": bytes }),
        );
    }
    // Where fields are: version 0, subject 1, source 1985, reader 2017, until 2049.
    const GRANT: &str = "holomesh reading grant v1";
    let signed = grant(START + 7 * DAY).sign(&person)?;
    let payload = &signed[..signed.len() - HybridSignature::LEN];
    let sign = |signer: &Identity, domain: &'static str, bytes: &[u8]| -> Result<Vec<u8>, Failed> {
        Ok([bytes, &signer.sign(Domain::new(domain), bytes)?.to_bytes()].concat())
    };
    let flipped = |at: usize| {
        let mut bytes = signed.clone();
        bytes[at] ^= 1;
        bytes
    };
    let mut negative = Vec::new();
    let mut bad = |id: &str, error: &str, bytes: &[u8]| {
        negative.push(json!({ "id": id, "error": error, "bytes": hex(bytes) }));
    };
    bad("version", "malformed", &sign(&person, GRANT, &[&[2], &payload[1..]].concat())?);
    bad("cut", "encoding", &sign(&person, GRANT, &payload[..payload.len() - 1])?);
    bad("left-over", "malformed", &sign(&person, GRANT, &[payload, &[0]].concat())?);
    bad("other-signer", "signature", &sign(&other, GRANT, payload)?);
    bad("other-domain", "signature", &sign(&person, "holomesh consent v1", payload)?);
    bad("source-altered", "signature", &flipped(1985));
    bad("reader-altered", "signature", &flipped(2017));
    bad("time-altered", "signature", &flipped(2056));
    bad("ed25519-half", "signature", &flipped(payload.len()));
    bad("ml-dsa-half", "signature", &flipped(signed.len() - 1));
    bad("shorter-than-a-signature", "malformed", &signed[..HybridSignature::LEN - 1]);
    Ok(json!({
        "id": "consent/grants", "spec": "80-consent.md section 8", "seed": hex(&counting::<64>(0)), "source": hex(&SOURCE.0),
        "content": hex(&grant(0).content().0), "cases": cases, "negative": negative,
    }))
}
