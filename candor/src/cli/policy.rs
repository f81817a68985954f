//! `candor policy …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `policy …`.
#[derive(Debug, Clone, Subcommand)]
pub enum PolicyCommand {
    /// Read a policy file and say what is wrong with it, what it overrides, and what to write instead
    Check {
        /// The policy, TOML
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// What people read: of a file, or of the policy in force
    Render(RenderArgs),
    /// What differs between two files, and whether it tightens or loosens
    Diff {
        /// The policy that holds
        #[arg(value_name = "OLD")]
        old: PathBuf,
        /// The policy that is to hold
        #[arg(value_name = "NEW")]
        new: PathBuf,
    },
    /// The policies that a file can extend
    Presets {
        /// Print this one whole
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// The policy in force, and what was announced
    Show {
        /// `name`, or `org/name` [default: the instance's]
        #[arg(long, value_name = "NAME")]
        project: Option<String>,
    },
    /// Make a file the policy: what tightens holds at once, what loosens after its notice period
    Apply {
        /// The policy, TOML
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// `name`, or `org/name` [default: the instance's]
        #[arg(long, value_name = "NAME")]
        project: Option<String>,
    },
    /// Rules of data scrubbing as Sentry keeps them, as scrub.rule of a policy
    Import {
        /// Sentry's configuration of Advanced Data Scrubbing, JSON; or a project's settings with it as piiConfig
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// The JSON Schema of policy files, for editors
    Schema,
}

/// `policy render`.
#[derive(Debug, Clone, Args)]
pub struct RenderArgs {
    /// The policy, TOML [default: the one in force]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// How it is written
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Md)]
    pub format: Format,
    /// en or de
    #[arg(long, value_name = "LANGUAGE", default_value = "en")]
    pub language: String,
    /// `name`, or `org/name` [default: the instance's]
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    pub project: Option<String>,
}

/// How a notice is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Markdown
    Md,
    /// A page
    Html,
    /// Sentences with their keys
    Json,
}
