//! One tree for each stripe, over node numbers: 0 is the source, the others follow by rank.

/// The trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grown {
    /// How many nodes there are beside the source.
    pub(super) served: usize,
    /// The most hops that anybody has.
    pub(super) max_depth: u32,
    /// The most hops of each node in any stripe.
    depths: Vec<u32>,
    /// For each stripe the nodes in the order in which they were placed: so the children of one node are neighbours.
    order: Vec<Vec<u32>>,
    /// Where in `order` the children of node n in stripe s start, at `n · stripes + s`; 0 if it has none.
    starts: Vec<u32>,
    /// The parent of node n in stripe s, at `(n − 1) · stripes + s`.
    pub(super) parents: Vec<u32>,
}

impl Grown {
    /// The children of a node in a stripe; none in one that there is not, since `order` ends before.
    pub(super) fn children(&self, node: usize, stripe: usize, stripes: usize) -> &[u32] {
        let start = self.starts.get(node * stripes + stripe).map(|start| *start as usize);
        let order = start.zip(self.order.get(stripe)).and_then(|(start, order)| order.get(start..));
        let Some(order) = order else { return &[] };
        let parent = |child: u32| self.parents.get((child as usize).wrapping_sub(1) * stripes + stripe);
        let is_its = |child: &&u32| parent(**child).is_some_and(|parent| *parent as usize == node);
        // They are neighbours, so the first one of another parent is behind the last.
        let end = order.iter().take_while(is_its).count();
        order.get(..end).unwrap_or_default()
    }

    /// The most hops of a node in any stripe.
    pub(super) fn depth(&self, node: usize) -> Option<u32> {
        self.depths.get(node).copied()
    }
}

/// Grows the trees. `slots` says how many children each node can have over all stripes, the source first, the others by
/// rank; together they have to be enough for all, and the source's at least one for each stripe.
pub(super) fn grow(slots: &[u32], stripes: usize) -> Grown {
    let served = slots.len().saturating_sub(1);
    let mut grown = Grown {
        served,
        max_depth: 0,
        depths: vec![0; slots.len()],
        order: Vec::with_capacity(stripes),
        starts: vec![0; slots.len() * stripes],
        parents: vec![0; served * stripes],
    };
    for (stripe, shares) in share_out(slots, stripes).iter().enumerate() {
        grow_one(&mut grown, shares, (stripe, stripes));
    }
    grown
}

/// Fills one tree from the top. First come those who feed others in it, by rank: each takes a place and gives at least
/// one, so places never run out among them. The others take what is free, highest first. Since nodes are placed level by
/// level and by rank within a level, the next parent is always the one of least depth, then of best rank.
fn grow_one(grown: &mut Grown, shares: &[u32], (stripe, stripes): (usize, usize)) {
    let numbered = || shares.iter().copied().zip(0_u32..).skip(1);
    let feeding = numbered().filter(|(share, _)| *share > 0);
    let resting = numbered().filter(|(share, _)| *share == 0);
    let mut order = Vec::with_capacity(grown.served);
    // Who may still take children: (node, its share, its depth), in the order in which they were placed.
    let mut open = vec![(0_u32, shares.first().copied().unwrap_or(0), 0_u32)];
    let mut front = 0;
    let mut taken = 0;
    let mut start = 0;
    for (share, node) in feeding.chain(resting) {
        let parent = loop {
            match open.get(front).copied() {
                Some((parent, room, depth)) if taken < room => break Some((parent, depth)),
                Some((parent, ..)) => {
                    close(grown, parent, start, stripe, stripes);
                    (front, taken, start) = (front + 1, 0, order.len());
                }
                None => break None,
            }
        };
        // The slots are enough for all, so there always is one.
        let Some((parent, depth)) = parent else { break };
        taken += 1;
        let depth = depth + 1;
        let place = (node as usize - 1) * stripes + stripe;
        if let Some((at, deepest)) = grown.parents.get_mut(place).zip(grown.depths.get_mut(node as usize)) {
            *at = parent;
            *deepest = depth.max(*deepest);
        }
        grown.max_depth = grown.max_depth.max(depth);
        order.push(node);
        if share > 0 {
            open.push((node, share, depth));
        }
    }
    if let Some((parent, ..)) = open.get(front).copied() {
        close(grown, parent, start, stripe, stripes);
    }
    grown.order.push(order);
}

/// Notes where the children of a parent are that takes no more.
fn close(grown: &mut Grown, parent: u32, start: usize, stripe: usize, stripes: usize) {
    if let Some(place) = grown.starts.get_mut(parent as usize * stripes + stripe) {
        *place = start as u32;
    }
}

/// Says how many children each node has in each stripe at most; the sum of each stripe is enough for all nodes.
///
/// The source is shared out evenly. Every other node goes whole to the stripe that has least. Only where a stripe then
/// has too little is it given something from a node of a stripe that has too much, largest first: that is then a node
/// that feeds in two.
fn share_out(slots: &[u32], stripes: usize) -> Vec<Vec<u32>> {
    let need = slots.len().saturating_sub(1) as u64;
    let mut sums = vec![0_u64; stripes];
    let mut shares = vec![vec![0_u32; slots.len()]; stripes];
    let source = slots.first().copied().unwrap_or(0) as usize;
    for (stripe, (sum, share)) in sums.iter_mut().zip(&mut shares).enumerate() {
        let part = source / stripes + usize::from(stripe < source % stripes);
        *sum = part as u64;
        if let Some(own) = share.first_mut() {
            *own = part as u32;
        }
    }
    for (node, room) in slots.iter().enumerate().skip(1) {
        let least = sums.iter_mut().zip(&mut shares).min_by_key(|(sum, _)| **sum);
        if let Some((sum, share)) = least {
            *sum += u64::from(*room);
            if let Some(own) = share.get_mut(node) {
                *own = *room;
            }
        }
    }
    level(&mut sums, &mut shares, need);
    shares
}

/// Moves what stripes have too much to those that have too little.
fn level(sums: &mut [u64], shares: &mut [Vec<u32>], need: u64) {
    loop {
        let numbered = || sums.iter().copied().enumerate();
        let Some((poor, least)) = numbered().min_by_key(|(_, sum)| *sum) else { return };
        let Some((rich, most)) = numbered().max_by_key(|(_, sum)| *sum) else { return };
        let amount = most.saturating_sub(need).min(need.saturating_sub(least));
        if amount == 0 {
            return;
        }
        let mut left = amount;
        if let Ok([from, to]) = shares.get_disjoint_mut([rich, poor]) {
            // What the source gives to a stripe stays there: it has to reach somebody in each.
            for (from, to) in from.iter_mut().zip(to).skip(1) {
                let part = u32::try_from(left).unwrap_or(u32::MAX).min(*from);
                *from -= part;
                *to += part;
                left -= u64::from(part);
                if left == 0 {
                    break;
                }
            }
        }
        let moved = amount - left;
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
