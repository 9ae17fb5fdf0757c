//! Do the sockets change hands, and does nothing change where they do not?

use std::net::SocketAddr;

use super::*;
use crate::server::listen::Bound;

const SHORT: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(10);

fn asked() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn listening(given: &mut Given) -> (Kept, SocketAddr) {
    let bound = Bound::one(asked(), LONG, given).unwrap();
    (Kept::of([&bound].into_iter()).unwrap(), bound.address)
}

#[tokio::test]
async fn a_new_process_gets_the_very_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    let (kept, address) = listening(&mut Given::default());
    let new = async {
        let (mut given, predecessor) = take(&run_dir, LONG).await.unwrap();
        let (_, taken) = listening(&mut given);
        predecessor.serving().await.unwrap();
        taken
    };
    let (successor, taken) = tokio::join!(offer(&run_dir, &kept, LONG), new);
    assert_eq!(taken, address);
    let pid = successor.unwrap().pid.unwrap();
    assert_eq!(u32::try_from(pid).unwrap(), std::process::id());
    assert!(!run_dir.join("upgrade.sock").exists());
}

#[tokio::test]
async fn a_new_process_that_dies_before_its_word_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    let (kept, _) = listening(&mut Given::default());
    let new = async { drop(take(&run_dir, LONG).await.unwrap()) };
    let (offered, ()) = tokio::join!(offer(&run_dir, &kept, LONG), new);
    assert!(matches!(offered, Err(UpgradeError::Died)), "{offered:?}");
}

#[tokio::test]
async fn a_new_process_that_was_given_up_does_not_serve_beside_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    let (kept, _) = listening(&mut Given::default());
    let new = async {
        let (_, mut predecessor) = take(&run_dir, LONG).await.unwrap();
        // Anything but the word is as good as a minute without it.
        predecessor.0.write_all(&[b'?'; WORD.len()]).await.unwrap();
        predecessor
    };
    let (offered, predecessor) = tokio::join!(offer(&run_dir, &kept, LONG), new);
    assert!(matches!(offered, Err(UpgradeError::Died)), "{offered:?}");
    let said = predecessor.serving().await;
    assert!(matches!(said, Err(UpgradeError::GivenUp)), "{said:?}");
}

#[tokio::test]
async fn a_new_process_serves_where_the_old_one_ends_without_a_word_though_it_is_still_there() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    let (kept, _) = listening(&mut Given::default());
    let offered = async { offer(&run_dir, &kept, LONG).await };
    let (_, predecessor) = tokio::select! {
        taken = take(&run_dir, LONG) => taken.unwrap(),
        // It is told to stop with the sockets handed over and the word not said.
        _ = offered => panic!("nobody has said that they serve"),
    };
    // This process is the old one as well, and is there.
    predecessor.serving().await.unwrap();
}

#[tokio::test]
async fn neither_waits_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    let (kept, _) = listening(&mut Given::default());
    let offered = offer(&run_dir, &kept, SHORT).await;
    assert!(
        matches!(offered, Err(UpgradeError::Nobody(_))),
        "{offered:?}"
    );
    let taken = take(&run_dir, SHORT).await;
    assert!(matches!(taken, Err(UpgradeError::Nobody(_))));
}

#[tokio::test]
async fn what_a_dead_process_left_is_in_nobodys_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder::socket(&folder.path().join("run")).unwrap();
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    Door::open(path).unwrap();
}

#[test]
fn what_a_socket_was_bound_for_is_understood_as_it_was_written() {
    for by_manager in [false, true] {
        let place = Place {
            asked: "[::1]:80".parse().unwrap(),
            by_manager,
        };
        assert_eq!(read(&written(place)), Some(place));
    }
    assert_eq!(read("manager:nobody"), None);
}
