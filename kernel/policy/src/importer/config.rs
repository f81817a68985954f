//! Sentry's configuration as it is written.

use serde_json::{Map, Value as Json};

/// `rules` and `applications`, in the file's order of names.
pub(super) struct Config {
    pub(super) rules: Map<String, Json>,
    pub(super) applications: Vec<(String, Vec<String>)>,
}

impl Config {
    pub(super) fn read(text: &str) -> Result<Config, String> {
        let json: Json = serde_json::from_str(text).map_err(|error| format!("this is not JSON: {error}"))?;
        let inner = ["/piiConfig", "/config/piiConfig"].iter().find_map(|path| json.pointer(path));
        // As the organisation's settings export it, it is JSON within a text.
        let inner = match inner.unwrap_or(&json) {
            Json::String(text) => {
                serde_json::from_str(text).map_err(|error| format!("the text within is not JSON: {error}"))?
            }
            other => other.clone(),
        };
        let Json::Object(mut members) = inner else { return Err("this is not an object".to_owned()) };
        let rules = match members.remove("rules") {
            None | Some(Json::Null) => Map::new(),
            Some(Json::Object(rules)) => rules,
            Some(_) => return Err("`rules` is not an object".to_owned()),
        };
        let Some(Json::Object(applications)) = members.remove("applications") else {
            return Err("there are no `applications`: no rule is in use".to_owned());
        };
        let mut found = Vec::new();
        for (selector, names) in applications {
            let Json::Array(names) = names else {
                return Err(format!("the application of {selector:?} is not a list"));
            };
            let names = names.iter().map(|name| name.as_str().map(str::to_owned));
            let Some(names) = names.collect::<Option<Vec<String>>>() else {
                return Err(format!("the application of {selector:?} is not a list of names"));
            };
            found.push((selector, names));
        }
        Ok(Config { rules, applications: found })
    }
}
