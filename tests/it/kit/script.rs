//! How does a test run a script in another language?
//!
//! The script is a client like anybody's: it gets addresses by its environment
//! and its exit status is the test's. What it needs is installed on the first
//! run, so that `cargo test` works in a fresh clone as `make test` does.

use std::process::{Command, Output, Stdio};

use super::{canary, repository};

/// Runs a script of `tests/python` in the environment that set-up has made.
pub(crate) fn python(name: &str, environment: &[(&str, &str)]) {
    set_up();
    let python = repository("target/test-env/python/bin/python");
    run(
        Command::new(python),
        &format!("tests/python/{name}"),
        environment,
    );
}

/// Runs a script of `tests/node`, beside which set-up has put its packages.
pub(crate) fn node(name: &str, environment: &[(&str, &str)]) {
    set_up();
    run(
        Command::new("node"),
        &format!("tests/node/{name}"),
        environment,
    );
}

/// Takes a blink where everything is there.
pub(crate) fn set_up() {
    let output = Command::new(repository(".ci/setup-test"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        ".ci/setup-test could not install what this test needs:\n{}",
        shown(&output)
    );
}

/// Nextest ends a script that hangs, together with the test.
fn run(mut interpreter: Command, script: &str, environment: &[(&str, &str)]) {
    canary::listen(&std::fs::read_to_string(repository(script)).unwrap());
    let output = interpreter
        .arg(repository(script))
        .envs(environment.iter().copied())
        // A developer's own account has no part in a test.
        .env_remove("OPENAI_API_KEY")
        .env_remove("OPENAI_BASE_URL")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{script} failed ({}):\n{}",
        output.status,
        shown(&output)
    );
    canary::opens_nothing(script, &shown(&output));
}

fn shown(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
