//! The routes: which method and path stand for which RPC, from the descriptors' annotations.

use crate::http::problem::Problem;
use crate::http::transcode::template::Template;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method};
use prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, MessageDescriptor, MethodDescriptor,
};

/// The annotation, field 72295728 of `google.protobuf.MethodOptions`.
const ANNOTATION: &str = "google.api.http";

/// The methods that an annotation can name, by its field.
const METHODS: [(&str, Method); 5] = [
    ("get", Method::GET),
    ("put", Method::PUT),
    ("post", Method::POST),
    ("delete", Method::DELETE),
    ("patch", Method::PATCH),
];

/// A fault in the descriptors' annotations, found at start.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// The descriptor set cannot be read.
    #[error("the descriptor set is malformed")]
    Descriptors(#[from] prost_reflect::DescriptorError),
    /// The descriptor set lacks the annotation's own definition.
    #[error("the descriptor set lacks `{ANNOTATION}`")]
    NoAnnotation,
    /// The annotation of `rpc` names no method, or no path of a supported form.
    #[error("{rpc}: the HTTP rule has no usable path")]
    Rule {
        /// The RPC's full name.
        rpc: String,
    },
    /// The annotation of `rpc` names a field that its request lacks or that cannot stand there.
    #[error("{rpc}: `{field}` is no fitting field of the request")]
    Field {
        /// The RPC's full name.
        rpc: String,
        /// The field's path.
        field: String,
    },
    /// Two RPCs claim the same method and paths.
    #[error("{rpc}: its method and path belong to another RPC")]
    Taken {
        /// The RPC's full name.
        rpc: String,
    },
}

/// Every route, the more literal before the less.
#[derive(Debug)]
pub(crate) struct Routes(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    template: Template,
    method: Method,
    route: Route,
}

/// One method and path of an RPC.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// `/{package.Service}/{Method}`.
    pub rpc: PathAndQuery,
    /// The request message.
    pub input: MessageDescriptor,
    /// The response message.
    pub output: MessageDescriptor,
    /// For each path variable, the fields that lead to its place in the request.
    pub variables: Vec<Vec<FieldDescriptor>>,
    /// What the HTTP body fills.
    pub body: BodyRule,
    /// Whether the response can have a session's tokens.
    pub gives_tokens: bool,
    /// The update mask that a PATCH without one gets from the members of its body.
    pub mask: Option<FieldDescriptor>,
}

/// What the HTTP body fills.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum BodyRule {
    /// Nothing: there must be none, and query parameters fill the request.
    None,
    /// The whole request but for path variables; there are no query parameters.
    Whole,
    /// One field; query parameters fill the others.
    Field(FieldDescriptor),
}

impl Routes {
    /// Reads the annotations of an encoded `FileDescriptorSet`. Streaming RPCs get no route.
    pub fn read(descriptors: &[u8]) -> Result<Self, RouteError> {
        let pool = DescriptorPool::decode(descriptors)?;
        let annotation = pool.get_extension_by_name(ANNOTATION).ok_or(RouteError::NoAnnotation)?;
        let mut routes = Self(Vec::new());
        for service in pool.services() {
            for rpc in
                service.methods().filter(|rpc| !rpc.is_client_streaming() && !rpc.is_server_streaming())
            {
                routes.add_rpc(&rpc, &annotation)?;
            }
        }
        routes.0.sort_by(|one, other| one.template.more_literal_first(&other.template));
        Ok(routes)
    }

    /// Paths of all RPCs that a method stands for.
    #[cfg(test)]
    pub fn rpcs_of(&self, method: &Method) -> Vec<String> {
        let entries = self.0.iter().filter(|entry| entry.method == *method);
        entries.map(|entry| entry.route.rpc.path().to_owned()).collect()
    }

    /// The route of a request and the raw texts of its path variables, or 404 or 405.
    pub fn find<'p>(&self, method: &Method, path: &'p str) -> Result<(&Route, Vec<&'p str>), Problem> {
        let wanted = if method == Method::HEAD { &Method::GET } else { method };
        let mut allowed = Vec::new();
        for entry in &self.0 {
            let Some(values) = entry.template.matches(path) else { continue };
            if entry.method == wanted {
                return Ok((&entry.route, values));
            }
            allowed.push(&entry.method);
        }
        Err(match allow(&allowed) {
            Some(value) => Problem::method_not_allowed(value),
            None => Problem::unknown_path(),
        })
    }

    /// How many routes there are.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    fn add_rpc(
        &mut self,
        rpc: &MethodDescriptor,
        annotation: &ExtensionDescriptor,
    ) -> Result<(), RouteError> {
        let options = rpc.options();
        if !options.has_extension(annotation) {
            return Ok(());
        }
        let value = options.get_extension(annotation);
        let Some(rule) = value.as_message() else { return Ok(()) };
        self.add_rule(rpc, rule)?;
        let Some(more) = rule.get_field_by_name("additional_bindings") else { return Ok(()) };
        for rule in more.as_list().into_iter().flatten().filter_map(|value| value.as_message()) {
            self.add_rule(rpc, rule)?;
        }
        Ok(())
    }

    fn add_rule(&mut self, rpc: &MethodDescriptor, rule: &DynamicMessage) -> Result<(), RouteError> {
        let (method, template) =
            method_and_path(rule).ok_or_else(|| RouteError::Rule { rpc: rpc.full_name().to_owned() })?;
        let taken = |entry: &Entry| entry.method == method && entry.template.same_paths(&template);
        if self.0.iter().any(taken) {
            return Err(RouteError::Taken { rpc: rpc.full_name().to_owned() });
        }
        let route = Route::new(rpc, &template, &method, &text(rule, "body"))?;
        self.0.push(Entry { template, method, route });
        Ok(())
    }
}

impl Route {
    fn new(
        rpc: &MethodDescriptor,
        template: &Template,
        method: &Method,
        body: &str,
    ) -> Result<Self, RouteError> {
        let input = rpc.input();
        let unfit =
            |field: &str| RouteError::Field { rpc: rpc.full_name().to_owned(), field: field.to_owned() };
        let variables = template
            .variables()
            .map(|path| single_value(&input, path).ok_or_else(|| unfit(path)))
            .collect::<Result<Vec<_>, _>>()?;
        let body = match body {
            "" => BodyRule::None,
            "*" => BodyRule::Whole,
            name => BodyRule::Field(input.get_field_by_name(name).ok_or_else(|| unfit(name))?),
        };
        let whole_patch = method == Method::PATCH && body == BodyRule::Whole;
        let mask = if whole_patch { input.get_field_by_name("update_mask") } else { None };
        let path = format!("/{}/{}", rpc.parent_service().full_name(), rpc.name());
        // A protobuf name holds letters, digits, `_` and `.` only, so this is always a path.
        let Ok(path) = PathAndQuery::try_from(path) else {
            return Err(RouteError::Rule { rpc: rpc.full_name().to_owned() });
        };
        let output = rpc.output();
        let gives_tokens = output.get_field_by_name("access_token").is_some();
        Ok(Self { rpc: path, input, output, variables, body, gives_tokens, mask })
    }
}

/// The method and template that a rule names.
fn method_and_path(rule: &DynamicMessage) -> Option<(Method, Template)> {
    let (field, method) = METHODS.into_iter().find(|(field, _)| rule.has_field_by_name(field))?;
    Some((method, Template::parse(&text(rule, field))?))
}

fn text(rule: &DynamicMessage, field: &str) -> String {
    let value = rule.get_field_by_name(field);
    value.as_deref().and_then(|value| value.as_str()).map_or_else(String::new, str::to_owned)
}

/// The fields that lead along `path` to a field that holds one scalar.
fn single_value(message: &MessageDescriptor, path: &str) -> Option<Vec<FieldDescriptor>> {
    let mut fields: Vec<FieldDescriptor> = Vec::new();
    let mut inside = Some(message.clone());
    for name in path.split('.') {
        let field = inside?.get_field_by_name(name)?;
        if field.is_list() || field.is_map() {
            return None;
        }
        inside = field.kind().as_message().cloned();
        fields.push(field);
    }
    inside.is_none().then_some(fields)
}

/// The `allow` header, GET bringing HEAD with it; `None` for no method at all.
fn allow(methods: &[&Method]) -> Option<HeaderValue> {
    let mut names: Vec<&str> = methods.iter().map(|method| method.as_str()).collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.sort_unstable();
    names.dedup();
    if names.is_empty() {
        return None;
    }
    // Method names are tokens, which are header text.
    let Ok(value) = HeaderValue::try_from(names.join(", ")) else { return None };
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pb::DESCRIPTORS;
    use http::StatusCode;

    fn rpc<'r>(routes: &'r Routes, method: &Method, path: &str) -> &'r str {
        routes.find(method, path).map_or("-", |(route, _)| route.rpc.as_str())
    }

    #[test]
    fn the_annotation_has_its_public_number() {
        let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
        assert_eq!(pool.get_extension_by_name(ANNOTATION).unwrap().number(), 72_295_728);
    }

    #[test]
    fn every_annotated_unary_rpc_has_a_route_and_no_streaming_one() {
        let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
        let annotation = pool.get_extension_by_name(ANNOTATION).unwrap();
        let annotated = pool
            .services()
            .flat_map(|service| service.methods().collect::<Vec<_>>())
            .filter(|rpc| rpc.options().has_extension(&annotation) && !rpc.is_server_streaming())
            .count();
        let routes = Routes::read(DESCRIPTORS).unwrap();
        assert!(annotated > 15, "{annotated}");
        assert!(routes.len() >= annotated);
        assert!(routes.0.iter().all(|entry| !entry.route.rpc.as_str().contains("Stream")));
    }

    #[test]
    fn methods_and_verbs_find_their_rpc() {
        let routes = Routes::read(DESCRIPTORS).unwrap();
        for (method, path, expected) in [
            (Method::GET, "/v1/auth/me", "/doorward.v1.AuthnService/WhoAmI"),
            (Method::HEAD, "/v1/auth/me", "/doorward.v1.AuthnService/WhoAmI"),
            (Method::POST, "/v1/auth/verify", "/doorward.v1.AuthnService/VerifyCredential"),
            (Method::POST, "/v1/auth/verify:batch", "/doorward.v1.AuthnService/BatchVerifyCredentials"),
            (Method::POST, "/v1/api-keys", "/doorward.v1.KeysService/CreateApiKey"),
            (Method::GET, "/v1/api-keys", "/doorward.v1.KeysService/ListApiKeys"),
            (Method::POST, "/v1/api-keys:import", "/doorward.v1.KeysService/ImportApiKey"),
            (Method::GET, "/v1/api-keys/k", "/doorward.v1.KeysService/GetApiKey"),
            (Method::PATCH, "/v1/api-keys/k", "/doorward.v1.KeysService/UpdateApiKey"),
            (Method::DELETE, "/v1/api-keys/k", "/doorward.v1.KeysService/RevokeApiKey"),
            (Method::POST, "/v1/api-keys/k:rotate", "/doorward.v1.KeysService/RotateApiKey"),
            (Method::POST, "/v1/tenants/-:suspend", "/doorward.v1.TenancyService/SuspendTenant"),
            (Method::POST, "/v1/auth/ip-allowlist", "/doorward.v1.TenancyService/SetIpAllowlist"),
            (Method::GET, "/v1/api-keys/k:rotate", "-"),
            (Method::POST, "/v1/api-keys/k:explode", "-"),
            (Method::POST, "/v1/api-keys:export", "-"),
            (Method::GET, "/", "-"),
            (Method::GET, "", "-"),
        ] {
            assert_eq!(rpc(&routes, &method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn a_known_path_with_another_method_is_405_with_allow() {
        let routes = Routes::read(DESCRIPTORS).unwrap();
        let problem = routes.find(&Method::PUT, "/v1/api-keys/k").unwrap_err();
        assert_eq!(problem.status(), StatusCode::METHOD_NOT_ALLOWED);
        let mut headers = http::HeaderMap::new();
        problem.add_headers(&mut headers);
        assert_eq!(headers["allow"], "DELETE, GET, HEAD, PATCH");
        assert_eq!(routes.find(&Method::PUT, "/v1/nothing").unwrap_err().status(), StatusCode::NOT_FOUND);
    }

    #[test]
    fn only_updates_have_a_mask_to_fill() {
        let routes = Routes::read(DESCRIPTORS).unwrap();
        for entry in &routes.0 {
            // A role is given whole: there is nothing to mask.
            let is_update =
                entry.method == Method::PATCH && !entry.route.rpc.path().ends_with("/UpdateMemberRole");
            assert_eq!(entry.route.mask.is_some(), is_update, "{}", entry.route.rpc);
        }
    }

    #[test]
    fn a_malformed_set_is_an_error_and_no_panic() {
        assert!(matches!(Routes::read(b"\xff\xff"), Err(RouteError::Descriptors(_))));
        assert!(matches!(Routes::read(b""), Err(RouteError::NoAnnotation)));
    }
}
