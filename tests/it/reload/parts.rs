//! What is replaced with the configuration, and what outlives it?

use std::fs;

use rustix::process::Signal;
use spafe::simulator::script::{Gate, Script};

use super::named;
use crate::kit::certificate::Certificate;
use crate::kit::client::{Connection, ask, chat};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::pair::{Upstream, WIRES, Wire, chunk, completion, stop};
use crate::kit::reload::replace;
use crate::kit::soon;
use crate::kit::upstream::{always, base, upstream};

const CHAT: &str = "/v1/chat/completions";

/// A pool whose key is in a file beside the configuration.
fn keyed(target: &str) -> Setup {
    Setup::new()
        .tables("[reload]\ndebounce = \"50ms\"")
        .pool_with("p", &[target], "api_key = { file = \"key\" }")
        .model("m", &["p"])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_used_at_once_and_old_requests_keep_theirs() {
    let gate = Gate::new();
    let upstream = upstream().await;
    let gateway = keyed(&base(&upstream)).start();
    // Until the secret is there, its pool is reported and not used.
    assert_eq!(chat(gateway.address, "m", false).await.status, 503);
    let key = gateway.folder().join("key");
    for (number, secret) in (1..).zip(["sk-one", "sk-two", "sk-three"]) {
        fs::write(&key, secret).unwrap();
        gateway.counts("spafe_config_reloads_total", number).await;
        upstream.push(completion("x"));
        assert_eq!(chat(gateway.address, "m", false).await.status, 200);
        let request = upstream.next_request().await.unwrap();
        let bearer = format!("Bearer {secret}");
        assert_eq!(request.header("authorization"), Some(&*bearer));
    }
    // One that refuses the old key is asked with the new one.
    upstream.push(Script::json(401, "{}"));
    assert_eq!(chat(gateway.address, "m", false).await.status, 502);
    assert_eq!(chat(gateway.address, "m", false).await.status, 503);
    let old = upstream.requests().len();
    fs::write(&key, "sk-four").unwrap();
    gateway.counts("spafe_config_reloads_total", 4).await;
    upstream.push(completion("x").hold_head(&gate));
    let address = gateway.address;
    let waiting = tokio::spawn(async move { chat(address, "m", false).await.status });
    soon("the request", async {
        while upstream.requests().len() == old {
            tokio::task::yield_now().await;
        }
    })
    .await;
    fs::write(&key, "sk-five").unwrap();
    gateway.counts("spafe_config_reloads_total", 5).await;
    gate.open();
    assert_eq!(waiting.await.unwrap(), 200);
    let held = &upstream.requests()[old];
    assert_eq!(held.header("authorization"), Some("Bearer sk-four"));
    let told = gateway.told("/config").await;
    assert_eq!(told["generation"], 6);
    assert!(!told.to_string().contains("sk-five"));
    assert!(!gateway.output().contains("sk-"));
}

/// Who is shown at the TLS listener.
async fn shown(gateway: &Gateway, certificate: &Certificate) -> bool {
    let trusted = reqwest::Certificate::from_pem(certificate.certificate_pem.as_bytes()).unwrap();
    let client = reqwest::Client::builder()
        .tls_certs_only([trusted])
        .build()
        .unwrap();
    let answer = client.get(gateway.tls_url("/v1/models")).send().await;
    answer.is_ok_and(|answer| answer.status() == 200)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_handshake_shows_the_new_certificate() {
    let upstream = upstream().await;
    let gateway = named("p", &base(&upstream)).tls().start();
    let first = fs::read_to_string(gateway.folder().join("certificate.pem")).unwrap();
    let first = Certificate {
        certificate_pem: first,
        key_pem: String::new(),
    };
    assert!(shown(&gateway, &first).await);
    let kept = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(first.certificate_pem.as_bytes()).unwrap()])
        .build()
        .unwrap();
    let url = gateway.tls_url("/v1/models");
    assert_eq!(kept.get(&url).send().await.unwrap().status(), 200);

    let second = Certificate::new();
    // One half of a new pair fits nothing: the old one stays.
    fs::write(gateway.folder().join("key.pem"), &second.key_pem).unwrap();
    gateway.fails(1).await;
    let ready = gateway.told("/readyz").await;
    assert_eq!(
        ready["reload"]["problems"][0]["key"],
        "server.tls.cert.file"
    );
    assert!(shown(&gateway, &first).await);
    assert!(!shown(&gateway, &second).await);

    fs::write(
        gateway.folder().join("certificate.pem"),
        &second.certificate_pem,
    )
    .unwrap();
    gateway.counts("spafe_config_reloads_total", 1).await;
    assert!(shown(&gateway, &second).await);
    assert!(!shown(&gateway, &first).await);
    // The connection that was there does not notice.
    assert_eq!(kept.get(&url).send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_on_a_removed_pool_finish_and_leave_nothing() {
    for wire in WIRES {
        removed(wire).await;
    }
}

/// A pool is removed while streams run on it.
async fn removed(wire: Wire) {
    const STREAMS: usize = 40;
    let gate = Gate::new();
    let first = chunk("a");
    let script = Script::sse(&[&first, &chunk("b"), &stop(0)])
        .hold_after("data: \n\n".len() + first.len(), &gate);
    let (old, new) = (Upstream::start(wire).await, Upstream::start(wire).await);
    old.simulator.default(script);
    let setup = || {
        Setup::new()
            .tables("[reload]\ndebounce = \"50ms\"")
            .tables("[bounds]\nin_flight_per_client_max = 100")
    };
    let gateway = old.pool(setup(), "old", "").model("m", &["old"]).start();
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut client = Connection::open(gateway.address).await;
        client
            .send(crate::kit::client::post(
                CHAT,
                &[],
                ask("m", true).as_bytes(),
            ))
            .await;
        let head = client.head().await;
        assert_eq!(head.status, 200);
        let piece = client.piece(&head).await.unwrap();
        streams.push((client, head, piece));
    }
    let text = new.pool(setup(), "new", "").model("m", &["new"]).text();
    replace(&gateway.config, &text);
    gateway.follows(&text).await;
    let old = old.simulator;
    // The gauges of what is gone are gone.
    gateway.counts("spafe_target_fit{pool=\"old\"", 0).await;
    let asked = old.requests().len();
    for _ in 0..20 {
        let answer = chat(gateway.address, "m", false).await;
        assert_eq!(answer.field("x-spafe-upstream"), Some("new"));
    }
    assert_eq!(old.requests().len(), asked);
    gate.open();
    for (mut client, head, mut piece) in streams {
        while let Some(more) = client.piece(&head).await {
            piece.extend(more);
        }
        let text = String::from_utf8(piece).unwrap();
        assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    }
    let began = crate::kit::now();
    for number in 0..old.connections().len() {
        old.connection_closed(number).await.unwrap();
    }
    let took = began.elapsed();
    assert!(took.as_secs() < 5, "closed after {took:?}");
    soon("the end of its series", async {
        while gateway.metrics().await.contains("pool=\"old\"") {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_target_lived_through_and_what_was_counted_stays() {
    let upstream = upstream().await;
    let gateway = named("p", &base(&upstream)).start();
    let text = |number: usize| format!("{}\n# {number}\n", named("p", &base(&upstream)).text());
    for number in 1..=5 {
        assert_eq!(chat(gateway.address, "m", false).await.status, 200);
        replace(&gateway.config, &text(number));
        gateway.follows(&text(number)).await;
    }
    gateway
        .counts_in_all("spafe_requests_total", &["model=\"m\"", "pool=\"p\""], 5)
        .await;
    // Its connections, too.
    assert_eq!(upstream.connections().len(), 1);
    let versions = gateway.metrics().await;
    let versions = versions
        .lines()
        .filter(|line| line.starts_with("spafe_config_info{"));
    assert_eq!(versions.count(), 1);

    upstream.default(Script::json(500, "{}"));
    for _ in 0..3 {
        chat(gateway.address, "m", false).await;
    }
    assert_eq!(gateway.told("/readyz").await["pools"]["p"]["usable"], false);
    replace(&gateway.config, &text(6));
    gateway.follows(&text(6)).await;
    assert_eq!(gateway.told("/readyz").await["pools"]["p"]["usable"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demonstration_plays_the_pools_of_the_new_file_too() {
    let gone = "http://127.0.0.1:9/v1";
    let gateway = named("first", gone).argument("--demo").start();
    assert_eq!(chat(gateway.address, "m", false).await.status, 200);
    let text = named("second", gone).text();
    replace(&gateway.config, &text);
    gateway.follows(&text).await;
    let answer = chat(gateway.address, "m", false).await;
    assert_eq!(
        answer.field("x-spafe-upstream"),
        Some("second"),
        "{}",
        answer.text()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_keeps_its_configuration() {
    let gate = Gate::new();
    let upstream = always(completion("x").hold_head(&gate)).await;
    let mut gateway = named("p", &base(&upstream)).start();
    let address = gateway.address;
    let waiting = tokio::spawn(async move { chat(address, "m", false).await.status });
    upstream.next_request().await.unwrap();
    gateway.signal(Signal::TERM);
    soon("the drain", async {
        while gateway.told("/readyz").await["draining"] == false {}
    })
    .await;
    replace(&gateway.config, &named("q", &base(&upstream)).text());
    gateway.signal(Signal::HUP);
    assert_eq!(gateway.reload().await.status, 409);
    assert_eq!(gateway.told("/config").await["generation"], 1);
    gate.open();
    assert_eq!(waiting.await.unwrap(), 200);
    assert!(gateway.ended().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn another_bound_of_what_is_kept_is_followed_and_told() {
    let upstream = upstream().await;
    let setup = |size: &str| {
        let tables = format!("[cache]\nmax_bytes = \"{size}\"\nentry_bytes_max = \"4KiB\"");
        named("p", &base(&upstream)).tables(&tables)
    };
    let gateway = setup("1MiB").start();
    let limit = "spafe_cache_bytes_limit";
    gateway.counts(limit, 1 << 20).await;
    let entry = "spafe_limit{name=\"cache_entry_bytes\"}";
    gateway.counts(entry, 4 << 10).await;
    replace(&gateway.config, &setup("3MiB").text());
    gateway.counts(limit, 3 << 20).await;
}
