//! How does a test ask what an operator's Prometheus would know?
//!
//! The real server, on a port of its own and in a folder of its own, looks at gateways
//! several times a second and is asked over its own interface. It ends with the test.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use reqwest::Url;
use serde_json::Value;
use tempfile::TempDir;

use super::gateway::LOOK_AGAIN;
use super::{repository, script, soon};

/// A running server.
pub(crate) struct Prometheus {
    address: SocketAddr,
    child: Child,
    folder: TempDir,
}

/// One series of an answer: its labels, and its value now.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) value: f64,
}

impl Prometheus {
    /// A server that looks at these admin listeners, with these files of rules.
    pub(crate) async fn start(gateways: &[SocketAddr], rules: &[(&str, String)]) -> Self {
        script::set_up();
        let folder = TempDir::with_prefix("spafe-test-").unwrap();
        let mut config = String::from(
            "global:\n  scrape_interval: 250ms\n  scrape_timeout: 250ms\n  evaluation_interval: 500ms\nrule_files:\n",
        );
        for (name, text) in rules {
            std::fs::write(folder.path().join(name), text).unwrap();
            writeln!(config, "  - {name}").unwrap();
        }
        config.push_str("scrape_configs:\n  - job_name: spafe\n    static_configs:\n");
        let targets: Vec<String> = gateways.iter().map(ToString::to_string).collect();
        writeln!(config, "      - targets: {targets:?}").unwrap();
        std::fs::write(folder.path().join("prometheus.yml"), config).unwrap();
        let address = {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            free.local_addr().unwrap()
        };
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(program("prometheus"))
            .args([
                "--config.file",
                "prometheus.yml",
                "--storage.tsdb.path",
                "data",
            ])
            .arg(format!("--web.listen-address={address}"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut started = Self {
            address,
            child,
            folder,
        };
        soon("Prometheus", started.listens()).await;
        started
    }

    /// What a query gives now; the error is what the server says of it.
    pub(crate) async fn ask(&self, query: &str) -> Result<Vec<Series>, String> {
        self.answer(&[("query", query)]).await
    }

    /// What a query gave at a time, in seconds since 1970.
    pub(crate) async fn ask_of(&self, time: f64, query: &str) -> Result<Vec<Series>, String> {
        let time = time.to_string();
        self.answer(&[("query", query), ("time", &time)]).await
    }

    async fn answer(&self, parameters: &[(&str, &str)]) -> Result<Vec<Series>, String> {
        let answer = self.get("query", parameters).await;
        if answer["status"] != "success" {
            return Err(answer["error"].to_string());
        }
        let data = &answer["data"];
        if data["resultType"] == "scalar" {
            return Ok(vec![series(&Value::Null, &data["result"][1])]);
        }
        let found = data["result"].as_array().unwrap();
        Ok(found
            .iter()
            .map(|found| series(&found["metric"], &found["value"][1]))
            .collect())
    }

    /// The labels of all alerts that fire.
    pub(crate) async fn firing(&self) -> Vec<BTreeMap<String, String>> {
        let found = self.ask("ALERTS{alertstate=\"firing\"}").await.unwrap();
        found.into_iter().map(|series| series.labels).collect()
    }

    /// Every rule as the server has read it.
    pub(crate) async fn rules(&self) -> Vec<Value> {
        let answer = self.get("rules", &[]).await;
        let groups = answer["data"]["groups"].as_array().unwrap();
        groups
            .iter()
            .flat_map(|group| group["rules"].as_array().unwrap().clone())
            .collect()
    }

    /// Its address, for a script.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn get(&self, what: &str, parameters: &[(&str, &str)]) -> Value {
        let address = format!("{}/api/v1/{what}", self.url());
        let url = Url::parse_with_params(&address, parameters).unwrap();
        let answer = soon(what, reqwest::get(url)).await.unwrap();
        answer.json().await.unwrap()
    }

    async fn listens(&mut self) {
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("it ended ({status})");
            }
            let ready = reqwest::get(format!("{}/-/ready", self.url())).await;
            if ready.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log"));
            let log = log.unwrap_or_default();
            let lines = log.lines().filter(|line| !line.contains("level=info"));
            eprintln!("--- what Prometheus says");
            lines.for_each(|line| eprintln!("{line}"));
        }
    }
}

/// Runs promtool in a folder.
pub(crate) fn promtool(folder: &Path, arguments: &[&str]) -> Output {
    script::set_up();
    let mut command = Command::new(program("promtool"));
    command.args(arguments).current_dir(folder);
    command.stdin(Stdio::null()).output().unwrap()
}

fn program(name: &str) -> PathBuf {
    repository("target/test-env/prometheus").join(name)
}

fn series(labels: &Value, value: &Value) -> Series {
    let labels = labels.as_object().into_iter().flatten();
    Series {
        labels: labels
            .map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()))
            .collect(),
        value: value.as_str().unwrap().parse().unwrap(),
    }
}
