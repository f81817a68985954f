//! DescribeUserScramCredentials and AlterUserScramCredentials (KIP-554).

use std::collections::{BTreeMap, BTreeSet};

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_user_scram_credentials_response::AlterUserScramCredentialsResult;
use kafka_protocol::messages::describe_user_scram_credentials_response::{
    CredentialInfo, DescribeUserScramCredentialsResult,
};
use kafka_protocol::messages::{
    AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse, DescribeUserScramCredentialsRequest,
    DescribeUserScramCredentialsResponse,
};

use super::acl::{Operation, Resource};
use super::{Admin, Refusal, bytes, text, twice};
use crate::auth::CredentialError;
use crate::auth::credentials::{ScramChange, User};
use crate::auth::mechanism::Hash;
use crate::caller::Caller;

impl From<CredentialError> for Refusal {
    fn from(error: CredentialError) -> Refusal {
        let code = match &error {
            CredentialError::Sql(error) => return Refusal::of_sql(error),
            CredentialError::Unknown => ResponseError::ResourceNotFound,
            CredentialError::TooMany => ResponseError::PolicyViolation,
            CredentialError::Busy => ResponseError::RequestTimedOut,
            CredentialError::BadName
            | CredentialError::Taken
            | CredentialError::Iterations
            | CredentialError::Salted => ResponseError::UnacceptableCredential,
        };
        Refusal::new(code, error.to_string())
    }
}

impl Admin {
    /// DescribeUserScramCredentials (50), version 0: users, mechanisms, iterations; never salts or keys.
    pub async fn describe_user_scram_credentials(
        &self,
        caller: &Caller,
        request: DescribeUserScramCredentialsRequest,
        _version: i16,
    ) -> DescribeUserScramCredentialsResponse {
        let response = DescribeUserScramCredentialsResponse::default();
        if let Err(refusal) = self.check(caller, Operation::Describe, Resource::cluster()) {
            return response.with_error_code(refusal.code()).with_error_message(refusal.message());
        }
        let told = |name: &str, user: &User| {
            let infos = user.mechanisms().map(|(hash, iterations)| {
                CredentialInfo::default()
                    .with_mechanism(hash.wire())
                    .with_iterations(iterations.cast_signed())
            });
            DescribeUserScramCredentialsResult::default()
                .with_user(bytes(name))
                .with_error_message(None)
                .with_credential_infos(infos.collect())
        };
        let asked: Vec<String> =
            request.users.unwrap_or_default().iter().map(|user| text(&user.name)).collect();
        let results = if asked.is_empty() {
            self.credentials.list(caller.project).iter().map(|(name, user)| told(name, user)).collect()
        } else {
            let twice = twice(asked.iter().cloned());
            let mut results = Vec::new();
            for name in asked.into_iter().collect::<BTreeSet<String>>() {
                let refused = |error: ResponseError, message: &'static str| {
                    DescribeUserScramCredentialsResult::default()
                        .with_user(bytes(&name))
                        .with_error_code(error.code())
                        .with_error_message(Some(message.into()))
                };
                results.push(if twice.contains(&name) {
                    refused(ResponseError::DuplicateResource, "the user stands in the request more than once")
                } else {
                    match self.credentials.get(caller.project, &name) {
                        Some(user) => told(&name, &user),
                        None => refused(ResponseError::ResourceNotFound, "the project has no such user"),
                    }
                });
            }
            results
        };
        response.with_error_message(None).with_results(results)
    }

    /// AlterUserScramCredentials (51), version 0. A user that is made so may do what rules allow it.
    pub async fn alter_user_scram_credentials(
        &self,
        caller: &Caller,
        request: AlterUserScramCredentialsRequest,
        _version: i16,
    ) -> AlterUserScramCredentialsResponse {
        let may = self.check(caller, Operation::Alter, Resource::cluster());
        let mut changes: BTreeMap<String, Result<Vec<ScramChange>, Refusal>> = BTreeMap::new();
        let mut add = |user: String, mechanism: i8, change: &dyn Fn(Hash) -> ScramChange| {
            let of_user = changes.entry(user).or_insert_with(|| Ok(Vec::new()));
            let Ok(list) = of_user else { return };
            match Hash::from_wire(mechanism) {
                None => {
                    let message = format!("there is no mechanism {mechanism}");
                    *of_user = Err(Refusal::new(ResponseError::UnsupportedSaslMechanism, message));
                }
                Some(hash) if list.iter().any(|other| hash_of(other) == hash) => {
                    let message = "the user and mechanism stand in the request more than once";
                    *of_user = Err(Refusal::new(ResponseError::DuplicateResource, message));
                }
                Some(hash) => list.push(change(hash)),
            }
        };
        for gone in &request.deletions {
            add(text(&gone.name), gone.mechanism, &ScramChange::Remove);
        }
        for put in &request.upsertions {
            add(text(&put.name), put.mechanism, &|hash| ScramChange::Put {
                hash,
                // What is negative is refused as too few.
                iterations: u32::try_from(put.iterations).unwrap_or(0),
                salt: put.salt.to_vec(),
                salted: put.salted_password.to_vec(),
            });
        }
        let mut results = Vec::with_capacity(changes.len());
        for (user, changes) in changes {
            let done = match may.clone().and(changes) {
                Ok(changes) => {
                    let done = self.credentials.change_scram(caller.project, &user, changes).await;
                    done.map_err(Refusal::from)
                }
                Err(refusal) => Err(refusal),
            };
            let result = AlterUserScramCredentialsResult::default().with_user(bytes(&user));
            results.push(match done {
                Ok(()) => result.with_error_message(None),
                Err(refusal) => result.with_error_code(refusal.code()).with_error_message(refusal.message()),
            });
        }
        AlterUserScramCredentialsResponse::default().with_results(results)
    }
}

fn hash_of(change: &ScramChange) -> Hash {
    match change {
        ScramChange::Put { hash, .. } | ScramChange::Remove(hash) => *hash,
    }
}
