//! The command line: what can be said, and nothing of what it does.
//!
//! Every flag is also an environment variable (`CANDOR_` and the flag in capitals) and a key of `candor.toml`;
//! [`config::parse`] lays the three over one another. Commands that are not built are absent, not stubs; flags of
//! `serve` whose listener is not built are accepted and hidden.

pub mod bridge;
pub mod config;
pub mod duration;
pub mod limit;
pub mod policy;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The program.
#[derive(Debug, Parser)]
#[command(
    name = "candor",
    version,
    about = "Logs, errors and traces through one privacy gate into tables that open tools can read",
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    /// What every command takes, in any position.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The folder that holds everything; commands find the running server by it
    #[arg(long, global = true, value_name = "DIR", default_value = "./candor-data")]
    pub data_dir: PathBuf,
    /// Talk to this server instead of the one of the data dir
    #[arg(long, global = true, value_name = "URL")]
    pub server: Option<String>,
    /// A personal token for --server
    #[arg(long, global = true, value_name = "TOKEN", hide_env_values = true)]
    pub token: Option<String>,
    /// Print one JSON document, or one a line where it streams
    #[arg(long, global = true)]
    pub json: bool,
    /// A file with flags as keys [default: ./candor.toml where it exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server
    Serve(Box<ServeArgs>),
    /// Make the first account without a browser
    Setup(SetupArgs),
    /// Projects and their keys
    #[command(subcommand, subcommand_required = true, arg_required_else_help = true)]
    Project(ProjectCommand),
    /// Run SQL over a project's tables and print every row
    Query(QueryArgs),
    /// Publish the newest rows as Parquet; prints the snapshot's id
    Flush(FlushArgs),
    /// Follow a project's log records as they arrive
    Tail(TailArgs),
    /// Mirrors of topics from and to other Kafka clusters
    #[command(subcommand, subcommand_required = true, arg_required_else_help = true)]
    Bridge(bridge::BridgeCommand),
    /// What may be collected, kept, shared and shown: check, compare, publish
    #[command(subcommand, subcommand_required = true, arg_required_else_help = true)]
    Policy(policy::PolicyCommand),
    /// Tables for other tools
    #[command(subcommand, subcommand_required = true, arg_required_else_help = true)]
    Lake(LakeCommand),
    /// Check what is stored
    #[command(subcommand, subcommand_required = true, arg_required_else_help = true)]
    Verify(VerifyCommand),
    /// Consistent copies, taken under load
    #[command(subcommand, subcommand_required = true, arg_required_else_help = true)]
    Backup(BackupCommand),
    /// Send realistic traffic through the real protocols, for a first look
    Demo(DemoArgs),
}

/// `serve`.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// Screen, API and every HTTP ingest path
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: String,
    /// OTLP over gRPC
    #[arg(long, value_name = "ADDR|off", default_value = "127.0.0.1:4317")]
    pub otlp_grpc_listen: String,
    /// Where metadata lives: a PostgreSQL URL [default: SQLite in the data dir]
    #[arg(long, value_name = "URL", hide_env_values = true)]
    pub metadata: Option<String>,
    /// Where data lives: s3://bucket/prefix, endpoint and keys as the AWS SDKs read them
    /// [default: files in the data dir]
    #[arg(long, value_name = "URL")]
    pub objects: Option<String>,
    /// Believe X-Forwarded-For of peers in this network, and that TLS of Kafka clients ends there; may be given more
    /// than once
    #[arg(long, value_name = "CIDR", value_delimiter = ',')]
    pub trusted_proxy: Vec<String>,
    /// What DSNs and links name [default: the bound address]
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// The certificate chain (PEM) that turns TLS on
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// The key all other keys hang from [default: root.key in the data dir, made at first start]
    #[arg(long, value_name = "FILE")]
    pub root_key: Option<PathBuf>,
    /// Keep log records in their tables for so long after they arrived
    #[arg(long, value_name = "DURATION", default_value = "90d", value_parser = duration::parse)]
    pub keep_logs: duration::Seconds,
    /// Keep error events, their attachments with them
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = duration::parse)]
    pub keep_errors: duration::Seconds,
    /// Kafka clients
    #[arg(long, value_name = "ADDR|off", default_value = "127.0.0.1:9092")]
    pub kafka_listen: String,
    /// The project of Kafka clients without SASL, on loopback only
    #[arg(long, value_name = "PROJECT")]
    pub kafka_anonymous: Option<String>,
    /// What `bootstrap` names
    #[arg(long, value_name = "HOST:PORT")]
    pub kafka_advertise: Option<String>,
    /// A setting of Kafka's brokers: auto.create.topics.enable, num.partitions,
    /// group.initial.rebalance.delay.ms or connections.max.reauth.ms; may be given more than once
    #[arg(long, value_name = "NAME=VALUE", value_delimiter = ',')]
    pub kafka_set: Vec<String>,
    /// Take tokens of this identity provider from Kafka clients (OAUTHBEARER): what they say as `iss`
    #[arg(long, value_name = "ISSUER", requires = "kafka_oauth_jwks", requires = "kafka_oauth_audience")]
    pub kafka_oauth_issuer: Option<String>,
    /// The provider's public keys: a JSON Web Key Set, as a file or at an https URL
    #[arg(long, value_name = "FILE|URL", requires = "kafka_oauth_issuer")]
    pub kafka_oauth_jwks: Option<String>,
    /// For whom tokens are made: what they say as `aud`
    #[arg(long, value_name = "AUDIENCE", requires = "kafka_oauth_issuer")]
    pub kafka_oauth_audience: Option<String>,
    /// The claim of tokens that names the user
    #[arg(long, value_name = "CLAIM", default_value = "sub")]
    pub kafka_oauth_user_claim: String,
    /// The claim of tokens that names the project
    #[arg(long, value_name = "CLAIM", requires = "kafka_oauth_issuer")]
    pub kafka_oauth_project_claim: Option<String>,
    /// The project that all tokens open, in place of a claim
    #[arg(
        long,
        value_name = "PROJECT",
        requires = "kafka_oauth_issuer",
        conflicts_with = "kafka_oauth_project_claim"
    )]
    pub kafka_oauth_project: Option<String>,
    /// Keep spans
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = duration::parse)]
    pub keep_spans: duration::Seconds,
    /// Keep in the log, for readers, what the tables have already
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration::parse)]
    pub log_retention: duration::Seconds,
    /// The same by size: MiB of a project in the log from which its oldest may go
    #[arg(long, value_name = "MIB", default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    pub log_retention_mib: u64,
    /// The policy that seeds the first start; later it is compared with the one in force
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Write the bound addresses here, whole, once every listener accepts
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// Make a data dir whose clock tests may shift by the seconds in the file that CANDOR_CLOCK_FILE names
    #[arg(long)]
    pub test_clock: bool,

    // Accepted from the first release on, hidden until they are built.
    /// Syslog over UDP and TCP
    #[arg(long, value_name = "ADDR|off", default_value = "127.0.0.1:5514", hide = true)]
    pub syslog_listen: String,
    /// How mail leaves
    #[arg(long, value_name = "URL", hide = true, hide_env_values = true)]
    pub smtp: Option<String>,
}

/// `setup`.
#[derive(Debug, Clone, Args)]
pub struct SetupArgs {
    /// The account's e-mail address
    #[arg(long, value_name = "E")]
    pub email: String,
    /// A file whose first line is the password; `-` reads standard input
    #[arg(long, value_name = "F")]
    pub password_file: PathBuf,
    /// The organisation's name [default: default]
    #[arg(long, value_name = "NAME")]
    pub org: Option<String>,
}

/// `project …`.
#[derive(Debug, Clone, Subcommand)]
pub enum ProjectCommand {
    /// Make a project and print its DSN and ingest token, once
    Create {
        /// `name`, or `org/name`
        name: String,
    },
    /// The projects
    List,
    /// Delete a project and everything in it
    Delete {
        /// `name`, or `org/name`
        name: String,
    },
    /// The sources of logs in a project, each with the id that shippers may give in place of its name
    Sources {
        /// `name`, or `org/name`
        name: String,
    },
    /// New keys; the old ones work until the grace has passed
    RotateKeys {
        /// `name`, or `org/name`
        name: String,
        /// How long the old keys go on working
        #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration::parse)]
        grace: duration::Seconds,
    },
    /// What the keys may use; shows it where nothing is to be changed
    Limits(LimitsArgs),
}

/// Which keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Keys {
    /// Those of DSNs
    Dsn,
    /// Ingest tokens
    Ingest,
}

/// `project limits`.
#[derive(Debug, Clone, Args)]
pub struct LimitsArgs {
    /// `name`, or `org/name`
    pub name: String,
    /// Only keys of this kind
    #[arg(long, value_enum)]
    pub keys: Option<Keys>,
    /// Requests a second, on average
    #[arg(long, value_name = "N|off", value_parser = limit::requests)]
    pub requests_per_second: Option<limit::Limit>,
    /// Decompressed bytes a second, on average, as in 500KB
    #[arg(long, value_name = "BYTES|off", value_parser = limit::bytes)]
    pub bytes_per_second: Option<limit::Limit>,
    /// Decompressed bytes a day (UTC), as in 10GB
    #[arg(long, value_name = "BYTES|off", value_parser = limit::bytes)]
    pub bytes_per_day: Option<limit::Limit>,
}

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Columns aligned for people
    Table,
    /// One document, as the API answers
    Json,
    /// One object a line
    Ndjson,
    /// RFC 4180 with a header
    Csv,
}

/// `query`.
#[derive(Debug, Clone, Args)]
pub struct QueryArgs {
    /// `name`, or `org/name`
    #[arg(long, value_name = "NAME")]
    pub project: String,
    /// How rows are printed [default: table, json with --json]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Stop after so many rows [default: every row]
    #[arg(long, value_name = "N")]
    pub max_rows: Option<u64>,
    /// Published files as of this snapshot only
    #[arg(long, value_name = "N")]
    pub snapshot: Option<i64>,
    /// The query
    #[arg(value_name = "SQL")]
    pub sql: String,
}

/// `flush`.
#[derive(Debug, Clone, Args)]
pub struct FlushArgs {
    /// Only this project
    #[arg(long, value_name = "NAME")]
    pub project: Option<String>,
}

/// `tail`.
#[derive(Debug, Clone, Args)]
pub struct TailArgs {
    /// `name`, or `org/name`
    #[arg(long, value_name = "NAME")]
    pub project: String,
    /// What to look for: words, "phrases", key:value, level>=error, -not
    #[arg(value_name = "LQL", allow_hyphen_values = true)]
    pub search: Option<String>,
}

/// `lake …`.
#[derive(Debug, Clone, Subcommand)]
pub enum LakeCommand {
    /// A DuckLake catalog of one project and a read token for it
    Catalog {
        /// `name`, or `org/name`
        #[arg(long, value_name = "NAME")]
        project: String,
        /// Where to write the catalog
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// How long the token works
        #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration::parse)]
        ttl: duration::Seconds,
    },
}

/// `verify …`.
#[derive(Debug, Clone, Subcommand)]
pub enum VerifyCommand {
    /// Look through the ledger: what was changed, dropped, moved, cut or forked
    Ledger {
        /// A checkpoint that was kept outside, as GET /api/v1/ledger/checkpoint gave it
        #[arg(long, value_name = "FILE")]
        checkpoint: Option<PathBuf>,
        /// The key all other keys hang from [default: root.key in the data dir]
        #[arg(long, value_name = "FILE")]
        root_key: Option<PathBuf>,
        /// Where metadata lives, as given to serve
        #[arg(long, value_name = "URL", hide_env_values = true)]
        metadata: Option<String>,
    },
    /// Open every stored file with live keys
    Storage {
        /// Write each file decrypted and decompressed into this folder; Parquet and record batches as NDJSON too
        #[arg(long, value_name = "DIR")]
        decrypt_to: Option<PathBuf>,
        /// The key all other keys hang from [default: root.key in the data dir]
        #[arg(long, value_name = "FILE")]
        root_key: Option<PathBuf>,
        /// Where data lives, as given to serve
        #[arg(long, value_name = "URL")]
        objects: Option<String>,
        /// Where metadata lives, as given to serve
        #[arg(long, value_name = "URL", hide_env_values = true)]
        metadata: Option<String>,
    },
}

/// `backup …`.
#[derive(Debug, Clone, Subcommand)]
pub enum BackupCommand {
    /// Copy a consistent cut of the running server, or of a stopped data dir, into a new folder
    Create {
        /// The folder to make
        dir: PathBuf,
    },
    /// Make a data dir from a backup; the root key must be given, it is never in one
    Restore {
        /// The backup
        dir: PathBuf,
        /// The root key of the instance that was backed up
        #[arg(long, value_name = "FILE")]
        root_key: Option<PathBuf>,
    },
}

/// `demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// The project to fill; made if missing
    #[arg(long, value_name = "NAME", default_value = "demo")]
    pub project: String,
    /// How much back-dated time to fill
    #[arg(long, value_name = "DURATION", default_value = "4h", value_parser = duration::parse)]
    pub span: duration::Seconds,
    /// The sequence of random choices
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
}
