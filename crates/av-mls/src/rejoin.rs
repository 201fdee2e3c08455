//! Coming back after a split or a loss: who is on which line of commits, and the external commit that leads back.

use crate::authority::capabilities;
use crate::branch::BranchOrder;
use crate::change::{Change, Next, Pending, refused};
use crate::commit::read_commit;
use crate::join::{check_members, join_config};
use crate::member::{NO_SESSION, Session, group_id};
use crate::roster::key_id_of;
use crate::vouch::{Kind, Opened, open};
use crate::{Authority, CommitHash, CommitKind, Error, Member, SUITE, Staged};
use core_types::{Epoch, KeyId, SessionId};
use mls_provider::WriteBatch;
use openmls::messages::group_info::VerifiableGroupInfo;
use openmls::prelude::tls_codec::DeserializeBytes as _;
use openmls::prelude::{LeafNodeIndex, LeafNodeParameters, MlsGroup, MlsMessageBodyIn, MlsMessageIn};
use openmls_traits::OpenMlsProvider as _;

/// What a group info says about its sender's group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupStatus {
    /// Who made it: the host or somebody that it has named.
    pub by: KeyId,
    /// The epoch that it is of.
    pub epoch: Epoch,
    /// How its line of commits stands to this member's.
    pub order: BranchOrder,
}

impl Member {
    /// The group as somebody needs it who was cut off: an MLS GroupInfo with the ratchet tree, in an envelope that this
    /// peer's hybrid identity vouches for. Members take it from those who may change the roster only.
    ///
    /// # Errors
    /// [`Error::State`] when in no session or without a say in it, [`Error::Internal`] when the library fails.
    pub fn group_info(&self) -> Result<Vec<u8>, Error> {
        let session = self.session.as_ref().ok_or(NO_SESSION)?;
        if !session.authority.may_change(self.key_id) {
            return Err(Error::State("only the host and those it names give out group infos"));
        }
        let message = session
            .group
            .export_group_info(session.provider.crypto(), &self.signer, true)
            .map_err(|e| Error::internal("exporting a group info", e))?
            .to_bytes()
            .map_err(|e| Error::internal("encoding a group info", e))?;
        self.vouch.seal(Kind::GroupInfo, &session.branch, &message, &self.signer)
    }

    /// Compares a group info with this member's own line of commits. Where two lines part, the host's holds, and of two
    /// without the host the one whose first commit apart has the smaller hash. When [`BranchOrder::TheirsHolds`], or when commits are
    /// missing that nobody has any more, [`stage_rejoin`](Self::stage_rejoin) leads back.
    ///
    /// # Errors
    /// [`Error::State`] when in no session; [`Error::BadMessage`], [`Error::Limit`], [`Error::Identity`] and
    /// [`Error::NotAuthorised`] for what is no group info of this session by somebody with a say.
    pub fn compare(&self, group_info: &[u8]) -> Result<GroupStatus, Error> {
        let session = self.session.as_ref().ok_or(NO_SESSION)?;
        let (opened, info) = read(session, group_info)?;
        let (by, host) = (opened.vouch.key_id(), session.authority.host());
        let order = match session.branch.compare(&opened.branch) {
            BranchOrder::OursHolds | BranchOrder::TheirsHolds if by == host => BranchOrder::TheirsHolds,
            BranchOrder::OursHolds | BranchOrder::TheirsHolds if self.key_id == host => {
                BranchOrder::OursHolds
            }
            order => order,
        };
        Ok(GroupStatus { by, epoch: Epoch(info.epoch().as_u64()), order })
    }

    /// Prepares an external commit (RFC 9420 section 12.4.3.2) that puts this member back into the group that a group info
    /// describes, in place of its old leaf. The member stays where it is until [`merge_staged`](Self::merge_staged). A
    /// member that has lost its MLS key can't: it has to be replaced by somebody with a say.
    ///
    /// # Errors
    /// As [`compare`](Self::compare); [`Error::State`] when a change is staged already; [`Error::Store`].
    pub fn stage_rejoin(&mut self, group_info: &[u8]) -> Result<Staged, Error> {
        self.require_nothing_staged()?;
        let session = self.session.as_ref().ok_or(NO_SESSION)?;
        let (opened, info) = read(session, group_info)?;
        let pending = self.external_commit(session, &opened, info)?;
        let session = self.session.as_mut().ok_or(NO_SESSION)?;
        session.pending = Some(pending);
        if let Err(error) = self.record_staged(&WriteBatch::default()) {
            self.take_pending()?;
            return Err(error);
        }
        self.staged().ok_or(NO_SESSION)
    }

    /// As [`discard_staged`](Self::discard_staged), and says what the commit was to do unless it was a rejoin.
    ///
    /// # Errors
    /// As [`discard_staged`](Self::discard_staged).
    pub fn abandon_staged(&mut self) -> Result<Option<Change>, Error> {
        let pending = self.session.as_ref().and_then(|session| session.pending.as_ref());
        let change = pending
            .filter(|pending| pending.kind != CommitKind::Rejoin)
            .map(|pending| pending.change.clone());
        self.discard_staged()?;
        Ok(change)
    }

    /// The own commit in waiting, if it is a rejoin.
    pub(crate) fn staged_rejoin(&self) -> Option<CommitHash> {
        let pending = self.session.as_ref()?.pending.as_ref()?;
        (pending.kind == CommitKind::Rejoin).then_some(pending.hash)
    }

    /// True if a commit of an epoch that is over has a smaller hash than the one that this member took. Nothing more is
    /// known of it, since the keys of that epoch are gone.
    /// The commit that ended `epoch` on this member's line, as far as it remembers.
    pub(crate) fn line_at(&self, epoch: Epoch) -> Option<CommitHash> {
        self.session.as_ref()?.branch.at(epoch)
    }

    pub(crate) fn would_have_won(&self, commit: &[u8]) -> bool {
        let Some(session) = &self.session else { return false };
        let Ok(message) = read_commit(commit) else { return false };
        let taken = session.branch.at(Epoch(message.epoch().as_u64()));
        taken.is_some_and(|taken| CommitHash::of(commit) < taken)
    }

    fn external_commit(
        &self,
        session: &Session,
        opened: &Opened<'_>,
        info: VerifiableGroupInfo,
    ) -> Result<Pending, Error> {
        let by = opened.vouch.key_id();
        let bad = |reason: &str| Error::bad_from("group info", by, reason);
        let from = Epoch(info.epoch().as_u64());
        let authority = check_authority(&info, session.authority.host(), session.id, by)?;
        let signer = signer_of(opened.message).ok_or_else(|| bad("too short"))?;
        // A store of its own: the old group stays as it is until the commit is accepted.
        let provider = self.random.provider();
        let built = MlsGroup::external_commit_builder()
            .with_config(join_config())
            .with_aad(self.vouch.to_bytes())
            .skip_lifetime_validation()
            .build_group(&provider, info, self.credential_with_key())
            .map_err(|e| Error::bad_from("group info", by, e))?
            .leaf_node_parameters(LeafNodeParameters::builder().with_capabilities(capabilities()).build())
            .load_psks(provider.storage())
            .map_err(refused)?
            .build(provider.rand(), provider.crypto(), &self.signer, |_| true)
            .map_err(refused)?;
        let (group, bundle) =
            built.finalize(&provider).map_err(|e| Error::internal("staging an external commit", e))?;

        // The library has checked the group info against the leaf that it names.
        let leaf = group.public_group().leaf(signer).ok_or_else(|| bad("its sender is nobody"))?;
        if key_id_of(leaf.credential()) != Some(by)
            || leaf.signature_key().as_slice() != opened.vouch.signer()
        {
            return Err(bad("its sender is not who vouches for it"));
        }
        check_members(group.members().map(|member| key_id_of(&member.credential))).map_err(bad)?;
        let commit = bundle.into_commit().to_bytes().map_err(|e| Error::internal("encoding a commit", e))?;
        crate::error::limit("commit", commit.len(), crate::MAX_COMMIT_BYTES)?;
        let hash = CommitHash::of(&commit);
        let mut branch = opened.branch.clone();
        branch.push(from, hash);
        let next = Session::new(session.id, provider, group, branch)?;
        debug_assert!(next.authority == authority);
        Ok(Pending {
            hash,
            commit,
            welcome: None,
            kind: CommitKind::Rejoin,
            change: Change::default(),
            next: Next::Group(Box::new(next)),
        })
    }
}

/// Opens a group info of this session, and checks that its sender has a say.
fn read<'a>(session: &Session, bytes: &'a [u8]) -> Result<(Opened<'a>, VerifiableGroupInfo), Error> {
    let opened = open(Kind::GroupInfo, bytes)?;
    let by = opened.vouch.key_id();
    let message = MlsMessageIn::tls_deserialize_exact_bytes(opened.message)
        .map_err(|e| Error::bad_from("group info", by, e))?;
    let MlsMessageBodyIn::GroupInfo(info) = message.extract() else {
        return Err(Error::bad_from("group info", by, "it is another kind of message"));
    };
    if info.group_id() != &group_id(session.id) {
        return Err(Error::bad_from("group info", by, "it is for another session"));
    }
    if info.ciphersuite() != SUITE {
        return Err(Error::WrongSuite { peer: by, suite: u16::from(info.ciphersuite()) });
    }
    check_authority(&info, session.authority.host(), session.id, by)?;
    Ok((opened, info))
}

fn check_authority(
    info: &VerifiableGroupInfo,
    host: KeyId,
    session: SessionId,
    by: KeyId,
) -> Result<Authority, Error> {
    let authority = Authority::from_extensions(info.group_context().extensions())?;
    authority.check(host, session).map_err(|reason| Error::bad_from("group info", by, reason))?;
    if authority.may_change(by) { Ok(authority) } else { Err(Error::NotAuthorised { sender: by }) }
}

/// Who signed: the u32 in front of the signature, which ends a GroupInfo (RFC 9420 section 12.4.3) and takes 2 + 64 bytes
/// in our suite.
fn signer_of(message: &[u8]) -> Option<LeafNodeIndex> {
    let (rest, _signature) = message.split_at_checked(message.len().checked_sub(66)?)?;
    rest.last_chunk().map(|index| LeafNodeIndex::new(u32::from_be_bytes(*index)))
}
