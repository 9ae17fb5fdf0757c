//! Does an operator get what was typed, and read what there is to know?
//!
//! Commands are run as they are typed and their words compared as they are printed:
//! an operator has nothing else.

/// The admin listener.
mod admin;
/// The end of the process.
mod ending;
/// The dry run of one request.
mod explain;
/// The line of each request.
mod log;
/// Which lines there are, and where.
mod lines;
/// The last requests.
mod recent;
/// Why a request was answered as it was.
mod why;

use std::time::Duration;

use tempfile::TempDir;

use crate::kit::certificate::Certificate;
use crate::kit::client::{Connection, ask};
use crate::kit::gateway::Setup;
use crate::kit::program::{Ended, simulate, spafe};
use crate::kit::upstream::{base, upstream};
use crate::kit::{now, repository};

const GOOD: &str = r#"
[[pools]]
name = "main"
targets = [{ url = "http://127.0.0.1:1001/v1" }, { url = "http://127.0.0.1:1002/v1" }]
api_key = { env = "MAIN_KEY" }

[[pools]]
name = "spare"
targets = [{ url = "http://127.0.0.1:1003/v1" }]
timeouts = { first_event = "5s", answer = "1m" }

[[pools]]
name = "painter"
dialect = "images"
targets = [{ url = "http://127.0.0.1:1004/v1" }]

[[models]]
id = "gpt-4o"
aliases = ["gpt-4o-latest"]
pools = ["main", { pool = "spare", name = "openai/gpt-4o" }]

[[models]]
id = "meta-llama/*"
pools = ["spare"]

[[models]]
id = "flux"
modality = "image"
pools = ["painter"]

[[models]]
id = "keyed-only"
pools = ["main"]
"#;

const BAD: &str = r#"[server]
listen = ["0.0.0.0:99999"]
admin = "0.0.0.0:8081"
tread = 3

[[pools]]
name = "main"
targets = [{ url = "ftp://x" }]
api_key = "sk-very-secret"

[[models]]
id = "m"
pools = ["man"]
"#;

/// Runs a command in a folder that holds `spafe.toml` with this text.
async fn run(config: &str, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Ended {
    let folder = TempDir::with_prefix("spafe-test-").unwrap();
    std::fs::write(folder.path().join("spafe.toml"), config).unwrap();
    spafe(folder.path(), arguments, environment, input).await
}

#[tokio::test]
async fn help_teaches() {
    let help = run(GOOD, &["--help"], &[], "").await;
    assert_eq!(help.code, Some(0));
    for words in [
        "serve",
        "check",
        "simulate",
        "explain",
        "schema",
        "spafe serve --demo",
        "spafe check --config conf/spafe.toml",
        "spafe explain --body -",
    ] {
        assert!(
            help.stdout.contains(words),
            "{words:?} is not in\n{}",
            help.stdout
        );
    }
    let help = run(GOOD, &["serve", "--help"], &[], "").await;
    for words in [
        "SIGTERM",
        "RUST_LOG",
        "--demo[=<POOLS>]",
        "[default: conf/spafe.toml]",
    ] {
        assert!(
            help.stdout.contains(words),
            "{words:?} is not in\n{}",
            help.stdout
        );
    }
    let unknown = run(GOOD, &["serve", "--demo=some"], &[], "").await;
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.stderr.contains("possible values: all, missing"),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn a_good_file_is_good_and_a_missing_secret_is_told() {
    let arguments = ["check", "--config", "spafe.toml"];
    let keyed = run(GOOD, &arguments, &[("MAIN_KEY", "sk-1")], "").await;
    assert_eq!((keyed.code, keyed.stderr.as_str()), (Some(0), ""));
    let (words, version) = keyed.stdout.trim_end().split_once(", version ").unwrap();
    assert_eq!(words, "spafe.toml: ok");
    assert!(version.ends_with(": 4 models over 3 pools"), "{version}");

    let keyless = run(GOOD, &arguments, &[], "").await;
    assert_eq!(keyless.code, Some(0));
    let last = keyless.stdout.lines().last().unwrap();
    assert_eq!(
        last,
        "  pool main is not used: environment variable MAIN_KEY is not set"
    );

    let shipped = repository("conf/spafe.toml");
    let arguments = ["check", "--config", shipped.to_str().unwrap()];
    assert_eq!(run("", &arguments, &[], "").await.code, Some(0));
}

#[tokio::test]
async fn every_problem_of_a_bad_file_is_told_at_once_with_its_place() {
    let expected = r#"spafe.toml:2:11: server.listen[0]: is no address; write an IP address and a port such as "0.0.0.0:8080" or "[::]:8080"
spafe.toml:3:9: server.admin: is not a loopback address; write one such as "127.0.0.1:8081", or add admin_public = true
spafe.toml:4:1: server.tread: is not a known key; did you mean threads?
spafe.toml:8:20: pools[0].targets[0].url: must begin with https:// or http://; write one such as "https://api.openai.com/v1"
spafe.toml:9:11: pools[0].api_key: must be a table such as { env = "OPENAI_API_KEY" }, not text; a secret never stands in this file, so take it out if it does
spafe.toml:13:10: models[0].pools[0]: names a pool that does not exist; did you mean main?
"#;
    for command in ["check", "serve", "explain"] {
        let ended = run(BAD, &[command, "--config", "spafe.toml"], &[], "{}").await;
        assert_eq!(ended.code, Some(1), "{command}");
        assert_eq!(ended.stdout, "", "{command}");
        assert_eq!(ended.stderr, expected, "{command}");
    }
    let nowhere = run(GOOD, &["check", "--config", "nowhere.toml"], &[], "").await;
    assert_eq!(nowhere.code, Some(1));
    assert!(
        nowhere.stderr.starts_with("nowhere.toml cannot be read"),
        "{nowhere:?}"
    );
}

/// A certificate that does not fit its key is found without listening anywhere.
#[tokio::test(flavor = "multi_thread")]
async fn what_only_shows_when_it_is_made_ready_is_checked_too() {
    let folder = TempDir::with_prefix("spafe-test-").unwrap();
    Certificate::new().write(folder.path());
    let tls = "[server.tls]\nlisten = [\"127.0.0.1:0\"]\ncert = { file = \"certificate.pem\" }\nkey = { file = \"key.pem\" }\n";
    std::fs::write(folder.path().join("f.toml"), format!("{tls}{GOOD}")).unwrap();
    let check = ["check", "--config", "f.toml"];
    let ended = spafe(folder.path(), &check, &[], "").await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    std::fs::write(folder.path().join("key.pem"), Certificate::new().key_pem).unwrap();
    let ended = spafe(folder.path(), &check, &[], "").await;
    assert_eq!(ended.code, Some(1));
    let begin = "f.toml:3:17: server.tls.cert.file: cannot use the TLS certificate";
    assert!(ended.stderr.starts_with(begin), "{}", ended.stderr);
}

/// Whatever stands at the path of the configuration, that is said at once.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_configuration_ends_at_once() {
    let folder = TempDir::with_prefix("spafe-test-").unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("empty"), "").unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    std::os::unix::fs::symlink("loop", at("loop")).unwrap();
    let large = std::fs::File::create(at("large")).unwrap();
    large.set_len(100 << 20).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    let kind = rustix::fs::FileType::Fifo;
    rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), kind, mode, 0).unwrap();
    for name in ["gone", "empty", "folder", "loop", "large", "pipe"] {
        for command in ["check", "serve"] {
            let began = now();
            let ended = spafe(folder.path(), &[command, "--config", name], &[], "").await;
            let took = began.elapsed();
            assert_eq!(ended.code, Some(1), "{command} {name}");
            assert!(ended.stderr.starts_with(name), "{}", ended.stderr);
            assert!(took < Duration::from_secs(1), "{command} {name}: {took:?}");
        }
    }
}

#[tokio::test]
async fn the_schema_is_json_and_knows_the_keys() {
    let ended = run("", &["schema"], &[], "").await;
    assert_eq!(ended.code, Some(0));
    let schema: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    for key in [
        "server", "bounds", "timeouts", "attempts", "images", "cors", "log", "pools", "models",
    ] {
        assert!(
            schema["properties"][key]["description"].is_string(),
            "{key}"
        );
    }
    assert_eq!(schema["additionalProperties"], false);
}

#[tokio::test]
async fn the_admin_listener_stays_private_on_the_command_line_too() {
    let public = [
        "serve",
        "--config",
        "spafe.toml",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "0.0.0.0:0",
    ];
    let ended = run(GOOD, &public, &[], "").await;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert_eq!(
        ended.stderr,
        "spafe: the admin listener 0.0.0.0:0 is not on a loopback address: choose one such as 127.0.0.1:8081 with --admin, or add admin_public = true to [server]\n"
    );
    let same = [
        "serve",
        "--config",
        "spafe.toml",
        "--listen",
        "127.0.0.1:9",
        "--admin",
        "127.0.0.1:9",
    ];
    let ended = run(GOOD, &same, &[], "").await;
    assert_eq!(ended.code, Some(1));
    assert!(
        ended
            .stderr
            .contains("admin listener 127.0.0.1:9 takes the same port"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn more_threads_than_the_file_may_name_are_refused_on_the_command_line_too() {
    for threads in ["1025", "999999", "-1", "many"] {
        let argument = format!("--threads={threads}");
        let ended = run(
            GOOD,
            &["serve", "--config", "spafe.toml", &argument],
            &[],
            "",
        )
        .await;
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("from 0 to 1024"), "{ended:?}");
    }
}

#[tokio::test]
async fn a_taken_port_is_told_at_once() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    for arguments in [
        ["--listen", &taken, "--admin", "127.0.0.1:0"],
        ["--listen", "127.0.0.1:0", "--admin", &taken],
    ] {
        let began = now();
        let arguments = [&["serve", "--config", "spafe.toml"][..], &arguments].concat();
        let ended = run(GOOD, &arguments, &[], "").await;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
        let words = format!("spafe: cannot listen on {taken}: ");
        assert!(ended.stderr.starts_with(&words), "{ended:?}");
        assert!(ended.stderr.contains("--listen or --admin"), "{ended:?}");
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "{:?}",
            began.elapsed()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulator_serves_by_itself() {
    let (_running, address) = simulate().await;
    let mut client = Connection::open(address).await;
    let answer = client
        .post("/v1/chat/completions", ask("anything", false))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["object"], "chat.completion");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demonstration_plays_only_the_pools_whose_secret_is_missing() {
    let upstream = upstream().await;
    let base = base(&upstream);
    let gateway = Setup::new()
        .argument("--demo=missing")
        .variable("KNOWN_KEY", "sk-known")
        .pool_with("keyed", &[&base], "api_key = { env = \"KNOWN_KEY\" }")
        .pool_with(
            "keyless",
            &["http://127.0.0.1:9/v1"],
            "api_key = { env = \"UNKNOWN_KEY\" }",
        )
        .pool("open", &[&base])
        .model("keyed", &["keyed"])
        .model("keyless", &["keyless"])
        .model("open", &["open"])
        .start();
    for (model, arrived) in [("keyed", 1), ("keyless", 1), ("open", 2)] {
        let mut client = Connection::open(gateway.address).await;
        let answer = client.post("/v1/chat/completions", ask(model, false)).await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        assert_eq!(upstream.requests().len(), arrived, "{model}");
    }
    let output = gateway.output();
    for line in [
        "  pool keyed          real",
        "  pool keyless        simulated",
        "  pool open           real",
        "  3 models over 3 pools",
        &format!("admin on http://{}", gateway.admin),
        &format!("listening on http://{}", gateway.address),
        "try it:",
    ] {
        assert!(
            output.lines().any(|told| told == line),
            "{line:?} is not in\n{output}"
        );
    }
}
