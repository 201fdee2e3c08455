"""What may be claimed by what links carried: spec 57 section 1. Times are in milliseconds, windows have one second."""

from common import same, unique

WINDOW = 1000


class Estimator:
    def __init__(self):
        self.windows, self.closed, self.until = {}, 0, {}
        self.rates, self.ceiling = [], 0

    def sample(self, now, link, delivered, over, app_limited, congested):
        self.settle(now)
        bits, start = 8 * delivered, now - over
        for window in range(max(0, start) // WINDOW, -(-now // WINDOW)):
            if window < self.closed:
                continue
            first = max(start, window * WINDOW, self.until.get(link, 0))
            last = min(now, (window + 1) * WINDOW)
            if last > first:
                part = bits * (last - first) // over
                self.windows.setdefault(window, []).append((link, part, last - first, app_limited, congested))
        self.until[link] = max(now, self.until.get(link, 0))

    def settle(self, now):
        while (self.closed + 2) * WINDOW <= now:
            self.close(self.windows.pop(self.closed, []))
            self.closed += 1

    def close(self, parts):
        links = {}
        for link, bits, time, app_limited, congested in parts:
            entry = links.setdefault(link, {"bits": 0, "busy": 0, "congested": False})
            entry["bits"] += bits
            entry["busy"] += time * (not app_limited)
            entry["congested"] |= congested
        rate = sum(entry["bits"] for entry in links.values())
        whole = [entry for entry in links.values() if entry["busy"]]
        busy = rate and 2 * sum(e["bits"] for e in whole) >= rate and any(e["busy"] >= 750 for e in whole)
        congested = 2 * sum(e["bits"] for e in links.values() if e["congested"]) >= rate
        self.rates = [*self.rates, rate][-62:]
        agreed = self.agreed(self.rates[-3:])
        left = self.left(rate)
        if agreed >= self.ceiling:
            self.ceiling = agreed
        elif busy and rate < self.ceiling:
            self.ceiling -= -(-(self.ceiling - rate) // (2 if congested else 8))
        elif self.ceiling > left:
            self.ceiling -= -(-(self.ceiling - left) // 8)

    @staticmethod
    def agreed(three):
        return min(three) if len(three) == 3 else 0

    def floor(self):
        """The third least of thirty; what was before the first window counts as nothing."""
        return sorted([0] * (30 - len(self.rates[-30:])) + self.rates[-30:])[2]

    def left(self, rate):
        best = max((min(self.rates[at : at + 3]) for at in range(len(self.rates) - 2)), default=0)
        return max(best, rate, self.floor())


def claim(ceiling, committed, rates):
    free = max(0, ceiling - committed) * 3 // 4 // 1000 * 1000
    highest = None
    for at, rate in enumerate(rates):
        if rate == 0 or rate > free or (at and rate < rates[at - 1]):
            break
        highest = at
    if highest is None:
        return 0, None, 0
    count = min(65_535, free // rates[highest])
    return rates[highest] * count // 1000 * 1000, highest, count


def check_traces(file):
    for name, case in unique(file["cases"], "cases").items():
        estimator = Estimator()
        for number, step in enumerate(case["steps"]):
            if "link" in step:
                told = (step[key] for key in ("now", "link", "delivered", "over", "app_limited", "congested"))
                estimator.sample(*told)
                continue
            what = f"{name}, step {number}"
            estimator.settle(step["now"])
            same(estimator.ceiling, step["ceiling"], f"{what}: ceiling")
            same(min(estimator.floor(), estimator.ceiling), step["floor"], f"{what}: floor")
            found = claim(estimator.ceiling, step["committed"], step.array("rates"))
            same(found, (step["uplink"], step["highest"], step["subscribers"]), f"{what}: claim")


CHECKS = {"alm/estimator": check_traces}
