//! DescribeCluster.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::describe_cluster_response::DescribeClusterBroker;
use kafka_protocol::messages::{BrokerId, DescribeClusterRequest, DescribeClusterResponse};

use super::acl::Resource;
use super::{Admin, Broker, bytes};
use crate::caller::Caller;

/// The endpoints of brokers, as KIP-919 numbers them. Controllers have none of their own here.
const BROKERS: i8 = 1;

impl Admin {
    /// DescribeCluster (60), versions 0 to 2.
    pub async fn describe_cluster(
        &self,
        caller: &Caller,
        broker: &Broker,
        request: DescribeClusterRequest,
        version: i16,
    ) -> DescribeClusterResponse {
        let response = DescribeClusterResponse::default().with_error_message(None);
        if version >= 1 && request.endpoint_type != BROKERS {
            let message = "this is an endpoint of brokers; there is none of controllers";
            return response
                .with_error_code(ResponseError::MismatchedEndpointType.code())
                .with_error_message(Some(message.into()));
        }
        let own = DescribeClusterBroker::default()
            .with_broker_id(BrokerId(broker.node_id))
            .with_host(bytes(&broker.host))
            .with_port(i32::from(broker.port))
            .with_rack(None);
        let response = response
            .with_cluster_id(bytes(&broker.cluster_id))
            .with_controller_id(BrokerId(broker.node_id))
            .with_brokers(vec![own]);
        if request.include_cluster_authorized_operations {
            return response
                .with_cluster_authorized_operations(self.acls.operations(caller, Resource::cluster()));
        }
        response
    }
}
