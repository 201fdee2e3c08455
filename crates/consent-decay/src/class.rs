//! Classes of consent by name: three that all nodes know, and those that a deployment defines.

use crate::{ConsentClass, Error, Schedule};
use core::fmt;
use core::str::FromStr;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The name of a class: 1 to 32 characters, lower-case letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassName(String);

impl ClassName {
    /// Bytes of a name at most.
    pub const MAX_LEN: usize = 32;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClassName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > Self::MAX_LEN || !text.bytes().all(allowed) {
            return Err(Error::ClassName(text.chars().take(64).collect()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ClassName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<ConsentClass> for ClassName {
    fn from(class: ConsentClass) -> Self {
        let name = match class {
            ConsentClass::Temporary => "temporary",
            ConsentClass::Standard => "standard",
            ConsentClass::Persistent => "persistent",
        };
        Self(name.to_owned())
    }
}

/// The schedules that this node knows by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classes {
    schedules: BTreeMap<ClassName, Schedule>,
}

/// Bands in a file: ages in whole days at which the tier of that name ends.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bands {
    full: u32,
    drop_repair: u32,
    drop_high_quality: u32,
    min_viable: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    class: BTreeMap<String, Bands>,
}

impl Classes {
    /// Classes of a file at most.
    pub const MAX_CLASSES: usize = 64;
    /// Bytes of a file at most.
    pub const MAX_TOML_LEN: usize = 64 * 1024;

    /// The three classes that all nodes know, and no other.
    pub fn built_in() -> Self {
        let schedules = ConsentClass::ALL.map(|class| (class.into(), Schedule::of(class)));
        Self { schedules: schedules.into() }
    }

    /// The three that all nodes know and those of a TOML file, which may give `persistent` other bands. `temporary` and
    /// `standard` mean the same everywhere.
    ///
    /// ```
    /// use consent_decay::Classes;
    ///
    /// let classes = Classes::from_toml(
    ///     "[class.interview]\nfull = 7\ndrop_repair = 14\ndrop_high_quality = 21\nmin_viable = 30\n",
    /// )?;
    /// assert!(classes.schedule(&"interview".parse()?).is_some());
    /// assert!(classes.schedule(&"persistent".parse()?).is_some());
    /// assert!(Classes::from_toml("[class.standard]\nfull = 7\n").is_err());
    /// # Ok::<(), consent_decay::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Classes`] naming the class and what is wrong with it.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        let wrong = |what: String| Err(Error::Classes(what));
        if text.len() > Self::MAX_TOML_LEN {
            return wrong(format!("{} bytes, at most {} are read", text.len(), Self::MAX_TOML_LEN));
        }
        let file: File =
            toml::from_str(text).map_err(|error| Error::Classes(error.to_string().trim_end().to_owned()))?;
        if file.class.len() > Self::MAX_CLASSES {
            return wrong(format!("{} classes, at most {} are taken", file.class.len(), Self::MAX_CLASSES));
        }
        let mut classes = Self::built_in();
        for (name, bands) in file.class {
            let fault = |error: Error| Error::Classes(format!("class {name:?}: {error}"));
            let parsed: ClassName = name.parse().map_err(fault)?;
            if [ConsentClass::Temporary, ConsentClass::Standard].map(ClassName::from).contains(&parsed) {
                return wrong(format!("class {name:?} means the same on all nodes; take another name"));
            }
            let Bands { full, drop_repair, drop_high_quality, min_viable } = bands;
            let schedule =
                Schedule::new([full, drop_repair, drop_high_quality, min_viable]).map_err(fault)?;
            classes.schedules.insert(parsed, schedule);
        }
        Ok(classes)
    }

    /// The schedule of that name, if this node knows one.
    pub fn schedule(&self, name: &ClassName) -> Option<&Schedule> {
        self.schedules.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&ClassName, &Schedule)> {
        self.schedules.iter()
    }
}

impl Default for Classes {
    fn default() -> Self {
        Self::built_in()
    }
}
