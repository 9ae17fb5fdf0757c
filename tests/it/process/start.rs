//! What can be in the way of a start, and what is said of it?

use std::time::Duration;

use rustix::process::Signal;

use super::before;
use crate::kit::client::{Connection, ask};
use crate::kit::load::Load;
use crate::kit::program::{Running, spafe};
use crate::kit::upstream::{base, upstream};
use crate::kit::{now, script};

#[tokio::test(flavor = "multi_thread")]
async fn killed_under_load_it_listens_again_within_a_second() {
    let upstream = upstream().await;
    let mut gateway = before(&base(&upstream)).start();
    let load = Load::start(gateway.address, "gpt-4o", 8, Duration::from_millis(2));
    load.goes_on(100).await;
    gateway.signal(Signal::KILL);
    gateway.ended().await;
    let began = now();
    let new = gateway.again().await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    let answer = Connection::open(new.address)
        .await
        .post("/v1/chat/completions", ask("gpt-4o", false))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let tally = load.end().await;
    let answers = tally.lost.iter().filter(|seen| seen.contains("status"));
    assert_eq!(answers.count(), 0, "an answer was no 200: {tally:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_few_open_files_it_says_so_and_takes_fewer_connections() {
    let upstream = upstream().await;
    let gateway = before(&base(&upstream))
        .started_by(&["/bin/sh", "-c", "ulimit -n 460; exec \"$0\" \"$@\""])
        .start();
    gateway
        .says("bounds.connections_max is 132 and not 4096")
        .await;
    let limit = gateway.metric("spafe_limit{name=\"connections\"}").await;
    assert!((limit - 132.0).abs() < f64::EPSILON, "{limit}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_be_had_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = upstream().await;
    let config = format!(
        "[[pools]]\nname = \"a\"\ntargets = [{{ url = {:?} }}]\n\n[[models]]\nid = \"m\"\npools = [\"a\"]\n",
        base(&upstream)
    );
    std::fs::write(folder.path().join("spafe.toml"), config).unwrap();
    // Addresses of documentation: no machine has them.
    for (address, words) in [
        ("[2001:db8::1]:8080", "has no IPv6, or not this address"),
        ("192.0.2.1:8080", "does not have that address"),
    ] {
        let arguments = [
            "serve",
            "--config",
            "spafe.toml",
            "--listen",
            address,
            "--admin",
            "127.0.0.1:0",
        ];
        let began = now();
        let ended = spafe(folder.path(), &arguments, &[], "").await;
        assert_eq!(ended.code, Some(1), "{ended:?}");
        let words_before = format!("spafe: cannot listen on {address}: ");
        assert!(ended.stderr.starts_with(&words_before), "{ended:?}");
        assert!(ended.stderr.contains(words), "{ended:?}");
        assert!(began.elapsed() < Duration::from_secs(1));
    }
}

/// A kernel without IPv6 knows no such sockets; one in which it is switched off has no such address.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_ipv6_is_told_what_to_listen_on() {
    script::set_up();
    let folder = tempfile::tempdir().unwrap();
    let upstream = upstream().await;
    let config = before(&base(&upstream)).text();
    std::fs::write(folder.path().join("spafe.toml"), config).unwrap();
    let serve = "\"$0\" serve --config spafe.toml --admin 127.0.0.1:0 --listen";
    let none = "strace -f -qq -o strace -e trace=socket -e inject=socket:error=EAFNOSUPPORT";
    let off = "unshare --net --map-root-user /bin/sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 && exec \"$@\"' sh";
    // Where it is only switched off, `[::]` can be had, and is IPv4's as well.
    for (without, address) in [(none, "[::1]:0"), (none, "[::]:0"), (off, "[::1]:0")] {
        let line = format!("exec {without} {serve} '{address}' 2>&1");
        let (told, code) = Running::told(folder.path(), &line).await;
        assert_eq!(code, Some(1), "{line}: {told}");
        let words = format!("spafe: cannot listen on {address}: ");
        assert!(told.starts_with(&words), "{line}: {told}");
        let hint =
            "this machine has no IPv6, or not this address; name an IPv4 address, such as 0.0.0.0";
        assert!(told.contains(hint), "{line}: {told}");
    }
}
