//! The program. Everything is in the library, so that benches, fuzz targets and
//! tests can link it.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    spafe::cli::main()
}
