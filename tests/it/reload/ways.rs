//! However a file is replaced, is it followed?

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::named;
use crate::kit::client::chat;
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::reload::{replace, version};
use crate::kit::upstream::{base, upstream};

/// How soon a change must be in force.
const SOON: Duration = Duration::from_secs(2);
/// How often each way is gone.
const TIMES: usize = 10;

/// A way to replace a file.
type Way = fn(&Path, &str);

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_followed_however_it_is_replaced() {
    let upstream = upstream().await;
    let target = base(&upstream);
    let ways: [(&str, Way); 7] = [
        ("written in place", |path, text| {
            fs::write(path, text).unwrap();
        }),
        ("renamed over", replace),
        ("backed up and made anew", |path, text| {
            fs::rename(path, path.with_extension("toml~")).unwrap();
            fs::write(path, text).unwrap();
            fs::remove_file(path.with_extension("toml~")).unwrap();
        }),
        ("linked", |path, text| {
            let beside = path.with_extension("beside");
            fs::write(&beside, text).unwrap();
            fs::remove_file(path).unwrap();
            fs::hard_link(&beside, path).unwrap();
            fs::remove_file(&beside).unwrap();
        }),
        ("written through a hard link", |path, text| {
            let link = path.with_extension("link");
            fs::hard_link(path, &link).unwrap();
            let mut file = OpenOptions::new()
                .write(true)
                .truncate(true)
                .open(path)
                .unwrap();
            file.write_all(text.as_bytes()).unwrap();
            fs::remove_file(&link).unwrap();
        }),
        ("a symbolic link, pointed elsewhere", |path, text| {
            let (aim, link) = (
                path.with_extension(version(text)),
                path.with_extension("link"),
            );
            fs::write(&aim, text).unwrap();
            symlink(&aim, &link).unwrap();
            fs::rename(&link, path).unwrap();
        }),
        ("deleted, and back", |path, text| {
            fs::remove_file(path).unwrap();
            std::thread::sleep(Duration::from_millis(20));
            fs::write(path, text).unwrap();
        }),
    ];
    let gateway = named("first", &target).start();
    for (way, replace) in ways {
        for number in 0..TIMES {
            let name = format!("{}-{number}", way.split([',', ' ']).collect::<String>());
            let text = named(&name, &target).text();
            replace(&gateway.config, &text);
            let took = gateway.follows(&text).await;
            assert!(took < SOON, "{way}: {took:?}");
            let answer = chat(gateway.address, "m", false).await;
            assert_eq!(answer.field("x-spafe-upstream"), Some(&*name), "{way}");
        }
    }
}

/// Nine pieces, with a pause after each: most beginnings of this text are no TOML, and
/// one of them is a whole configuration. Who holds the file open may write slower than
/// one who opens it for each piece.
#[tokio::test(flavor = "multi_thread")]
async fn half_a_file_is_never_in_force() {
    let upstream = upstream().await;
    let target = base(&upstream);
    // The default debounce.
    let setup = |name| Setup::new().pool(name, &[&target]).model("m", &[name]);
    let first = setup("first");
    let gateway = first.clone().start();
    let half = setup("half").text();
    let whole = format!("{half}\n[[models]]\nid = \"more\"\npools = [\"half\"]\n");
    let mut pieces: Vec<&[u8]> = half.as_bytes().chunks(half.len().div_ceil(8)).collect();
    pieces.push(&whole.as_bytes()[half.len()..]);
    for (is_held_open, pause) in [(false, 50), (true, 350)] {
        fs::write(&gateway.config, "").unwrap();
        let open = || OpenOptions::new().append(true).open(&gateway.config);
        let held = is_held_open.then(|| open().unwrap());
        for piece in &pieces {
            match held.as_ref() {
                Some(mut file) => file.write_all(piece).unwrap(),
                None => open().unwrap().write_all(piece).unwrap(),
            }
            tokio::time::sleep(Duration::from_millis(pause)).await;
            assert_ne!(gateway.version().await, version(&half), "after {pause} ms");
        }
        drop(held);
        let took = gateway.follows(&whole).await;
        assert!(took < SOON, "{took:?}");
        let failures = gateway.metric("spafe_config_reload_failures_total ").await;
        assert!(failures < 0.5, "{failures} reloads of half a file");
        replace(&gateway.config, &first.text());
        gateway.follows(&first.text()).await;
    }
}

/// What the kubelet does: a folder with a new name, and one rename of a link to it.
fn swap(mount: &Path, number: usize, text: &str) {
    let data = format!("..data-{number}");
    fs::create_dir(mount.join(&data)).unwrap();
    fs::write(mount.join(&data).join("spafe.toml"), text).unwrap();
    let old = fs::read_link(mount.join("..data")).ok();
    symlink(&data, mount.join("..data_tmp")).unwrap();
    fs::rename(mount.join("..data_tmp"), mount.join("..data")).unwrap();
    if let Some(old) = old {
        fs::remove_dir_all(mount.join(old)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_map_is_followed_and_its_folder_may_be_made_anew() {
    let upstream = upstream().await;
    let target = base(&upstream);
    let folder = TempDir::with_prefix("spafe-test-").unwrap();
    let mount = folder.path().join("etc/spafe");
    let make = || {
        fs::create_dir_all(&mount).unwrap();
        symlink("..data/spafe.toml", mount.join("spafe.toml")).unwrap();
    };
    make();
    swap(&mount, 0, &named("n-0", &target).text());
    let gateway = Setup::new().file(&mount.join("spafe.toml")).start();
    for number in 1..=30 {
        let text = named(&format!("n-{number}"), &target).text();
        if number % 10 == 0 {
            // The folder, or the one above it, goes and comes back.
            let gone = if number == 20 {
                mount.clone()
            } else {
                mount.parent().unwrap().to_owned()
            };
            fs::remove_dir_all(gone).unwrap();
            make();
        } else if number % 10 == 5 {
            let aside = folder.path().join(format!("aside-{number}"));
            fs::rename(&mount, aside).unwrap();
            make();
        }
        swap(&mount, number, &text);
        let took = gateway.follows(&text).await;
        assert!(took < SOON, "{number}: {took:?}");
    }
}

/// A file system that tells nothing: a name that a process gives itself is in a file of
/// `/proc`, and nobody who watches that file hears of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_system_does_not_tell_is_found_by_looking() {
    let upstream = upstream().await;
    let (to_rename, renames) = std::sync::mpsc::channel::<&str>();
    let (to_path, path) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let id = rustix::thread::gettid().as_raw_nonzero();
        to_path
            .send(format!("/proc/{}/task/{id}/comm", std::process::id()))
            .unwrap();
        while let Ok(name) = renames.recv() {
            let name = std::ffi::CString::new(name).unwrap();
            rustix::thread::set_name(&name).unwrap();
            to_path.send(String::new()).unwrap();
        }
    });
    let key_file = path.recv().unwrap();
    let rename = |name| {
        to_rename.send(name).unwrap();
        path.recv().unwrap();
    };
    rename("sk-first");
    let gateway = Setup::new()
        .tables("[reload]\ndebounce = \"50ms\"\npoll = \"300ms\"")
        .pool_with(
            "p",
            &[&base(&upstream)],
            &format!("api_key = {{ file = {key_file:?} }}"),
        )
        .model("m", &["p"])
        .start();
    for (number, key) in (1..).zip(["sk-second", "sk-third", "sk-fourth"]) {
        rename(key);
        gateway.counts("spafe_config_reloads_total", number).await;
        assert_eq!(chat(gateway.address, "m", false).await.status, 200);
        let request = upstream.next_request().await.unwrap();
        let bearer = format!("Bearer {key}");
        assert_eq!(request.header("authorization"), Some(&*bearer));
    }
    drop(to_rename);
    thread.join().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn unwatched_a_file_is_read_when_somebody_asks() {
    let upstream = upstream().await;
    let target = base(&upstream);
    let setup = |name: &str| {
        Setup::new()
            .tables("[reload]\nwatch = false\ndebounce = \"10ms\"\npoll = \"10ms\"")
            .pool(name, &[&target])
            .model("m", &[name])
    };
    let mut gateway = setup("first").start();
    let before = gateway.version().await;
    let text = setup("second").text();
    replace(&gateway.config, &text);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(gateway.version().await, before);

    gateway.signal(Signal::HUP);
    gateway.follows(&text).await;
    assert!(gateway.is_running(), "SIGHUP ended it");

    let text = setup("third").text();
    replace(&gateway.config, &text);
    let answer = gateway.reload().await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let told = answer.json();
    assert_eq!(told["version"], version(&text));
    assert_eq!(told["generation"], 3);
    assert_eq!(gateway.version().await, version(&text));

    // Watching can be switched on without a restart.
    let text = named("fourth", &target).text();
    replace(&gateway.config, &text);
    gateway.reload().await;
    let text = named("fifth", &target).text();
    replace(&gateway.config, &text);
    follows_soon(&gateway, &text).await;
}

async fn follows_soon(gateway: &Gateway, text: &str) {
    let took = gateway.follows(text).await;
    assert!(took < SOON, "{took:?}");
}

/// A log in the folder of the configuration is written to all the time.
#[tokio::test(flavor = "multi_thread")]
async fn what_else_happens_in_the_folder_is_no_reload() {
    let upstream = upstream().await;
    let gateway = named("first", &base(&upstream))
        .tables("[log]\nrequests = { file = \"requests.log\" }")
        .start();
    let stranger = gateway.folder().join("stranger");
    for number in 0..50 {
        fs::write(&stranger, number.to_string()).unwrap();
        assert_eq!(chat(gateway.address, "m", false).await.status, 200);
    }
    // Neither is the same text once more.
    let text = fs::read_to_string(&gateway.config).unwrap();
    replace(&gateway.config, &text);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(gateway.told("/config").await["generation"], 1);
    assert!(gateway.metric("spafe_config_reloads_total ").await < 0.5);
}
