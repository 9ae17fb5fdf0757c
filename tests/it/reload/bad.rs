//! Does a bad configuration change nothing, and is it told?

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::named;
use crate::kit::client::chat;
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::reload::replace;
use crate::kit::soon;
use crate::kit::upstream::{base, upstream};

/// Stands where a key should and must not be seen anywhere.
const SECRET: &str = "sk-nobody-may-read-this";

const TIMESTAMP: &str = "spafe_config_last_reload_timestamp_seconds ";

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_changes_nothing_and_is_told() {
    let upstream = upstream().await;
    let target = base(&upstream);
    let good = named("good", &target);
    let gateway = good.clone().start();
    let version = gateway.version().await;
    let since = gateway.metric(TIMESTAMP).await;
    let text = good.text();
    let cases: [(String, &str); 9] = [
        (text.replace("[[models]]", "[[models"), ":"),
        (
            text.replace("[server]", "[server]\nthread = 1"),
            "server.thread:",
        ),
        (
            text.replace("threads = 2", "threads = \"2\""),
            "server.threads:",
        ),
        (
            text.replace("pools = [\"good\"]", "pools = [\"gone\"]"),
            "models[0].pools[0]:",
        ),
        (
            text.replace("targets = [", "targets = [{ url = \"ftp://x\" }, "),
            "pools[0].targets[0].url:",
        ),
        (
            text.replace(
                "targets = [",
                &format!("api_key = \"{SECRET}\"\ntargets = ["),
            ),
            "pools[0].api_key:",
        ),
        (
            text.replace("[bounds]", "[bounds]\nbody_bytes_max = \"0B\""),
            "bounds.body_bytes_max:",
        ),
        (
            text.replace("targets = [", "ca = { file = \"gone.pem\" }\ntargets = ["),
            "pools[0].ca.file:",
        ),
        (String::new(), "models:"),
    ];
    for (number, (bad, key)) in cases.iter().enumerate() {
        replace(&gateway.config, bad);
        gateway.fails(number as u64 + 1).await;
        is_told(&gateway, &version, key).await;
        let answer = chat(gateway.address, "m", false).await;
        assert_eq!(answer.field("x-spafe-upstream"), Some("good"));
    }
    assert!(gateway.metric("spafe_config_reloads_total ").await < 0.5);
    assert!((gateway.metric(TIMESTAMP).await - since).abs() < 0.5);
    let lines = lines_about(&gateway, "configuration not reloaded");
    assert_eq!(lines.len(), cases.len(), "one line each: {lines:?}");
    assert!(!gateway.output().contains(SECRET));

    replace(&gateway.config, &text);
    gateway.counts("spafe_config_last_reload_ok", 1).await;
    let ready = gateway.told("/readyz").await;
    assert_eq!(ready["reload"]["ok"], true);
    assert_eq!(ready["reload"]["problems"], Value::Null);
}

/// In the log, in the metrics, in readiness, and to whoever asks again.
async fn is_told(gateway: &Gateway, version: &str, key: &str) {
    assert!(gateway.metric("spafe_config_last_reload_ok ").await < 0.5);
    let ready = gateway.told("/readyz").await;
    assert_eq!(ready["ready"], true);
    assert_eq!(ready["config"], *version);
    assert_eq!(ready["reload"]["ok"], false, "{ready}");
    let problem = &ready["reload"]["problems"][0];
    assert!(problem["file"].as_str().unwrap().ends_with("spafe.toml"));
    assert!(problem["line"].as_u64().unwrap() >= 1);
    assert!(key.starts_with(problem["key"].as_str().unwrap()), "{ready}");
    assert!(!ready.to_string().contains(SECRET));
    // It is written before the count, and read by another thread than that.
    soon("the log line", async {
        let is_there = || {
            gateway
                .output()
                .lines()
                .any(|line| line.contains("not reloaded") && line.contains(key))
        };
        while !is_there() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let lines = lines_about(gateway, "configuration not reloaded");
    let told = lines.last().unwrap()["problems"].as_str().unwrap();
    assert!(told.contains("spafe.toml:") && told.contains(key), "{told}");
}

fn lines_about(gateway: &Gateway, message: &str) -> Vec<Value> {
    let output = gateway.output();
    let lines = output.lines().filter(|line| line.contains(message));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_is_told_every_problem() {
    let upstream = upstream().await;
    let gateway = Setup::new()
        .tables("[reload]\nwatch = false")
        .pool("p", &[&base(&upstream)])
        .model("m", &["p"])
        .start();
    let text = fs::read_to_string(&gateway.config).unwrap();
    replace(
        &gateway.config,
        &text.replace("threads = 2", "thread = 2\nadmin_public = 3"),
    );
    let answer = gateway.reload().await;
    assert_eq!(answer.status, 422);
    let told = answer.json();
    assert_eq!(told["reloaded"], false);
    assert_eq!(told["version"], gateway.version().await);
    let keys: Vec<&str> = told["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["key"].as_str().unwrap())
        .collect();
    assert_eq!(keys, ["server.thread", "server.admin_public"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_stands_in_its_place_the_file_is_awaited() {
    let upstream = upstream().await;
    let target = base(&upstream);
    let gateway = named("n-0", &target).start();
    let things: [fn(&Path); 5] = [
        |_| {},
        |path| fs::create_dir(path).unwrap(),
        |path| {
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
        },
        |path| symlink(path, path).unwrap(),
        |path| fs::write(path, vec![b'#'; (1 << 20) + 1]).unwrap(),
    ];
    for (number, put) in things.into_iter().enumerate() {
        let before = gateway.version().await;
        fs::remove_file(&gateway.config).unwrap();
        put(&gateway.config);
        gateway.counts("spafe_config_last_reload_ok", 0).await;
        assert_eq!(gateway.reload().await.status, 422, "{number}");
        assert_eq!(gateway.version().await, before, "{number}");
        let answer = chat(gateway.address, "m", false).await;
        assert_eq!(answer.status, 200, "{number}");

        if gateway.config.is_dir() {
            fs::remove_dir(&gateway.config).unwrap();
        }
        let text = named(&format!("n-{}", number + 1), &target).text();
        replace(&gateway.config, &text);
        let took = gateway.follows(&text).await;
        assert!(took < Duration::from_secs(2), "{number}: {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_restart_is_named_and_the_rest_waits_with_it() {
    let upstream = upstream().await;
    let target = base(&upstream);
    let good = named("good", &target);
    let gateway = good.clone().start();
    let version = gateway.version().await;
    let text = good.text();
    // The command line chose both addresses and still does.
    let harmless = text.replace("listen = [\"127.0.0.1:0\"]", "listen = [\"127.0.0.1:9\"]");
    replace(&gateway.config, &harmless);
    gateway.follows(&harmless).await;
    replace(&gateway.config, &text);
    gateway.follows(&text).await;

    let changed = text
        .replace("threads = 2", "threads = 3\nrun_dir = \"elsewhere\"")
        .replace("\"good\"", "\"other\"")
        .replace("[bounds]", "[bounds]\nwrite_stall = \"7s\"")
        + "\n[images]\nstore = \"elsewhere\"\n";
    replace(&gateway.config, &changed);
    gateway.fails(1).await;
    assert_eq!(gateway.version().await, version);
    let ready = gateway.told("/readyz").await;
    let problems = ready["reload"]["problems"].as_array().unwrap().clone();
    for (problem, key) in problems.iter().zip([
        "server.threads",
        "server.run_dir",
        "bounds.write_stall",
        "images.store",
    ]) {
        assert_eq!(problem["key"], key, "{ready}");
        let line = problem["line"].as_u64().unwrap();
        let name = key.split('.').next_back().unwrap();
        let line = changed
            .lines()
            .nth(usize::try_from(line).unwrap() - 1)
            .unwrap();
        assert!(line.starts_with(name), "{key} is not at {line:?}");
        assert!(
            problem["message"]
                .as_str()
                .unwrap()
                .contains("needs a restart")
        );
    }
    assert_eq!(problems.len(), 4, "{ready}");
    let answer = chat(gateway.address, "m", false).await;
    assert_eq!(answer.field("x-spafe-upstream"), Some("good"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_the_last_decides() {
    let upstream = upstream().await;
    let target = base(&upstream);
    let gateway = named("n-0", &target).start();
    let mut asking = tokio::task::JoinSet::new();
    let mut text = String::new();
    for number in 1..=20 {
        text = named(&format!("n-{number}"), &target).text();
        replace(&gateway.config, &text);
        for _ in 0..3 {
            let url = gateway.admin_url("/reload");
            asking.spawn(async move {
                let answer = reqwest::Client::new().post(url);
                let answer = answer.header("x-spafe-admin", "1").send().await.unwrap();
                answer.status().as_u16()
            });
        }
    }
    let statuses = soon("every answer", asking.join_all()).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    gateway.follows(&text).await;
    let told = gateway.told("/config").await;
    assert!(told["generation"].as_u64().unwrap() >= 61, "{told}");
}
