//! The command line as people meet it: what `--help` says, and what arguments mean.

use clap::CommandFactory;

use super::*;

#[test]
fn the_arguments_are_consistent() {
    Cli::command().debug_assert();
}
