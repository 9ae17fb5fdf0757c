//! Does anybody notice that a process takes another one's place?

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::Signal;
use spafe::simulator::Simulator;
use spafe::simulator::script::Gate;
use tokio::net::TcpStream;

use crate::kit::client::{Connection, ask};
use crate::kit::dns::{NameServer, Said, addresses};
use crate::kit::frames::{Frames, REFUSED_STREAM, Told, headers, last, post, window};
use crate::kit::gateway::{Gateway, LOOK_AGAIN, Setup};
use crate::kit::http2::Http2;
use crate::kit::load::{Load, MANY, OpenStream, held_stream};
use crate::kit::program::spafe;
use crate::kit::upstream::{always, base, upstream};
use crate::kit::{now, repository, soon};

const PATH: &str = "/v1/chat/completions";
const SOCKET: &str = "var/run/upgrade.sock";

struct Scene {
    gateway: Gateway,
    gate: Gate,
    _upstreams: [Simulator; 2],
}

async fn scene(setup: Setup) -> Scene {
    let gate = Gate::new();
    let upstreams = [always(held_stream(&gate)).await, upstream().await];
    let [streams, quick] = &upstreams;
    let gateway = setup
        .pool("streams", &[&base(streams)])
        .pool("quick", &[&base(quick)])
        .model("streams", &["streams"])
        .model("quick", &["quick"])
        .start();
    Scene {
        gateway,
        gate,
        _upstreams: upstreams,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn under_load_nobody_is_refused_and_streams_finish_on_the_old_process() {
    let setup = Setup::new().server("drain_delay = \"500ms\"").tables(MANY);
    let mut scene = scene(setup).await;
    let address = scene.gateway.address;
    let streams = OpenStream::open_many(address, "streams", 20).await;
    let load = Load::start(address, "quick", 16, Duration::from_millis(5));
    load.goes_on(100).await;

    scene.gateway.signal(Signal::QUIT);
    let new = scene.gateway.successor().await;
    assert_eq!((new.address, new.admin), (address, scene.gateway.admin));
    scene.gateway.says("replaced").await;
    load.goes_on(300).await;
    let tally = load.end().await;
    assert_eq!(tally.lost, Vec::<String>::new());
    assert_eq!(tally.refused, 0);

    // Longer than the old one would wait if it had been told to stop.
    scene.gate.open();
    for stream in streams {
        let rest = stream.rest().await;
        assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
    }
    assert_eq!(scene.gateway.ended().await.code(), Some(0));
    assert_eq!(served(&new).await, 200);
    assert_eq!(admin(&new, "/readyz").await, 200);
    assert_eq!(new.terminate().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_has_time_to_learn_that_it_should_go() {
    let scene = scene(Setup::new().server("drain_delay = \"5s\"").tls()).await;
    let mut kept = Connection::open(scene.gateway.address).await;
    kept.post(PATH, ask("quick", false)).await;
    let http2 = Http2::open(&scene.gateway).await;
    scene.gateway.signal(Signal::QUIT);
    let new = scene.gateway.successor().await;
    assert_eq!(new.tls_address, scene.gateway.tls_address);
    scene.gateway.says("replaced").await;
    http2.ended().await;
    let answer = kept.post(PATH, ask("quick", false)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.field("connection"), Some("close"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_new_process_may_come_before_it_is_asked_for() {
    let mut scene = scene(Setup::new()).await;
    let asked = async {
        // It has made the folder when it waits in it.
        let folder = scene.gateway.folder().join("var/run");
        soon("the new process", async {
            while !folder.exists() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        assert_eq!(served(&scene.gateway).await, 200);
        scene.gateway.signal(Signal::QUIT);
    };
    let (new, ()) = tokio::join!(scene.gateway.successor(), asked);
    assert_eq!(scene.gateway.ended().await.code(), Some(0));
    assert_eq!(served(&new).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_process_can_be_told_to_stop() {
    let mut scene = scene(Setup::new().server("drain_timeout = \"1s\"")).await;
    let stream = OpenStream::open(scene.gateway.address, "streams").await;
    scene.gateway.signal(Signal::QUIT);
    let _new = scene.gateway.successor().await;
    scene.gateway.says("replaced").await;
    scene.gateway.signal(Signal::TERM);
    let rest = stream.rest().await;
    assert!(rest.contains("\"overloaded\""), "{rest}");
    assert_eq!(scene.gateway.ended().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_told_to_stop_while_the_new_one_starts_leaves_that_serving() {
    let names = NameServer::start(addresses(&["127.0.0.1"])).await;
    // Asked once by each process, at its start.
    let table = names.table().replace("\"1s\"", "\"1h\"");
    let setup = Setup::new()
        .tables(&table)
        .pool("named", &["http://up.test:1/v1"])
        .model("named", &["named"]);
    let mut scene = scene(setup).await;
    let stream = OpenStream::open(scene.gateway.address, "streams").await;
    // The new one has the sockets when it asks, and waits for an answer before it serves.
    names.says(Said::Silence);
    scene.gateway.signal(Signal::QUIT);
    let told_to_stop = async {
        names.asked(1).await;
        scene.gateway.signal(Signal::TERM);
        scene.gateway.says("no new connections").await;
    };
    let (new, ()) = tokio::join!(scene.gateway.successor(), told_to_stop);
    // There is nobody else any more who would answer.
    assert_eq!(served(&new).await, 200);
    scene.gate.open();
    let rest = stream.rest().await;
    assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
    assert_eq!(scene.gateway.ended().await.code(), Some(0));
    assert_eq!(served(&new).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_free_when_the_new_process_is_gone_however_long_the_old_one_lasts() {
    let mut scene = scene(Setup::new()).await;
    let addresses = [scene.gateway.address, scene.gateway.admin];
    let stream = OpenStream::open(scene.gateway.address, "streams").await;
    scene.gateway.signal(Signal::QUIT);
    let new = scene.gateway.successor().await;
    scene.gateway.says("replaced").await;
    // Killed.
    drop(new);
    for address in addresses {
        soon("clients to be refused", async {
            while TcpStream::connect(address).await.is_ok() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        })
        .await;
    }
    let again = scene.gateway.again().await;
    assert_eq!(served(&again).await, 200);
    scene.gate.open();
    let rest = stream.rest().await;
    assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
    assert_eq!(scene.gateway.ended().await.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_hear_that_it_should_go_begins_nothing_more() {
    let mut scene = scene(Setup::new().tls()).await;
    // By frames: nobody answers the PING behind GOAWAY, so any stream may still be begun.
    let mut client = Frames::open(&scene.gateway).await;
    let request = |stream: u32, model: &str, streams: bool| {
        let body = ask(model, streams);
        [headers(stream, 0, post(PATH)), last(stream, body)].concat()
    };
    // There is room for all that is asked for.
    client.offer(&window(0, 1 << 30)).await;
    client.offer(&request(1, "streams", true)).await;
    client
        .until("a stream", |told| told.bodies.contains_key(&1))
        .await;
    scene.gateway.signal(Signal::QUIT);
    let _new = scene.gateway.successor().await;
    scene.gateway.says("replaced").await;
    let mut stream = 1;
    soon("a request to be refused", async {
        while client.told.resets.is_empty() {
            stream += 2;
            client.offer(&request(stream, "quick", false)).await;
            let over = |told: &Told| told.answered(stream) || told.resets.contains_key(&stream);
            client.until("an answer", over).await;
        }
    })
    .await;
    // It was not begun, so it may be sent elsewhere; and all before it were answered.
    assert_eq!(client.told.resets, [(stream, REFUSED_STREAM)].into());
    scene.gate.open();
    let asking_on = async {
        while !client.told.closed {
            stream += 2;
            client.offer(&request(stream, "quick", false)).await;
            let over = |told: &Told| told.resets.contains_key(&stream);
            client.until("a refusal", over).await;
        }
    };
    let (status, ()) = tokio::join!(scene.gateway.ended(), asking_on);
    assert_eq!(status.code(), Some(0));
    assert!(client.told.answered(1), "{:?}", client.told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_process_with_a_bad_configuration_asks_for_nothing() {
    let scene = scene(Setup::new()).await;
    scene.gateway.signal(Signal::QUIT);
    let socket = scene.gateway.folder().join(SOCKET);
    soon("the socket", async {
        while !socket.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    std::fs::write(
        scene.gateway.folder().join("bad.toml"),
        "[server]\nport = 1\n",
    )
    .unwrap();
    let began = now();
    let arguments = ["serve", "--upgrade", "--config", "bad.toml"];
    let ended = spafe(scene.gateway.folder(), &arguments, &[], "").await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("bad.toml:2:1"), "{ended:?}");
    assert!(began.elapsed() < Duration::from_secs(3));
    // It is still waited for, so a good one can follow.
    assert_eq!(served(&scene.gateway).await, 200);
    let new = scene.gateway.successor().await;
    assert_eq!(served(&new).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_process_that_cannot_serve_leaves_the_old_one_serving() {
    let scene = scene(Setup::new()).await;
    scene.gateway.signal(Signal::QUIT);
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = holder.local_addr().unwrap().to_string();
    let config = scene.gateway.folder().join("spafe.toml");
    let arguments = [
        "serve",
        "--upgrade",
        "--config",
        config.to_str().unwrap(),
        "--listen",
        &taken,
    ];
    let ended = spafe(scene.gateway.folder(), &arguments, &[], "").await;
    drop(holder);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("cannot listen on"), "{ended:?}");
    scene.gateway.says("not replaced").await;
    assert_eq!(served(&scene.gateway).await, 200);
    assert_eq!(admin(&scene.gateway, "/readyz").await, 200);
    // And the next one may try.
    scene.gateway.signal(Signal::QUIT);
    let new = scene.gateway.successor().await;
    assert_eq!(served(&new).await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_process_that_dies_before_its_word_leaves_the_old_one_serving() {
    let scene = scene(Setup::new()).await;
    scene.gateway.signal(Signal::QUIT);
    let socket = scene.gateway.folder().join(SOCKET);
    soon("the socket", async {
        // It has the sockets and says nothing.
        while UnixStream::connect(&socket).is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    scene.gateway.says("not replaced").await;
    assert_eq!(served(&scene.gateway).await, 200);
    assert!(!socket.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_meeting_is_in_a_folder_of_ours_alone() {
    let scene = scene(Setup::new()).await;
    let folder = scene.gateway.folder().join("var/run");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    scene.gateway.signal(Signal::QUIT);
    scene.gateway.says("open to others").await;
    assert!(!scene.gateway.folder().join(SOCKET).exists());
    assert_eq!(served(&scene.gateway).await, 200);
    let config = scene.gateway.folder().join("spafe.toml");
    let arguments = ["serve", "--upgrade", "--config", config.to_str().unwrap()];
    let ended = spafe(scene.gateway.folder(), &arguments, &[], "").await;
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("open to others"), "{ended:?}");

    std::fs::remove_dir(&folder).unwrap();
    scene.gateway.signal(Signal::QUIT);
    let _new = scene.gateway.successor().await;
    let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o700);
}

/// Only root can become somebody else; any other user has shown above that it is kept out.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_another_user_gets_nothing() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let scene = scene(Setup::new()).await;
    scene.gateway.signal(Signal::QUIT);
    let socket = scene.gateway.folder().join(SOCKET);
    soon("the socket", async {
        while !socket.exists() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    // The folder would keep it out, so the way is opened behind the gateway's back.
    let mut place = socket.as_path();
    while place.starts_with(scene.gateway.folder()) {
        std::fs::set_permissions(place, std::fs::Permissions::from_mode(0o777)).unwrap();
        place = place.parent().unwrap();
    }
    let output = std::process::Command::new("python3")
        .arg(repository("tests/python/another_user.py"))
        .arg("65534")
        .arg(&socket)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n", "{output:?}");
    scene.gateway.says("a process of user 65534").await;
    // Who is ours is waited for still.
    std::fs::set_permissions(
        socket.parent().unwrap(),
        std::fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    let new = scene.gateway.successor().await;
    assert_eq!(served(&new).await, 200);
}

async fn served(gateway: &Gateway) -> u16 {
    let mut connection = Connection::open(gateway.address).await;
    connection.post(PATH, ask("quick", false)).await.status
}

async fn admin(gateway: &Gateway, path: &str) -> u16 {
    let mut connection = Connection::open(gateway.admin).await;
    connection
        .send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        .await;
    connection.answer().await.status
}
