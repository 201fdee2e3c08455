//! The key packages that a member has published, with their private parts.

use crate::authority::capabilities;
use crate::provider::verifier;
use crate::store::Batch;
use crate::store::record::{self, package_key};
use crate::{Error, Member, SUITE, SignedKeyPackage, codec};
use core_types::WallTime;
use identity::Identity;
use openmls::prelude::{KeyPackage, KeyPackageBundle, KeyPackageRef, Lifetime};

/// How long a key package can be used, in seconds.
const KEY_PACKAGE_LIFETIME: u64 = 24 * 60 * 60;
/// How long one of last resort can be used, in seconds: a joiner that is away must still be reachable.
const LAST_RESORT_LIFETIME: u64 = 28 * 24 * 60 * 60;
/// How many key packages a member keeps the private parts of; the oldest goes first.
pub const MAX_KEY_PACKAGES: usize = 64;

/// One key package of this member's, with its private parts.
pub(crate) struct KeptPackage {
    pub(crate) number: u64,
    pub(crate) reference: KeyPackageRef,
    pub(crate) bundle: KeyPackageBundle,
}

impl KeptPackage {
    pub(crate) fn is_last_resort(&self) -> bool {
        self.bundle.key_package().last_resort()
    }

    pub(crate) fn not_after(&self) -> WallTime {
        not_after(self.bundle.key_package())
    }
}

/// Those that this member can be added by, oldest first.
#[derive(Default)]
pub(crate) struct KeptPackages {
    pub(crate) list: Vec<KeptPackage>,
    next: u64,
}

impl Member {
    /// Makes a key package for somebody to add this peer with. The private parts stay here until the package has served a
    /// join, is out of date, or has become the oldest of more than [`MAX_KEY_PACKAGES`]. Each serves one join, within a day.
    ///
    /// # Errors
    /// [`Error::State`] when `identity` is not the one that this member was made with, [`Error::Internal`] when the
    /// library fails, [`Error::Store`].
    pub fn key_package(&mut self, identity: &Identity) -> Result<SignedKeyPackage, Error> {
        self.make_package(identity, false)
    }

    /// Makes `count` key packages, at most [`MAX_KEY_PACKAGES`], to fill up a directory.
    ///
    /// # Errors
    /// As [`key_package`](Self::key_package), and [`Error::Limit`].
    pub fn key_packages(
        &mut self,
        identity: &Identity,
        count: usize,
    ) -> Result<Vec<SignedKeyPackage>, Error> {
        crate::error::limit("key packages at once", count, MAX_KEY_PACKAGES)?;
        (0..count).map(|_| self.make_package(identity, false)).collect()
    }

    /// Makes a key package of last resort: marked as such, good for 28 days and for several joins, for a directory that has
    /// run out of the others. What a later theft of its private parts opens is all welcomes that used it: replace it as soon
    /// as it was used. The one made before stays good until it is out of date.
    ///
    /// # Errors
    /// As [`key_package`](Self::key_package).
    pub fn last_resort_package(&mut self, identity: &Identity) -> Result<SignedKeyPackage, Error> {
        self.make_package(identity, true)
    }

    /// How many key packages with one use are kept here and not out of date. When a directory has fewer than its low-water
    /// mark, make more.
    pub fn kept_key_packages(&self, now: WallTime) -> usize {
        self.packages.list.iter().filter(|kept| !kept.is_last_resort() && kept.not_after() > now).count()
    }

    /// Forgets the private parts of those that are out of date at `now`.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Internal`].
    pub fn expire_key_packages(&mut self, now: WallTime) -> Result<(), Error> {
        self.forget_packages(|kept| kept.not_after() <= now)
    }

    fn make_package(&mut self, identity: &Identity, last_resort: bool) -> Result<SignedKeyPackage, Error> {
        if identity.key_id() != self.key_id {
            return Err(Error::State("the identity is not the one that this member was made with"));
        }
        let lifetime = if last_resort { LAST_RESORT_LIFETIME } else { KEY_PACKAGE_LIFETIME };
        let mut builder = KeyPackage::builder()
            .leaf_node_capabilities(capabilities())
            .key_package_lifetime(Lifetime::new(lifetime));
        if last_resort {
            builder = builder.mark_as_last_resort();
        }
        // The library's store is not where they are kept: what it deletes on the way to an error can't be lost.
        let provider = self.random.provider();
        let bundle = builder
            .build(SUITE, &provider, &self.signer, self.credential_with_key())
            .map_err(|e| Error::internal("making a key package", e))?;
        let signed = SignedKeyPackage::sign(bundle.key_package(), identity)?;
        self.packages.keep(self.packages.next, bundle)?;
        let crowded_out = self.packages.crowded_out();
        if let Err(error) = self.record_package(crowded_out) {
            self.packages.list.pop();
            return Err(error);
        }
        self.packages.forget(crowded_out.as_slice());
        Ok(signed)
    }

    /// The newest package goes into the store, and the one that it crowds out goes.
    fn record_package(&mut self, crowded_out: Option<u64>) -> Result<(), Error> {
        let Some(newest) = self.packages.list.last().filter(|_| self.store.is_durable()) else {
            return Ok(());
        };
        let mut batch = Batch::default();
        self.batch_own(&mut batch)?;
        let package = record::Package { version: record::version(), bundle: &newest.bundle };
        batch.put(package_key(newest.number), codec::to_bytes(&package)?);
        if let Some(number) = crowded_out {
            batch.delete(package_key(number));
        }
        self.write(&batch)
    }

    /// Forgets some, in the store first.
    fn forget_packages(&mut self, which: impl Fn(&KeptPackage) -> bool) -> Result<(), Error> {
        let gone: Vec<u64> =
            self.packages.list.iter().filter(|kept| which(kept)).map(|kept| kept.number).collect();
        if !gone.is_empty() && self.store.is_durable() {
            let mut batch = Batch::default();
            for number in &gone {
                batch.delete(package_key(*number));
            }
            self.write(&batch)?;
        }
        self.packages.forget(&gone);
        Ok(())
    }
}

impl KeptPackages {
    /// Puts in a package whose number is above all others.
    pub(crate) fn keep(&mut self, number: u64, bundle: KeyPackageBundle) -> Result<(), Error> {
        let reference = bundle
            .key_package()
            .hash_ref(verifier())
            .map_err(|e| Error::internal("naming a key package", e))?;
        self.next = number.saturating_add(1);
        self.list.push(KeptPackage { number, reference, bundle });
        Ok(())
    }

    pub(crate) fn forget(&mut self, gone: &[u64]) {
        self.list.retain(|kept| !gone.contains(&kept.number));
    }

    /// The oldest, when there are too many. The newest one of last resort is not crowded out by others.
    fn crowded_out(&self) -> Option<u64> {
        let newest_last_resort = self.list.iter().rposition(KeptPackage::is_last_resort);
        let oldest = self.list.get(usize::from(newest_last_resort == Some(0)))?;
        (self.list.len() > MAX_KEY_PACKAGES).then_some(oldest.number)
    }
}

pub(crate) fn not_after(package: &KeyPackage) -> WallTime {
    WallTime(package.life_time().not_after().saturating_mul(1_000))
}
