//! Every backend computes what single elements multiplied and added give, at every length and alignment.

use gf256::{Backend, Coefficients, Source, multiply};
use proptest::prelude::*;

/// Bytes that differ from place to place.
fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

/// `Σ factors[j] · sources[j]`, one element at a time.
fn expected(factors: &[u8], sources: &[&[u8]]) -> Vec<u8> {
    let len = sources.first().map_or(0, |source| source.len());
    let element = |at: usize| {
        factors.iter().zip(sources).fold(0, |sum, (factor, source)| sum ^ multiply(*factor, source[at]))
    };
    (0..len).map(element).collect()
}

#[test]
fn there_is_always_a_backend_and_the_best_comes_first() {
    let all: Vec<Backend> = Backend::available().collect();
    assert_eq!(all.first(), Some(&Backend::best()));
    assert_eq!(all.last(), Some(&Backend::PORTABLE));
    println!("backends: {}", all.iter().map(|backend| backend.name()).collect::<Vec<_>>().join(", "));
}

#[test]
fn every_length_at_every_alignment() {
    let (rows, count) = (5, 3);
    let factors = noise(rows * count, 1);
    for backend in Backend::available() {
        for len in 1..=300 {
            let shifts = [(0, 0), (1, 0), (0, 1), (len % 64, (len * 7) % 64), (63, 33)];
            for (input, output) in shifts {
                let memory: Vec<Vec<u8>> =
                    (0..count).map(|j| noise(input + j + len, (len + j) as u64)).collect();
                let sources: Vec<&[u8]> =
                    memory.iter().enumerate().map(|(j, row)| &row[input + j..]).collect();
                let mut outputs = vec![0xee; output + rows * len + 64];
                let written = output..output + rows * len;
                backend.combine(
                    Coefficients::new(&factors, count),
                    sources.iter().copied(),
                    &mut outputs[written.clone()],
                );
                for (r, row) in outputs[written.clone()].chunks(len).enumerate() {
                    let factors = &factors[r * count..][..count];
                    assert_eq!(row, expected(factors, &sources), "{backend}, {len} bytes, row {r}");
                }
                let around = outputs[..output].iter().chain(&outputs[written.end..]);
                assert!(around.eq(&vec![0xee; output + 64]), "{backend}, {len} bytes: others were written");
            }
        }
    }
}

#[test]
fn all_alignments_of_a_long_row() {
    let factors = [0, 1, 2, 0x8e];
    for backend in Backend::available() {
        for shift in 0..64 {
            let memory = noise(1_088 + shift, shift as u64);
            let mut outputs = vec![0; (1_088 + 1) * 4];
            let out = &mut outputs[(shift * 5) % 4..][..1_088 * 4];
            backend.combine(Coefficients::new(&factors, 1), [&memory[shift..]], out);
            for (factor, row) in factors.iter().zip(out.chunks(1_088)) {
                assert_eq!(row, expected(&[*factor], &[&memory[shift..]]), "{backend}, shifted by {shift}");
            }
        }
    }
}

#[test]
fn every_factor() {
    let row = noise(256, 3);
    for backend in Backend::available() {
        for factor in 0..=255 {
            let mut scaled = row.clone();
            backend.scale(&mut scaled, factor);
            assert_eq!(scaled, expected(&[factor], &[&row]), "{backend}, factor {factor}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// More sources than are taken in one go, more outputs than are made in one go, factors in longer rows.
    #[test]
    fn any_number_of_rows(
        count in 1usize..120, rows in 1usize..12, len in 1usize..200, spare in 0usize..5, seed: u64,
    ) {
        let memory = noise(count * len, seed);
        let factors = noise(rows * (count + spare), seed ^ 1);
        let sources: Vec<&[u8]> = memory.chunks(len).collect();
        for backend in Backend::available() {
            let mut outputs = vec![0xee; rows * len];
            let used = &factors[..rows * (count + spare) - spare];
            backend.combine(Coefficients::new(used, count + spare), sources.iter().copied(), &mut outputs);
            for (factors, row) in factors.chunks(count + spare).zip(outputs.chunks(len)) {
                prop_assert_eq!(row, &expected(&factors[..count], &sources)[..], "{}", backend);
            }
        }
    }

    #[test]
    fn within_a_block_rows_are_added_to(
        rows in 2usize..80, targets in 1usize..9, others in 0usize..3, len in 1usize..150, seed: u64,
    ) {
        let targets = targets.min(rows - 1);
        let block = noise(rows * len, seed);
        let elsewhere = noise(others * len, seed ^ 2);
        let places: Vec<usize> = (0..rows).map(|row| (row * 7 + seed as usize % rows) % rows).collect();
        let mut order: Vec<usize> = (0..rows).collect();
        order.sort_by_key(|row| (places[*row], *row));
        let (written, read) = order.split_at(targets);
        let sources: Vec<&[u8]> =
            read.iter().map(|row| &block[row * len..][..len]).chain(elsewhere.chunks(len)).collect();
        let factors = noise(targets * sources.len(), seed ^ 3);
        for backend in Backend::available() {
            let mut now = block.clone();
            let given = read.iter().map(|row| Source::Row(*row)).chain(elsewhere.chunks(len).map(Source::Bytes));
            backend.combine_within(&mut now, len, Coefficients::new(&factors, sources.len()), given, written);
            let mut wanted = block.clone();
            for (factors, row) in factors.chunks(sources.len()).zip(written) {
                let sum = expected(factors, &sources);
                wanted[row * len..][..len].iter_mut().zip(sum).for_each(|(byte, more)| *byte ^= more);
            }
            prop_assert_eq!(&now, &wanted, "{}", backend);
        }
    }
}

#[test]
fn nothing_to_do_is_done() {
    for backend in Backend::available() {
        backend.combine(Coefficients::new(&[], 0), [], &mut []);
        backend.combine(Coefficients::new(&[], 3), [&b"abc"[..]], &mut []);
        let mut untouched = *b"abc";
        backend.combine(Coefficients::new(&[], 3), [], &mut untouched);
        backend.combine_within(&mut untouched, 3, Coefficients::new(&[], 0), [], &[0]);
        backend.scale(&mut [], 7);
        assert_eq!(&untouched, b"abc");
    }
}

#[test]
#[should_panic(expected = "too few coefficients")]
fn coefficients_are_counted_before_anything_is_read() {
    Backend::best().combine(Coefficients::new(&[1; 5], 3), [&[0; 64][..]; 3], &mut [0; 128]);
}

#[test]
#[should_panic(expected = "differ in length")]
fn sources_are_measured_before_anything_is_read() {
    Backend::best().combine(Coefficients::new(&[1; 2], 2), [&[0; 64][..], &[0; 63]], &mut [0; 64]);
}

#[test]
#[should_panic(expected = "not in the block")]
fn rows_are_looked_for_before_anything_is_read() {
    let source = [Source::Row(2)];
    Backend::best().combine_within(&mut [0; 130], 64, Coefficients::new(&[1], 1), source, &[0]);
}

#[test]
#[should_panic(expected = "target is not in the block")]
fn targets_are_looked_for_before_anything_is_written() {
    let source = [Source::Row(0)];
    Backend::best().combine_within(&mut [0; 130], 64, Coefficients::new(&[1], 1), source, &[2]);
}
