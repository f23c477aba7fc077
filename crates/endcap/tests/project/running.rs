//! Rater app and RLHF backend as processes beside a project, people who sign in, and the steps of the loop.

use std::path::Path;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Map, Value, json};
use storage::accounts::{self, NewAccount};
use storage::connection::Connection;
use storage::raters::{self, NewRater};
use supabase::auth::admin::Arrival;
use testkit::database::TestDatabase;
use testkit::http::{Answer, Client};
use testkit::service::Service;
use testkit::supabase::{Project, SERVICE_KEY};
use tokio_tungstenite::tungstenite::Message;

pub const PASSWORD: &str = "correct horse battery";
/// An administrator with a password of this installation.
pub const LOCAL: &str = "admin@example.com";
/// A rater who is a user of the project.
pub const LINKED: &str = "ada@example.com";

pub struct System {
    rater_app: Client,
    rlhf_backend: Client,
    address: String,
    admin: String,
    rater: String,
    rater_id: String,
    _services: [Service; 2],
    _folder: tempfile::TempDir,
}

impl System {
    /// Starts both services over this database, with an administrator and a rater in it.
    pub async fn start(db: &TestDatabase, project: Option<&Project>) -> Self {
        let mut conn = db.connect();
        add(&mut conn, LOCAL, "platform_admin", Some(PASSWORD));
        let (account_id, rater_id) = add(&mut conn, LINKED, "rater", project.is_none().then_some("another password"));
        if let Some(project) = project {
            bring(project, &mut conn, &account_id, &rater_id).await;
        }
        drop(conn);
        let folder = tempfile::tempdir().unwrap();
        let mut variables = vec![
            ("DATABASE_URL", db.url.clone()),
            ("ENDCAP_GOLDEN_RATE", "0".to_owned()),
            ("ENDCAP_RATE_LIMITS", "off".to_owned()),
            ("ENDCAP_REALTIME_POLL_MS", "50".to_owned()),
            ("ENDCAP_DATABASE_POOL_MIN", "2".to_owned()),
            ("ENDCAP_DATABASE_POOL_MAX", "8".to_owned()),
            ("ENDCAP_ARTIFACT_DIRECTORY", folder.path().join("artifacts").display().to_string()),
        ];
        if let Some(project) = project {
            variables.extend(project.variables());
            variables.extend([
                ("ENDCAP_SIGN_IN", "supabase".to_owned()),
                ("ENDCAP_SUPABASE_PUBLISH", "tasks,rater:*".to_owned()),
                ("ENDCAP_SUPABASE_LISTEN", "announcements".to_owned()),
                ("ENDCAP_CHECKS_FUNCTION", "auto-checks".to_owned()),
                ("ENDCAP_ARTIFACT_STORE", "supabase".to_owned()),
                ("SUPABASE_JWT_SECRET", testkit::supabase::JWT_SECRET.to_owned()),
            ]);
        }
        let variables: Vec<(&str, &str)> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let start = |name: &str| Service::start(&Path::new(env!("CARGO_BIN_EXE_endcap")).with_file_name(name), &variables).unwrap();
        let (rater_app, rlhf_backend) = (start("rater-app"), start("rlhf-backend"));
        let mut system = Self {
            address: rater_app.address.to_string(),
            rater_app: Client::new(rater_app.address),
            rlhf_backend: Client::new(rlhf_backend.address),
            admin: String::new(),
            rater: String::new(),
            rater_id,
            _services: [rater_app, rlhf_backend],
            _folder: folder,
        };
        system.admin = token(&system.sign_in(LOCAL).await);
        let rater = system.sign_in_with(LINKED, if project.is_some() { PASSWORD } else { "another password" }).await;
        system.rater = token(&rater);
        system
    }

    pub async fn sign_in(&mut self, email: &str) -> Answer {
        self.sign_in_with(email, PASSWORD).await
    }

    async fn sign_in_with(&mut self, email: &str, password: &str) -> Answer {
        let body = json!({"email": email, "password": password}).to_string();
        self.rater_app.send("POST", "/auth/v1/token?grant_type=password", &[], Some(body.as_bytes())).await.unwrap()
    }

    /// A task is made, judged and decided, and who listens hears of it.
    pub async fn judges(&mut self, task_id: &str) {
        let url = format!("ws://{}/realtime/v1/websocket?apikey={}&vsn=1.0.0", self.address, self.rater);
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let topic = format!("realtime:rater:{}", self.rater_id);
        let join = json!({"topic": topic, "event": "phx_join", "ref": "1", "join_ref": "1", "payload": {"config": {}, "access_token": self.rater}});
        socket.send(Message::text(join.to_string())).await.unwrap();
        let joined = socket.next().await.unwrap().unwrap().into_text().unwrap();
        assert!(joined.contains("\"ok\""), "{task_id}: {joined}");

        let task = json!({"task_id": task_id, "task_type": "tagging_normalization", "title": "Tag", "prompt": "Which tag?",
            "candidate_a": {"tag": "frozen_ice"}, "candidate_b": {"tag": format!("Frozen {task_id}")}, "required_judgments": 1});
        let made = ask(&mut self.rater_app, "POST", "/v1/tasks", &self.admin, Some(&task)).await;
        assert_eq!(made.status, 201, "{task_id}: {}", made.json());
        assert!(!made.json()["auto_checks"].as_array().unwrap().is_empty(), "{task_id}");
        let held = ask(&mut self.rater_app, "POST", "/v1/assignments/next", &self.rater, Some(&json!({}))).await;
        assert_eq!(held.status, 200, "{task_id}: {} {:?}", held.json(), held.headers);
        let path = format!("/v1/assignments/{}/judgment", held.json()["assignment_id"].as_str().unwrap());
        let judged = ask(&mut self.rater_app, "POST", &path, &self.rater, Some(&json!({"choice": "tie", "confidence": 0.9}))).await;
        assert_eq!(judged.status, 201, "{task_id}: {}", judged.json());
        let judgment_id = judged.json()["judgment_id"].as_str().unwrap().to_owned();
        let heard = async {
            loop {
                let Ok(text) = socket.next().await.unwrap().unwrap().into_text() else { continue };
                if text.contains("judgment_recorded") && text.contains(&judgment_id) {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), heard).await.unwrap_or_else(|_| panic!("{task_id}: nothing was heard"));
        let came_to = ask(&mut self.rater_app, "GET", &format!("/v1/quality/consensus/{task_id}"), &self.admin, None).await.json();
        assert_eq!(came_to["votes"], json!({"tie": 1}), "{task_id}: {came_to}");
    }

    /// Keeps a file: the status.
    pub async fn keeps(&mut self, name: &str) -> u16 {
        let path = format!("/v1/artifacts/exports/loop/{name}.json");
        ask(&mut self.rlhf_backend, "PUT", &path, &self.admin, Some(&json!({"file": name}))).await.status
    }
}

async fn ask(client: &mut Client, method: &str, path: &str, token: &str, body: Option<&Value>) -> Answer {
    let bearer = format!("Bearer {token}");
    let body = body.map(Value::to_string);
    client.send(method, path, &[("Authorization", &bearer)], body.as_ref().map(String::as_bytes)).await.unwrap()
}

fn token(session: &Answer) -> String {
    session.json()["access_token"].as_str().unwrap_or_else(|| panic!("{} {}", session.status, session.json())).to_owned()
}

fn add(conn: &mut Connection, email: &str, role: &str, password: Option<&str>) -> (String, String) {
    let now = chrono::Utc::now();
    let rater = NewRater { name: email.to_owned(), email: Some(email.to_owned()), is_simulated: false, is_calibrated: true };
    let rater_id = raters::insert(conn, &rater, now).unwrap().rater_id;
    let account = NewAccount {
        email: email.to_owned(),
        password_hash: password.map(|password| web::password::hash(password).unwrap()),
        role: role.to_owned(),
        tenant_id: None,
        rater_id: Some(rater_id.clone()),
        display_name: email.to_owned(),
        user_metadata: json!({}),
    };
    (accounts::insert(conn, &account, now).unwrap().account_id, rater_id)
}

/// The rater as a user of the project who has set a password there.
async fn bring(project: &Project, conn: &mut Connection, account_id: &str, rater_id: &str) {
    let client = supabase::project::Project::for_service(&project.url, SERVICE_KEY.into()).unwrap();
    let known = json!({"account_id": account_id, "rater_id": rater_id, "role": "rater"});
    let user = client.bring_user(LINKED, Arrival::Created, known.as_object().unwrap(), &Map::new()).await.unwrap();
    project.held().users.get_mut(&user.id).unwrap().password = Some(PASSWORD.to_owned());
    accounts::link_auth_user(conn, account_id, &user.id, chrono::Utc::now()).unwrap();
}
