//! `spafe`: an edge proxy for language models.
//!
//! One OpenAI-compatible address in front of many upstreams. The modules stand in
//! the order in which one should read them; `ARCHITECTURE.md` has the picture.

/// What the operator asked for on the command line.
pub mod cli;
/// A process: listeners, services, signals.
pub mod server;
/// Connections and heads.
pub mod ingress;
/// The way of a request, step by step.
pub mod gateway;
/// What operators see.
pub mod admin;

/// What the operator asked for in the file.
pub mod config;
/// The configuration in force, compiled.
pub mod snapshot;

/// What things are called.
pub mod names;
/// How much it is worth.
pub mod money;
/// What a model can be asked for.
pub mod operation;
/// The wire types of the OpenAI protocol, only what is read or written here.
pub mod openai;
/// Server-sent events, found without being copied.
pub mod sse;
/// The built-in upstream.
pub mod simulator;
/// What becomes of every fault, tried out.
pub mod drill;
/// The logs.
pub mod telemetry;
/// What a collector learns.
pub mod otlp;
/// Whether the process goes on.
pub mod phase;
/// How long a future may take.
pub mod deadline;
/// Clocks and chance.
pub mod sys;
/// Locks and counters.
mod sync;
/// Panics on purpose, for tests.
pub mod fail_point;
