//! What the command line promises: codes, streams, messages.

use super::server::{Server, program};

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = program().args(arguments).output().expect("runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn wrong_usage_is_two_and_failure_is_one() {
    assert_eq!(run(&["no-such-command"]).0, Some(2));
    assert_eq!(run(&["query", "--project"]).0, Some(2));
    assert_eq!(run(&["serve", "--objects", "ftp://x"]).0, Some(2));
    assert_eq!(run(&["serve", "--metadata", "postgres://u:secret@h/d"]).0, Some(2));
    let (code, out, err) = run(&["query", "--project", "x", "--data-dir", "/nonexistent", "select 1"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("is no data dir") && err.contains("--data-dir"), "{err}");
    let (code, out, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    for absent in ["subject", "receipt"] {
        assert!(!out.contains(absent), "{absent}");
    }
}

#[test]
fn the_file_lies_below_the_variable_and_that_below_the_flag() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("candor.toml");
    std::fs::write(&file, "data-dir = \"/from-file\"\n").expect("writes");
    let said = |variable: Option<&str>, flag: Option<&str>| {
        let mut command = program();
        command.args(["project", "list", "--config"]).arg(&file);
        command.envs(variable.map(|value| ("CANDOR_DATA_DIR", value)));
        command.env("CANDOR_NOBODY_KNOWS_THIS", "1");
        command.args(flag.map(|value| ["--data-dir", value]).into_iter().flatten());
        String::from_utf8_lossy(&command.output().expect("runs").stderr).into_owned()
    };
    assert!(said(None, None).contains("/from-file"));
    assert!(said(Some("/from-variable"), None).contains("/from-variable"));
    assert!(said(Some(""), None).contains("/from-file"), "a variable without a value is not set");
    assert!(said(Some("/from-variable"), Some("/from-flag")).contains("/from-flag"));
}

#[test]
fn a_flag_that_is_neither_on_nor_off_is_an_error() {
    let said = |value: &str| {
        let output = program().args(["project", "list"]).env("CANDOR_JSON", value).output().expect("runs");
        output.status.code()
    };
    assert_eq!(said("maybe"), Some(2));
    assert_eq!((said("no"), said("1")), (Some(1), Some(1)), "no server, but no wrong usage");
}

#[test]
fn a_query_may_begin_with_a_comment() {
    let (code, _, err) = run(&["query", "--project", "x", "--data-dir", "/nonexistent", "-- why\nselect 1"]);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains("is no data dir"), "{err}");
}

#[test]
fn a_server_that_is_gone_is_said_to_be_gone() {
    let mut server = Server::start();
    server.kill();
    let output = server.run(&["project", "list"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains("does not answer") && errors.contains("candor serve"), "{errors}");
}

#[test]
fn one_process_a_data_dir() {
    let server = Server::start();
    let output = server.run(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--otlp-grpc-listen",
        "off",
        "--kafka-listen",
        "off",
    ]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains("in use by another candor"), "{errors}");
}

#[test]
fn a_taken_port_says_which_flag() {
    let server = Server::start();
    let folder = tempfile::tempdir().expect("a folder");
    let taken = server.ready["http"].as_str().expect("an address");
    let output = program()
        .args([
            "serve",
            "--listen",
            taken,
            "--otlp-grpc-listen",
            "off",
            "--kafka-listen",
            "off",
            "--data-dir",
        ])
        .arg(folder.path().join("d"))
        .output()
        .expect("runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(errors.contains("--listen") && errors.contains("another address"), "{errors}");
}
