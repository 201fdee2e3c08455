"""RFC 6330 by plain Gaussian elimination: intermediate symbols, encoding symbols, and which sets of symbols decode."""

from rfc6330_tables import DEGREES, PARAMETERS, V0, V1, V2, V3

# The field of section 5.7: polynomial x^8 + x^4 + x^3 + x^2 + 1, generator 2.
EXP, LOG = [1] * 510, [0] * 256
for _i in range(1, 510):
    EXP[_i] = EXP[_i - 1] << 1 ^ (0x11D if EXP[_i - 1] & 0x80 else 0)
for _i in range(255):
    LOG[EXP[_i]] = _i


def times(a, b):
    return EXP[LOG[a] + LOG[b]] if a and b else 0


def inverse(a):
    return EXP[255 - LOG[a]]


PRODUCTS = [bytes(times(factor, value) for value in range(256)) for factor in range(256)]


def rand(y, i, m):
    """Section 5.3.5.1."""
    found = V0[(y + i) & 255] ^ V1[((y >> 8) + i) & 255] ^ V2[((y >> 16) + i) & 255] ^ V3[((y >> 24) + i) & 255]
    return found % m


def is_prime(n):
    return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))


class Code:
    """Everything that follows from the number of source symbols."""

    def __init__(self, k):
        self.k = k
        self.kp, self.j, self.s, self.h, self.w = next(row for row in PARAMETERS if row[0] >= k)
        self.l = self.kp + self.s + self.h
        self.p = self.l - self.w
        self.p1 = next(n for n in range(self.p, 2 * self.p + 2) if is_prime(n))
        self.b = self.w - self.s

    def tuple(self, x):
        """Section 5.3.5.4."""
        a = 53591 + self.j * 997
        a += a % 2 == 0
        y = (10267 * (self.j + 1) + x * a) % 2**32
        v = rand(y, 0, 1 << 20)
        d = min(next(d for d in range(1, 31) if v < DEGREES[d]), self.w - 2)
        first = d, 1 + rand(y, 1, self.w - 1), rand(y, 2, self.w)
        d1 = 2 + rand(x, 3, 2) if d < 4 else 2
        return *first, d1, 1 + rand(x, 4, self.p1 - 1), rand(x, 5, self.p1)

    def row(self, x):
        """Which intermediate symbols make the encoding symbol with internal id x: section 5.3.5.3."""
        d, a, b, d1, a1, b1 = self.tuple(x)
        out = [b]
        for _ in range(1, d):
            b = (b + a) % self.w
            out.append(b)
        while b1 >= self.p:
            b1 = (b1 + a1) % self.p1
        out.append(self.w + b1)
        for _ in range(1, d1):
            b1 = (b1 + a1) % self.p1
            while b1 >= self.p:
                b1 = (b1 + a1) % self.p1
            out.append(self.w + b1)
        return out

    def dense(self, places):
        out = bytearray(self.l)
        for at in places:
            out[at] ^= 1
        return out

    def constraints(self):
        """The S + H rows of section 5.3.3.3 that are zero."""
        ldpc = [bytearray(self.l) for _ in range(self.s)]
        for i in range(self.b):
            a, b = 1 + i // self.s, i % self.s
            for _ in range(3):
                ldpc[b][i] ^= 1
                b = (b + a) % self.s
        for i in range(self.s):
            ldpc[i][self.b + i] ^= 1
            ldpc[i][self.w + i % self.p] ^= 1
            ldpc[i][self.w + (i + 1) % self.p] ^= 1
        return ldpc + self._hdpc()

    def _hdpc(self):
        width = self.kp + self.s
        mt = [bytearray(width) for _ in range(self.h)]
        for j in range(width - 1):
            i = rand(j + 1, 6, self.h)
            mt[i][j] = 1
            mt[(i + rand(j + 1, 7, self.h - 1) + 1) % self.h][j] = 1
        out = []
        for i in range(self.h):
            mt[i][width - 1] = EXP[i]
            # MT times GAMMA, whose entry (i, j) is alpha^(i - j) below the diagonal: a sum that runs from the right.
            row, sum_ = bytearray(self.l), 0
            for j in reversed(range(width)):
                sum_ = times(sum_, 2) ^ mt[i][j]
                row[j] = sum_
            row[width + i] = 1
            out.append(row)
        return out

    def intermediate(self, symbols):
        """Intermediate symbols of K source symbols."""
        size = len(symbols[0])
        symbols = list(symbols) + [bytes(size)] * (self.kp - self.k)
        rows = [bytes(row) + bytes(size) for row in self.constraints()]
        rows += [bytes(self.dense(self.row(x))) + symbols[x] for x in range(self.kp)]
        solved = solve(rows, self.l)
        return solved and [row[self.l :] for row in solved]

    def symbol(self, intermediate, x):
        out = 0
        for at in self.row(x):
            out ^= int.from_bytes(intermediate[at], "big")
        return out.to_bytes(len(intermediate[0]), "big")

    def decodes(self, ids):
        """Whether encoding symbols with these ids give the block back."""
        known = list(range(self.k, self.kp)) + [self.internal(esi) for esi in ids]
        rows = [bytes(row) for row in self.constraints()] + [bytes(self.dense(self.row(x))) for x in known]
        return rank(rows, self.l) == self.l

    def internal(self, esi):
        return esi if esi < self.k else esi + self.kp - self.k

    def factors(self, internal_ids):
        """Each encoding symbol as a combination of the K' source symbols."""
        a = self.constraints() + [self.dense(self.row(x)) for x in range(self.kp)]
        wanted = [self.dense(self.row(x)) for x in internal_ids]
        columns = [bytes(row[at] for row in a) + bytes(row[at] for row in wanted) for at in range(self.l)]
        solved = solve(columns, self.l)
        first = self.s + self.h
        return [bytes(solved[at][self.l + n] for at in range(first, self.l)) for n in range(len(wanted))]


def has_no_zero(code):
    """For one repair symbol after the other whether all K' source symbols have a share in it.

    As `Code.factors`, and faster: all rows but the H last ones of the constraints are of zeros and ones. Bit j of a row stands
    for intermediate symbol j, bit L + k for source symbol k; the field's elements are held as eight planes of bits.
    """
    rows = [bits(row) for row in code.constraints()[: code.s]]
    rows += [bits(code.dense(code.row(x))) | 1 << code.l + x for x in range(code.kp)]
    pivots, taken = {}, set()
    for column in range(code.l):
        mark = 1 << column
        at = next((at for at, row in enumerate(rows) if row & mark and at not in taken), None)
        if at is not None:
            pivots[column] = at
            taken.add(at)
            chosen = rows[at]
            rows = [row ^ chosen if row & mark and other != at else row for other, row in enumerate(rows)]
    free = [column for column in range(code.l) if column not in pivots]
    # Each intermediate symbol as free ones and source symbols.
    known = {column: rows[at] for column, at in pivots.items()} | {column: 1 << column for column in free}
    unit = [[0] * 8 for _ in range(code.h)]
    matrix = [bytearray(len(free)) for _ in range(code.h)]
    for i, row in enumerate(code.constraints()[code.s :]):
        for column, factor in enumerate(row):
            if factor:
                for at, other in enumerate(free):
                    matrix[i][at] ^= factor * (known[column] >> other & 1)
                add_scaled(unit[i], factor, [known[column] >> code.l] + [0] * 7)
    assert len(free) == code.h
    rows = [bytes(row) + bytes(at == i for at in range(code.h)) for i, row in enumerate(matrix)]
    inverted = [row[code.h :] for row in solve(rows, code.h)]
    shares = {}
    for at, column in enumerate(free):
        shares[column] = [0] * 8
        for i, factor in enumerate(inverted[at]):
            add_scaled(shares[column], factor, unit[i])
    everybody = (1 << code.kp) - 1
    for x in range(code.kp, 1 << 24):
        sum_, planes = 0, [0] * 8
        for column in code.row(x):
            sum_ ^= known[column]
        planes[0] = sum_ >> code.l
        for column in free:
            if sum_ >> column & 1:
                add_scaled(planes, 1, shares[column])
        seen = 0
        for plane in planes:
            seen |= plane
        yield seen == everybody


def bits(row):
    """Bit j is element j of a row of zeros and ones."""
    return int(bytes(row)[::-1].translate(b"01" + bytes(254)), 2)


def add_scaled(planes, factor, others):
    """Adds elements times a factor to elements, all of them as planes of bits."""
    for bit, other in enumerate(others):
        product = times(factor, 1 << bit)
        for to in range(8):
            if other and product >> to & 1:
                planes[to] ^= other


def forward(rows, width):
    """Echelon form: rows whose first element other than zero is one, each further right; as whole numbers."""
    size = len(rows[0])
    rest = [int.from_bytes(row, "big") for row in rows]
    done = []
    for column in range(width):
        shift = 8 * (size - 1 - column)
        pivot = next((at for at, row in enumerate(rest) if row >> shift), None)
        if pivot is None:
            return done
        row = rest.pop(pivot)
        row = scaled(row, inverse(row >> shift), size)
        done.append(row)
        multiples = {1: row}
        for at, other in enumerate(rest):
            factor = other >> shift
            if factor:
                if factor not in multiples:
                    multiples[factor] = scaled(row, factor, size)
                rest[at] = other ^ multiples[factor]
    return done


def scaled(row, factor, size):
    return row if factor == 1 else int.from_bytes(row.to_bytes(size, "big").translate(PRODUCTS[factor]), "big")


def rank(rows, width):
    """The rank if it is full, and less otherwise."""
    return len(forward(rows, width))


def solve(rows, width):
    """Rows of an identity matrix and the right-hand sides behind it, or None if there is no single solution."""
    size = len(rows[0])
    done = forward(rows, width)
    if len(done) < width:
        return None
    tail = size - width
    mask = (1 << 8 * tail) - 1
    right = [row & mask for row in done]
    for at in reversed(range(width)):
        coefficients = done[at].to_bytes(size, "big")[:width]
        for column in range(at + 1, width):
            factor = coefficients[column]
            if factor:
                right[at] ^= scaled(right[column], factor, tail)
    return [bytes(width) + value.to_bytes(tail, "big") for value in right]
