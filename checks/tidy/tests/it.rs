//! The house rules. Each test is one rule; each fault is a line.

use candor_tidy::{manifests, none, prose, sources};

#[test]
fn crates_use_only_those_below_them() {
    none(&manifests::wrong_arrows());
}

#[test]
fn versions_and_lints_are_the_workspaces() {
    none(&manifests::not_of_the_workspace());
}

#[test]
fn every_module_says_what_it_is_for() {
    none(&sources::without_docs());
}

#[test]
fn files_are_short() {
    none(&sources::too_long());
}

#[test]
fn files_are_touched_in_one_place() {
    none(&sources::stray_file_access());
}

#[test]
fn nothing_is_left_over() {
    none(&sources::leftovers());
}

#[test]
fn no_source_is_dead() {
    none(&sources::undeclared());
}

#[test]
fn links_resolve() {
    none(&prose::broken_links());
}

#[test]
fn the_rules_see_the_tree() {
    assert!(manifests::all().len() >= 13, "crates are missing: {}", manifests::all().len());
    assert!(candor_tidy::files(".rs").len() > 50, "sources are missing");
}
