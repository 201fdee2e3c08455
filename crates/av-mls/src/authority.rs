//! Who may add and remove: the host, and those it names. The list is a GroupContext extension, so every member has the
//! same one, and whoever is new gets it signed by the host.

use crate::{Error, SUITE};
use core_types::{KeyId, SessionId};
use identity::canonical::{Reader, Writer};
use identity::{Domain, HybridSignature, Identity, PublicIdentity};
use openmls::prelude::{
    Capabilities, CredentialType, Extension, ExtensionType, Extensions, GroupContext, MlsGroup,
    ProtocolVersion, RequiredCapabilitiesExtension, UnknownExtension,
};
use std::collections::BTreeSet;

/// The most members that a host can name beside itself.
pub const MAX_COMMITTERS: usize = 16;

const DOMAIN: Domain = Domain::new("holomesh mls authority v1");
const VERSION: u8 = 1;
/// Private use (RFC 9420 section 17.3).
const EXTENSION: u16 = 0xf0a1;

/// Who has a say over the roster of a session. The same at all its members in one epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    host: KeyId,
    /// Counts the host's decisions, so that an older one is not taken for a newer one.
    serial: u64,
    named: BTreeSet<KeyId>,
    /// The host's word for the above. Absent as long as nobody is named.
    signed: Option<Box<(PublicIdentity, HybridSignature)>>,
}

impl Authority {
    /// The host alone.
    pub(crate) const fn host_alone(host: KeyId) -> Self {
        Self { host, serial: 0, named: BTreeSet::new(), signed: None }
    }

    /// The host's next decision.
    pub(crate) fn renamed(
        &self,
        identity: &Identity,
        session: SessionId,
        named: BTreeSet<KeyId>,
    ) -> Result<Self, Error> {
        crate::error::limit("named committers", named.len(), MAX_COMMITTERS)?;
        let mut next = Self { host: self.host, serial: self.serial.saturating_add(1), named, signed: None };
        let signature = identity.sign(DOMAIN, &next.signed_bytes(session))?;
        next.signed = Some(Box::new((identity.public().clone(), signature)));
        Ok(next)
    }

    /// Who hosts the session. Nobody else can name or remove those who are named.
    pub const fn host(&self) -> KeyId {
        self.host
    }

    /// Those whom the host has named, in order.
    pub fn named(&self) -> impl Iterator<Item = KeyId> {
        self.named.iter().copied()
    }

    /// True for the host and those it has named.
    pub fn may_change(&self, who: KeyId) -> bool {
        who == self.host || self.named.contains(&who)
    }

    /// True if `who` may remove `target`: the host anybody but itself, the named ones anybody but one another and the
    /// host.
    pub fn may_remove(&self, who: KeyId, target: KeyId) -> bool {
        target != self.host && (who == self.host || (self.may_change(who) && !self.may_change(target)))
    }

    /// Refuses a successor that is older, of another host, or not signed by it.
    pub(crate) fn check_successor(&self, next: &Self, session: SessionId) -> Result<(), &'static str> {
        if next.serial <= self.serial {
            return Err("its list of committers is older than the one in force");
        }
        next.check(self.host, session)
    }

    /// Refuses a list that is not `host`'s for `session`.
    pub(crate) fn check(&self, host: KeyId, session: SessionId) -> Result<(), &'static str> {
        if self.host != host {
            return Err("its list of committers is another host's");
        }
        match &self.signed {
            None if self.serial == 0 && self.named.is_empty() => Ok(()),
            None => Err("its list of committers is not signed"),
            Some(signed) => {
                let (identity, signature) = signed.as_ref();
                if identity.key_id() != host {
                    return Err("its list of committers is signed by another than the host");
                }
                identity
                    .verify(DOMAIN, &self.signed_bytes(session), signature)
                    .map_err(|_| "the host's signature over its list of committers is wrong")
            }
        }
    }

    /// u8 version ‖ session 32 ‖ host 32 ‖ u64 serial ‖ u16 count ‖ key ids.
    fn signed_bytes(&self, session: SessionId) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(VERSION).fixed(session.as_bytes());
        self.write_list(&mut writer);
        writer.into_bytes()
    }

    fn write_list(&self, writer: &mut Writer) {
        // The constructors keep the limit of 16.
        let count = u16::try_from(self.named.len()).unwrap_or(u16::MAX);
        writer.fixed(self.host.as_bytes()).u64(self.serial).u16(count);
        for key_id in &self.named {
            writer.fixed(key_id.as_bytes());
        }
    }

    /// u8 version ‖ host 32 ‖ u64 serial ‖ u16 count ‖ key ids ‖ u8 signed ‖ (public identity ‖ hybrid signature).
    fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u8(VERSION);
        self.write_list(&mut writer);
        match &self.signed {
            None => _ = writer.u8(0),
            Some(signed) => {
                writer.u8(1).fixed(&signed.0.to_bytes()).fixed(&signed.1.to_bytes());
            }
        }
        writer.into_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        const WHAT: &str = "list of committers";
        let mut reader = Reader::new(bytes);
        if reader.u8()? != VERSION {
            return Err(Error::bad(WHAT, "unknown version"));
        }
        let host = KeyId(reader.array()?);
        let serial = reader.u64()?;
        let count = usize::from(reader.u16()?);
        crate::error::limit(WHAT, count, MAX_COMMITTERS)?;
        let mut named = BTreeSet::new();
        for _ in 0..count {
            let key_id = KeyId(reader.array()?);
            // In order and once each: one encoding per list.
            if named.last().is_some_and(|last| *last >= key_id) {
                return Err(Error::bad(WHAT, "it is out of order"));
            }
            named.insert(key_id);
        }
        let signed = match reader.u8()? {
            0 => None,
            1 => {
                let identity = PublicIdentity::from_bytes(reader.fixed(PublicIdentity::LEN)?)?;
                let signature = HybridSignature::from_bytes(reader.fixed(HybridSignature::LEN)?)?;
                Some(Box::new((identity, signature)))
            }
            _ => return Err(Error::bad(WHAT, "malformed")),
        };
        reader.finish()?;
        Ok(Self { host, serial, named, signed })
    }

    /// All extensions of a group under this authority.
    pub(crate) fn extensions(&self) -> Result<Extensions<GroupContext>, Error> {
        let required = RequiredCapabilitiesExtension::new(
            &[ExtensionType::Unknown(EXTENSION)],
            &[],
            &[CredentialType::Basic],
        );
        Extensions::from_vec(vec![
            Extension::RequiredCapabilities(required),
            Extension::Unknown(EXTENSION, UnknownExtension(self.to_bytes())),
        ])
        .map_err(|e| Error::internal("making group extensions", e))
    }

    /// Reads what [`extensions`](Self::extensions) made, and refuses anything else.
    pub(crate) fn from_extensions(extensions: &Extensions<GroupContext>) -> Result<Self, Error> {
        const WHAT: &str = "group context";
        let ours = extensions
            .unknown(EXTENSION)
            .ok_or_else(|| Error::bad(WHAT, "it does not say who may change the roster"))?;
        let authority = Self::from_bytes(&ours.0)?;
        if *extensions != authority.extensions()? {
            return Err(Error::bad(WHAT, "it has extensions that are not ours"));
        }
        Ok(authority)
    }

    pub(crate) fn of(group: &MlsGroup) -> Result<Self, Error> {
        Self::from_extensions(group.extensions())
    }
}

/// Exactly what this crate speaks. Other suites are left out, so that no other group can add such a leaf.
pub(crate) fn capabilities() -> Capabilities {
    Capabilities::new(
        Some(&[ProtocolVersion::Mls10]),
        Some(&[SUITE]),
        Some(&[ExtensionType::LastResort, ExtensionType::Unknown(EXTENSION)]),
        None,
        Some(&[CredentialType::Basic]),
    )
}
