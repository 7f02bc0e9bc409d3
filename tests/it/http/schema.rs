//! The OpenAPI document: that in `docs/` is the program's, it holds together, and the page made of it needs nobody else.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use boon::{Compiler, Schemas};
use serde_json::Value;
use tidings::http::{endpoints, openapi};

use crate::server::{Reply, Server};

/// Every value within a document, with the JSON pointer to it
fn walk<'d>(value: &'d Value, place: &str, visit: &mut dyn FnMut(&str, &'d Value)) {
    visit(place, value);
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, inner)| {
            walk(inner, &format!("{place}/{}", name.replace('~', "~0").replace('/', "~1")), visit);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, inner)| walk(inner, &format!("{place}/{index}"), visit));
        }
        _ => {}
    }
}

/// The document, to hold answers against
pub(super) struct Document {
    document: Value,
    schemas: RefCell<(Compiler, Schemas)>,
}

impl Document {
    pub(super) fn new() -> Self {
        let (document, mut compiler) = (openapi(), Compiler::new());
        compiler.enable_format_assertions();
        compiler.add_resource("openapi.json", document.clone()).unwrap();
        Self { document, schemas: RefCell::new((compiler, Schemas::new())) }
    }

    /// Fails unless an endpoint may answer so, as the document says.
    pub(super) fn must_allow(&self, method: &str, path: &str, reply: &Reply) {
        let (method, status) = (method.to_ascii_lowercase(), reply.status.to_string());
        let response = &self.document["paths"][path][&method]["responses"][&status];
        assert!(response.is_object(), "{method} {path} does not say that it may answer {status}");
        let Some(content) = response["content"].as_object() else {
            return assert_eq!(reply.bytes, b"", "{method} {path} {status}");
        };
        let media_type = content.keys().next().unwrap();
        assert_eq!(reply.header("content-type"), Some(media_type.as_str()), "{method} {path} {status}");
        let escaped = |name: &str| name.replace('/', "~1").replace('{', "%7B").replace('}', "%7D");
        let (path_part, type_part) = (escaped(path), escaped(media_type));
        let place = format!("openapi.json#/paths/{path_part}/{method}/responses/{status}/content/{type_part}/schema");
        let (compiler, schemas) = &mut *self.schemas.borrow_mut();
        let index = compiler.compile(&place, schemas).unwrap();
        // A stream is text; what its events say is another schema.
        let is_text = media_type.starts_with("text/");
        let body = if is_text { String::from_utf8_lossy(&reply.bytes).into() } else { reply.json() };
        if let Err(error) = schemas.validate(&body, index) {
            panic!("{method} {path} {status}: {body}\n{error:#}");
        }
    }

    /// Fails unless a value has the shape of that name.
    pub(super) fn must_have_shape(&self, name: &str, value: &Value) {
        let (compiler, schemas) = &mut *self.schemas.borrow_mut();
        let index = compiler.compile(&format!("openapi.json#/components/schemas/{name}"), schemas).unwrap();
        if let Err(error) = schemas.validate(value, index) {
            panic!("{value} is not the shape of {name}\n{error:#}");
        }
    }
}

/// Every operation, with its path and method
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap().iter();
            methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
        .collect()
}

#[test]
fn the_document_in_docs_is_that_of_this_program() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let text = format!("{:#}\n", openapi());
    if std::env::var("TIDINGS_UPDATE").is_ok() {
        return fs::write(path, text).unwrap();
    }
    let kept = fs::read_to_string(path).unwrap_or_default();
    assert!(kept == text, "docs/openapi.json is stale: TIDINGS_UPDATE=1 cargo test -- schema writes it");
}

#[test]
fn every_endpoint_is_an_operation_with_an_id_of_its_own_and_says_what_it_answers() {
    let document = openapi();
    assert_eq!(document["openapi"], "3.1.0");
    let operations = operations(&document);
    let endpoints: BTreeSet<_> = endpoints().iter().map(|one| (one.path, one.method.to_ascii_lowercase())).collect();
    let found: BTreeSet<_> = operations.iter().map(|(path, method, _)| (*path, (*method).to_owned())).collect();
    assert_eq!(found, endpoints);
    let ids: BTreeSet<_> =
        operations.iter().map(|(.., operation)| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), operations.len());
    for (path, method, operation) in operations {
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}");
        for (status, response) in responses {
            let is_status = status.len() == 3 && status.parse::<u16>().is_ok_and(|status| (200..600).contains(&status));
            assert!(is_status && response["description"].is_string(), "{method} {path} {status}");
            let fails = status.as_str() >= "400";
            assert_eq!(!response["content"]["application/problem+json"].is_null(), fails, "{method} {path} {status}");
        }
        for scheme in operation["security"].as_array().unwrap().iter().flat_map(|one| one.as_object().unwrap().keys()) {
            assert!(document["components"]["securitySchemes"][scheme].is_object(), "{method} {path}: {scheme}");
        }
    }
}

#[test]
fn the_parameters_of_a_path_are_those_that_are_declared_and_no_parameter_comes_twice() {
    let document = openapi();
    for (path, method, operation) in operations(&document) {
        let parameters: Vec<_> = operation["parameters"].as_array().into_iter().flatten().collect();
        let of_path = parameters.iter().filter(|one| one["in"] == "path" && one["required"] == true);
        let declared: BTreeSet<_> = of_path.map(|one| one["name"].as_str().unwrap()).collect();
        let named = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        assert_eq!(declared, named.collect(), "{method} {path}");
        let all: BTreeSet<_> = parameters.iter().map(|one| (one["in"].to_string(), one["name"].to_string())).collect();
        assert_eq!(all.len(), parameters.len(), "{method} {path}");
        for parameter in parameters {
            let place = parameter["in"].as_str().unwrap();
            assert!(["path", "query", "header"].contains(&place) && parameter["schema"].is_object(), "{parameter}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_shape_has_a_name_of_its_own() {
    let document = openapi();
    let mut used = BTreeSet::new();
    walk(&document, "", &mut |place, value| {
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else { return };
        let found = reference.strip_prefix('#').and_then(|pointer| document.pointer(pointer));
        assert!(found.is_some(), "{place}: {reference}");
        used.insert(reference.to_owned());
    });
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(used.contains(&format!("#/components/schemas/{name}")), "nothing has the shape {name}");
        assert!(!name.ends_with(|last: char| last.is_ascii_digit()), "two shapes have the name of {name}");
    }
}

#[test]
fn every_schema_is_one_of_the_dialect_that_openapi_uses() {
    let document = openapi();
    let mut places = Vec::new();
    walk(&document, "", &mut |place, value| {
        let is_shape = place.strip_prefix("/components/schemas/").is_some_and(|name| !name.contains('/'));
        if value.is_object() && (is_shape || place.ends_with("/schema")) {
            places.push(place.to_owned());
        }
    });
    assert!(places.len() > 50, "{places:?}");
    let mut compiler = Compiler::new();
    compiler.add_resource("openapi.json", document).unwrap();
    for place in places {
        let fragment = place.replace('{', "%7B").replace('}', "%7D");
        let found = compiler.compile(&format!("openapi.json#{fragment}"), &mut Schemas::new());
        found.unwrap_or_else(|error| panic!("{place}: {error:#}"));
    }
}

#[test]
fn what_is_served_is_the_document_and_a_page_that_loads_nothing_from_elsewhere() {
    let server = Server::ephemeral("[]", &[], &[]);
    let schema = server.get("/api/schema/", "").expect(200);
    assert_eq!(schema.header("content-type"), Some("application/vnd.oai.openapi+json;version=3.1"));
    assert_eq!(String::from_utf8(schema.bytes).unwrap(), openapi().to_string());
    let page = server.get("/api/docs/", "").expect(200);
    assert!(
        page.header("content-security-policy").unwrap().starts_with("default-src 'none'; style-src 'unsafe-inline'")
    );
    let page = String::from_utf8(page.bytes).unwrap();
    for endpoint in endpoints() {
        assert!(page.contains(&format!("<code>{}</code>", endpoint.path)), "{}", endpoint.path);
        if let Some(twin) = endpoint.twin {
            assert!(page.contains(&format!("<code>tidings {twin}</code>")), "{twin}");
        }
    }
    assert!(page.contains("<td>string uuid") && !page.contains("int64"), "formats are those that people know");
    assert!(page.contains("stream of <a href='#Event'>Event</a>") && page.contains("<code>mentions</code>"));
    for tag in ["<script", "<link", "<img", "<iframe", "<object", "<embed", "@import", "src="] {
        assert!(!page.contains(tag), "{tag}");
    }
    for place in ["href=", "url(", "action="].iter().flat_map(|word| page.split(word).skip(1)) {
        let target = place.trim_start_matches(['\'', '"']);
        let is_here = target.starts_with('#') || target.starts_with('/') && !target.starts_with("//");
        assert!(is_here, "{}", &target[..40]);
    }
    let ids: BTreeSet<&str> = page.split(" id='").skip(1).map(|rest| rest.split('\'').next().unwrap()).collect();
    for link in page.split("href='#").skip(1).map(|rest| rest.split('\'').next().unwrap()) {
        assert!(ids.contains(link), "nothing is at #{link}");
    }
}
