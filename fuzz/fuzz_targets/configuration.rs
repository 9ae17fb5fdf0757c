//! Is every file a configuration, or told what is wrong with it and where?
//!
//! Variables of the environment are all set, and files that are named hold a line.
//!
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run configuration fuzz/corpus/configuration conf`

#![no_main]

use libfuzzer_sys::fuzz_target;
use spafe::config::{self, Source};

const SECRET: &str = "kanarienvogel-7f3a9c";

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let source = Source {
        name: "fuzz.toml",
        text,
    };
    let env = |_: &str| Some(SECRET.to_owned());
    let read = |_: &std::path::Path| Ok(SECRET.to_owned());
    match config::load(source, &env, &read) {
        Ok(config) => {
            let told = config::redacted(&config).to_string();
            assert!(!told.contains(SECRET), "a secret is told");
            let again = config::load(source, &env, &read).expect("the same");
            assert_eq!(config::redacted(&again).to_string(), told);
            assert!(!config.pools.is_empty() && !config.models.is_empty());
        }
        Err(problems) => {
            let lines = text.split('\n').count();
            assert!(problems.iter().next().is_some());
            for problem in &problems {
                assert!((1..=lines).contains(&problem.line), "{problem}");
                assert!(problem.column >= 1 && !problem.message.is_empty());
                assert!(!problem.to_string().contains(SECRET), "a secret is told");
            }
        }
    }
});
