//! What was put together of what.

use crate::{
    AlgorithmName, ContentName, CorpusKind, Error, Mass, MemberName, Root, domain, merkle_root, write,
};
use identity::canonical::Writer;

/// The members in the order in which they are committed to: ascending, byte by byte.
pub fn descend<'a>(members: &[MemberName<'a>]) -> Vec<MemberName<'a>> {
    let mut members = members.to_vec();
    members.sort_unstable();
    members
}

/// What stands for the members: the root over their names, in whatever order they are given.
pub fn member_commitment(members: &[MemberName<'_>]) -> Root {
    merkle_root(members)
}

/// What stands for the members and what each weighs: the root over name ‖ mass, u64.
///
/// That it is so was worked out from the one vector that there is. Names of which one begins with another might be in another order.
fn mass_commitment(members: &[MemberName<'_>], masses: &[Mass]) -> Root {
    let leaves = members.iter().zip(masses);
    merkle_root(leaves.map(|(member, mass)| [member.0.as_bytes(), &mass.0.to_be_bytes()].concat()))
}

/// Which version of the layout, and what it has beside the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaVersion<'a> {
    /// The first.
    V1,
    /// With a number of sources that count.
    V2 {
        /// That number.
        effective: u32,
    },
    /// With what each weighs besides.
    V3 {
        /// The number of sources that count.
        effective: u32,
        /// How often the source that is there most often is there.
        max_multiplicity: u32,
        /// What each member weighs, in the order of the members.
        masses: &'a [Mass],
    },
}

/// What an aggregation was made of, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AggregationMeta<'a> {
    /// What was made.
    pub content: ContentName<'a>,
    /// Of which kind of corpus.
    pub corpus: CorpusKind<'a>,
    /// How high in the pyramid.
    pub tier: u32,
    /// How.
    pub algorithm: AlgorithmName<'a>,
    /// Of what.
    pub members: &'a [MemberName<'a>],
    /// How its noise is described.
    pub noise_floor: &'a str,
    /// In which layout.
    pub version: MetaVersion<'a>,
}

impl AggregationMeta<'_> {
    /// What was signed: separator 16 ‖ version u32 ‖ content ‖ corpus, each with a u32 length ‖ tier u32 ‖ algorithm likewise ‖ members u32
    /// ‖ their commitment 32 ‖ noise floor likewise; from version 2 on ‖ effective u32; in version 3 ‖ multiplicity u32 ‖ the
    /// commitment to their masses 32.
    ///
    /// # Errors
    /// [`Error::Masses`] unless there are as many as members, [`Error::TooMuch`] for a length.
    pub fn canonical_bytes(&self) -> Result<Vec<u8>, Error> {
        let number = match self.version {
            MetaVersion::V1 => 1,
            MetaVersion::V2 { .. } => 2,
            MetaVersion::V3 { .. } => 3,
        };
        let mut w = Writer::new();
        w.fixed(&domain::AGGREGATION_META).u32(number);
        write::text(&mut w, "content", self.content)?;
        write::text(&mut w, "corpus", self.corpus)?;
        w.u32(self.tier);
        write::text(&mut w, "algorithm", self.algorithm)?;
        write::count(&mut w, "members", self.members.len())?;
        w.fixed(&member_commitment(self.members).0);
        write::text(&mut w, "noise floor", self.noise_floor)?;
        match self.version {
            MetaVersion::V1 => {}
            MetaVersion::V2 { effective } => {
                w.u32(effective);
            }
            MetaVersion::V3 { effective, max_multiplicity, masses } => {
                let (members, given) = (self.members.len(), masses.len());
                if members != given {
                    return Err(Error::Masses { members, masses: given });
                }
                w.u32(effective).u32(max_multiplicity).fixed(&mass_commitment(self.members, masses).0);
            }
        }
        Ok(w.into_bytes())
    }
}
