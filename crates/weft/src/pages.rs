//! Completion scripts and man pages, made of the command line's own declaration.

use crate::args::Cli;
use crate::error::Failure;
use clap::CommandFactory;
use clap_complete::Shell;
use std::path::Path;

/// Prints the script that makes a shell complete our command line.
pub fn completions(shell: Shell) -> Result<(), Failure> {
    clap_complete::generate(shell, &mut Cli::command(), "weft", &mut std::io::stdout());
    Ok(())
}

/// Writes weft.1 and a page for each command.
pub fn man(directory: &Path) -> Result<(), Failure> {
    let failed = |why| Failure::File { path: directory.into(), why };
    std::fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), directory).map_err(failed)
}
