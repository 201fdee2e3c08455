//! Group keys: ours beside stock openmls, and beside mls-rs.

mod grow;
mod outside;
mod primitives;
mod stack;

use anyhow::{Context, Result};
use bench_harness::{Clock, Limit, Pair, Row, Unit};
use openmls::prelude::KeyPackage;
use outside::Outside;
use stack::{Member, Ours, Saved, Stack, Stock};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Members of the groups that are measured.
const SIZES: [u32; 7] = [2, 8, 25, 32, 128, 512, 1_000];
/// Those that mls-rs is measured with.
const OUTSIDE: [u32; 2] = [25, 1_000];
/// Joins in a batch.
const BATCH: usize = 25;
/// Where numbers of those who are not members yet begin.
const STRANGERS: u32 = 1 << 20;

const STOCK: &str = "openmls 0.9 with libcrux and memory storage";
const MLS_RS: &str = "mls-rs 0.57, X-Wing with aws-lc, no storage";

pub(crate) fn run() -> Result<Vec<Row>> {
    // Both libraries share out work over threads; figures are of one core.
    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().context("a pool of one thread")?;
    let mut rows = primitives::rows()?;
    let start = Instant::now();
    let groups = grow::grow(&SIZES)?;
    eprintln!(
        "benches-keys: groups of up to {} members grown in {:.1?}",
        SIZES[SIZES.len() - 1],
        start.elapsed()
    );
    let packages = strangers()?;
    for ends in &groups {
        let start = Instant::now();
        rows.extend(Bench { ends, packages: &packages }.rows()?);
        eprintln!("benches-keys: {} members measured in {:.1?}", ends.members, start.elapsed());
    }
    let start = Instant::now();
    let mut theirs = Outside::start(&OUTSIDE)?;
    eprintln!("benches-keys: groups of mls-rs grown in {:.1?}", start.elapsed());
    for ends in groups.iter().filter(|ends| OUTSIDE.contains(&ends.members)) {
        rows.extend(outside_rows(ends, &mut theirs, &packages)?);
    }
    Ok(rows)
}

fn strangers() -> Result<Vec<KeyPackage>> {
    (0..BATCH as u32)
        .map(|at| STRANGERS + at)
        .map(|number| stack::key_package(&Ours::fresh(number)?, number))
        .collect()
}

fn process<T>(work: impl FnOnce() -> Result<T>) -> Result<Duration> {
    let (time, outcome) = Clock::Process.time(work);
    black_box(outcome?);
    Ok(time)
}

struct Bench<'a> {
    ends: &'a grow::Ends,
    packages: &'a [KeyPackage],
}

impl Bench<'_> {
    fn rows(&self) -> Result<Vec<Row>> {
        let n = self.ends.members;
        // Somebody in the middle of the tree, and neither of the two who are measured.
        let gone = n / 2;
        let one = &self.packages[..1];
        let mut rows = vec![
            self.build("add-build", one, &[], false)?,
            self.receive("add-receive", one, &[])?,
            self.build("remove-build", &[], &[gone], false)?,
        ];
        if gone != n - 1 {
            rows.push(self.receive("remove-receive", &[], &[gone])?);
            rows.push(self.merge("remove-merge-own", &[], &[gone])?);
        }
        rows.push(self.build("batch-25-build", self.packages, &[], false)?);
        rows.push(self.build("batch-25-build-with-tree", self.packages, &[], true)?);
        rows.push(self.export_tree()?);
        rows.push(self.receive("batch-25-receive", self.packages, &[])?);
        rows.push(self.join()?);
        rows.push(self.snapshot()?);
        if n == 1_000 {
            rows.push(self.one_by_one()?);
        }
        Ok(rows)
    }

    fn samples(&self) -> usize {
        match self.ends.members {
            0..=32 => 31,
            33..=128 => 15,
            _ => 7,
        }
    }

    fn row(&self, pair: &Pair, what: &str, baseline: &str) -> Result<Row> {
        pair.row_in(Unit::Millis, &format!("mls-{what}-{}", self.ends.members), baseline)
    }

    fn build(&self, what: &str, add: &[KeyPackage], remove: &[u32], tree: bool) -> Result<Row> {
        let mut ours = Ours::revive(&self.ends.host)?.settle()?;
        let mut stock = Stock::revive(&self.ends.host)?.settle()?;
        let pair = Pair::interleave(
            self.samples(),
            1,
            || build_once(&mut ours, add, remove, tree),
            || build_once(&mut stock, add, remove, tree),
        )?;
        let row = self.row(&pair, what, STOCK)?;
        Ok(match (what, self.ends.members) {
            ("remove-build", 1_000) => row.target(&[Limit::Ours(15.0), Limit::Ratio(0.334)]),
            ("batch-25-build", 1_000) => row.target(&[Limit::Ours(13.0)]),
            ("batch-25-build", 25) => row.target(&[Limit::Ours(5.0)]),
            _ => row,
        })
    }

    fn receive(&self, what: &str, add: &[KeyPackage], remove: &[u32]) -> Result<Row> {
        let commit = Ours::revive(&self.ends.host)?.stage(add, remove)?.commit;
        let pair = Pair::interleave(
            self.samples(),
            1,
            || receive_once::<Ours>(&self.ends.last, &commit),
            || receive_once::<Stock>(&self.ends.last, &commit),
        )?;
        let row = self.row(&pair, what, STOCK)?;
        Ok(match (what, self.ends.members) {
            ("remove-receive", 1_000) => row.target(&[Limit::Ours(15.0), Limit::Ratio(0.334)]),
            _ => row,
        })
    }

    fn merge(&self, what: &str, add: &[KeyPackage], remove: &[u32]) -> Result<Row> {
        let pair = Pair::interleave(
            self.samples(),
            1,
            || merge_once::<Ours>(&self.ends.host, add, remove),
            || merge_once::<Stock>(&self.ends.host, add, remove),
        )?;
        self.row(&pair, what, STOCK)
    }

    fn join(&self) -> Result<Row> {
        let (first, second) = (STRANGERS + 1_000, STRANGERS + 1_001);
        let (ours, stock) = (Ours::fresh(first)?, Stock::fresh(second)?);
        let packages = [stack::key_package(&ours, first)?, stack::key_package(&stock, second)?];
        let mut host = Ours::revive(&self.ends.host)?;
        let welcome = host.stage(&packages, &[])?.welcome.context("no welcome")?;
        host.merge()?;
        let tree = host.tree()?;
        let pair = Pair::interleave(
            self.samples(),
            1,
            || join_once(&ours, first, &welcome, &tree),
            || join_once(&stock, second, &welcome, &tree),
        )?;
        self.row(&pair, "join", STOCK)
    }

    /// What joiners need besides the welcome, once for all of them: the same code on both sides.
    fn export_tree(&self) -> Result<Row> {
        let (ours, stock) = (Ours::revive(&self.ends.host)?, Stock::revive(&self.ends.host)?);
        let pair =
            Pair::interleave(self.samples(), 1, || process(|| ours.tree()), || process(|| stock.tree()))?;
        self.row(&pair, "export-tree", STOCK)
    }

    /// Ours off the critical path, beside what stock does at each merge.
    fn snapshot(&self) -> Result<Row> {
        let ours = Ours::revive(&self.ends.host)?;
        let stock = Stock::revive(&self.ends.host)?;
        let pair = Pair::interleave(
            self.samples(),
            1,
            || process(|| Ok(ours.stack.provider().storage().snapshot([&ours.group])?)),
            || {
                process(|| {
                    use openmls_traits::storage::StorageProvider as _;
                    let storage = openmls_traits::OpenMlsProvider::storage(stock.stack.provider());
                    Ok(storage.write_tree(stock.group.group_id(), stock.group.treesync())?)
                })
            },
        )?;
        self.row(&pair, "snapshot", "the tree as JSON, which stock writes at each merge")
    }

    /// One commit for all beside one for each, both ours, built and merged.
    fn one_by_one(&self) -> Result<Row> {
        let commits = |size: usize| {
            let mut member = Ours::revive(&self.ends.host)?.settle()?;
            let mut sum = Duration::ZERO;
            for packages in self.packages.chunks(size) {
                sum += process(|| {
                    member.stage(packages, &[])?;
                    member.merge()
                })?;
            }
            Ok(sum)
        };
        let pair = Pair::interleave(5, 1, || commits(BATCH), || commits(1))?;
        let row = self.row(&pair, "25-joins-in-one-commit", "ours, 25 commits of one join each")?;
        Ok(row.target(&[Limit::Ours(13.0), Limit::Ratio(0.1)]))
    }
}

fn build_once<S: Stack>(
    member: &mut Member<S>,
    add: &[KeyPackage],
    remove: &[u32],
    tree: bool,
) -> Result<Duration> {
    let time = process(|| member.stage_with(add, remove, tree))?;
    member.discard()?;
    Ok(time)
}

fn receive_once<S: Stack>(saved: &Saved, commit: &[u8]) -> Result<Duration> {
    let mut member = S::revive(saved)?.settle()?;
    process(|| member.receive(commit))
}

fn merge_once<S: Stack>(saved: &Saved, add: &[KeyPackage], remove: &[u32]) -> Result<Duration> {
    let mut member = S::revive(saved)?.settle()?;
    member.stage(add, remove)?;
    process(|| member.merge())
}

fn join_once<S: Stack>(stack: &S, number: u32, welcome: &[u8], tree: &[u8]) -> Result<Duration> {
    let mut again = stack.again(number)?;
    process(|| stack::join(&mut again, welcome, tree))
}

fn outside_rows(ends: &grow::Ends, theirs: &mut Outside, packages: &[KeyPackage]) -> Result<Vec<Row>> {
    let n = ends.members;
    let gone = [n / 2];
    let cases: [(&str, usize, &[u32]); 3] = [("add", 1, &[]), ("remove", 0, &gone), ("batch-25", BATCH, &[])];
    let mut rows = Vec::new();
    for (what, adds, remove) in cases {
        let name = |step: &str| format!("mls-{what}-{step}-{n}-outside");
        let mut host = Ours::revive(&ends.host)?.settle()?;
        let build = Pair::interleave(
            7,
            1,
            || build_once(&mut host, &packages[..adds], remove, false),
            || theirs.time(n, "build", adds, remove),
        )?;
        rows.push(build.row_in(Unit::Millis, &name("build"), MLS_RS)?);

        let commit = Ours::revive(&ends.host)?.stage(&packages[..adds], remove)?.commit;
        let receive = Pair::interleave(
            7,
            1,
            || receive_once::<Ours>(&ends.last, &commit),
            || theirs.time(n, "receive", adds, remove),
        )?;
        let row = receive.row_in(Unit::Millis, &name("receive"), MLS_RS)?;
        rows.push(if n == 1_000 { row.target(&[Limit::Ratio(1.0)]) } else { row });
    }
    Ok(rows)
}
