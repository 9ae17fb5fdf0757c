//! Which lines does the request log have, where, and what can nobody do to it?

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use spafe::simulator::script::Script;

use crate::kit::client::{Connection, ask, chat, post};
use crate::kit::gateway::{Gateway, LOOK_AGAIN, Setup};
use crate::kit::reload::replace;
use crate::kit::soon;
use crate::kit::upstream::{always, base, upstream};

const PATH: &str = "/v1/chat/completions";

/// A pipe, and a reader of it who does not read.
fn unread(folder: &Path) -> (PathBuf, fs::File) {
    let pipe = folder.join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let reader = fs::OpenOptions::new().read(true).write(true).open(&pipe);
    (pipe, reader.unwrap())
}

/// Waits until a file has something to be waited for in it.
async fn holds(path: &Path, words: &str) -> String {
    soon("what a file is to hold", async {
        loop {
            let text = fs::read_to_string(path).unwrap_or_default();
            if text.contains(words) {
                return text;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await
}

async fn asked(gateway: &Gateway, model: &str, id: &str) -> u16 {
    let mut client = Connection::open(gateway.address).await;
    let id = format!("X-Request-Id: {id}");
    let body = ask(model, false);
    client.send(post(PATH, &[&id], body.as_bytes())).await;
    client.answer().await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_is_of_what_went_well_and_of_nothing_else() {
    let (works, fails) = (upstream().await, always(Script::json(500, "{}")).await);
    let late = Script::json(500, "{}").delay_head(Duration::from_millis(400));
    let late = always(late).await;
    let gateway = Setup::new()
        .tables("[log]\nsample = 0.0\nslow = \"300ms\"")
        .pool("works", &[&base(&works)])
        .model("works", &["works"])
        .pool("fails", &[&base(&fails)])
        .model("fails", &["fails"])
        .pool("late", &[&base(&late)])
        .model("late", &["late", "works"])
        .start();
    for number in 0..3 {
        assert_eq!(
            asked(&gateway, "works", &format!("well-{number}")).await,
            200
        );
    }
    assert_eq!(asked(&gateway, "nobody", "refused").await, 404);
    assert!(asked(&gateway, "fails", "failed").await >= 500);
    assert_eq!(asked(&gateway, "late", "slow").await, 200);
    assert_eq!(gateway.logged("refused").await["status"], 404);
    assert_eq!(gateway.logged("failed").await["outcome"], "upstream_failed");
    let slow = gateway.logged("slow").await;
    assert_eq!((&slow["slow"], slow.get("sample")), (&true.into(), None));
    assert!(!gateway.output().contains("well-"), "{}", gateway.output());
    let counted = [
        ("spafe_request_log_lines_sampled_out_total", 3),
        ("spafe_request_log_lines_total", 3),
        ("spafe_requests_slow_total", 1),
        ("spafe_request_log_lines_dropped_total", 0),
    ];
    for (name, count) in counted {
        gateway.counts(&format!("{name} "), count).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_writes_a_line_of_their_own() {
    let upstream = upstream().await;
    let gateway = Setup::new()
        .pool("p", &[&base(&upstream)])
        .model("m", &["p"])
        .start();
    let mut client = Connection::open(gateway.address).await;
    let forged = format!(
        "User-Agent: a\"}}\t{{\"request_id\":\"forged\"}} \u{9b}31m\u{202e}{}",
        "x".repeat(4000)
    );
    let lines = ["X-Request-Id: agent", forged.as_str()];
    client
        .send(post(PATH, &lines, ask("m", false).as_bytes()))
        .await;
    assert_eq!(client.answer().await.status, 200);
    let line = gateway.logged("agent").await;
    let agent = line["user_agent"].as_str().unwrap();
    assert!(agent.len() <= 256 && agent.starts_with("a\"}"), "{agent}");
    for harmful in ['\u{9b}', '\u{202e}', '\t'] {
        assert!(!agent.contains(harmful), "{agent:?}");
    }
    // A mebibyte is more than a head may have: it is refused, and leaves one line.
    let mut client = Connection::open(gateway.address).await;
    let huge = format!("User-Agent: {}", "y".repeat(1 << 20));
    client
        .offer(&post(PATH, &["X-Request-Id: huge", &huge], b"{}"))
        .await;
    let refused = client.answer().await.status;
    assert!((400..500).contains(&refused), "{refused}");
    let lines = gateway.request_log(2).await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines.iter().all(|line| line["request_id"] != "forged"));
    assert!(lines.iter().all(|line| line.to_string().len() < 2048));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_moved_away_is_made_again_when_the_process_is_told() {
    let upstream = upstream().await;
    let gateway = Setup::new()
        .tables("[log]\nrequests = { file = \"requests.log\" }")
        .pool("p", &[&base(&upstream)])
        .model("m", &["p"])
        .start();
    let (path, moved) = (
        gateway.folder().join("requests.log"),
        gateway.folder().join("requests.log.1"),
    );
    assert_eq!(asked(&gateway, "m", "before").await, 200);
    holds(&path, "before").await;
    fs::rename(&path, &moved).unwrap();
    // Nothing else has changed, and so no reload has anything to do.
    gateway.signal(Signal::HUP);
    holds(&path, "").await;
    soon("the new file", async {
        while !path.exists() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    // A configuration that is wrong is none of the log's business.
    fs::write(&gateway.config, "nothing = here").unwrap();
    fs::remove_file(&path).unwrap();
    gateway.signal(Signal::HUP);
    soon("the new file", async {
        while !path.exists() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    })
    .await;
    assert_eq!(asked(&gateway, "m", "after").await, 200);
    let text = holds(&path, "after").await;
    assert_eq!(text.lines().count(), 1, "{text}");
    let text = fs::read_to_string(&moved).unwrap();
    assert!(text.contains("before") && !text.contains("after"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_and_how_lines_are_written_is_changed_by_a_reload() {
    let upstream = upstream().await;
    let setup = |log: &str| {
        Setup::new()
            .tables(&format!("[log]\nslow = \"0s\"\n{log}"))
            .pool("p", &[&base(&upstream)])
            .model("m", &["p"])
    };
    let gateway = setup("").start();
    assert_eq!(asked(&gateway, "m", "first").await, 200);
    gateway.logged("first").await;

    let wrong = setup("requests = { file = \"/not/there/requests.log\" }").text();
    replace(&gateway.config, &wrong);
    let refused = gateway.reload().await;
    assert_eq!(refused.status, 422, "{}", refused.text());
    assert_eq!(refused.json()["problems"][0]["key"], "log.requests");
    assert_eq!(asked(&gateway, "m", "second").await, 200);
    gateway.logged("second").await;

    let logfmt = "requests = { file = \"lines\" }\nformat = \"logfmt\"\nclient = \"full\"\nuser_agent = false";
    replace(&gateway.config, &setup(logfmt).text());
    assert_eq!(gateway.reload().await.status, 200);
    assert_eq!(asked(&gateway, "m", "third").await, 200);
    let text = holds(&gateway.folder().join("lines"), "third").await;
    for part in ["request_id=third ", " client=127.0.0.1 ", " status=200 "] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!gateway.output().contains("third"));

    replace(&gateway.config, &setup("requests = \"off\"").text());
    assert_eq!(gateway.reload().await.status, 200);
    assert_eq!(asked(&gateway, "m", "fourth").await, 200);
    replace(&gateway.config, &setup("client = \"hashed\"").text());
    assert_eq!(gateway.reload().await.status, 200);
    assert_eq!(asked(&gateway, "m", "fifth").await, 200);
    let line = gateway.logged("fifth").await;
    let client = line["client"].as_str().unwrap();
    assert!(client.len() == 16 && !client.contains('.'), "{client}");
    let all = fs::read_to_string(gateway.folder().join("lines")).unwrap();
    assert!(!(all + &gateway.output()).contains("fourth"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_costs_lines_and_no_request() {
    let upstream = upstream().await;
    let gateway = Setup::new()
        .tables("[log]\nrequests = { file = \"/dev/full\" }")
        .pool("p", &[&base(&upstream)])
        .model("m", &["p"])
        .start();
    for stream in [false, true, false] {
        assert_eq!(chat(gateway.address, "m", stream).await.status, 200);
    }
    gateway
        .counts("spafe_request_log_lines_dropped_total ", 3)
        .await;
    gateway.counts("spafe_request_log_lines_total ", 0).await;
    gateway.says("request log cannot be written").await;
    assert_eq!(gateway.told("/readyz").await["ready"], Value::Bool(true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_that_nobody_reads_costs_lines_and_no_request() {
    let upstream = upstream().await;
    let folder = tempfile::tempdir().unwrap();
    let (pipe, reader) = unread(folder.path());
    let gateway = Setup::new()
        .tables(&format!(
            "[bounds]\nrequests_per_connection = 1000000\n[log]\nrequests = {{ file = {pipe:?} }}"
        ))
        .pool("p", &[&base(&upstream)])
        .model("m", &["p"])
        .start();
    let address = gateway.address;
    let agent = format!("User-Agent: {}", "x".repeat(300));
    let question = post(PATH, &[&agent], ask("nobody", false).as_bytes());
    let mut client = Connection::open(address).await;
    let name = "spafe_request_log_lines_dropped_total ";
    // What waits is bounded by its bytes, and each line has a few hundred.
    for _ in 0..50 {
        for _ in 0..200 {
            client.send(&question).await;
            assert_eq!(client.answer().await.status, 404);
        }
        if gateway.metric(name).await > 0.0 {
            break;
        }
    }
    assert_eq!(chat(address, "m", true).await.status, 200);
    let dropped = gateway.metric(name).await;
    assert!(dropped > 0.0, "a pipe takes all that is written");
    drop(reader);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_the_process_that_nobody_reads_costs_lines_and_no_request() {
    let upstream = upstream().await;
    let folder = tempfile::tempdir().unwrap();
    let (pipe, reader) = unread(folder.path());
    let script = format!("exec \"$0\" \"$@\" 2>{}", pipe.display());
    let gateway = Setup::new()
        .started_by(&["/bin/sh", "-c", &script])
        .tls()
        .pool("p", &[&base(&upstream)])
        .model("m", &["p"])
        .start();
    let name = "spafe_process_log_lines_dropped_total ";
    // A handshake that fails leaves a line, and anybody can fail.
    for _ in 0..40 {
        for _ in 0..25 {
            let mut client = Connection::open(gateway.tls_address.unwrap()).await;
            client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
            client.closed().await;
        }
        if gateway.metric(name).await > 0.0 {
            break;
        }
    }
    for stream in [false, true] {
        assert_eq!(chat(gateway.address, "m", stream).await.status, 200);
    }
    let dropped = gateway.metric(name).await;
    assert!(dropped > 0.0, "a pipe takes all that is written");
    drop(reader);
}
