//! Version 3: a cluster and what belongs to it, as resources.

mod acls;
mod clusters;
mod configs;
mod groups;
mod lags;
mod members;
mod partitions;
mod produce;
mod records;
pub(in crate::rest) mod topics;

use axum::Router;
use axum::routing::{get, post};

use super::RestState;

/// Every path of it, below [`super::PREFIX`].
pub(super) fn routes() -> Router<RestState> {
    const CLUSTER: &str = "/v3/clusters/{cluster}";
    let at = |path: &str| format!("{CLUSTER}{path}");
    let group = |path: &str| format!("{CLUSTER}/consumer-groups/{{group}}{path}");
    let topic = |path: &str| format!("{CLUSTER}/topics/{{topic}}{path}");
    let partition = |path: &str| format!("{CLUSTER}/topics/{{topic}}/partitions/{{partition}}{path}");
    let broker = |path: &str| format!("{CLUSTER}/brokers/{{broker}}{path}");
    Router::new()
        .route("/v3/clusters", get(clusters::list))
        .route(CLUSTER, get(clusters::one))
        .route(&at("/brokers"), get(clusters::brokers))
        .route(&broker(""), get(clusters::broker))
        .route(&broker("/partition-replicas"), get(partitions::of_broker))
        .route(&at("/brokers/-/configs"), get(configs::of_all_brokers))
        .route(&broker("/configs"), get(configs::of_broker))
        .route(&broker("/configs:alter"), post(configs::alter_broker))
        .route(
            &broker("/configs/{name}"),
            get(configs::one_of_broker).put(configs::set_of_broker).delete(configs::reset_of_broker),
        )
        .route(&at("/broker-configs"), get(configs::of_cluster))
        .route(&at("/broker-configs:alter"), post(configs::alter_cluster))
        .route(
            &at("/broker-configs/{name}"),
            get(configs::one_of_cluster).put(configs::set_of_cluster).delete(configs::reset_of_cluster),
        )
        .route(&at("/topics"), get(topics::list).post(topics::create))
        .route(&topic(""), get(topics::one).patch(topics::grow).delete(topics::remove))
        .route(&at("/topics/-/configs"), get(configs::of_all_topics))
        .route(&topic("/configs"), get(configs::of_topic))
        .route(&topic("/configs:alter"), post(configs::alter_topic))
        .route(
            &topic("/configs/{name}"),
            get(configs::one_of_topic).put(configs::set_of_topic).delete(configs::reset_of_topic),
        )
        .route(&at("/topics/-/partitions/-/reassignment"), get(partitions::reassignments))
        .route(&topic("/partitions"), get(partitions::list))
        .route(&topic("/partitions/-/reassignment"), get(partitions::reassignments_of_topic))
        .route(&partition(""), get(partitions::one))
        .route(&partition("/offset"), get(partitions::offsets))
        .route(&partition("/reassignment"), get(partitions::reassignment))
        .route(&partition("/replicas"), get(partitions::replicas))
        .route(&partition("/replicas/{broker}"), get(partitions::replica))
        .route(&partition("/records"), get(records::read))
        .route(&topic("/records"), post(produce::stream))
        .route(&topic("/records:batch"), post(produce::batch))
        .route(&at("/acls"), get(acls::list).post(acls::create).delete(acls::remove))
        .route(&at("/acls:batch"), post(acls::create_all))
        .route(&at("/consumer-groups"), get(groups::list))
        .route(&group(""), get(groups::one))
        .route(&group("/consumers"), get(members::list))
        .route(&group("/consumers/{consumer}"), get(members::one))
        .route(&group("/consumers/{consumer}/assignments"), get(members::assignments))
        .route(
            &group("/consumers/{consumer}/assignments/{topic}/partitions/{partition}"),
            get(members::assignment),
        )
        .route(&group("/lags"), get(lags::list))
        .route(&group("/lags/{topic}/partitions/{partition}"), get(lags::one))
        .route(&group("/lag-summary"), get(lags::summary))
}
