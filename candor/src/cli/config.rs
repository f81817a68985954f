//! Flags over environment variables over `candor.toml`.
//!
//! The command tree that clap derives is taken as the one list of flags: each flag gets its variable here, and each
//! key of the file becomes that flag's default. So a new flag has all three by being declared, and cannot be
//! forgotten in one of them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{ArgAction, Command, CommandFactory, FromArgMatches};

use super::Cli;
use crate::files;

/// The file that is read where `--config` names none.
const CONFIG_FILE: &str = "candor.toml";

/// Why no command came of the arguments.
#[derive(Debug)]
pub enum ConfigError {
    /// The command line: clap's own text (help and version too).
    Usage(clap::Error),
    /// The file.
    File(FileError),
}

/// What is wrong with the file, where, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It was named and cannot be read.
    #[error("cannot read {path}: {reason}\nname another file with --config or leave the flag out", path = .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It is not TOML.
    #[error("{path}, line {line}: {reason}\ncorrect that line: the file is TOML, as in listen = \"127.0.0.1:8080\"", path = .path.display())]
    Syntax {
        /// Which file.
        path: PathBuf,
        /// Where.
        line: usize,
        /// What the parser said.
        reason: String,
    },
    /// A key that is no flag.
    #[error("{path}: unknown key \"{key}\"{near}\nremove it or correct its name: keys are the flags without dashes, as in data-dir", path = .path.display(), near = near(.suggestion))]
    UnknownKey {
        /// Which file.
        path: PathBuf,
        /// The key.
        key: String,
        /// The nearest key there is.
        suggestion: Option<String>,
    },
    /// A value of a kind that no flag takes.
    #[error("{path}: the value of \"{key}\" is {found}\ngive a string, a number, true or false, or a list of strings", path = .path.display())]
    Value {
        /// Which file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What stands there.
        found: &'static str,
    },
}

fn near(suggestion: &Option<String>) -> String {
    suggestion.as_ref().map(|key| format!(", did you mean \"{key}\"?")).unwrap_or_default()
}

/// Parses arguments with the environment and the file below them.
pub fn parse(arguments: &[OsString]) -> Result<Cli, ConfigError> {
    parse_in(arguments, Path::new(CONFIG_FILE))
}

fn parse_in(arguments: &[OsString], default_file: &Path) -> Result<Cli, ConfigError> {
    let arguments: Vec<OsString> = arguments.iter().map(as_value).collect();
    let command = with_environment(Cli::command());
    let file = match config_argument(&command, &arguments) {
        Some(path) => Some((path.clone(), read(&path)?)),
        None if files::exists(default_file) => Some((default_file.to_owned(), read(default_file)?)),
        None => None,
    };
    let command = match file {
        Some((path, values)) => {
            let known = flags(&command);
            for key in values.keys() {
                if !known.contains(key) {
                    let suggestion = nearest(key, &known);
                    return Err(ConfigError::File(FileError::UnknownKey {
                        path,
                        key: key.clone(),
                        suggestion,
                    }));
                }
            }
            with_defaults(command, &values)
        }
        None => command,
    };
    let mut matches = command.try_get_matches_from(&arguments).map_err(ConfigError::Usage)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(ConfigError::Usage)
}

/// A query may begin with a comment: what starts as a flag and goes on as words is no flag.
fn as_value(argument: &OsString) -> OsString {
    let flag_like = argument.to_str().filter(|text| text.starts_with("--"));
    match flag_like.and_then(|text| text.chars().find(|c| *c == '=' || c.is_whitespace())) {
        Some(c) if c.is_whitespace() => {
            let mut value = OsString::from(" ");
            value.push(argument);
            value
        }
        _ => argument.clone(),
    }
}

/// Gives every flag its variable, at every level. A variable without a value is as one that is not set.
fn with_environment(command: Command) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let command = command.mut_args(|arg| match arg.get_long().map(str::to_owned) {
        Some(long) if long != "help" && long != "version" => {
            let arg = match std::env::var_os(variable(&long)) {
                Some(value) if value.is_empty() => arg,
                _ => arg.env(variable(&long)),
            };
            match arg.get_action() {
                // "1", "yes" and "on" set a flag, "0", "no" and "off" do not, and anything else is an error.
                ArgAction::SetTrue => arg.value_parser(clap::builder::BoolishValueParser::new()),
                _ => arg,
            }
        }
        _ => arg,
    });
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, with_environment))
}

/// The variable of a flag: `CANDOR_DATA_DIR` of `data-dir`.
pub fn variable(long: &str) -> String {
    format!("CANDOR_{}", long.replace('-', "_").to_uppercase())
}

/// Makes the file's values defaults. A flag that must be given need not be once the file has it.
fn with_defaults(command: Command, values: &BTreeMap<String, Vec<String>>) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let command = command.mut_args(|arg| match arg.get_long().and_then(|long| values.get(long)) {
        Some(values) => arg.required(false).default_values(values.clone()),
        None => arg,
    });
    names
        .into_iter()
        .fold(command, |command, name| command.mut_subcommand(name, |sub| with_defaults(sub, values)))
}

/// Every flag of every command.
fn flags(command: &Command) -> Vec<String> {
    let own = command.get_arguments().filter_map(|arg| arg.get_long()).map(str::to_owned);
    let mut all: Vec<String> = own.chain(command.get_subcommands().flat_map(flags)).collect();
    all.sort();
    all.dedup();
    all
}

/// What `--config` or its variable says, found by a first lenient parse so that it may stand anywhere.
fn config_argument(command: &Command, arguments: &[OsString]) -> Option<PathBuf> {
    let matches = command.clone().ignore_errors(true).try_get_matches_from(arguments).ok()?;
    let mut level = Some(&matches);
    let mut found = None;
    while let Some(matches) = level {
        if let Ok(Some(path)) = matches.try_get_one::<PathBuf>("config") {
            found = Some(path.clone());
        }
        level = matches.subcommand().map(|(_, sub)| sub);
    }
    found
}

fn read(path: &Path) -> Result<BTreeMap<String, Vec<String>>, ConfigError> {
    let text = files::read_text(path).map_err(|error| {
        ConfigError::File(FileError::Unreadable { path: path.to_owned(), reason: error.to_string() })
    })?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let at = error.span().map_or(0, |span| span.start).min(text.len());
        let line = text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1;
        let reason = error.message().to_owned();
        ConfigError::File(FileError::Syntax { path: path.to_owned(), line, reason })
    })?;
    table
        .into_iter()
        .map(|(key, value)| {
            // Both `data-dir` and `data_dir` are natural in TOML.
            let key = key.replace('_', "-");
            let values = match value {
                toml::Value::Array(items) => items.iter().map(scalar).collect(),
                other => scalar(&other).map(|text| vec![text]),
            };
            let found = "a table, a date or a list of such";
            values.map(|values| (key.clone(), values)).ok_or(ConfigError::File(FileError::Value {
                path: path.to_owned(),
                key,
                found,
            }))
        })
        .collect()
}

fn scalar(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

/// The known key within two edits, where there is one.
fn nearest(key: &str, known: &[String]) -> Option<String> {
    known
        .iter()
        .map(|candidate| (edits(key, candidate), candidate))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, candidate)| candidate.clone())
}

/// Levenshtein's distance.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut previous = i;
        let mut left = i + 1;
        for (slot, b) in row.iter_mut().skip(1).zip(&to) {
            let replaced = previous + usize::from(a != *b);
            previous = *slot;
            *slot = replaced.min(previous + 1).min(left + 1);
            left = *slot;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests;
