//! What a caller sees of persons in a project: the reader's role, looked up at each read, by the policy that holds.

use std::sync::Arc;

use candor_meta::ReadScope;
use candor_meta::tenancy::Project;
use candor_model::ProjectId;
use candor_notices::Held;
use candor_people::Sees;

use crate::app::App;
use crate::http::problem::Answer;
use crate::http::{Caller, Problem};

/// The clause of a policy that says who sees what.
pub const ROLES_CLAUSE: &str = "governance.reads.roles";

/// The policy that holds in a project.
pub fn policy_of(app: &App, project: ProjectId) -> Answer<Arc<Held>> {
    app.policies.of(project).ok_or_else(|| Problem::unavailable("no policy holds there", 1))
}

/// What a caller sees in a project. The local admin key sees codes.
pub async fn sees(app: &App, caller: &Caller, scope: &ReadScope) -> Answer<Sees> {
    let Some(user) = caller.user() else { return Ok(Sees::Codes) };
    let role = app.people.read_role(user.id, scope.org()).await?;
    let held = policy_of(app, scope.project())?;
    let roles = &held.resolved.policy.governance.reads.roles;
    Ok(role.sees(roles.iter().map(|(name, word)| (name.as_str(), word.as_str()))))
}

/// Refuses whoever may not read rows.
pub async fn must_read(app: &App, caller: &Caller, scope: &ReadScope) -> Answer<()> {
    if sees(app, caller, scope).await?.rows() {
        return Ok(());
    }
    let detail = "an operator runs the instance and reads no rows: an owner gives the role viewer";
    Err(Problem::forbidden(detail).clause(ROLES_CLAUSE))
}

/// The project of a path and the right to read its rows.
pub async fn rows_of(app: &App, caller: &Caller, path: &str) -> Answer<(Project, ReadScope)> {
    let (project, scope) = caller.read(app, path).await?;
    must_read(app, caller, &scope).await?;
    Ok((project, scope))
}
