//! Commits by others: order, authority, content.

use crate::error::limit;
use crate::member::{NO_SESSION, Session, group_id};
use crate::roster::{key_id_of, roster_of};
use crate::{EpochSecret, Error, MAX_COMMIT_BYTES, MAX_EARLY_COMMITS, MAX_MEMBERS, Member};
use core_types::{Epoch, KeyId};
use openmls::prelude::tls_codec::DeserializeBytes as _;
use openmls::prelude::{
    ContentType, MlsMessageIn, ProcessedMessageContent, Proposal, ProtocolMessage, Sender, StagedCommit,
};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of early commits kept in all.
const MAX_EARLY_BYTES: usize = 2 * MAX_COMMIT_BYTES;

/// What a commit did.
#[derive(Debug)]
pub struct CommitOutcome {
    /// The epoch that it began.
    pub epoch: Epoch,
    /// The secret of that epoch; `None` when this member was removed. It is handed out here because, with
    /// [`followed_by`](Self::followed_by), the session may be further on already.
    pub secret: Option<EpochSecret>,
    /// Who came in, in order of key id.
    pub added: Vec<KeyId>,
    /// Who went, in order of key id. Somebody who was replaced is in both lists.
    pub removed: Vec<KeyId>,
    /// True if this member was removed. It is in no session then, and its keys are gone.
    pub removed_self: bool,
    /// What commits did that had come early and could be applied after this one, in order of epoch. Empty in each of
    /// those.
    pub followed_by: Vec<Self>,
}

impl Member {
    /// Takes in the host's next commit, and those after it that came before it.
    ///
    /// # Errors
    /// [`Error::StaleCommit`] and [`Error::EarlyCommit`] for another epoch than the current one (the epoch in a
    /// commit's header is not authenticated, so this blames nobody); [`Error::NotAuthorised`] for a commit by anybody
    /// but the host; [`Error::Limit`] and [`Error::BadMessage`] for what is not a proper commit of this session;
    /// [`Error::State`] when in no session, or for an own commit that came back.
    pub fn process_commit(&mut self, bytes: &[u8]) -> Result<CommitOutcome, Error> {
        let session = self.session.as_mut().ok_or(NO_SESSION)?;
        let message = read_commit(bytes)?;
        if message.group_id() != &group_id(session.id) {
            return Err(Error::bad("commit", "it is for another session"));
        }
        let have = Epoch(session.group.epoch().as_u64());
        let got = Epoch(message.epoch().as_u64());
        if got < have {
            return Err(Error::StaleCommit { have, got });
        }
        if got > have {
            let kept = session.early.keep(have, got, bytes);
            return Err(Error::EarlyCommit { have, got, kept });
        }
        let mut outcome = self.apply(message)?;
        while let Some(bytes) = self.next_early() {
            // What does not apply now never will: it is dropped, and a good copy can still come.
            if let Ok(next) = read_commit(&bytes).and_then(|message| self.apply(message)) {
                outcome.followed_by.push(next);
            }
        }
        Ok(outcome)
    }

    fn next_early(&mut self) -> Option<Vec<u8>> {
        let session = self.session.as_mut()?;
        session.early.next(Epoch(session.group.epoch().as_u64()))
    }

    /// Applies a commit of the current epoch, or leaves everything as it was.
    fn apply(&mut self, message: ProtocolMessage) -> Result<CommitOutcome, Error> {
        let session = self.session.as_mut().ok_or(NO_SESSION)?;
        // Decrypts and verifies; changes nothing but the sender's message counter.
        let processed =
            session.group.process_message(&self.provider, message).map_err(|e| Error::bad("commit", e))?;
        let sender = match processed.sender() {
            Sender::Member(_) => key_id_of(processed.credential()),
            _ => None,
        };
        let sender = sender.ok_or_else(|| Error::bad("commit", "it is not by a member"))?;
        let staged = match processed.into_content() {
            ProcessedMessageContent::StagedCommitMessage(staged) => *staged,
            ProcessedMessageContent::OwnPrivateMessage | ProcessedMessageContent::OwnPendingCommit => {
                return Err(Error::State("this commit is our own; merge_staged() or discard_staged()"));
            }
            _ => return Err(Error::bad("commit", "it is another kind of message")),
        };
        if sender != session.host {
            return Err(Error::NotAuthorised { sender });
        }
        let Change { added, removed } = check_content(session, sender, &staged)
            .map_err(|reason| Error::bad_from("commit", sender, reason))?;

        let epoch = Epoch(staged.epoch().as_u64());
        let removed_self = staged.self_removed();
        session
            .group
            .merge_staged_commit(&self.provider, staged)
            .map_err(|e| Error::internal("merging a commit", e))?;
        let secret = if removed_self {
            self.leave()?;
            None
        } else {
            Some(self.epoch_secret()?)
        };
        Ok(CommitOutcome { epoch, secret, added, removed, removed_self, followed_by: Vec::new() })
    }
}

struct Change {
    added: Vec<KeyId>,
    removed: Vec<KeyId>,
}

/// What even the host may not do: anything but adding and removing, changing its own name, adding a nameless or a
/// second membership.
fn check_content(session: &Session, sender: KeyId, staged: &StagedCommit) -> Result<Change, &'static str> {
    let roster = roster_of(&session.group);
    let mut change = Change { added: Vec::new(), removed: Vec::new() };
    for queued in staged.queued_proposals() {
        match queued.proposal() {
            Proposal::Add(add) => {
                let key_id = key_id_of(add.key_package().leaf_node().credential());
                change.added.push(key_id.ok_or("it adds a leaf whose credential is not a key id")?);
            }
            Proposal::Remove(remove) => {
                let entry = roster.iter().find(|entry| entry.leaf.0 == remove.removed().u32());
                change.removed.push(entry.ok_or("it removes a leaf that is empty")?.key_id);
            }
            _ => return Err("it does something else than adding and removing"),
        }
    }
    // The library keeps proposals in no particular order.
    change.added.sort_unstable();
    change.removed.sort_unstable();
    if staged.update_path_leaf_node().is_some_and(|leaf| key_id_of(leaf.credential()) != Some(sender)) {
        return Err("it changes the sender's key id");
    }
    let mut present: BTreeSet<KeyId> = roster.iter().map(|entry| entry.key_id).collect();
    for key_id in &change.removed {
        present.remove(key_id);
    }
    if !change.added.iter().all(|key_id| present.insert(*key_id)) {
        return Err("it adds somebody who is a member already");
    }
    if present.len() > MAX_MEMBERS {
        return Err("it makes the session too large");
    }
    Ok(change)
}

/// Reads an MLSMessage that holds a member's commit. Says nothing about who made it.
fn read_commit(bytes: &[u8]) -> Result<ProtocolMessage, Error> {
    limit("commit", bytes.len(), MAX_COMMIT_BYTES)?;
    let message = MlsMessageIn::tls_deserialize_exact_bytes(bytes)
        .map_err(|e| Error::bad("commit", e))?
        .try_into_protocol_message()
        .map_err(|e| Error::bad("commit", e))?;
    if message.content_type() != ContentType::Commit {
        return Err(Error::bad("commit", "it is another kind of message"));
    }
    if message.is_external() {
        return Err(Error::bad("commit", "commits from outside are not accepted"));
    }
    Ok(message)
}

/// Commits that wait for the epoch that they start from. Bounded in number, bytes and epochs ahead, because what is in
/// here is not authenticated.
#[derive(Debug, Default)]
pub(crate) struct EarlyCommits {
    waiting: BTreeMap<Epoch, Vec<Vec<u8>>>,
}

impl EarlyCommits {
    /// True if the commit is kept, or was before.
    fn keep(&mut self, have: Epoch, start: Epoch, bytes: &[u8]) -> bool {
        if self.waiting.get(&start).is_some_and(|same| same.iter().any(|known| known == bytes)) {
            return true;
        }
        let (count, size) = self
            .waiting
            .values()
            .flatten()
            .fold((0, bytes.len()), |(count, size), commit| (count + 1, size + commit.len()));
        let ahead = start.0.saturating_sub(have.0);
        if count >= MAX_EARLY_COMMITS || size > MAX_EARLY_BYTES || ahead > MAX_EARLY_COMMITS as u64 {
            return false;
        }
        self.waiting.entry(start).or_default().push(bytes.to_vec());
        true
    }

    /// Takes out a commit that starts from `epoch`, and drops those that start before it.
    fn next(&mut self, epoch: Epoch) -> Option<Vec<u8>> {
        self.waiting = self.waiting.split_off(&epoch);
        let mut first = self.waiting.first_entry().filter(|entry| *entry.key() == epoch)?;
        let commit = first.get_mut().pop();
        if first.get().is_empty() {
            first.remove();
        }
        commit
    }
}
