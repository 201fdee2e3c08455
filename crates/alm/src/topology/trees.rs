//! One tree for each stripe, over node numbers: 0 is the source, the others follow by rank.
//!
//! A tree is filled from the top, each level by rank: first with those who feed others in it, then with the rest. So who has
//! which place follows from who feeds whom how often, and that is all that is kept; places are computed when asked for. With
//! 100,000 peers memory is what trees take their time for, and a peer asks for its own places alone.

/// The trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grown {
    /// How many nodes there are beside the source.
    pub(super) served: usize,
    trees: Vec<Tree>,
}

/// Who feeds others in one stripe: the source, then the others by rank.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tree {
    feeders: Vec<Feeder>,
}

/// Somebody who feeds others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Feeder {
    node: u32,
    /// The first place that it feeds; what it feeds ends where the next one's begins. Places count from 0, the source has none.
    first: u32,
    /// Hops from the source.
    depth: u32,
}

impl Grown {
    /// The parents of a node by stripe; none of the source and of who is not served.
    pub(super) fn parents(&self, node: usize) -> impl Iterator<Item = u32> {
        let is_served = (1..=self.served).contains(&node);
        let trees = if is_served { self.trees.as_slice() } else { &[] };
        trees.iter().filter_map(move |tree| tree.parent(node).map(|parent| parent.node))
    }

    /// The children of a node in a stripe; none in one that there is not.
    pub(super) fn children(&self, node: usize, stripe: usize) -> impl Iterator<Item = u32> {
        let tree = self.trees.get(stripe);
        let places = tree.map_or(0..0, |tree| tree.places_fed_by(node, self.served));
        places.filter_map(move |place| tree.map(|tree| tree.node_at(place)))
    }

    /// The most hops of a node in any stripe; `None` for who is not served.
    pub(super) fn depth(&self, node: usize) -> Option<u32> {
        match node {
            0 => Some(0),
            node if node <= self.served => {
                self.trees.iter().filter_map(|tree| Some(tree.parent(node)?.depth + 1)).max()
            }
            _ => None,
        }
    }

    /// The most hops that anybody has: depth grows with the places, so that of the last place.
    pub(super) fn max_depth(&self) -> u32 {
        let Some(last) = self.served.checked_sub(1) else { return 0 };
        let depths = self.trees.iter().filter_map(|tree| Some(tree.feeder_of(last)?.depth + 1));
        depths.max().unwrap_or(0)
    }
}

impl Tree {
    /// Numbers the places: `shares` are the feeders and how many they feed, the source first.
    fn grow(shares: &[(u32, u32)]) -> Self {
        let mut feeders: Vec<Feeder> = Vec::with_capacity(shares.len());
        let (mut first, mut parent) = (0_u32, 0);
        for (rank, (node, share)) in shares.iter().copied().enumerate() {
            let depth = match rank.checked_sub(1) {
                None => 0,
                Some(place) => {
                    while feeders.get(parent + 1).is_some_and(|next| next.first as usize <= place) {
                        parent += 1;
                    }
                    feeders.get(parent).map_or(0, |parent| parent.depth + 1)
                }
            };
            feeders.push(Feeder { node, first, depth });
            first = first.saturating_add(share);
        }
        Self { feeders }
    }

    /// How many of the feeders come before a node; itself does not count. The source comes before all.
    fn feeders_before(&self, node: usize) -> usize {
        self.feeders.partition_point(|feeder| (feeder.node as usize) < node)
    }

    /// The place of a node other than the source.
    fn place(&self, node: usize) -> usize {
        let before = self.feeders_before(node);
        match self.feeders.get(before) {
            Some(feeder) if feeder.node as usize == node => before - 1,
            // Behind all feeders, and behind those without children who come before it.
            _ => self.feeders.len() - 1 + node - before,
        }
    }

    /// Who has a place.
    fn node_at(&self, place: usize) -> u32 {
        if let Some(feeder) = self.feeders.get(place + 1) {
            return feeder.node;
        }
        // So many without children come before it, and so many feeders have at most as many of those before them.
        let rest = place + 1 - self.feeders.len();
        let (mut low, mut high) = (1, self.feeders.len());
        while low < high {
            let middle = low.midpoint(high);
            let resting_before = self.feeders.get(middle).map_or(0, |feeder| feeder.node as usize - middle);
            if resting_before <= rest {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        (rest + low) as u32
    }

    /// Who feeds a place.
    fn feeder_of(&self, place: usize) -> Option<&Feeder> {
        let behind = self.feeders.partition_point(|feeder| feeder.first as usize <= place);
        self.feeders.get(behind.checked_sub(1)?)
    }

    fn parent(&self, node: usize) -> Option<&Feeder> {
        self.feeder_of(self.place(node))
    }

    /// The places that a node feeds, out of so many.
    fn places_fed_by(&self, node: usize, places: usize) -> core::ops::Range<usize> {
        let at = self.feeders_before(node);
        match self.feeders.get(at) {
            Some(feeder) if feeder.node as usize == node => {
                let end = self.feeders.get(at + 1).map_or(places, |next| next.first as usize);
                feeder.first as usize..end.min(places)
            }
            _ => 0..0,
        }
    }
}

/// Grows the trees. `slots` says how many children each node can have over all stripes, the source first, the others by
/// rank; together they have to be enough for all, and the source's at least one for each stripe.
///
/// First come those who feed others in a tree, by rank: each takes a place and gives at least one, so places never run out among
/// them. The others take what is free, highest first. Since nodes are placed level by level and by rank within a level, the next
/// parent is always the one of least depth, then of best rank.
pub(super) fn grow(slots: &[u32], stripes: usize) -> Grown {
    let trees = share_out(slots, stripes).iter().map(|shares| Tree::grow(shares)).collect();
    Grown { served: slots.len().saturating_sub(1), trees }
}

/// Who feeds how many in each stripe, the source first and then by rank; the sum of each stripe is enough for all nodes.
///
/// The source is shared out evenly. Every other node goes whole to the stripe that has least. Only where a stripe then
/// has too little is it given something from a node of a stripe that has too much, largest first: that is then a node
/// that feeds in two.
fn share_out(slots: &[u32], stripes: usize) -> Vec<Vec<(u32, u32)>> {
    let Some((source, rest)) = slots.split_first() else { return Vec::new() };
    let need = rest.len() as u64;
    let part = |stripe: usize| source / stripes as u32 + u32::from(stripe < *source as usize % stripes);
    let mut sums: Vec<u64> = (0..stripes).map(|stripe| u64::from(part(stripe))).collect();
    let mut shares: Vec<Vec<(u32, u32)>> = (0..stripes).map(|stripe| vec![(0, part(stripe))]).collect();
    for (room, node) in rest.iter().zip(1_u32..).filter(|(room, _)| **room > 0) {
        if let Some((sum, share)) = sums.iter_mut().zip(&mut shares).min_by_key(|(sum, _)| **sum) {
            *sum += u64::from(*room);
            share.push((node, *room));
        }
    }
    level(&mut sums, &mut shares, need);
    shares
}

/// Moves what stripes have too much to those that have too little.
fn level(sums: &mut [u64], shares: &mut [Vec<(u32, u32)>], need: u64) {
    loop {
        let numbered = || sums.iter().copied().enumerate();
        let Some((poor, least)) = numbered().min_by_key(|(_, sum)| *sum) else { return };
        let Some((rich, most)) = numbered().max_by_key(|(_, sum)| *sum) else { return };
        let amount = most.saturating_sub(need).min(need.saturating_sub(least));
        if amount == 0 {
            return;
        }
        let Ok([from, to]) = shares.get_disjoint_mut([rich, poor]) else { return };
        let moved = hand_over(from, to, amount);
        if moved == 0 {
            return;
        }
        for (stripe, sum) in sums.iter_mut().enumerate() {
            if stripe == rich {
                *sum -= moved;
            } else if stripe == poor {
                *sum += moved;
            }
        }
    }
}

/// Hands over up to so many, largest first, and says how many it were. What the source gives to a stripe stays there: it has to
/// reach somebody in each.
fn hand_over(from: &mut Vec<(u32, u32)>, to: &mut Vec<(u32, u32)>, amount: u64) -> u64 {
    let mut left = amount;
    for (node, share) in from.iter_mut().skip(1) {
        if left == 0 {
            break;
        }
        let part = u32::try_from(left).unwrap_or(u32::MAX).min(*share);
        *share -= part;
        left -= u64::from(part);
        match to.binary_search_by_key(node, |(node, _)| *node) {
            Ok(at) => to.get_mut(at).into_iter().for_each(|(_, own)| *own += part),
            Err(at) => to.insert(at, (*node, part)),
        }
    }
    from.retain(|(node, share)| *share > 0 || *node == 0);
    amount - left
}
