//! How schemas may change (`/config`), and whether they may (`/mode`).

use candor_schemas::Level;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::{Book, Context, Mode, RegistryError, Scope, Settings, Subject, check_empty};
use super::Call;
use super::answer::{Answer, Refusal, ok};
use crate::admin::acl::{Operation, Resource};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(alias = "compatibilityLevel")]
    compatibility: Option<String>,
    normalize: Option<bool>,
    alias: Option<String>,
}

#[derive(Deserialize)]
struct ModeBody {
    mode: Option<String>,
}

/// What settings say of change, under the name of their level.
fn shown(settings: &Settings, level_name: &str) -> Value {
    let mut out = Map::new();
    if let Some(level) = settings.level() {
        out.insert(level_name.to_owned(), json!(level.name()));
    }
    if let Some(normalize) = settings.normalize {
        out.insert("normalize".to_owned(), json!(normalize));
    }
    if let Some(alias) = &settings.alias {
        out.insert("alias".to_owned(), json!(alias));
    }
    Value::Object(out)
}

fn has_config(settings: &Settings) -> bool {
    settings.level().is_some() || settings.normalize.is_some() || settings.alias.is_some()
}

/// What a path means.
pub(super) struct Named {
    scope: Scope,
    /// The context that is meant, or that the subject is in.
    pub context: Context,
    pub subject: Option<Subject>,
}

impl Named {
    /// A subject, a context (`:.name:`), or with nothing the whole or the path's context.
    pub(super) fn parse(named: Option<&str>, context: &Context) -> Result<Named, RegistryError> {
        let of_context = |context: Context| Named { scope: Scope::context(&context), context, subject: None };
        match named.map(|name| (name, super::super::names::split(name))) {
            None => Ok(of_context(context.clone())),
            Some((_, Some((context, "")))) => Ok(of_context(context)),
            Some((name, _)) => {
                let subject = Subject::parse(name, context)?;
                let (scope, context) = (Scope::subject(&subject), subject.context().clone());
                Ok(Named { scope, context, subject: Some(subject) })
            }
        }
    }
}

impl Call<'_> {
    fn scope(&self, named: Option<&str>) -> Result<Named, RegistryError> {
        Named::parse(named, &self.context)
    }

    fn must_set(&self, subject: Option<&Subject>) -> Result<(), Refusal> {
        match subject {
            Some(subject) => self.must_on(subject, Operation::AlterConfigs),
            None => self.must(Operation::AlterConfigs, Resource::cluster()),
        }
    }

    /// `GET /config[/{subject}]`
    pub(super) fn config(&self, named: Option<&str>) -> Answer {
        let Named { scope, subject, .. } = self.scope(named)?;
        let book = self.book();
        let own = book.settings(&scope).filter(|settings| has_config(settings));
        if let (None, Some(subject), false) = (own, &subject, self.is("defaultToGlobal")) {
            let message =
                format!("Subject '{}' does not have subject-level compatibility configured", subject.full());
            return Err(RegistryError::new(40408, message).into());
        }
        let mut effective = own.cloned().unwrap_or_default();
        if effective.level().is_none() {
            effective.compatibility = Some(book.level(&scope).name().to_owned());
        }
        ok(&shown(&effective, "compatibilityLevel"))
    }

    /// `PUT /config[/{subject}]`
    pub(super) async fn set_config(&self, named: Option<&str>) -> Answer {
        let Named { scope, subject, .. } = self.scope(named)?;
        self.must_set(subject.as_ref())?;
        let body: Config = self.read()?;
        if body.compatibility.as_deref().is_some_and(|name| Level::from_name(name).is_none()) {
            let names: Vec<String> = Level::ALL.iter().map(|level| level.name().to_lowercase()).collect();
            let message = format!("Invalid compatibility level. Valid values are {}", names.join(", "));
            return Err(RegistryError::new(42203, message).into());
        }
        // It is kept: no longer than a name may be.
        if let Some(alias) = body.alias.as_deref().filter(|alias| !alias.is_empty()) {
            Subject::parse(alias, &self.context)?.check_new()?;
        }
        let level = body.compatibility.as_deref().and_then(Level::from_name);
        let given = Settings {
            compatibility: level.map(|level| level.name().to_owned()),
            normalize: body.normalize,
            alias: body.alias,
            mode: None,
        };
        let wanted = given.clone();
        let change = move |_: &Book, settings: &mut Settings| {
            let wanted = wanted.clone();
            settings.compatibility = wanted.compatibility.or(settings.compatibility.take());
            settings.normalize = wanted.normalize.or(settings.normalize);
            // An empty one takes it away.
            settings.alias = wanted.alias.or(settings.alias.take()).filter(|alias| !alias.is_empty());
            Ok(())
        };
        self.parts.registry.set(self.caller.project, scope, change).await?;
        ok(&shown(&given, "compatibility"))
    }

    /// `DELETE /config[/{subject}]`
    pub(super) async fn unset_config(&self, named: Option<&str>) -> Answer {
        let Named { scope, subject, .. } = self.scope(named)?;
        self.must_set(subject.as_ref())?;
        let is_subject = subject.is_some();
        let change = move |_: &Book, settings: &mut Settings| {
            if is_subject && !has_config(settings) {
                return Err(RegistryError::new(
                    40401,
                    format!("Subject '{}' not found.", subject.as_ref().map_or("", Subject::full)),
                ));
            }
            *settings = Settings { mode: settings.mode, ..Settings::default() };
            Ok(())
        };
        let before = self.parts.registry.set(self.caller.project, scope, change).await?;
        let mut before = before;
        if !has_config(&before) {
            before.compatibility = Some(Level::Backward.name().to_owned());
        }
        ok(&shown(&before, "compatibilityLevel"))
    }

    /// `GET /mode[/{subject}]`
    pub(super) fn mode(&self, named: Option<&str>) -> Answer {
        let Named { scope, subject, .. } = self.scope(named)?;
        let book = self.book();
        let own = book.settings(&scope).and_then(|settings| settings.mode);
        if let (None, Some(subject), false) = (own, &subject, self.is("defaultToGlobal")) {
            let message = format!("Subject '{}' does not have subject-level mode configured", subject.full());
            return Err(RegistryError::new(40409, message).into());
        }
        let mode = own.unwrap_or_else(|| book.mode(&scope));
        ok(&json!({ "mode": mode.name() }))
    }

    /// `PUT /mode[/{subject}]`
    pub(super) async fn set_mode(&self, named: Option<&str>) -> Answer {
        let Named { scope, context, subject } = self.scope(named)?;
        self.must_set(subject.as_ref())?;
        let body: ModeBody = self.read()?;
        let mode = body.mode.as_deref().and_then(Mode::from_name).ok_or_else(|| {
            let message = "Invalid mode. Valid values are READWRITE, READONLY, READONLY_OVERRIDE, and IMPORT";
            RegistryError::new(42204, message)
        })?;
        let is_forced = self.is("force");
        let change = move |book: &Book, settings: &mut Settings| {
            if mode == Mode::Import && settings.mode != Some(mode) && !is_forced {
                check_empty(book, subject.as_ref(), &context)?;
            }
            settings.mode = Some(mode);
            Ok(())
        };
        self.parts.registry.set(self.caller.project, scope, change).await?;
        ok(&json!({ "mode": mode.name() }))
    }

    /// `DELETE /mode[/{subject}]`
    pub(super) async fn unset_mode(&self, named: Option<&str>) -> Answer {
        let Named { scope, subject, .. } = self.scope(named)?;
        self.must_set(subject.as_ref())?;
        let change = move |_: &Book, settings: &mut Settings| {
            if let (None, Some(subject)) = (settings.mode, &subject) {
                return Err(RegistryError::new(40401, format!("Subject '{}' not found.", subject.full())));
            }
            settings.mode = None;
            Ok(())
        };
        let before = self.parts.registry.set(self.caller.project, scope, change).await?;
        ok(&json!({ "mode": before.mode.unwrap_or(Mode::Readwrite).name() }))
    }
}
