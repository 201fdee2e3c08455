//! Peers and groups for the tests of this folder.

use mls_provider::{GroupStore, Provider, SUITE, Signer, TreeWrites};
use openmls::prelude::tls_codec::DeserializeBytes as _;
use openmls::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// Somebody with a provider, a signer and at most one group.
pub(crate) struct Peer {
    pub(crate) provider: Provider,
    pub(crate) signer: Signer,
    pub(crate) name: CredentialWithKey,
    pub(crate) group: Option<MlsGroup>,
}

impl Peer {
    pub(crate) fn new(seed: u8, trees: TreeWrites) -> Self {
        Self::over(seed, GroupStore::new(trees), seed)
    }

    /// A peer whose key is of `identity`, and whose randomness is of `seed`.
    pub(crate) fn over(seed: u8, store: GroupStore, identity: u8) -> Self {
        let provider = Provider::new(StdRng::from_seed([seed; 32]), store);
        let signer = Signer::from_seed(&[identity; 32]).unwrap();
        let name = CredentialWithKey {
            credential: BasicCredential::new(vec![identity]).into(),
            signature_key: signer.public_key().to_vec().into(),
        };
        Self { provider, signer, name, group: None }
    }

    pub(crate) fn create(&mut self) {
        let config =
            MlsGroupCreateConfig::builder().ciphersuite(SUITE).use_ratchet_tree_extension(true).build();
        let id = GroupId::from_slice(b"group");
        self.group = Some(
            MlsGroup::new_with_group_id(&self.provider, &self.signer, &config, id, self.name.clone())
                .unwrap(),
        );
    }

    pub(crate) fn key_package(&self) -> KeyPackage {
        let bundle =
            KeyPackage::builder().build(SUITE, &self.provider, &self.signer, self.name.clone()).unwrap();
        bundle.key_package().clone()
    }

    pub(crate) fn group(&self) -> &MlsGroup {
        self.group.as_ref().unwrap()
    }

    /// Stages a commit; gives its bytes and the welcome.
    pub(crate) fn stage(&mut self, add: Vec<KeyPackage>, remove: &[u32]) -> (Vec<u8>, Option<Welcome>) {
        let path = add.is_empty() && remove.is_empty();
        let bundle = self
            .group
            .as_mut()
            .unwrap()
            .commit_builder()
            .force_self_update(path)
            .propose_removals(remove.iter().map(|leaf| LeafNodeIndex::new(*leaf)))
            .propose_adds(add)
            .load_psks(self.provider.storage())
            .unwrap()
            .build(self.provider.rand(), self.provider.crypto(), &self.signer, |_| true)
            .unwrap()
            .stage_commit(&self.provider)
            .unwrap();
        let welcome = bundle.welcome().cloned();
        (bundle.into_commit().to_bytes().unwrap(), welcome)
    }

    pub(crate) fn merge(&mut self) {
        self.group.as_mut().unwrap().merge_pending_commit(&self.provider).unwrap();
    }

    pub(crate) fn discard(&mut self) {
        self.group.as_mut().unwrap().clear_pending_commit(self.provider.storage()).unwrap();
    }

    pub(crate) fn join(&mut self, welcome: Welcome) {
        let config = MlsGroupJoinConfig::builder().use_ratchet_tree_extension(true).build();
        let staged = StagedWelcome::new_from_welcome(&self.provider, &config, welcome, None).unwrap();
        self.group = Some(staged.into_group(&self.provider).unwrap());
    }

    pub(crate) fn receive(&mut self, commit: &[u8]) {
        let message = MlsMessageIn::tls_deserialize_exact_bytes(commit).unwrap();
        let message = message.try_into_protocol_message().unwrap();
        let group = self.group.as_mut().unwrap();
        let processed = group.process_message(&self.provider, message).unwrap();
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            panic!("not a commit");
        };
        group.merge_staged_commit(&self.provider, *staged).unwrap();
    }

    /// What all members of an epoch have in common.
    pub(crate) fn secret(&self) -> (u64, Vec<u8>, Vec<u8>) {
        let exported = self.group().export_secret(self.provider.crypto(), "test", b"", 32).unwrap();
        (self.group().epoch().as_u64(), exported, self.group().epoch_authenticator().as_slice().to_vec())
    }

    /// The same peer after a crash: from a snapshot, with other randomness.
    pub(crate) fn revive(&self, snapshot: &[u8]) -> Self {
        let identity = self.name.credential.serialized_content()[0];
        let mut again = Self::over(identity ^ 0x80, GroupStore::restore(snapshot).unwrap(), identity);
        again.load();
        again
    }

    pub(crate) fn load(&mut self) {
        let id = GroupId::from_slice(b"group");
        self.group = MlsGroup::load(self.provider.storage(), &id).unwrap();
        assert!(self.group.is_some(), "the group is in the store");
    }

    pub(crate) fn snapshot(&self) -> Vec<u8> {
        self.provider.storage().snapshot(&self.group).unwrap().to_vec()
    }

    /// The entities of a snapshot, but for message secrets, in which `openmls` writes the time of day.
    pub(crate) fn entities(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        const MESSAGE_SECRETS: u8 = 6;
        let snapshot = self.snapshot();
        let mut rest = &snapshot[5..];
        let mut next = |skip: usize| {
            let (len, after) = rest.get(skip..)?.split_first_chunk::<4>()?;
            let (bytes, after) = after.split_at(u32::from_be_bytes(*len) as usize);
            rest = after;
            Some(bytes.to_vec())
        };
        let mut entities = Vec::new();
        while let Some(key) = next(1) {
            entities.push((key, next(0).unwrap()));
        }
        entities.retain(|(key, _)| key[0] != MESSAGE_SECRETS);
        entities
    }
}

/// A group in which peer 0 added all others, and each of them updated its path once.
pub(crate) fn group_of(count: u8, trees: TreeWrites) -> Vec<Peer> {
    let mut peers: Vec<Peer> = (0..count).map(|at| Peer::new(at + 1, trees)).collect();
    let packages = peers[1..].iter().map(Peer::key_package).collect();
    peers[0].create();
    let (_, welcome) = peers[0].stage(packages, &[]);
    peers[0].merge();
    for peer in &mut peers[1..] {
        peer.join(welcome.clone().unwrap());
    }
    for at in 0..peers.len() {
        commit(&mut peers, at, Vec::new(), &[]);
    }
    peers
}

/// Stages, merges and has everybody else receive.
pub(crate) fn commit(peers: &mut [Peer], by: usize, add: Vec<KeyPackage>, remove: &[u32]) -> Vec<u8> {
    let (bytes, _) = peers[by].stage(add, remove);
    peers[by].merge();
    for (at, peer) in peers.iter_mut().enumerate() {
        if at != by {
            peer.receive(&bytes);
        }
    }
    bytes
}
