//! The API document as it is served. What holds for every operation is said here once, so that no handler has to repeat it and none forgets
//! it: who may call, which refusals may come and in which shape, and what a page of a list looks like.
//!
//! Paths outside `/v1/` have shapes of others (Supabase Auth, forms of pages) and speak for themselves.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, SchemaFormat};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, PathItem, Ref, RefOr, Required, Response, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::problem::CONTENT_TYPE_PROBLEM;

/// A refusal (RFC 9457); every code is explained at `/docs/errors`.
#[derive(ToSchema)]
#[schema(as = Problem)]
#[expect(dead_code, reason = "describes what `Problem` writes")]
struct ProblemBody {
    /// `/docs/errors#CODE`.
    r#type: String,
    /// The code in words.
    title: String,
    /// The status of the answer.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong with this request.
    detail: String,
    /// The stable code to match on.
    code: String,
    /// The fields that are wrong; empty when it is about none.
    errors: Vec<ProblemField>,
    /// Names the request in our logs.
    request_id: String,
}

/// What is wrong with a field.
#[derive(ToSchema)]
#[expect(dead_code, reason = "describes what `Problem` writes")]
struct ProblemField {
    /// Its path, such as `rows[2].spend`.
    field: String,
    /// What is wrong, said of the field.
    message: String,
}

/// Completes a document that was made of the annotations of handlers.
pub(super) fn complete(mut document: OpenApi) -> OpenApi {
    for (path, item) in &mut document.paths.paths {
        for operation in operations_of(item) {
            for parameter in operation.parameters.iter_mut().flatten() {
                if let RefOr::T(parameter) = parameter {
                    allow_empty(parameter);
                }
            }
            if path.starts_with("/v1/") {
                complete_operation(operation);
            }
        }
    }
    let components = document.components.get_or_insert_default();
    open_variants(&mut components.schemas);
    components.schemas.values_mut().for_each(widen_counts);
    components.schemas.insert("Problem".to_owned(), ProblemBody::schema());
    components.schemas.insert("ProblemField".to_owned(), ProblemField::schema());
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some("An access token."));
    components.security_schemes.insert("token".to_owned(), SecurityScheme::Http(token.build()).into());
    let key = ApiKeyValue::with_description("apikey", "An API key.");
    components.security_schemes.insert("key".to_owned(), SecurityScheme::ApiKey(ApiKey::Header(key)).into());
    document
}

/// What `Allow` says of a route of the router, which may name its parameters otherwise than the document; nothing of pages.
pub(super) fn methods_of(document: &OpenApi, route: &str) -> Option<String> {
    let wanted = shape_of(route);
    let items = document.paths.paths.iter().filter(|(path, _)| shape_of(path) == wanted);
    let methods: Vec<&str> =
        items.flat_map(|(_, item)| named(item)).filter(|(_, operation)| operation.is_some()).map(|(name, _)| name).collect();
    (!methods.is_empty()).then(|| methods.join(", "))
}

/// A variant is written as a closed object and, beside it, the word that tells variants apart, which the closed object then forbids: nothing
/// would fit. Here the word becomes a member of the object.
fn open_variants(schemas: &mut BTreeMap<String, RefOr<Schema>>) {
    let known = schemas.clone();
    let variants = schemas.values_mut().filter_map(|schema| match schema {
        RefOr::T(Schema::OneOf(one_of)) => Some(&mut one_of.items),
        _ => None,
    });
    for variant in variants.flatten() {
        if let RefOr::T(Schema::AllOf(all_of)) = variant
            && let [RefOr::Ref(fields), RefOr::T(Schema::Object(word))] = all_of.items.as_slice()
            && let Some(RefOr::T(Schema::Object(fields))) = fields.ref_location.rsplit('/').next().and_then(|name| known.get(name))
        {
            let mut merged = fields.clone();
            merged.properties.extend(word.properties.clone());
            merged.required.extend(word.required.clone());
            *variant = RefOr::T(Schema::Object(merged));
        }
    }
}

fn complete_operation(operation: &mut Operation) {
    if operation.security.is_none() {
        let needs = |scheme: &str| SecurityRequirement::new(scheme, Vec::<String>::new());
        operation.security = Some(vec![needs("token"), needs("key")]);
    }
    let parameters: Vec<&Parameter> = operation.parameters.iter().flatten().filter_map(in_place).collect();
    let has = |place: ParameterIn, name: Option<&str>| {
        parameters.iter().any(|one| one.parameter_in == place && name.is_none_or(|name| name.eq_ignore_ascii_case(&one.name)))
    };
    let (has_path, has_query, has_body) = (has(ParameterIn::Path, None), has(ParameterIn::Query, None), operation.request_body.is_some());
    let (is_list, is_repeatable) = (has(ParameterIn::Query, Some("cursor")), has(ParameterIn::Header, Some("Idempotency-Key")));
    // Unique within a tenant only, so that who sees all tenants may mean several.
    let is_of_tenants = parameters.iter().any(|one| matches!(one.name.as_str(), "campaign_id" | "experiment_id"));
    let refusals = [
        (true, "401", "Not signed in, or a token or key that does not count any more"),
        (true, "403", "The role or the scopes of the key do not include this"),
        (true, "429", "The caller or its tenant has used up its share; `Retry-After`"),
        (true, "503", "The database or another service does not answer; `Retry-After`"),
        (has_path, "404", "It is not there, or not yours to see"),
        (has_query || has_body, "422", "Fields break rules; `errors` names them"),
        (has_body, "400", "The body cannot be read"),
        (has_body, "413", "The body is too large"),
        (has_body, "415", "The body's content type is not one that is read here"),
        (is_repeatable, "409", "The `Idempotency-Key` was used with another body"),
        (is_of_tenants, "409", "Several tenants have this id; ask with a key of one tenant"),
    ];
    for (applies, status, description) in refusals {
        let known = &mut operation.responses.responses;
        if applies && !known.contains_key(status) {
            known.insert(status.to_owned(), RefOr::T(Response::new(description)));
        }
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        if status.starts_with(['4', '5']) && response.content.is_empty() {
            let problem = Ref::from_schema_name("Problem");
            response.content.insert(CONTENT_TYPE_PROBLEM.to_owned(), RefOr::T(Content::new(Some(problem))));
        }
        if is_list && status == "200" {
            describe_page(response);
        }
    }
}

/// The builder calls `u32` an `int32`, which ends at half of what is taken.
fn widen_counts(schema: &mut RefOr<Schema>) {
    let RefOr::T(Schema::Object(object)) = schema else { return };
    for property in object.properties.values_mut() {
        if let RefOr::T(Schema::Object(number)) = property
            && number.format == Some(SchemaFormat::KnownFormat(KnownFormat::Int32))
            && number.minimum.is_some()
            && number.maximum.is_none()
        {
            number.format = Some(SchemaFormat::KnownFormat(KnownFormat::Int64));
            number.maximum = Some(u32::MAX.into());
        }
    }
}

/// A page of a list whose rows the handler does not describe: `{data, next_cursor}` and what else it has.
fn describe_page(response: &mut Response) {
    let page = json!({
        "type": "object",
        "required": ["data", "next_cursor"],
        "properties": {
            "data": { "type": "array", "items": { "type": "object" } },
            "next_cursor": { "type": ["string", "null"], "description": "`cursor` of the next page; null on the last one." },
        },
    });
    if let Some(RefOr::T(content)) = response.content.get_mut("application/json")
        && is_bare_object(content)
    {
        content.schema = serde_json::from_value::<Schema>(page).ok().map(RefOr::T);
    }
}

fn is_bare_object(content: &Content) -> bool {
    serde_json::to_value(&content.schema).is_ok_and(|schema| schema == json!({ "type": "object" }))
}

/// An empty parameter is what an empty form field sends: not given.
fn allow_empty(parameter: &mut Parameter) {
    if parameter.parameter_in == ParameterIn::Query && parameter.required != Required::True {
        // A field of OpenAPI 3.1 that the builder has no name for.
        parameter.extensions.get_or_insert_default().insert("allowEmptyValue".to_owned(), Value::Bool(true));
    }
}

fn in_place<T>(item: &RefOr<T>) -> Option<&T> {
    match item {
        RefOr::T(item) => Some(item),
        RefOr::Ref(_) => None,
    }
}

fn named(item: &PathItem) -> [(&'static str, Option<&Operation>); 6] {
    [
        ("GET", item.get.as_ref()),
        ("HEAD", item.head.as_ref()),
        ("POST", item.post.as_ref()),
        ("PUT", item.put.as_ref()),
        ("PATCH", item.patch.as_ref()),
        ("DELETE", item.delete.as_ref()),
    ]
}

fn operations_of(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.head, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten()
}

/// The path with each parameter as `{}`.
fn shape_of(path: &str) -> String {
    let mut parts = path.split('{');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |shape, part| shape + "{}" + part.split_once('}').map_or("", |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use utoipa::OpenApi as _;

    use super::*;

    #[derive(ToSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "a shape")]
    struct Ab {
        arms: u32,
    }

    #[derive(ToSchema)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    #[expect(dead_code, reason = "a shape")]
    enum Design {
        Ab(Ab),
    }

    #[utoipa::path(post, path = "/v1/designs/{design_id}", params(("design_id" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = Design, responses((status = 201), (status = 422, description = "Its own words")))]
    #[expect(dead_code, reason = "stands for a handler")]
    fn write() {}

    #[utoipa::path(get, path = "/v1/designs/{design_id}", params(("design_id" = String, Path), ("cursor" = Option<String>, Query)), responses((status = 200, body = Object)))]
    #[expect(dead_code, reason = "stands for a handler")]
    fn read() {}

    #[utoipa::path(get, path = "/auth/v1/health", responses((status = 200)))]
    #[expect(dead_code, reason = "stands for a handler")]
    fn health() {}

    #[derive(utoipa::OpenApi)]
    #[openapi(paths(write, read, health))]
    struct Document;

    fn served() -> Value {
        serde_json::to_value(complete(Document::openapi())).unwrap()
    }

    #[test]
    fn every_operation_says_who_may_call_and_how_it_refuses() {
        let document = served();
        let write = &document["paths"]["/v1/designs/{design_id}"]["post"];
        let statuses: Vec<&String> = write["responses"].as_object().unwrap().keys().collect();
        assert_eq!(statuses, ["201", "400", "401", "403", "404", "409", "413", "415", "422", "429", "503"]);
        assert_eq!(write["responses"]["422"]["description"], "Its own words");
        let shape = "/content/application~1problem+json/schema/$ref";
        assert_eq!(write["responses"]["422"].pointer(shape).unwrap(), "#/components/schemas/Problem");
        assert_eq!(write["security"], json!([{"token": []}, {"key": []}]));
        let read = &document["paths"]["/v1/designs/{design_id}"]["get"];
        assert_eq!(
            read["responses"]["200"].pointer("/content/application~1json/schema/required").unwrap(),
            &json!(["data", "next_cursor"])
        );
        assert_eq!(read["parameters"][1]["allowEmptyValue"], true);
        let health = &document["paths"]["/auth/v1/health"]["get"];
        assert_eq!(health["responses"].as_object().unwrap().len(), 1, "other shapes speak for themselves");
    }

    #[test]
    fn a_variant_takes_the_word_that_names_it_and_counts_are_as_wide_as_they_are_read() {
        let variant = &served()["components"]["schemas"]["Design"]["oneOf"][0];
        assert_eq!((&variant["additionalProperties"], &variant["properties"]["kind"]["enum"]), (&json!(false), &json!(["ab"])));
        assert_eq!(variant["required"], json!(["arms", "kind"]));
        assert_eq!(served()["components"]["schemas"]["Ab"]["properties"]["arms"]["maximum"], u32::MAX);
    }

    #[test]
    fn a_route_allows_the_methods_of_the_document_however_it_names_its_parameters() {
        let document = complete(Document::openapi());
        assert_eq!(methods_of(&document, "/v1/designs/{id}").as_deref(), Some("GET, POST"));
        assert_eq!(methods_of(&document, "/login"), None);
    }
}
