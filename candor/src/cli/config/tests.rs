use super::*;
use crate::cli::Command as Parsed;

fn arguments(line: &str) -> Vec<OsString> {
    std::iter::once("candor").chain(line.split_whitespace()).map(OsString::from).collect()
}

fn with_file(text: &str, line: &str) -> Result<Cli, ConfigError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("candor.toml");
    files::write_private(&path, text.as_bytes()).expect("writes");
    parse_in(&arguments(line), &path)
}

#[test]
fn the_command_tree_is_sound() {
    with_environment(Cli::command()).debug_assert();
}

#[test]
fn global_flags_stand_in_any_position() {
    for line in [
        "--data-dir /d --json query --project shop x",
        "query --data-dir /d --project shop x --json",
        "query --project shop --json x --data-dir /d",
    ] {
        let cli = parse_in(&arguments(line), Path::new("/nonexistent")).expect(line);
        assert_eq!(cli.global.data_dir, PathBuf::from("/d"), "{line}");
        assert!(cli.global.json, "{line}");
    }
}

#[test]
fn the_file_lies_below_the_flag() {
    let file = "listen = \"127.0.0.1:1\"\ndata_dir = \"/from-file\"\ntest-clock = true\n\
                trusted-proxy = [\"10.0.0.0/8\", \"::1\"]\n";
    let cli = with_file(file, "serve").expect("parses");
    let Parsed::Serve(serve) = &cli.command else { panic!("serve") };
    assert_eq!(serve.listen, "127.0.0.1:1");
    assert_eq!(cli.global.data_dir, PathBuf::from("/from-file"));
    assert!(serve.test_clock);
    assert_eq!(serve.trusted_proxy, ["10.0.0.0/8", "::1"]);

    let cli = with_file(file, "serve --listen 127.0.0.1:2 --data-dir /flag").expect("parses");
    let Parsed::Serve(serve) = &cli.command else { panic!("serve") };
    assert_eq!(serve.listen, "127.0.0.1:2");
    assert_eq!(cli.global.data_dir, PathBuf::from("/flag"));
}

#[test]
fn a_required_flag_may_come_from_the_file() {
    let cli = with_file("project = \"shop\"", "query x").expect("parses");
    let Parsed::Query(query) = &cli.command else { panic!("query") };
    assert_eq!(query.project, "shop");
}

#[test]
fn errors_in_the_file_say_what_where_and_what_to_do() {
    let text = |result: Result<Cli, ConfigError>| match result {
        Err(ConfigError::File(error)) => error.to_string(),
        other => panic!("{other:?}"),
    };
    let unknown = text(with_file("lisen = \"x\"", "serve"));
    assert!(unknown.contains("unknown key \"lisen\", did you mean \"listen\"?"), "{unknown}");
    let syntax = text(with_file("listen = \"a\"\n\nroot-key = = 1", "serve"));
    assert!(syntax.contains(", line 3: "), "{syntax}");
    let value = text(with_file("[listen]\nx = 1", "serve"));
    assert!(value.contains("the value of \"listen\" is a table"), "{value}");
    let missing = text(parse_in(&arguments("serve --config /nonexistent.toml"), Path::new("/none")));
    assert!(missing.contains("cannot read /nonexistent.toml"), "{missing}");
}

#[test]
fn every_flag_of_serve_is_taken_and_what_is_not_built_is_hidden() {
    let line = "serve --listen a --kafka-listen off --kafka-anonymous p --otlp-grpc-listen off --syslog-listen off \
                --metadata m --objects o --trusted-proxy 10.0.0.0/8 --trusted-proxy ::1 --public-url u \
                --kafka-advertise k:1 --tls-cert c --tls-key k --smtp s --root-key r --ready-file f --test-clock \
                --policy p --config /dev/null --data-dir d";
    parse_in(&arguments(line), Path::new("/nonexistent")).expect("parses");
    let mut command = with_environment(Cli::command());
    let serve = command.find_subcommand_mut("serve").expect("serve");
    let help = serve.render_long_help().to_string();
    for hidden in ["syslog", "smtp"] {
        assert!(!help.contains(hidden), "{hidden} is in the help");
    }
    assert!(help.contains("CANDOR_LISTEN"), "{help}");
}

#[test]
fn commands_that_are_not_built_are_absent() {
    for line in ["subject find x --project p", "verify receipt f"] {
        assert!(
            matches!(parse_in(&arguments(line), Path::new("/none")), Err(ConfigError::Usage(_))),
            "{line}"
        );
    }
}
