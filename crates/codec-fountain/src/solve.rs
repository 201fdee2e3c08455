//! The lost source symbols as combinations of what came: a small system over GF(256).

use gf256::{Backend, Coefficients, Source, inverse};

/// Equations in rows of `width` bytes, of which the first `unknowns` are the factors of the unknowns.
pub(crate) struct System {
    bytes: Vec<u8>,
    width: usize,
    unknowns: usize,
}

impl System {
    /// `rows` equations of nothing but zeros.
    pub(crate) fn new(rows: usize, width: usize, unknowns: usize) -> Self {
        Self { bytes: vec![0; rows * width], width, unknowns }
    }

    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [u8] {
        &mut self.bytes[row * self.width..][..self.width]
    }

    /// Gauss–Jordan elimination: afterwards row `u` says what unknown `u` is, and its bytes from `unknowns` on are its
    /// factors. False, with all in disorder, when there are too few independent equations.
    pub(crate) fn solve(&mut self, backend: Backend) -> bool {
        let rows = self.bytes.len() / self.width;
        let mut others = Vec::with_capacity(rows);
        let mut factors = Vec::with_capacity(rows);
        for column in 0..self.unknowns {
            let at = |row: usize| row * self.width + column;
            let Some(pivot) = (column..rows).find(|row| self.bytes[at(*row)] != 0) else {
                return false;
            };
            if pivot != column {
                let (low, high) = self.bytes.split_at_mut(pivot * self.width);
                low[column * self.width..][..self.width].swap_with_slice(&mut high[..self.width]);
            }
            if let Some(inverse) = inverse(self.bytes[at(column)]) {
                backend.scale(self.row_mut(column), inverse);
            }
            others.clear();
            factors.clear();
            for row in (0..rows).filter(|row| *row != column) {
                let factor = self.bytes[row * self.width + column];
                if factor != 0 {
                    others.push(row);
                    factors.push(factor);
                }
            }
            let pivot = [Source::Row(column)];
            let factors = Coefficients::new(&factors, 1);
            backend.combine_within(&mut self.bytes, self.width, factors, pivot, &others);
        }
        true
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
