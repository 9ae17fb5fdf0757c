//! What becomes of every fault, with this configuration?

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::config::{self, Config, Source};
use crate::drill::{self, Wish};

/// What is drilled where no file is named: every default there is.
const DEFAULTS: &str = "\
[[pools]]
name = \"default\"
targets = [{ url = \"http://127.0.0.1:1\" }]
[[models]]
id = \"default\"
pools = [\"default\"]
";

/// Arguments of `spafe drill`.
#[derive(Debug, Args)]
pub(super) struct Drill {
    /// The configuration whose policy is drilled: attempts, deadlines, ejection,
    /// concurrency, hedging. Nobody that its pools name is asked, and no secret is
    /// needed. Without it: the defaults.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The pool of that configuration whose own policy is drilled; without it the first.
    #[arg(long, value_name = "POOL", requires = "config")]
    pool: Option<String>,
    /// Only scenarios whose names begin so.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Print the scorecard as JSON.
    #[arg(long)]
    json: bool,
    /// Let a scenario fail, to see that the drill can.
    #[arg(long, value_name = "NAME", hide = true)]
    spoil: Option<String>,
}

/// The scorecard, and whether everything in it passed.
pub(super) fn drill(drill: Drill) -> Result<(String, ExitCode), String> {
    let config = match &drill.config {
        Some(path) => super::load(path)?.2,
        None => defaults()?,
    };
    let wish = Wish {
        config,
        pool: drill.pool,
        only: drill.only,
        spoiled: drill.spoil,
        temporary: std::env::temp_dir(),
    };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| format!("spafe: {error}"))?;
    let card = runtime.block_on(async {
        tokio::select! {
            card = drill::run(wish) => card.map_err(|error| format!("spafe: {error}")),
            // So that what was made for the drill is removed.
            _ = tokio::signal::ctrl_c() => Err("spafe: interrupted".to_owned()),
        }
    })?;
    let text = if drill.json {
        serde_json::to_string_pretty(&card).map_err(|error| format!("spafe: {error}"))?
    } else {
        card.text()
    };
    let code = if card.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    };
    Ok((text, code))
}

fn defaults() -> Result<Config, String> {
    let source = Source {
        name: "the defaults",
        text: DEFAULTS,
    };
    let nothing = |_: &std::path::Path| Err(std::io::ErrorKind::NotFound.into());
    config::load(source, &|_| None, &nothing).map_err(|problems| problems.to_string())
}
