//! What does a caller see where twice as much is asked as can be done?
//!
//! Callers who come whether or not others were answered (open loop), as the world does:
//! a test whose callers wait for each other never overloads anything. What can be done is
//! measured first, with callers who do wait (closed loop); then there are runs at 80 % of
//! that and at twice as much, and a look at how it is afterwards.
//!
//! Once the bound is a pool's, at an upstream that takes 50 ms and has a known number of
//! places; once it is the program's own number of requests; and once it is the core that the
//! program has.

use std::time::Duration;

use spafe::simulator::script::Script;
use spafe::simulator::{Options, Simulator};

use crate::kit::client::chat;
use crate::kit::gateway::{Gateway, Setup};
use crate::kit::pair::completion;
use crate::kit::upstream::base;
use crate::lasting;
use crate::load::{Course, closed, open};
use crate::report::Watch;

/// How long one refusal may take.
const REFUSED_P99_MAX: Duration = Duration::from_millis(50);
/// How soon all must be as it was.
const RECOVERY: Duration = Duration::from_secs(5);
/// Memory of a program with some hundreds of connections; it is 1 GiB with all.
const MEMORY_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// What memory may grow by in a minute.
const GROWTH_BYTES_A_MINUTE: f64 = 1024.0 * 1024.0;

/// What callers' connections may do: as many as they like from one address, and for as long as
/// they like, or all that were opened together would end together, and take their memory along.
const CONNECTIONS: &str =
    "[bounds]\nconnections_per_address_max = 4096\nrequests_per_connection = 1_000_000_000";

/// So many requests in flight, whoever asks.
fn bounds(in_flight_max: u32) -> String {
    format!(
        "{CONNECTIONS}\nin_flight_max = {in_flight_max}\nin_flight_per_client_max = {in_flight_max}"
    )
}

/// An upstream that records nothing, or it would be the one that grows.
async fn upstream(script: Option<Script>) -> Simulator {
    let listen = ([127, 0, 0, 1], 0).into();
    let upstream = Simulator::start(listen, Options::instant()).await.unwrap();
    if let Some(script) = script {
        upstream.default(script);
    }
    upstream
}

/// Answers a second that can be given, by the best of three looks.
async fn capacity(gateway: &Gateway, callers: usize) -> f64 {
    let look = lasting(30) / 10;
    let mut best: f64 = 0.0;
    for _ in 0..3 {
        best = best.max(closed(gateway.address, callers, look).await.goodput());
    }
    best
}

/// Runs at 80 % and at twice the capacity, and holds the second against the first. How long
/// things take is judged where the program had at least this share of a core; else it was
/// others that kept it waiting.
async fn overload(
    what: &str,
    gateway: &Gateway,
    (capacity, lasts): (f64, Duration),
    share_min: f64,
) {
    let _watch = Watch::begin(gateway, &format!("overload-{}", what.replace(' ', "-")));
    let quiet = open(gateway, 0.8 * capacity, lasting(120) / 4).await;
    quiet.tell(&format!("{what}: 80 % of {capacity:.0}/s"));
    let much = open(gateway, 2.0 * capacity, lasts).await;
    much.tell(&format!("{what}: 200 %"));
    tokio::time::sleep(RECOVERY).await;
    let after = open(gateway, 0.8 * capacity, lasting(120) / 8).await;
    after.tell(&format!("{what}: 80 % again"));
    let mut faults = promises(&quiet, &much, &after);
    if much.share >= share_min {
        faults.extend(times(&quiet, &much, &after, capacity));
    } else {
        println!("{what}: the machine is too busy to judge by time");
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// What is wrong, however long it took.
fn promises(quiet: &Course, much: &Course, after: &Course) -> Vec<String> {
    let mut faults = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            faults.push(what);
        }
    };
    must(!much.refused.is_empty(), "nobody was refused".to_owned());
    for course in [quiet, much, after] {
        must(course.lost == 0, format!("{} not answered", course.lost));
        must(
            course.odd.is_empty(),
            format!("odd answers: {:?}", course.odd),
        );
    }
    let memory = much.memory_bytes.iter().max().copied().unwrap_or(0);
    must(memory <= MEMORY_BYTES_MAX, format!("{memory} bytes"));
    let growth = much.growth_bytes_a_minute();
    must(
        growth.is_none_or(|growth| growth < GROWTH_BYTES_A_MINUTE),
        format!("grows by {growth:?} bytes a minute"),
    );
    faults
}

/// What took too long.
fn times(quiet: &Course, much: &Course, after: &Course, capacity: f64) -> Vec<String> {
    let mut faults = Vec::new();
    let mut must = |holds: bool, what: String| {
        if !holds {
            faults.push(what);
        }
    };
    let share = much.goodput() / capacity;
    must(share >= 0.9, format!("goodput is {share:.2} of capacity"));
    let refused = much.refused_p99();
    must(
        refused <= REFUSED_P99_MAX,
        format!("refused in {refused:?} at p99"),
    );
    let (slow, usual) = (much.accepted_p99(), quiet.accepted_p99());
    must(
        slow <= usual * 2,
        format!("accepted in {slow:?} at p99, and in {usual:?} at 80 %"),
    );
    let again = after.accepted_p99();
    must(
        again <= usual * 2,
        format!("{again:?} at p99 after it, and {usual:?} before"),
    );
    faults
}

/// The bound is a pool's: 20 places of 50 ms are 400 answers a second. Five may wait, which
/// at that pace is a quarter of an answer's time: the default of 256 would have everybody
/// wait for more than half a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_is_full_answers_and_refuses_in_time() {
    let script = completion("Hello").delay_head(Duration::from_millis(50));
    let upstream = upstream(Some(script)).await;
    let gateway = Setup::new()
        .argument("--threads=1")
        .tables("[log]\nrequests = \"off\"")
        .tables(&bounds(4096))
        .pool_with(
            "p",
            &[&base(&upstream)],
            "concurrency = { target_max = 20, queue_max = 5 }",
        )
        .model("m", &["p"])
        .start();
    assert_eq!(chat(gateway.address, "m", false).await.status, 200);
    let capacity = capacity(&gateway, 20).await;
    overload(
        "a pool of 20 places",
        &gateway,
        (capacity, lasting(120)),
        0.0,
    )
    .await;
}

/// The bound is the program's own: twenty requests at once, whoever asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_takes_no_more_answers_and_refuses_in_time() {
    let script = completion("Hello").delay_head(Duration::from_millis(50));
    let upstream = upstream(Some(script)).await;
    let gateway = Setup::new()
        .argument("--threads=1")
        .tables("[log]\nrequests = \"off\"")
        .tables(&bounds(20))
        .pool("p", &[&base(&upstream)])
        .model("m", &["p"])
        .start();
    let capacity = capacity(&gateway, 20).await;
    let lasts = lasting(120);
    overload("a program of 20 requests", &gateway, (capacity, lasts), 0.0).await;
}

/// What an answer weighs here. To read it for its validity takes the program about a
/// millisecond, since it is all numbers; its upstream and its caller look at none of it. So
/// these two, on one core, can ask twice as much as the program does on the other, and it is
/// the program that is measured.
const HEAVY_BYTES: usize = 384 * 1024;

/// An answer with a long list of numbers, as the bytes of tokens are.
fn heavy() -> Script {
    let numbers = "7,".repeat(HEAVY_BYTES / 2);
    let numbers = numbers.trim_end_matches(',');
    Script::json(
        200,
        format!(
            r#"{{"id":"x","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"a"}},"logprobs":{{"content":[{{"token":"a","logprob":-0.3,"bytes":[{numbers}],"top_logprobs":[]}}]}},"finish_reason":"stop"}}]}}"#
        ),
    )
}

/// What the program has of its core where nobody else wants it, with room for chance.
const CORE_SHARE_MIN: f64 = 0.8;

/// Keeps this thread, and those it starts, to one core.
fn keep_to_core(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    rustix::thread::sched_setaffinity(None, &set).unwrap();
}

/// The bound is a core: the program has one for itself, and everybody else the other. What
/// it takes on at once is so little that what it took on is soon done.
#[test]
fn a_program_without_a_core_left_answers_and_refuses_in_time() {
    keep_to_core(1);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let upstream = upstream(Some(heavy())).await;
        let gateway = Setup::new()
            .started_by(&["taskset", "-c", "0"])
            .argument("--threads=1")
            .tables("[log]\nrequests = \"off\"")
            .tables(&bounds(8))
            .pool("p", &[&base(&upstream)])
            .model("m", &["p"])
            .start();
        let capacity = capacity(&gateway, 8).await;
        let bounds = (capacity, lasting(600));
        overload("a program on one core", &gateway, bounds, CORE_SHARE_MIN).await;
    });
}
