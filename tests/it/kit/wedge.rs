//! What does a Redis do that no signal makes it do?
//!
//! A wedge stands between it and who asks, and lets everything pass until the test says
//! otherwise: then it answers itself, or late, or not at all.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What it does to each command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Does {
    /// Lets it through.
    Pass,
    /// Answers these bytes instead.
    Say(&'static str),
    /// Lets the answer wait for so long.
    Delay(Duration),
    /// Swallows it.
    Nothing,
    /// Closes the connection, and every new one.
    Close,
}

/// A running wedge. It ends with the test.
pub(crate) struct Wedge {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    does: Arc<Mutex<Does>>,
    _tasks: JoinSet<()>,
}

impl Wedge {
    /// One before the server at this port.
    pub(crate) async fn before(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let does = Arc::new(Mutex::new(Does::Pass));
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&does);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(stand_between(stream, port, Arc::clone(&shared)));
            }
        });
        Self {
            address,
            does,
            _tasks: tasks,
        }
    }

    /// Its address as it stands in a configuration.
    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// What it does from now on.
    pub(crate) fn does(&self, does: Does) {
        *self.does.lock().unwrap() = does;
    }
}

type Answers = Arc<tokio::sync::Mutex<OwnedWriteHalf>>;

async fn stand_between(stream: TcpStream, port: u16, does: Arc<Mutex<Does>>) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await else {
        return;
    };
    let (commands, answers) = stream.into_split();
    let (from_server, to_server) = server.into_split();
    let answers = Arc::new(tokio::sync::Mutex::new(answers));
    tokio::select! {
        () = pass_commands(commands, to_server, &answers, &does) => {}
        () = pass_answers(from_server, &answers, &does) => {}
    }
}

async fn pass_commands(
    mut commands: OwnedReadHalf,
    mut to_server: OwnedWriteHalf,
    answers: &Answers,
    does: &Mutex<Does>,
) {
    let mut held = Vec::new();
    loop {
        while let Some(length) = command_length(&held) {
            let command: Vec<u8> = held.drain(..length).collect();
            let now = *does.lock().unwrap();
            match now {
                Does::Pass | Does::Delay(_) => to_server.write_all(&command).await.unwrap(),
                Does::Say(answer) => {
                    let mut answers = answers.lock().await;
                    let _ = answers.write_all(answer.as_bytes()).await;
                }
                Does::Nothing => {}
                Does::Close => return,
            }
        }
        if commands.read_buf(&mut held).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

async fn pass_answers(mut from_server: OwnedReadHalf, answers: &Answers, does: &Mutex<Does>) {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let count = from_server.read(&mut bytes).await.unwrap_or(0);
        if count == 0 {
            return;
        }
        let now = *does.lock().unwrap();
        if let Does::Delay(delay) = now {
            tokio::time::sleep(delay).await;
        }
        if answers
            .lock()
            .await
            .write_all(&bytes[..count])
            .await
            .is_err()
        {
            return;
        }
    }
}

/// How many bytes the first command has, once all of it is there.
fn command_length(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    let number = |at: &mut usize| {
        let end = bytes[*at..].iter().position(|byte| *byte == b'\n')? + *at;
        let line = std::str::from_utf8(&bytes[*at + 1..end - 1]).unwrap();
        *at = end + 1;
        line.parse::<usize>().ok()
    };
    for _ in 0..number(&mut at)? {
        at += number(&mut at)? + 2;
        if at > bytes.len() {
            return None;
        }
    }
    Some(at)
}
