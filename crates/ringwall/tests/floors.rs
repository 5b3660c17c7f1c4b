//! The house stands on its floors: an arrow between crates never points up, and the pure floors stay pure.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Each crate with the crates of this workspace that it may use.
const ALLOWED: &[(&str, &[&str])] = &[
    ("wire", &[]),
    ("model", &[]),
    ("engine", &["wire", "model"]),
    ("sim", &["wire", "model", "engine"]),
    ("host", &["wire", "model", "engine"]),
    ("services", &["model"]),
    ("control", &["model"]),
    ("lab", &["wire", "model", "engine", "host"]),
    ("ringwall", &["wire", "model", "engine", "host", "services", "control", "lab"]),
];

/// The crates without clock, socket, thread, randomness or environment.
const PURE: &[&str] = &["wire", "model", "engine", "sim"];

/// What would bring one of these in, directly or through others.
const IMPURE: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "rand",
    "getrandom",
    "rustix",
    "nix",
    "libc",
    "chrono",
    "time",
    "rtnetlink",
    "hyper",
];

#[test]
fn no_arrow_points_up() {
    let metadata = metadata();
    let ours: BTreeSet<_> = ALLOWED.iter().map(|(name, _)| *name).collect();
    let members: BTreeSet<String> = packages(&metadata)
        .map(|package| text(package, "name"))
        .filter(|name| ours.contains(name.as_str()))
        .collect();
    let workspace = metadata["workspace_members"].as_array().unwrap().len();
    assert_eq!(members.len(), workspace, "every crate of the workspace has its floor written down here");

    for (name, allowed) in ALLOWED {
        let package = packages(&metadata).find(|package| text(package, "name") == *name).unwrap();
        for dependency in package["dependencies"].as_array().unwrap() {
            let dependency = text(dependency, "name");
            if ours.contains(dependency.as_str()) {
                assert!(allowed.contains(&dependency.as_str()), "{name} must not use {dependency}");
            }
        }
    }
}

#[test]
fn the_pure_floors_reach_no_clock_socket_or_randomness() {
    let metadata = metadata();
    let graph = normal_dependencies(&metadata);
    for name in PURE {
        let mut reached = BTreeSet::new();
        let mut open = vec![(*name).to_owned()];
        while let Some(next) = open.pop() {
            for dependency in graph.get(&next).into_iter().flatten() {
                if reached.insert(dependency.clone()) {
                    open.push(dependency.clone());
                }
            }
        }
        assert!(!reached.is_empty(), "{name} has dependencies, so the walk saw something");
        for impure in IMPURE {
            assert!(!reached.contains(*impure), "{name} reaches {impure}");
        }
    }
}

/// Crate name -> names of the crates that it is built with, as resolved (build scripts and tests left out).
fn normal_dependencies(metadata: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let names: BTreeMap<String, String> =
        packages(metadata).map(|package| (text(package, "id"), text(package, "name"))).collect();
    let mut graph = BTreeMap::new();
    for node in metadata["resolve"]["nodes"].as_array().unwrap() {
        let normal = node["deps"].as_array().unwrap().iter().filter(|dependency| {
            dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null())
        });
        let built_with =
            normal.map(|dependency| names[&text(dependency, "pkg")].clone()).collect::<BTreeSet<_>>();
        graph.entry(names[&text(node, "id")].clone()).or_insert_with(BTreeSet::new).extend(built_with);
    }
    graph
}

fn packages(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().unwrap().iter()
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap().to_owned()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
