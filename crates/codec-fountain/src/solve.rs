//! The lost source symbols as combinations of what came: a small system over GF(256).

use gf256::{Backend, Coefficients, Source, inverse};

/// Equations in rows of `width` bytes, of which the first `unknowns` are the factors of the unknowns.
pub(crate) struct System {
    bytes: Vec<u8>,
    width: usize,
    unknowns: usize,
    /// The rows that a pivot is taken off, and how often.
    others: Vec<usize>,
    factors: Vec<u8>,
}

impl System {
    /// `rows` equations of nothing but zeros.
    pub(crate) fn new(rows: usize, width: usize, unknowns: usize) -> Self {
        let (others, factors) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        Self { bytes: vec![0; rows * width], width, unknowns, others, factors }
    }

    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [u8] {
        &mut self.bytes[row * self.width..][..self.width]
    }

    /// Gauss–Jordan elimination: afterwards row `u` says what unknown `u` is, and its bytes from `unknowns` on are its
    /// factors. False, with all in disorder, when there are too few independent equations.
    pub(crate) fn solve(&mut self, backend: Backend) -> bool {
        (0..self.unknowns).all(|column| self.eliminate(backend, column, column))
    }

    /// The same as far as it goes: the unknowns that can be told, each with its row.
    pub(crate) fn solve_what_can_be(&mut self, backend: Backend) -> Vec<(usize, usize)> {
        let mut leaders = Vec::with_capacity(self.unknowns);
        for column in 0..self.unknowns {
            let row = leaders.len();
            if self.eliminate(backend, column, row) {
                leaders.push((column, row));
            }
        }
        let is_alone = |(_, row): &(usize, usize)| {
            let factors = &self.bytes[row * self.width..][..self.unknowns];
            factors.iter().filter(|factor| **factor != 0).count() == 1
        };
        leaders.retain(is_alone);
        leaders
    }

    /// Leaves a one in `row` and zeros in all other rows of a column, by way of the rows from `row` on. False when those have
    /// nothing but zeros there.
    fn eliminate(&mut self, backend: Backend, column: usize, row: usize) -> bool {
        let rows = self.bytes.len() / self.width;
        let at = |row: usize| row * self.width + column;
        let Some(pivot) = (row..rows).find(|row| self.bytes[at(*row)] != 0) else {
            return false;
        };
        if pivot != row {
            let (low, high) = self.bytes.split_at_mut(pivot * self.width);
            low[row * self.width..][..self.width].swap_with_slice(&mut high[..self.width]);
        }
        if let Some(inverse) = inverse(self.bytes[at(row)]) {
            backend.scale(self.row_mut(row), inverse);
        }
        self.others.clear();
        self.factors.clear();
        for other in (0..rows).filter(|other| *other != row) {
            let factor = self.bytes[other * self.width + column];
            if factor != 0 {
                self.others.push(other);
                self.factors.push(factor);
            }
        }
        let factors = Coefficients::new(&self.factors, 1);
        backend.combine_within(&mut self.bytes, self.width, factors, [Source::Row(row)], &self.others);
        true
    }

    /// A row, as it is now.
    pub(crate) fn row(&self, row: usize) -> &[u8] {
        &self.bytes[row * self.width..][..self.width]
    }

    /// After [`solve`](Self::solve): the factors of all unknowns.
    pub(crate) fn factors(&self) -> Coefficients<'_> {
        Coefficients::new(&self.bytes[self.unknowns..], self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gf256::multiply;

    #[test]
    fn unknowns_are_found_from_more_equations_than_needed_in_any_order() {
        // x = 7, y = 9, z = 200; the second equation says the same as the first.
        let equations = [[2, 0, 0], [4, 0, 0], [0, 0, 3], [0, 5, 1]];
        let mut system = System::new(4, 3 + 4, 3);
        for (row, factors) in equations.iter().enumerate() {
            system.row_mut(row)[..3].copy_from_slice(factors);
            system.row_mut(row)[3 + row] = 1;
        }
        assert!(system.solve(Backend::best()));
        let known = equations.map(|[a, b, c]| multiply(a, 7) ^ multiply(b, 9) ^ multiply(c, 200));
        let mut found = [0; 3];
        Backend::best().combine(system.factors(), known.each_ref().map(std::slice::from_ref), &mut found);
        assert_eq!(found, [7, 9, 200]);
    }

    #[test]
    fn what_can_be_told_is_told() {
        // Of five unknowns the second and the last can be told; the third and fourth only their sum.
        let equations = [[0, 3, 0, 0, 0], [0, 1, 2, 2, 0], [0, 0, 0, 0, 9], [0, 0, 7, 7, 1]];
        let mut system = System::new(4, 5 + 4, 5);
        for (row, factors) in equations.iter().enumerate() {
            system.row_mut(row)[..5].copy_from_slice(factors);
            system.row_mut(row)[5 + row] = 1;
        }
        let values = [1, 20, 33, 44, 5];
        let known = equations.map(|row| row.iter().zip(values).fold(0, |sum, (a, b)| sum ^ multiply(*a, b)));
        let told = system.solve_what_can_be(Backend::best());
        let value = |row| {
            let factors = &system.row(row)[5..];
            factors.iter().zip(known).fold(0, |sum, (a, b)| sum ^ multiply(*a, b))
        };
        assert_eq!(
            told.iter().map(|(unknown, row)| (*unknown, value(*row))).collect::<Vec<_>>(),
            [(1, 20), (4, 5)]
        );
        assert!(System::new(0, 3, 3).solve_what_can_be(Backend::best()).is_empty());
    }

    #[test]
    fn too_few_independent_equations_are_not_solved() {
        for equations in [vec![[1, 2]], vec![[1, 2], [2, 4]], vec![[0, 1], [0, 2], [0, 3]], vec![]] {
            let mut system = System::new(equations.len(), 3, 2);
            for (row, factors) in equations.iter().enumerate() {
                system.row_mut(row)[..2].copy_from_slice(factors);
            }
            assert!(!system.solve(Backend::best()), "{equations:?}");
        }
    }
}
