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

/// The built-in upstream, for as long as this lives.
pub struct Simulated {
    /// Names of the pools it plays.
    pub names: Vec<String>,
    _simulator: Option<Simulator>,
}

/// Starts the built-in upstream and points pools at it.
///
/// # Errors
/// Where it cannot listen.
pub async fn simulate(config: &mut Config, demo: Demo) -> io::Result<Simulated> {
    let played: Vec<&mut Pool> = match demo {
        Demo::Off => Vec::new(),
        Demo::All => config.pools.iter_mut().collect(),
        Demo::Missing => {
            let missing = |pool: &&mut Pool| matches!(pool.api_key, ApiKey::Missing(_));
            config.pools.iter_mut().filter(missing).collect()
        }
    };
    if played.is_empty() {
        return Ok(Simulated {
            names: Vec::new(),
            _simulator: None,
        });
    }
    let options = Options {
        first_token: Duration::from_millis(150),
        token_gap: Duration::from_millis(25),
        image: Duration::from_millis(600),
        // So that the picture is kept and served by the gateway, at an address a browser reaches.
        image_inline: true,
        ..Options::instant()
    };
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let simulator = Simulator::start(anywhere, options).await?;
    let url =
        url::Url::parse(&format!("http://{}/v1", simulator.addr())).map_err(io::Error::other)?;
    let mut names = Vec::with_capacity(played.len());
    for pool in played {
        names.push(pool.name.to_string());
        pool.targets = vec![Target {
            url: url.clone(),
            weight: 1,
        }];
        pool.api_key = ApiKey::None;
        pool.ca = None;
        pool.http = HttpVersion::Http1;
    }
    Ok(Simulated {
        names,
        _simulator: Some(simulator),
    })
}
