//! The host's directory of its members' key packages: others ask it for one to add that peer to a session of their own.

use crate::Error;
use crate::clock::wall_now;
use av_mls::{Directory, KeyPackageDirectory as _, Quotas, SignedKeyPackage, Stock};
use core_types::KeyId;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Packages that members keep here at most; below the low-water mark they are asked for more.
const PACKAGES: usize = 8;
const LOW_WATER: usize = 3;
const OWNERS: usize = 1_024;
/// Changes are written down so long after the first of them: a package that is handed out twice because of a crash in
/// between is refused by its owner, who uses each once.
const WRITE_DELAY: Duration = Duration::from_secs(2);

/// A directory, and the file that it is kept in.
#[derive(Debug)]
pub(super) struct Packages {
    directory: Directory,
    file: Option<PathBuf>,
    write_at: Option<Instant>,
}

impl Packages {
    const fn quotas() -> Quotas {
        Quotas {
            owners: OWNERS,
            packages: PACKAGES,
            low_water: LOW_WATER,
            takes_of_one: 2,
            takes_of_all: 64,
            takes_from_owner: 16,
            publishes: 128,
            window: Duration::from_secs(3_600),
            requesters: 4_096,
        }
    }

    /// Opens the directory that is kept in `file`, or an empty one.
    ///
    /// # Errors
    /// [`Error::File`] and [`Error::Input`] when the file can't be read or is damaged.
    pub(super) fn open(file: Option<PathBuf>) -> Result<Self, Error> {
        let quotas = Self::quotas();
        let kept = match file.as_deref().map(std::fs::read) {
            None => None,
            Some(Err(error)) if error.kind() == ErrorKind::NotFound => None,
            Some(read) => Some(read.map_err(Error::file(file.as_deref().unwrap_or_else(|| "".as_ref())))?),
        };
        let directory = match kept {
            None => Directory::new(quotas),
            Some(bytes) => Directory::from_bytes(&bytes, quotas).map_err(|e| {
                let name = file.as_deref().unwrap_or_else(|| "".as_ref()).display().to_string();
                Error::input(name, format!("{e}; delete the file, members publish their key packages again"))
            })?,
        };
        Ok(Self { directory, file, write_at: None })
    }

    /// Takes in packages of `peer`. How many more it should publish.
    ///
    /// # Errors
    /// A sentence for the peer.
    pub(super) fn publish(
        &mut self,
        now: Instant,
        peer: KeyId,
        packages: &[Vec<u8>],
    ) -> Result<Stock, String> {
        if packages.len() > PACKAGES + 1 {
            return Err(format!("{} key packages at once; the limit is {}", packages.len(), PACKAGES + 1));
        }
        let packages: Vec<SignedKeyPackage> = packages
            .iter()
            .map(|bytes| SignedKeyPackage::from_bytes(bytes))
            .collect::<Result<_, _>>()
            .map_err(|e| format!("key package: {e}"))?;
        if packages.iter().any(|package| package.claimed_key_id() != peer) {
            return Err("a key package belongs to somebody else".into());
        }
        let stock = match self.directory.publish(wall_now(), &packages) {
            Ok(stock) => stock,
            // More than there is room for is of no use to anybody, and no reason to let a member go.
            Err(error @ (av_mls::Error::Quota { .. } | av_mls::Error::Limit { .. })) => {
                tracing::debug!(%error, peer = %peer.short(), "key packages were not taken in");
                return Ok(self.directory.stock(wall_now(), peer));
            }
            Err(error) => return Err(error.to_string()),
        };
        self.changed(now);
        Ok(stock)
    }

    /// `owner` has joined anew: it has other keys, and its former packages open nothing.
    pub(super) fn forget(&mut self, now: Instant, owner: KeyId) {
        self.directory.forget(owner);
        self.changed(now);
    }

    /// Hands out a package of `owner`, and says how many more the owner should publish.
    ///
    /// # Errors
    /// A sentence for the peer.
    pub(super) fn take(
        &mut self,
        now: Instant,
        requester: KeyId,
        owner: KeyId,
    ) -> Result<(Vec<u8>, usize), String> {
        let taken = self.directory.take(wall_now(), requester, owner).map_err(|e| e.to_string())?;
        self.changed(now);
        Ok((taken.package.to_bytes(), taken.left.refill))
    }

    fn changed(&mut self, now: Instant) {
        if self.file.is_some() {
            self.write_at.get_or_insert(now + WRITE_DELAY);
        }
    }

    /// When [`write_due`](Self::write_due) has something to do.
    pub(super) const fn next_timeout(&self) -> Option<Instant> {
        self.write_at
    }

    /// Writes changes down that have waited long enough, or all with `now` of `None`.
    pub(super) fn write_due(&mut self, now: Option<Instant>) {
        let Some(file) = self.file.clone() else { return };
        if self.write_at.is_none_or(|at| now.is_some_and(|now| now < at)) {
            return;
        }
        self.write_at = None;
        self.directory.expire(wall_now());
        if let Err(error) = super::state::replace(&file, |out| out.write_all(&self.directory.to_bytes())) {
            tracing::warn!(%error, "the directory of key packages could not be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use av_mls::Member;
    use identity::{Identity, Seed};

    fn member(n: u8) -> (Identity, Vec<Vec<u8>>) {
        let who = Identity::from_seed(&Seed([n; 64])).unwrap();
        let mut member = Member::new(&who, crate::random::generator().unwrap()).unwrap();
        let mut packages = member.key_packages(&who, 2).unwrap();
        packages.push(member.last_resort_package(&who).unwrap());
        (who, packages.iter().map(SignedKeyPackage::to_bytes).collect())
    }

    #[test]
    fn packages_outlive_the_host_and_each_is_handed_out_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("packages");
        let now = Instant::now();
        let (owner, published) = member(1);
        let mut packages = Packages::open(Some(file.clone())).unwrap();
        packages.publish(now, owner.key_id(), &published).unwrap();
        let (first, refill) = packages.take(now, KeyId([9; 32]), owner.key_id()).unwrap();
        assert_eq!(refill, PACKAGES - 1);
        packages.write_due(Some(now + WRITE_DELAY));
        let mut again = Packages::open(Some(file)).unwrap();
        let (second, _) = again.take(now, KeyId([8; 32]), owner.key_id()).unwrap();
        let (last, _) = again.take(now, KeyId([7; 32]), owner.key_id()).unwrap();
        assert_eq!([first, second, last].to_vec(), published);
    }

    #[test]
    fn who_joins_anew_has_its_former_packages_replaced_and_too_many_are_no_fault() {
        let now = Instant::now();
        let who = Identity::from_seed(&Seed([5; 64])).unwrap();
        let full = || {
            let mut member = Member::new(&who, crate::random::generator().unwrap()).unwrap();
            let packages = member.key_packages(&who, PACKAGES).unwrap();
            packages.iter().map(SignedKeyPackage::to_bytes).collect::<Vec<_>>()
        };
        let mut packages = Packages::open(None).unwrap();
        let (former, later) = (full(), full());
        packages.publish(now, who.key_id(), &former).unwrap();
        assert_eq!(packages.publish(now, who.key_id(), &later).unwrap().one_use, PACKAGES);
        packages.forget(now, who.key_id());
        assert_eq!(packages.publish(now, who.key_id(), &later).unwrap().one_use, PACKAGES);
        let (taken, _) = packages.take(now, KeyId([9; 32]), who.key_id()).unwrap();
        assert!(later.contains(&taken) && !former.contains(&taken));
    }

    #[test]
    fn nobody_publishes_in_anothers_name_and_a_damaged_file_is_named() {
        let (_, published) = member(1);
        let mut packages = Packages::open(None).unwrap();
        let error = packages.publish(Instant::now(), KeyId([3; 32]), &published).unwrap_err();
        assert!(error.contains("somebody else"), "{error}");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("packages");
        std::fs::write(&file, b"rubbish").unwrap();
        let error = Packages::open(Some(file.clone())).unwrap_err().to_string();
        assert!(error.contains(&file.display().to_string()) && error.contains("delete"), "{error}");
    }
}
