//! `cargo xtask standalone`: whether each crate can be picked by itself.
//!
//! Without `--build` it takes seconds: metadata, README, front page, and that all of them can be packaged. With it each crate is built
//! and tested alone, as somebody would who has nothing else of the workspace.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cargo_metadata::{Metadata, MetadataCommand, Package};

use crate::shell::{self, cargo};

/// What `cargo xtask standalone` is asked for.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Check, test and document each crate alone, with its default features and without; takes long
    #[arg(long)]
    build: bool,
    /// Check each crate with the lowest versions of its direct dependencies that its manifest allows, in a copy of the workspace
    #[arg(long)]
    minimal: bool,
    /// Of these crates alone (may be given several times)
    #[arg(long = "crate", value_name = "NAME")]
    only: Vec<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let root = shell::root()?;
    let metadata = MetadataCommand::new().current_dir(&root).no_deps().exec();
    let metadata = metadata.context("could not ask cargo for the workspace's packages")?;
    let crates = published(&metadata);
    if let Some(name) = options.only.iter().find(|name| !crates.contains_key(name.as_str())) {
        bail!("there is no crate `{name}` to be published");
    }
    let mut faults = Vec::new();
    for package in crates.values() {
        let folder = package.manifest_path.parent().context("a manifest lies in a folder")?;
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_default();
        faults.extend(look(package, &read("README.md"), &read("src/lib.rs")));
    }
    if !faults.is_empty() {
        bail!("{} things that keep crates from standing alone:\n  {}", faults.len(), faults.join("\n  "));
    }
    let names: Vec<&str> = crates.keys().copied().filter(|name| is_wanted(&options.only, name)).collect();
    if options.only.is_empty() {
        package(&names)?;
    }
    if options.build {
        crates
            .values()
            .filter(|package| names.contains(&package.name.as_str()))
            .try_for_each(|p| build(p))?;
    }
    if options.minimal {
        minimal(&root, &names)?;
    }
    println!("standalone: {} crates", names.len());
    Ok(())
}

fn is_wanted(only: &[String], name: &str) -> bool {
    only.is_empty() || only.iter().any(|wanted| wanted == name)
}

/// The crates that are to be published, by name.
fn published(metadata: &Metadata) -> BTreeMap<&str, &Package> {
    let members = metadata.workspace_packages();
    let published =
        members.into_iter().filter(|package| package.publish.as_ref().is_none_or(|to| !to.is_empty()));
    published.map(|package| (package.name.as_str(), package)).collect()
}

/// What is wrong with a crate's manifest, README and front page.
fn look(package: &Package, readme: &str, front: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |what: String| faults.push(format!("{}: {what}", package.name));
    for (field, is_there) in [
        ("description", package.description.as_ref().is_some_and(|text| !text.is_empty())),
        ("license", package.license.is_some()),
        ("repository", package.repository.is_some()),
        ("rust-version", package.rust_version.is_some()),
        ("readme", package.readme.as_ref().is_some_and(|path| path == "README.md")),
    ] {
        if !is_there {
            fault(format!("no `{field}`"));
        }
    }
    if package.categories.is_empty() || package.categories.len() > 5 {
        fault("it has 1 to 5 categories".to_owned());
    }
    if let Some(unknown) = package.categories.iter().find(|slug| !CATEGORIES.contains(&slug.as_str())) {
        fault(format!("the category `{unknown}` is not one that is known here"));
    }
    let is_keyword = |word: &String| {
        word.len() <= 20
            && word.starts_with(|c: char| c.is_ascii_alphanumeric())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+'))
    };
    if package.keywords.is_empty() || package.keywords.len() > 5 || !package.keywords.iter().all(is_keyword) {
        fault("it has 1 to 5 keywords of at most 20 letters, digits, `-`, `_` and `+`".to_owned());
    }
    let versionless =
        package.dependencies.iter().find(|of| of.path.is_some() && of.req.comparators.is_empty());
    if let Some(of) = versionless {
        fault(format!("`{}` is named by its path alone, and needs a version to be published", of.name));
    }
    if !readme.starts_with(&format!("# {}\n", package.name)) {
        fault("README.md does not begin with its name".to_owned());
    }
    if !readme.contains("\n## Status\n") {
        fault("README.md does not say how far it is (`## Status`)".to_owned());
    }
    match (example(&documentation(front)), example(readme)) {
        (None, _) => fault("its front page has no example".to_owned()),
        (Some(one), Some(other)) if one == other => {}
        (Some(_), _) => {
            fault("README.md does not show the first example of the front page, which is tested".to_owned())
        }
    }
    faults
}

/// Those that are in use: the registry refuses others, and its list is not here.
const CATEGORIES: [&str; 17] = [
    "algorithms",
    "api-bindings",
    "authentication",
    "command-line-utilities",
    "cryptography",
    "data-structures",
    "database-implementations",
    "development-tools::testing",
    "encoding",
    "hardware-support",
    "mathematics",
    "multimedia",
    "multimedia::audio",
    "multimedia::encoding",
    "multimedia::video",
    "network-programming",
    "simulation",
];

/// A crate's documentation, which stands before anything else.
fn documentation(source: &str) -> String {
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// The first block of code, without the lines that documentation hides.
fn example(text: &str) -> Option<String> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("```"));
    lines.next()?;
    let code: Vec<&str> = lines
        .take_while(|line| !line.starts_with("```"))
        .filter(|line| *line != "#" && !line.starts_with("# "))
        .collect();
    Some(code.join("\n").trim_matches('\n').to_owned())
}

/// All at once: cargo puts them in order, and takes each one's dependencies from what it has just packaged.
fn package(names: &[&str]) -> Result<()> {
    let mut command = cargo(["package", "--quiet", "--no-verify", "--offline", "--allow-dirty"])?;
    command.args(names.iter().flat_map(|name| ["--package", name]));
    shell::run(&mut command)
}

fn build(package: &Package) -> Result<()> {
    let name = package.name.as_str();
    for feature in choices(package) {
        let alone = ["--no-default-features", "--features", feature, "--lib", "--tests"];
        shell::run(cargo(["check", "--quiet", "--package", name])?.args(alone))?;
    }
    shell::run(&mut cargo(["check", "--quiet", "--package", name])?)?;
    shell::run(&mut cargo(["check", "--quiet", "--package", name, "--no-default-features", "--lib"])?)?;
    shell::run(&mut cargo(["test", "--quiet", "--package", name])?)?;
    shell::run(
        cargo(["doc", "--quiet", "--no-deps", "--package", name])?.env("RUSTDOCFLAGS", "--deny warnings"),
    )
}

/// Features that can be had one without the other: what is used of one alone may be there by another that is on.
fn choices(package: &Package) -> Vec<&str> {
    let features: Vec<&str> =
        package.features.keys().map(String::as_str).filter(|name| *name != "default").collect();
    if features.len() > 1 { features } else { Vec::new() }
}

/// In a copy, so that the workspace keeps its lock file; what is built there is kept for the next time.
fn minimal(root: &Path, names: &[&str]) -> Result<()> {
    let copy = shell::target()?.join("minimal");
    let list = std::process::Command::new("git").args(["ls-files", "-z"]).current_dir(root).output();
    let list =
        String::from_utf8(list.context("could not start `git`")?.stdout).context("a name is not UTF-8")?;
    for file in list.split_terminator('\0') {
        let to = copy.join(file);
        let folder = to.parent().context("a file lies in a folder")?;
        fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
        fs::copy(root.join(file), &to).with_context(|| format!("could not write {}", to.display()))?;
    }
    // A flag that only a nightly cargo has, or one that is told to be like it.
    let inside = |args: &[&str]| -> Result<std::process::Command> {
        let mut command = cargo([])?;
        command.args(args).current_dir(&copy).env("RUSTC_BOOTSTRAP", "1");
        command.env("CARGO_TARGET_DIR", copy.join("target"));
        Ok(command)
    };
    shell::run(&mut inside(&["update", "-Z", "direct-minimal-versions"])?)?;
    for name in names {
        shell::run(&mut inside(&["check", "--quiet", "--package", name, "--all-features"])?)?;
    }
    Ok(())
}

/// `cargo xtask semver`: what a change breaks for those who use a crate.
pub(crate) fn semver(since: Option<&OsString>) -> Result<()> {
    let Some(since) = since else {
        bail!(
            "nothing is published yet to compare with; give `--since REVISION` to compare with a revision of this repository"
        );
    };
    shell::cargo_tool("semver-checks")?;
    let root: PathBuf = shell::root()?;
    let metadata = MetadataCommand::new().current_dir(root).no_deps().exec();
    let metadata = metadata.context("could not ask cargo for the workspace's packages")?;
    let mut command = cargo(["semver-checks", "--baseline-rev"])?;
    command.arg(since);
    for (name, package) in published(&metadata) {
        let has_library =
            package.targets.iter().any(|target| target.kind.contains(&cargo_metadata::TargetKind::Lib));
        if has_library {
            command.args(["--package", name]);
        }
    }
    shell::run(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const README: &str = "# x\n\nWhat.\n\n```rust\nuse x::y;\ny();\n```\n\n## Status\nDone.\n";
    const FRONT: &str = "//! What.\n//!\n//! ```\n//! use x::y;\n//! # fn hidden() {}\n//! y();\n//! # Ok::<(), ()>(())\n//! ```\n\nmod y;\n";

    fn good() -> Value {
        json!({
            "name": "x", "version": "0.1.0", "id": "x", "targets": [], "features": {}, "manifest_path": "Cargo.toml",
            "dependencies": [{
                "name": "y", "source": null, "req": "^0.1.0", "kind": null, "rename": null, "optional": false,
                "uses_default_features": true, "features": [], "target": null, "path": "/y", "registry": null
            }],
            "description": "what", "license": "MIT", "repository": "https://example.invalid", "rust_version": "1.91",
            "readme": "README.md", "categories": ["cryptography"], "keywords": ["one", "two-3"],
        })
    }

    fn faults(change: impl FnOnce(&mut Value), readme: &str, front: &str) -> Vec<String> {
        let mut package = good();
        change(&mut package);
        look(&serde_json::from_value(package).unwrap(), readme, front)
    }

    #[test]
    fn a_crate_with_all_that_it_needs_stands_alone() {
        assert_eq!(faults(|_| (), README, FRONT), Vec::<String>::new());
    }

    #[test]
    fn what_a_manifest_lacks_is_named() {
        for field in ["description", "license", "repository", "rust_version", "readme"] {
            let faults = faults(|package| package[field] = Value::Null, README, FRONT);
            assert!(faults.len() == 1 && faults[0].contains(&field.replace('_', "-")), "{field}: {faults:?}");
        }
        for (field, bad) in [
            ("categories", json!([])),
            ("categories", json!(["cooking"])),
            ("keywords", json!([])),
            ("keywords", json!(["a", "b", "c", "d", "e", "f"])),
            ("keywords", json!(["longer than it may be"])),
            ("keywords", json!(["-dash"])),
        ] {
            assert_eq!(
                faults(|package| package[field] = bad.clone(), README, FRONT).len(),
                1,
                "{field}: {bad}"
            );
        }
        let versionless = faults(|package| package["dependencies"][0]["req"] = json!("*"), README, FRONT);
        assert!(versionless[0].contains("`y` is named by its path alone"), "{versionless:?}");
    }

    #[test]
    fn a_readme_has_name_status_and_the_example_that_is_tested() {
        for (bad, what) in [
            (README.replace("# x", "# y"), "does not begin with its name"),
            (README.replace("## Status", "Status"), "how far it is"),
            (README.replace("y();", "z();"), "first example"),
            (README.replace("```", ""), "first example"),
            (String::new(), "does not begin"),
        ] {
            let faults = faults(|_| (), &bad, FRONT);
            assert!(faults[0].contains(what), "{what}: {faults:?}");
        }
        assert!(
            faults(|_| (), README, "//! What.\n\n//! ```\n//! y();\n//! ```\n")[0].contains("has no example")
        );
    }

    #[test]
    fn each_of_several_features_is_checked_alone() {
        let of = |features: Value| {
            let mut package = good();
            package["features"] = features;
            let package: Package = serde_json::from_value(package).unwrap();
            choices(&package).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(of(json!({ "default": ["a", "b"], "a": [], "b": [] })), ["a", "b"]);
        assert_eq!(of(json!({ "default": ["a"], "a": [] })), Vec::<String>::new());
    }

    #[test]
    fn semver_says_that_there_is_nothing_to_compare_with() {
        assert!(semver(None).unwrap_err().to_string().contains("--since"));
    }
}
