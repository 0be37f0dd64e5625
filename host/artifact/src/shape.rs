//! The parts of OpenAPI 3.1 and of JSON Schema that a plugin may use. To read a value
//! as one of these types is to check its shape, so no plugin can make the document of
//! all plugins invalid.

#![expect(dead_code, reason = "the types check the shape of a value, and nobody reads it")]

use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Number, Value};
use std::collections::BTreeMap;

/// A value that is written as an object. `serde` reads a list as the fields of a
/// type, in their order.
#[derive(Default)]
pub(super) struct Object<T>(pub(super) T);

impl<'de, T: for<'any> Deserialize<'any>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Map::deserialize(deserializer)?;
        T::deserialize(Value::Object(fields)).map(Self).map_err(D::Error::custom)
    }
}

/// A method of a path. It has no `servers` and no `callbacks`, which would lead
/// clients to other sites.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Operation {
    operation_id: Option<String>,
    summary: Option<String>,
    description: Option<String>,
    deprecated: Option<bool>,
    #[serde(default)]
    parameters: Vec<Object<Parameter>>,
    request_body: Option<Object<RequestBody>>,
    responses: BTreeMap<String, Object<Response>>,
    security: Option<Vec<Object<Security>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameter {
    name: String,
    r#in: Place,
    required: Option<bool>,
    deprecated: Option<bool>,
    description: Option<String>,
    schema: Object<Schema>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Place {
    Query,
    Header,
    Path,
    Cookie,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestBody {
    description: Option<String>,
    required: Option<bool>,
    content: BTreeMap<String, Object<Content>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    schema: Option<Object<Schema>>,
    example: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, try_from = "WrittenResponse")]
pub(super) struct Response;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenResponse {
    #[serde(rename = "$ref")]
    reference: Option<String>,
    description: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Object<Header>>,
    #[serde(default)]
    content: BTreeMap<String, Object<Content>>,
}

impl TryFrom<WrittenResponse> for Response {
    type Error = &'static str;

    fn try_from(written: WrittenResponse) -> Result<Self, Self::Error> {
        match written.reference.is_some() || written.description.is_some() {
            true => Ok(Self),
            false => Err("a response needs a `description`"),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    description: Option<String>,
    required: Option<bool>,
    schema: Option<Object<Schema>>,
}

/// The one scheme is the session of the host, without scopes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Security {
    session: [(); 0],
}

/// A schema, see <https://json-schema.org/draft/2020-12>.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Schema {
    #[serde(rename = "$ref")]
    reference: Option<String>,
    r#type: Option<Types>,
    title: Option<String>,
    description: Option<String>,
    format: Option<String>,
    pattern: Option<String>,
    default: Option<Value>,
    examples: Option<Vec<Value>>,
    r#enum: Option<Vec<Value>>,
    r#const: Option<Value>,
    deprecated: Option<bool>,
    read_only: Option<bool>,
    write_only: Option<bool>,
    minimum: Option<Number>,
    maximum: Option<Number>,
    exclusive_minimum: Option<Number>,
    exclusive_maximum: Option<Number>,
    multiple_of: Option<Number>,
    min_length: Option<u64>,
    max_length: Option<u64>,
    min_items: Option<u64>,
    max_items: Option<u64>,
    unique_items: Option<bool>,
    min_properties: Option<u64>,
    max_properties: Option<u64>,
    required: Option<Vec<String>>,
    #[serde(default)]
    properties: BTreeMap<String, Object<Schema>>,
    additional_properties: Option<Additional>,
    items: Option<Box<Object<Schema>>>,
    one_of: Option<Vec<Object<Schema>>>,
    any_of: Option<Vec<Object<Schema>>>,
    all_of: Option<Vec<Object<Schema>>>,
    not: Option<Box<Object<Schema>>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Types {
    One(Type),
    Several(Vec<Type>),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Type {
    Null,
    Boolean,
    Object,
    Array,
    Number,
    String,
    Integer,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Additional {
    Allowed(bool),
    Described(Box<Object<Schema>>),
}
