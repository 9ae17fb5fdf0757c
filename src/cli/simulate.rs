//! What answers when no vendor does, by itself?

use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::simulator::{Options, Simulator};

/// Arguments of `spafe simulate`.
#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// Where to listen.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Milliseconds from the request to the first token.
    #[arg(long, value_name = "MS", default_value_t = 150)]
    first_token_ms: u64,
    /// Milliseconds from token to token.
    #[arg(long, value_name = "MS", default_value_t = 25)]
    token_gap_ms: u64,
    /// Milliseconds from the request to a painted image.
    #[arg(long, value_name = "MS", default_value_t = 600)]
    image_ms: u64,
}

/// Simulates until told to stop.
pub(super) fn run(simulate: &Simulate) -> Result<ExitCode, String> {
    let options = Options {
        first_token: Duration::from_millis(simulate.first_token_ms),
        token_gap: Duration::from_millis(simulate.token_gap_ms),
        image: Duration::from_millis(simulate.image_ms),
        ..Options::instant()
    };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| format!("spafe: {error}"))?;
    runtime.block_on(async {
        let simulator = Simulator::start(simulate.listen, options)
            .await
            .map_err(|error| {
                format!(
                    "spafe: cannot listen on {}: {error}; choose another address with --listen",
                    simulate.listen
                )
            })?;
        super::print(&format!("simulating on http://{}/v1", simulator.addr()))?;
        tokio::select! {
            () = simulator.run_forever() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        Ok(ExitCode::SUCCESS)
    })
}
