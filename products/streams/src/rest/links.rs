//! Resources as kafka-rest's v3 shows them: a kind, a link and a name of their own, links to what belongs to them.

use serde_json::{Map, Value, json};

/// Where a resource is: its link, and its name (a Confluent resource name without an authority).
#[derive(Debug, Clone)]
pub(super) struct At {
    url: String,
    name: String,
}

impl At {
    /// A cluster of the server whose paths begin with `base`.
    pub fn cluster(base: &str, id: &str) -> At {
        At { url: format!("{base}/v3/clusters/{}", encoded(id)), name: format!("crn:///kafka={id}") }
    }

    /// What is below it: the part of the path, the word in its name, which one.
    pub fn down(&self, part: &str, word: &str, which: &str) -> At {
        let url = format!("{}/{part}/{}", self.url, encoded(which));
        At { url, name: format!("{}/{word}={which}", self.name) }
    }

    /// What is below it and the only one of its kind.
    pub fn only(&self, part: &str) -> At {
        At { url: format!("{}/{part}", self.url), name: format!("{}/{part}", self.name) }
    }

    /// The same with a query.
    pub fn asked(&self, pairs: &[(&str, &str)]) -> At {
        let pairs = pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
        At { url: format!("{}?{}", self.url, pairs.collect::<Vec<_>>().join("&")), name: self.name.clone() }
    }

    /// The link itself.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A link to something below it.
    pub fn related(&self, path: &str) -> Value {
        json!({ "related": format!("{}/{path}", self.url) })
    }

    /// A link to itself from another.
    pub fn relation(&self) -> Value {
        json!({ "related": self.url })
    }

    /// The resource with these fields.
    pub fn resource(&self, kind: &str, fields: Value) -> Value {
        let mut resource = Map::new();
        resource.insert("kind".to_owned(), kind.into());
        resource.insert("metadata".to_owned(), json!({ "self": self.url, "resource_name": self.name }));
        if let Value::Object(fields) = fields {
            resource.extend(fields);
        }
        Value::Object(resource)
    }

    /// The list of what is below it.
    pub fn list(&self, path: &str, kind: &str, data: Vec<Value>) -> Value {
        let url = format!("{}/{path}", self.url);
        json!({ "kind": format!("{kind}List"), "metadata": { "self": url, "next": null }, "data": data })
    }
}

/// A segment of a path, or a value of a query: all but the unreserved characters of RFC 3986 percent-encoded.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(byte.into()),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_and_names() {
        let topic = At::cluster("http://h/kafka", "abc").down("topics", "topic", "a b");
        let shown = topic.resource("KafkaTopic", json!({ "configs": topic.related("configs") }));
        assert_eq!(
            shown,
            json!({
                "kind": "KafkaTopic",
                "metadata": {
                    "self": "http://h/kafka/v3/clusters/abc/topics/a%20b",
                    "resource_name": "crn:///kafka=abc/topic=a b",
                },
                "configs": { "related": "http://h/kafka/v3/clusters/abc/topics/a%20b/configs" },
            })
        );
    }
}
