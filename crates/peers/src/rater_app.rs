//! Client of the rater app: rating tasks for people.

use domain::invalid::Invalid;

use crate::context::RequestContext;
use crate::error::PeerError;
use crate::exchange::{Exchange, Operation};
use crate::settings::PeerSettings;
use crate::tasks::{self, NewTask, TaskCreated};

const CREATE_TASK: Operation = Operation { name: "create a task", path: tasks::PATH };

/// The rater app as seen by another service. Clones share connections and circuit.
#[derive(Debug, Clone)]
pub struct RaterApp(Exchange);

impl RaterApp {
    /// A client; nothing is sent until a method is called.
    ///
    /// # Errors
    /// [`Invalid`] naming each setting that is wrong.
    pub fn new(settings: PeerSettings) -> Result<Self, Invalid> {
        Ok(Self(Exchange::new(crate::RATER_APP, settings)?))
    }

    /// Creates a rating task. A task without `task_id` is given one before it is sent, so that a retry cannot create it twice.
    ///
    /// Fallback of the caller: choose by its own rule now and say that no people were asked; the request must not fail for this.
    ///
    /// # Errors
    /// [`PeerError`] after at most two retries; `Refused` with 409 when the id exists with other content.
    pub async fn create_task(&self, context: &RequestContext, task: &NewTask) -> Result<TaskCreated, PeerError> {
        let tenant_id = task.tenant_id.as_deref();
        if task.task_id.is_some() {
            return self.0.post(CREATE_TASK, context, tenant_id, task).await;
        }
        let named = NewTask { task_id: Some(domain::id::new("tsk")), ..task.clone() };
        self.0.post(CREATE_TASK, context, tenant_id, &named).await
    }

    /// Whether calls are refused at once because the rater app failed too often just now.
    #[must_use]
    pub fn is_circuit_open(&self) -> bool {
        self.0.is_circuit_open()
    }
}
