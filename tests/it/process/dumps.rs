//! What of a request is left where the process fails?

use std::os::unix::process::ExitStatusExt as _;

use rustix::process::Signal;

use crate::kit::client::{Connection, ask, chat, post};
use crate::kit::gateway::Setup;
use crate::kit::soon;
use crate::kit::upstream::{base, upstream};

const CHAT: &str = "/v1/chat/completions";

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_leaves_no_memory_behind_unless_that_is_wanted() {
    let upstream = upstream().await;
    // Where the system hands dumps to a program, nobody here knows whether it took one.
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let is_written = !pattern.starts_with('|');
    for wanted in [false, true] {
        let mut gateway = Setup::new()
            .started_by(&["/bin/sh", "-c", "ulimit -c unlimited; exec \"$0\" \"$@\""])
            .server(&format!("core_dumps = {wanted}"))
            .pool("p", &[&base(&upstream)])
            .model("m", &["p"])
            .start();
        assert_eq!(chat(gateway.address, "m", false).await.status, 200);
        gateway.signal(Signal::ABORT);
        let ended = gateway.ended().await;
        assert_eq!(ended.signal(), Some(Signal::ABORT.as_raw()));
        if !wanted || is_written {
            assert_eq!(
                ended.core_dumped(),
                wanted,
                "core_dumps = {wanted}: {ended:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_says_where_and_not_what_was_asked() {
    let up = upstream().await;
    for phase in ["body", "route", "deliver", "record"] {
        let gateway = Setup::new()
            .variable("SPAFE_PANIC_AT", phase)
            .variable("RUST_BACKTRACE", "full")
            .tables("[auth]\nkeys = \"optional\"")
            .pool("p", &[&base(&up)])
            .model("m", &["p"])
            .start();
        let mut client = Connection::open(gateway.address).await;
        let lines = [
            "X-Request-Id: panic-1",
            "Authorization: Bearer sk-a-zebra-key",
            "User-Agent: a-zebra-program",
        ];
        let body = ask("m", false).replace("Hi", "a-zebra-word");
        client.send(post(CHAT, &lines, body.as_bytes())).await;
        soon("the end of the connection", client.closed()).await;
        gateway.says("a request ended in a panic").await;
        let output = gateway.output();
        assert!(output.contains("told to panic at"), "{output}");
        assert!(!output.contains("zebra"), "{phase}: {output}");
    }
}
