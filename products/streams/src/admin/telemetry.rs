//! Telemetry of clients (KIP-714). Clients push metrics of theirs to whoever subscribes; nobody does here, so they are
//! told that nothing is wanted, and what comes nonetheless is dropped unread.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    GetTelemetrySubscriptionsRequest, GetTelemetrySubscriptionsResponse, PushTelemetryRequest,
    PushTelemetryResponse,
};
use uuid::Uuid;

use super::Admin;
use crate::caller::Caller;

/// The id of the subscription to nothing.
const SUBSCRIPTION: i32 = 1;

/// When clients ask again, milliseconds: Kafka's default.
const ASK_AGAIN_MS: i32 = 300_000;

/// The longest push, bytes: Kafka's default. None is wanted, but a client may refuse a smaller number.
const PUSH_BYTES_MAX: i32 = 1 << 20;

impl Admin {
    /// GetTelemetrySubscriptions (71), version 0: nothing is subscribed to.
    pub async fn get_telemetry_subscriptions(
        &self,
        _caller: &Caller,
        request: GetTelemetrySubscriptionsRequest,
        _version: i16,
    ) -> GetTelemetrySubscriptionsResponse {
        // A client that has no id yet is given one.
        let mut id = request.client_instance_id;
        if id.is_nil() {
            let mut bytes = [0; 16];
            self.random.fill(&mut bytes);
            id = uuid::Builder::from_random_bytes(bytes).into_uuid();
        }
        GetTelemetrySubscriptionsResponse::default()
            .with_client_instance_id(id)
            .with_subscription_id(SUBSCRIPTION)
            .with_push_interval_ms(ASK_AGAIN_MS)
            .with_telemetry_max_bytes(PUSH_BYTES_MAX)
            .with_delta_temporality(true)
    }

    /// PushTelemetry (72), version 0: what comes is dropped.
    pub async fn push_telemetry(
        &self,
        _caller: &Caller,
        request: PushTelemetryRequest,
        _version: i16,
    ) -> PushTelemetryResponse {
        let error = match request.client_instance_id {
            id if id == Uuid::nil() => Some(ResponseError::InvalidRequest),
            _ if request.subscription_id != SUBSCRIPTION => Some(ResponseError::UnknownSubscriptionId),
            _ => None,
        };
        PushTelemetryResponse::default().with_error_code(error.map_or(0, |error| error.code()))
    }
}
