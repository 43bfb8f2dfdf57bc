//! The program `parlour`: hands everything to [`parlour::cli`] and ends with its exit code.
//!
//! It must never do more: what a subcommand does is in `src/cli/`, one file each.

use std::process::ExitCode;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    parlour::cli::main()
}
