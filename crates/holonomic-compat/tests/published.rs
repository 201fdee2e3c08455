//! Every value that the predecessor published, and those derived from its layouts, against the crate.
//!
//! Each field of each file is taken out and compared or used, and a file or field that nothing takes is a failure: so no byte of them
//! can change unnoticed.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "published/derived.rs"]
mod derived;
#[path = "published/fields.rs"]
mod fields;

use core_types::{BitRate, Epoch};
use fields::{Fields, files};
use holonomic_compat::{
    AggregationMeta, AlgorithmName, ClaimKind, CohortScope, CompressRequest, ContentName, CorpusKind,
    CorpusWant, EpochName, HoldingClaim, Mass, MemberName, MetaVersion, Namespace, Occurrence, OwnerBinding,
    PeerName, Root, ScopeBudget, SignedClaim, StorageBudget, SymbolIndex, Witness, capacity, descend, domain,
    member_commitment, merkle_root, version,
};

#[test]
fn every_published_file_is_reproduced() {
    let files = files();
    for (path, fields) in files {
        let mut fields = Fields::new(&path, fields);
        check(&path, &mut fields);
        fields.finish();
    }
}

#[test]
fn all_the_files_are_there() {
    let paths: Vec<String> = files().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths.len(), 24, "{paths:#?}");
}

fn check(path: &str, fields: &mut Fields) {
    let name = path.strip_suffix(".json").unwrap();
    let name = name.strip_prefix("holonomic_v19_7/").or(name.strip_prefix("holonomic_v19/")).unwrap_or(name);
    match name.strip_prefix("19/").or(name.strip_prefix("19_7/")).unwrap_or(name) {
        "domain_separators" => separators(fields),
        "schema_versions" => versions(fields),
        "derived_kats" => derived::check(fields),
        // It alone has no id.
        "relay_capacity/canonical_bytes" => relay_capacity(fields),
        shape => {
            // Files are named with an underscore where ids have a slash.
            assert_eq!(
                fields.text("vector_id").replace("bytes/", "bytes_").replace("preimage/", "preimage_"),
                shape
            );
            match shape.split_once('/').unwrap().0 {
                "merkle_root" => root(fields),
                "member_commitment" => members(fields),
                "descend" => descended(fields),
                "wholeness_witness" => witness(fields),
                "signed_claim" => signed_claim(fields),
                "fountain_holding_claim" => holding_claim(fields),
                "fountain_compress_request" => compress_request(fields),
                "aggregation_meta" => aggregation(fields),
                "storage_budget" => storage_budget(fields),
                "corpus_want" => corpus_want(fields),
                _ => panic!("nothing here knows {path}"),
            }
        }
    }
}

fn separators(fields: &mut Fields) {
    if fields.has("agg_meta_v1_hex") {
        assert_eq!(fields.hex("agg_meta_v1_hex"), domain::AGGREGATION_META);
        assert_eq!(fields.number("agg_meta_v1_len"), 16);
        return;
    }
    assert_eq!(fields.hex("witness_preimage_v1_hex"), domain::WITNESS);
    assert_eq!(fields.hex("signed_claim_v1_hex"), domain::SIGNED_CLAIM);
    assert_eq!(fields.hex("holding_claim_v1_hex"), domain::HOLDING_CLAIM);
    assert_eq!(fields.hex("compress_request_v1_hex"), domain::COMPRESS_REQUEST);
}

fn versions(fields: &mut Fields) {
    assert_eq!(fields.number("witness_version"), u64::from(version::WITNESS));
    assert_eq!(fields.number("claim_version"), u64::from(version::SIGNED_CLAIM));
    assert_eq!(fields.number("holding_claim_version"), u64::from(version::HOLDING_CLAIM));
    assert_eq!(fields.number("compress_request_version"), u64::from(version::COMPRESS_REQUEST));
    assert_eq!(fields.number("max_witness_chain_len"), version::MAX_WITNESS_CHAIN as u64);
}

fn root(fields: &mut Fields) {
    let leaves: Vec<Vec<u8>> = fields.texts("leaves_hex").iter().map(|leaf| fields::hex(leaf)).collect();
    let backwards = merkle_root(leaves.iter().rev());
    assert_eq!(merkle_root(leaves), Root(fields.array("expected_root_hex")));
    assert_eq!(backwards, Root(fields.array("expected_root_hex")));
}

fn members(fields: &mut Fields) {
    let members = fields.texts("source_member_ids");
    assert_eq!(member_commitment(&names(&members)), Root(fields.array("expected_commitment_hex")));
}

fn descended(fields: &mut Fields) {
    let (given, expected) = (fields.texts("input_member_ids"), fields.texts("expected_ordered_ids"));
    assert_eq!(descend(&names(&given)), names(&expected));
    assert_eq!(member_commitment(&names(&given)), Root(fields.array("expected_commitment_hex")));
}

fn names(members: &[String]) -> Vec<MemberName<'_>> {
    members.iter().map(|name| MemberName(name)).collect()
}

fn witness(fields: &mut Fields) {
    let namespaces = fields.texts("claim_namespaces");
    let mut namespaces: Vec<Namespace<'_>> = namespaces.iter().map(|name| Namespace(name)).collect();
    // They are sorted by who writes.
    namespaces.reverse();
    let peer = fields.text("peer_id");
    let witness = Witness {
        peer: PeerName(&peer),
        epoch: Epoch(fields.number("epoch_id")),
        root: Root(fields.bytes("merkle_root").try_into().unwrap()),
        leaves: fields.number("leaf_count").try_into().unwrap(),
        namespaces: &namespaces,
        observed_at: fields.time("observed_at_unix_ms"),
    };
    if witness.leaves == 0 {
        assert_eq!(witness.root, merkle_root::<&[u8]>([]));
    }
    assert_eq!(fields.hex("domain_separator_hex"), domain::WITNESS);
    assert_eq!(fields.number("witness_version"), u64::from(version::WITNESS));
    fields.empty(&["pqc_key_id", "signature", "signature_ml_dsa_65"]);
    assert_eq!(witness.preimage().unwrap(), fields.hex("expected_canonical_bytes_hex"));
}

fn signed_claim(fields: &mut Fields) {
    let (kind, signer, claim) =
        (fields.text("claim_kind"), fields.text("signer_peer_id"), fields.bytes("claim_bytes"));
    let (owner, delegates, occurrence) = (
        fields.optional("user_owner"),
        fields.optional("delegates_to"),
        fields.optional("identity_occurrence"),
    );
    let claim = SignedClaim {
        kind: ClaimKind(&kind),
        signer: PeerName(&signer),
        claim: &claim,
        signed_at: fields.time("signed_at_unix_ms"),
        owner: OwnerBinding {
            user_owner: owner.as_deref().map(PeerName),
            delegates_to: delegates.as_deref().map(PeerName),
            occurrence: occurrence.as_deref().map(Occurrence),
        },
    };
    assert_eq!(fields.hex("domain_separator_hex"), domain::SIGNED_CLAIM);
    assert_eq!(fields.number("claim_version"), u64::from(version::SIGNED_CLAIM));
    fields.empty(&["signature_ed25519_base64", "signature_ml_dsa_65_base64"]);
    assert_eq!(claim.canonical_bytes().unwrap(), fields.hex("expected_canonical_bytes_hex"));
}

fn holding_claim(fields: &mut Fields) {
    let (holder, content) = (fields.text("peer_id"), fields.text("content_id"));
    let symbols = fields.numbers("symbol_ids").into_iter().map(|id| SymbolIndex(id.try_into().unwrap()));
    let claim = HoldingClaim {
        holder: PeerName(&holder),
        content: ContentName(&content),
        symbols: &symbols.collect::<Vec<_>>(),
        observed_at: fields.time("observed_at_unix_ms"),
    };
    assert_eq!(fields.hex("domain_separator_hex"), domain::HOLDING_CLAIM);
    assert_eq!(fields.number("claim_version"), u64::from(version::HOLDING_CLAIM));
    assert_eq!(claim.canonical_bytes().unwrap(), fields.hex("expected_canonical_bytes_hex"));
}

fn compress_request(fields: &mut Fields) {
    let (peer, content) = (fields.text("peer_id"), fields.text("content_id"));
    let request = CompressRequest {
        peer: PeerName(&peer),
        content: ContentName(&content),
        low: SymbolIndex(fields.number("evicting_range_low").try_into().unwrap()),
        high: SymbolIndex(fields.number("evicting_range_high").try_into().unwrap()),
        deadline: fields.time("deadline_unix_ms"),
    };
    assert_eq!(fields.hex("domain_separator_hex"), domain::COMPRESS_REQUEST);
    assert_eq!(fields.number("request_version"), u64::from(version::COMPRESS_REQUEST));
    assert_eq!(request.canonical_bytes().unwrap(), fields.hex("expected_canonical_bytes_hex"));
}

fn aggregation(fields: &mut Fields) {
    let number = fields.number("version");
    let members = fields.texts("source_member_ids");
    let members = names(&members);
    let (content, corpus) = (fields.text("content_id"), fields.text("corpus_kind"));
    let (algorithm, noise) = (fields.text("aggregation_algorithm_id"), fields.text("noise_floor_descriptor"));
    let mut small = |name: &str| fields.number(name).try_into().unwrap();
    let tier = small("tier");
    assert_eq!(small("source_count"), members.len() as u32);
    let effective = if number > 1 { small("n_eff") } else { 0 };
    let max_multiplicity = if number > 2 { small("max_source_multiplicity") } else { 0 };
    let masses: Vec<Mass> = match number {
        3 => fields.numbers("member_masses_fixed").into_iter().map(Mass).collect(),
        _ => Vec::new(),
    };
    let version = match number {
        1 => MetaVersion::V1,
        2 => MetaVersion::V2 { effective },
        _ => MetaVersion::V3 { effective, max_multiplicity, masses: &masses },
    };
    let meta = AggregationMeta {
        content: ContentName(&content),
        corpus: CorpusKind(&corpus),
        tier,
        algorithm: AlgorithmName(&algorithm),
        members: &members,
        noise_floor: &noise,
        version,
    };
    assert_eq!(fields.hex("domain_separator_hex"), domain::AGGREGATION_META);
    assert_eq!(member_commitment(&members), Root(fields.array("member_commitment_hex")));
    let bytes = meta.canonical_bytes().unwrap();
    if number == 3 {
        assert_eq!(bytes[bytes.len() - 32..], fields.hex("mass_commitment_hex"));
    }
    assert_eq!(bytes, fields.hex("expected_canonical_bytes_hex"));
}

fn storage_budget(fields: &mut Fields) {
    let (node, epoch, pinned) =
        (fields.text("node_id"), fields.text("epoch_id"), fields.texts("pinned_class"));
    let scopes: Vec<(String, u64, u64)> = fields
        .list("scopes")
        .into_iter()
        .map(|mut scope| {
            let read =
                (scope.text("cohort_scope"), scope.number("budget_bytes"), scope.number("pin_reserve_bytes"));
            scope.finish();
            read
        })
        .collect();
    let scopes = scopes.iter().map(|(scope, bytes, pin_reserve)| ScopeBudget {
        scope: CohortScope(scope),
        bytes: *bytes,
        pin_reserve: *pin_reserve,
    });
    let budget = StorageBudget {
        node: PeerName(&node),
        epoch: EpochName(&epoch),
        revision: fields.number("revision"),
        scopes: &scopes.collect::<Vec<_>>(),
        pinned: &pinned.iter().map(|kind| CorpusKind(kind)).collect::<Vec<_>>(),
    };
    assert_eq!(fields.hex("domain_separator_hex"), domain::STORAGE_BUDGET);
    assert_eq!(fields.number("version"), u64::from(version::STORAGE_BUDGET));
    assert_eq!(budget.canonical_bytes().unwrap(), fields.hex("expected_canonical_bytes_hex"));
}

fn corpus_want(fields: &mut Fields) {
    let (node, epoch) = (fields.text("node_id"), fields.text("epoch_id"));
    let (scope, want) = (fields.text("cohort_scope"), fields.texts("want"));
    let want = CorpusWant {
        node: PeerName(&node),
        epoch: EpochName(&epoch),
        scope: CohortScope(&scope),
        size_cap: fields.number("size_cap_bytes"),
        remaining: fields.number("remaining_budget_bytes"),
        want: &names(&want),
    };
    assert_eq!(fields.hex("domain_separator_hex"), domain::CORPUS_WANT);
    assert_eq!(fields.number("version"), u64::from(version::CORPUS_WANT));
    assert_eq!(want.canonical_bytes().unwrap(), fields.hex("expected_canonical_bytes_hex"));
}

fn relay_capacity(fields: &mut Fields) {
    let (peer, mbit) = (fields.text("peer_id"), fields.number("uplink_mbps"));
    let uplink = BitRate::from_kbit(mbit * 1_000);
    let bytes = capacity::narrow(PeerName(&peer), uplink, Epoch(fields.number("epoch"))).unwrap();
    assert_eq!(fields.hex("domain_hex"), domain::RELAY_CAPACITY);
    assert_eq!(fields.number("expected_len"), bytes.len() as u64);
    assert_eq!(bytes, fields.hex("expected_canonical_bytes_hex"));
}
