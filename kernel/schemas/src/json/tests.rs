//! Schemas of JSON Schema.

use candor_model::json::to_string;

use crate::{Dependency, Kind, Schema};

fn schema(text: &str) -> Schema {
    Schema::parse(Kind::Json, text, &[]).unwrap()
}

#[test]
fn readers_and_writers() {
    let object =
        |properties: &str, rest: &str| format!(r#"{{"type":"object","properties":{{{properties}}}{rest}}}"#);
    let closed = r#","additionalProperties":false"#;
    let a = r#""a":{"type":"string"}"#;
    let ab = r#""a":{"type":"string"},"b":{"type":"integer"}"#;
    for (reader, writer, error) in [
        (object(a, ""), object(a, ""), None),
        (object(ab, ""), object(a, ""), Some("PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL")),
        (object(&format!("{a},\"b\":{{}}"), ""), object(a, ""), None),
        (object(a, ""), object(ab, ""), None),
        (object(ab, closed), object(a, closed), None),
        (object(a, closed), object(ab, closed), Some("PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL")),
        (
            object(ab, r#","additionalProperties":false,"required":["b"]"#),
            object(a, closed),
            Some("REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL"),
        ),
        (object(a, r#","required":["a"]"#), object(a, ""), Some("REQUIRED_ATTRIBUTE_ADDED")),
        (object(a, ""), object(a, r#","required":["a"]"#), None),
        (object(a, closed), object(a, ""), Some("ADDITIONAL_PROPERTIES_REMOVED")),
        (object(ab, ""), object(a, r#","additionalProperties":{"type":"integer"}"#), None),
        (
            object(r#""a":{"type":"string"},"b":{"type":"string"}"#, ""),
            object(a, r#","additionalProperties":{"type":"integer"}"#),
            Some("PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL"),
        ),
        (r#"{"type":"number"}"#.into(), r#"{"type":"integer"}"#.into(), None),
        (r#"{"type":"integer"}"#.into(), r#"{"type":"number"}"#.into(), Some("TYPE_NARROWED")),
        (r#"{"type":"string"}"#.into(), r#"{"type":"integer"}"#.into(), Some("TYPE_CHANGED")),
        (r#"{"type":["string","null"]}"#.into(), r#"{"type":"string"}"#.into(), None),
        (
            r#"{"type":"string","maxLength":5}"#.into(),
            r#"{"type":"string","maxLength":9}"#.into(),
            Some("MAX_LENGTH_DECREASED"),
        ),
        (r#"{"type":"string","maxLength":9}"#.into(), r#"{"type":"string","maxLength":5}"#.into(), None),
        (r#"{"type":"number","minimum":1}"#.into(), r#"{"type":"number"}"#.into(), Some("MINIMUM_ADDED")),
        (r#"{"enum":["a"]}"#.into(), r#"{"enum":["a","b"]}"#.into(), Some("ENUM_ARRAY_NARROWED")),
        (r#"{"enum":["a","b"]}"#.into(), r#"{"enum":["a"]}"#.into(), None),
        (
            r#"{"oneOf":[{"type":"string"},{"type":"null"}]}"#.into(),
            r#"{"oneOf":[{"type":"string"}]}"#.into(),
            None,
        ),
        (
            r#"{"oneOf":[{"type":"string"}]}"#.into(),
            r#"{"oneOf":[{"type":"string"},{"type":"null"}]}"#.into(),
            Some("SUM_TYPE_NARROWED"),
        ),
        (r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#.into(), r#"{"type":"string"}"#.into(), None),
        (
            r#"{"type":"string"}"#.into(),
            r#"{"anyOf":[{"type":"string"},{"type":"null"}]}"#.into(),
            Some("COMBINED_TYPE_CHANGED"),
        ),
        (
            r#"{"type":"array","items":{"type":"integer"}}"#.into(),
            r#"{"type":"array","items":{"type":"number"}}"#.into(),
            Some("TYPE_NARROWED"),
        ),
        (
            r#"{"type":"array","items":{"type":"number"}}"#.into(),
            r#"{"type":"array","items":{"type":"integer"}}"#.into(),
            None,
        ),
        ("true".into(), r#"{"type":"integer"}"#.into(), None),
        (r#"{"not":{"type":"string"}}"#.into(), r#"{"not":{"type":["string","null"]}}"#.into(), None),
        (
            r#"{"not":{"type":["string","null"]}}"#.into(),
            r#"{"not":{"type":"string"}}"#.into(),
            Some("NOT_TYPE_EXTENDED"),
        ),
    ] {
        let (reader, writer): (String, String) = (reader, writer);
        let found = schema(&reader).incompatibilities(&schema(&writer));
        assert_eq!(found.first().map(|one| one.error), error, "{reader} reads {writer}");
    }
}

#[test]
fn references_lead_within_and_out() {
    let part = Dependency {
        name: "part.json".to_owned(),
        text: r#"{"$id":"https://example.com/schemas/part.json","type":"object","properties":{"n":{"type":"integer"}},
            "definitions":{"x":{"$anchor":"here","type":"string"}}}"#
            .into(),
    };
    for reference in [
        "part.json",
        "part.json#/definitions/x",
        "part.json#here",
        "https://example.com/schemas/part.json",
        "#/definitions/own",
        "#",
    ] {
        let text = format!(
            r##"{{"$id":"https://example.com/schemas/whole.json","properties":{{"p":{{"$ref":"{reference}"}}}},"definitions":{{"own":{{}}}}}}"##
        );
        Schema::parse(Kind::Json, &text, std::slice::from_ref(&part)).unwrap();
    }
    for reference in ["other.json", "#/definitions/none", "part.json#none"] {
        let text = format!(r#"{{"properties":{{"p":{{"$ref":"{reference}"}}}}}}"#);
        let error = Schema::parse(Kind::Json, &text, std::slice::from_ref(&part)).unwrap_err();
        assert!(error.to_string().contains("neither defined"), "{error}");
    }
    let of = |kind: &str| {
        let text = format!(
            r##"{{"type":"array","items":{{"$ref":"#/$defs/x"}},"$defs":{{"x":{{"type":"{kind}"}}}}}}"##
        );
        schema(&text)
    };
    assert!(of("number").incompatibilities(&of("integer")).is_empty());
    assert!(!of("integer").incompatibilities(&of("string")).is_empty());
}

#[test]
fn schemas_that_hold_themselves_are_compared() {
    let tree = |of: &str| {
        schema(&format!(
            r##"{{"type":"object","properties":{{"v":{{"type":"{of}"}},"next":{{"$ref":"#"}}}}}}"##
        ))
    };
    assert!(tree("number").incompatibilities(&tree("integer")).is_empty());
    assert!(!tree("string").incompatibilities(&tree("integer")).is_empty());
    let circle = schema(r##"{"$ref":"#"}"##);
    assert!(circle.incompatibilities(&circle).is_empty());
}

#[test]
fn texts_and_values() {
    let one = schema("{ \"type\" : \"object\",\n \"additionalProperties\":false }");
    assert_eq!(one.canonical(), r#"{"type":"object","additionalProperties":false}"#);
    assert_eq!(one.normalized().unwrap(), r#"{"additionalProperties":false,"type":"object"}"#);
    assert_eq!(to_string(&one.decode(br#"{"a": 1}"#).unwrap()), r#"{"a":1}"#);
    assert!(one.decode(b"{").is_err());
    for bad in
        [r#"{"type":"text"}"#, r#"{"properties":[]}"#, "3", "", r#"{"required":[1]}"#, r#"{"oneOf":{}}"#]
    {
        assert!(Schema::parse(Kind::Json, bad, &[]).is_err(), "{bad}");
    }
}

#[test]
fn a_document_of_many_names_is_there_once() {
    let part: std::sync::Arc<str> = r#"{"type":"integer"}"#.into();
    let names: Vec<String> = (0..256).map(|number| format!("part{number}.json")).collect();
    let dependencies: Vec<Dependency> = names
        .iter()
        .map(|name| Dependency { name: name.clone(), text: std::sync::Arc::clone(&part) })
        .collect();
    let text = r#"{"properties":{"a":{"$ref":"part0.json"},"b":{"$ref":"part255.json"}}}"#;
    let schema = super::Schema::parse(text, &dependencies).unwrap();
    assert_eq!((schema.documents.len(), schema.others.len()), (1, 256));
    let missing = r#"{"properties":{"a":{"$ref":"part256.json"}}}"#;
    assert!(super::Schema::parse(missing, &dependencies).is_err());
}
