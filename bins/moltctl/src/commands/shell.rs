//! Completions and the manual page, made from the command line itself.

use clap::CommandFactory;

use crate::cli::Cli;
use crate::failure::Failure;

pub(super) fn completions(shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "moltctl", &mut script);
    crate::output::raw(&script)
}

pub(super) fn man() -> Result<(), Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    for command in Cli::command().get_subcommands() {
        let name = format!("moltctl-{}", command.get_name());
        clap_mangen::Man::new(command.clone().display_name(name)).render(&mut page)?;
    }
    crate::output::raw(&page)
}
