//! Where joiners leave key packages for those who will add them.

use crate::error::limit;
use crate::{Error, SignedKeyPackage};
use core::time::Duration;
use core_types::{KeyId, WallTime};
use identity::canonical::{Reader, Writer};
use std::collections::{BTreeMap, VecDeque};

const VERSION: u8 = 1;

/// Hands out key packages, each of those with one use once. Whoever runs one is not trusted with more than handing them out:
/// packages are signed, and whoever adds somebody checks the signature again.
pub trait KeyPackageDirectory {
    /// Takes in packages of one owner, and says how many it has of them now. One of last resort replaces the one before.
    ///
    /// # Errors
    /// What [`SignedKeyPackage::verify`] says; [`Error::Quota`] and [`Error::Limit`] when there are too many. Then none of
    /// them is taken in.
    fn publish(&mut self, now: WallTime, packages: &[SignedKeyPackage]) -> Result<Stock, Error>;

    /// Hands out one package of `target` to `requester`, whose identity the caller has proven. When there is none with one
    /// use left, or not for this requester, it is the one of last resort.
    ///
    /// # Errors
    /// [`Error::State`] when there is none at all, [`Error::Quota`] when the requester took too many of anybody's.
    fn take(&mut self, now: WallTime, requester: KeyId, target: KeyId) -> Result<Taken, Error>;

    /// What is there of one owner.
    fn stock(&self, now: WallTime, owner: KeyId) -> Stock;
}

/// How many packages of an owner there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    /// With one use.
    pub one_use: usize,
    /// Whether there is one of last resort.
    pub last_resort: bool,
    /// How many the owner should publish now; not zero once the low-water mark is reached.
    pub refill: usize,
}

/// A package that was handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// It.
    pub package: SignedKeyPackage,
    /// True if it is the one of last resort, which others may have as well.
    pub last_resort: bool,
    /// What is left, for the owner.
    pub left: Stock,
}

/// The limits of a [`Directory`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quotas {
    /// The most owners.
    pub owners: usize,
    /// The most packages with one use of one owner.
    pub packages: usize,
    /// Below so many with one use, the owner is to refill.
    pub low_water: usize,
    /// So many packages may one requester take of one owner within [`window`](Self::window); beyond that it gets the one of
    /// last resort.
    pub takes_of_one: u32,
    /// So many packages may one requester take in all within the window; beyond that it gets none.
    pub takes_of_all: u32,
    /// So many of an owner's may be taken by all together within the window; beyond that everybody gets the one of last
    /// resort, so that many requesters in one hand drain nobody.
    pub takes_from_owner: u32,
    /// So many may one owner publish within the window.
    pub publishes: u32,
    /// What the numbers above are per.
    pub window: Duration,
    /// The most requesters whose takings are remembered.
    pub requesters: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            owners: 4_096,
            packages: crate::MAX_KEY_PACKAGES / 2,
            low_water: 8,
            takes_of_one: 2,
            takes_of_all: 64,
            takes_from_owner: 16,
            publishes: 128,
            window: Duration::from_secs(60 * 60),
            requesters: 4_096,
        }
    }
}

/// A directory in memory. Sans-IO: `now` is an argument. [`to_bytes`](Self::to_bytes) and
/// [`from_bytes`](Self::from_bytes) carry it over a restart.
#[derive(Debug)]
pub struct Directory {
    quotas: Quotas,
    owners: BTreeMap<KeyId, Owner>,
    requesters: BTreeMap<KeyId, Requester>,
}

#[derive(Debug, Default)]
struct Owner {
    one_use: VecDeque<Entry>,
    last_resort: Option<Entry>,
    /// Digests of what was handed out and is not out of date: it is not taken in again.
    spent: VecDeque<(WallTime, [u8; 32])>,
    taken: Count,
    published: Count,
}

#[derive(Debug, Clone)]
struct Entry {
    package: SignedKeyPackage,
    not_after: WallTime,
}

#[derive(Debug, Default)]
struct Requester {
    all: Count,
    of: BTreeMap<KeyId, Count>,
}

/// How often something happened within the window that began with the first time.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Count {
    since: WallTime,
    times: u32,
}

impl Count {
    fn now(self, now: WallTime, window: Duration) -> u32 {
        if self.is_over(now, window) { 0 } else { self.times }
    }

    fn add(&mut self, now: WallTime, window: Duration, times: u32) {
        if self.times == 0 || self.is_over(now, window) {
            *self = Self { since: now, times: 0 };
        }
        self.times = self.times.saturating_add(times);
    }

    /// A clock that was set back ends the window too: it would last for ever otherwise.
    fn is_over(self, now: WallTime, window: Duration) -> bool {
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        now < self.since || now.0 - self.since.0 >= window
    }
}

const NONE: Error = Error::State("there is no key package of that peer");

/// What is remembered of those handed out, for one owner.
const MAX_SPENT: usize = 256;

impl Directory {
    /// An empty one.
    pub const fn new(quotas: Quotas) -> Self {
        Self { quotas, owners: BTreeMap::new(), requesters: BTreeMap::new() }
    }

    /// Drops what is out of date. [`publish`](KeyPackageDirectory::publish) and [`take`](KeyPackageDirectory::take) do so for
    /// whom they are about; this does it for all.
    pub fn expire(&mut self, now: WallTime) {
        let window = self.quotas.window;
        for owner in self.owners.values_mut() {
            owner.expire(now);
        }
        self.owners.retain(|_, owner| !owner.is_void(now, window));
        self.requesters.retain(|_, requester| !requester.is_void(now, window));
    }

    /// Drops the packages of an owner who has lost what opens them, and publishes others. What was handed out stays
    /// remembered, and quotas go on counting.
    pub fn forget(&mut self, owner: KeyId) {
        if let Some(owner) = self.owners.get_mut(&owner) {
            owner.one_use.clear();
            owner.last_resort = None;
        }
    }

    /// The whole directory: u8 version ‖ u32 owners ‖ for each: its key id 32 ‖ u16 count ‖ packages ‖ u8 0 or 1 ‖ the
    /// one of last resort ‖ u16 count ‖ what was handed out (u64 end ‖ digest 32). A package is u64 end ‖ u32 length ‖ bytes. Counts of quotas are not kept: a restart gives
    /// everybody a new window.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(VERSION).u32(self.owners.len() as u32);
        for (key_id, owner) in &self.owners {
            writer.fixed(key_id.as_bytes()).u16(owner.one_use.len() as u16);
            for entry in &owner.one_use {
                entry.write(&mut writer);
            }
            writer.u8(u8::from(owner.last_resort.is_some()));
            if let Some(entry) = &owner.last_resort {
                entry.write(&mut writer);
            }
            writer.u16(owner.spent.len() as u16);
            for (not_after, digest) in &owner.spent {
                writer.u64(not_after.0).fixed(digest);
            }
        }
        writer.into_bytes()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. Signatures are not checked again: it is the directory's own file.
    ///
    /// # Errors
    /// [`Error::Limit`] for more than the quotas allow, [`Error::Identity`] and [`Error::BadMessage`] for other bytes.
    pub fn from_bytes(bytes: &[u8], quotas: Quotas) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(Error::bad("directory", "unknown version"));
        }
        let count = reader.u32()? as usize;
        limit("owners of key packages", count, quotas.owners)?;
        let mut owners = BTreeMap::new();
        for _ in 0..count {
            let key_id = KeyId(reader.array()?);
            let packages = usize::from(reader.u16()?);
            limit("key packages of one owner", packages, quotas.packages)?;
            let mut owner = Owner::default();
            for _ in 0..packages {
                owner.one_use.push_back(Entry::read(&mut reader)?);
            }
            owners.insert(key_id, owner.finish(&mut reader)?);
        }
        reader.finish()?;
        Ok(Self { quotas, owners, requesters: BTreeMap::new() })
    }

    fn stock_of(&self, owner: Option<&Owner>, now: WallTime) -> Stock {
        let one_use = owner.map_or(0, |o| o.one_use.iter().filter(|e| e.not_after > now).count());
        let last_resort = owner.and_then(|o| o.last_resort.as_ref()).is_some_and(|e| e.not_after > now);
        let refill = if one_use < self.quotas.low_water { self.quotas.packages - one_use } else { 0 };
        Stock { one_use, last_resort, refill }
    }
}

impl KeyPackageDirectory for Directory {
    fn publish(&mut self, now: WallTime, packages: &[SignedKeyPackage]) -> Result<Stock, Error> {
        limit("key packages at once", packages.len(), self.quotas.packages + 1)?;
        let Some(first) = packages.first() else { return Err(Error::State("nothing to publish")) };
        let owner_id = first.claimed_key_id();
        let window = self.quotas.window;
        // Cheap refusals first: a signature takes time.
        let published = self.owners.get(&owner_id).map_or(0, |owner| owner.published.now(now, window));
        let count = u32::try_from(packages.len()).unwrap_or(u32::MAX);
        if published.saturating_add(count) > self.quotas.publishes {
            return Err(Error::Quota { peer: owner_id, what: "publishing key packages" });
        }
        let (mut one_use, mut last_resort) = (Vec::new(), None);
        for package in packages {
            let verified = package.verify()?;
            if verified.key_id() != owner_id {
                return Err(Error::bad_from("key packages", owner_id, "they are of several owners"));
            }
            if verified.not_after() <= now {
                return Err(Error::bad_from("key package", owner_id, "it is out of date"));
            }
            let entry = Entry { package: package.clone(), not_after: verified.not_after() };
            if verified.is_last_resort() {
                last_resort = Some(entry);
            } else {
                one_use.push(entry);
            }
        }
        if !self.owners.contains_key(&owner_id) && self.owners.len() >= self.quotas.owners {
            self.expire(now);
            limit("owners of key packages", self.owners.len() + 1, self.quotas.owners)?;
        }
        let owner = self.owners.entry(owner_id).or_default();
        owner.expire(now);
        // One that is there or was handed out is not taken in again: it has one use.
        let known: Vec<[u8; 32]> = owner.one_use.iter().map(|entry| entry.package.digest()).collect();
        one_use.retain(|entry| {
            let digest = entry.package.digest();
            !known.contains(&digest) && !owner.spent.iter().any(|(_, spent)| *spent == digest)
        });
        limit("key packages of one owner", owner.one_use.len() + one_use.len(), self.quotas.packages)?;
        owner.published.add(now, window, count);
        owner.one_use.extend(one_use);
        if last_resort.is_some() {
            owner.last_resort = last_resort;
        }
        Ok(self.stock(now, owner_id))
    }

    fn take(&mut self, now: WallTime, requester: KeyId, target: KeyId) -> Result<Taken, Error> {
        let (quotas, window) = (self.quotas, self.quotas.window);
        let owner = self.owners.get_mut(&target).ok_or(NONE)?;
        owner.expire(now);
        if !self.requesters.contains_key(&requester) && self.requesters.len() >= quotas.requesters {
            self.requesters.retain(|_, known| !known.is_void(now, window));
            // Whoever can't be counted gets nothing: forgetting somebody would give him a new quota.
            limit("requesters of key packages", self.requesters.len() + 1, quotas.requesters)?;
        }
        let asker = self.requesters.entry(requester).or_default();
        if asker.all.now(now, window) >= quotas.takes_of_all {
            return Err(Error::Quota { peer: requester, what: "taking key packages" });
        }
        let of_one = asker.of.get(&target).map_or(0, |count| count.now(now, window));
        let spared = of_one >= quotas.takes_of_one || owner.taken.now(now, window) >= quotas.takes_from_owner;
        let one_use = if spared { None } else { owner.one_use.pop_front() };
        let (entry, last_resort) = match one_use {
            Some(entry) => (entry, false),
            None => (owner.last_resort.clone().ok_or(NONE)?, true),
        };
        asker.all.add(now, window, 1);
        if !last_resort {
            // Bounded by the takings in all: older windows go first.
            asker.of.retain(|_, count| count.now(now, window) > 0);
            asker.of.entry(target).or_default().add(now, window, 1);
            owner.taken.add(now, window, 1);
            if owner.spent.len() == MAX_SPENT {
                owner.spent.pop_front();
            }
            owner.spent.push_back((entry.not_after, entry.package.digest()));
        }
        Ok(Taken { package: entry.package, last_resort, left: self.stock(now, target) })
    }

    fn stock(&self, now: WallTime, owner: KeyId) -> Stock {
        self.stock_of(self.owners.get(&owner), now)
    }
}

impl Owner {
    fn expire(&mut self, now: WallTime) {
        self.one_use.retain(|entry| entry.not_after > now);
        self.last_resort.take_if(|entry| entry.not_after <= now);
        self.spent.retain(|(not_after, _)| *not_after > now);
    }

    fn is_void(&self, now: WallTime, window: Duration) -> bool {
        self.one_use.is_empty()
            && self.last_resort.is_none()
            && self.spent.is_empty()
            && self.published.now(now, window) == 0
    }

    fn finish(mut self, reader: &mut Reader<'_>) -> Result<Self, Error> {
        match reader.u8()? {
            0 => {}
            1 => self.last_resort = Some(Entry::read(reader)?),
            _ => return Err(Error::bad("directory", "malformed")),
        }
        let spent = usize::from(reader.u16()?);
        limit("spent key packages", spent, MAX_SPENT)?;
        for _ in 0..spent {
            self.spent.push_back((WallTime(reader.u64()?), reader.array()?));
        }
        Ok(self)
    }
}

impl Requester {
    fn is_void(&self, now: WallTime, window: Duration) -> bool {
        self.all.now(now, window) == 0
    }
}

impl Entry {
    fn write(&self, writer: &mut Writer) {
        let package = self.package.to_bytes();
        writer.u64(self.not_after.0).u32(package.len() as u32).fixed(&package);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let not_after = WallTime(reader.u64()?);
        let package = SignedKeyPackage::from_bytes(reader.bytes(SignedKeyPackage::MAX_BYTES)?)?;
        Ok(Self { package, not_after })
    }
}
