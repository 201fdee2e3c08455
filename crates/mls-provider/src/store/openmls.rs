//! The storage interface of `openmls`, entity by entity.

use super::codec::{decode, to_vec};
use super::{GroupStore, Kind};
use crate::Error;
use openmls_traits::storage::{CURRENT_VERSION as V, StorageProvider, traits};

impl StorageProvider<V> for GroupStore {
    type Error = Error;

    fn write_tree<K: traits::GroupId<V>, E: traits::TreeSync<V>>(
        &self,
        key: &K,
        value: &E,
    ) -> Result<(), Error> {
        self.write(Kind::Tree, key, value)
    }

    fn tree<K: traits::GroupId<V>, E: traits::TreeSync<V>>(&self, key: &K) -> Result<Option<E>, Error> {
        self.read(Kind::Tree, key)
    }

    fn delete_tree<K: traits::GroupId<V>>(&self, key: &K) -> Result<(), Error> {
        self.delete(Kind::Tree, key)
    }

    fn write_interim_transcript_hash<K: traits::GroupId<V>, E: traits::InterimTranscriptHash<V>>(
        &self,
        key: &K,
        value: &E,
    ) -> Result<(), Error> {
        self.write(Kind::InterimTranscriptHash, key, value)
    }

    fn interim_transcript_hash<K: traits::GroupId<V>, E: traits::InterimTranscriptHash<V>>(
        &self,
        key: &K,
    ) -> Result<Option<E>, Error> {
        self.read(Kind::InterimTranscriptHash, key)
    }

    fn delete_interim_transcript_hash<K: traits::GroupId<V>>(&self, key: &K) -> Result<(), Error> {
        self.delete(Kind::InterimTranscriptHash, key)
    }

    fn write_context<K: traits::GroupId<V>, E: traits::GroupContext<V>>(
        &self,
        key: &K,
        value: &E,
    ) -> Result<(), Error> {
        self.write(Kind::GroupContext, key, value)
    }

    fn group_context<K: traits::GroupId<V>, E: traits::GroupContext<V>>(
        &self,
        key: &K,
    ) -> Result<Option<E>, Error> {
        self.read(Kind::GroupContext, key)
    }

    fn delete_context<K: traits::GroupId<V>>(&self, key: &K) -> Result<(), Error> {
        self.delete(Kind::GroupContext, key)
    }

    fn write_confirmation_tag<K: traits::GroupId<V>, E: traits::ConfirmationTag<V>>(
        &self,
        key: &K,
        value: &E,
    ) -> Result<(), Error> {
        self.write(Kind::ConfirmationTag, key, value)
    }

    fn confirmation_tag<K: traits::GroupId<V>, E: traits::ConfirmationTag<V>>(
        &self,
        key: &K,
    ) -> Result<Option<E>, Error> {
        self.read(Kind::ConfirmationTag, key)
    }

    fn delete_confirmation_tag<K: traits::GroupId<V>>(&self, key: &K) -> Result<(), Error> {
        self.delete(Kind::ConfirmationTag, key)
    }

    fn write_group_state<E: traits::GroupState<V>, K: traits::GroupId<V>>(
        &self,
        key: &K,
        value: &E,
    ) -> Result<(), Error> {
        self.write(Kind::GroupState, key, value)
    }

    fn group_state<E: traits::GroupState<V>, K: traits::GroupId<V>>(
        &self,
        key: &K,
    ) -> Result<Option<E>, Error> {
        self.read(Kind::GroupState, key)
    }

    fn delete_group_state<K: traits::GroupId<V>>(&self, key: &K) -> Result<(), Error> {
        self.delete(Kind::GroupState, key)
    }

    fn write_message_secrets<K: traits::GroupId<V>, E: traits::MessageSecrets<V>>(
        &self,
        key: &K,
        value: &E,
    ) -> Result<(), Error> {
        self.write(Kind::MessageSecrets, key, value)
    }

    fn message_secrets<K: traits::GroupId<V>, E: traits::MessageSecrets<V>>(
        &self,
        key: &K,
    ) -> Result<Option<E>, Error> {
        self.read(Kind::MessageSecrets, key)
    }

    fn delete_message_secrets<K: traits::GroupId<V>>(&self, key: &K) -> Result<(), Error> {
        self.delete(Kind::MessageSecrets, key)
    }

    fn write_resumption_psk_store<K: traits::GroupId<V>, E: traits::ResumptionPskStore<V>>(
        &self,
        key: &K,
        value: &E,
    ) -> Result<(), Error> {
        self.write(Kind::ResumptionPskStore, key, value)
    }

    fn resumption_psk_store<K: traits::GroupId<V>, E: traits::ResumptionPskStore<V>>(
        &self,
        key: &K,
    ) -> Result<Option<E>, Error> {
        self.read(Kind::ResumptionPskStore, key)
    }

    fn delete_all_resumption_psk_secrets<K: traits::GroupId<V>>(&self, key: &K) -> Result<(), Error> {
        self.delete(Kind::ResumptionPskStore, key)
    }

    fn write_own_leaf_index<K: traits::GroupId<V>, E: traits::LeafNodeIndex<V>>(
        &self,
        key: &K,
        value: &E,
    ) -> Result<(), Error> {
        self.write(Kind::OwnLeafIndex, key, value)
    }

    fn own_leaf_index<K: traits::GroupId<V>, E: traits::LeafNodeIndex<V>>(
        &self,
        key: &K,
    ) -> Result<Option<E>, Error> {
        self.read(Kind::OwnLeafIndex, key)
    }

    fn delete_own_leaf_index<K: traits::GroupId<V>>(&self, key: &K) -> Result<(), Error> {
        self.delete(Kind::OwnLeafIndex, key)
    }

    fn write_group_epoch_secrets<K: traits::GroupId<V>, E: traits::GroupEpochSecrets<V>>(
        &self,
        key: &K,
        value: &E,
    ) -> Result<(), Error> {
        self.write(Kind::EpochSecrets, key, value)
    }

    fn group_epoch_secrets<K: traits::GroupId<V>, E: traits::GroupEpochSecrets<V>>(
        &self,
        key: &K,
    ) -> Result<Option<E>, Error> {
        self.read(Kind::EpochSecrets, key)
    }

    fn delete_group_epoch_secrets<K: traits::GroupId<V>>(&self, key: &K) -> Result<(), Error> {
        self.delete(Kind::EpochSecrets, key)
    }

    fn write_mls_join_config<K: traits::GroupId<V>, E: traits::MlsGroupJoinConfig<V>>(
        &self,
        key: &K,
        value: &E,
    ) -> Result<(), Error> {
        self.write(Kind::JoinConfig, key, value)
    }

    fn mls_group_join_config<K: traits::GroupId<V>, E: traits::MlsGroupJoinConfig<V>>(
        &self,
        key: &K,
    ) -> Result<Option<E>, Error> {
        self.read(Kind::JoinConfig, key)
    }

    fn delete_group_config<K: traits::GroupId<V>>(&self, key: &K) -> Result<(), Error> {
        self.delete(Kind::JoinConfig, key)
    }

    fn write_signature_key_pair<K: traits::SignaturePublicKey<V>, E: traits::SignatureKeyPair<V>>(
        &self,
        key: &K,
        value: &E,
    ) -> Result<(), Error> {
        self.write(Kind::SignatureKeyPair, key, value)
    }

    fn signature_key_pair<K: traits::SignaturePublicKey<V>, E: traits::SignatureKeyPair<V>>(
        &self,
        key: &K,
    ) -> Result<Option<E>, Error> {
        self.read(Kind::SignatureKeyPair, key)
    }

    fn delete_signature_key_pair<K: traits::SignaturePublicKey<V>>(&self, key: &K) -> Result<(), Error> {
        self.delete(Kind::SignatureKeyPair, key)
    }

    fn write_encryption_key_pair<K: traits::EncryptionKey<V>, E: traits::HpkeKeyPair<V>>(
        &self,
        key: &K,
        value: &E,
    ) -> Result<(), Error> {
        self.write(Kind::EncryptionKeyPair, key, value)
    }

    fn encryption_key_pair<E: traits::HpkeKeyPair<V>, K: traits::EncryptionKey<V>>(
        &self,
        key: &K,
    ) -> Result<Option<E>, Error> {
        self.read(Kind::EncryptionKeyPair, key)
    }

    fn delete_encryption_key_pair<K: traits::EncryptionKey<V>>(&self, key: &K) -> Result<(), Error> {
        self.delete(Kind::EncryptionKeyPair, key)
    }

    fn write_key_package<K: traits::HashReference<V>, E: traits::KeyPackage<V>>(
        &self,
        key: &K,
        value: &E,
    ) -> Result<(), Error> {
        self.write(Kind::KeyPackage, key, value)
    }

    fn key_package<K: traits::HashReference<V>, E: traits::KeyPackage<V>>(
        &self,
        key: &K,
    ) -> Result<Option<E>, Error> {
        self.read(Kind::KeyPackage, key)
    }

    fn delete_key_package<K: traits::HashReference<V>>(&self, key: &K) -> Result<(), Error> {
        self.delete(Kind::KeyPackage, key)
    }

    fn write_psk<K: traits::PskId<V>, E: traits::PskBundle<V>>(
        &self,
        key: &K,
        value: &E,
    ) -> Result<(), Error> {
        self.write(Kind::Psk, key, value)
    }

    fn psk<E: traits::PskBundle<V>, K: traits::PskId<V>>(&self, key: &K) -> Result<Option<E>, Error> {
        self.read(Kind::Psk, key)
    }

    fn delete_psk<K: traits::PskId<V>>(&self, key: &K) -> Result<(), Error> {
        self.delete(Kind::Psk, key)
    }

    fn append_own_leaf_node<K: traits::GroupId<V>, E: traits::LeafNode<V>>(
        &self,
        group: &K,
        node: &E,
    ) -> Result<(), Error> {
        // The list is of encodings, since the node is only lent.
        let node = to_vec(Kind::OwnLeafNodes.name(), node)?;
        self.change_list(Kind::OwnLeafNodes, group, |list| list.push(node))
    }

    fn own_leaf_nodes<K: traits::GroupId<V>, E: traits::LeafNode<V>>(
        &self,
        group: &K,
    ) -> Result<Vec<E>, Error> {
        let list: Vec<Vec<u8>> = self.read(Kind::OwnLeafNodes, group)?.unwrap_or_default();
        list.iter().map(|node| decode(Kind::OwnLeafNodes.name(), node)).collect()
    }

    fn delete_own_leaf_nodes<K: traits::GroupId<V>>(&self, group: &K) -> Result<(), Error> {
        self.delete(Kind::OwnLeafNodes, group)
    }

    fn queue_proposal<K: traits::GroupId<V>, R: traits::ProposalRef<V>, E: traits::QueuedProposal<V>>(
        &self,
        group: &K,
        reference: &R,
        proposal: &E,
    ) -> Result<(), Error> {
        self.write(Kind::Proposal, &(group, reference), proposal)?;
        let reference = to_vec(Kind::ProposalRefs.name(), reference)?;
        self.change_list(Kind::ProposalRefs, group, |list| {
            list.retain(|known| *known != reference);
            list.push(reference);
        })
    }

    fn queued_proposal_refs<K: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        group: &K,
    ) -> Result<Vec<R>, Error> {
        let list: Vec<Vec<u8>> = self.read(Kind::ProposalRefs, group)?.unwrap_or_default();
        list.iter().map(|item| decode(Kind::ProposalRefs.name(), item)).collect()
    }

    fn queued_proposals<K: traits::GroupId<V>, R: traits::ProposalRef<V>, E: traits::QueuedProposal<V>>(
        &self,
        group: &K,
    ) -> Result<Vec<(R, E)>, Error> {
        let mut proposals = Vec::new();
        for reference in self.queued_proposal_refs::<K, R>(group)? {
            if let Some(proposal) = self.read(Kind::Proposal, &(group, &reference))? {
                proposals.push((reference, proposal));
            }
        }
        Ok(proposals)
    }

    fn remove_proposal<K: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        group: &K,
        reference: &R,
    ) -> Result<(), Error> {
        self.delete(Kind::Proposal, &(group, reference))?;
        let reference = to_vec(Kind::ProposalRefs.name(), reference)?;
        self.change_list(Kind::ProposalRefs, group, |list| list.retain(|known| *known != reference))
    }

    fn clear_proposal_queue<K: traits::GroupId<V>, R: traits::ProposalRef<V>>(
        &self,
        group: &K,
    ) -> Result<(), Error> {
        for reference in self.queued_proposal_refs::<K, R>(group)? {
            self.delete(Kind::Proposal, &(group, &reference))?;
        }
        self.delete(Kind::ProposalRefs, group)
    }

    fn write_encryption_epoch_key_pairs<
        K: traits::GroupId<V>,
        I: traits::EpochKey<V>,
        E: traits::HpkeKeyPair<V>,
    >(
        &self,
        group: &K,
        epoch: &I,
        leaf_index: u32,
        key_pairs: &[E],
    ) -> Result<(), Error> {
        self.write(Kind::EpochKeyPairs, &(group, epoch, leaf_index), &key_pairs)
    }

    fn encryption_epoch_key_pairs<
        K: traits::GroupId<V>,
        I: traits::EpochKey<V>,
        E: traits::HpkeKeyPair<V>,
    >(
        &self,
        group: &K,
        epoch: &I,
        leaf_index: u32,
    ) -> Result<Vec<E>, Error> {
        Ok(self.read(Kind::EpochKeyPairs, &(group, epoch, leaf_index))?.unwrap_or_default())
    }

    fn delete_encryption_epoch_key_pairs<K: traits::GroupId<V>, I: traits::EpochKey<V>>(
        &self,
        group: &K,
        epoch: &I,
        leaf_index: u32,
    ) -> Result<(), Error> {
        self.delete(Kind::EpochKeyPairs, &(group, epoch, leaf_index))
    }
}
