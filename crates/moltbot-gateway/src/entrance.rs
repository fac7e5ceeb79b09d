//! The door for those within the process: their calls are counted, logged and bounded as those of HTTP callers.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use moltbot_types::{Call, CallError, Door, Next, Reply};

use crate::live::Live;
use crate::record::Recording;
use crate::runtime::Runtime;

/// See [`Door`].
pub(crate) struct Entrance {
    live: Arc<Live>,
    rt: Arc<Runtime>,
}

impl Entrance {
    pub(crate) fn new(live: Arc<Live>, rt: Arc<Runtime>) -> Self {
        Self { live, rt }
    }
}

impl Door for Entrance {
    fn enter(&self, call: Call) -> BoxFuture<'static, Result<Reply, CallError>> {
        // Invariant: one snapshot from the door to the last byte.
        let (snapshot, rt) = (self.live.snapshot(), Arc::clone(&self.rt));
        Box::pin(async move {
            let trail = Arc::clone(&call.trail);
            let mut recording = Recording::begin(&rt, call.id, call.begun, trail);
            recording.caller(&call.caller);
            let workspace = snapshot.workspace(&call.caller.workspace);
            if let Ok(workspace) = &workspace {
                let known = workspace.knows(call.head.model.as_str());
                recording.model(&call.head, known, workspace.prices());
            }
            let wait = snapshot.config.server.limits.queue_wait;
            let answered = async {
                let path = workspace?.path();
                let permit = rt.entrance.enter(wait).await?;
                path.call(call).await.map(|reply| (reply, permit))
            };
            match answered.await {
                Ok((mut reply, permit)) => {
                    recording.answered(reply.status.as_u16());
                    reply.hold(recording);
                    reply.hold(permit);
                    Ok(reply)
                }
                Err(error) => {
                    recording.failed(&error);
                    Err(error)
                }
            }
        })
    }
}
