//! Does what stands in `deploy/` fit the program?
//!
//! Nobody runs those files on every change. But what they name, commands, ports, paths and
//! times, the program has or has not.

use std::time::Duration;

use crate::kit::client::Connection;
use crate::kit::gateway::Setup;
use crate::kit::program::spafe;
use crate::kit::prometheus::promtool;
use crate::kit::upstream::unused_address;
use crate::kit::{repository, script};

/// What a process may take to end beyond its delay and its timeout.
const FAREWELL: Duration = Duration::from_secs(4);

fn text(path: &str) -> String {
    let path = repository("deploy").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands behind each place of these words, up to the line's end.
fn values<'a>(text: &'a str, words: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = text.lines().map(str::trim);
    lines.filter_map(move |line| line.strip_prefix(words).map(str::trim))
}

#[track_caller]
fn value<'a>(text: &'a str, words: &'a str) -> &'a str {
    let found: Vec<&str> = values(text, words).collect();
    let [one] = found.as_slice() else {
        panic!("{words} stands there {} times", found.len());
    };
    one
}

#[tokio::test]
async fn the_commands_are_the_programs() {
    let image = text("Dockerfile");
    let image: Vec<String> = serde_json::from_str(value(&image, "CMD ")).unwrap();
    let pod = text("kubernetes/deployment.yaml");
    let pod: Vec<String> = serde_json::from_str(value(&pod, "args: ")).unwrap();
    let unit = text("systemd/spafe.service");
    let unit = value(&unit, "ExecStart=/usr/bin/spafe ");
    let unit: Vec<String> = unit.split(' ').map(str::to_owned).collect();
    let readme = text("README.md");
    let upgrades = readme
        .lines()
        .filter(|line| line.contains("spafe serve --upgrade"));
    let upgrades = upgrades.map(|line| {
        let words = line.split("spafe ").nth(1).unwrap().split(" &").next();
        words.unwrap().split(' ').map(str::to_owned).collect()
    });
    let commands: Vec<Vec<String>> = [image, pod, unit].into_iter().chain(upgrades).collect();
    assert_eq!(commands.len(), 5);
    for mut command in commands {
        // What is known is told before the file is found missing.
        for word in &mut command {
            *word = word.replace("/etc/spafe/spafe.toml", "/nowhere/spafe.toml");
        }
        let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        let ended = spafe(&repository("deploy"), &arguments, &[], "").await;
        assert_eq!(ended.code, Some(1), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains("/nowhere/spafe.toml"), "{ended:?}");
    }
}

#[tokio::test]
async fn the_pods_configuration_is_good_and_names_the_pods_ports() {
    let folder = repository("deploy/kubernetes");
    let arguments = ["check", "--config", "spafe.toml"];
    let ended = spafe(&folder, &arguments, &[], "").await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let config = text("kubernetes/spafe.toml");
    let pod = text("kubernetes/deployment.yaml");
    let ports: Vec<&str> = values(&pod, "containerPort:").collect();
    assert_eq!(ports, ["8080", "8081"]);
    assert_eq!(value(&config, "listen ="), "[\"0.0.0.0:8080\"]");
    assert_eq!(value(&config, "admin ="), "\"0.0.0.0:8081\"");
    let image = text("Dockerfile");
    assert_eq!(value(&image, "EXPOSE "), "8080");
    let socket = text("systemd/spafe.socket");
    assert_eq!(value(&socket, "ListenStream="), "0.0.0.0:8080");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_probes_ask_for_what_is_answered() {
    let target = format!("http://{}/v1", unused_address());
    let gateway = Setup::new()
        .pool("main", &[&target])
        .model("m", &["main"])
        .start();
    let pod = text("kubernetes/deployment.yaml");
    let paths: Vec<&str> = values(&pod, "path:").collect();
    assert_eq!(paths.len(), 2);
    for path in paths {
        let mut connection = Connection::open(gateway.admin).await;
        connection
            .send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
            .await;
        assert_eq!(connection.answer().await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn what_compose_starts_fits_together() {
    script::python("compose.py", &[]);
    let folder = repository("deploy/compose/gateway");
    let arguments = ["check", "--config", "spafe.toml"];
    let environment = [("SPAFE_SHARED_SECRET", "any"), ("OPENAI_API_KEY", "any")];
    let ended = spafe(&folder, &arguments, &environment, "").await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // Laid out as it is in the container.
    let container = tempfile::tempdir().unwrap();
    std::fs::create_dir(container.path().join("rules")).unwrap();
    for (from, to) in [
        ("deploy/compose/prometheus.yml", "prometheus.yml"),
        ("dashboards/alerts.yml", "rules/alerts.yml"),
        ("dashboards/rules.yml", "rules/rules.yml"),
    ] {
        std::fs::copy(repository(from), container.path().join(to)).unwrap();
    }
    let output = promtool(container.path(), &["check", "config", "prometheus.yml"]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn whoever_stops_it_waits_until_it_has_ended() {
    #[track_caller]
    fn seconds(text: &str) -> Duration {
        Duration::from_secs(
            text.trim_matches('"')
                .trim_end_matches('s')
                .parse()
                .unwrap(),
        )
    }
    let reference = std::fs::read_to_string(repository("conf/reference.toml")).unwrap();
    let pods = text("kubernetes/spafe.toml");
    let pod = text("kubernetes/deployment.yaml");
    let unit = text("systemd/spafe.service");
    let compose = text("compose.yaml");
    for (config, patience) in [
        (&pods, value(&pod, "terminationGracePeriodSeconds:")),
        (&reference, value(&unit, "TimeoutStopSec=")),
        (&reference, value(&compose, "stop_grace_period:")),
    ] {
        let delay = seconds(value(config, "drain_delay ="));
        let timeout = seconds(value(config, "drain_timeout ="));
        assert!(seconds(patience) > delay + timeout + FAREWELL, "{patience}");
    }
}

#[test]
fn the_image_is_built_from_what_is_there() {
    let image = text("Dockerfile");
    let copied = values(&image, "COPY ").filter(|line| !line.starts_with("--from"));
    let ignored = text("Dockerfile.dockerignore");
    let mut seen = 0;
    for line in copied {
        let mut words: Vec<&str> = line.split(' ').collect();
        words.pop();
        for source in words {
            assert!(repository(source).exists(), "{source}");
            let top = source.split('/').next().unwrap();
            let kept = format!("!{top}");
            assert!(ignored.lines().any(|line| line == kept), "{top} is ignored");
            seen += 1;
        }
    }
    assert!(seen > 0);
}
