//! The one broker, as clients see it.

use std::sync::Arc;

use candor_meta::{Database, Migration, SqlError, params};
use candor_model::Random;
use kafka_protocol::protocol::StrBytes;

use crate::admin::Broker;
use crate::groups::Coordinator;

/// The broker's number. There is one, for one process serves.
pub const NODE_ID: i32 = 1;

const MIGRATIONS: &[Migration] = &[Migration {
    owner: "candor-streams-node",
    version: 1,
    sql: "CREATE TABLE stream_cluster (only_row BIGINT PRIMARY KEY, id TEXT NOT NULL)",
}];

/// How clients reach the broker.
#[derive(Debug, Clone)]
pub struct Advertised {
    /// The host.
    pub host: Arc<str>,
    /// The port.
    pub port: u16,
}

/// The broker.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub advertised: Advertised,
    /// The cluster's id: a UUID in base64, as Kafka makes them; the same for ever.
    pub cluster_id: Arc<str>,
}

impl Node {
    pub async fn open(
        database: &Database,
        random: &dyn Random,
        advertised: Advertised,
    ) -> Result<Node, SqlError> {
        database.migrate(MIGRATIONS).await?;
        let mut id = [0; 16];
        random.fill(&mut id);
        let fresh = data_encoding::BASE64URL_NOPAD.encode(&id);
        let keep =
            "INSERT INTO stream_cluster (only_row, id) VALUES (1, ?) ON CONFLICT (only_row) DO NOTHING";
        database.execute(keep, params![fresh.as_str()]).await?;
        let rows = database.query("SELECT id FROM stream_cluster", &[]).await?;
        let kept = rows.first().map(|row| row.text(0).map(Arc::from)).transpose()?;
        Ok(Node { advertised, cluster_id: kept.unwrap_or_else(|| Arc::from(fresh)) })
    }

    /// Itself, as clients are told of it.
    pub fn broker(&self) -> Broker {
        Broker {
            node_id: NODE_ID,
            host: self.advertised.host.to_string(),
            port: self.advertised.port,
            cluster_id: self.cluster_id.to_string(),
        }
    }

    /// Itself, as who coordinates groups.
    pub fn coordinator(&self) -> Coordinator {
        let host = StrBytes::from_string(self.advertised.host.to_string());
        Coordinator { node_id: NODE_ID, host, port: i32::from(self.advertised.port) }
    }
}
