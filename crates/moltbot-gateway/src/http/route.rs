//! Which path is which door.

use std::sync::LazyLock;

use http::Method;
use matchit::Router;
use moltbot_types::{CallError, Dialect, Kind, Operation};
use moltbot_wire::openai::OPENAI;

/// Where a request goes.
#[derive(Clone, Debug)]
pub(crate) enum Route {
    /// A call of a model in a dialect.
    Call(Operation, &'static dyn Dialect),
    /// What someone thought of an answer.
    Feedback,
    /// The list of models.
    Models,
    /// Skills as tools, by MCP.
    Mcp,
    /// One model by name: the rest of the path, percent-decoded once.
    Model(String),
}

/// The table: path, the method it takes, the door.
static ROUTES: LazyLock<Router<(Method, Route)>> = LazyLock::new(|| {
    let mut routes = Router::new();
    let doors = [
        (
            "/v1/chat/completions",
            Method::POST,
            Route::Call(Operation::Chat, &OPENAI),
        ),
        (
            "/v1/completions",
            Method::POST,
            Route::Call(Operation::Complete, &OPENAI),
        ),
        (
            "/v1/embeddings",
            Method::POST,
            Route::Call(Operation::Embed, &OPENAI),
        ),
        ("/v1/feedback", Method::POST, Route::Feedback),
        ("/v1/models", Method::GET, Route::Models),
        ("/mcp", Method::POST, Route::Mcp),
        (
            "/v1/models/{*name}",
            Method::GET,
            Route::Model(String::new()),
        ),
    ];
    for (path, method, route) in doors {
        // The patterns are constants without conflicts, as a test shows.
        let _ = routes.insert(path, (method, route));
    }
    routes
});

/// Paths, with all below them, that a later version answers.
const LATER: [&str; 8] = [
    "/v1/responses",
    "/v1/messages",
    "/v1/rerank",
    "/v1/moderations",
    "/v1/images",
    "/v1/audio",
    "/v1beta",
    "/console",
];

impl Route {
    /// Finds the door for a method and a path. `HEAD` counts as `GET`.
    pub(crate) fn find(method: &Method, path: &str) -> Result<Self, CallError> {
        if is_later(method, path) {
            return Err(nothing(path, "not supported by this version"));
        }
        let Ok(found) = ROUTES.at(path) else {
            return Err(nothing(path, "not here: the API is below /v1"));
        };
        let (takes, route) = found.value;
        if method != takes && !(method == Method::HEAD && takes == Method::GET) {
            return Err(CallError::new(
                Kind::MethodNotAllowed,
                format!("{} takes {takes}, not {method}", shown(path)),
            ));
        }
        match (route, found.params.get("name")) {
            (Self::Model(_), Some(name)) => {
                let name = percent_encoding::percent_decode_str(name)
                    .decode_utf8()
                    .map_err(|_| {
                        CallError::new(Kind::BadRequest, "the model's name in the path is no UTF-8")
                    })?;
                Ok(Self::Model(name.into_owned()))
            }
            _ => Ok(route.clone()),
        }
    }

    /// The method that the path takes, for the `allow` header of a 405.
    pub(crate) fn allowed(path: &str) -> Option<&'static Method> {
        ROUTES.at(path).ok().map(|found| &found.value.0)
    }
}

fn is_later(method: &Method, path: &str) -> bool {
    let below = |at: &&str| {
        let rest = path.strip_prefix(*at);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    // Gemini's verbs follow a model's name: `/v1/models/{name}:generateContent`.
    let verb = method == Method::POST && path.starts_with("/v1/models/") && path.contains(':');
    verb || LATER.iter().any(below)
}

fn nothing(path: &str, why: &str) -> CallError {
    CallError::new(Kind::NotFound, format!("{} is {why}", shown(path)))
}

/// A path as far as an error shows it: a caller's own words, but never a page of them.
fn shown(path: &str) -> String {
    path.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_door_is_found() {
        assert!(matches!(
            Route::find(&Method::POST, "/v1/chat/completions"),
            Ok(Route::Call(Operation::Chat, _))
        ));
        assert!(matches!(
            Route::find(&Method::POST, "/v1/completions"),
            Ok(Route::Call(Operation::Complete, _))
        ));
        assert!(matches!(
            Route::find(&Method::POST, "/v1/embeddings"),
            Ok(Route::Call(Operation::Embed, _))
        ));
        assert!(matches!(
            Route::find(&Method::HEAD, "/v1/models"),
            Ok(Route::Models)
        ));
    }

    #[test]
    fn a_models_name_is_the_rest_of_the_path_decoded_once() {
        let name = |path| match Route::find(&Method::GET, path) {
            Ok(Route::Model(name)) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(name("/v1/models/org/m%2Fx%2525"), "org/m/x%25");
        assert_eq!(name("/v1/models/a/../b"), "a/../b");
    }

    #[test]
    fn paths_of_later_versions_say_so() {
        for path in [
            "/v1/messages",
            "/v1/messages/count_tokens",
            "/v1beta/models/m:countTokens",
        ] {
            let error = Route::find(&Method::POST, path).unwrap_err();
            assert_eq!(error.status(), 404);
            assert!(
                error.message().contains("not supported by this version"),
                "{path}"
            );
        }
        let error = Route::find(&Method::POST, "/v1/messages2").unwrap_err();
        assert!(error.message().contains("below /v1"), "{error}");
    }

    #[test]
    fn other_paths_and_methods_are_named() {
        assert_eq!(Route::find(&Method::GET, "/").unwrap_err().status(), 404);
        let error = Route::find(&Method::GET, "/v1/chat/completions").unwrap_err();
        assert_eq!(error.status(), 405);
        assert!(error.message().contains("takes POST, not GET"));
        assert_eq!(Route::allowed("/v1/models"), Some(&Method::GET));
    }
}
