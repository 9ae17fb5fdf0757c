//! What does an operator see and do with a browser, and what can no other page do?

use crate::kit::client::{Answer, Connection, chat};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::script;
use crate::kit::upstream::{always, base, upstream};
use spafe::simulator::Simulator;
use spafe::simulator::script::Script;

const CHANGING: [&str; 5] = [
    "PUT /log",
    "POST /reload",
    "DELETE /limits?client=127.0.0.1",
    "DELETE /cache",
    "POST /cache/key",
];

async fn operated(server: &str) -> (Gateway, Vec<Simulator>) {
    let (working, failing) = (upstream().await, always(Script::json(500, "{}")).await);
    let gateway = Setup::new()
        .variable("RUST_LOG", "info")
        .server(server)
        .tables("[reload]\nwatch = false\npoll = \"1h\"")
        .tables("[[limits]]\nname = \"plenty\"\nby = \"client\"\nrequests = { count = 1000, per = \"1h\" }")
        .pool("works", &[&base(&working)])
        .model("works", &["works"])
        .pool("fails", &[&base(&failing)])
        .model("fails", &["fails"])
        .start();
    (gateway, vec![working, failing])
}

async fn call(gateway: &Gateway, what: &str, lines: &str) -> Answer {
    let mut admin = Connection::open(gateway.admin).await;
    admin
        .send(format!(
            "{what} HTTP/1.1\r\n{lines}Content-Length: 0\r\n\r\n"
        ))
        .await;
    admin.answer().await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_web_page_changes_anything() {
    let (gateway, _upstreams) = operated("admin_hosts = [\"ops.example\"]").await;
    for what in CHANGING {
        for (lines, allowed) in [
            ("Host: localhost\r\n", false),
            ("Host: localhost\r\nX-Spafe-Admin: 0\r\n", false),
            ("Host: evil.example\r\nX-Spafe-Admin: 1\r\n", false),
            ("Host: ops.example:8081\r\nX-Spafe-Admin: 1\r\n", true),
            ("Host: 127.0.0.1:8081\r\nX-Spafe-Admin: 1\r\n", true),
        ] {
            let answer = call(&gateway, what, lines).await;
            assert_eq!(answer.status != 403, allowed, "{what} {lines}: {answer:?}");
        }
    }
    // Nobody tells a page of another origin that it may send that header.
    let lines = "Host: localhost\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-spafe-admin\r\n";
    let asked = call(&gateway, "OPTIONS /reload", lines).await;
    assert_eq!(asked.status, 403, "{asked:?}");
    assert!(asked.field("access-control-allow-origin").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_whose_name_was_pointed_here_reads_anything() {
    let (gateway, _upstreams) = operated("admin_hosts = [\"ops.example\"]").await;
    for path in [
        "/",
        "/page/page.js",
        "/config",
        "/reload",
        "/failures",
        "/limits",
        "/cache",
        "/nothing",
    ] {
        let told = call(&gateway, &format!("GET {path}"), "Host: evil.example\r\n").await;
        assert_eq!(told.status, 421, "{path}: {told:?}");
        assert!(told.text().contains("admin_hosts"), "{path}: {told:?}");
        for host in ["ops.example", "localhost:1", "192.0.2.1:8081", "[::1]"] {
            let lines = format!("Host: {host}\r\n");
            let told = call(&gateway, &format!("GET {path}"), &lines).await;
            assert_ne!(told.status, 421, "{path} {host}: {told:?}");
        }
    }
    for path in ["/metrics", "/livez", "/readyz"] {
        for what in ["GET", "HEAD"] {
            let what = format!("{what} {path}");
            let lines = "Host: spafe.svc.cluster.local\r\nConnection: close\r\n";
            let mut admin = Connection::open(gateway.admin).await;
            admin.send(format!("{what} HTTP/1.1\r\n{lines}\r\n")).await;
            assert_eq!(admin.head().await.status, 200, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reload_would_change_is_told_and_not_changed() {
    let (gateway, _upstreams) = operated("").await;
    let before = gateway.version().await;
    let told = gateway.told("/reload").await;
    assert_eq!(told["possible"], true, "{told}");
    assert_eq!(told["changes"], serde_json::json!([]), "{told}");

    let text = std::fs::read_to_string(&gateway.config).unwrap();
    let other = text.replace("count = 1000", "count = 7");
    std::fs::write(&gateway.config, &other).unwrap();
    let told = gateway.told("/reload").await;
    let changes = told["changes"].as_array().unwrap();
    let is_it = |key: &str| key.starts_with("limits[plenty].requests");
    assert!(
        changes
            .iter()
            .all(|one| is_it(one["key"].as_str().unwrap())),
        "{told}"
    );
    assert!(!changes.is_empty(), "{told}");
    assert_eq!(gateway.version().await, before);

    std::fs::write(&gateway.config, other.replace("[[limits]]", "[[limit]]")).unwrap();
    let told = gateway.told("/reload").await;
    assert_eq!(told["possible"], false, "{told}");
    assert!(told["problems"][0]["line"].is_u64(), "{told}");
    // A look is no reload that failed.
    assert_eq!(gateway.told("/readyz").await["reload"]["ok"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_was_replaced_is_told_of_and_not_shown() {
    let upstream = upstream().await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "sk-before").unwrap();
    let key = format!("api_key = {{ file = {:?} }}", file.path());
    // Nobody but us looks.
    let gateway = Setup::new()
        .tables("[reload]\nwatch = false")
        .pool_with("keyed", &[&base(&upstream)], &key)
        .model("works", &["keyed"])
        .start();
    assert_eq!(gateway.told("/reload").await["secrets_changed"], false);
    std::fs::write(file.path(), "sk-after").unwrap();
    let told = gateway.told("/reload").await;
    assert_eq!(told["changes"], serde_json::json!([]), "{told}");
    assert_eq!(told["secrets_changed"], true, "{told}");
    assert!(!told.to_string().contains("sk-"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_key_that_was_replaced_is_told_of_and_not_shown() {
    let upstream = upstream().await;
    let (before, after) = ("0a".repeat(32), "0b".repeat(32));
    let gateway = Setup::new()
        .tables(&format!(
            "[reload]\nwatch = false\n[[keys]]\nname = \"team\"\nsha256 = \"{before}\""
        ))
        .pool("p", &[&base(&upstream)])
        .model("works", &["p"])
        .start();
    assert_eq!(gateway.told("/reload").await["secrets_changed"], false);
    let config = std::fs::read_to_string(&gateway.config).unwrap();
    std::fs::write(&gateway.config, config.replace(&before, &after)).unwrap();
    let told = gateway.told("/reload").await;
    assert_eq!(told["secrets_changed"], true, "{told}");
    assert!(!told.to_string().contains(&after), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_failures_are_told_and_no_refusal_is_one() {
    let (gateway, _upstreams) = operated("").await;
    assert_eq!(chat(gateway.address, "works", false).await.status, 200);
    assert_eq!(chat(gateway.address, "nobody", false).await.status, 404);
    assert_eq!(
        gateway.told("/failures").await["failures"],
        serde_json::json!([])
    );
    for _ in 0..60 {
        let failed = chat(gateway.address, "fails", false).await.status;
        assert!(failed >= 500, "{failed}");
    }
    gateway.idle().await;
    let told = gateway.told("/failures").await;
    let failures = told["failures"].as_array().unwrap();
    assert_eq!(failures.len(), 50);
    assert_eq!(failures[0]["model"], "fails");
    assert_eq!(failures[0]["pool"], "fails");
    assert_eq!(failures[0]["code"], "upstream_unavailable");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_looks_and_reloads_in_a_browser() {
    let (gateway, _upstreams) = operated("").await;
    for model in ["works", "fails"] {
        chat(gateway.address, model, false).await;
    }
    let config = gateway.config.to_str().unwrap();
    let environment = [
        ("SPAFE_ADMIN", &*gateway.admin_url("/")),
        ("SPAFE_URL", &*gateway.url("")),
        ("SPAFE_CONFIG", config),
    ];
    script::node("operator.mjs", &environment);
    let address = gateway.admin_url("/");
    let environment = [("SPAFE_URL", &*address), ("SPAFE_OTHER", &*address)];
    script::node("readable.mjs", &environment);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_process_logs_is_changed_while_it_runs() {
    let (gateway, _upstreams) = operated("").await;
    assert_eq!(gateway.told("/log").await["filter"], "info");
    let put = async |query: &str, text: &str| {
        let mut admin = Connection::open(gateway.admin).await;
        let length = text.len();
        admin
            .send(format!(
                "PUT /log{query} HTTP/1.1\r\nHost: localhost\r\nX-Spafe-Admin: 1\r\nContent-Length: {length}\r\n\r\n{text}"
            ))
            .await;
        admin.answer().await
    };
    for (query, text, words) in [
        ("", "spafe=loud", "spafe=loud"),
        ("?for=never", "debug", "for"),
        ("?until=10m", "debug", "?for=10m"),
    ] {
        let refused = put(query, text).await;
        assert_eq!(refused.status, 400, "{query} {text}");
        let error = refused.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(gateway.told("/log").await["filter"], "info");
    // Libraries are silent whatever it says.
    let set = put("?for=600ms", "trace").await;
    assert_eq!(set.status, 200, "{}", set.text());
    let expected = serde_json::json!({ "filter": "trace", "then": "info" });
    assert_eq!(set.json(), expected);
    assert_eq!(chat(gateway.address, "works", false).await.status, 200);
    gateway
        .says("the log has the filter again that it had")
        .await;
    assert!(
        !gateway
            .output()
            .contains("\"level\":\"TRACE\",\"target\":\"pingora")
    );
    assert_eq!(gateway.told("/log").await["filter"], "info");
    assert_eq!(put("", "warn").await.json()["filter"], "warn");
}
