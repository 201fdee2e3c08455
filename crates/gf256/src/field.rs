//! Single elements, and the tables by which vectors of them are multiplied.

/// x⁸ + x⁴ + x³ + x² + 1 without its highest term, RFC 6330 section 5.7.2.
const REDUCTION: u8 = 0x1d;

/// The product of two elements, RFC 6330 section 5.7.2.
pub const fn multiply(a: u8, b: u8) -> u8 {
    let (mut a, mut b, mut product) = (a, b, 0);
    while b != 0 {
        if b & 1 != 0 {
            product ^= a;
        }
        a = times_x(a);
        b >>= 1;
    }
    product
}

/// The element whose product with `a` is 1, or `None` for 0, which has none.
pub const fn inverse(a: u8) -> Option<u8> {
    if a == 0 { None } else { Some(INVERSES[a as usize]) }
}

const fn times_x(a: u8) -> u8 {
    let reduced = if a & 0x80 != 0 { REDUCTION } else { 0 };
    (a << 1) ^ reduced
}

/// For 0 it says 0.
static INVERSES: [u8; 256] = {
    // Powers of x run through all elements but 0: x^n and x^(255 - n) are inverses of each other.
    let mut powers = [1; 256];
    let mut n = 1;
    while n < 256 {
        powers[n] = times_x(powers[n - 1]);
        n += 1;
    }
    let mut inverses = [0; 256];
    n = 0;
    while n < 256 {
        inverses[powers[n] as usize] = powers[255 - n];
        n += 1;
    }
    inverses
};

/// Multiplication by an element as a matrix over GF(2), as GFNI's affine transformation wants it: bit `i` of the result
/// is the parity of the operand under byte `7 - i` of the matrix.
#[cfg_attr(not(any(target_arch = "x86_64", test)), allow(dead_code, reason = "GFNI alone has matrices"))]
pub(crate) static MATRICES: [u64; 256] = {
    let mut matrices = [0; 256];
    let mut c = 0;
    while c < 256 {
        let mut k = 0;
        while k < 8 {
            let column = multiply(c as u8, 1 << k);
            let mut i = 0;
            while i < 8 {
                matrices[c] |= ((column >> i & 1) as u64) << (8 * (7 - i) + k);
                i += 1;
            }
            k += 1;
        }
        c += 1;
    }
    matrices
};

/// The products of an element with every low half of a byte, then with every high half, for byte shuffles.
#[cfg_attr(
    not(any(target_arch = "x86_64", target_arch = "aarch64", test)),
    allow(dead_code, reason = "plain integers need none")
)]
pub(crate) static HALVES: [[u8; 32]; 256] = {
    let mut halves = [[0; 32]; 256];
    let mut c = 0;
    while c < 256 {
        let mut half = 0;
        while half < 16 {
            halves[c][half] = multiply(c as u8, half as u8);
            halves[c][16 + half] = multiply(c as u8, (half as u8) << 4);
            half += 1;
        }
        c += 1;
    }
    halves
};

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6330 section 5.7.3, the first entries of OCT_EXP, and what is said of OCT_LOG.
    #[test]
    fn powers_are_those_of_the_rfc() {
        let powers: Vec<u8> =
            std::iter::successors(Some(1), |power| Some(multiply(*power, 2))).take(16).collect();
        assert_eq!(powers, [1, 2, 4, 8, 16, 32, 64, 128, 29, 58, 116, 232, 205, 135, 19, 38]);
    }

    #[test]
    fn it_is_a_field() {
        assert_eq!(inverse(0), None);
        for a in 0..=255 {
            assert_eq!(multiply(a, 1), a);
            assert_eq!(multiply(a, 0), 0);
            if let Some(inverse) = inverse(a) {
                assert_eq!(multiply(a, inverse), 1);
            }
            for b in 0..=255 {
                assert_eq!(multiply(a, b), multiply(b, a));
                assert_eq!(multiply(a, b ^ 0x53), multiply(a, b) ^ multiply(a, 0x53));
            }
        }
    }

    #[test]
    fn tables_multiply() {
        for c in 0..=255u8 {
            for x in 0..=255u8 {
                let product = multiply(c, x);
                let [low, high] = [x & 15, 16 + (x >> 4)].map(|at| HALVES[usize::from(c)][usize::from(at)]);
                assert_eq!(low ^ high, product);
                let rows = MATRICES[usize::from(c)].to_le_bytes();
                let bits = (0..8).map(|i| ((rows[7 - i] & x).count_ones() as u8 & 1) << i);
                assert_eq!(bits.sum::<u8>(), product);
            }
        }
    }
}
