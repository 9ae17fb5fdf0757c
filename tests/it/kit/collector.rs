//! How does a test get a collector of OpenTelemetry's?
//!
//! A small one, which reads what comes with the official messages of another language, over HTTP
//! or over gRPC, and tells of each export. It ends with the test.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use super::gateway::LOOK_AGAIN;
use super::{canary, repository, script, soon};

/// A running collector.
pub(crate) struct Collector {
    /// Where it is, as it stands in a configuration.
    pub(crate) endpoint: String,
    protocol: &'static str,
    child: Child,
    told: Arc<Mutex<Vec<Value>>>,
}

impl Collector {
    /// One that takes everything.
    pub(crate) async fn start(protocol: &'static str) -> Self {
        Self::with(protocol, &[]).await
    }

    /// One that is told more: `tests/python/collector.py` says what.
    pub(crate) async fn with(protocol: &'static str, environment: &[(&str, &str)]) -> Self {
        let mut collector = Self::ready(protocol, environment).await;
        collector.open().await;
        collector
    }

    /// One that is there, and listens only once it is opened.
    pub(crate) async fn ready(protocol: &'static str, environment: &[(&str, &str)]) -> Self {
        script::set_up();
        let mut child = Command::new(repository("target/test-env/python/bin/python"))
            .arg(repository("tests/python/collector.py"))
            .env("PROTOCOL", protocol)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = Arc::<Mutex<Vec<Value>>>::default();
        let telling = Arc::clone(&told);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap();
                telling.lock().unwrap().push(line);
            }
        });
        let collector = Self {
            endpoint: String::new(),
            protocol,
            child,
            told,
        };
        collector.says("ready").await;
        collector
    }

    /// Lets it listen.
    pub(crate) async fn open(&mut self) {
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(b"\n").unwrap();
        let port = self.says("port").await;
        self.endpoint = format!("http://127.0.0.1:{port}");
    }

    async fn says(&self, key: &str) -> Value {
        soon("a collector", async {
            loop {
                let told = self.told.lock().unwrap().clone();
                if let Some(said) = told.iter().find_map(|line| line.get(key)) {
                    return said.clone();
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await
    }

    /// `[otlp]` for it, with more keys.
    pub(crate) fn table(&self, keys: &str) -> String {
        let Self {
            endpoint, protocol, ..
        } = self;
        format!("[otlp]\nendpoint = {endpoint:?}\nprotocol = {protocol:?}\n{keys}")
    }

    /// Every export of a signal up to now.
    pub(crate) fn exports(&self, signal: &str) -> Vec<Value> {
        let told = self.told.lock().unwrap();
        let exports = told.iter().filter(|line| line["signal"] == signal);
        exports.cloned().collect()
    }

    /// Every span up to now.
    pub(crate) fn spans(&self) -> Vec<Value> {
        let all = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
        let exports = self.exports("traces").into_iter();
        let resources = exports.flat_map(|export| all(&export["message"], "resourceSpans"));
        let scopes = resources.flat_map(|resource| all(&resource, "scopeSpans"));
        scopes.flat_map(|scope| all(&scope, "spans")).collect()
    }

    /// Every span, once there are this many.
    pub(crate) async fn has_spans(&self, count: usize) -> Vec<Value> {
        soon("spans", async {
            loop {
                let spans = self.spans();
                if spans.len() >= count {
                    return spans;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await
    }

    /// The metrics of the last export, by name.
    pub(crate) fn metric(&self, name: &str) -> Value {
        let last = self.exports("metrics").pop().expect("no metrics came");
        let metrics = &last["message"]["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
        let mut metrics = metrics.as_array().unwrap().iter();
        let metric = metrics.find(|metric| metric["name"] == name);
        metric
            .unwrap_or_else(|| panic!("no {name} in {last}"))
            .clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            // How it was asked has the key for it.
            let messages: Vec<_> = told.iter().map(|line| &line["message"]).collect();
            canary::opens_nothing("a collector", &serde_json::json!(messages).to_string());
        }
    }
}

/// What an attribute of a span, a point or a resource says; null where it is not there.
pub(crate) fn attribute(of: &Value, name: &str) -> Value {
    let attributes = of["attributes"].as_array().into_iter().flatten();
    let mut found = attributes.filter(|attribute| attribute["key"] == name);
    let value = found.next().map(|attribute| attribute["value"].clone());
    assert!(found.next().is_none(), "{name} stands twice in {of}");
    let Some(Value::Object(value)) = value else {
        return Value::Null;
    };
    value
        .into_iter()
        .next()
        .map_or(Value::Null, |(_, value)| value)
}

/// An id as a header has it, of one as JSON has bytes.
pub(crate) fn hex(id: &Value) -> String {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let bytes = engine.decode(id.as_str().unwrap_or_default()).unwrap();
    let mut hex = String::with_capacity(32);
    for byte in bytes {
        write!(hex, "{byte:02x}").unwrap();
    }
    hex
}
