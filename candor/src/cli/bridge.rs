//! `candor bridge …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `bridge …`.
#[derive(Debug, Clone, Subcommand)]
pub enum BridgeCommand {
    /// Mirror topics between a project and another Kafka cluster from now on
    Create(Box<CreateArgs>),
    /// The bridges of a project
    List {
        /// `name`, or `org/name`
        #[arg(long, value_name = "NAME")]
        project: String,
    },
    /// A bridge with its topics and groups
    Show(NamedArgs),
    /// Hold a bridge; it goes on where it stood
    Pause(NamedArgs),
    /// Let a bridge go on, or begin it anew
    Resume(NamedArgs),
    /// Remove a bridge; what it mirrored stays
    Delete(NamedArgs),
}

/// A bridge.
#[derive(Debug, Clone, Args)]
pub struct NamedArgs {
    /// The bridge
    pub name: String,
    /// `name`, or `org/name`
    #[arg(long, value_name = "NAME")]
    pub project: String,
}

/// Where a topic is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Start {
    /// With the oldest record
    Earliest,
    /// With what comes from now on
    Latest,
}

/// A mechanism of SASL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mechanism {
    /// No log in any more
    #[value(name = "none")]
    None,
    /// The password as it is
    #[value(name = "PLAIN")]
    Plain,
    /// RFC 7677
    #[value(name = "SCRAM-SHA-256")]
    ScramSha256,
    /// The same with the longer hash
    #[value(name = "SCRAM-SHA-512")]
    ScramSha512,
}

/// `bridge create`.
#[derive(Debug, Clone, Args)]
pub struct CreateArgs {
    /// The bridge
    pub name: String,
    /// `name`, or `org/name`
    #[arg(long, value_name = "NAME")]
    pub project: String,
    /// Tell the bridge of that name otherwise: what is given changes, the rest stays, and it goes on where it stands
    #[arg(long)]
    pub replace: bool,
    /// Read from this cluster
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', conflicts_with = "to")]
    #[arg(required_unless_present_any = ["to", "replace"])]
    pub from: Vec<String>,
    /// Write to this cluster
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    pub to: Vec<String>,
    /// Topics, `*` standing for any characters; all of them where there are none
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub topics: Vec<String>,
    /// Topics to leave out; an empty text for none
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub exclude: Option<Vec<String>>,
    /// What names begin with on the other side
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,
    /// Carry the offsets of consumer groups over
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub groups: Option<bool>,
    /// Where topics are begun that are there when the bridge begins: earliest, unless told
    #[arg(long, value_enum)]
    pub start: Option<Start>,
    /// Speak TLS with the other cluster
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub tls: Option<bool>,
    /// Certificates (PEM) to trust instead of the system's; turns TLS on
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Log in to the other cluster
    #[arg(long, value_name = "MECHANISM", value_enum)]
    pub sasl: Option<Mechanism>,
    /// As this user
    #[arg(long, value_name = "U")]
    pub username: Option<String>,
    /// A file whose first line is the password; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
}
