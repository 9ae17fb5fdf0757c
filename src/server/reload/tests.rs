//! Does the last trigger decide, in whatever order things happen?
//!
//! Not a model of the reloader but the reloader itself, led through every order of
//! triggers, of writes to the file and of the process's end. What makes that possible is
//! a secret in the file that comes from the environment: it is looked up once the text
//! has been read, and the test decides when the look-up returns. So a reload can be held
//! with what it has read for as long as it takes for everything else to happen.
//!
//! The orders are found as they are run: at each place whatever can happen next is
//! counted, one of it is done, and runs are repeated until nothing is left undone.

use std::path::Path;
use std::sync::{Condvar, Mutex};

use crate::gateway::images::ImageStore;
use crate::gateway::record::metrics::Metrics;
use crate::phase::Phase;
use crate::server::demo::Demo;
use crate::server::origin::Arguments;
use crate::telemetry::RequestLog;

use super::*;

/// Reloads that have read the file and are held.
struct Gate {
    held: Mutex<Held>,
    moved: Condvar,
}

struct Held {
    is_shut: bool,
    numbers: Vec<usize>,
    next: usize,
}

static GATE: Gate = Gate {
    held: Mutex::new(Held {
        is_shut: false,
        numbers: Vec::new(),
        next: 0,
    }),
    moved: Condvar::new(),
};

/// Somebody is held, or has been answered.
static SOMETHING: Notify = Notify::const_new();

/// Opens the gate at its end, whatever the test came to.
struct Opened;

impl Drop for Opened {
    fn drop(&mut self) {
        GATE.open();
    }
}

impl Gate {
    fn shut(&self) {
        self.held.lock().unwrap().is_shut = true;
    }

    fn count(&self) -> usize {
        self.held.lock().unwrap().numbers.len()
    }

    /// How many have read the file.
    fn reads(&self) -> usize {
        self.held.lock().unwrap().next
    }

    fn let_go(&self, index: usize) {
        self.held.lock().unwrap().numbers.remove(index);
        self.moved.notify_all();
    }

    /// Everybody may go, now and later.
    fn open(&self) {
        let mut held = self.held.lock().unwrap();
        held.is_shut = false;
        held.numbers.clear();
        self.moved.notify_all();
    }

    fn pass(&self) {
        let mut held = self.held.lock().unwrap();
        if !held.is_shut {
            return;
        }
        let number = held.next;
        held.next += 1;
        held.numbers.push(number);
        SOMETHING.notify_one();
        let is_held = |held: &mut Held| held.numbers.contains(&number);
        drop(self.moved.wait_while(held, is_held).unwrap());
    }
}

/// What can still happen.
#[derive(Clone, Copy)]
struct Left {
    asks: usize,
    writes: usize,
    ends: usize,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    /// Somebody wants a reload.
    Ask,
    /// The file is another one.
    Write,
    /// The process begins to end.
    End,
    /// What was held goes on; which of it, in the order in which it came.
    Go(usize),
}

impl Left {
    fn possible(&self) -> Vec<Event> {
        let mut events: Vec<Event> = (0..GATE.count()).map(Event::Go).collect();
        for (left, event) in [
            (self.asks, Event::Ask),
            (self.writes, Event::Write),
            (self.ends, Event::End),
        ] {
            events.extend((left > 0).then_some(event));
        }
        events
    }
}

/// One way through everything that could be chosen.
#[derive(Default)]
struct Way {
    /// What was chosen, and of how much.
    chosen: Vec<(usize, usize)>,
    at: usize,
}

impl Way {
    fn choose(&mut self, of: usize) -> usize {
        if self.at == self.chosen.len() {
            self.chosen.push((0, of));
        }
        self.at += 1;
        self.chosen[self.at - 1].0.min(of - 1)
    }

    /// The next way; false where there is none.
    fn turn(&mut self) -> bool {
        self.at = 0;
        while let Some((last, of)) = self.chosen.pop() {
            if last + 1 < of {
                self.chosen.push((last + 1, of));
                return true;
            }
        }
        false
    }
}

/// A gateway with a file, and what was seen of them.
struct Scene {
    origin: Origin,
    reloader: Arc<Reloader>,
    happened: Vec<Event>,
    /// The number in the file.
    written: usize,
    asked: usize,
    answers: Arc<Mutex<Vec<Answer>>>,
    /// What was in force when the process began to end, and how often the file had been read.
    kept: Option<(u64, usize)>,
    newest: usize,
}

struct Answer {
    /// What was in the file when it was asked for.
    written: usize,
    /// Whether the process was ending then.
    too_late: bool,
    /// What was in force when it was answered.
    in_force: usize,
    result: Result<(), Arc<ReloadError>>,
}

fn write(path: &Path, number: usize) {
    let store = path.with_file_name("images");
    let store = store.display();
    let text = format!(
        "[images]\nstore = \"{store}\"\n[log]\nrequests = \"off\"\n[[pools]]\nname = \"n-{number}\"\ntargets = [{{ url = \"http://127.0.0.1:1\" }}]\napi_key = {{ env = \"KEY\" }}\n[[models]]\nid = \"m\"\npools = [\"n-{number}\"]\n"
    );
    // At once, so that nobody finds half of it.
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

/// The number of the file that is in force.
fn in_force(reloader: &Reloader) -> usize {
    let snapshot = reloader.gateway.snapshot.load();
    let name = snapshot.config.pools[0].name.as_str();
    name.strip_prefix("n-").unwrap().parse().unwrap()
}

fn gateway(config: &Config, snapshot: Snapshot, metrics: Arc<Metrics>) -> Arc<Gateway> {
    let images = Arc::new(ImageStore::open(&config.images).unwrap());
    let log = RequestLog::open(&config.log, false).unwrap();
    Arc::new(Gateway::new(snapshot, images, metrics, log))
}

impl Scene {
    fn begin(path: &Path, known: &mut Option<Arc<Gateway>>) -> Self {
        write(path, 0);
        let origin = Origin {
            path: path.to_owned(),
            environment: |_| {
                GATE.pass();
                Some("sk-x".to_owned())
            },
            arguments: Arguments::default(),
        };
        let reading = origin.read();
        GATE.shut();
        let config = reading.config.unwrap();
        let registry = Arc::new(Registry::default());
        let metrics = known.as_ref().map(|known| Arc::clone(&known.metrics));
        let metrics = metrics.unwrap_or_default();
        let snapshot = Snapshot::new(config.clone(), &registry, &metrics).unwrap();
        let gateway = match known {
            Some(known) => {
                known.snapshot.store(Arc::new(snapshot));
                known
            }
            none => none.insert(gateway(&config, snapshot, metrics)),
        };
        let first = First {
            origin: origin.clone(),
            config,
            inputs: reading.inputs,
            certificate: None,
            player: Player::new(Demo::Off),
        };
        Self {
            origin,
            reloader: Reloader::new(Arc::clone(gateway), registry, first),
            happened: Vec::new(),
            written: 0,
            asked: 0,
            answers: Arc::default(),
            kept: None,
            newest: 0,
        }
    }

    fn ask(&mut self) {
        self.asked += 1;
        let reloader = Arc::clone(&self.reloader);
        let answers = Arc::clone(&self.answers);
        let (written, too_late) = (self.written, self.kept.is_some());
        tokio::spawn(async move {
            let result = reloader.reload(Trigger::Admin).await;
            answers.lock().unwrap().push(Answer {
                written,
                too_late,
                in_force: in_force(&reloader),
                result: result.map(drop),
            });
            SOMETHING.notify_one();
        });
    }

    async fn happens(&mut self, event: Event, left: &mut Left) {
        self.happened.push(event);
        match event {
            Event::Ask => {
                left.asks -= 1;
                self.ask();
            }
            Event::Write => {
                left.writes -= 1;
                self.written += 1;
                write(&self.origin.path, self.written);
            }
            Event::End => {
                left.ends -= 1;
                self.kept = Some(self.stands());
                self.reloader.gateway.outlook.enter(Phase::Leaving);
            }
            Event::Go(index) => GATE.let_go(index),
        }
        // Until somebody is held, or nobody is left who could be.
        while GATE.count() == 0 && self.answers.lock().unwrap().len() < self.asked {
            SOMETHING.notified().await;
        }
        // Who asked while another is held, by a task in a task, has come to wait for its turn.
        for _ in 0..2 {
            tokio::task::yield_now().await;
        }
        self.check();
    }

    fn check(&mut self) {
        let order = &self.happened;
        assert!(GATE.count() <= 1, "two at once: {order:?}");
        let now = in_force(&self.reloader);
        assert!(now >= self.newest, "an older one came back: {order:?}");
        self.newest = now;
        let answers = self.answers.lock().unwrap();
        for answer in answers.iter() {
            match &answer.result {
                Ok(()) => {
                    assert!(!answer.too_late, "reloaded while it ends: {order:?}");
                    let (wrote, found) = (answer.written, answer.in_force);
                    assert!(found >= wrote, "{found} and not {wrote}: {order:?}");
                }
                Err(error) => {
                    let is_ending = matches!(**error, ReloadError::Ending);
                    assert!(is_ending && self.kept.is_some(), "{error}: {order:?}");
                }
            }
        }
        if let Some(kept) = self.kept {
            assert_eq!(self.stands(), kept, "begun while it ends: {order:?}");
        }
    }

    fn stands(&self) -> (u64, usize) {
        (self.reloader.status().generation, GATE.reads())
    }

    fn end(self) {
        let answers = self.answers.lock().unwrap();
        assert_eq!(answers.len(), self.asked);
        let good = answers.iter().filter(|answer| answer.result.is_ok());
        let generation = self.reloader.status().generation;
        assert_eq!(generation, good.count() as u64 + 1, "{:?}", self.happened);
    }
}

/// Goes through every order of these; answers with how many there are.
fn every_order(of: Left) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spafe.toml");
    let mut way = Way::default();
    let mut orders = 0;
    let mut gateway = None;
    loop {
        // One that has ended serves no other order; making one takes long.
        gateway = gateway.filter(|_| of.ends == 0);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        // Dropped before the runtime, whose end waits for whoever is held.
        let _opened = Opened;
        runtime.block_on(async {
            let mut scene = Scene::begin(&path, &mut gateway);
            let mut left = of;
            loop {
                let possible = left.possible();
                if possible.is_empty() {
                    break;
                }
                let event = possible[way.choose(possible.len())];
                scene.happens(event, &mut left).await;
            }
            scene.end();
        });
        orders += 1;
        if !way.turn() {
            return orders;
        }
    }
}

#[test]
fn in_every_order_one_reloads_at_a_time_the_last_decides_and_none_while_it_ends() {
    let crowd = Left {
        asks: 3,
        writes: 2,
        ends: 0,
    };
    let ending = Left {
        asks: 2,
        writes: 1,
        ends: 1,
    };
    assert_eq!([crowd, ending].map(every_order), [140, 48]);
}
