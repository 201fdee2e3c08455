//! Proofs as bytes.

use super::*;

fn any_proof() -> impl Strategy<Value = Proof> {
    let leaves = prop::collection::vec(any::<[u8; 32]>(), 1..70);
    (leaves.clone(), leaves, 0u8..6, any::<(bool, bool, bool, u64, u64)>(), 0u64..1 << 60).prop_map(
        |(new, again, run, (hybrid, last, two, epoch, index), first)| {
            let run = RunLength::from_log2(run).unwrap();
            let hashes = |leaves: Vec<[u8; 32]>| leaves.into_iter().map(TreeHash).collect::<Vec<_>>();
            let first = first + 100;
            let mut sections = vec![Section::new(ObjectSeq(first), &hashes(new), run).unwrap()];
            if two {
                let start = ObjectSeq(first - again.len() as u64);
                sections.push(Section::new(start, &hashes(again), RunLength::EIGHT).unwrap());
            }
            let grade = if hybrid { Grade::Hybrid } else { Grade::Interim };
            let previous = if index == 0 { TreeHash::ZERO } else { TreeHash([9; 32]) };
            let (index, epoch) = (ProofIndex(index), Epoch(epoch));
            Proof { grade, last: last && hybrid, stream: STREAM, epoch, index, previous, sections }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn proofs_round_trip_and_no_bit_of_them_can_be_altered(proof in any_proof(), at: prop::sample::Index, bit in 0u8..8) {
        let bytes = proof.sign(&ALICE).unwrap();
        prop_assert!(bytes.len() <= MAX_PROOF_LEN);
        prop_assert_eq!(UnverifiedProof::parse(&bytes).unwrap().to_bytes(), bytes.clone());
        prop_assert_eq!(Proof::verify(&bytes, ALICE.public()).unwrap(), proof);
        prop_assert!(Proof::verify(&bytes, MALLORY.public()).is_err());
        let mut altered = bytes;
        let at = at.index(altered.len());
        altered[at] ^= 1 << bit;
        prop_assert!(Proof::verify(&altered, ALICE.public()).is_err(), "byte {}", at);
    }

    #[test]
    fn parsing_never_panics_and_accepts_only_what_writing_makes(
        proof in any_proof(), cut: prop::sample::Index, at: prop::sample::Index, byte: u8, noise: Vec<u8>,
    ) {
        let mut bytes = proof.sign(&ALICE).unwrap();
        let at = at.index(200.min(bytes.len()));
        bytes[at] = byte;
        if let Ok(read) = UnverifiedProof::parse(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes.clone());
        }
        prop_assert!(UnverifiedProof::parse(&bytes[..cut.index(bytes.len())]).is_err());
        prop_assert!(UnverifiedProof::parse(&noise).is_err());
        bytes.push(0);
        prop_assert!(UnverifiedProof::parse(&bytes).is_err());
    }

    #[test]
    fn pieces_in_any_order_are_put_together(len in 1usize..20_000, swaps: Vec<(prop::sample::Index, prop::sample::Index)>) {
        let proof: Vec<u8> = (0..len).map(|n| (n * 31) as u8).collect();
        let mut parts: Vec<_> =
            ProofPart::split(ProofIndex(9), &proof).unwrap().map(|part| part.to_bytes().unwrap()).collect();
        prop_assert!(parts.iter().all(|part| part.len() <= ProofPart::MAX_LEN + 10));
        for (one, other) in swaps {
            let (one, other) = (one.index(parts.len()), other.index(parts.len()));
            parts.swap(one, other);
        }
        let mut assembler = ProofAssembler::new();
        let last = parts.len() - 1;
        for (n, part) in parts.iter().enumerate() {
            let part = ProofPart::parse(part).unwrap();
            // Each twice: repair may bring what came after all.
            let whole = assembler.push(&part).or_else(|| if n < last { assembler.push(&part) } else { None });
            prop_assert_eq!(whole, (n == last).then(|| proof.clone()));
        }
        prop_assert_eq!(assembler.held_bytes(), 0);
    }

    #[test]
    fn reading_a_piece_never_panics_and_accepts_only_what_writing_makes(bytes: Vec<u8>) {
        if let Ok(part) = ProofPart::parse(&bytes) {
            prop_assert_eq!(part.to_bytes().unwrap(), bytes);
        }
    }
}

#[test]
fn a_small_last_piece_is_cut_off_and_put_back() {
    let sent = video(70);
    for (_, proof) in &sent.proofs {
        let parts = proof.parts_with_small_last().unwrap();
        assert_eq!(ProofPart::parse(parts.last().unwrap()).unwrap().bytes.len(), 64);
        let mut assembler = ProofAssembler::new();
        let whole = parts.iter().find_map(|part| assembler.push(&ProofPart::parse(part).unwrap()));
        assert_eq!(whole.as_ref(), Some(&proof.bytes));
    }
}

#[test]
fn limits_are_checked_before_anything_is_allocated() {
    assert!(matches!(UnverifiedProof::parse(&vec![1; MAX_PROOF_LEN + 1]), Err(Error::TooLarge { .. })));
    let bytes = video(10).proofs[0].1.bytes.clone();
    let count_at = 3 + 32 + 8 + 8 + 32 + 1 + 8;
    let mut many = bytes;
    many[count_at..count_at + 2].copy_from_slice(&u16::MAX.to_be_bytes());
    assert!(matches!(UnverifiedProof::parse(&many), Err(Error::TooLarge { .. })));
}

#[test]
fn unfinished_proofs_are_bounded_and_the_first_begun_gives_way() {
    let mut assembler = ProofAssembler::new();
    let piece = |index, part| ProofPart { index: ProofIndex(index), part, parts: 2, bytes: &[1; 1_088] };
    for index in 0..100 {
        assert_eq!(assembler.push(&piece(index, 0)), None);
    }
    assert_eq!(assembler.given_up(), 100 - ProofAssembler::MAX_OPEN as u64);
    assert_eq!(assembler.held_bytes(), ProofAssembler::MAX_OPEN * 1_088);
    assert_eq!(assembler.push(&piece(0, 1)), None, "its first piece is gone");
    assert!(assembler.push(&piece(99, 1)).is_some());
}
