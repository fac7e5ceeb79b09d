//! Skills over MCP: each with `tool: true` is a tool of the caller's workspace, over streamable HTTP.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full, Limited};
use moltbot_skills::{Outcome, Ready, Said};
use moltbot_types::{CallError, Caller, Kind, Role};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::Value;
use tower::ServiceExt;

use super::tools::heard;
use crate::live::Live;
use crate::runtime::Runtime;

/// An answer is a list of tools or what one said.
const LARGEST: usize = 8 << 20;

/// The MCP server, without sessions: every request stands alone.
#[derive(Clone)]
pub(crate) struct Mcp {
    service: StreamableHttpService<Tools, NeverSessionManager>,
}

impl Mcp {
    /// The server over the skills of a gateway.
    pub(crate) fn new(live: &Arc<Live>, rt: &Arc<Runtime>) -> Self {
        let tools = Tools {
            live: Arc::downgrade(live),
            rt: Arc::downgrade(rt),
        };
        // Who may ask, the door has seen: key, host and origin.
        let config = StreamableHttpServerConfig::default()
            .with_legacy_session_mode(false)
            .with_json_response(true)
            .disable_allowed_hosts()
            .with_cancellation_token(rt.stop.clone());
        let make = move || Ok(tools.clone());
        Self {
            service: StreamableHttpService::new(make, Arc::default(), config),
        }
    }

    /// Answers one request of a caller.
    ///
    /// # Errors
    /// `Forbidden` for a key that only reads; `Internal` where the answer can't be read.
    pub(crate) async fn answer(
        &self,
        caller: Caller,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Bytes>, CallError> {
        if caller.role < Role::User {
            let words = "this key reads: it calls no tools";
            return Err(CallError::new(Kind::Forbidden, words));
        }
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.headers_mut() = headers;
        request.extensions_mut().insert(caller);
        let answer = match self.service.clone().oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, LARGEST).collect().await;
        let body = body.map_err(|error| {
            CallError::new(Kind::Internal, "the tools' answer can't be read").because(error)
        })?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }
}

/// The tools of whoever asks.
#[derive(Clone)]
struct Tools {
    live: Weak<Live>,
    rt: Weak<Runtime>,
}

impl Tools {
    fn of(
        &self,
        context: &RequestContext<RoleServer>,
    ) -> Result<(Arc<Runtime>, Caller, Vec<Ready>), ErrorData> {
        let down = || ErrorData::internal_error("the gateway is stopping", None);
        let parts = context.extensions.get::<http::request::Parts>();
        let caller = parts.and_then(|parts| parts.extensions.get::<Caller>().cloned());
        let (caller, live) = caller.zip(self.live.upgrade()).ok_or_else(down)?;
        let rt = self.rt.upgrade().ok_or_else(down)?;
        let snapshot = live.snapshot();
        let workspace = snapshot.workspace(&caller.workspace);
        let workspace =
            workspace.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
        let mut tools = rt.skills.ready(&workspace.name, &workspace.rules.policy);
        tools.retain(Ready::is_tool);
        tools.sort_by(|a, b| a.name().cmp(b.name()));
        Ok((rt, caller, tools))
    }
}

impl ServerHandler for Tools {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("moltbot", env!("CARGO_PKG_VERSION")))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let (_, _, tools) = self.of(&context)?;
        let tools = tools.iter().map(|tool| {
            let manifest = tool.manifest();
            let schema = manifest.parameters.as_object().cloned().unwrap_or_default();
            Tool::new(
                manifest.name.clone(),
                manifest.description.clone(),
                Arc::new(schema),
            )
        });
        Ok(ListToolsResult::with_all_items(tools.collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let (rt, caller, tools) = self.of(&context)?;
        let Some(tool) = tools.iter().find(|tool| tool.name() == request.name) else {
            let words = format!("there is no tool {}", request.name);
            return Err(ErrorData::invalid_params(words, None));
        };
        let arguments = Value::Object(request.arguments.unwrap_or_default());
        if let Err(wrong) = tool.manifest().fits(&arguments) {
            let content = vec![ContentBlock::text(format!("error: {wrong}"))];
            return Ok(CallToolResult::error(content).into());
        }
        let said = Said {
            arguments: Some(arguments),
            ..Said::text(caller, "")
        };
        let outcome = rt.skills.run(tool, said).await.outcome;
        let failed = matches!(outcome, Outcome::Fault(_));
        let content = vec![ContentBlock::text(heard(outcome))];
        let result = match failed {
            true => CallToolResult::error(content),
            false => CallToolResult::success(content),
        };
        Ok(result.into())
    }
}
