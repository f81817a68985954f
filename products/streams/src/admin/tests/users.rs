//! Rules, users and quotas over the wire, and telemetry.

use ::bytes::Bytes;
use kafka_protocol::messages::alter_user_scram_credentials_request::{
    ScramCredentialDeletion, ScramCredentialUpsertion,
};
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::describe_user_scram_credentials_request::UserName;
use kafka_protocol::messages::*;

use super::*;
use crate::testing::on_both_engines;

on_both_engines!(
    rules_are_made_told_and_removed,
    users_are_made_told_and_removed,
    quotas_are_kept,
    telemetry_is_not_wanted
);

async fn rules_are_made_told_and_removed(bed: Bed) {
    let house = house(&bed).await;
    let creation = |name: &'static str, operation: i8| {
        AclCreation::default()
            .with_resource_type(2)
            .with_resource_name(name.into())
            .with_resource_pattern_type(3)
            .with_principal("User:app".into())
            .with_host("*".into())
            .with_operation(operation)
            .with_permission_type(3)
    };
    let creations = vec![creation("a", 3), creation("a", 1), creation("a", 4), creation("b", 3)];
    let request = CreateAclsRequest::default().with_creations(creations);
    let refused = house.admin.create_acls(&house.app, request.clone(), 3).await;
    assert!(refused.results.iter().all(|one| one.error_code == 31));
    let made = house.admin.create_acls(&house.owner, request, 3).await;
    assert_eq!(made.results.iter().map(|one| one.error_code).collect::<Vec<_>>(), [0, 42, 0, 0]);
    versions::<CreateAclsResponse>().for_each(|version| fits(&made, version));
    assert!(house.admin.acls().allowed(&house.app, Operation::Read, Resource::topic("a")));

    let any = DescribeAclsRequest::default()
        .with_resource_type_filter(1)
        .with_resource_name_filter(None)
        .with_pattern_type_filter(1)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(1)
        .with_permission_type(1);
    let told = house.admin.describe_acls(&house.owner, any.clone(), 3).await;
    versions::<DescribeAclsResponse>().for_each(|version| fits(&told, version));
    let told: Vec<(&str, usize)> =
        told.resources.iter().map(|one| (&*one.resource_name, one.acls.len())).collect();
    assert_eq!(told, [("a", 2), ("b", 1)]);
    assert_eq!(house.admin.describe_acls(&house.app, any.clone(), 3).await.error_code, 31);
    for wrong in [any.clone().with_operation(0), any.with_pattern_type_filter(9)] {
        assert_eq!(house.admin.describe_acls(&house.owner, wrong, 3).await.error_code, 42);
    }
    let filter = DeleteAclsFilter::default()
        .with_resource_type_filter(2)
        .with_resource_name_filter(Some("a".into()))
        .with_pattern_type_filter(3)
        .with_principal_filter(None)
        .with_host_filter(None)
        .with_operation(1)
        .with_permission_type(1);
    let wrong = filter.clone().with_permission_type(0);
    let request = DeleteAclsRequest::default().with_filters(vec![wrong, filter]);
    let refused = house.admin.delete_acls(&house.app, request.clone(), 3).await;
    assert!(refused.filter_results.iter().all(|one| one.error_code == 31));
    let gone = house.admin.delete_acls(&house.owner, request, 3).await;
    versions::<DeleteAclsResponse>().for_each(|version| fits(&gone, version));
    let gone: Vec<(i16, usize)> =
        gone.filter_results.iter().map(|one| (one.error_code, one.matching_acls.len())).collect();
    assert_eq!(gone, [(42, 0), (0, 2)]);
    assert!(!house.admin.acls().allowed(&house.app, Operation::Read, Resource::topic("a")));
}

async fn users_are_made_told_and_removed(bed: Bed) {
    let house = house(&bed).await;
    let put = |name: &'static str, mechanism: i8, iterations: i32| {
        ScramCredentialUpsertion::default()
            .with_name(name.into())
            .with_mechanism(mechanism)
            .with_iterations(iterations)
            .with_salt(Bytes::from_static(b"salt"))
            .with_salted_password(Bytes::from(vec![7; if mechanism == 1 { 32 } else { 64 }]))
    };
    let alter = async |caller: &Caller, gone: Vec<(&'static str, i8)>, put: Vec<ScramCredentialUpsertion>| {
        let gone = gone.into_iter().map(|(name, mechanism)| {
            ScramCredentialDeletion::default().with_name(name.into()).with_mechanism(mechanism)
        });
        let request =
            AlterUserScramCredentialsRequest::default().with_deletions(gone.collect()).with_upsertions(put);
        let response = house.admin.alter_user_scram_credentials(caller, request, 0).await;
        fits(&response, 0);
        response.results.iter().map(|one| (one.user.to_string(), one.error_code)).collect::<Vec<_>>()
    };
    let one = |name: &str, code: i16| vec![(name.to_owned(), code)];
    assert_eq!(alter(&house.app, vec![], vec![put("app", 1, 4096)]).await, one("app", 31));
    assert_eq!(
        alter(&house.owner, vec![], vec![put("app", 1, 4096), put("app", 2, 9000)]).await,
        one("app", 0)
    );
    assert_eq!(
        alter(&house.owner, vec![], vec![put("app", 1, 4096), put("app", 1, 9000)]).await,
        one("app", 92)
    );
    assert_eq!(alter(&house.owner, vec![("app", 1)], vec![put("app", 1, 9000)]).await, one("app", 92));
    assert_eq!(alter(&house.owner, vec![], vec![put("app", 3, 4096)]).await, one("app", 33));
    assert_eq!(alter(&house.owner, vec![], vec![put("app", 1, 4095)]).await, one("app", 93));
    assert_eq!(alter(&house.owner, vec![], vec![put("app", 1, -1)]).await, one("app", 93));
    assert_eq!(alter(&house.owner, vec![], vec![put("app", 1, 16_385)]).await, one("app", 93));
    assert_eq!(alter(&house.owner, vec![], vec![put("", 1, 4096)]).await, one("", 93));
    assert_eq!(alter(&house.owner, vec![("no", 1)], vec![]).await, one("no", 91));

    let describe = async |caller: &Caller, names: Option<Vec<&'static str>>| {
        let users = names
            .map(|names| names.into_iter().map(|name| UserName::default().with_name(name.into())).collect());
        let request = DescribeUserScramCredentialsRequest::default().with_users(users);
        let response = house.admin.describe_user_scram_credentials(caller, request, 0).await;
        fits(&response, 0);
        response
    };
    assert_eq!(describe(&house.app, None).await.error_code, 31);
    let all = describe(&house.owner, None).await;
    let told: Vec<(&str, Vec<i32>)> = all
        .results
        .iter()
        .map(|user| (&*user.user, user.credential_infos.iter().map(|info| info.iterations).collect()))
        .collect();
    assert_eq!(told, [("app", vec![4096, 9000]), ("shop", vec![4096, 4096])]);
    let some = describe(&house.owner, Some(vec!["no", "app", "shop", "shop"])).await;
    let told: Vec<(&str, i16)> = some.results.iter().map(|user| (&*user.user, user.error_code)).collect();
    assert_eq!(told, [("app", 0), ("no", 91), ("shop", 92)]);
    assert_eq!(alter(&house.owner, vec![("app", 1), ("app", 2)], vec![]).await, one("app", 0));
    assert_eq!(describe(&house.owner, Some(vec!["app"])).await.results[0].error_code, 91);
}

async fn quotas_are_kept(bed: Bed) {
    use alter_client_quotas_request::{EntityData, EntryData, OpData};
    let house = house(&bed).await;
    let entry = |entity: &[(&'static str, Option<&'static str>)], key: &'static str, value: Option<f64>| {
        let entity = entity.iter().map(|(kind, name)| {
            EntityData::default().with_entity_type((*kind).into()).with_entity_name(name.map(Into::into))
        });
        let op = OpData::default().with_key(key.into()).with_value(value.unwrap_or(0.0));
        EntryData::default().with_entity(entity.collect()).with_ops(vec![op.with_remove(value.is_none())])
    };
    let alter = async |house: &House, caller: &Caller, entries: Vec<EntryData>, dry: bool| {
        let request = AlterClientQuotasRequest::default().with_entries(entries).with_validate_only(dry);
        let response = house.admin.alter_client_quotas(caller, request, 1).await;
        versions::<AlterClientQuotasResponse>().for_each(|version| fits(&response, version));
        response.entries.iter().map(|one| one.error_code).collect::<Vec<_>>()
    };
    let rate = "producer_byte_rate";
    let good = || {
        vec![
            entry(&[("user", Some("a"))], rate, Some(1000.5)),
            entry(&[("user", None)], rate, Some(2000.0)),
            entry(&[("user", Some("a")), ("client-id", Some("c"))], "consumer_byte_rate", Some(5.0)),
            entry(&[("ip", Some("10.0.0.1"))], "connection_creation_rate", Some(5.0)),
        ]
    };
    assert_eq!(alter(&house, &house.app, good(), false).await, [31; 4]);
    assert_eq!(alter(&house, &house.owner, good(), true).await, [0; 4]);
    let wrong = vec![
        entry(&[], rate, Some(1.0)),
        entry(&[("group", Some("a"))], rate, Some(1.0)),
        entry(&[("user", Some("a")), ("user", Some("b"))], rate, Some(1.0)),
        entry(&[("user", Some("a")), ("ip", None)], rate, Some(1.0)),
        entry(&[("ip", Some("nowhere"))], "connection_creation_rate", Some(1.0)),
        entry(&[("ip", None)], rate, Some(1.0)),
        entry(&[("user", Some("a"))], "no_such_rate", Some(1.0)),
        entry(&[("user", Some("a"))], rate, Some(0.0)),
        entry(&[("user", Some("a"))], rate, Some(f64::NAN)),
        entry(&[("user", Some(""))], rate, Some(1.0)),
    ];
    let count = wrong.len();
    assert_eq!(alter(&house, &house.owner, wrong, false).await, vec![42; count]);

    let component = |kind: &'static str, match_type: i8, name: Option<&'static str>| {
        let component = ComponentData::default().with_entity_type(kind.into()).with_match_type(match_type);
        component.with_match(name.map(Into::into))
    };
    let describe = async |house: &House, components: Vec<ComponentData>, strict: bool| {
        let request = DescribeClientQuotasRequest::default().with_components(components).with_strict(strict);
        let response = house.admin.describe_client_quotas(&house.owner, request, 1).await;
        versions::<DescribeClientQuotasResponse>().for_each(|version| fits(&response, version));
        match response.error_code {
            0 => Ok(response.entries.unwrap().len()),
            code => Err(code),
        }
    };
    assert_eq!(describe(&house, vec![], false).await, Ok(0), "a dry run keeps nothing");
    assert_eq!(alter(&house, &house.owner, good(), false).await, [0; 4]);
    let house = super::house(&bed).await;
    assert_eq!(describe(&house, vec![], false).await, Ok(4));
    assert_eq!(describe(&house, vec![component("user", 0, Some("a"))], false).await, Ok(2));
    assert_eq!(describe(&house, vec![component("user", 0, Some("a"))], true).await, Ok(1));
    assert_eq!(describe(&house, vec![component("user", 1, None)], false).await, Ok(1));
    assert_eq!(describe(&house, vec![component("user", 2, None)], false).await, Ok(3));
    assert_eq!(
        describe(&house, vec![component("ip", 2, None), component("user", 2, None)], false).await,
        Ok(0)
    );
    assert_eq!(describe(&house, vec![component("user", 0, None)], false).await, Err(42));
    assert_eq!(describe(&house, vec![component("moon", 2, None)], false).await, Err(42));
    let twice = vec![component("user", 2, None), component("user", 1, None)];
    assert_eq!(describe(&house, twice, false).await, Err(42));
    let remove = vec![entry(&[("user", Some("a"))], rate, None)];
    assert_eq!(alter(&house, &house.owner, remove, false).await, [0]);
    assert_eq!(describe(&house, vec![component("user", 0, Some("a"))], false).await, Ok(1));
    let left = house.admin.quotas.list(SHOP);
    assert!(left.iter().any(|(_, values)| values.get("consumer_byte_rate") == Some(&5.0)), "{left:?}");
}

async fn telemetry_is_not_wanted(bed: Bed) {
    let house = house(&bed).await;
    let asked = GetTelemetrySubscriptionsRequest::default();
    let told = house.admin.get_telemetry_subscriptions(&house.owner, asked.clone(), 0).await;
    fits(&told, 0);
    assert!(!told.client_instance_id.is_nil() && told.requested_metrics.is_empty());
    let again = asked.with_client_instance_id(told.client_instance_id);
    let again = house.admin.get_telemetry_subscriptions(&house.owner, again, 0).await;
    assert_eq!(again.client_instance_id, told.client_instance_id);
    let push = PushTelemetryRequest::default()
        .with_client_instance_id(told.client_instance_id)
        .with_subscription_id(told.subscription_id)
        .with_metrics(Bytes::from_static(b"metrics"));
    for (push, code) in [
        (push.clone(), 0),
        (push.clone().with_subscription_id(77), 117),
        (push.with_client_instance_id(uuid::Uuid::nil()), 42),
    ] {
        let response = house.admin.push_telemetry(&house.owner, push, 0).await;
        fits(&response, 0);
        assert_eq!(response.error_code, code);
    }
}
