//! A warm group of any size in seconds: members come in by external commits, each of which brings a fresh path, so that no
//! node is blank. Signatures are taken on trust meanwhile; what is measured later checks them.

use super::stack::{Saved, group_id, join_config, name_of, seed_of};
use anyhow::{Context, Result, anyhow, bail};
use mls_provider::{Crypto, GroupStore, Random, SUITE, Signer, TreeWrites};
use openmls::prelude::tls_codec::{DeserializeBytes as _, SecretVLBytes};
use openmls::prelude::{
    MIXED_CIPHERTEXT_WIRE_FORMAT_POLICY, MlsGroup, MlsGroupCreateConfig, MlsMessageBodyIn, MlsMessageIn,
    ProcessedMessageContent,
};
use openmls_traits::OpenMlsProvider;
use openmls_traits::crypto::OpenMlsCrypto;
use openmls_traits::types::{
    AeadType, Ciphersuite, CryptoError, ExporterSecret, HashType, HpkeCiphertext, HpkeConfig, HpkeKeyPair,
    KemOutput, SignatureScheme,
};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

/// The first member and the last of a group.
#[derive(Debug, Clone)]
pub(super) struct Ends {
    pub(super) members: u32,
    pub(super) host: Saved,
    pub(super) last: Saved,
}

/// One group, written down at each of `sizes`, which are in rising order and above one.
pub(super) fn grow(sizes: &[u32]) -> Result<Vec<Ends>> {
    let host = Grower::new(0)?;
    let config = MlsGroupCreateConfig::builder()
        .ciphersuite(SUITE)
        .wire_format_policy(MIXED_CIPHERTEXT_WIRE_FORMAT_POLICY)
        .use_ratchet_tree_extension(true)
        .build();
    let name = name_of(0, host.signer.public_key());
    let mut group = MlsGroup::new_with_group_id(&host, &host.signer, &config, group_id(), name)?;
    let mut grown = Vec::new();
    for number in 1..sizes.last().copied().unwrap_or_default() {
        let info = group.export_group_info(host.crypto(), &host.signer, true)?.to_bytes()?;
        let joiner = Grower::new(number)?;
        let (joined, commit) = joiner.join(&info, number)?;
        let message = MlsMessageIn::tls_deserialize_exact_bytes(&commit)?.try_into_protocol_message()?;
        let processed = group.process_message(&host, message)?;
        let ProcessedMessageContent::StagedCommitMessage(staged) = processed.into_content() else {
            bail!("not a commit");
        };
        group.merge_staged_commit(&host, *staged)?;
        let members = number + 1;
        if sizes.contains(&members) {
            let save = |number, grower: &Grower, group| -> Result<Saved> {
                Ok(Saved { number, snapshot: grower.store.snapshot([group])?.to_vec() })
            };
            grown.push(Ends {
                members,
                host: save(0, &host, &group)?,
                last: save(number, &joiner, &joined)?,
            });
        }
    }
    Ok(grown)
}

struct Grower {
    crypto: Trusting,
    store: GroupStore,
    signer: Signer,
}

impl Grower {
    fn new(number: u32) -> Result<Self> {
        let crypto = Crypto::new(StdRng::from_seed(seed_of(!number)));
        Ok(Self {
            crypto: Trusting(crypto),
            store: GroupStore::new(TreeWrites::Deferred),
            signer: Signer::from_seed(&seed_of(number))?,
        })
    }

    fn join(&self, info: &[u8], number: u32) -> Result<(MlsGroup, Vec<u8>)> {
        let MlsMessageBodyIn::GroupInfo(info) = MlsMessageIn::tls_deserialize_exact_bytes(info)?.extract()
        else {
            bail!("not a group info");
        };
        let (group, bundle) = MlsGroup::external_commit_builder()
            .with_config(join_config())
            .build_group(self, info, name_of(number, self.signer.public_key()))
            .map_err(|e| anyhow!("{e}"))?
            .load_psks(&self.store)
            .map_err(|e| anyhow!("{e}"))?
            .build(self.rand(), self.crypto(), &self.signer, |_| true)
            .map_err(|e| anyhow!("{e}"))?
            .finalize(self)
            .map_err(|e| anyhow!("{e}"))?;
        Ok((group, bundle.into_commit().to_bytes().context("encoding a commit")?))
    }
}

impl OpenMlsProvider for Grower {
    type CryptoProvider = Trusting;
    type RandProvider = Random;
    type StorageProvider = GroupStore;

    fn storage(&self) -> &GroupStore {
        &self.store
    }

    fn crypto(&self) -> &Trusting {
        &self.crypto
    }

    fn rand(&self) -> &Random {
        self.crypto.0.random()
    }
}

/// Ours, but for signatures.
struct Trusting(Crypto);

impl OpenMlsCrypto for Trusting {
    fn verify_signature(&self, _: SignatureScheme, _: &[u8], _: &[u8], _: &[u8]) -> Result<(), CryptoError> {
        Ok(())
    }

    fn supports(&self, ciphersuite: Ciphersuite) -> Result<(), CryptoError> {
        self.0.supports(ciphersuite)
    }

    fn supported_ciphersuites(&self) -> Vec<Ciphersuite> {
        self.0.supported_ciphersuites()
    }

    fn hkdf_extract(&self, hash: HashType, salt: &[u8], ikm: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        self.0.hkdf_extract(hash, salt, ikm)
    }

    fn hmac(&self, hash: HashType, key: &[u8], message: &[u8]) -> Result<SecretVLBytes, CryptoError> {
        self.0.hmac(hash, key, message)
    }

    fn hkdf_expand(
        &self,
        hash: HashType,
        prk: &[u8],
        info: &[u8],
        okm_len: usize,
    ) -> Result<SecretVLBytes, CryptoError> {
        self.0.hkdf_expand(hash, prk, info, okm_len)
    }

    fn hash(&self, hash: HashType, data: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.0.hash(hash, data)
    }

    fn aead_encrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        data: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.0.aead_encrypt(alg, key, data, nonce, aad)
    }

    fn aead_decrypt(
        &self,
        alg: AeadType,
        key: &[u8],
        ct_tag: &[u8],
        nonce: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.0.aead_decrypt(alg, key, ct_tag, nonce, aad)
    }

    fn signature_key_gen(&self, alg: SignatureScheme) -> Result<(Vec<u8>, Vec<u8>), CryptoError> {
        self.0.signature_key_gen(alg)
    }

    fn sign(&self, alg: SignatureScheme, data: &[u8], key: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.0.sign(alg, data, key)
    }

    fn hpke_seal(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        aad: &[u8],
        ptxt: &[u8],
    ) -> Result<HpkeCiphertext, CryptoError> {
        self.0.hpke_seal(config, pk_r, info, aad, ptxt)
    }

    fn hpke_open(
        &self,
        config: HpkeConfig,
        input: &HpkeCiphertext,
        sk_r: &[u8],
        info: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        self.0.hpke_open(config, input, sk_r, info, aad)
    }

    fn hpke_setup_sender_and_export(
        &self,
        config: HpkeConfig,
        pk_r: &[u8],
        info: &[u8],
        context: &[u8],
        length: usize,
    ) -> Result<(KemOutput, ExporterSecret), CryptoError> {
        self.0.hpke_setup_sender_and_export(config, pk_r, info, context, length)
    }

    fn hpke_setup_receiver_and_export(
        &self,
        config: HpkeConfig,
        enc: &[u8],
        sk_r: &[u8],
        info: &[u8],
        context: &[u8],
        length: usize,
    ) -> Result<ExporterSecret, CryptoError> {
        self.0.hpke_setup_receiver_and_export(config, enc, sk_r, info, context, length)
    }

    fn derive_hpke_keypair(&self, config: HpkeConfig, ikm: &[u8]) -> Result<HpkeKeyPair, CryptoError> {
        self.0.derive_hpke_keypair(config, ikm)
    }
}
