//! The ledger as queries read it: the table `ledger` of a project.

use candor_ledger::{Entry, Ledger};
use candor_meta::ReadScope;
use candor_model::Timestamp;
use candor_query::{LedgerRow, LedgerRows, SourceError};
use futures::FutureExt;
use futures::future::BoxFuture;

/// The entries of the ledger, for queries.
pub struct LedgerTable(pub Ledger);

impl LedgerRows for LedgerTable {
    fn end<'a>(&'a self, scope: &'a ReadScope) -> BoxFuture<'a, Result<u64, SourceError>> {
        async {
            self.0.settle(Some(scope.project())).await?;
            let newest = self.0.entries(scope.project(), None, 1).await?;
            Ok(newest.first().map_or(0, |entry| entry.leaf.index.saturating_add(1)))
        }
        .boxed()
    }

    fn below<'a>(
        &'a self,
        scope: &'a ReadScope,
        below: u64,
        count: u32,
    ) -> BoxFuture<'a, Result<Vec<LedgerRow>, SourceError>> {
        async move {
            let entries = self.0.entries(scope.project(), Some(below), count).await?;
            Ok(entries.into_iter().map(row).collect())
        }
        .boxed()
    }
}

fn row(entry: Entry) -> LedgerRow {
    let leaf = entry.leaf;
    LedgerRow {
        timestamp: Timestamp(leaf.time),
        index: leaf.index,
        actor: leaf.actor,
        action: leaf.action.name(),
        purpose: leaf.purpose,
        signal: leaf.signal,
        rows: leaf.rows,
        subject_count: leaf.subjects,
        clause: leaf.clause,
    }
}
