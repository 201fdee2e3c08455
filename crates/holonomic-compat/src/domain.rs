//! With what each structure's bytes begin. Those of sixteen bytes are filled up with NULs.

/// Of a [`Witness`](crate::Witness).
pub const WITNESS: [u8; 16] = *b"WW-PREIMAGE-v1\0\0";
/// What is hashed for the root over no leaves at all.
pub const EMPTY_ROOT: &[u8] = b"WW-v1-empty";
/// Of a [`SignedClaim`](crate::SignedClaim).
pub const SIGNED_CLAIM: [u8; 16] = *b"CIRIS-CLAIM-v1\0\0";
/// Of a [`HoldingClaim`](crate::HoldingClaim).
pub const HOLDING_CLAIM: &[u8] = b"ciris-edge/holding-claim/v1";
/// Of a [`CompressRequest`](crate::CompressRequest).
pub const COMPRESS_REQUEST: &[u8] = b"ciris-edge/compress-request/v1";
/// Of an [`AggregationMeta`](crate::AggregationMeta) of any version.
pub const AGGREGATION_META: [u8; 16] = *b"AGG-META-v1\0\0\0\0\0";
/// Of a [`StorageBudget`](crate::StorageBudget).
pub const STORAGE_BUDGET: [u8; 16] = *b"CIRIS-STG-BUDGET";
/// Of a [`CorpusWant`](crate::CorpusWant).
pub const CORPUS_WANT: [u8; 16] = *b"CIRIS-WANT-HAVE\0";
/// Of a relay's capacity, in both layouts.
pub const RELAY_CAPACITY: [u8; 16] = *b"CIRISALM-CAPv2\0\0";
/// What an inner nonce is hashed from, first.
pub const INNER_NONCE: &[u8] = b"CIRIS-AV-INNER-V1";
/// What an outer nonce is hashed from, first.
pub const OUTER_NONCE: &[u8] = b"CIRIS-AV-OUTER-V1";
