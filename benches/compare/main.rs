//! What does a request cost through spafe, beside a bare pass-through, nginx and HAProxy?
//!
//! A microbench sees a function; what an operator pays for is the process: its CPU time
//! for a request and an event, what it adds to an answer, its memory. So whole processes
//! are compared, each pinned to the same core, in front of the same upstream and under
//! the same load, in interleaved rounds. `benches/README.md` says how to read the table.
//! It only reports: no number here can fail a build.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a table is what this is for"
)]
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
#![expect(
    clippy::cast_precision_loss,
    reason = "counts and sizes stay far below 2^52"
)]

/// What a caller sees.
mod client;
/// What each subject is told.
mod configuration;
/// What a load costs.
mod load;
/// Which core does what.
mod machine;
/// What the caller asked for.
mod options;
/// What a process has used.
mod process;
/// The bare pass-through.
mod reference;
/// What is measured, and when.
mod rounds;
/// How numbers become a table.
mod sheet;
/// Who is compared.
mod subject;
/// What stands behind every proxy.
mod upstream;
/// What the two ends say to each other.
mod wire;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

use machine::Ticks;
use options::Options;
use rounds::Bench;
use subject::Stage;
use upstream::Upstream;

/// The gateway's allocator, for the reference that runs in this binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).peekable();
    let outcome = if arguments
        .next_if(|first| first == reference::ARGUMENT)
        .is_some()
    {
        reference::serve(arguments)
    } else if arguments.any(|argument| argument == "--bench") {
        compare(&Options::parse())
    } else {
        // `cargo test --all-targets` starts benches too, to see that they do not break.
        eprintln!("nothing is measured: `cargo bench --bench compare -- --help`");
        Ok(())
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(options: &Options) -> io::Result<()> {
    for subject in &options.only {
        subject.program()?;
    }
    let before = Ticks::now();
    let cores = machine::Cores::choose()?;
    machine::raise_descriptor_limit()?;
    let folder = tempfile::tempdir()?;
    let upstream = Upstream::start(cores.upstream)?;
    machine::pin_this_thread(cores.generator)?;
    let bench = Bench {
        stage: Stage {
            folder: folder.path(),
            cores,
            upstream: upstream.address,
        },
        upstream: &upstream,
        effort: options.effort(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let measured = LocalSet::new().block_on(&runtime, async {
        let mut terminate = signal(SignalKind::terminate())?;
        // Leaving this block, in whatever way, ends every process that was started.
        tokio::select! {
            measured = bench.run(&options.only, &options.what) => measured,
            _ = tokio::signal::ctrl_c() => Err(io::ErrorKind::Interrupted.into()),
            _ = terminate.recv() => Err(io::ErrorKind::Interrupted.into()),
        }
    })?;
    println!(
        "proxy on core {}, generator on {}, upstream on {}; medians of {} rounds; \
         ×: ratio to the reference\n",
        cores.proxy, cores.generator, cores.upstream, bench.effort.rounds
    );
    println!("{measured}");
    // The processes that were compared have ended by now.
    let others = before
        .zip(Ticks::now())
        .and_then(|(before, after)| after.warning_since(&before));
    if let Some(warning) = others {
        println!("{warning}");
    }
    Ok(())
}
