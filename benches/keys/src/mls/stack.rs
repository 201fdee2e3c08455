//! The two stacks under `openmls`, and the operations that both are measured with.

use anyhow::{Context, Result, anyhow, bail};
use mls_provider::{GroupStore, Provider, SUITE, Signer, TreeWrites};
use openmls::prelude::tls_codec::{DeserializeBytes as _, Serialize as _};
use openmls::prelude::{
    BasicCredential, CredentialWithKey, GroupEpoch, GroupId, HpkePrivateKey, KeyPackage, LeafNodeIndex,
    MIXED_CIPHERTEXT_WIRE_FORMAT_POLICY, MlsGroup, MlsGroupJoinConfig, MlsMessageBodyIn, MlsMessageIn,
    ProcessedMessageContent, RatchetTreeIn, StagedWelcome,
};
use openmls::storage::OpenMlsProvider;
use openmls::treesync::EncryptionKey;
use openmls_basic_credential::SignatureKeyPair;
use openmls_libcrux_crypto::CryptoProvider;
use openmls_memory_storage::MemoryStorage;
use openmls_traits::OpenMlsProvider as _;
use openmls_traits::signatures::Signer as MlsSigner;
use openmls_traits::storage::{CURRENT_VERSION, Entity, StorageProvider as _, traits};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::RwLock;

/// A member as it was written down while the group grew.
#[derive(Debug, Clone)]
pub(super) struct Saved {
    pub(super) number: u32,
    pub(super) snapshot: Vec<u8>,
}

/// A member's group over one of the stacks.
pub(super) struct Member<S: Stack> {
    pub(super) stack: S,
    pub(super) group: MlsGroup,
}

/// Ours or stock.
pub(super) trait Stack: Sized {
    type Provider: OpenMlsProvider;
    type Signer: MlsSigner;

    fn provider(&self) -> &Self::Provider;
    fn signer(&self) -> &Self::Signer;
    /// A peer without a group.
    fn fresh(number: u32) -> Result<Self>;
    /// The same peer again, with all that it had kept; for peers without a group.
    fn again(&self, number: u32) -> Result<Self>;
    /// A member of a group.
    fn revive(saved: &Saved) -> Result<Member<Self>>;
    /// Before something that draws randomness.
    fn begin(&self);
    /// Writes down what has to survive a crash: what [`begin`](Self::begin) recorded, and `received`.
    fn journal(&mut self, received: &[u8]) -> Result<()>;
}

pub(super) fn group_id() -> GroupId {
    GroupId::from_slice(b"benchmark")
}

/// The same keys for the same number in both stacks.
pub(super) fn seed_of(number: u32) -> [u8; 32] {
    let mut seed = [0xa5; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    seed
}

pub(super) fn name_of(number: u32, public_key: &[u8]) -> CredentialWithKey {
    // As long as our key ids.
    let mut id = vec![0; 32];
    id[..4].copy_from_slice(&number.to_be_bytes());
    CredentialWithKey {
        credential: BasicCredential::new(id).into(),
        signature_key: public_key.to_vec().into(),
    }
}

pub(super) struct Ours {
    provider: Provider,
    signer: Signer,
    journal: Vec<u8>,
}

impl Ours {
    fn over(store: GroupStore, number: u32) -> Result<Self> {
        let mut seed = seed_of(number);
        seed[31] ^= rand::random::<u8>();
        Ok(Self {
            provider: Provider::new(StdRng::from_seed(seed), store),
            signer: Signer::from_seed(&seed_of(number))?,
            journal: Vec::with_capacity(16 << 20),
        })
    }
}

impl Stack for Ours {
    type Provider = Provider;
    type Signer = Signer;

    fn provider(&self) -> &Provider {
        &self.provider
    }

    fn signer(&self) -> &Signer {
        &self.signer
    }

    fn fresh(number: u32) -> Result<Self> {
        Self::over(GroupStore::new(TreeWrites::Deferred), number)
    }

    fn again(&self, number: u32) -> Result<Self> {
        let store = GroupStore::restore(&self.provider.storage().snapshot([])?)?;
        store.set_tree_writes(TreeWrites::Deferred);
        Self::over(store, number)
    }

    fn revive(saved: &Saved) -> Result<Member<Self>> {
        let store = GroupStore::restore(&saved.snapshot)?;
        let group = MlsGroup::load(&store, &group_id())?.context("no group in the snapshot")?;
        // As it is after any commit: the tree is in the group alone.
        store.set_tree_writes(TreeWrites::Deferred);
        store.write_tree(&group_id(), group.treesync())?;
        Ok(Member { stack: Self::over(store, saved.number)?, group })
    }

    fn begin(&self) {
        self.provider.storage().begin_capture();
    }

    fn journal(&mut self, received: &[u8]) -> Result<()> {
        self.journal.clear();
        self.journal.extend_from_slice(received);
        self.journal.extend_from_slice(&self.provider.storage().take_captured().to_bytes()?);
        Ok(())
    }
}

/// `openmls_libcrux_crypto` with `openmls_memory_storage`, as they come.
pub(super) struct Stock {
    provider: StockProvider,
    signer: SignatureKeyPair,
}

pub(super) struct StockProvider {
    crypto: CryptoProvider,
    storage: MemoryStorage,
}

impl openmls_traits::OpenMlsProvider for StockProvider {
    type CryptoProvider = CryptoProvider;
    type RandProvider = CryptoProvider;
    type StorageProvider = MemoryStorage;

    fn storage(&self) -> &MemoryStorage {
        &self.storage
    }

    fn crypto(&self) -> &CryptoProvider {
        &self.crypto
    }

    fn rand(&self) -> &CryptoProvider {
        &self.crypto
    }
}

impl Stock {
    fn over(values: HashMap<Vec<u8>, Vec<u8>>, number: u32) -> Result<Self> {
        let seed = seed_of(number);
        let public = Signer::from_seed(&seed)?.public_key().to_vec();
        let signer = SignatureKeyPair::from_raw(SUITE.signature_algorithm(), seed.to_vec(), public);
        let storage = MemoryStorage { values: RwLock::new(values) };
        Ok(Self { provider: StockProvider { crypto: CryptoProvider::new()?, storage }, signer })
    }
}

impl Stack for Stock {
    type Provider = StockProvider;
    type Signer = SignatureKeyPair;

    fn provider(&self) -> &StockProvider {
        &self.provider
    }

    fn signer(&self) -> &SignatureKeyPair {
        &self.signer
    }

    fn fresh(number: u32) -> Result<Self> {
        Self::over(HashMap::new(), number)
    }

    fn again(&self, number: u32) -> Result<Self> {
        let values = self.provider.storage.values.read().map_err(|_| anyhow!("poisoned"))?.clone();
        Self::over(values, number)
    }

    /// The group as our snapshot has it, and of its storage what `openmls` reads again: the key pairs of the epoch. All
    /// else it writes at the first merge.
    fn revive(saved: &Saved) -> Result<Member<Self>> {
        let store = GroupStore::restore(&saved.snapshot)?;
        let group = MlsGroup::load(&store, &group_id())?.context("no group in the snapshot")?;
        let stack = Self::fresh(saved.number)?;
        let (id, epoch, leaf) = (group.group_id(), group.epoch(), group.own_leaf_index().u32());
        let pairs: Vec<KeyPair> =
            store.encryption_epoch_key_pairs::<GroupId, GroupEpoch, _>(id, &epoch, leaf)?;
        stack.provider.storage.write_encryption_epoch_key_pairs(id, &epoch, leaf, &pairs)?;
        Ok(Member { stack, group })
    }

    fn begin(&self) {}

    /// Its storage has all; nobody writes that to a disk here either.
    fn journal(&mut self, _: &[u8]) -> Result<()> {
        Ok(())
    }
}

/// The shape of the library's own type, which is private.
#[derive(Serialize, Deserialize)]
struct KeyPair {
    public_key: EncryptionKey,
    private_key: PrivateKey,
}

#[derive(Serialize, Deserialize)]
struct PrivateKey {
    key: HpkePrivateKey,
}

impl Entity<CURRENT_VERSION> for KeyPair {}
impl traits::HpkeKeyPair<CURRENT_VERSION> for KeyPair {}

/// What a change gives its maker.
pub(super) struct Built {
    pub(super) commit: Vec<u8>,
    pub(super) welcome: Option<Vec<u8>>,
}

impl<S: Stack> Member<S> {
    /// From the wish to bytes that can be sent, and the journal. The tree is not in the welcome.
    pub(super) fn stage(&mut self, add: &[KeyPackage], remove: &[u32]) -> Result<Built> {
        self.stage_with(add, remove, false)
    }

    /// The same with the tree in the welcome or without it.
    pub(super) fn stage_with(&mut self, add: &[KeyPackage], remove: &[u32], tree: bool) -> Result<Built> {
        self.stack.begin();
        let (provider, signer) = (self.stack.provider(), self.stack.signer());
        let bundle = self
            .group
            .commit_builder()
            .consume_proposal_store(false)
            .propose_removals(remove.iter().map(|leaf| LeafNodeIndex::new(*leaf)))
            .propose_adds(add.iter().cloned())
            .load_psks(provider.storage())
            .map_err(|e| anyhow!("{e}"))?
            .use_ratchet_tree_extension(tree)
            .create_group_info(false)
            .build(provider.rand(), provider.crypto(), signer, |_| true)
            .map_err(|e| anyhow!("{e}"))?
            .stage_commit(provider)
            .map_err(|e| anyhow!("{e}"))?;
        let welcome = bundle.to_welcome_msg().map(|message| message.to_bytes()).transpose()?;
        let commit = bundle.into_commit().to_bytes()?;
        self.stack.journal(&[])?;
        Ok(Built { commit, welcome })
    }

    /// The public tree, as bytes.
    pub(super) fn tree(&self) -> Result<Vec<u8>> {
        Ok(self.group.export_ratchet_tree().tls_serialize_detached()?)
    }

    pub(super) fn merge(&mut self) -> Result<()> {
        self.group.merge_pending_commit(self.stack.provider()).map_err(|e| anyhow!("{e}"))?;
        self.stack.journal(&[1])
    }

    /// A commit that is dropped, so that memories are as they are in the middle of a session.
    pub(super) fn settle(mut self) -> Result<Self> {
        let other = u32::from(self.group.own_leaf_index().u32() == 0);
        self.stage(&[], &[other])?;
        self.discard()?;
        Ok(self)
    }

    pub(super) fn discard(&mut self) -> Result<()> {
        self.group.clear_pending_commit(self.stack.provider().storage()).map_err(|e| anyhow!("{e}"))
    }

    /// From bytes to the next epoch, and the journal.
    pub(super) fn receive(&mut self, commit: &[u8]) -> Result<()> {
        let message = MlsMessageIn::tls_deserialize_exact_bytes(commit)?.try_into_protocol_message()?;
        let processed =
            self.group.process_message(self.stack.provider(), message).map_err(|e| anyhow!("{e}"))?;
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            bail!("not a commit");
        };
        self.stack.journal(commit)?;
        self.group.merge_staged_commit(self.stack.provider(), *staged).map_err(|e| anyhow!("{e}"))
    }
}

pub(super) fn join_config() -> MlsGroupJoinConfig {
    MlsGroupJoinConfig::builder()
        .wire_format_policy(MIXED_CIPHERTEXT_WIRE_FORMAT_POLICY)
        .use_ratchet_tree_extension(true)
        .build()
}

/// From bytes to a group, and the journal.
pub(super) fn join<S: Stack>(stack: &mut S, welcome: &[u8], tree: &[u8]) -> Result<MlsGroup> {
    let message = MlsMessageIn::tls_deserialize_exact_bytes(welcome)?;
    let MlsMessageBodyIn::Welcome(body) = message.extract() else { bail!("not a welcome") };
    let tree = RatchetTreeIn::tls_deserialize_exact_bytes(tree)?;
    let staged = StagedWelcome::new_from_welcome(stack.provider(), &join_config(), body, Some(tree))
        .map_err(|e| anyhow!("{e}"))?;
    stack.journal(welcome)?;
    staged.into_group(stack.provider()).map_err(|e| anyhow!("{e}"))
}

pub(super) fn key_package<S: Stack>(stack: &S, number: u32) -> Result<KeyPackage> {
    let public = Signer::from_seed(&seed_of(number))?.public_key().to_vec();
    let bundle = KeyPackage::builder()
        .build(SUITE, stack.provider(), stack.signer(), name_of(number, &public))
        .map_err(|e| anyhow!("{e}"))?;
    Ok(bundle.key_package().clone())
}
