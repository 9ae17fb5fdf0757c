//! What does a process go on without?
//!
//! Nobody who reads what it prints, no room on the disk, no folder for what is temporary, no
//! idea of the year: each is somebody else's fault, and no caller's.

use std::io::pipe;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use spafe::simulator::script::Script;
use tokio::net::TcpStream;

use super::before;
use crate::kit::client::{Connection, chat};
use crate::kit::gateway::{Gateway, LOOK_AGAIN, Setup};
use crate::kit::program::Running;
use crate::kit::reload::replace;
use crate::kit::upstream::{base, unused_address, upstream};
use crate::kit::{script, soon};

/// One transparent pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

#[tokio::test(flavor = "multi_thread")]
async fn without_anybody_who_reads_what_it_prints_it_serves_and_ends_in_order() {
    let upstream = upstream().await;
    for (what, redirected) in [
        ("closed", " >&- 2>&-"),
        ("full", " >/dev/full 2>/dev/full"),
        ("broken", ""),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let config = before(&base(&upstream)).text();
        std::fs::write(folder.path().join("spafe.toml"), config).unwrap();
        let (listen, admin) = (unused_address(), unused_address());
        let command = format!(
            "exec \"$0\" serve --config spafe.toml --listen {listen} --admin {admin}{redirected}"
        );
        // Whoever had read from it is gone.
        let (_, output) = pipe().unwrap();
        let errors = Stdio::from(output.try_clone().unwrap());
        let mut process = Running::shell(folder.path(), &command, output.into(), errors);
        for address in [listen, admin] {
            soon(what, listens(&mut process, address)).await;
        }
        for stream in [false, true, false] {
            assert_eq!(chat(listen, "gpt-4o", stream).await.status, 200, "{what}");
        }
        assert_eq!(chat(listen, "nobody", false).await.status, 404, "{what}");
        assert_eq!(process.terminated().await, Some(0), "{what}");
    }
}

async fn listens(process: &mut Running, address: SocketAddr) {
    while TcpStream::connect(address).await.is_err() {
        assert_eq!(process.code(), None, "it ended");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_full_costs_images_for_as_long_and_nothing_else() {
    let up = upstream().await;
    let gateway = elsewhere(
        before(&base(&up))
            .pool_with("paints", &[&base(&up)], "dialect = \"images\"")
            .model_with("flux", &["paints"], "modality = \"image\"")
            .tables("[images]\nstore = \"full\"\n[log]\nrequests = { file = \"full/requests\" }"),
        "mkdir full && mount -t tmpfs -o size=64k tmpfs full && { cat /dev/zero >full/filler || true; }",
    )
    .start();
    let image = Script::json(
        200,
        json!({"created": 1, "data": [{"b64_json": PNG}]}).to_string(),
    );
    for _ in 0..3 {
        up.push(image.clone());
        let refused = chat(gateway.address, "flux", false).await;
        assert!(refused.status >= 500, "{}", refused.text());
        assert_eq!(chat(gateway.address, "gpt-4o", true).await.status, 200);
    }
    assert_eq!(ready(&gateway).await, 200);
    // The mount is in the process's own view of the machine.
    let view = format!("/proc/{}/root", gateway.pid());
    let filler = format!("{view}{}/full/filler", gateway.folder().display());
    std::fs::remove_file(filler).unwrap();
    up.push(image);
    let kept = chat(gateway.address, "flux", false).await;
    assert_eq!(kept.status, 200, "{}", kept.text());
    assert!(kept.text().contains("/images/"), "{}", kept.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_folder_in_which_nothing_can_be_written_is_not_missed() {
    let upstream = upstream().await;
    let temporary = std::env::temp_dir();
    let temporary = temporary.display();
    let gateway = elsewhere(
        before(&base(&upstream)),
        &format!("mount --bind {temporary} {temporary} && mount -o remount,bind,ro {temporary} && ! touch {temporary}/spafe-test 2>/dev/null"),
    )
    .start();
    for stream in [false, true] {
        assert_eq!(chat(gateway.address, "gpt-4o", stream).await.status, 200);
    }
    // In our view it can, and what is written there is in force at once.
    let more = before(&base(&upstream)).model("another", &["main"]);
    replace(&gateway.config, &more.text());
    assert_eq!(gateway.reload().await.status, 200);
    assert_eq!(chat(gateway.address, "another", false).await.status, 200);
    assert_eq!(gateway.terminate().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn in_1970_it_serves() {
    script::set_up();
    let library = faketime();
    let upstream = upstream().await;
    let gateway = before(&base(&upstream))
        .started_by(&[
            "env",
            &format!("LD_PRELOAD={library}"),
            "TZ=UTC",
            "FAKETIME=@1970-01-01 00:00:00",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
        ])
        .tables("[cache]\nttl = \"1s\"\n[[limits]]\nname = \"l\"\nby = \"client\"\nrequests = { count = 1000, per = \"1m\" }\ncost = { usd = 5.0, per = \"7d\" }")
        .start();
    let mut times = Vec::new();
    for _ in 0..6 {
        for stream in [false, true] {
            let answer = chat(gateway.address, "gpt-4o", stream).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        assert_eq!(ready(&gateway).await, 200);
        let lines = gateway.request_log(1).await;
        times.push(lines.last().unwrap()["time"].to_string());
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let of_1970 = |time: &String| time.starts_with("\"1970-01-01T00:0");
    assert!(times.iter().all(of_1970), "{times:?}");
}

/// A gateway that is started where this was done before, in a view of its own.
fn elsewhere(setup: Setup, done: &str) -> Setup {
    let script = format!("{done} && exec \"$0\" \"$@\"");
    setup.started_by(&[
        "unshare",
        "--mount",
        "--map-root-user",
        "/bin/sh",
        "-c",
        &script,
    ])
}

/// Whether the process says that it is ready.
async fn ready(gateway: &Gateway) -> u16 {
    let mut admin = Connection::open(gateway.admin).await;
    admin
        .send("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    admin.answer().await.status
}

/// The library that tells a process another time.
fn faketime() -> String {
    let machines = std::fs::read_dir("/usr/lib").unwrap().flatten();
    let libraries = machines.map(|it| it.path().join("faketime/libfaketimeMT.so.1"));
    let library = libraries.into_iter().find(|path| path.exists());
    let library = library.expect(".ci/setup-test installs it");
    library.to_str().unwrap().to_owned()
}
