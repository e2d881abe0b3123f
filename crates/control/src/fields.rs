//! The fields of a parameter object, read back out of its JSON schema: what the command line and the documentation need.
//!
//! The schema comes from the Rust types (their names, kinds and doc comments); this module only gives it a shape that is
//! easier to walk than JSON.

use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::Value;

/// One field.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name on the wire.
    pub name: String,
    /// Whether it must be given.
    pub required: bool,
    /// What it takes.
    pub kind: Kind,
    /// What it means: the doc comment.
    pub doc: String,
}

/// What a field takes.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Integer,
    /// A number that may have a fraction.
    Number,
    /// A text.
    Text,
    /// One of these texts.
    Choice(Vec<String>),
    /// This value alone: the field exists for compatibility.
    Constant(Value),
    /// Any number of one kind.
    List(Box<Kind>),
    /// An object with fields of its own.
    Object(Vec<Field>),
    /// Any JSON.
    Any,
}

/// A generator that writes every schema in place, without references.
pub fn generator() -> SchemaGenerator {
    let inline = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    inline.into_generator()
}

/// The fields of an object's schema, in the order of declaration.
pub fn fields(schema: &Schema) -> Vec<Field> {
    object_fields(schema.as_value())
}

fn object_fields(schema: &Value) -> Vec<Field> {
    let required = |name: &str| {
        let names = schema.get("required").and_then(Value::as_array);
        names.is_some_and(|names| names.iter().any(|required| required == name))
    };
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Vec::new() };
    let field = |(name, schema): (&String, &Value)| Field {
        name: name.clone(),
        required: required(name),
        kind: kind(schema),
        doc: description(schema),
    };
    properties.iter().map(field).collect()
}

fn description(schema: &Value) -> String {
    schema.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " ")
}

fn kind(schema: &Value) -> Kind {
    if let Some(value) = schema.get("const") {
        return Kind::Constant(value.clone());
    }
    if let Some(Value::Array(values)) = schema.get("enum") {
        // An optional constant is an enumeration of it and null.
        let mut values = values.iter().filter(|value| !value.is_null());
        if let (Some(value), None) = (values.next().filter(|value| !value.is_string()), values.next()) {
            return Kind::Constant(value.clone());
        }
    }
    if let Some(choices) = choices(schema) {
        return Kind::Choice(choices);
    }
    if let Some(Value::Array(any)) = schema.get("anyOf") {
        let mut present = any.iter().filter(|schema| schema.get("type") != Some(&Value::from("null")));
        return present.next().map_or(Kind::Any, kind);
    }
    let name = match schema.get("type") {
        Some(Value::String(name)) => Some(name.as_str()),
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        _ => None,
    };
    match name {
        Some("boolean") => Kind::Boolean,
        Some("integer") => Kind::Integer,
        Some("number") => Kind::Number,
        Some("string") => Kind::Text,
        Some("array") => Kind::List(Box::new(schema.get("items").map_or(Kind::Any, kind))),
        Some("object") if schema.get("properties").is_some() => Kind::Object(object_fields(schema)),
        _ => Kind::Any,
    }
}

/// The texts of an enumeration, whether its variants carry documentation (`oneOf`) or not (`enum`).
fn choices(schema: &Value) -> Option<Vec<String>> {
    let texts =
        |values: Vec<&Value>| values.into_iter().map(|value| value.as_str().map(str::to_owned)).collect();
    if let Some(Value::Array(values)) = schema.get("enum") {
        return texts(values.iter().filter(|value| !value.is_null()).collect());
    }
    let Some(Value::Array(variants)) = schema.get("oneOf") else { return None };
    let mut all = Vec::new();
    for variant in variants {
        match (variant.get("const"), variant.get("enum")) {
            (Some(value), _) => all.push(value),
            (None, Some(Value::Array(values))) => all.extend(values),
            (None, _) => return None,
        }
    }
    texts(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemars::JsonSchema;

    /// A choice.
    #[derive(JsonSchema)]
    #[serde(rename_all = "lowercase")]
    #[allow(dead_code)]
    enum Way {
        /// Up.
        Up,
        /// Down.
        Down,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Inner {
        x: u8,
    }

    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Outer {
        /// The name of it.
        name: String,
        size: Option<u64>,
        way: Option<Way>,
        inner: Option<Inner>,
        names: Option<Vec<String>>,
        #[serde(default)]
        flag: bool,
    }

    #[test]
    fn every_kind_is_read_back() {
        let found = fields(&Outer::json_schema(&mut generator()));
        let field = |name: &str, required, kind, doc: &str| Field {
            name: name.into(),
            required,
            kind,
            doc: doc.into(),
        };
        assert_eq!(found[0], field("name", true, Kind::Text, "The name of it."));
        assert_eq!(found[1].kind, Kind::Integer);
        assert!(!found[1].required);
        assert_eq!(found[2].kind, Kind::Choice(vec!["up".into(), "down".into()]));
        assert_eq!(found[3].kind, Kind::Object(vec![field("x", true, Kind::Integer, "")]));
        assert_eq!(found[4].kind, Kind::List(Box::new(Kind::Text)));
        assert_eq!(found[5], field("flag", false, Kind::Boolean, ""));
    }
}
