//! Files of classes. What is taken ages as it says, and means the same everywhere where it must. Shared by the fuzz target and the test
//! that replays its seeds.

use consent_decay::{Classes, ConsentClass, Schedule, Tier};
use core_types::WallTime;

const DAY: u64 = 86_400_000;

pub(crate) fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let classes = match Classes::from_toml(text) {
        Ok(classes) => classes,
        Err(error) => {
            assert!(error.to_string().len() > "classes of consent: ".len());
            return;
        }
    };
    assert!(text.len() <= Classes::MAX_TOML_LEN && classes.iter().count() <= Classes::MAX_CLASSES + 3);
    for class in [ConsentClass::Temporary, ConsentClass::Standard] {
        assert_eq!(classes.schedule(&class.into()), Some(&Schedule::of(class)));
    }
    assert!(classes.schedule(&ConsentClass::Persistent.into()).is_some());
    for (name, schedule) in classes.iter() {
        assert_eq!(name.as_str().parse().as_ref(), Ok(name));
        assert_eq!(Schedule::new(schedule.bands()).as_ref(), Ok(schedule));
        let tiers =
            [Tier::Full, Tier::DropRepair, Tier::DropHighQuality, Tier::MinViable, Tier::EnvelopeOnly];
        for (band, pair) in schedule.bands().into_iter().zip(tiers.windows(2)) {
            let end = u64::from(band) * DAY;
            assert_eq!(schedule.tier_of_admitted(WallTime(0), WallTime(end - 1)), pair[0]);
            assert_eq!(schedule.tier_of_admitted(WallTime(0), WallTime(end)), pair[1]);
            assert_eq!(schedule.falls_below(WallTime(0), pair[0]), Some(WallTime(end)));
        }
    }
}
