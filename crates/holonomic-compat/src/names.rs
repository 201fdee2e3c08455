//! The predecessor's names: text that whoever used it chose. A type for each, so that none is taken for another.

use core::fmt;

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name<'a>(pub &'a str);

        impl AsRef<[u8]> for $name<'_> {
            fn as_ref(&self) -> &[u8] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.0)
            }
        }
    )*};
}

names! {
    /// A peer.
    PeerName
    /// A content.
    ContentName
    /// A namespace of claims.
    Namespace
    /// What kind of claim an envelope holds.
    ClaimKind
    /// An occurrence of an identity.
    Occurrence
    /// A member of an aggregation, or a content in a list of wants.
    MemberName
    /// A kind of corpus.
    CorpusKind
    /// An algorithm of aggregation.
    AlgorithmName
    /// A scope of cohorts.
    CohortScope
    /// An epoch that has a name and no number.
    EpochName
}

/// A symbol's number: 32 bits, where ours have 24.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SymbolIndex(pub u32);

/// How much a member weighs, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mass(pub u64);
