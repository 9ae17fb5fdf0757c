//! What is a caller told who asks why?

use spafe::simulator::script::Script;

use crate::kit::client::{Answer, Connection, ask, post};
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::upstream::{always, base, upstream};

const WHY: &str = "X-Spafe-Explain: 1";
const SHOWN: &str = "Authorization: Bearer test";
const PATH: &str = "/v1/chat/completions";
const KEY: &str = "[auth]\nkeys = \"optional\"\n[[keys]]\nname = \"team-a\"\n\
    sha256 = \"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"\n\
    [[limits]]\nname = \"plenty\"\nby = \"client\"\nrequests = { count = 4, per = \"1h\" }";

async fn asked(gateway: &Gateway, stream: bool, lines: &[&str]) -> Answer {
    let mut client = Connection::open(gateway.address).await;
    let body = ask("m", stream);
    client.send(post(PATH, lines, body.as_bytes())).await;
    client.answer().await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_ask_is_told_why_and_nobody_which_host() {
    let (failing, working) = (always(Script::json(500, "{}")).await, upstream().await);
    let gateway = |explain: &str| {
        let setup = match explain {
            "" => Setup::new(),
            explain => Setup::new().server(&format!("explain = \"{explain}\"")),
        };
        setup
            .tables(KEY)
            .tables("[attempts]\nper_pool_max = 1\n[cache]\nenabled = true\nanonymous = true")
            .pool("first", &[&base(&failing)])
            .pool("second", &[&base(&working)])
            .model("m", &["first", "second"])
            .start()
    };
    for (explain, lines, told) in [
        // Nobody, where the operator says nothing.
        ("", &[WHY, SHOWN][..], false),
        ("off", &[WHY, SHOWN], false),
        ("keys", &[WHY], false),
        ("keys", &[WHY, SHOWN], true),
        ("all", &[], false),
        ("all", &["X-Spafe-Explain: 0"], false),
        ("all", &[WHY], true),
    ] {
        let gateway = gateway(explain);
        for stream in [false, true] {
            let answer = asked(&gateway, stream, lines).await;
            let why = answer.field("x-spafe-explain");
            assert_eq!(why.is_some(), told, "{explain} {lines:?} {answer:?}");
        }
    }
    let gateway = gateway("all");
    let answer = asked(&gateway, false, &[WHY]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let why = answer.field("x-spafe-explain").unwrap();
    for part in [
        "asked=m; model=m; pool=second; target=1/1; attempts=2; cache=miss; body=",
        "ms; gateway=",
        "ms; upstream=",
        "; limits=plenty",
        "; tried=first:server_error:",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert!(!why.contains("127.0.0.1"), "{why}");
    let kept = asked(&gateway, false, &[WHY]).await;
    let why = kept.field("x-spafe-explain").unwrap();
    assert!(why.contains("; attempts=0; cache=hit; "), "{why}");
    // A refusal is explained, too.
    for _ in 0..4 {
        asked(&gateway, false, &[]).await;
    }
    let limited = asked(&gateway, false, &[WHY]).await;
    assert_eq!(limited.status, 429);
    let why = limited.field("x-spafe-explain").unwrap();
    assert!(why.contains("limit=plenty:requests; attempts=0"), "{why}");
}
