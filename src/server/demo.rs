//! Which pools does the built-in upstream play?
//!
//! It is spoken to over a real loopback connection, like any upstream, so that a
//! demonstration takes the very way that production takes.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::config::{ApiKey, Config, HttpVersion, Pool, Target};
use crate::simulator::{Options, Simulator};

/// Which pools are played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demo {
    /// None.
    Off,
    /// All.
    All,
    /// Those whose secret is missing.
    Missing,
}

/// Plays pools: with the same built-in upstream for every configuration that comes.
pub struct Player {
    demo: Demo,
    /// Started when there is a pool to play.
    simulator: Option<Simulator>,
}

impl Player {
    /// Plays these pools.
    #[must_use]
    pub fn new(demo: Demo) -> Self {
        Self {
            demo,
            simulator: None,
        }
    }

    /// Points the pools that it plays at the built-in upstream; answers with their names.
    ///
    /// # Errors
    /// Where that cannot listen.
    pub async fn play(&mut self, config: &mut Config) -> io::Result<Vec<String>> {
        let played: Vec<&mut Pool> = match self.demo {
            Demo::Off => Vec::new(),
            Demo::All => config.pools.iter_mut().collect(),
            Demo::Missing => {
                let missing = |pool: &&mut Pool| matches!(pool.api_key, ApiKey::Missing(_));
                config.pools.iter_mut().filter(missing).collect()
            }
        };
        if played.is_empty() {
            return Ok(Vec::new());
        }
        let simulator = match &mut self.simulator {
            Some(simulator) => simulator,
            none => none.insert(start().await?),
        };
        let url = url::Url::parse(&format!("http://{}/v1", simulator.addr()))
            .map_err(io::Error::other)?;
        let point = |pool: &mut Pool| {
            pool.targets = vec![Target {
                url: url.clone(),
                weight: 1,
            }];
            pool.api_key = ApiKey::None;
            pool.ca = None;
            pool.http = HttpVersion::Http1;
            pool.name.to_string()
        };
        Ok(played.into_iter().map(point).collect())
    }
}

async fn start() -> io::Result<Simulator> {
    let options = Options {
        first_token: Duration::from_millis(150),
        token_gap: Duration::from_millis(25),
        image: Duration::from_millis(600),
        // So that the picture is kept and served by the gateway, at an address a browser reaches.
        image_inline: true,
        ..Options::instant()
    };
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Simulator::start(anywhere, options).await
}
