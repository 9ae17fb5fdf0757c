//! Do numbers come as the conventions for generative AI want them?

use serde_json::{Value, json};
use spafe::simulator::script::Script;

use super::{asked, question};
use crate::kit::collector::{Collector, attribute};
use crate::kit::gateway::Setup;
use crate::kit::pair::{chunk, completion, stop};
use crate::kit::upstream::{base, upstream};

const SECONDS: [f64; 14] = [
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
];
const TOKENS: [f64; 14] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
    67_108_864.0,
];

fn points(metric: &Value) -> Vec<Value> {
    let histogram = &metric["histogram"];
    assert_eq!(
        histogram["aggregationTemporality"],
        "AGGREGATION_TEMPORALITY_CUMULATIVE"
    );
    histogram["dataPoints"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_their_names_units_and_buckets() {
    for protocol in ["http", "grpc"] {
        let collector = Collector::start(protocol).await;
        let up = upstream().await;
        up.push(completion("a"));
        let usage = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [], "usage": { "prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8 },
        });
        up.push(Script::sse(&[
            &chunk("a"),
            &stop(0),
            &usage.to_string(),
            "[DONE]",
        ]));
        let gateway = Setup::new()
            .tables(&collector.table("metrics = true"))
            .pool_with("p", &[&base(&up)], "stream_usage = \"ask\"")
            .model("m", &["p"])
            .start();
        for stream in [false, true] {
            asked(&gateway, &[], &question("Hi", stream)).await;
        }
        assert!(gateway.terminate().await.success());
        assert_eq!(collector.spans(), Vec::<Value>::new());
        let duration = collector.metric("gen_ai.server.request.duration");
        assert_eq!(duration["unit"], "s");
        let [point] = &points(&duration)[..] else {
            panic!("one point and not {duration}");
        };
        assert_eq!(point["count"], "2");
        assert_eq!(point["explicitBounds"], json!(SECONDS));
        for (name, value) in [
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.provider.name", "openai"),
            ("gen_ai.request.model", "m"),
        ] {
            assert_eq!(attribute(point, name), value);
        }
        assert_eq!(attribute(point, "error.type"), Value::Null);
        let tokens = collector.metric("gen_ai.client.token.usage");
        assert_eq!(tokens["unit"], "{token}");
        let mut sums = Vec::new();
        for point in points(&tokens) {
            assert_eq!(point["explicitBounds"], json!(TOKENS));
            let kind = attribute(&point, "gen_ai.token.type");
            sums.push((
                kind.as_str().unwrap().to_owned(),
                point["sum"].as_f64().unwrap(),
            ));
        }
        sums.sort_by(|one, other| one.0.cmp(&other.0));
        assert_eq!(
            sums,
            [("input".to_owned(), 6.0), ("output".to_owned(), 10.0)]
        );
        for name in [
            "gen_ai.server.time_to_first_token",
            "gen_ai.server.time_per_output_token",
        ] {
            let metric = collector.metric(name);
            assert_eq!(metric["unit"], "s");
            assert_eq!(points(&metric)[0]["count"], "1", "{name}");
        }
    }
}
