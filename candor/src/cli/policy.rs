//! `candor policy …`.

use std::path::PathBuf;

use clap::Subcommand;

/// `policy …`.
#[derive(Debug, Clone, Subcommand)]
pub enum PolicyCommand {
    /// Read a policy file and say what is wrong with it, what it overrides, and what to write instead
    Check {
        /// The policy, TOML
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
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
    /// The JSON Schema of policy files, for editors
    Schema,
}
