//! Where the names of events go above a plot, so that none covers another and no line crosses one.

/// A badge is a disc of this radius, in pixels.
pub(super) const BADGE: f64 = 8.0;
/// From an event's line to the start of its text.
pub(super) const TEXT_AT: f64 = BADGE + 4.0;
/// Free space kept between neighbours in one row.
const GAP: f64 = 6.0;
/// A letter of the 11-pixel label font is rarely wider on average.
const LETTER: f64 = 6.3;

/// An event to be named.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wish {
    /// Where its line stands.
    pub(super) x: f64,
    /// Characters of its text; 0 for the badge alone.
    pub(super) letters: usize,
}

/// Which side of its line the text is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Right,
    Left,
    /// There was room for the badge only.
    BadgeOnly,
}

/// Row (0 at the top) and side of one event's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) row: usize,
    pub(super) side: Side,
}

#[derive(Debug, Clone, Copy)]
struct Taken {
    row: usize,
    x: f64,
    from: f64,
    to: f64,
}

/// Finds a spot for each wish, between `left` and `right`, in at most `rows` rows. Each line runs from its own row
/// down through the rows below. Earlier wishes go first; `None` where not even the badge has room.
pub(super) fn place(wishes: &[Wish], left: f64, right: f64, rows: usize) -> Vec<Option<Spot>> {
    let mut taken: Vec<Taken> = Vec::new();
    wishes
        .iter()
        .map(|wish| {
            let text = TEXT_AT + wish.letters as f64 * LETTER;
            let sides =
                [(Side::Right, BADGE, text), (Side::Left, text, BADGE), (Side::BadgeOnly, BADGE, BADGE)];
            let sides = if wish.letters == 0 { &sides[2..] } else { &sides };
            let tries = sides.iter().flat_map(|side| (0..rows).map(move |row| (row, *side)));
            for (row, (side, before, after)) in tries {
                let spot = Taken { row, x: wish.x, from: wish.x - before, to: wish.x + after };
                let inside =
                    side == Side::BadgeOnly || (spot.from >= left - BADGE && spot.to <= right + BADGE);
                if inside && taken.iter().all(|other| !clash(&spot, other)) {
                    taken.push(spot);
                    return Some(Spot { row, side });
                }
            }
            None
        })
        .collect()
}

fn clash(a: &Taken, b: &Taken) -> bool {
    if a.row == b.row {
        return a.from < b.to + GAP && b.from < a.to + GAP;
    }
    let (upper, lower) = if a.row < b.row { (a, b) } else { (b, a) };
    // Two badges one below the other on nearly one line look like one event; at the very same place they are one.
    upper.x > lower.from - 2.0 && upper.x < lower.to + 2.0 && upper.x != lower.x
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    const WIDTH: f64 = 340.0;

    fn extent(wish: &Wish, spot: Spot) -> (f64, f64) {
        let text = TEXT_AT + wish.letters as f64 * LETTER;
        match spot.side {
            Side::Right => (wish.x - BADGE, wish.x + text),
            Side::Left => (wish.x - text, wish.x + BADGE),
            Side::BadgeOnly => (wish.x - BADGE, wish.x + BADGE),
        }
    }

    proptest! {
        #[test]
        fn no_name_covers_another_or_is_crossed_by_a_line(
            wishes in vec((0.0..WIDTH, 0usize..30), 0..25), rows in 1usize..5
        ) {
            let mut wishes: Vec<_> = wishes.into_iter().map(|(x, letters)| Wish { x, letters }).collect();
            wishes.sort_by(|a, b| a.x.total_cmp(&b.x));
            let spots = place(&wishes, 0.0, WIDTH, rows);
            let placed: Vec<_> =
                wishes.iter().zip(&spots).filter_map(|(w, s)| s.map(|s| (w.x, s.row, extent(w, s)))).collect();
            for (i, (x, row, (from, to))) in placed.iter().enumerate() {
                prop_assert!(*from >= -BADGE && *to <= WIDTH + BADGE && *row < rows);
                for (other_x, other_row, (other_from, other_to)) in &placed[i + 1..] {
                    if row == other_row {
                        prop_assert!(to <= other_from || other_to <= from);
                    } else if row < other_row && x != other_x {
                        prop_assert!(x < other_from || x > other_to);
                    } else if row > other_row && x != other_x {
                        prop_assert!(other_x < from || other_x > to);
                    }
                }
            }
        }
    }

    #[test]
    fn names_stand_side_by_side_while_there_is_room_and_then_below_one_another() {
        let wish = |x| Wish { x, letters: 14 };
        let sides = |wishes: &[Wish]| -> Vec<_> {
            place(wishes, 0.0, 1000.0, 3).into_iter().map(|s| s.map(|s| (s.row, s.side))).collect()
        };
        let far = sides(&[wish(100.0), wish(500.0), wish(980.0)]);
        assert_eq!(far, [Some((0, Side::Right)), Some((0, Side::Right)), Some((0, Side::Left))]);
        let same = sides(&[wish(500.0), wish(500.0), wish(500.0), wish(500.0)]);
        assert_eq!(same.iter().flatten().map(|s| s.0).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(same[3], None);
    }
}
