//! Tables as the engine sees them: a catalog of one project, scans over files and tail, and the readers of files.

pub(crate) mod cache;
pub(crate) mod catalog;
pub(crate) mod chain;
pub(crate) mod ledger;
pub(crate) mod newest;
pub(crate) mod promoted;
pub(crate) mod prune;
pub(crate) mod reader;
pub(crate) mod scan;
